"""Recurrent neural networks for people who work in scikit-learn."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from elman import _interpreter  # noqa: F401  (first: it may refuse to go on)
from elman._classifier import RNNClassifier
from elman._exceptions import (
    DivergenceError,
    ModelCorruptError,
    ModelFileError,
    ModelLimitError,
    ModelVersionError,
)
from elman._regressor import RNNRegressor

if TYPE_CHECKING:
    from elman import data, datasets, inspect, metrics
    from elman._attention_display import AttentionDisplay
    from elman._compile import compile
    from elman._count_ratios import CountRatioEncoder
    from elman._files import load, save
    from elman._fleet import Fleet, fit_many
    from elman._forecast_display import ForecastDisplay
    from elman._forecaster import RNNForecaster
    from elman._from_keras import from_keras
    from elman._from_torch import from_torch
    from elman._hidden_states import HiddenStateTransformer
    from elman._importance_display import PermutationImportanceDisplay
    from elman._imputation_display import ImputationDisplay
    from elman._imputer import RNNImputer
    from elman._linear import LinearForecaster
    from elman._loss_curve_display import LossCurveDisplay
    from elman._naive import NaiveForecaster
    from elman._onnx._export import to_onnx
    from elman._onnx._import import from_onnx
    from elman._onnx._skl2onnx import register_skl2onnx
    from elman._saliency_display import SaliencyDisplay
    from elman._scaler import SequenceScaler
    from elman._seq2seq_regressor import Seq2SeqRegressor
    from elman._seq2seq_translator import Seq2SeqTranslator
    from elman._sequencer import TokenSequencer
    from elman._show_versions import show_versions
    from elman._to_c import to_c
    from elman._window import SlidingWindow

__version__ = "0.1.0.dev0"

__all__ = [
    "AttentionDisplay",
    "CountRatioEncoder",
    "DivergenceError",
    "Fleet",
    "ForecastDisplay",
    "HiddenStateTransformer",
    "ImputationDisplay",
    "LinearForecaster",
    "LossCurveDisplay",
    "ModelCorruptError",
    "ModelFileError",
    "ModelLimitError",
    "ModelVersionError",
    "NaiveForecaster",
    "PermutationImportanceDisplay",
    "RNNClassifier",
    "RNNForecaster",
    "RNNImputer",
    "RNNRegressor",
    "SaliencyDisplay",
    "Seq2SeqRegressor",
    "Seq2SeqTranslator",
    "SequenceScaler",
    "SlidingWindow",
    "TokenSequencer",
    "compile",
    "data",
    "datasets",
    "fit_many",
    "from_keras",
    "from_onnx",
    "from_torch",
    "inspect",
    "load",
    "metrics",
    "register_skl2onnx",
    "save",
    "show_versions",
    "to_c",
    "to_onnx",
]

# Imported when they are asked for: a service that only predicts does not wait for them.
_LATER = {
    "AttentionDisplay": "elman._attention_display",
    "CountRatioEncoder": "elman._count_ratios",
    "Fleet": "elman._fleet",
    "ForecastDisplay": "elman._forecast_display",
    "HiddenStateTransformer": "elman._hidden_states",
    "LinearForecaster": "elman._linear",
    "LossCurveDisplay": "elman._loss_curve_display",
    "NaiveForecaster": "elman._naive",
    "PermutationImportanceDisplay": "elman._importance_display",
    "RNNForecaster": "elman._forecaster",
    "ImputationDisplay": "elman._imputation_display",
    "RNNImputer": "elman._imputer",
    "SaliencyDisplay": "elman._saliency_display",
    "Seq2SeqRegressor": "elman._seq2seq_regressor",
    "Seq2SeqTranslator": "elman._seq2seq_translator",
    "SequenceScaler": "elman._scaler",
    "SlidingWindow": "elman._window",
    "TokenSequencer": "elman._sequencer",
    "compile": "elman._compile",
    "fit_many": "elman._fleet",
    "from_keras": "elman._from_keras",
    "from_onnx": "elman._onnx._import",
    "from_torch": "elman._from_torch",
    "load": "elman._files",
    "register_skl2onnx": "elman._onnx._skl2onnx",
    "save": "elman._files",
    "show_versions": "elman._show_versions",
    "to_c": "elman._to_c",
    "to_onnx": "elman._onnx._export",
}


def __getattr__(name: str) -> Any:
    if name in ("data", "datasets", "inspect", "metrics"):
        return importlib.import_module(f"elman.{name}")
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module 'elman' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
