"""One recurrent network in ONNX: what it reads, its layers and head, and what its outputs mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman._arrays import Array
from elman._exceptions import problem
from elman._model import Model
from elman._onnx._graph import GraphBuilder
from elman._onnx._stack import Ends, Stack, check_expressible

LONGEST = np.iinfo(np.int64).max
"""The default of `lengths`: as long as the array is."""


@dataclass(frozen=True)
class Result:
    """One output of an estimator.

    Parameters
    ----------
    name : str
        "y" and "std", or "label" and "probabilities".
    value : str
        Its name in the graph, one sample after another.
    dtype : dtype or type
        Of its entries.
    width : int or None
        Size of its last axis, if that does not count samples or steps.
    """

    name: str
    value: str
    dtype: Any
    width: int | None


class NetworkGraph:
    """Nodes of an estimator's network.

    Parameters
    ----------
    graph : GraphBuilder
        Where they go.
    model : Model
        The network, and what its outputs mean.
    """

    def __init__(self, graph: GraphBuilder, model: Model) -> None:
        check_expressible(model.architecture, graph.caller)
        self._graph, self._model = graph, model
        self._weights = model.weights()
        self._per_step: bool = model.targets.per_step

    def read(
        self, X: str, ends: Ends, n_timesteps: str, initial: Mapping[str, str] | None
    ) -> tuple[str, dict[str, str]]:
        """Return the head's outputs, one sample after another, and final states by name.

        Parameters
        ----------
        X : str
            Sequences (n_samples, n_timesteps, n_channels), tokens (n_samples, n_timesteps), or
            vectors (n_samples, n_features).
        ends : Ends
            Where the sequences end.
        n_timesteps : str
            The length of the axis of time, a vector of one int64.
        initial : dict of str, or None
            States before the first step.
        """
        graph = self._graph
        stack = Stack(graph, self._model.architecture, self._weights)
        x = self._steps(X, ends, n_timesteps)
        rows, states = stack.read(x, ends, initial, per_step=self._per_step)
        if self._model.architecture["head"]:
            names = ("head.W", "head.b")
            rows = graph.dense(rows, *(graph.constant(name, self._weights[name]) for name in names))
        if self._per_step:
            rows = graph.node("Transpose", rows, perm=[1, 0, 2])
        return rows, states

    def _steps(self, X: str, ends: Ends, n_timesteps: str) -> str:
        """Return what the first layer reads, (n_timesteps, n_samples, n_channels)."""
        graph, layout = self._graph, self._model.inputs.layout
        if layout == "vector":
            width = graph.integers(self._model.inputs.n_channels)
            shape = graph.node("Concat", n_timesteps, ends.n_samples, width, axis=0)
            return graph.node("Expand", X, shape)
        if layout == "tokens":
            by_time = graph.node("Transpose", X, perm=[1, 0])
            return graph.node("Gather", self._embedding(), by_time, axis=0)
        if layout == "features":
            X = graph.node("MatMul", X, self._embedding())
        return graph.node("Transpose", X, perm=[1, 0, 2])

    def _embedding(self) -> str:
        return self._graph.constant("embedding", self._weights["embedding"])

    def results(self, rows: str, ends: Ends, n_timesteps: str, *, keeps_axis: bool) -> list[Result]:
        """From the head's outputs to what the estimator's methods return.

        Parameters
        ----------
        rows : str
            Outputs, one sample after another.
        ends : Ends
            Where the sequences end; what is after that becomes NaN.
        n_timesteps : str
            The length of the axis of time, a vector of one int64.
        keeps_axis : bool
            Whether one output has an axis of its own.
        """
        graph, task, is_step = self._graph, self._model.task, None
        if self._per_step and ends.lengths is not None:
            is_step = graph.is_step(ends.lengths, n_timesteps)
        if hasattr(task, "classes"):
            return self._classes(rows, is_step, keeps_axis=keeps_axis)
        values = {"y": graph.node("Exp", rows) if task.out_activation == "exp" else rows}
        n = len(task.mean)
        if task.name == "gaussian_nll":
            deviations = graph.node("Exp", graph.columns(rows, n, 2 * n))
            values = {"y": graph.columns(rows, 0, n), "std": deviations}
        results = []
        for name, whole in values.items():
            value = self._only_steps(whole, is_step)
            if not keeps_axis:
                value = graph.squeeze(value, -1)
            results.append(Result(name, value, np.float32, n if keeps_axis else None))
        return results

    def _only_steps(self, rows: str, is_step: str | None) -> str:
        if is_step is None:
            return rows
        nan = self._graph.constant("nan", np.array(np.nan))
        return self._graph.node("Where", is_step, rows, nan)

    def _classes(self, rows: str, is_step: str | None, *, keeps_axis: bool) -> list[Result]:
        graph, kind, classes = self._graph, self._model.task.kind, self._model.task.classes
        n = len(classes)
        if kind == "multiclass":
            p = graph.node("Softmax", rows, axis=-1)
        else:
            p = graph.node("Sigmoid", rows)
        if kind == "multilabel":
            half = graph.constant("half", np.array(0.5))
            label = graph.cast(graph.node("Greater", p, half), np.int64)
            probabilities = Result("probabilities", self._only_steps(p, is_step), np.float32, n)
            return [Result("label", label, np.int64, n), probabilities]
        if kind == "binary":
            one = graph.constant("one", np.array(1.0))
            p = graph.node("Concat", graph.node("Sub", one, p), p, axis=-1)
        number = graph.node("ArgMax", p, axis=-1, keepdims=0)
        labels, dtype = self._labels(classes)
        label = graph.node("Gather", graph.labels("classes", labels), number, axis=0)
        if keeps_axis:
            label = graph.unsqueeze(label, -1)
        probabilities = Result("probabilities", self._only_steps(p, is_step), np.float32, n)
        return [Result("label", label, dtype, 1 if keeps_axis else None), probabilities]

    def _labels(self, classes: Array) -> tuple[Array, Any]:
        """Labels as ONNX can hold them, and their type."""
        if classes.dtype.kind in "iu":
            return classes.astype(np.int64), np.int64
        if classes.dtype.kind in "bf":
            return classes, classes.dtype
        if all(isinstance(label, str) for label in classes.tolist()):
            return classes.astype(object), str
        got = f"classes of dtype {classes.dtype}"
        raise ValueError(problem(self._graph.caller, "model", got, "integers, reals or strings"))
