"""What needs no model: the last value, the value a season ago, and how far such forecasts err."""

from __future__ import annotations

import numpy as np

from elman._arrays import Array
from elman._calendar import Integers
from elman._panel import Panel
from elman._panel_rows import Floats


def filled_forward(panel: Panel, season_length: int = 1) -> Floats:
    """Put in place of what is missing the last value known a whole number of seasons before.

    Parameters
    ----------
    panel : Panel
        The series.
    season_length : int
        Times of a season; with 1 the last value is taken.

    Returns
    -------
    values : ndarray of shape (n_total_times,)
        NaN where there is none.
    """
    values = panel.values
    if not np.isnan(values).any():
        return values
    series = np.repeat(np.arange(len(panel)), panel.lengths)
    phase = (np.arange(len(values)) - panel.offsets[series]) % season_length
    group = series * season_length + phase
    order = np.argsort(group, kind="stable")
    places = np.arange(len(values))
    last_known = np.maximum.accumulate(np.where(np.isnan(values[order]), -1, places))
    is_first = np.diff(group[order], prepend=-1) != 0
    starts = np.maximum.accumulate(np.where(is_first, places, 0))
    filled = np.empty_like(values)
    filled[order] = np.where(last_known >= starts, values[order][last_known], np.nan)
    return filled


def filled(panel: Panel, season_length: int) -> Floats:
    """Fill as `filled_forward` does, and where no season has a value with the last one known."""
    values = filled_forward(panel, season_length)
    is_missing = np.isnan(values)
    return np.where(is_missing, filled_forward(panel), values) if is_missing.any() else values


def with_same_fills(panel: Panel, n_times: int, season_length: int) -> Panel:
    """Cut off the beginning of series so that their end is filled as before, however they go on.

    Parameters
    ----------
    panel : Panel
        The series.
    n_times : int
        Times at the end of each series that stay as they are.
    season_length : int
        As of `filled`.

    Returns
    -------
    tail : Panel
        Before these times it has two seasons. In the first one what is missing is filled by seasons
        before it. If nothing is known in the second one, it has the last value that was known, a
        whole number of seasons later, so that this is still the last one.
    """
    n_kept = n_times + 2 * season_length
    tail = panel.cut(np.arange(len(panel)), panel.lengths, n_kept)
    is_cut = panel.lengths > n_kept
    first, begin = tail.offsets[:-1][is_cut], panel.offsets[1:][is_cut] - n_kept
    season = np.arange(season_length)
    with_fills = filled_forward(panel, season_length)
    tail.values[first[:, None] + season] = with_fills[begin[:, None] + season]
    second = tail.values[first[:, None] + season_length + season]
    is_empty = np.isnan(second).all(axis=1)
    first, begin = first[is_empty], begin[is_empty]
    known = np.where(np.isnan(panel.values), -1, np.arange(len(panel.values)))
    last = np.maximum.accumulate(known)[begin + 2 * season_length - 1]
    tail.values[first + season_length + (last - begin) % season_length] = panel.values[last]
    return tail


def naive_forecast(
    panel: Panel, series: Integers, stops: Integers, horizon: int, season_length: int = 1
) -> Floats:
    """Repeat the last season before some points of series, or the last value with a season of 1.

    Parameters
    ----------
    panel : Panel
        The series.
    series : ndarray of shape (n_forecasts,)
        Which series each forecast is for.
    stops : ndarray of shape (n_forecasts,)
        Values of that series that are known.
    horizon : int
        Times of a forecast.
    season_length : int
        Times of a season. Where a season has no value, the last value is taken.

    Returns
    -------
    forecasts : ndarray of shape (n_forecasts, horizon)
        The forecasts.
    """
    last: Floats = filled_forward(panel)[panel.offsets[series] + stops - 1][:, None]
    if season_length == 1:
        return np.repeat(last, horizon, axis=1)
    places = stops[:, None] - season_length + np.arange(horizon) % season_length
    rows = panel.offsets[series, None] + np.maximum(places, 0)
    seasonal = filled_forward(panel, season_length)[rows]
    return np.where((places < 0) | np.isnan(seasonal), last, seasonal)


def naive_scale(
    panel: Panel,
    series: Integers,
    stops: Integers,
    season_length: int = 1,
    most: int | None = None,
) -> Floats:
    """Mean absolute difference of values a season apart, before some points of series.

    Parameters
    ----------
    panel : Panel
        The series.
    series : ndarray of shape (n_points,)
        Which series each point lies in.
    stops : ndarray of shape (n_points,)
        Values of that series before the point, at least one.
    season_length : int
        Times of a season.
    most : int, default=None
        Differences before a point that count; None is all of them.

    Returns
    -------
    scale : ndarray of shape (n_points,)
        The denominator of the MASE [1]_; NaN where no two values are a season apart.

    References
    ----------
    .. [1] Hyndman, R. J. and Koehler, A. B. "Another look at measures of forecast accuracy."
       International Journal of Forecasting 22(4), 2006.
    """
    within = np.arange(len(panel.values)) - np.repeat(panel.offsets[:-1], panel.lengths)
    values, difference = panel.values, np.full(len(panel.values), np.nan)
    difference[season_length:] = np.abs(values[season_length:] - values[:-season_length])
    difference[within < season_length] = np.nan
    is_known = ~np.isnan(difference)
    # Sums begin anew with each series, so that none depends on those before it, not by a bit.
    sums = _sums(np.where(is_known, difference, 0.0), panel)
    counts = _sums(is_known, panel)
    # One more sum than values in each series: that of none.
    last = panel.offsets[series] + series + stops
    first = last - stops if most is None else last - np.minimum(stops, most)
    count = counts[last] - counts[first]
    mean = (sums[last] - sums[first]) / np.maximum(count, 1)
    return np.where(count > 0, mean, np.nan)


def _sums(values: Array, panel: Panel) -> Array:
    """Return the sums of the first 0, 1, 2, ... values of each series."""
    parts = np.split(values, panel.offsets[1:-1])
    return np.concatenate([np.concatenate([[0], np.cumsum(part)]) for part in parts])
