"""Where gates and biases stand in the operators RNN, GRU and LSTM of ONNX, and where in ours.

Our matrices have a column for each unit of each gate, theirs a row; B holds the bias of the input
and behind it that of the state:

    RNN                   one block
    GRU     ours r z n,   theirs z r h
    LSTM    ours i f g o, theirs i o f c
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from elman._arrays import Array
from elman._imported import reordered

OPERATORS = {"simple": "RNN", "gru": "GRU", "lstm": "LSTM"}
CELLS = {operator: cell for cell, operator in OPERATORS.items()}
GATES = {"RNN": (0,), "GRU": (1, 0, 2), "LSTM": (0, 3, 1, 2)}
"""Which of our gates each of theirs is."""

ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu", "identity": "Affine"}
DEFAULT_ACTIVATIONS = {
    "RNN": ("Tanh",),
    "GRU": ("Sigmoid", "Tanh"),
    "LSTM": ("Sigmoid", "Tanh", "Tanh"),
}


def to_operator(operator: str, weights: Mapping[str, Array]) -> tuple[Array, Array, Array]:
    """W, R and B of one direction, from its weights as `weights_` holds them."""

    def rows(array: Array) -> Array:
        return reordered(array, GATES[operator]).T

    of_state = np.zeros_like(weights["b_h"])
    if "b_hn" in weights:
        of_state[-len(weights["b_hn"]) :] = weights["b_hn"]
    B = np.concatenate([rows(weights["b_h"]), rows(of_state)])
    return rows(weights["W_xh"]), rows(weights["W_hh"]), B


def from_operator(operator: str, array: Array) -> Array:
    """Bring an array of theirs, gates along its first axis, into our order along its last."""
    theirs = [GATES[operator].index(ours) for ours in range(len(GATES[operator]))]
    return reordered(array.T, theirs)
