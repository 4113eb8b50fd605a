"""Operators around the recurrent ones: axes moved, directions merged, a dense layer, classes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from elman._arrays import Array
from elman._onnx._sizes import Entries, entries_of
from elman._onnx._values import (
    Constant,
    Node,
    RefusedError,
    Signal,
    Sizes,
    StateStack,
    Value,
)

FAR = 2**31 - 1
"""From here on the end of a slice is the end of the axis."""


REALS = (1, 10, 11, 16)
"""FLOAT, FLOAT16, DOUBLE and BFLOAT16 in the numbers of onnx.TensorProto."""


def move(node: Node) -> Value:
    """Identity, Dropout: values as they are."""
    value = node[0]
    assert value is not None
    return value


def cast(node: Node) -> Value:
    """Another type, but none that would round outputs."""
    value = node[0]
    is_real = isinstance(value, Signal) and bool(value.layers) and not value.is_number
    if is_real and node.attributes["to"] not in REALS:
        raise RefusedError(f"to={node.attributes['to']}", "a type of reals")
    return move(node)


def transpose(node: Node) -> Value:
    """Axes in another order."""
    signal = node.signal()
    order = node.attributes.get("perm", range(len(signal.axes))[::-1])
    return replace(signal, axes=tuple(signal.axes[axis] for axis in order))


def squeeze(node: Node) -> Value:
    """Axes of size one gone."""
    signal = node.signal()
    axes = node.integers(1, "axes")
    if axes is None:
        axes = [i for i in range(len(signal.axes)) if _is_one(signal, i)]
    for axis in sorted((axis % len(signal.axes) for axis in axes), reverse=True):
        signal = _squeezed(signal, axis)
    return signal


def _is_one(signal: Signal, axis: int) -> bool:
    name = signal.axes[axis]
    return name == "one" or (name == "direction" and signal.n_directions == 1)


def _squeezed(signal: Signal, axis: int) -> Signal:
    name = signal.axes[axis]
    if name == "feature" and signal.layers and signal.n_features == 1:
        return replace(signal.without(axis), has_output_axis=False)
    if not _is_one(signal, axis):
        raise RefusedError(f"an axis of {name!r} to take away", "one of size one")
    return signal.without(axis)


def unsqueeze(node: Node) -> Value:
    """Add axes of size one."""
    signal = node.signal()
    axes = node.integers(1, "axes") or []
    names, rank = list(signal.axes), len(signal.axes) + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        names.insert(axis, "one")
    return replace(signal, axes=tuple(names))


def reshape(node: Node) -> Value:
    """Both directions as one vector, or an axis of size one gone."""
    signal, sizes = node.signal(), entries_of(node, 1)
    axes = signal.axes
    if sizes is not None and len(sizes) == len(axes) and set(sizes) <= {0, -1}:
        return signal
    if sizes is not None and len(sizes) == len(axes) - 1:
        rest = [signal.without(axis) for axis in range(len(axes)) if _is_one(signal, axis)]
        if signal.n_directions == 2 and axes[-2:] == ("direction", "feature"):
            rest.append(signal.without(len(axes) - 2).merged("concat"))
        for reshaped in rest:
            if _may_have(reshaped, sizes):
                return reshaped
    shape = "computed" if sizes is None else f"({', '.join(str(size or '?') for size in sizes)})"
    expected = "one axis less: directions and features as one, or an axis of size one gone"
    raise RefusedError(f"the axes {axes} and the shape {shape}", expected)


def _may_have(signal: Signal, sizes: Entries) -> bool:
    """Whether a signal's axes may have these sizes."""
    of_features = {-1, 0, "direction*feature", "feature*direction"}
    if signal.modes[-1:] != ("concat",):
        of_features.add("feature")
    for axis, size in zip(signal.axes, sizes, strict=True):
        if axis == "feature" and signal.n_features is not None:
            if size not in {*of_features, signal.n_features}:
                return False
        elif isinstance(size, str) and size != axis and not size.isdigit():
            return False
    return None not in sizes


def flatten(node: Node) -> Value:
    """Hand on a vector for each sample."""
    signal = node.signal()
    kept = tuple(name for i, name in enumerate(signal.axes) if not _is_one(signal, i))
    is_first = signal.axes[0] == "sample" and node.attributes.get("axis", 1) == 1
    if not is_first or kept != ("sample", "feature"):
        raise RefusedError(f"the axes {signal.axes}", "a vector for each sample, samples first")
    return replace(signal, axes=kept)


