"""The window that a forecast looks at, in units of its own.

    u = (z - centre) / scale        z the transformed values of the window

so that one network serves series of every level and size, and a series whose level moves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from elman._forecast.history import Floats, History, Integers

LEAST_RELATIVE_SCALE = 1e-3
"""Of the mean absolute value; a window that hardly moves is not blown up to noise."""


@dataclass(frozen=True)
class Window:
    """What is known at some origins, a row for each.

    Parameters
    ----------
    u : ndarray of shape (n, window)
        The last values before the origin in units of the window, holes filled.
    is_known : ndarray of bool of shape (n, window)
        Where `u` is not a filling.
    rows : ndarray of int64 of shape (n, window + horizon)
        Times of the window and of the horizon in the history; those before a series' first one
        are its first one, those behind its last one that. Where the network reads whole segments
        there are more rows, which are those of the horizon's last time.
    series : ndarray of int64 of shape (n,)
        Which series each row is of.
    centre, scale : ndarray of shape (n,)
        The units.
    """

    u: Floats
    is_known: NDArray[np.bool_]
    rows: Integers
    series: Integers
    centre: Floats
    scale: Floats

    def take(self, rows: slice) -> Window:
        """Only some of the windows."""
        return Window(*(getattr(self, field.name)[rows] for field in fields(self)))

    def standardised(self, z: Floats) -> Floats:
        """Turn values (n, k) into units of the window."""
        return np.asarray((z - self.centre[:, None]) / self.scale[:, None])

    def restored(self, u: Floats) -> Floats:
        """Undo `standardised`, on (n, k) or (n, k, m)."""
        shape = (-1,) + (1,) * (u.ndim - 1)
        return np.asarray(u * self.scale.reshape(shape) + self.centre.reshape(shape))


def cut(
    history: History,
    series: Integers,
    origins: Integers,
    *,
    length: int,
    horizon: int,
    centre: str | None,
    scale: str | None,
    season_length: int,
    n_ahead: int | None = None,
    unit: float = 1.0,
) -> Window:
    """Cut the windows that end before some origins.

    Parameters
    ----------
    history : History
        The series, as far as they are known or asked for.
    series, origins : ndarray of int64 of shape (n,)
        Of each window its series, and the first time that is forecast.
    length, horizon : int
        Times in a window, and times that are forecast.
    centre : {"mean", "median", "last"} or None
        What is taken off.
    scale : {"standard", "mean_absolute", "robust", "difference", "seasonal_difference"} or None
        What is divided by.
    season_length : int
        Of "seasonal_difference".
    n_ahead : int, default=None
        Times behind the window that have rows; those behind the horizon are its last one. None
        is the horizon.
    unit : float, default=1.0
        The scale of windows that are zero throughout.
    """
    starts = history.starts[series]
    ahead = np.arange(-length, horizon if n_ahead is None else n_ahead)
    times = origins[:, None] + np.minimum(ahead, horizon - 1)
    rows = np.clip(times, starts[:, None], history.ends[series][:, None] - 1)
    is_known = (times >= starts[:, None])[:, :length] & ~np.isnan(history.values[rows[:, :length]])
    z = history.filled(rows[:, :length], starts)
    middle = _CENTRES[centre](z, season_length)
    least = LEAST_RELATIVE_SCALE * np.mean(np.abs(z), axis=1)
    size = np.maximum(_SCALES[scale](z, season_length), least)
    size[size == 0.0] = unit
    u = (z - middle[:, None]) / size[:, None]
    return Window(u, is_known, rows, series, middle, size)


def in_own_units(values: Floats, mean: Floats, scale: Floats, rows: Integers) -> Floats:
    """Covariates at some rows in units of their own; what is missing is the mean."""
    return np.nan_to_num((values[rows] - mean) / scale)


def _interquartile_range(z: Floats, season_length: int) -> Floats:
    low, high = np.quantile(z, [0.25, 0.75], axis=1)
    return np.asarray((high - low) / 1.349)  # of a normal distribution that is its deviation


def _mean_absolute_change(z: Floats, lag: int) -> Floats:
    if lag >= z.shape[1]:
        lag = 1
    return np.asarray(np.mean(np.abs(z[:, lag:] - z[:, :-lag]), axis=1))


_CENTRES: dict[str | None, Callable[[Floats, int], Floats]] = {
    "mean": lambda z, m: np.asarray(np.mean(z, axis=1)),
    "median": lambda z, m: np.asarray(np.median(z, axis=1)),
    "season": lambda z, m: np.asarray(np.mean(z[:, -m:], axis=1)),
    "last": lambda z, m: z[:, -1].copy(),
    None: lambda z, m: np.zeros(len(z)),
}
_SCALES: dict[str | None, Callable[[Floats, int], Floats]] = {
    "standard": lambda z, m: np.asarray(np.std(z, axis=1, ddof=min(1, z.shape[1] - 1))),
    "mean_absolute": lambda z, m: np.asarray(np.mean(np.abs(z), axis=1)),
    "robust": _interquartile_range,
    "difference": lambda z, m: _mean_absolute_change(z, 1),
    "seasonal_difference": _mean_absolute_change,
    None: lambda z, m: np.ones(len(z)),
}
CENTRES = tuple(name for name in _CENTRES if name is not None)
SCALES = tuple(name for name in _SCALES if name is not None)
