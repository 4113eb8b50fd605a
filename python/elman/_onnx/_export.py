"""`to_onnx`: a fitted estimator as a graph of ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from elman._arrays import Array
from elman._base import BaseRNN
from elman._exceptions import problem
from elman._model import Model
from elman._onnx._graph import GraphBuilder, import_onnx
from elman._onnx._network import LONGEST, NetworkGraph
from elman._onnx._refused import reason_against
from elman._onnx._roundtrip import describe
from elman._onnx._seq2seq import Seq2SeqGraphs, seq2seq_graphs
from elman._onnx._stack import Ends
from elman._seq2seq import BaseSeq2Seq

CALLER = "elman.to_onnx"
OLDEST_OPSET = 17


def to_onnx(model: Any, *, states: bool = False, opset: int = OLDEST_OPSET) -> Any | Seq2SeqGraphs:
    """Write a fitted estimator as a graph of ONNX, with the operators RNN, GRU and LSTM.

    The graph computes what `predict` does, in float32. Its inputs are

    - ``X`` of shape (n_samples, n_timesteps, n_channels), float32; with ``input="tokens"`` int64
      of shape (n_samples, n_timesteps), or for sparse matrices of features float32 of shape
      (n_samples, n_timesteps, n_features); with ``input="vector"`` float32 of shape
      (n_samples, n_features);
    - ``lengths`` of shape (n_samples,), int64: steps after a sequence's length are not read. It may
      be left out, then all sequences are as long as X; with ``input="vector"`` there is
      ``n_timesteps`` instead, of shape (1,), which may be left out too;
    - with ``states=True`` the states before the first step, ``initial_state.layers.0.h`` and so on,
      each of shape (n_samples, n_units). Each may be left out: then it is zero.

    Its outputs are ``y``, with ``loss="gaussian_nll"`` also ``std``, in the shape of `predict`; of
    a classifier ``label`` and ``probabilities``. At steps after the end of a sequence ``y``,
    ``std`` and ``probabilities`` are NaN, and ``label`` means nothing. With ``states=True`` the
    states after the last step follow, ``final_state.layers.0.h`` and so on.

    Parameters
    ----------
    model : estimator
        A fitted `RNNRegressor`, `RNNClassifier`, `Seq2SeqRegressor` or `Seq2SeqTranslator`; or a
        `~sklearn.pipeline.Pipeline` or another estimator of scikit-learn that holds some of the
        first two, for which the package skl2onnx is needed.
    states : bool, default=False
        Whether initial states are inputs, and final states outputs.
    opset : int, default=17
        Version of the operators; 17 or later.

    Returns
    -------
    onnx_model : onnx.ModelProto or Seq2SeqGraphs
        The graph, which has passed ``onnx.checker.check_model(full_check=True)``. Of an
        encoder-decoder two of them, ``encoder`` and ``decoder``: `docs/onnx.md` tells how they work
        together.

    Raises
    ------
    ImportError
        If the package onnx, or for pipelines skl2onnx, is not installed.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    TypeError
        If the model is none of these, as a forecaster or an imputer.
    ValueError
        If the operators cannot compute what the estimator does: a cell of the first three with
        ``layer_norm=True``, and ``missing``; or if an estimator of scikit-learn holds one of elman
        that no graph is written of.

    References
    ----------
    ONNX operators, https://onnx.ai/onnx/operators/

    Examples
    --------
    >>> import numpy as np
    >>> import elman
    >>> X = np.random.RandomState(0).randn(50, 8, 2)
    >>> y = X[:, :, 0].sum(axis=1)
    >>> model = elman.RNNRegressor(max_iter=300, tol=0.1, random_state=0).fit(X, y)
    >>> proto = elman.to_onnx(model)
    >>> [value.name for value in proto.graph.input], [value.name for value in proto.graph.output]
    (['X', 'lengths'], ['y'])

    From here on it is ONNX Runtime's:

    >>> import onnxruntime  # doctest: +SKIP
    >>> session = onnxruntime.InferenceSession(proto.SerializeToString())  # doctest: +SKIP
    >>> session.run(None, {"X": X.astype(np.float32)})  # doctest: +SKIP
    """
    _check_options(states, opset)
    if isinstance(model, BaseRNN):
        return _network_graph(model, states, opset)
    if isinstance(model, BaseSeq2Seq):
        _check_no_states(states, model)
        return seq2seq_graphs(model, opset, CALLER)
    if isinstance(model, BaseEstimator) and not type(model).__module__.startswith("elman."):
        from elman._onnx._skl2onnx import convert

        _check_no_states(states, model)
        return convert(model, opset, CALLER)
    expected = (
        "a fitted RNNRegressor, RNNClassifier, Seq2SeqRegressor or Seq2SeqTranslator, or an "
        "estimator of scikit-learn that holds one of the first two"
    )
    reason = reason_against(model)
    got = f"a {type(model).__name__}" + (f", {reason}" if reason else "")
    raise TypeError(problem(CALLER, "model", got, expected))


def _check_options(states: Any, opset: Any) -> None:
    if not isinstance(states, (bool, np.bool_)):
        raise ValueError(problem(CALLER, "states", repr(states), "True or False"))
    newest = import_onnx(CALLER).defs.onnx_opset_version()
    is_integer = isinstance(opset, (int, np.integer)) and not isinstance(opset, bool)
    if not is_integer or not OLDEST_OPSET <= opset <= newest:
        expected = f"an integer from {OLDEST_OPSET} to {newest}, the newest that onnx here knows"
        raise ValueError(problem(CALLER, "opset", repr(opset), expected))


def _check_no_states(states: bool, model: Any) -> None:
    if states:
        expected = f"False with a {type(model).__name__}"
        raise ValueError(problem(CALLER, "states", "True", expected))


def _network_graph(estimator: BaseRNN, states: bool, opset: int) -> Any:
    model = estimator._fitted_model("to_onnx")
    graph = GraphBuilder(CALLER)
    network = NetworkGraph(graph, model)
    X = _input(graph, model)
    n_samples = graph.size(X, 0)
    if model.inputs.layout == "vector":
        default = np.array([model.n_timesteps])
        n_timesteps = graph.input("n_timesteps", np.int64, [1], default)
        ends = Ends(n_samples, None)
    else:
        n_timesteps = graph.size(X, 1)
        lengths = graph.input("lengths", np.int64, [None], np.array([LONGEST]))
        lengths = graph.node("Expand", graph.node("Min", lengths, n_timesteps), n_samples)
        ends = Ends(n_samples, lengths)
    initial = _initial_states(graph, model, n_samples) if states else None
    rows, finals = network.read(X, ends, n_timesteps, initial)
    keeps_axis = model.targets.has_output_axis
    axes: list[Any] = ["n_samples", "n_timesteps"] if model.targets.per_step else ["n_samples"]
    for result in network.results(rows, ends, n_timesteps, keeps_axis=keeps_axis):
        shape = axes if result.width is None else [*axes, result.width]
        graph.output(result.value, result.name, result.dtype, shape)
    if states:
        for name, width, _ in model.network().states:
            graph.output(finals[name], f"final_state.{name}", np.float32, ["n_samples", width])
    return graph.model(type(estimator).__name__, opset, describe(model, states=states))


def _input(graph: GraphBuilder, model: Model) -> str:
    n_channels = model.inputs.n_channels
    if model.inputs.layout == "vector":
        return graph.input("X", np.float32, ["n_samples", n_channels])
    if model.inputs.layout == "tokens":
        return graph.input("X", np.int64, ["n_samples", "n_timesteps"])
    return graph.input("X", np.float32, ["n_samples", "n_timesteps", n_channels])


def _initial_states(graph: GraphBuilder, model: Model, n_samples: str) -> dict[str, str]:
    states = {}
    for name, width, _ in model.network().states:
        zero: Array = np.zeros((1, width))
        given = graph.input(f"initial_state.{name}", np.float32, [None, width], zero)
        shape = graph.node("Concat", n_samples, graph.integers(width), axis=0)
        states[name] = graph.node("Expand", given, shape)
    return states
