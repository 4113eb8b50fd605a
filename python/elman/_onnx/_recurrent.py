"""The operators RNN, GRU and LSTM, read as layers of an estimator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from elman._arrays import Array
from elman._exceptions import abbreviated
from elman._imported import Direction, Layer, direction
from elman._onnx._cells import CELLS, DEFAULT_ACTIVATIONS, GATES, from_operator
from elman._onnx._values import Constant, Node, RefusedError, Signal, Sizes, Value, Zeros

DIRECTIONS = ("forward", "reverse", "bidirectional")
ATTRIBUTES = (
    *("activation_alpha", "activation_beta", "activations", "clip", "direction", "hidden_size"),
    *("input_forget", "layout", "linear_before_reset", "output_sequence"),
)


def recurrent(node: Node) -> list[Value]:
    """Y, Y_h and Y_c of an operator."""
    options = node.attributes
    _check_attributes(options)
    way = str(options.get("direction", "forward")).lower()
    if way not in DIRECTIONS:
        raise RefusedError(f"direction={way!r}", f"one of {', '.join(DIRECTIONS)}")
    n_directions = 2 if way == "bidirectional" else 1
    activation = _activation(node.operator, options, n_directions)
    _check_states(node)
    layout = int(options.get("layout", 0))
    signal = _bound(node.signal(), layout)
    reset_after = bool(options.get("linear_before_reset", 0))
    layer = Layer(
        f"layer {len(signal.layers)} ({node.operator})",
        CELLS[node.operator],
        _directions(node, n_directions, reset_after=reset_after),
        activation,
        reset_after=reset_after if node.operator == "GRU" else True,
        is_reversed=way == "reverse",
    )
    layers, modes = (*signal.layers, layer), (*signal.modes, None)
    lengths = node[4]
    is_ragged = signal.is_ragged or (isinstance(lengths, Sizes) and lengths.is_given)
    whole = replace(
        signal, layers=layers, modes=modes, part=None, kind="steps", is_ragged=is_ragged
    )
    steps = ("sample", "time", "direction") if layout else ("time", "direction", "sample")
    last = ("sample", "direction") if layout else ("direction", "sample")
    outputs: list[Value] = [replace(whole, axes=(*steps, "feature"))]
    outputs += [replace(whole, axes=(*last, "feature"), kind=kind) for kind in ("last", "cell")]
    return outputs[: node.n_outputs]


def _check_attributes(options: dict[str, Any]) -> None:
    unknown = sorted(options.keys() - set(ATTRIBUTES))
    if unknown:
        raise RefusedError(f"the attribute {unknown[0]}", f"one of {', '.join(ATTRIBUTES)}")
    if options.get("clip"):
        raise RefusedError(f"clip={options['clip']:g}", "none: cells here do not clip their sums")
    if options.get("input_forget"):
        raise RefusedError("input_forget=1", "0: the forget gate here has weights of its own")


def _activation(operator: str, options: dict[str, Any], n_directions: int) -> str:
    """Return the activation of the simple cell; refuse functions that cells here do not have."""
    default = DEFAULT_ACTIVATIONS[operator]
    given = [str(name).lower() for name in options.get("activations") or default * n_directions]
    alpha, beta = (options.get(f"activation_{letter}") or [] for letter in ("alpha", "beta"))
    is_affine = set(given) == {"affine"} and set(alpha) == {1.0} and set(beta) == {0.0}
    names = {"tanh": "tanh", "relu": "relu", **({"affine": "identity"} if is_affine else {})}
    if operator == "RNN" and given == given[:1] * n_directions and given[0] in names:
        return names[given[0]]
    if operator != "RNN" and given == [name.lower() for name in default] * n_directions:
        return "tanh"
    wanted = ", ".join(default)
    if operator == "RNN":
        wanted = "Tanh, Relu, or Affine with alpha 1 and beta 0"
    got = f"activations={abbreviated(options.get('activations'))}"
    raise RefusedError(got, f"{wanted}, the same for both directions")


def _check_states(node: Node) -> None:
    peepholes = node[7]
    is_zero = isinstance(peepholes, Constant) and not np.any(peepholes.array)
    if peepholes is not None and not is_zero:
        raise RefusedError("P", "none: the LSTM here has no peephole weights")
    if isinstance(node[4], Constant):
        raise RefusedError("sequence_lens in the file", "an input, or none: each call has its own")
    for i, name in ((5, "initial_h"), (6, "initial_c")):
        value = node[i]
        is_state = value is None or isinstance(value, Zeros)
        if isinstance(value, Signal):  # an input of the model, zero unless somebody gives it
            is_state = not value.layers
        if isinstance(value, Constant):
            is_state = not np.any(value.array)
        if not is_state:
            expected = "zeros or an input: predict takes states as initial_state"
            raise RefusedError(f"{name} other than zero", expected)


def _bound(signal: Signal, layout: int) -> Signal:
    """Return what the operator reads, now that it has told which axis is which."""
    wanted = ("sample", "time", "feature") if layout else ("time", "sample", "feature")
    if signal.head is not None:
        raise RefusedError("a dense layer before it", "recurrent layers, and a dense one behind")
    if not signal.layers and not signal.is_tokens:
        last = "2" if signal.embedding is None else "feature"
        if len(signal.axes) == 3 and (last == "2" or signal.axes[2] == last):
            return replace(signal, axes=wanted)
    if signal.axes != wanted or not signal.is_whole or signal.kind != "steps":
        raise RefusedError(f"X with the axes {signal.axes}", f"{wanted}")
    return signal


def _directions(node: Node, n_directions: int, *, reset_after: bool) -> list[Direction]:
    """Weights of each direction."""
    W, R = (_array(node, i, name, 3) for i, name in ((1, "W"), (2, "R")))
    B = None if node[3] is None else _array(node, 3, "B", 2)
    operator, n_units = node.operator, R.shape[2]
    n_rows = len(GATES[operator]) * n_units
    wanted: dict[str, tuple[int, ...]] = {
        "W": (n_directions, n_rows, W.shape[2]),
        "R": (n_directions, n_rows, n_units),
        "B": (n_directions, 2 * n_rows),
    }
    for name, array in {"W": W, "R": R, "B": B}.items():
        if array is not None and array.shape != wanted[name]:
            raise RefusedError(f"{name} of shape {array.shape}", f"{wanted[name]}")
    if node.attributes.get("hidden_size", n_units) != n_units:
        got = f"hidden_size={node.attributes['hidden_size']}"
        raise RefusedError(got, f"{n_units}, as R has")
    directions = []
    for d in range(n_directions):
        biases = (None, None) if B is None else np.split(B[d], 2)
        b_input, b_state = (None if b is None else from_operator(operator, b) for b in biases)
        W_xh, W_hh = from_operator(operator, W[d]), from_operator(operator, R[d])
        cell = CELLS[operator]
        directions.append(direction(cell, W_xh, W_hh, b_input, b_state, reset_after=reset_after))
    return directions


def _array(node: Node, i: int, name: str, rank: int) -> Array:
    value = node[i]
    if not isinstance(value, Constant) or value.array.ndim != rank:
        raise RefusedError(f"{name} that is computed", f"{rank} dimensions in the file")
    return value.array
