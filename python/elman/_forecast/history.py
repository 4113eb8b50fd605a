"""Series as a forecaster reads them: transformed, without holes, one after another."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def transformed(values: Floats, transform: str | None) -> Floats:
    """Values on the scale on which the network sees them: "log", "log1p" or as they are."""
    if transform is None:
        return values
    return np.asarray(np.log(values) if transform == "log" else np.log1p(values))


def restored(values: Floats, transform: str | None) -> Floats:
    """Undo `transformed`; what would be too large stays the largest number."""
    if transform is None:
        return values
    with np.errstate(over="ignore"):
        restored = np.exp(values) if transform == "log" else np.expm1(values)
    return np.asarray(np.minimum(restored, np.finfo(np.float64).max))


@dataclass(frozen=True)
class History:
    """Series one after another, and what is known beside them.

    Parameters
    ----------
    values : ndarray of shape (n_total_times,)
        Transformed values; NaN where nothing is known.
    before, after : ndarray of int64 of shape (n_total_times,)
        The nearest time with a known value, not after and not before each time, of any series.
    offsets : ndarray of shape (n_series + 1,)
        Where each series begins.
    covariates : ndarray of shape (n_total_times, n_covariates)
        Columns that are known at the time that is forecast.
    past : ndarray of shape (n_total_times, n_past_covariates)
        Columns that are known up to the origin of a forecast only.
    static : ndarray of shape (n_series, n_static)
        What a series is known to be at any time.
    identities : ndarray of int64 of shape (n_series,)
        Their numbers among the series that were trained on.
    """

    values: Floats
    before: Integers
    after: Integers
    offsets: Integers
    covariates: Floats
    past: Floats
    static: Floats
    identities: Integers

    @property
    def n_series(self) -> int:
        """Number of series."""
        return len(self.offsets) - 1

    @property
    def starts(self) -> Integers:
        """First time of each series."""
        return self.offsets[:-1]

    @property
    def ends(self) -> Integers:
        """Time behind the last one of each series."""
        return self.offsets[1:]

    def writable(self) -> History:
        """Return a copy into which forecasts may be written."""
        return replace(
            self,
            values=self.values.copy(),
            before=self.before.copy(),
            after=self.after.copy(),
        )

    def write(self, origins: Integers, values: Floats) -> None:
        """Put forecasts (n_series, n) where nothing was known."""
        rows = origins[:, None] + np.arange(values.shape[1])
        self.values[rows] = values
        self.before[rows] = self.after[rows] = rows

    def filled(self, rows: Integers, starts: Integers) -> Floats:
        """Values at rows of times, a hole with the last value before it within its row.

        A hole at the start of a row has the first value after it; a row of holes has the last value
        before it, or is zero if there is none since ``starts``, where its series begins.
        """
        place = self.before[rows]
        place = np.where(place >= rows[:, :1], place, self.after[rows])
        is_empty = place[:, 0] > rows[:, -1]
        place[is_empty] = self.before[rows[is_empty, :1]]
        is_known = place >= starts[:, None]
        return np.where(is_known, self.values[np.where(is_known, place, rows)], 0.0)


def neighbours(values: Floats) -> tuple[Integers, Integers]:
    """Return of each time the nearest one with a value that is not after it, and not before it.

    Where there is none, -1 and the number of times.
    """
    times = np.arange(len(values))
    is_known = ~np.isnan(values)
    before = np.maximum.accumulate(np.where(is_known, times, -1))
    after = np.minimum.accumulate(np.where(is_known, times, len(values))[::-1])[::-1]
    return before, after
