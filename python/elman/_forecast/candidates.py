"""Simple forecasts, of which a network learns to mix those that fit a series.

Every one is computed from a window u of L values and m the length of a season; t = 0, 1, … counts
the times that are forecast, and s(t) = t mod m.

    last             u[L - 1]
    mean             mean of u over the last season, or over the window without one
    drift            u[L - 1] + (t + 1) (u[L - 1] - u[0]) / (L - 1)
    seasonal         u[L - m + s(t)]
    seasonal_mean    mean of u[L - k m + s(t)] over the k = 1, 2, … 7 seasons that the window holds
    seasonal_pair    the same over k = 1, 2
    seasonal_last    seasonal + (u[L - 1] - u[L - 1 - m])
    seasonal_level   seasonal + (mean of the last short season - mean of the one m before)
    seasonal_trend   seasonal + (1 + floor(t / m)) (mean of the last season - of the one before)
    seasonal_drift   seasonal + (1 + floor(t / m)) (mean of u[i] - u[i - m] over the window)
    seasonal_damped  seasonal + (1 + d + d^2 + ... + d^floor(t / m)) (the same mean), with d = 0.9:
                     growth slows down (Gardner & McKenzie, 1985)
    seasonal_similar mean of u[L - k m + s(t)] over the seasons k = 1, 2, … of the window, weighted
                     by exp(-d / 2), where d is the squared distance between the covariates that
                     are known of that time and of the one that is forecast (Nadaraya, 1964)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from elman._forecast.history import Floats, Integers

MOST_SEASONS_IN_A_MEAN = 7
DAMPING = 0.9
"""What is left of growth from one season to the next."""


def season(u: Floats, m: int, t: Integers, back: int = 1) -> Floats:
    """Values at the same place of the season, ``back`` seasons ago."""
    return np.asarray(u[:, u.shape[1] - back * m + t % m])


def _level(u: Floats, length: int, before: int = 0) -> Floats:
    """Mean of a season that ended ``before`` values ago, (n, 1)."""
    end = u.shape[1] - before
    return np.asarray(np.mean(u[:, end - length : end], axis=1, keepdims=True))


def _seasonal_mean(u: Floats, m: int, t: Integers, most: int) -> Floats:
    n = min(most, u.shape[1] // m)
    return np.asarray(np.mean([season(u, m, t, back) for back in range(1, n + 1)], axis=0))


def _growth(u: Floats, m: int) -> Floats:
    """Mean change over m values, (n, 1), since the first value that is not its row's first one.

    A series that is shorter than the window begins with its first value again and again.
    """
    change = u[:, m:] - u[:, :-m]
    has_begun = np.maximum.accumulate(u != u[:, :1], axis=1)[:, 1 : 1 + change.shape[1]]
    total = np.sum(np.where(has_begun, change, 0.0), axis=1, keepdims=True)
    return np.asarray(total / np.maximum(1, has_begun.sum(axis=1, keepdims=True)))


def _similar(u: Floats, known: Floats, m: int, t: Integers) -> Floats:
    length = u.shape[1]
    backs = range(1, length // m + 1)
    ahead = known[:, length + t]
    apart = [
        np.sum((known[:, length - back * m + t % m] - ahead) ** 2, axis=2) / 2 for back in backs
    ]
    weights = np.exp(np.min(apart, axis=0) - apart)
    past = np.array([season(u, m, t, back) for back in backs])
    return np.asarray(np.sum(weights * past, axis=0) / np.sum(weights, axis=0))


def _damped(n_seasons: Integers) -> Floats:
    """Growth over one season and n more, each of which has a share of the one before."""
    return np.asarray((1.0 - DAMPING ** (n_seasons + 1)) / (1.0 - DAMPING))


_Candidate = Callable[[Floats, int, int, Integers], Floats]

_UNSEASONAL: dict[str, _Candidate] = {
    "last": lambda u, m, short, t: np.repeat(u[:, -1:], len(t), axis=1),
    "mean": lambda u, m, short, t: np.repeat(_level(u, m if m > 1 else u.shape[1]), len(t), axis=1),
    "drift": lambda u, m, short, t: (
        u[:, -1:] + (t + 1) * (u[:, -1:] - u[:, :1]) / max(1, u.shape[1] - 1)
    ),
}
_SEASONAL: dict[str, _Candidate] = {
    "seasonal": lambda u, m, short, t: season(u, m, t),
    "seasonal_mean": lambda u, m, short, t: _seasonal_mean(u, m, t, MOST_SEASONS_IN_A_MEAN),
    "seasonal_pair": lambda u, m, short, t: _seasonal_mean(u, m, t, 2),
    "seasonal_last": lambda u, m, short, t: season(u, m, t) + (u[:, -1:] - u[:, -1 - m, None]),
    "seasonal_level": lambda u, m, short, t: (
        season(u, m, t) + (_level(u, short) - _level(u, short, m))
    ),
    "seasonal_trend": lambda u, m, short, t: (
        season(u, m, t) + (1 + t // m) * (_level(u, m) - _level(u, m, m))
    ),
    "seasonal_drift": lambda u, m, short, t: season(u, m, t) + (1 + t // m) * _growth(u, m),
    "seasonal_damped": lambda u, m, short, t: season(u, m, t) + _damped(t // m) * _growth(u, m),
}
_CANDIDATES = {**_UNSEASONAL, **_SEASONAL}
_VALUES_NEEDED = {
    "seasonal_last": (1, 1),
    "seasonal_level": (1, 1),
    "seasonal_trend": (2, 0),
    "seasonal_drift": (2, 0),
    "seasonal_damped": (2, 0),
}
SIMILAR = "seasonal_similar"
CANDIDATES = (*_CANDIDATES, SIMILAR)

# What a window of one season, and of one of several, is mixed of unless the user says otherwise.
OF_SHORTEST = ("seasonal", "seasonal_mean", "seasonal_last", "seasonal_trend")
OF_LONGER = ("seasonal", "seasonal_level", "seasonal_pair", "seasonal_last")
OF_SHORT = ("seasonal", "seasonal_last", "seasonal_trend", "seasonal_drift", "seasonal_damped")


def defaults(
    season_lengths: Sequence[int], window: int, has_covariates: bool = False
) -> tuple[tuple[str, int], ...]:
    """Candidates and their seasons for a window; none where it holds no season."""
    chosen = []
    if has_covariates and season_lengths and fits(SIMILAR, season_lengths[0], 1, window):
        chosen.append((SIMILAR, season_lengths[0]))
    for i, m in enumerate(season_lengths):
        for name in OF_SHORTEST if i == 0 else OF_LONGER:
            if fits(name, m, season_lengths[0], window):
                chosen.append((name, m))
    return tuple(chosen)


def trending(season_lengths: Sequence[int], window: int) -> tuple[tuple[str, int], ...]:
    """Candidates of a few short series, whose growth matters more than what they share."""
    seasonal = ((name, m) for m in season_lengths for name in OF_SHORT if fits(name, m, m, window))
    return (("last", 1), *seasonal)


def fits(name: str, m: int, short: int, window: int) -> bool:
    """Whether a window holds the values that a candidate is computed from."""
    if name in _UNSEASONAL:
        return True
    seasons, more = _VALUES_NEEDED.get(name, (1, 0))
    extra = short if name == "seasonal_level" else more
    return m > 1 and seasons * m + extra <= window


def candidates(
    u: Floats,
    chosen: Sequence[tuple[str, int]],
    season_lengths: Sequence[int],
    horizon: int,
    known: Floats | None = None,
) -> Floats:
    """Compute the chosen simple forecasts.

    Parameters
    ----------
    u : ndarray of shape (n, window)
        Windows.
    chosen : sequence of (name, season length)
        Which.
    season_lengths : sequence of int
        Of the series, the shortest first.
    horizon : int
        Times to forecast.
    known : ndarray of shape (n, window + horizon, n_covariates), default=None
        Covariates in units of their own, of which similar times are told.

    Returns
    -------
    forecasts : ndarray of shape (n, n_candidates, horizon)
        In the units of ``u``.
    """
    t = np.arange(horizon)
    short = season_lengths[0] if season_lengths else 1
    if known is None:
        known = np.zeros((len(u), u.shape[1] + horizon, 0))
    return np.stack(
        [
            _similar(u, known, m, t) if name == SIMILAR else _CANDIDATES[name](u, m, short, t)
            for name, m in chosen
        ],
        axis=1,
    )
