"""`SequenceScaler` and `SlidingWindow` in operators of ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np

from elman._exceptions import problem
from elman._onnx._graph import GraphBuilder
from elman._scaler import SequenceScaler
from elman._window import SlidingWindow


def window_graph(graph: GraphBuilder, window: SlidingWindow, X: str, dtype: Any) -> str:
    """Return windows (n_times, window, n_channels) of a series (n_times, n_channels)."""
    n = window.window
    stop = graph.squeeze(graph.size(X, 0), 0)
    times = graph.node("Range", graph.integer(0), stop, graph.integer(1))
    times = graph.unsqueeze(times, 1)
    first = graph.node("Sub", times, graph.integers(n - 1))
    first = graph.node("Max", first, graph.integers(0))
    rows = graph.node("Add", first, graph.constant("steps", np.arange(n)))
    windows = graph.node("Gather", X, graph.node("Min", rows, times), axis=0)
    is_there = graph.node("LessOrEqual", rows, times)
    nan = graph.labels("nan", np.array(np.nan, dtype))
    return graph.node("Where", graph.unsqueeze(is_there, 2), graph.cast(windows, dtype), nan)


def scaler_graph(graph: GraphBuilder, scaler: SequenceScaler, X: str, dtype: Any) -> str:
    """Return scaled sequences, in the shape that they had.

    Statistics are computed in float64, as the scaler does it.
    """
    form = scaler._form
    x = graph.cast(X, dtype)
    if scaler.by == "channel":
        repeats = form.n_features // form.n_channels if form.layout == "table" else 1
        center, scale = (
            graph.labels(name, np.tile(array, repeats).astype(dtype))
            for name, array in (("center", scaler.center_), ("scale", scaler.scale_))
        )
        return graph.node("Div", graph.node("Sub", x, center), scale)
    if scaler.method == "robust":
        got = "method='robust' with by='sequence'"
        expected = "another method: quantiles of each sequence would have to be sorted for"
        raise ValueError(problem(graph.caller, "model", got, expected))
    if form.layout == "table":
        x = graph.node("Reshape", x, graph.integers(0, -1, form.n_channels))
    center, scale = (
        graph.cast(value, dtype) for value in _Statistics(graph, x).of_method(scaler.method)
    )
    scaled = graph.node("Div", graph.node("Sub", x, center), scale)
    if form.layout == "table":
        return graph.node("Reshape", scaled, graph.integers(0, form.n_features))
    return scaled


class _Statistics:
    """Statistics of the steps of each sequence and channel, (n_samples, 1, n_channels).

    Parameters
    ----------
    graph : GraphBuilder
        Where the nodes go.
    x : str
        Sequences (n_samples, n_timesteps, n_channels); NaN does not count.
    """

    def __init__(self, graph: GraphBuilder, x: str) -> None:
        self._graph = graph
        is_missing = graph.node("IsNaN", x)
        self._is_there = graph.node("Not", is_missing)
        self._x = graph.cast(x, np.float64)
        self._by_step = graph.cast(self._is_there, np.float64)
        self._count = graph.node("Max", self._sum(self._by_step), self._number("one", 1))

    def _number(self, name: str, value: float) -> str:
        return self._graph.labels(f"double_{name}", np.array(value, np.float64))

    def _sum(self, values: str) -> str:
        """Sum over the steps."""
        return self._graph.node("ReduceSum", values, self._graph.integers(1), keepdims=1)

    def _mean(self, values: str) -> str:
        there = self._graph.node("Where", self._is_there, values, self._number("zero", 0))
        return self._graph.node("Div", self._sum(there), self._count)

    def _extreme(self, largest: bool) -> str:
        """Return the largest or the least value: TopK, since ReduceMax differs between opsets."""
        filling = self._number("low" if largest else "high", -np.inf if largest else np.inf)
        there = self._graph.node("Where", self._is_there, self._x, filling)
        by_channel = self._graph.node("Transpose", there, perm=[0, 2, 1])
        one = self._graph.integers(1)
        top, _ = self._graph.nodes_of("TopK", [by_channel, one], 2, largest=int(largest))
        return self._graph.node("Transpose", top, perm=[0, 2, 1])

    def of_method(self, method: str) -> tuple[str, str]:
        """Center and scale, such that what is constant is moved only."""
        graph = self._graph
        if method == "standard":
            center = self._mean(self._x)
            centred = graph.node("Sub", self._x, center)
            scale = graph.node("Sqrt", self._mean(graph.node("Mul", centred, centred)))
        elif method == "mean_abs":
            scale = self._mean(graph.node("Abs", self._x))
            center = graph.node("Mul", scale, self._number("zero", 0))
        else:
            center = self._extreme(largest=False)
            scale = graph.node("Sub", self._extreme(largest=True), center)
        size = graph.node("Max", graph.node("Abs", center), self._number("tiny", 2.3e-308))
        least = graph.node("Mul", size, self._number("eps", np.finfo(np.float64).eps * 10))
        is_scaled = graph.node("Greater", scale, least)
        scale = graph.node("Where", is_scaled, scale, self._number("one", 1))
        is_empty = graph.node("Equal", self._sum(self._by_step), self._number("zero", 0))
        center = graph.node("Where", is_empty, self._number("zero", 0), center)
        return center, graph.node("Where", is_empty, self._number("one", 1), scale)
