"""Errors since the fit: intervals that go with the times.

Once a history has gone on, what a forecaster would have said of it since its fit is known to be
right or wrong. These errors take the places of the oldest ones: at each step of the horizon, and
over all series of a panel,

    the errors that count = the newest n of those before the fit and, behind them, those of
    forecasts from T, T + g, T + 2g, ... values that have come by now

where n is how many there were before the fit, T the length of a series in the fit, and g how far
apart the origins before the fit lie, so that n errors tell of as long a time as they did. This is
split conformal prediction with weights of 1 and 0 (Barber et al., 2023): the next error has to be
like those of late, where without it it had to be like those before the fit. Quantiles are those of
one set of errors, so they do not cross.

Of a step is told when its time has come. Where covariates are known ahead, a forecast is made from
those at all of its times, and is told of when these have come. So the history alone tells the
errors: not how it came, in one `update` or in many, nor what was asked in between. They need no
place in a file.

References
----------
Barber, R. F., Candes, E. J., Ramdas, A. and Tibshirani, R. J. "Conformal prediction beyond
exchangeability." The Annals of Statistics 51(2), 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from elman._backtest import actual_values, forecasts_of
from elman._calendar import Integers
from elman._conformal import Calibration
from elman._error_bounds import bounds_of, ranks_of
from elman._panel import Panel
from elman._panel_rows import Floats

if TYPE_CHECKING:
    from elman._forecasting import BaseForecaster

MOST_PARTED = 8
"""Places in a row up to which it is quicker to part it there than to sort it."""


@dataclass(frozen=True)
class RollingErrors:
    """Errors of each step in the order in which they became known.

    Parameters
    ----------
    sizes : ndarray of shape (horizon, n_errors)
        How far forecasts were off, the oldest first; NaN behind the last one of a step.
    n_known : ndarray of int64 of shape (n_origins + 1, horizon)
        How many of a step are known when none, one, ... of the origins since the fit has told.
    delays : ndarray of int64 of shape (horizon,)
        Times from an origin until it tells of a step.
    calibration : Calibration
        The errors before the fit.
    """

    sizes: Floats
    n_known: Integers
    delays: Integers
    calibration: Calibration

    def bounds(self, elapsed: Integers, coverage: Floats) -> Floats:
        """How far intervals reach on either side, some times after the fit.

        Parameters
        ----------
        elapsed : ndarray of int64 of shape (n_points,)
            Times since the fit at each point.
        coverage : ndarray of shape (n_levels,) or (n_points, horizon, n_levels)
            Coverages of intervals, of all points or of each.

        Returns
        -------
        bounds : ndarray of shape (n_points, horizon, n_levels)
            In units of the series.
        """
        horizon, n_kept, calibration = len(self.delays), self.n_known[0], self.calibration
        bounds = np.empty((len(elapsed), horizon, coverage.shape[-1]))
        places = np.arange(n_kept.max())
        if not calibration.are_few:
            below = np.floor(ranks_of(n_kept, coverage)).astype(np.int64)
            places = np.intersect1d([below - 1, below], places)
        pool, n_told = np.empty((horizon, n_kept.max())), np.full(horizon, -1)
        for now in np.unique(elapsed):
            before, n_told = n_told, n_origins_told(now, self.delays, calibration.spacing)
            changed = np.flatnonzero(n_told != before)
            pool[changed] = _ordered(self._newest(changed, n_told[changed]), places)
            is_now = elapsed == now
            of_now = coverage if coverage.ndim == 1 else coverage[is_now]
            bounds[is_now] = bounds_of(calibration.widened(pool), n_kept, of_now)
        return bounds

    def _newest(self, steps: Integers, n_told: Integers) -> Floats:
        """Errors of some steps that count, when so many origins have told of each; NaN is none."""
        n_kept = self.n_known[0]
        pool = np.full((len(steps), n_kept.max()), np.nan)
        stops = self.n_known[n_told, steps].tolist()
        for row, step, n, stop in zip(
            pool, steps.tolist(), n_kept[steps].tolist(), stops, strict=True
        ):
            row[:n] = self.sizes[step, stop - n : stop]
        return pool


def _ordered(errors: Floats, places: Integers) -> Floats:
    """Rows in order, or as far as some places in them need it."""
    if len(places) > MOST_PARTED:
        return np.sort(errors, axis=1)
    return np.partition(errors, places, axis=1)


def rolling_errors(
    forecaster: BaseForecaster, calibration: Calibration, panel: Panel, elapsed: int
) -> RollingErrors:
    """Measure the errors of a forecaster since its fit.

    Parameters
    ----------
    forecaster : BaseForecaster
        A fitted forecaster.
    calibration : Calibration
        Its errors before the fit, whose ages are known.
    panel : Panel
        The series of the fit and what came after them.
    elapsed : int
        Times since the fit that are wanted, at most.

    Returns
    -------
    errors : RollingErrors
        Those before the fit and, behind them, those since.
    """
    assert calibration.ages is not None
    horizon, spacing = calibration.paths.shape[1], calibration.spacing
    # A forecast from covariates is made from those at all of its times.
    is_told_at_once = bool(forecaster._future_columns(panel.form))
    delays = np.full(horizon, horizon) if is_told_at_once else np.arange(1, horizon + 1)
    n_origins = int(n_origins_told(elapsed, delays, spacing).max())
    later = _later_paths(forecaster, calibration, panel, n_origins, int(delays[0]))
    oldest_first = np.argsort(-calibration.ages, kind="stable")
    paths = np.concatenate([calibration.paths[oldest_first], later.reshape(-1, horizon)])
    is_known = ~np.isnan(paths)
    rows = len(calibration.paths) + len(panel) * np.arange(n_origins + 1)
    n_known = np.cumsum(is_known, axis=0)[rows - 1]
    order = np.argsort(~is_known, axis=0, kind="stable")
    sizes = np.take_along_axis(np.abs(paths), order, axis=0).T
    return RollingErrors(np.ascontiguousarray(sizes), n_known, delays, calibration)


def n_origins_told(elapsed: int, delays: Integers, spacing: int) -> Integers:
    """How many of the origins since the fit have told of each step by then."""
    return np.maximum((elapsed - delays) // spacing + 1, 0)


def _later_paths(
    forecaster: BaseForecaster, calibration: Calibration, panel: Panel, n_origins: int, delay: int
) -> Floats:
    """Errors from origins since the fit, (n_origins, n_series, horizon); NaN is not known.

    Forecasts from an origin that every series has come to are kept for the next call.
    """
    horizon, kept = calibration.paths.shape[1], calibration.later_forecasts
    stops = forecaster._training_lengths + calibration.spacing * np.arange(n_origins)[:, None]
    is_told = stops + delay <= panel.lengths
    is_kept = np.array([i in kept for i in range(n_origins)], dtype=bool)
    is_new = is_told & ~is_kept[:, None]
    point = np.full((*stops.shape, horizon), np.nan)
    for i in np.flatnonzero(is_kept).tolist():
        point[i] = kept[i]
    if is_new.any():
        series = np.nonzero(is_new)[1]
        point[is_new] = forecasts_of(forecaster, panel, series, stops[is_new], horizon)
    kept.update((i, point[i]) for i in np.flatnonzero(is_told.all(axis=1)).tolist())
    paths = np.full_like(point, np.nan)
    if is_told.any():
        at = panel, np.nonzero(is_told)[1], stops[is_told]
        paths[is_told] = (actual_values(*at, horizon) - point[is_told]) / calibration.units(*at)
    return paths
