"""Naive2, the forecast that the M competitions measure others by."""

from __future__ import annotations

import numpy as np

from elman._panel_rows import Floats

CRITICAL = 1.645  # of the normal distribution, for 90 % on both sides


def naive2_forecast(values: Floats, horizon: int, season_length: int) -> Floats:
    """Repeat the last value of a series, seasonally adjusted where it has a season.

    Parameters
    ----------
    values : ndarray of shape (n_times,)
        The series.
    horizon : int
        Number of times.
    season_length : int
        Times of a season.

    Returns
    -------
    forecasts : ndarray of shape (horizon,)
        The last value without its season, times the season to come [1]_.

    References
    ----------
    .. [1] Makridakis, S., Spiliotis, E. and Assimakopoulos, V. "The M4 competition: 100,000 time
       series and 61 forecasting methods." International Journal of Forecasting 36(1), 2020.
    """
    if not _is_seasonal(values, season_length):
        return np.repeat(values[-1], horizon)
    factors = _seasonal_factors(values, season_length)
    n_times = len(values)
    level = values[-1] / factors[(n_times - 1) % season_length]
    return np.asarray(level * factors[(n_times + np.arange(horizon)) % season_length])


def _is_seasonal(values: Floats, season_length: int) -> bool:
    """Test the autocorrelation at one season against its error by Bartlett's formula."""
    n_times = len(values)
    if season_length == 1 or n_times < 3 * season_length:
        return False
    centred = values - values.mean()
    variance = centred @ centred
    if variance == 0:
        return False
    lags = range(1, season_length + 1)
    correlation = np.array([centred[lag:] @ centred[:-lag] for lag in lags]) / variance
    limit = CRITICAL * np.sqrt((1 + 2 * (correlation[:-1] ** 2).sum()) / n_times)
    return bool(abs(correlation[-1]) > limit)


def _seasonal_factors(values: Floats, season_length: int) -> Floats:
    """Ratios to a moving average over one season, averaged over seasons; their mean is 1."""
    is_even = season_length % 2 == 0
    weights = np.ones(season_length + is_even)
    if is_even:
        weights[[0, -1]] = 0.5
    half = len(weights) // 2
    trend = np.convolve(values, weights / season_length, mode="valid")
    ratios = np.full(-(-len(values) // season_length) * season_length, np.nan)
    ratios[half : len(values) - half] = values[half : len(values) - half] / trend
    factors = np.nanmean(ratios.reshape(-1, season_length), axis=0)
    return np.asarray(factors / factors.mean())
