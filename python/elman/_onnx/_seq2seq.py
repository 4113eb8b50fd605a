"""An encoder-decoder in ONNX: one graph reads a source, one makes a single step of the output."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from elman._arrays import Array
from elman._model import Model
from elman._onnx._graph import GraphBuilder
from elman._onnx._network import LONGEST
from elman._onnx._stack import Ends, Stack, check_expressible
from elman._seq2seq import BaseSeq2Seq

FIRST = -1
"""What stands before the first token of an output."""


class Seq2SeqGraphs(NamedTuple):
    """What `to_onnx` makes of an encoder-decoder.

    Attributes
    ----------
    encoder : onnx.ModelProto
        From sources to what the decoder starts from and, with attention, reads at each step.
    decoder : onnx.ModelProto
        One step: from what came before, and the states, to what comes next, and the states.
    """

    encoder: Any
    decoder: Any


def seq2seq_graphs(estimator: BaseSeq2Seq, opset: int, caller: str) -> Seq2SeqGraphs:
    """Write a fitted encoder-decoder as two graphs."""
    model = estimator._fitted_model("to_onnx")
    for side in ("encoder", "decoder"):
        if model.architecture[side] is not None:
            check_expressible(model.architecture[side], caller)
    name, metadata = type(estimator).__name__, _vocabularies(model.task)
    encoder, decoder = GraphBuilder(caller), GraphBuilder(caller)
    _Encoder(encoder, model).write()
    _Decoder(decoder, model).write()
    return Seq2SeqGraphs(
        encoder.model(f"{name} encoder", opset, metadata),
        decoder.model(f"{name} decoder", opset, metadata),
    )


def _vocabularies(task: Any) -> dict[str, str]:
    """Tokens by their numbers, as JSON."""
    named = {"source": getattr(task, "source", None), "target": getattr(task, "target", None)}
    return {
        f"{side}_tokens": json.dumps(vocabulary.tokens.tolist())
        for side, vocabulary in named.items()
        if vocabulary is not None
    }


def _part(weights: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """Weights whose names begin with a prefix, without it."""
    return {
        name[len(prefix) :]: array for name, array in weights.items() if name.startswith(prefix)
    }


class _Side:
    """What both graphs know of the model."""

    def __init__(self, graph: GraphBuilder, model: Model) -> None:
        self._graph, self._model = graph, model
        self._architecture = model.architecture
        self._weights = model.weights()
        self._attention: str = model.architecture["attention"]

    def _weight(self, name: str) -> str:
        return self._graph.constant(name, self._weights[name])

    @property
    def _states(self) -> dict[str, int]:
        """Widths of the decoder's states, by name."""
        sizes = self._architecture["decoder"]["hidden_layer_sizes"]
        kinds = ["h", "c"] if self._architecture["decoder"]["cell"] == "lstm" else ["h"]
        return {f"layers.{k}.{kind}": size for k, size in enumerate(sizes) for kind in kinds}

    @property
    def _memory_width(self) -> int:
        encoder = self._architecture["encoder"]
        both = encoder["bidirectional"][-1] and encoder["merge_mode"] == "concat"
        return int(encoder["hidden_layer_sizes"][-1]) * (2 if both else 1)

    @property
    def _query_width(self) -> int:
        return int(self._architecture["decoder"]["hidden_layer_sizes"][-1])

    @property
    def _has_keys(self) -> bool:
        return self._attention in ("general", "additive")


class _Encoder(_Side):
    """The graph of the encoder."""

    def write(self) -> None:
        """Write the nodes."""
        graph, memory = self._graph, None
        if self._architecture["encoder"] is None:
            states = {
                "x": graph.input("X", np.float32, ["n_samples", self._model.inputs.n_channels])
            }
        else:
            memory, states = self._read()
        for name, width in self._states.items():
            value = self._bridged(name, states)
            graph.output(value, f"state.{name}", np.float32, ["n_samples", width])
        if memory is not None:
            self._put_out(memory)

    def _read(self) -> tuple[str | None, dict[str, str]]:
        """Return outputs at each step, one sample after another, and final states."""
        graph, architecture = self._graph, self._architecture["encoder"]
        weights = _part(self._weights, "encoder.")
        shape: list[Any] = ["n_samples", "n_timesteps"]
        if architecture["n_tokens"]:
            X = graph.input("X", np.int64, shape)
            x = graph.node("Transpose", X, perm=[1, 0])
            x = graph.node("Gather", self._weight("encoder.embedding"), x, axis=0)
        else:
            X = graph.input("X", np.float32, [*shape, architecture["n_channels"]])
            x = graph.node("Transpose", X, perm=[1, 0, 2])
        lengths = graph.input("lengths", np.int64, [None], np.array([LONGEST]))
        n_samples = graph.size(X, 0)
        lengths = graph.node("Min", lengths, graph.size(X, 1))
        ends = Ends(n_samples, graph.node("Expand", lengths, n_samples))
        stack = Stack(graph, architecture, weights, "encoder.")
        has_memory = self._attention != "none"
        outputs, states = stack.read(x, ends, None, per_step=has_memory)
        if not has_memory:
            return None, states
        return graph.node("Transpose", outputs, perm=[1, 0, 2]), states

    def _bridged(self, name: str, states: Mapping[str, str]) -> str:
        """Where a state of the decoder starts: a state of the encoder, or a map of some."""
        graph, encoder = self._graph, self._architecture["encoder"]
        sources = list(states.values())
        if encoder is not None:
            _, layer, kind = name.split(".")
            k = min(int(layer), len(encoder["hidden_layer_sizes"]) - 1)
            names = [f"layers.{k}.{kind}", f"layers.{k}.reverse.{kind}"]
            sources = [states[source] for source in names if source in states]
        joined = sources[0] if len(sources) == 1 else graph.node("Concat", *sources, axis=-1)
        if f"bridge.{name}.W" not in self._weights:
            return joined
        W, b = (self._weight(f"bridge.{name}.{letter}") for letter in "Wb")
        return graph.dense(joined, W, b)

    def _put_out(self, memory: str) -> None:
        graph = self._graph
        shape: list[Any] = ["n_samples", "n_timesteps"]
        graph.output(memory, "memory", np.float32, [*shape, self._memory_width])
        if self._has_keys:
            keys = graph.node("MatMul", memory, self._weight("attention.W_m"))
            if self._attention == "additive":
                keys = graph.node("Add", keys, self._weight("attention.b_m"))
            graph.output(keys, "keys", np.float32, [*shape, self._query_width])


