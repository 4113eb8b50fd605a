"""How good simple forecasts have been on the series at hand.

Where there are few windows to learn from, the mixture begins with what each candidate was worth so
far: weights that fall with a power of its mean absolute error e,

    w_k = e_k^-p / sum_j e_j^-p,

as in combinations of forecasts by their past performance (Bates & Granger, 1969; Stock & Watson,
2004), and the network learns what to change of that. What a network without candidates is to
forecast from, is the constant that forecasts best.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elman._forecast.candidates import candidates
from elman._forecast.history import Floats, History
from elman._forecast.origins import origins_within
from elman._forecast.window import cut

POWER = 8.0
LEAST_SHARE = 1e-6
"""Of the largest error; a candidate that was never wrong is not infinitely good."""
MOST_ORIGINS = 2000
"""In all series together, about."""


def logits(
    history: History,
    chosen: Sequence[tuple[str, int]],
    season_lengths: Sequence[int],
    window: int,
    horizon: int,
) -> Floats:
    """Return log w of each candidate, up to a constant.

    The origins lie behind the first two seasons, and futures end with the series.

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
    """
    least_past = 2 * max(season_lengths) + 1
    errors = _log_errors(history, chosen, season_lengths, window, horizon, least_past)
    return -POWER * errors


def best_centre(history: History, season_lengths: Sequence[int], window: int, horizon: int) -> str:
    """Return which constant forecasts best: the last value, the mean of a season or of a window.

    Parameters
    ----------
    history, season_lengths, window, horizon
        As of `logits`.
    """
    means = {"last": ("last", 1), "mean": ("mean", 1)}
    if season_lengths and season_lengths[0] < window:
        means["season"] = ("mean", season_lengths[0])
    chosen = list(means.values())
    errors = _log_errors(history, chosen, season_lengths, window, horizon, window)
    return list(means)[int(np.argmin(errors))]


def _log_errors(
    history: History,
    chosen: Sequence[tuple[str, int]],
    season_lengths: Sequence[int],
    window: int,
    horizon: int,
    least_past: int,
) -> Floats:
    """Logarithm of each candidate's mean absolute error on a series, averaged over series.

    Zeros where no series tells any.
    """
    n_origins = int(np.maximum(np.diff(history.offsets) - horizon - least_past, 0).sum())
    origins = origins_within(
        history,
        horizon=1,
        least_past=least_past,
        step=1 + n_origins // MOST_ORIGINS,
        is_uniform=False,
        held_out=np.full(history.n_series, horizon),
    )
    if len(origins.series) == 0:
        return np.zeros(len(chosen))
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
    errors = np.abs(candidates(windows.u, chosen, season_lengths, horizon) - truth)
    is_known = ~np.isnan(errors)
    sums = np.stack(
        [np.bincount(windows.series, row) for row in np.where(is_known, errors, 0.0).sum(axis=2).T]
    )
    counts = np.bincount(windows.series, is_known[:, 0].sum(axis=1))
    told = (counts > 0) & (sums.max(axis=0) > 0.0)
    if not told.any():
        return np.zeros(len(chosen))
    means = sums[:, told] / counts[told]
    return np.asarray(np.log(np.maximum(means, LEAST_SHARE * means.max(axis=0))).mean(axis=1))
