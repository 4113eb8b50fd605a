"""How good simple forecasts have been on the series at hand.

Where there are few windows to learn from, the mixture begins with what each candidate was worth so
far: weights that fall with a power of its mean absolute error e,

    w_k = e_k^-p / sum_j e_j^-p,        p = 8 n / (n + 1),

as in combinations of forecasts by their past performance (Bates & Granger, 1969; Stock & Watson,
2004), and the network learns what to change of that. Errors count as far ahead as the weights are
for, and n is the number of such futures that do not overlap: the fewer, the more alike the weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elman._forecast.candidates import candidates
from elman._forecast.history import Floats, History, Integers
from elman._forecast.origins import origins_within
from elman._forecast.window import cut, in_own_units

POWER = 8.0
LEAST_SHARE = 1e-6
"""Of the largest error; a candidate that was never wrong is not infinitely good."""


def logits(
    history: History,
    chosen: Sequence[tuple[str, int]],
    season_lengths: Sequence[int],
    window: int,
    horizon: int,
    units: tuple[Floats, Floats],
    n_groups: int,
) -> Floats:
    """Return log w of each candidate, up to a constant, for one group of times after the other.

    Zeros where no series tells any.

    Errors are means over all origins behind the first two seasons of a series, whose futures end
    with it; their logarithms are averaged over series.

    Parameters
    ----------
    history : History
        Series with ``horizon`` unknown times behind each.
    chosen : sequence of (name, season length)
        Candidates.
    season_lengths : sequence of int
        Of the series, the shortest first.
    window, horizon : int
        Times that a candidate is computed from, and that it forecasts.
    units : tuple of ndarray of shape (n_covariates,)
        Mean and deviation of covariates, by which times are similar.
    n_groups : int
        Parts of the horizon, each judged by the errors until its end.
    """
    origins = origins_within(
        history.offsets,
        horizon=1,
        least_past=2 * max(season_lengths) + 1,
        step=1,
        is_uniform=False,
        held_out=np.full(history.n_series, horizon),
    )
    if len(origins.series) == 0:
        return np.zeros(n_groups * len(chosen))
    windows = cut(
        history,
        *origins.all(),
        length=window,
        horizon=horizon,
        centre=None,
        scale=None,
        season_length=1,
    )
    truth = history.values[windows.rows[:, None, window:]]
    known = in_own_units(history.covariates, *units, windows.rows)
    forecasts = candidates(windows.u, chosen, season_lengths, horizon, known)
    errors = np.abs(windows.restored(forecasts) - truth)
    ends = [-(-horizon * group // n_groups) for group in range(1, n_groups + 1)]
    return np.concatenate([_log_weights(errors[:, :, :end], windows.series) for end in ends])


def _log_weights(errors: Floats, series: Integers) -> Floats:
    """Return log w by errors (n, n_candidates, n_times) at origins of some series."""
    is_known = ~np.isnan(errors)
    sums = np.stack(
        [np.bincount(series, row) for row in np.where(is_known, errors, 0.0).sum(axis=2).T]
    )
    counts = np.bincount(series, is_known[:, 0].sum(axis=1))
    told = (counts > 0) & (sums.max(axis=0) > 0.0)
    if not told.any():
        return np.zeros(errors.shape[1])
    means = sums[:, told] / counts[told]
    means = np.maximum(means, LEAST_SHARE * means.max(axis=0))
    power = power_of(len(errors) / errors.shape[2])
    return np.asarray(-power * np.log(means).mean(axis=1))


def power_of(n_futures: float) -> float:
    """Return p where so many futures that do not overlap tell errors."""
    return POWER * n_futures / (n_futures + 1.0)