class _Decoder(_Side):
    """The graph of one step of the decoder."""

    def write(self) -> None:
        """Write the nodes."""
        graph, states = self._graph, {}
        for name, width in self._states.items():
            states[name] = graph.input(f"state.{name}", np.float32, ["n_samples", width])
        n_samples = graph.size(next(iter(states.values())), 0)
        architecture = self._architecture["decoder"]
        weights = _part(self._weights, "decoder.")
        stack = Stack(graph, architecture, weights, "decoder.")
        step = graph.unsqueeze(self._step(n_samples), 0)
        outputs, states = stack.read(step, Ends(n_samples, None), states, per_step=True)
        query, shares = graph.squeeze(outputs, 0), None
        if self._attention != "none":
            query, shares = self._attend(query, n_samples)
        rows = graph.dense(query, self._weight("head.W"), self._weight("head.b"))
        self._put_out(rows)
        for name, width in self._states.items():
            graph.output(states[name], f"next_state.{name}", np.float32, ["n_samples", width])
        if shares is not None:
            graph.output(shares, "attention", np.float32, ["n_samples", "n_timesteps"])

    def _step(self, n_samples: str) -> str:
        """Return what the first layer reads, (n_samples, n_channels)."""
        graph, task = self._graph, self._model.task
        if task.n_tokens:
            first = np.array([FIRST])
            previous = graph.input("previous", np.int64, [None], first)
            row = graph.node("Add", previous, graph.integers(1))
            # The row of the stop token, which nothing follows, does not exist.
            row = graph.node("Min", row, graph.integers(task.n_tokens - 1))
            row = graph.node("Expand", row, n_samples)
            return graph.node("Gather", self._weight("decoder.embedding"), row, axis=0)
        first = task.mean[None]
        previous = graph.input("previous", np.float32, [None, task.n_values], first)
        shape = graph.node("Concat", n_samples, graph.integers(task.n_values), axis=0)
        previous = graph.node("Expand", previous, shape)
        centred = graph.node("Sub", previous, graph.constant("mean", task.mean))
        return graph.node("Div", centred, graph.constant("scale", task.scale))

    def _attend(self, query: str, n_samples: str) -> tuple[str, str]:
        """Return what the head reads, and the shares of the source's steps."""
        graph, kind = self._graph, self._attention
        shape: list[Any] = ["n_samples", "n_timesteps"]
        memory = graph.input("memory", np.float32, [*shape, self._memory_width])
        keys = memory
        if self._has_keys:
            keys = graph.input("keys", np.float32, [*shape, self._query_width])
        if kind == "additive":
            projected = graph.node("MatMul", query, self._weight("attention.W_q"))
            hidden = graph.node("Add", graph.unsqueeze(projected, 1), keys)
            v = graph.constant("attention.v", self._weights["attention.v"][:, None])
            scores = graph.squeeze(graph.node("MatMul", graph.node("Tanh", hidden), v), 2)
        else:
            scores = graph.squeeze(graph.node("MatMul", keys, graph.unsqueeze(query, 2)), 2)
        shares = graph.node("Softmax", self._within_source(scores, memory), axis=-1)
        context = graph.node("MatMul", graph.unsqueeze(shares, 1), memory)
        joined = graph.node("Concat", graph.squeeze(context, 1), query, axis=-1)
        W, b = self._weight("attention.W_c"), self._weight("attention.b_c")
        return graph.node("Tanh", graph.dense(joined, W, b)), shares

    def _within_source(self, scores: str, memory: str) -> str:
        """Scores of which those after the end of the source count for nothing."""
        graph = self._graph
        lengths = graph.input("lengths", np.int64, [None], np.array([LONGEST]))
        is_step = graph.squeeze(graph.is_step(lengths, graph.size(memory, 1)), 2)
        nothing = graph.constant("nothing", np.array(-np.inf))
        return graph.node("Where", is_step, scores, nothing)

    def _put_out(self, rows: str) -> None:
        graph, task = self._graph, self._model.task
        n_outputs = task.n_outputs
        if task.n_tokens:
            token = graph.node("ArgMax", rows, axis=-1, keepdims=0)
            graph.output(token, "token", np.int64, ["n_samples"])
            log_p = graph.node("LogSoftmax", rows, axis=-1)
            graph.output(log_p, "log_probabilities", np.float32, ["n_samples", n_outputs])
            return
        n, values = task.n_values, rows
        if task.may_stop:
            last = graph.node(
                "Greater", graph.pick(rows, n, axis=1), graph.constant("zero", np.array(0.0))
            )
            graph.output(last, "is_last", np.bool_, ["n_samples"])
            values = graph.columns(rows, 0, n)
        values = graph.node("Mul", values, graph.constant("scale", task.scale))
        values = graph.node("Add", values, graph.constant("mean", task.mean))
        graph.output(values, "values", np.float32, ["n_samples", n])
