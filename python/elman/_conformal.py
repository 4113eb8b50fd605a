"""Split conformal prediction: how far forecasts may be off, told by how far they were off."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import clone

from elman._backtest import actual_values, forecasts_of, origins
from elman._baselines import naive_scale
from elman._calendar import Integers
from elman._exceptions import problem
from elman._fills import Fills
from elman._panel import Panel
from elman._panel_rows import Floats

if TYPE_CHECKING:
    from elman._forecasting import BaseForecaster

SHARE = 0.3  # of a series, its last part, on which errors are measured
FEWEST, MOST, MOST_OF_ALL = 20, 200, 20_000  # origins of a series, and of all together
SEASONS_OF_UNIT, CHANGES_OF_UNIT = 14, 100
"""What a unit looks back on, at least: series move more at some times than at others."""
LAGS_IN_A_PAST = 8


@dataclass(frozen=True)
class Calibration:
    """Errors of forecasts from some origins, in units of their series.

    Parameters
    ----------
    paths : ndarray of shape (n_origins, horizon)
        What came less what was forecast; NaN where that is not known, but not for a whole step.
    season_length : int
        Season of the differences that are a series' unit.
    units_of_late : bool
        Whether these are differences of late, or all of them, as in files from before.
    interpolates : bool
        Whether bounds lie between errors, or are one of them, as in files from before.
    ages : ndarray of int64 of shape (n_origins,) or None
        Times from each origin to the end of the training data. None in files from before, whose
        errors stay what they are when the history goes on.
    """

    paths: Floats
    season_length: int
    units_of_late: bool = True
    interpolates: bool = True
    ages: Integers | None = None

    @cached_property
    def errors(self) -> Floats:
        """How far forecasts had been off, (horizon, n_origins), ascending, what is missing last."""
        return np.sort(np.abs(self.paths), axis=0).T.copy()

    @cached_property
    def n_errors(self) -> Integers:
        """Number of errors of each step."""
        return np.asarray((~np.isnan(self.paths)).sum(axis=0))

    @property
    def spacing(self) -> int:
        """Times from one origin to the next, or to the end where a series has but one."""
        assert self.ages is not None
        ages = np.unique(self.ages)
        return int(np.diff(ages).min() if len(ages) > 1 else ages[0])

    @cached_property
    def later_forecasts(self) -> dict[int, Floats]:
        """Forecasts from origins since the fit, by their number, so that none is made twice."""
        return {}

    @cached_property
    def ranks(self) -> Integers:
        """Rank of each error among those of its step, from 0; without paths that have none.

        Elsewhere what is missing is ranked as the error before it, or the next one.
        """
        paths = self.paths[~np.isnan(self.paths).all(axis=1)]
        n_known = (~np.isnan(paths)).sum(axis=0)
        shares = np.where(np.isnan(paths), np.nan, (_ranks(paths) + 0.5) / n_known)
        return _ranks(Fills(shares.T, np.array([0, shares.shape[1]])).last.T)

    def quantiles(
        self,
        panel: Panel,
        series: Integers,
        stops: Integers,
        point: Floats,
        levels: Floats,
        caller: str,
        bounds: Callable[[Floats], Floats] | None = None,
    ) -> Floats:
        """Put as much of the errors on either side of forecasts as levels ask for.

        Of n errors that are exchangeable with the one to come, that one is at most the k-th
        smallest with a probability of k / (n + 1). So an interval of coverage c reaches on both
        sides as far as the error of rank (n + 1) c, between two of them by a straight line, and it
        always holds its forecast. Where errors are the rarer the larger they are, their
        distribution function bends downwards, and so does what is covered between two ranks: on
        average that is c, or a little more (Jensen's inequality). The next error instead, which
        covers at least c whatever the distribution, covers 0.95 for 0.9 with 18 errors.

        Parameters
        ----------
        panel : Panel
            The series.
        series, stops : ndarray of shape (n_points,)
            Which series are forecast, and how many of their values are known.
        point : ndarray of shape (n_points, horizon)
            The forecasts.
        levels : ndarray of shape (n_quantiles,) or (n_points, horizon, n_quantiles)
            Levels, of all forecasts or of each.
        caller : str
            Class and method, for messages.
        bounds : callable, default=None
            Tells the errors that bound intervals of some coverages; None is the method `bounds`.

        Returns
        -------
        quantiles : ndarray of shape (n_points, horizon, n_quantiles)
            Quantiles of these levels.
        """
        if levels.ndim == 1:
            self._warn_of_rare(levels, caller)
        offsets = np.sign(levels - 0.5) * (bounds or self.bounds)(np.abs(2 * levels - 1))
        units = self.units(panel, series, stops)
        return np.asarray(point[:, :, None] + units[:, :, None] * offsets)

    def bounds(self, coverage: Floats) -> Floats:
        """Errors that bound intervals, (..., horizon, n_levels), by coverages that end so, too."""
        return bounds_of(self.errors, self.n_errors, coverage, self.interpolates)

    def units(self, panel: Panel, series: Integers, stops: Integers) -> Floats:
        """Return the unit of the error at each step from some points of series."""
        if self.units_of_late:
            return _units(panel, series, stops, self.season_length, self.paths.shape[1])
        return _units_of_all(panel, series, stops, self.season_length)[:, None]

    def _warn_of_rare(self, levels: Floats, caller: str) -> None:
        rarest = 1 - np.abs(2 * levels - 1).max()
        n_fewest = int(self.n_errors.min())
        if rarest * (n_fewest + 1) < 1 - 1e-9:
            n_wanted = math.ceil(1 / rarest - 1e-9) - 1
            got = f"levels that need {n_wanted} errors on the training data"
            expected = f"levels that {n_fewest} errors tell: the largest one stands in"
            warnings.warn(problem(caller, "quantiles", got, expected), UserWarning, stacklevel=7)

    def draw_levels(self, n: int, random_state: np.random.RandomState) -> Floats:
        """Draw levels, uniform at each step, that keep together over the steps as errors do.

        Each draw has the ranks that the errors of one origin had, and a place within them:
        a draw from their empirical copula.

        Parameters
        ----------
        n : int
            Number of draws.
        random_state : RandomState
            Draws.

        Returns
        -------
        levels : ndarray of shape (horizon, n)
            Between 0 and 1, both left out.
        """
        ranks = self.ranks
        which, place = random_state.randint(len(ranks), size=n), random_state.random_sample(n)
        levels = (ranks[which].T + place) / len(ranks)
        return np.clip(levels, np.finfo(np.float64).tiny, np.nextafter(1.0, 0.0))


def bounds_of(
    errors: Floats, n_errors: Integers, coverage: Floats, interpolates: bool = True
) -> Floats:
    """Errors of the ranks that coverages ask for; none before the first, the last one at most.

    Parameters
    ----------
    errors : ndarray of shape (horizon, n_most)
        Those of each step, ascending, at least those of the ranks next to `ranks_of`.
    n_errors : ndarray of int64 of shape (horizon,)
        How many of each step are known.
    coverage : ndarray of shape (n_levels,) or (n_points, horizon, n_levels)
        Coverages of intervals.
    interpolates : bool, default=True
        Whether a bound may lie between two errors.

    Returns
    -------
    bounds : ndarray of shape (horizon, n_levels) or (n_points, horizon, n_levels)
        How far intervals reach on either side.
    """
    ranks = ranks_of(n_errors, coverage, interpolates)
    below, steps = np.floor(ranks).astype(np.int64), np.arange(len(errors))[:, None]
    lower = np.where(below > 0, errors[steps, np.maximum(below, 1) - 1], 0.0)
    upper = errors[steps, np.minimum(below + 1, n_errors[:, None]) - 1]
    return np.asarray(lower + (ranks - below) * (upper - lower))


def ranks_of(n_errors: Integers, coverage: Floats, interpolates: bool = True) -> Floats:
    """Ranks of the errors, from 1, that bound intervals; as of `bounds_of`, and of its shape."""
    ranks = (n_errors[:, None] + 1) * coverage
    whole = np.rint(ranks)
    ranks = np.where(np.abs(ranks - whole) < 1e-9, whole, ranks)  # of 1 - 0.1, say
    if not interpolates:
        ranks = np.maximum(np.ceil(ranks), 1)
    return np.minimum(ranks, n_errors[:, None])


def _ranks(values: Floats) -> Integers:
    """Rank of each value in its column; NaN comes last."""
    return np.argsort(np.argsort(values, axis=0, kind="stable"), axis=0)


def _units(
    panel: Panel, series: Integers, stops: Integers, season_length: int, horizon: int
) -> Floats:
    """Return the unit of the error at each step, (n_points, horizon).

    It is how much a series has changed of late over as many seasons as lie before the step, in
    powers of two; where its past is too short to tell, or it has not changed, over fewer of them,
    and over a season or from time to time in all of its past.
    """
    recent = max(SEASONS_OF_UNIT * season_length, CHANGES_OF_UNIT)
    doublings = np.log2(1 + np.arange(horizon) // season_length).astype(np.int64)
    units, each = _units_of_all(panel, series, stops, season_length), []
    units = _told(naive_scale(panel, series, stops, season_length, recent), units)
    for lag in season_length * 2 ** np.arange(doublings[-1] + 1):
        scale = naive_scale(panel, series, stops, int(lag), recent)
        units = _told(np.where(stops >= LAGS_IN_A_PAST * lag, scale, np.nan), units)
        each.append(units)
    return np.stack(each, axis=1)[:, doublings]


def _units_of_all(panel: Panel, series: Integers, stops: Integers, season_length: int) -> Floats:
    """Return how much series changed over a season, or from time to time, in all of their past."""
    units = np.ones(len(series))
    for lag in (1, season_length):
        units = _told(naive_scale(panel, series, stops, lag), units)
    return units


def _told(scale: Floats, otherwise: Floats) -> Floats:
    return np.where(np.isnan(scale) | (scale == 0), otherwise, scale)


def calibrate(forecaster: BaseForecaster, panel: Panel, horizon: int, caller: str) -> Calibration:
    """Measure the errors of a forecaster on the last part of series that it has not seen.

    Parameters
    ----------
    forecaster : BaseForecaster
        The forecaster; a clone of it is fitted to what comes before the first origin, or to what
        comes before each of them where `_is_fitted_for_each_error` says so.
    panel : Panel
        The training data.
    horizon : int
        Number of steps.
    caller : str
        Class and method, for messages.

    Returns
    -------
    calibration : Calibration
        The errors.

    Raises
    ------
    ValueError
        If the series are too short to hold anything back.
    """
    season_length = forecaster._season_lengths(panel.form)[0]
    phase = forecaster._origin_step()
    ahead = -(-horizon // phase) * phase
    spare = panel.lengths - ahead - forecaster._least_training(panel)
    span = np.minimum(np.maximum((panel.lengths * SHARE).astype(np.int64), FEWEST), spare + 1)
    if span.max() < 1:
        longest = int(panel.lengths.max())
        got = f"{longest} values in the longest series"
        expected = f"at least {longest - spare.max()}, of which intervals can be told"
        raise ValueError(problem(caller, "y", got, expected))
    held = np.flatnonzero(span > 0)
    last, n_steps = panel.lengths[held] - ahead, (span[held] - 1) // phase
    most = min(MOST, max(FEWEST, MOST_OF_ALL // len(held)))
    every = -(-(n_steps + 1) // most)
    series, stops = origins(last, n_steps // every + 1, every * phase)
    back, series = last[series] - stops, held[series]
    point = np.empty((len(stops), horizon))
    fits = np.unique(back) if forecaster._is_fitted_for_each_error() else [n_steps.max() * phase]
    for farthest in fits:
        ends = last - np.minimum(farthest, n_steps * phase)
        fitted = clone(forecaster)._fit(panel.cut(held, ends), caller)
        is_own = (back == farthest) | (len(fits) == 1)
        point[is_own] = forecasts_of(fitted, panel, series[is_own], stops[is_own], horizon)
    units = _units(panel, series, stops, season_length, horizon)
    paths = (actual_values(panel, series, stops, horizon) - point) / units
    if np.isnan(paths).all(axis=0).any():
        got = "no known value in the last part of the series"
        raise ValueError(problem(caller, "y", got, "some, of which intervals can be told"))
    return Calibration(paths, season_length, ages=panel.lengths[series] - stops)
