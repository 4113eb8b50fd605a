"""Recurrent layers in operators of ONNX: stacked, of two directions, with what stands between them.

Within a stack time comes first, as the operators want it: values have the shape
(n_timesteps, n_samples, n_features).

The minimal cells have no weights between states, so everything but the recurrence itself is
computed for all steps at once. That recurrence,

    h_t = (1 - sigmoid(u_t)) n_t + sigmoid(u_t) h_{t-1}

is a GRU that reads [u_t, n_t], picks them by ones in its W, has R = 0 and the identity where tanh
would be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman._arrays import Array
from elman._exceptions import problem
from elman._onnx._cells import ACTIVATIONS, OPERATORS, to_operator
from elman._onnx._graph import GraphBuilder

EPSILON = 1e-5
"""Of the layer normalisation, as in the core."""

N_GATES = {"min_gru": 2, "min_lstm": 3}

EXPRESSED = frozenset(
    (
        *("dtype", "cell", "activation", "reset_after", "hidden_layer_sizes", "bidirectional"),
        *("n_channels", "n_outputs", "head", "n_tokens", "merge_mode", "residual", "layer_norm"),
        "missing",
    )
)
"""Parts of an architecture that are written here, or refused where they are more than "none"."""


@dataclass(frozen=True)
class Ends:
    """Where sequences end.

    Parameters
    ----------
    n_samples : str
        Their number, a vector of one int64.
    lengths : str or None
        Their lengths, (n_samples,) of int64; None where all are as long as the array.
    """

    n_samples: str
    lengths: str | None


def check_expressible(architecture: Mapping[str, Any], caller: str) -> None:
    """Raise ValueError for what the operators of ONNX cannot compute."""
    others = {name: value for name, value in architecture.items() if name not in EXPRESSED}
    for name, value in others.items():
        if value:  # a graph without it would be another network
            expected = "none: graphs have an embedding, recurrent layers and a dense head"
            raise ValueError(problem(caller, "model", f"{name}={value!r}", expected))
    cell = architecture["cell"]
    if architecture["layer_norm"] and cell in OPERATORS:
        got = f"layer_norm=True with cell={cell!r}"
        expected = (
            "cell='min_gru' or 'min_lstm' with it, or none: the operators RNN, GRU and LSTM do "
            "not normalise the sums of their gates"
        )
        raise ValueError(problem(caller, "model", got, expected))
    if architecture["missing"] != "none":
        got = f"missing={architecture['missing']!r}"
        expected = (
            "missing=None: the operators RNN, GRU and LSTM neither skip a step nor let states fade"
        )
        raise ValueError(problem(caller, "model", got, expected))


class Stack:
    """The layers of one network.

    Parameters
    ----------
    graph : GraphBuilder
        Where the nodes go.
    architecture : dict
        Arguments of `_core.Network`.
    weights : dict of ndarray
        Its parameters, by name.
    prefix : str
        What the names of its initializers begin with.
    """

    def __init__(
        self,
        graph: GraphBuilder,
        architecture: Mapping[str, Any],
        weights: Mapping[str, Array],
        prefix: str = "",
    ) -> None:
        self._graph = graph
        self._architecture = architecture
        self._weights = weights
        self._prefix = prefix

    def read(
        self, x: str, ends: Ends, initial: Mapping[str, str] | None, *, per_step: bool
    ) -> tuple[str, dict[str, str]]:
        """Return outputs of the last layer, and the final states by name.

        Parameters
        ----------
        x : str
            Inputs (n_timesteps, n_samples, n_channels).
        ends : Ends
            Where the sequences end.
        initial : dict of str, or None
            States (n_samples, n_units) before the first step.
        per_step : bool
            Whether outputs are (n_timesteps, n_samples, n_features) or (n_samples, n_features).
        """
        states: dict[str, str] = {}
        n_layers = len(self._architecture["hidden_layer_sizes"])
        for k in range(n_layers):
            names = self._directions(k)
            Y, finals = self._layer(k, names, x, ends, initial)
            states |= finals
            if k + 1 == n_layers and not per_step:
                y = self._merged([finals[f"{name}h"] for name in names])
                picked = self._picked(x, len(names), ends) if self._adds_input(k) else None
                return (y if picked is None else self._graph.node("Add", y, picked)), states
            y = self._merged([self._graph.pick(Y, d, axis=1) for d in range(len(names))])
            x = self._graph.node("Add", y, x) if self._adds_input(k) else y
        return x, states

    def _directions(self, k: int) -> list[str]:
        """Return what the names of each direction's weights begin with."""
        both = self._architecture["bidirectional"][k]
        return [f"layers.{k}."] + ([f"layers.{k}.reverse."] if both else [])

    def _adds_input(self, k: int) -> bool:
        return bool(self._architecture["residual"]) and k > 0

    def _merged(self, parts: list[str]) -> str:
        graph, mode = self._graph, self._architecture["merge_mode"]
        if len(parts) == 1:
            return parts[0]
        if mode == "concat":
            return graph.node("Concat", *parts, axis=-1)
        return graph.node({"sum": "Add", "mean": "Mean", "mul": "Mul"}[mode], *parts)

    def _picked(self, x: str, n_directions: int, ends: Ends) -> str:
        """Of a layer's inputs what its states at the end stand beside.

        That is the last step, and the first one for the second direction, if that has columns of
        its own.
        """
        graph = self._graph
        if ends.lengths is None:
            last = graph.pick(x, -1, axis=0)
        else:
            by_sample = graph.node("Transpose", x, perm=[1, 0, 2])
            step = graph.unsqueeze(graph.node("Sub", ends.lengths, graph.integers(1)), 1)
            last = graph.node("GatherND", by_sample, step, batch_dims=1)
        if n_directions == 1 or self._architecture["merge_mode"] != "concat":
            return last
        n_units = self._architecture["hidden_layer_sizes"][-1]
        first = graph.pick(x, 0, axis=0)
        parts = [graph.columns(last, 0, n_units), graph.columns(first, n_units, 2 * n_units)]
        return graph.node("Concat", *parts, axis=-1)

    def _layer(
        self,
        k: int,
        names: list[str],
        x: str,
        ends: Ends,
        initial: Mapping[str, str] | None,
    ) -> tuple[str, dict[str, str]]:
        """Y (n_timesteps, n_directions, n_samples, n_units) of a layer, and its final states."""
        graph, cell = self._graph, self._architecture["cell"]
        if cell in N_GATES:
            operator, x, arrays, attributes = self._minimal(k, names, x)
        else:
            operator, arrays, attributes = self._native(names)
        weights = [
            graph.constant(f"{self._prefix}layers.{k}.{letter}", array)
            for letter, array in zip("WRB", arrays, strict=True)
        ]
        kinds = ["h", "c"] if operator == "LSTM" else ["h"]
        given = []
        if initial is not None:
            given = [self._joined([initial[name + kind] for name in names]) for kind in kinds]
        lengths = "" if ends.lengths is None else graph.cast(ends.lengths, np.int32)
        inputs = [x, *weights, lengths, *given]
        while not inputs[-1]:
            inputs.pop()
        outputs = graph.nodes_of(
            operator,
            inputs,
            1 + len(kinds),
            hidden_size=self._architecture["hidden_layer_sizes"][k],
            direction="bidirectional" if len(names) == 2 else "forward",
            **attributes,
        )
        finals = {
            name + kind: graph.pick(rows, d, axis=0)
            for d, name in enumerate(names)
            for kind, rows in zip(kinds, outputs[1:], strict=True)
        }
        return outputs[0], finals

    def _joined(self, states: list[str]) -> str:
        """States of each direction along an axis of their own."""
        graph = self._graph
        parts = [graph.unsqueeze(state, 0) for state in states]
        return parts[0] if len(parts) == 1 else graph.node("Concat", *parts, axis=0)

    def _native(self, names: list[str]) -> tuple[str, list[Array], dict[str, Any]]:
        """Operator, W, R and B of the cells that ONNX has, and their attributes."""
        architecture = self._architecture
        operator = OPERATORS[architecture["cell"]]
        arrays = [
            np.stack(parts)
            for parts in zip(
                *(to_operator(operator, self._of_direction(name)) for name in names), strict=True
            )
        ]
        attributes: dict[str, Any] = {}
        if operator == "GRU":
            attributes["linear_before_reset"] = int(architecture["reset_after"])
        if operator == "RNN" and architecture["activation"] != "tanh":
            attributes = _activations([ACTIVATIONS[architecture["activation"]]], len(names))
        return operator, arrays, attributes

    def _minimal(
        self, k: int, names: list[str], x: str
    ) -> tuple[str, str, list[Array], dict[str, Any]]:
        """Operator, its input, W, R and B of the minimal cells, and their attributes."""
        n_units = self._architecture["hidden_layer_sizes"][k]
        parts = [part for name in names for part in self._of_input(name, x, n_units)]
        W = np.zeros((len(names), 3 * n_units, len(parts) * n_units))
        for d in range(len(names)):
            columns = 2 * d * n_units
            W[d, :n_units, columns : columns + n_units] = np.eye(n_units)
            W[d, 2 * n_units :, columns + n_units : columns + 2 * n_units] = np.eye(n_units)
        R = np.zeros((len(names), 3 * n_units, n_units))
        B = np.zeros((len(names), 6 * n_units))
        attributes = _activations(["Sigmoid", "Affine"], len(names))
        return "GRU", self._graph.node("Concat", *parts, axis=-1), [W, R, B], attributes

    def _of_input(self, name: str, x: str, n_units: int) -> tuple[str, str]:
        """U and n of every step of one direction of a minimal cell."""
        graph, cell = self._graph, self._architecture["cell"]
        weights = self._of_direction(name)
        n_gates, prefix = N_GATES[cell], self._prefix + name
        sums = graph.node("MatMul", x, graph.constant(prefix + "W_xh", weights["W_xh"]))
        sums = graph.node("Reshape", sums, graph.integers(0, 0, n_gates, n_units))
        if "g_h" in weights:
            if n_units == 1:
                # Normalised it is 0, but ONNX Runtime before 1.24 refuses to say so.
                sums = graph.node("Sub", sums, sums)
            else:
                ones = graph.constant(prefix + "ones", np.ones(n_units))
                sums = graph.node("LayerNormalization", sums, ones, axis=-1, epsilon=EPSILON)
            gain = graph.constant(prefix + "g_h", weights["g_h"].reshape(n_gates, n_units))
            sums = graph.node("Mul", sums, gain)
        bias = graph.constant(prefix + "b_h", weights["b_h"].reshape(n_gates, n_units))
        sums = graph.node("Add", sums, bias)
        gates = [graph.pick(sums, gate, axis=2) for gate in range(n_gates)]
        if cell == "min_gru":
            return graph.node("Neg", gates[0]), gates[1]
        open_i, open_f = (graph.node("Softplus", graph.node("Neg", gate)) for gate in gates[:2])
        return graph.node("Sub", open_i, open_f), gates[2]

    def _of_direction(self, name: str) -> dict[str, Array]:
        """Weights of one direction, without its prefix."""
        kinds = ("W_xh", "W_hh", "b_h", "b_hn", "g_h")
        return {kind: self._weights[name + kind] for kind in kinds if name + kind in self._weights}


def _activations(functions: list[str], n_directions: int) -> dict[str, Any]:
    """Attributes that name the functions of each direction; "Affine" is the identity here."""
    attributes: dict[str, Any] = {"activations": functions * n_directions}
    n_affine = functions.count("Affine") * n_directions
    if n_affine:
        attributes |= {"activation_alpha": [1.0] * n_affine, "activation_beta": [0.0] * n_affine}
    return attributes