def gather(node: Node) -> Value:
    """Look up vectors of tokens, or labels; or pick one entry of an axis."""
    data, indices = node[0], node[1]
    axis = int(node.attributes.get("axis", 0))
    if isinstance(data, Constant):
        signal = node.signal(1)
        if signal.is_number and data.array.ndim == 1:
            return replace(signal, is_number=False, labels=data.array)
        if signal.is_tokens and not signal.layers and data.array.ndim == 2 and axis == 0:
            axes = (*signal.axes, "feature")
            return replace(signal, is_tokens=False, embedding=data.array, axes=axes)
        raise RefusedError("numbers to look up", "those of tokens or of classes")
    if not isinstance(indices, Constant) or indices.array.size != 1:
        raise RefusedError("several indices, or computed ones", "one in the file")
    return _picked(data, axis, int(indices.array.ravel()[0]), keeps=indices.array.ndim > 0)


def _picked(value: Value | None, axis: int, index: int, *, keeps: bool) -> Value:
    """One entry of an axis, which goes away or stays with a size of one."""
    if isinstance(value, StateStack):
        if axis != 0 or not -len(value.states) <= index < len(value.states):
            raise RefusedError(f"index {index} of axis {axis}", "the state of a layer")
        state = value.states[index]
        return replace(state, axes=("one", *state.axes)) if keeps else state
    assert isinstance(value, Signal)
    axis %= len(value.axes)
    name, n = value.axes[axis], value.n_directions
    if name == "direction" and -n <= index < n:
        part = index % 2 if n == 2 else None
        return replace(value.without(axis, keeps=keeps), part=part)
    if name == "one" and index in (0, -1):
        return value.without(axis, keeps=keeps)
    if name == "time":
        return replace(_last_step(value, index).without(axis, keeps=keeps), kind="last")
    raise RefusedError(f"index {index} of the axis {name!r}", "that of the last time step")


def _last_step(signal: Signal, index: int) -> Signal:
    layer = signal.layers[-1] if signal.layers else None
    if layer is None or len(layer.directions) == 2:
        raise RefusedError(
            f"time step {index} of a bidirectional layer",
            "its final states Y_h: one half of Y has read a single step there",
        )
    if index != (0 if layer.is_reversed else -1):
        raise RefusedError(f"time step {index}", "the one that is read last")
    if signal.is_ragged and not layer.is_reversed:
        expected = "its final states Y_h: Y is zero there where sequence_lens end one earlier"
        raise RefusedError(f"time step {index} of a ragged layer", expected)
    return signal


def slice_(node: Node) -> Value:
    """One entry of an axis, which stays with a size of one."""
    starts, ends = node.integers(1, "starts"), node.integers(2, "ends")
    axes, steps = node.integers(3, "axes"), node.integers(4, "steps")
    if starts is None or ends is None or len(starts) != 1 or steps not in (None, [1]):
        raise RefusedError("several axes, or steps", "one entry of one axis")
    start, end, axis = starts[0], ends[0], axes[0] if axes else 0
    if end - start == 1 or (start == -1 and end >= FAR):
        return _picked(node[0], axis, start, keeps=True)
    raise RefusedError(f"{start}:{end} of axis {axis}", "one entry")


def split(node: Node) -> list[Value]:
    """Both directions, one by one."""
    signal = node.signal()
    axis = int(node.attributes.get("axis", 0)) % len(signal.axes)
    if signal.axes[axis] != "direction" or node.n_outputs != signal.n_directions:
        raise RefusedError(f"the axis {signal.axes[axis]!r}", "that of both directions")
    return [_picked(signal, axis, d, keeps=True) for d in range(node.n_outputs)]


def concat(node: Node) -> Value:
    """Both directions as one vector, or states of several layers."""
    axis = int(node.attributes["axis"])
    if len(node.inputs) == 1:
        return node.signal()
    signals = [node.signal(i) for i in range(len(node.inputs))]
    first = signals[0]
    if all(signal.axes[0] == "direction" for signal in signals) and axis == 0:
        return StateStack(tuple(state for signal in signals for state in _each(signal)))
    is_last_axis = first.axes[axis % len(first.axes)] == "feature"
    if len(signals) == 2 and is_last_axis and first.is_other_half_of(signals[1]):
        if first.part == 1:
            raise RefusedError("the second direction before the first", "the first one first")
        return first.merged("concat")
    raise RefusedError("other things to join", "both directions of a layer")


def _each(signal: Signal) -> list[Signal]:
    n, whole = signal.n_directions, signal.without(0)
    return [replace(whole, part=d if n == 2 else None) for d in range(n)]


def add(node: Node) -> Value:
    """Sum of both directions, or the bias of a dense layer."""
    first, second = node[0], node[1]
    if isinstance(first, Signal) and first.is_other_half_of(second):
        return first.merged("sum")
    constant = first if isinstance(first, Constant) else second
    signal = second if isinstance(first, Constant) else first
    if isinstance(signal, Signal) and isinstance(constant, Constant) and signal.head is not None:
        W, b = signal.head
        is_last = signal.axes[-1] == "feature" or W.shape[1] == 1
        if is_last and signal.out_activation == "identity":
            bias = _bias(constant.array, W.shape[1])
            return replace(signal, head=(W, bias if b is None else b + bias))
    raise RefusedError("other terms", "both directions of a layer, or a head and its bias")


