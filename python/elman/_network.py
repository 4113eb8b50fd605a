"""The network that the parameters of an estimator describe, and its flat array by name."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from elman import _core
from elman._arrays import Array, as_array, check_finite
from elman._exceptions import abbreviated, problem

ARRAYS_OF_A_FIT = 6
"""Parameters, gradient, two moments, the best parameters and packed weights."""


def layer_sizes(hidden_layer_sizes: Any) -> tuple[int, ...]:
    """Sizes of the layers; a number is one layer."""
    return tuple(int(size) for size in np.atleast_1d(hidden_layer_sizes))


def architecture(
    parameters: Mapping[str, Any],
    dtype: np.dtype[Any],
    n_channels: int,
    n_outputs: int,
    n_tokens: int = 0,
) -> dict[str, Any]:
    """Arguments of `_core.Network`, from an estimator's parameters and its data."""
    sizes = layer_sizes(parameters["hidden_layer_sizes"])
    directions = parameters["bidirectional"]
    if isinstance(directions, (bool, np.bool_)):
        directions = [directions] * len(sizes)
    return {
        "dtype": dtype.name,
        "cell": parameters["cell"],
        "activation": parameters["activation"],
        "reset_after": bool(parameters["reset_after"]),
        "hidden_layer_sizes": list(sizes),
        "bidirectional": [bool(direction) for direction in directions],
        "n_channels": int(n_channels),
        "n_outputs": int(n_outputs),
        "head": parameters["head"] is not None,
        "n_tokens": n_tokens,
        "merge_mode": parameters["merge_mode"],
        "residual": bool(parameters["residual"]),
        "layer_norm": bool(parameters["layer_norm"]),
        "missing": parameters["missing"] or "none",
    }


def build(arguments: Mapping[str, Any], caller: str) -> _core.Network:
    """Make the network, or raise MemoryError if a machine like this cannot hold its training."""
    sizes = tuple(arguments["hidden_layer_sizes"])
    _check_layers(arguments, caller)
    network = _core.Network(**arguments)
    itemsize = np.dtype(arguments["dtype"]).itemsize
    _check_memory(ARRAYS_OF_A_FIT * itemsize * network.n_parameters, sizes, caller)
    if not arguments["head"] and network.n_outputs != arguments["n_outputs"]:
        got = f"{sizes}, a last layer of {network.n_outputs} outputs without a head"
        expected = f"{arguments['n_outputs']} outputs for this y"
        raise ValueError(problem(caller, "hidden_layer_sizes", got, expected))
    return network


def build_seq2seq(
    arguments: Mapping[str, Any], make: Callable[[Mapping[str, Any]], _core.Seq2Seq], caller: str
) -> _core.Seq2Seq:
    """Make an encoder-decoder, or raise ValueError or MemoryError as `build` does."""
    encoder, decoder = arguments["encoder"], arguments["decoder"]
    if encoder is not None:
        _check_layers(encoder, caller)
    is_as_encoder = (
        encoder is None or encoder["hidden_layer_sizes"] == decoder["hidden_layer_sizes"]
    )
    name = "hidden_layer_sizes" if is_as_encoder else "decoder_layer_sizes"
    _check_layers(decoder, caller, name)
    if arguments["attention"] == "dot":
        _check_widths(arguments, caller)
    network = make(arguments)
    itemsize = np.dtype(network.dtype).itemsize
    sizes = tuple(decoder["hidden_layer_sizes"])
    _check_memory(ARRAYS_OF_A_FIT * itemsize * network.n_parameters, sizes, caller, name)
    return network


def _check_layers(
    arguments: Mapping[str, Any], caller: str, name: str = "hidden_layer_sizes"
) -> None:
    sizes = tuple(arguments["hidden_layer_sizes"])
    itemsize = np.dtype(arguments["dtype"]).itemsize
    least = ARRAYS_OF_A_FIT * itemsize * max(size * size for size in sizes)
    _check_memory(least, sizes, caller, name)
    _check_residual(arguments, caller, name)


def _check_residual(arguments: Mapping[str, Any], caller: str, name: str) -> None:
    """Raise ValueError unless every layer hands on a vector of one width."""
    if not arguments["residual"]:
        return
    is_joined = arguments["merge_mode"] == "concat"
    widths = [
        size * (2 if both and is_joined else 1)
        for size, both in zip(
            arguments["hidden_layer_sizes"], arguments["bidirectional"], strict=True
        )
    ]
    if len(set(widths)) > 1:
        expected = "layers of one width with residual=True"
        raise ValueError(problem(caller, name, f"layers with outputs of {widths}", expected))


