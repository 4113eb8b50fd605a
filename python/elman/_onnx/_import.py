"""`from_onnx`: a recurrent network in a graph of ONNX as a fitted estimator."""

from __future__ import annotations

import os
from typing import Any

from elman._base import BaseRNN
from elman._exceptions import problem
from elman._imported import Imported, Parts
from elman._onnx._graph import import_onnx
from elman._onnx._reader import Reader
from elman._onnx._roundtrip import read_back
from elman._onnx._values import Signal, StateStack, Unreadable

CALLER = "elman.from_onnx"


def from_onnx(model: Any, *, classes: Any = None) -> BaseRNN:
    """Make a fitted estimator of a recurrent network in a graph of ONNX.

    Read are the operators RNN, GRU and LSTM, stacked and in both directions, with what exporters
    put around them: a Gather of tokens before, a dense layer (MatMul, Gemm) behind, at each step or
    after the last one, Softmax, LogSoftmax, Sigmoid or Exp of that, ArgMax with labels, and axes
    that are moved, squeezed and joined. A network that `to_onnx` wrote comes back to the bit.

    The estimator takes sequences of shape (n_samples, n_timesteps, n_channels), whatever the order
    of the axes in the graph. It predicts the same numbers, and `partial_fit` or `fit` with
    ``warm_start=True`` train it further; it counts no epochs yet, so that `loss_` is None.

    A layer that reads backwards alone becomes one of two directions that are added up, the first
    of which is all zeros.

    Parameters
    ----------
    model : str, path, bytes or onnx.ModelProto
        The graph.
    classes : array-like of shape (n_classes,), default=None
        Labels of the outputs, in their order; they make a classifier of outputs that the graph does
        not put through Softmax or Sigmoid, too. None makes a classifier where it does, with the
        graph's own labels or the numbers from 0, and a regressor elsewhere.

    Returns
    -------
    estimator : RNNRegressor or RNNClassifier
        The fitted estimator.

    Raises
    ------
    ImportError
        If the package onnx is not installed.
    OSError
        If there is no such file.
    TypeError
        If the model is none of these.
    ValueError
        If the bytes are no graph, or the graph computes what no estimator does: the message names
        the node, what it got and what was expected.

    See Also
    --------
    to_onnx : The other way.

    References
    ----------
    ONNX operators, https://onnx.ai/onnx/operators/

    Examples
    --------
    >>> import numpy as np
    >>> import elman
    >>> X = np.random.RandomState(0).randn(50, 8, 2).astype(np.float32)
    >>> y = X[:, :, 0].sum(axis=1)
    >>> model = elman.RNNRegressor(max_iter=300, tol=0.1, random_state=0).fit(X, y)
    >>> again = elman.from_onnx(elman.to_onnx(model))
    >>> bool((again.predict(X) == model.predict(X)).all())
    True
    """
    onnx = import_onnx(CALLER)
    proto = _proto(model, onnx)
    if classes is None:
        estimator = read_back(proto, onnx, CALLER)
        if estimator is not None:
            return estimator
    return _imported(proto, onnx).estimator(CALLER, classes)


def _proto(model: Any, onnx: Any) -> Any:
    """Return a checked model without local functions."""
    if isinstance(model, onnx.ModelProto):
        proto = model
    elif not isinstance(model, (str, os.PathLike, bytes, bytearray)):
        expected = "a path, bytes or an onnx.ModelProto"
        raise TypeError(problem(CALLER, "model", f"a {type(model).__name__}", expected))
    else:
        try:
            if isinstance(model, (bytes, bytearray)):
                proto = onnx.load_model_from_string(bytes(model))
            else:
                proto = onnx.load(os.fspath(model))
        except OSError:
            raise
        except Exception as error:  # protobuf's own classes differ between its versions
            got = f"what protobuf cannot read ({error})"
            raise ValueError(problem(CALLER, "model", got, "a graph of ONNX")) from error
    try:
        onnx.checker.check_model(proto)
        from onnx.inliner import inline_local_functions

        return inline_local_functions(proto)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        got = f"a graph that is not valid ({error})"
        raise ValueError(problem(CALLER, "model", got, "a valid graph of ONNX")) from error


def _imported(proto: Any, onnx: Any) -> Imported:
    reader = Reader(onnx, proto)
    outputs = [reader.values.get(value.name) for value in proto.graph.output]
    for value in outputs:
        if isinstance(value, Unreadable):
            raise ValueError(problem(CALLER, value.where, value.got, value.expected))
    signals = [value for value in outputs if isinstance(value, Signal) and value.layers]
    for level in (_is_output, _is_step, _is_last):
        chosen = [signal for signal in signals if level(signal)]
        if chosen:
            return _of_outputs(chosen)
    is_state = signals or any(isinstance(value, StateStack) for value in outputs)
    got = "nothing but states of cells or of several layers" if is_state else "no recurrent layer"
    expected = "outputs of RNN, GRU or LSTM, or of a dense layer behind them"
    raise ValueError(problem(CALLER, "model", got, expected))


def _is_output(signal: Signal) -> bool:
    return signal.head is not None or signal.is_number or signal.out_activation != "identity"


def _is_step(signal: Signal) -> bool:
    return signal.kind == "steps"


def _is_last(signal: Signal) -> bool:
    return signal.kind == "last"


def _of_outputs(signals: list[Signal]) -> Imported:
    """Put a network together from its outputs: one, or labels beside probabilities."""
    labels = next((signal.labels for signal in signals if signal.labels is not None), None)
    values = [signal for signal in signals if signal.labels is None and not signal.is_number]
    signal = values[0] if values else signals[0]
    if len(values) > 1 or any(other.layers != signal.layers for other in signals):
        got, expected = f"{len(values)} outputs", "one, or labels and probabilities"
        raise ValueError(problem(CALLER, "model", got, expected))
    parts = Parts(embedding=signal.embedding, head=signal.head)
    for layer, mode in zip(signal.layers, signal.modes, strict=True):
        parts.layers.append(layer)
        if len(layer.directions) == 2:
            parts.merge(mode or "concat", layer.name, CALLER)
    if signal.part is not None:
        got = "one direction of a bidirectional layer as output"
        raise ValueError(problem(CALLER, "model", got, "both directions"))
    activation = signal.out_activation
    if activation == "identity" and (signal.is_number or labels is not None):
        activation = "softmax"
    more = {"parameters": {"loss": "poisson"}} if activation == "exp" else {}
    return parts.imported(
        CALLER,
        per_step="time" in signal.axes,
        out_activation=activation,
        has_output_axis=signal.has_output_axis if activation in ("identity", "exp") else None,
        classes=labels,
        **more,
    )
