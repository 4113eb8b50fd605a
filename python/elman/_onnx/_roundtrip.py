"""A graph that `to_onnx` wrote, read back.

It carries a description of its estimator. The description is believed only if the estimator that
it leads to is written as the very same graph; so nobody who has changed one without the other is
misled, and what has been changed is read as any other graph.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from elman._arrays import Array
from elman._base import BaseRNN
from elman._imported import Imported, direction
from elman._model import Model
from elman._onnx._cells import OPERATORS, from_operator

KEY = "elman"
VERSION = 1

_ARCHITECTURE = (
    "cell",
    "activation",
    "reset_after",
    "hidden_layer_sizes",
    "bidirectional",
    "merge_mode",
    "residual",
    "layer_norm",
)
_OUT_ACTIVATIONS = {"multiclass": "softmax", "multilabel": "logistic", "binary": "logistic"}


def describe(model: Model, *, states: bool) -> dict[str, str]:
    """Metadata that tell what the operators do not."""
    task, layout = model.task, model.inputs.layout
    parameters = {name: model.architecture[name] for name in _ARCHITECTURE}
    parameters["head"] = "dense" if model.architecture["head"] else None
    if layout in ("tokens", "features"):
        parameters |= {
            "input": "tokens",
            "n_tokens": model.inputs.n_tokens,
            "embedding_dim": model.architecture["n_channels"],
        }
    elif layout == "vector":
        parameters["input"] = "vector"
    kind = getattr(task, "kind", None)
    if kind is None:
        parameters["loss"] = task.name
        if task.name in ("huber", "quantile"):
            name = "huber_delta" if task.name == "huber" else "quantile"
            parameters[name] = task.loss_parameter
    description = {
        "version": VERSION,
        "parameters": parameters,
        "per_step": model.targets.per_step,
        "out_activation": _OUT_ACTIVATIONS.get(kind or "", task.out_activation),
        "has_output_axis": model.targets.has_output_axis,
        "layout": "sequences" if layout == "table" else layout,
        "n_timesteps": model.n_timesteps,
        "states": states,
    }
    return {KEY: json.dumps(description)}


def read_back(proto: Any, onnx: Any, caller: str) -> BaseRNN | None:
    """Return the estimator that a graph was written from; None if it was not, or has changed."""
    from elman._onnx._export import to_onnx

    text = {entry.key: entry.value for entry in proto.metadata_props}.get(KEY)
    if text is None:
        return None
    try:
        description = json.loads(text)
        if description.pop("version") != VERSION:
            return None
        states = bool(description.pop("states"))
        arrays = {
            tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer
        }
        estimator = _imported(description, arrays).estimator(caller)
        opset = next(entry.version for entry in proto.opset_import if entry.domain == "")
        again: Any = to_onnx(estimator, states=states, opset=opset)
    except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError):
        return None
    return estimator if _bytes_of(again.graph) == _bytes_of(proto.graph) else None


def _bytes_of(graph: Any) -> bytes:
    return bytes(graph.SerializeToString(deterministic=True))


def _imported(description: dict[str, Any], arrays: dict[str, Array]) -> Imported:
    parameters = description.pop("parameters")
    names = [name for name in ("embedding", "head.W", "head.b") if name in arrays]
    weights: dict[str, Array] = {name: arrays[name] for name in names}
    for k, both in enumerate(parameters["bidirectional"]):
        for d, prefix in enumerate(["", "reverse."][: 2 if both else 1]):
            of_direction = _direction(parameters, arrays, k, d, f"layers.{k}.{prefix}")
            weights |= {f"layers.{k}.{prefix}{name}": a for name, a in of_direction.items()}
    return Imported(parameters, weights, classes=arrays.get("classes"), **description)


def _direction(
    parameters: dict[str, Any], arrays: dict[str, Array], k: int, d: int, prefix: str
) -> dict[str, Array]:
    cell = parameters["cell"]
    if cell not in OPERATORS:
        names = ("W_xh", "b_h", "g_h")
        own = {name: arrays[prefix + name] for name in names if prefix + name in arrays}
        return {name: a if name == "W_xh" else np.ravel(a) for name, a in own.items()}
    W, R, B = (arrays[f"layers.{k}.{letter}"][d] for letter in "WRB")
    b_input, b_state = (from_operator(OPERATORS[cell], half) for half in np.split(B, 2))
    W_xh, W_hh = (from_operator(OPERATORS[cell], array) for array in (W, R))
    reset_after = parameters["reset_after"]
    return direction(cell, W_xh, W_hh, b_input, b_state, reset_after=reset_after)