def _check_widths(arguments: Mapping[str, Any], caller: str) -> None:
    """Raise ValueError unless states of both sides can be multiplied with each other."""
    encoder, decoder = (_core.Network(**arguments[side]) for side in ("encoder", "decoder"))
    if encoder.n_outputs != decoder.n_outputs:
        got = f"'dot' for {encoder.n_outputs} encoder outputs and {decoder.n_outputs} decoder units"
        expected = "as many of both (merge_mode='sum' adds directions up), or 'general'"
        raise ValueError(problem(caller, "attention", got, expected))


def _check_memory(
    n_bytes: int, sizes: tuple[int, ...], caller: str, name: str = "hidden_layer_sizes"
) -> None:
    available = physical_memory()
    if n_bytes > available:
        got = f"{abbreviated(sizes)}, which takes {n_bytes} bytes to train"
        expected = f"at most the {available} bytes of this machine"
        raise MemoryError(problem(caller, name, got, expected))


def physical_memory() -> int:
    """Bytes of memory of this machine."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 2**63 - 1


def named_parameters(network: _core.Network, parameters: Array) -> dict[str, Array]:
    """Return views of the flat array, or of each row of flat arrays, by name."""
    rows = parameters.shape[:-1]
    return {
        name: parameters[..., offset : offset + math.prod(shape)].reshape(*rows, *shape)
        for name, shape, offset in network.parameters
    }


def flat_parameters(network: _core.Network, weights: Any, caller: str) -> Array:
    """Put arrays by name into a new flat array, after checking names, shapes and values."""
    shapes = {name: shape for name, shape, _ in network.parameters}
    if not isinstance(weights, Mapping):
        got = f"a {type(weights).__name__}"
        raise TypeError(problem(caller, "weights", got, "a dict of arrays"))
    if set(weights) != set(shapes):
        got = f"the names {sorted(map(str, weights))}"
        raise ValueError(problem(caller, "weights", got, f"{sorted(shapes)}"))
    flat: Array = np.empty(network.n_parameters, dtype=network.dtype)
    for name, view in named_parameters(network, flat).items():
        array = as_array(weights[name], caller, f"weights[{name!r}]")
        if array.shape != view.shape:
            got = f"shape {array.shape}"
            raise ValueError(problem(caller, f"weights[{name!r}]", got, f"shape {view.shape}"))
        with np.errstate(over="ignore"):
            view[...] = array
        check_finite(view, caller, f"weights[{name!r}]")
    return flat


def named_states(network: _core.Network, states: Array) -> dict[str, Array]:
    """Cut rows of states into arrays of shape (n_samples, n_units), by name."""
    return {
        name: states[:, offset : offset + width].copy() for name, width, offset in network.states
    }


def state_rows(
    network: _core.Network, states: Any, n_samples: int, caller: str, argument: str
) -> Array | None:
    """Join states by name into rows, after checking names, shapes and values."""
    if states is None:
        return None
    widths = {name: width for name, width, _ in network.states}
    if not isinstance(states, Mapping):
        got = f"a {type(states).__name__}"
        raise TypeError(problem(caller, argument, got, f"a dict of the arrays {sorted(widths)}"))
    if set(states) != set(widths):
        got = f"the names {sorted(map(str, states))}"
        raise ValueError(problem(caller, argument, got, f"{sorted(widths)}, as this model has"))
    rows: Array = np.empty((n_samples, network.state_size), dtype=network.dtype)
    for name, width, offset in network.states:
        label = f"{argument}[{name!r}]"
        array = as_array(states[name], caller, label)
        if array.shape != (n_samples, width):
            got = f"shape {array.shape}"
            raise ValueError(problem(caller, label, got, f"shape {(n_samples, width)}"))
        with np.errstate(over="ignore"):
            rows[:, offset : offset + width] = array
        check_finite(rows[:, offset : offset + width], caller, label, ("sample", "unit"))
    return rows


def summary(network: _core.Network) -> str:
    """Render a table of the parameters: name, shape and number, and their total."""
    rows = [
        (name, " × ".join(map(str, shape)), f"{math.prod(shape):,}")
        for name, shape, _ in network.parameters
    ]
    rows.append(("total", "", f"{network.n_parameters:,}"))
    heads = ("parameter", "shape", "number")
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(3)]
    lines = [
        f"{name:<{widths[0]}}  {shape:>{widths[1]}}  {number:>{widths[2]}}"
        for name, shape, number in [heads, *rows]
    ]
    return "\n".join(lines)
