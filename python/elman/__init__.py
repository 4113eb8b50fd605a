"""Recurrent neural networks for people who work in scikit-learn."""

from __future__ import annotations

import importlib
from typing import Any

from elman import _interpreter  # noqa: F401  (first: it may refuse to go on)
from elman._classifier import RNNClassifier
from elman._count_ratios import CountRatioEncoder
from elman._exceptions import DivergenceError
from elman._regressor import RNNRegressor
from elman._sequencer import TokenSequencer

__version__ = "0.1.0.dev0"

__all__ = [
    "CountRatioEncoder",
    "DivergenceError",
    "RNNClassifier",
    "RNNRegressor",
    "TokenSequencer",
    "compile",
    "datasets",
    "show_versions",
]


def __getattr__(name: str) -> Any:
    if name == "compile":
        return importlib.import_module("elman._compile").compile
    if name == "datasets":
        return importlib.import_module("elman.datasets")
    if name == "show_versions":
        return importlib.import_module("elman._show_versions").show_versions
    raise AttributeError(f"module 'elman' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
