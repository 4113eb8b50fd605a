"""An ONNX graph that is written node by node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from elman._arrays import Array
from elman._exceptions import problem

IR_VERSION = 8
"""The file format: that of opset 17, which every runtime since 2022 reads."""


def import_onnx(caller: str) -> Any:
    """Import the package onnx, or say how to get it."""
    try:
        import onnx
    except ImportError as error:
        message = f"{caller}: the package onnx is not installed: pip install 'elman[onnx]'"
        raise ImportError(message) from error
    return onnx


class GraphBuilder:
    """Nodes, constants, inputs and outputs; values are known by their names.

    Parameters
    ----------
    caller : str
        Who builds it, for messages.
    """

    def __init__(self, caller: str) -> None:
        self._onnx, self.caller = import_onnx(caller), caller
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self._n_of: dict[str, int] = {}
        self._integers: dict[tuple[int, ...], str] = {}

    def constant(self, name: str, array: Array) -> str:
        """Add numbers that are in the file; reals as float32."""
        if array.dtype.kind == "f":
            with np.errstate(over="ignore"):
                single = array.astype(np.float32)
            if np.isfinite(array).all() and not np.isfinite(single).all():
                expected = "weights within it: X may need scaling"
                raise ValueError(
                    problem(self.caller, "model", f"{name} too large for float32", expected)
                )
            array = single
        return self.labels(name, array)

    def labels(self, name: str, array: Array) -> str:
        """Add what is in the file as it is, strings as objects."""
        self.initializers[name] = self._onnx.numpy_helper.from_array(
            np.ascontiguousarray(array).reshape(array.shape), name
        )
        return name

    def integers(self, *values: int) -> str:
        """Return a vector of int64, the same one for the same numbers."""
        if values not in self._integers:
            name = "integers_" + "_".join(map(str, values))
            self._integers[values] = self.constant(name, np.array(values, dtype=np.int64))
        return self._integers[values]

    def integer(self, value: int) -> str:
        """Return a scalar of int64."""
        name = f"integer_{value}"
        if name not in self.initializers:
            self.constant(name, np.array(value, dtype=np.int64))
        return name

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output, and return that."""
        return self.nodes_of(operator, inputs, 1, **attributes)[0]

    def nodes_of(
        self, operator: str, inputs: Sequence[str], n_outputs: int, **attributes: Any
    ) -> list[str]:
        """Add a node of several outputs, and return them."""
        number = self._n_of[operator] = self._n_of.get(operator, -1) + 1
        name = f"{operator}_{number}"
        outputs = [name] if n_outputs == 1 else [f"{name}_{i}" for i in range(n_outputs)]
        self.nodes.append(
            self._onnx.helper.make_node(operator, list(inputs), outputs, name=name, **attributes)
        )
        return outputs

    def squeeze(self, value: str, axis: int) -> str:
        """Take away an axis of size one."""
        return self.node("Squeeze", value, self.integers(axis))

    def unsqueeze(self, value: str, axis: int) -> str:
        """Add an axis of size one."""
        return self.node("Unsqueeze", value, self.integers(axis))

    def pick(self, value: str, index: int, axis: int) -> str:
        """One entry along an axis, which goes away."""
        return self.node("Gather", value, self.integer(index), axis=axis)

    def columns(self, value: str, begin: int, end: int) -> str:
        """Cut entries out of the last axis."""
        return self.node("Slice", value, *(self.integers(i) for i in (begin, end, -1)))

    def size(self, value: str, axis: int) -> str:
        """Return the size of an axis, as a vector of one number."""
        return self.node("Shape", value, start=axis, end=axis + 1)

    def cast(self, value: str, dtype: Any) -> str:
        """Convert to another type."""
        return self.node("Cast", value, to=self._element_type(dtype))

    def dense(self, value: str, W: str, b: str) -> str:
        """Multiply with a matrix and add a bias."""
        return self.node("Add", self.node("MatMul", value, W), b)

    def is_step(self, lengths: str, n_timesteps: str) -> str:
        """Whether each step is within its sequence, (n_samples, n_timesteps, 1)."""
        stop = self.squeeze(n_timesteps, 0)
        steps = self.node("Range", self.integer(0), stop, self.integer(1))
        is_step = self.node("Less", steps, self.unsqueeze(lengths, 1))
        return self.unsqueeze(is_step, 2)

    def input(
        self, name: str, dtype: Any, shape: Sequence[Any], default: Array | None = None
    ) -> str:
        """Add an input; one with a default may be left out.

        The default may have a size of one where what is given has n_samples, so that such a size
        has no name: runtimes count on sizes of one name to be equal.
        """
        self.inputs.append(
            self._onnx.helper.make_tensor_value_info(name, self._element_type(dtype), list(shape))
        )
        if default is not None:
            self.constant(name, default)
        return name

    def output(self, value: str, name: str, dtype: Any, shape: Sequence[Any]) -> None:
        """Add an output."""
        self.nodes.append(
            self._onnx.helper.make_node("Identity", [value], [name], name=f"output_{name}")
        )
        self.outputs.append(
            self._onnx.helper.make_tensor_value_info(name, self._element_type(dtype), list(shape))
        )

    def model(self, name: str, opset: int, metadata: dict[str, str]) -> Any:
        """Return the graph as a model, checked."""
        from elman import __version__

        graph = self._onnx.helper.make_graph(
            self.nodes, name, self.inputs, self.outputs, list(self.initializers.values())
        )
        model = self._onnx.helper.make_model(
            graph,
            opset_imports=[self._onnx.helper.make_opsetid("", opset)],
            producer_name="elman",
            producer_version=__version__,
            ir_version=IR_VERSION,
        )
        self._onnx.helper.set_model_props(model, metadata)
        self._onnx.checker.check_model(model, full_check=True)
        return model

    def _element_type(self, dtype: Any) -> int:
        if dtype is str:
            return int(self._onnx.TensorProto.STRING)
        return int(self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
