"""How good simple forecasts have been on the series at hand.

Where there are few windows to learn from, the mixture begins with what each candidate was worth so
far: weights that fall with a power of its mean absolute error e,

    w_k = e_k^-p / sum_j e_j^-p,

as in combinations of forecasts by their past performance (Bates & Granger, 1969; Stock & Watson,
2004), and the network learns what to change of that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elman._forecast.candidates import candidates
from elman._forecast.history import Floats, History
from elman._forecast.origins import origins_within
from elman._forecast.window import cut

POWER = 8.0
SEASONS_BEFORE = 2
"""Whole seasons before the first origin of the contest."""
LEAST_SHARE = 1e-6
"""Of the largest error; a candidate that was never wrong is not infinitely good."""


def logits(
    history: History,
    chosen: Sequence[tuple[str, int]],
    season_lengths: Sequence[int],
    window: int,
    horizon: int,
) -> Floats:
    """Return log w of each candidate, up to a constant; zeros where nothing can be told.

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
    origins = origins_within(
        history,
        horizon=1,
        least_past=SEASONS_BEFORE * max(season_lengths, default=1) + 1,
        step=1,
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
        centre="last",
        scale=None,
        season_length=1,
    )
    truth = windows.standardised(history.values[windows.rows[:, window:]])
    forecasts = candidates(windows.u, chosen, season_lengths, horizon)
    errors = np.nanmean(np.abs(forecasts - truth[:, None]), axis=(0, 2))
    if not errors.max() > 0.0:
        return np.zeros(len(chosen))
    return np.asarray(-POWER * np.log(np.maximum(errors, LEAST_SHARE * errors.max())))
