"""A graph, node by node: which recurrent layers it computes, and what follows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from elman._imported import widened
from elman._onnx._cells import CELLS
from elman._onnx._operators import OPERATORS
from elman._onnx._recurrent import recurrent
from elman._onnx._sizes import computed_sizes, sizes_of_axes
from elman._onnx._values import (
    Constant,
    Node,
    RefusedError,
    Signal,
    Sizes,
    StateStack,
    Unreadable,
    Value,
    Zeros,
)

FOLDED = (
    *("Add", "Cast", "Concat", "DequantizeLinear", "Div", "Gather", "Identity", "Mul", "Neg"),
    *("Reshape", "Slice", "Split", "Squeeze", "Sub", "Transpose", "Unsqueeze"),
)
"""What is computed where all inputs are in the file; none of it makes much out of little."""

KNOWN = {**OPERATORS, **dict.fromkeys(CELLS, recurrent)}
UNKNOWN = Unreadable("model", "a value that is no dense tensor", "dense tensors")
EXPECTED = "one of a recurrent network: RNN, GRU, LSTM and what stands around them"


class Reader:
    """Values of a graph by name, as far as they are known.

    Parameters
    ----------
    onnx : module
        The package.
    proto : onnx.ModelProto
        The model, without local functions.
    """

    def __init__(self, onnx: Any, proto: Any) -> None:
        self._onnx = onnx
        versions = {entry.domain: entry.version for entry in proto.opset_import}
        self._version = int(versions.get("", versions.get("ai.onnx", 1)))
        self.values: dict[str, Value | None] = {"": None}
        for value in proto.graph.input:
            self.values[value.name] = self._input(value)
        for tensor in proto.graph.initializer:
            # Also of an input that has a default: old files list all of their weights as inputs.
            self.values[tensor.name] = self._tensor(tensor)
        for node in proto.graph.node:
            for name, value in zip(node.output, self._results(node), strict=False):
                self.values[name] = value

    def _input(self, value: Any) -> Value:
        types, tensor = self._onnx.TensorProto, value.type.tensor_type
        is_integer = tensor.elem_type in (types.INT32, types.INT64)
        rank = len(tensor.shape.dim) if tensor.HasField("shape") else 2 if is_integer else 3
        if rank <= 1:
            return Sizes(None if rank else (None,), is_given=True)
        return Signal(tuple(map(str, range(rank))), is_tokens=is_integer)

    def _tensor(self, tensor: Any) -> Value:
        """Return what is in the file, halves as float32."""
        try:
            array = self._onnx.numpy_helper.to_array(tensor)
        except (LookupError, TypeError, ValueError) as error:
            got = f"data that do not fit ({error})"
            return Unreadable(f"tensor {tensor.name!r}", got, "as many as its shape says")
        return Constant(widened(array))

    def _results(self, proto: Any) -> Sequence[Value]:
        """Return what is known of each output of a node."""
        inputs = [self.values.get(name, UNKNOWN) for name in proto.input]
        unreadable = next((value for value in inputs if isinstance(value, Unreadable)), None)
        if unreadable is None:
            try:
                results = self._computed(proto, inputs)
                return results if isinstance(results, list) else [results] * len(proto.output)
            except RefusedError as error:
                got, expected = error.got, error.expected
            except (AssertionError, ArithmeticError, LookupError, TypeError, ValueError) as error:
                got, expected = f"what does not fit together ({error})", EXPECTED
            name = proto.name or next(name for name in proto.output if name)
            unreadable = Unreadable(f"node {name!r} ({proto.op_type})", got, expected)
        return [unreadable] * len(proto.output)

    def _computed(self, proto: Any, inputs: list[Value | None]) -> Value | list[Value]:
        attributes = self._attributes(proto)
        node = Node(proto.op_type, self._version, attributes, inputs, len(proto.output))
        given = [value for value in inputs if value is not None]
        if node.operator == "Constant":
            (value,) = node.attributes.values()
            is_tensor = isinstance(value, self._onnx.TensorProto)
            return self._tensor(value) if is_tensor else Constant(np.asarray(value))
        if proto.domain not in ("", "ai.onnx"):
            raise RefusedError(f"the domain {proto.domain!r}", "ai.onnx")
        if any(isinstance(value, (Signal, StateStack)) for value in given):
            if node.operator == "Shape":
                return sizes_of_axes(node)
            if node.operator not in KNOWN:
                raise RefusedError(f"the operator {node.operator!r}", EXPECTED)
            return KNOWN[node.operator](node)
        if node.operator in ("ConstantOfShape", "Expand"):
            return self._filled(node)
        if any(isinstance(value, Zeros) for value in given):
            return Zeros()
        sizes = [value for value in given if isinstance(value, Sizes)]
        if sizes:
            return Sizes(computed_sizes(node), any(value.is_given for value in sizes))
        return self._folded(proto, node)

    def _attributes(self, node: Any) -> dict[str, Any]:
        def plain(value: Any) -> Any:
            if isinstance(value, bytes):
                return value.decode()
            return [plain(item) for item in value] if isinstance(value, list) else value

        return {
            attribute.name: plain(self._onnx.helper.get_attribute_value(attribute))
            for attribute in node.attribute
        }

    def _filled(self, node: Node) -> Value:
        """One number, or a few, spread over a shape: what is zero may be a state."""
        filling = node[0] if node.operator == "Expand" else node.attributes.get("value")
        if isinstance(filling, self._onnx.TensorProto):
            filling = self._tensor(filling)
        is_zero = filling is None or isinstance(filling, Zeros)
        if isinstance(filling, Constant):
            is_zero = not np.any(filling.array)
        return Zeros() if is_zero else Sizes()

    def _folded(self, proto: Any, node: Node) -> list[Value]:
        """Compute what is in the file."""
        if node.operator not in FOLDED:
            raise RefusedError(f"the operator {node.operator!r}, of constants", EXPECTED)
        from onnx.reference import ReferenceEvaluator

        feeds = {
            name: value.array
            for name, value in zip(proto.input, node.inputs, strict=True)
            if isinstance(value, Constant)
        }
        try:
            evaluator = ReferenceEvaluator(proto, opsets={"": self._version})
        except RuntimeError:  # it has this operator in later versions only
            evaluator = ReferenceEvaluator(proto)
        return [Constant(np.asarray(array)) for array in evaluator.run(None, feeds)]
