"""Estimators that are trained on the workers of a dask cluster."""

from __future__ import annotations

try:
    import dask  # noqa: F401
    import distributed  # noqa: F401
except ImportError as error:
    raise ImportError("elman.dask: it needs dask.distributed: pip install 'elman[dask]'") from error

from elman.dask import _sizes  # noqa: F401  (tells dask of them)
from elman.dask._classifier import DaskRNNClassifier
from elman.dask._cluster import SchedulerLostError
from elman.dask._forecaster import DaskRNNForecaster
from elman.dask._regressor import DaskRNNRegressor

__all__ = ["DaskRNNClassifier", "DaskRNNForecaster", "DaskRNNRegressor", "SchedulerLostError"]
