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
from elman._error_bounds import bounds_of, degrees_of_freedom, widened
from elman._exceptions import problem
from elman._fills import Fills
from elman._panel import Panel
from elman._panel_rows import Floats

if TYPE_CHECKING:
    from elman._forecasting import BaseForecaster

SHARE = 0.3  # of a series, its last part, on which errors are measured
FEWEST, MOST, MOST_OF_ALL = 20, 200, 20_000  # origins of a series, and of all together
ENOUGH = 100  # origins, of which it does not count how far their futures overlap
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
    are_few : bool
        Whether bounds allow for errors of a few short series, whose futures overlap.
    """

    paths: Floats
    season_length: int
    units_of_late: bool = True
    interpolates: bool = True
    ages: Integers | None = None
    are_few: bool = False

    @cached_property
    def errors(self) -> Floats:
        """How far intervals reach that end at an error, (horizon, n_origins), ascending.

        That is how far forecasts had been off, what is missing last, and more of a few series.
        """
        return self.widened(np.sort(np.abs(self.paths), axis=0).T.copy())

    @cached_property
    def n_errors(self) -> Integers:
        """Number of errors of each step."""
        return np.asarray((~np.isnan(self.paths)).sum(axis=0))

    def widened(self, errors: Floats) -> Floats:
        """Allow for how little a few errors tell, which are ascending and as many as these."""
        return widened(errors, self.n_errors, self.n_independent) if self.are_few else errors

    @cached_property
    def n_independent(self) -> Floats:
        """As many errors of each step would tell as much if their futures did not overlap."""
        assert self.ages is not None
        n_series = int(np.unique(self.ages, return_counts=True)[1].max())
        return degrees_of_freedom(self.n_errors, n_series, self.spacing)

    @cached_property
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
        """Rank of each error among those of its step, from 0, of paths that the data do not end in.

        Nor of those that have none; elsewhere what is missing is ranked as the error before it,
        or the next one.
        """
        horizon = self.paths.shape[1]
        paths = self.paths if self.ages is None else self.paths[self.ages >= horizon]
        paths = paths[~np.isnan(paths).all(axis=1)]
        n_known = np.maximum((~np.isnan(paths)).sum(axis=0), 1)
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

        An interval of coverage c reaches on both sides as far as the error of rank (n + 1) c of
        the n that are known, so that it always holds its forecast. Where errors are the rarer the
        larger they are, their distribution function bends downwards, and so does what is covered
        between two ranks: on average that is c, or a little more (Jensen's inequality). The next
        error instead, which covers at least c whatever the distribution, covers 0.95 for 0.9 with
        18 errors.

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
    held, last, span, are_few = _held_back(forecaster, panel, horizon, caller)
    phase = forecaster._origin_step()
    most = min(MOST, max(FEWEST, MOST_OF_ALL // len(held)))
    every = -(-(span // phase + 1) // most)
    series, stops = origins(last, span // phase // every + 1, every * phase)
    back, series = last[series] - stops, held[series]
    point = np.empty((len(stops), horizon))
    fits = np.unique(back) if forecaster._is_fitted_for_each_error(are_few) else [span.max()]
    for farthest in fits:
        fitted = clone(forecaster)._fit(panel.cut(held, last - np.minimum(farthest, span)), caller)
        is_own = (back == farthest) | (len(fits) == 1)
        point[is_own] = forecasts_of(fitted, panel, series[is_own], stops[is_own], horizon)
    units = _units(panel, series, stops, season_length, horizon)
    paths = (actual_values(panel, series, stops, horizon) - point) / units
    if np.isnan(paths).all(axis=0).any():
        got = "no known value in the last part of the series"
        raise ValueError(problem(caller, "y", got, "some, of which intervals can be told"))
    ages = panel.lengths[series] - stops
    return Calibration(paths, season_length, ages=ages, are_few=are_few)


def _held_back(
    forecaster: BaseForecaster, panel: Panel, horizon: int, caller: str
) -> tuple[Integers, Integers, Integers, bool]:
    """Long enough series, the last origin of each, times to the first one, and if these are few.

    Of a few even those count whose future is known in part.
    """
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
    last, span = panel.lengths[held] - ahead, (span[held] - 1) // phase * phase
    are_few = bool((span // phase + 1).sum() < ENOUGH)
    in_part = 0
    if are_few and not forecaster._future_columns(panel.form):
        in_part = (ahead - 1) // phase * phase
    return held, last + in_part, span + in_part, are_few
