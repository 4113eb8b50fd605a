"""Forecasts from many points of series at once, beside what came, and beside no model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from elman._baselines import naive_forecast, naive_scale
from elman._calendar import Integers, import_pandas
from elman._exceptions import problem
from elman._panel import Panel
from elman._panel_rows import Floats
from elman._sequences import offsets_of

if TYPE_CHECKING:
    from elman._forecasting import BaseForecaster

BLOCK_ELEMENTS = 2**22


def origins(last: Integers, counts: Integers, step: int | Integers) -> tuple[Integers, Integers]:
    """Points from which series are forecast: the last one of each, and some before it.

    Parameters
    ----------
    last : ndarray of shape (n_series,)
        Values of each series that are known at its last origin.
    counts : ndarray of shape (n_series,)
        Origins of each series.
    step : int or ndarray of shape (n_series,)
        Times between two.

    Returns
    -------
    series, stops : ndarray of shape (n_origins,)
        Which series, and how many of its values are known, ascending.
    """
    series = np.repeat(np.arange(len(counts)), counts)
    back = np.repeat(offsets_of(counts)[1:], counts) - 1 - np.arange(len(series))
    return series, last[series] - back * np.broadcast_to(step, counts.shape)[series]


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


def backtest_table(
    forecaster: BaseForecaster,
    panel: Panel,
    horizon: int,
    step: int,
    n_windows: int,
    refit: int,
    asked: tuple[Floats | None, list[list[str]]],
    caller: str,
) -> Any:
    """Forecast series from several points of their past, as if nothing after it were known.

    Parameters
    ----------
    forecaster : BaseForecaster
        The forecaster, of which clones are fitted.
    panel : Panel
        The series.
    horizon, step, n_windows : int
        Times of a forecast, times from one point to the next, and points of each series; the
        last forecast ends with the series.
    refit : int
        Points after which a clone is fitted again; 0 is never.
    asked : tuple of (ndarray of shape (n_quantiles,) or None, list of list of str)
        Quantiles that are wanted, too, and the columns that each becomes.
    caller : str
        Class and method, for messages.

    Returns
    -------
    table : DataFrame
        A row for each step of each forecast.
    """
    pd = import_pandas(caller)
    first = panel.lengths - horizon - (n_windows - 1) * step
    needed = forecaster._least_training(panel)
    if (first < needed).any():
        i = int(np.argmin(first))
        least = needed + horizon + (n_windows - 1) * step
        got = f"{panel.lengths[i]} values in series {panel.names[i]!r}"
        expected = f"at least {least}: {needed} to be fitted to, and the windows"
        raise ValueError(problem(caller, "y", got, expected))
    (levels, labels), every, parts = asked, np.arange(len(panel)), []
    for start in range(0, n_windows, refit or n_windows):
        stops = first + start * step
        fitted = clone(forecaster)._fit(panel.cut(every, stops), caller)
        windows = np.arange(start, min(start + (refit or n_windows), n_windows))
        series = np.tile(every, len(windows))
        stops = first[series] + np.repeat(windows, len(panel)) * step
        forecasts = forecasts_of(fitted, panel, series, stops, horizon, levels, caller)
        point, quantiles = forecasts if levels is not None else (forecasts, None)
        season = fitted.season_lengths_[0]
        columns = _columns(panel, series, stops, point, season)
        if quantiles is not None:
            for level, names in zip(np.moveaxis(quantiles, 2, 0), labels, strict=True):
                columns |= dict.fromkeys(names, level.ravel())
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def _columns(
    panel: Panel, series: Integers, stops: Integers, point: Floats, season_length: int
) -> dict[str, Any]:
    """Columns of a table of forecasts, what came and what the naive forecasts say among them."""
    import pandas as pd

    form, horizon = panel.form, point.shape[1]
    id_name, time_name, _ = form.columns
    cutoffs = form.frequency.shift(panel.starts[series], stops - 1)
    columns: dict[str, Any] = {
        id_name: pd.Index(form.names).take(panel.series[series]).repeat(horizon),
        "cutoff": cutoffs.repeat(horizon),
        time_name: form.frequency.shift(
            panel.starts[series].repeat(horizon),
            (stops[:, None] + np.arange(horizon)).ravel(),
        ),
        "step": np.tile(np.arange(1, horizon + 1), len(series)),
        "y": actual_values(panel, series, stops, horizon).ravel(),
        "y_pred": point.ravel(),
        "y_naive": naive_forecast(panel, series, stops, horizon).ravel(),
    }
    if season_length > 1:
        seasonal = naive_forecast(panel, series, stops, horizon, season_length)
        columns["y_seasonal_naive"] = seasonal.ravel()
    columns["scale"] = naive_scale(panel, series, stops, season_length).repeat(horizon)
    return columns


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
        The series; with levels those of the fit, in its order, and what came after them.
    series, stops : ndarray of shape (n_points,)
        Which series, and how many of its values are known.
    horizon : int
        Number of times.
    levels : ndarray of shape (n_quantiles,), default=None
        Quantiles that are wanted, too; where errors tell them, those that are known at each point.
    caller : str
        Class and method, for messages.

    Returns
    -------
    forecasts : ndarray of shape (n_points, horizon)
        The forecasts; with levels a pair of them and (n_points, horizon, n_quantiles).
    """
    context = forecaster._context(panel, series, stops)
    lengths = stops if context is None else np.minimum(stops, context)
    carried = forecaster._carried(panel)
    n_outputs = horizon * (1 if levels is None else 1 + len(levels))
    block = np.cumsum(lengths + n_outputs) // BLOCK_ELEMENTS
    known, columns = forecaster._future_columns(panel.form), panel.form.covariates
    is_hidden = [name not in known for name in ([] if columns is None else columns.names)]
    points, quantiles = [], []
    has_quantiles = forecaster._has_quantiles()
    for part in np.split(np.arange(len(stops)), np.flatnonzero(np.diff(block)) + 1):
        pieces = carried.cut(series[part], stops[part], lengths[part])
        future = future_covariates(panel, series[part], stops[part], horizon)
        if future is not None:
            future[..., is_hidden] = np.nan
        if levels is None or not has_quantiles:
            points.append(forecaster._forecast(pieces, horizon, future))
        else:
            point, of_levels = forecaster._forecast_quantiles(pieces, horizon, future, levels)
            points.append(point)
            quantiles.append(np.sort(of_levels, axis=2))
    point = np.concatenate(points)
    if levels is None:
        return point
    if has_quantiles:
        return point, np.concatenate(quantiles)
    elapsed = stops - forecaster._training_lengths[series]
    at = panel, series, stops
    return point, forecaster._quantiles_of_errors(panel, elapsed, at, point, levels, caller)