def _bias(array: Array, n_outputs: int) -> Array:
    """Return a bias with an entry for each output; refuse one that differs along other axes."""
    if array.size not in (1, n_outputs) or array.size != math.prod(array.shape[-1:]):
        raise RefusedError(f"a bias of shape {array.shape}", f"({n_outputs},)")
    return np.broadcast_to(array.ravel(), n_outputs)


def multiply(node: Node) -> Value:
    """Product of both directions, or half of their sum."""
    first, second = node[0], node[1]
    if isinstance(first, Signal) and first.is_other_half_of(second):
        return first.merged("mul")
    constant = first if isinstance(first, Constant) else second
    signal = second if isinstance(first, Constant) else first
    if isinstance(constant, Constant) and isinstance(signal, Signal):
        factor = constant.array if node.operator == "Mul" else 1 / constant.array
        is_half = factor.size == 1 and np.all(factor == 0.5)
        if signal.head is None and signal.modes[-1:] == ("sum",) and is_half:
            return signal.merged("mean")
    raise RefusedError("other factors", "both directions of a layer, or their sum and a half")


def mean(node: Node) -> Value:
    """Mean of both directions."""
    if len(node.inputs) == 2 and node.signal().is_other_half_of(node[1]):
        return node.signal().merged("mean")
    raise RefusedError("other things", "both directions of a layer")


def dense(node: Node) -> Value:
    """MatMul and Gemm: the head."""
    signal, given, b = node.signal(), node[1], node[2]
    options, W = node.attributes, given.array if isinstance(given, Constant) else None
    if W is None or W.ndim != 2 or not (b is None or isinstance(b, Constant)):
        raise RefusedError("a factor that is computed", "a matrix in the file")
    if signal.head is not None or not signal.layers:
        got = "a dense layer before it" if signal.layers else "no recurrent layer before it"
        raise RefusedError(got, "recurrent layers, and one dense layer behind them")
    if not signal.is_whole or signal.axes[-1] != "feature" or options.get("transA", 0):
        raise RefusedError(f"the axes {signal.axes}", "features last")
    W = (W.T if options.get("transB", 0) else W) * np.asarray(options.get("alpha", 1.0), W.dtype)
    if len(W) != signal.n_features:
        raise RefusedError(f"a matrix of {len(W)} rows", f"{signal.n_features}")
    bias = None
    if b is not None:
        beta = np.asarray(options.get("beta", 1.0), b.array.dtype)
        bias = _bias(b.array * beta, W.shape[1])
    return replace(signal, head=(W, bias))


def activation(node: Node) -> Value:
    """Softmax, LogSoftmax, Sigmoid, Exp: what stands behind the outputs."""
    signal = node.signal()
    names = {"Sigmoid": "logistic", "Exp": "exp"}
    default = -1 if node.version >= 13 else 1
    axis = node.attributes.get("axis", default) % len(signal.axes)
    is_output = signal.layers and signal.is_whole and signal.out_activation == "identity"
    if not is_output or (node.operator not in names and signal.axes[axis] != "feature"):
        raise RefusedError(
            "other values, or another axis", "outputs of the network, along their last axis"
        )
    return replace(signal, out_activation=names.get(node.operator, "softmax"))


def argmax(node: Node) -> Value:
    """Return the number of the likeliest class."""
    signal, options = node.signal(), node.attributes
    axis = options.get("axis", 0) % len(signal.axes)
    if not signal.is_whole or signal.axes[axis] != "feature" or options.get("select_last_index"):
        raise RefusedError("another axis", "that of classes")
    return replace(signal.without(axis, keeps=bool(options.get("keepdims", 1))), is_number=True)


def where(node: Node) -> Value:
    """Read over NaN that marks what is after the end of a sequence."""
    signal, other = node.signal(1), node[2]
    is_nan = isinstance(node[0], Sizes) and isinstance(other, Constant)
    if not is_nan or not np.isnan(other.array).all():  # type: ignore[union-attr]
        raise RefusedError("other values to choose from", "NaN after the end of a sequence")
    return signal


OPERATORS: dict[str, Callable[[Node], Value | list[Value]]] = {
    "Add": add,
    "ArgMax": argmax,
    "Cast": cast,
    "Concat": concat,
    "Div": multiply,
    "Dropout": move,
    "Exp": activation,
    "Flatten": flatten,
    "Gather": gather,
    "Gemm": dense,
    "Identity": move,
    "LogSoftmax": activation,
    "MatMul": dense,
    "Mean": mean,
    "Mul": multiply,
    "Reshape": reshape,
    "Sigmoid": activation,
    "Slice": slice_,
    "Softmax": activation,
    "Split": split,
    "Squeeze": squeeze,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
    "Where": where,
}
