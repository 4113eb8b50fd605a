"""Estimators of elman that no graph is written of, and why."""

from __future__ import annotations

from typing import Any

from elman._exceptions import problem

_REASONS = {
    "RNNForecaster": "whose windows, mixtures and quantiles around its networks ONNX has no place "
    "for (it has one for SlidingWindow before an RNNRegressor)",
    "BaseForecaster": "which has no network",
    "BaseSeq2Seq": "which becomes two graphs of its own",
    "RNNImputer": "whose mixture of fills around its networks ONNX has no place for",
    "TokenSequencer": "which reads texts outside of the graph",
    "CountRatioEncoder": "which looks tokens up outside of the graph",
}
"""By the name of a class or of one that it is made from, so that none has to be imported."""


def reason_against(model: Any) -> str | None:
    """Why a graph cannot hold an estimator of elman; None of any other object."""
    for base in type(model).__mro__:
        if base.__module__.startswith("elman.") and base.__name__ in _REASONS:
            return _REASONS[base.__name__]
    return None


def check_parts(model: Any, caller: str) -> None:
    """Raise ValueError if an estimator of scikit-learn holds one that a graph cannot hold."""
    for name, part in model.get_params(deep=True).items():
        reason = reason_against(part)
        if reason is not None:
            got = f"a {type(part).__name__} as {name!r}, {reason}"
            expected = "RNNRegressor, RNNClassifier, SequenceScaler and SlidingWindow of elman's"
            raise ValueError(problem(caller, "model", got, expected))
