"""Forecasts from many points of series at once, beside what came, and beside no model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from elman._calendar import Integers
from elman._panel import Panel
from elman._panel_rows import Floats
from elman._sequences import offsets_of

if TYPE_CHECKING:
    from elman._forecasting import BaseForecaster

BLOCK_ELEMENTS = 2**22


def origins(last: Integers, counts: Integers, step: int) -> tuple[Integers, Integers]:
    """Points from which series are forecast: the last one of each, and some before it.

    Parameters
    ----------
    last : ndarray of shape (n_series,)
        Values of each series that are known at its last origin.
    counts : ndarray of shape (n_series,)
        Origins of each series.
    step : int
        Times between two.

    Returns
    -------
    series, stops : ndarray of shape (n_origins,)
        Which series, and how many of its values are known, ascending.
    """
    series = np.repeat(np.arange(len(counts)), counts)
    back = np.repeat(offsets_of(counts)[1:], counts) - 1 - np.arange(len(series))
    return series, last[series] - back * step


def actual_values(panel: Panel, series: Integers, stops: Integers, horizon: int) -> Floats:
    """Return what came after some points of series, (n_points, horizon); NaN after their ends."""
    places = stops[:, None] + np.arange(horizon)
    rows = np.minimum(panel.offsets[series, None] + places, len(panel.values) - 1)
    return np.where(places < panel.lengths[series, None], panel.values[rows], np.nan)


def future_covariates(
    panel: Panel, series: Integers, stops: Integers, horizon: int
) -> Floats | None:
    """Return covariates after some points of series, (n_points, horizon, n_covariates), or None."""
    if panel.covariates is None:
        return None
    places = stops[:, None] + np.arange(horizon)
    rows = np.minimum(panel.offsets[series, None] + places, len(panel.values) - 1)
    future = panel.covariates[rows]
    future[places >= panel.lengths[series, None]] = np.nan
    return future


def forecasts_of(
    forecaster: BaseForecaster,
    panel: Panel,
    series: Integers,
    stops: Integers,
    horizon: int,
    levels: Floats | None = None,
    caller: str = "",
) -> Any:
    """Forecast from some points of series, a block of them at a time.

    Parameters
    ----------
    forecaster : BaseForecaster
        A fitted forecaster.
    panel : Panel
        The series.
    series, stops : ndarray of shape (n_points,)
        Which series, and how many of its values are known.
    horizon : int
        Number of times.
    levels : ndarray of shape (n_quantiles,), default=None
        Quantiles that are wanted, too.
    caller : str
        Class and method, for messages.

    Returns
    -------
    forecasts : ndarray of shape (n_points, horizon)
        The forecasts; with levels a pair of them and (n_points, horizon, n_quantiles).
    """
    context = forecaster._context()
    lengths = stops if context is None else np.minimum(stops, context)
    n_outputs = horizon * (1 if levels is None else 1 + len(levels))
    block = np.cumsum(lengths + n_outputs) // BLOCK_ELEMENTS
    known, columns = forecaster._future_columns(panel.form), panel.form.covariates
    is_hidden = [name not in known for name in ([] if columns is None else columns.names)]
    points, quantiles = [], []
    has_quantiles = levels is not None and forecaster._has_quantiles()
    for part in np.split(np.arange(len(stops)), np.flatnonzero(np.diff(block)) + 1):
        pieces = panel.cut(series[part], stops[part], context)
        future = future_covariates(panel, series[part], stops[part], horizon)
        if future is not None:
            future[..., is_hidden] = np.nan
        points.append(forecaster._forecast(pieces, horizon, future, None))
        if has_quantiles:
            quantiles.append(np.sort(forecaster._forecast(pieces, horizon, future, levels), axis=2))
    point = np.concatenate(points)
    if levels is None:
        return point
    if has_quantiles:
        return point, np.concatenate(quantiles)
    calibration = forecaster._calibration(horizon, caller)
    return point, calibration.quantiles(panel, series, stops, point, levels, caller)
