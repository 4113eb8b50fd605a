"""What stands around missing values: the simple fills, and how far away they come from.

Series stand one after another in the rows of an array, as in `_sequences`; no fill reaches from one
into another. NaN is what is missing. All of it is arrays: nothing here loops over steps or series.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Fills:
    """Simple fills of the missing values of some series.

    An observed value is its own fill. Where a channel of a series has nothing observed, every
    fill is zero: the mean of the channel, in values that are scaled.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_channels)
        The series, NaN where a value is missing.
    offsets : ndarray of int64
        Where each series begins, and the end of the last.
    """

    values: Array
    offsets: Rows

    @cached_property
    def is_observed(self) -> NDArray[np.bool_]:
        """Whether each value is there."""
        return ~np.isnan(self.values)

    @cached_property
    def _rows(self) -> Rows:
        return np.arange(len(self.values))[:, None]

    @cached_property
    def _bounds(self) -> tuple[Rows, Rows]:
        """First row of each row's series, and the row behind its last, as columns."""
        lengths = np.diff(self.offsets)
        start, stop = (
            np.repeat(edge, lengths)[:, None] for edge in (self.offsets[:-1], self.offsets[1:])
        )
        return start, stop

    @cached_property
    def _neighbours(self) -> tuple[tuple[Rows, NDArray[np.bool_]], tuple[Rows, NDArray[np.bool_]]]:
        """Rows of the last observed value until each, and of the next from it on; if there are."""
        start, stop = self._bounds
        n_rows = len(self.values)
        # Products: a `where` by a mask without order takes six times as long.
        ahead = (self._rows + 1) * self.is_observed
        last = np.maximum.accumulate(ahead, axis=0) - 1
        behind = (n_rows - self._rows) * self.is_observed
        next_ = n_rows - np.maximum.accumulate(behind[::-1], axis=0)[::-1]
        return (last, last >= start), (next_, next_ < stop)

    @cached_property
    def steps(self) -> tuple[Array, Array]:
        """Steps since the last observed value, and until the next.

        Where there is none, as many as the series has.
        """
        (last, has_last), (next_, has_next) = self._neighbours
        start, stop = self._bounds
        since = np.where(has_last, self._rows - last, stop - start)
        until = np.where(has_next, next_ - self._rows, stop - start)
        return since.astype(self.values.dtype), until.astype(self.values.dtype)

    @cached_property
    def ends(self) -> tuple[Rows, Rows, Array]:
        """Rows that hold the last and the next observed value, and how far it is between them.

        Each stands for the other where that is none; the way is a share from 0 to 1. Where nothing
        is observed rows mean nothing, and `is_empty` tells.
        """
        (last, has_last), (next_, has_next) = self._neighbours
        since, until = self.steps
        before = np.where(has_last, last, next_)
        after = np.where(has_next, next_, last)
        most = len(self.values) - 1
        return before.clip(0, most), after.clip(0, most), since / np.maximum(since + until, 1)

    @cached_property
    def is_empty(self) -> NDArray[np.bool_]:
        """Whether nothing is observed of a channel of a value's series."""
        (_, has_last), (_, has_next) = self._neighbours
        return ~(has_last | has_next)

    def _at_ends(self, signals: Array) -> tuple[Array, Array]:
        """Signals, one for each channel, where the last and the next value is observed."""
        n_channels = signals.shape[1]
        before, after, _ = self.ends
        columns, flat = np.arange(n_channels), signals.ravel()
        at_ends = flat[before * n_channels + columns], flat[after * n_channels + columns]
        if self.is_empty.any():
            for values in at_ends:
                values[self.is_empty] = 0
        return at_ends

    def line(self, signals: Array) -> Array:
        """Straight lines through signals, one for each channel, where values are observed."""
        before, after = self._at_ends(signals)
        return np.asarray(before + self.ends[2] * (after - before))

    @cached_property
    def _sides(self) -> tuple[Array, Array]:
        return self._at_ends(self.values)

    @property
    def last(self) -> Array:
        """The last observed value; before the first, that one."""
        return self._sides[0]

    @property
    def next(self) -> Array:
        """The next observed value; behind the last, that one."""
        return self._sides[1]

    @cached_property
    def linear(self) -> Array:
        """Linear interpolation; at the ends of a series the nearest observed value."""
        before, after = self._sides
        return np.asarray(before + self.ends[2] * (after - before))

    def away(self, steps: int, filled: Array | None = None) -> Array:
        """Return fills so many steps later (or earlier), or here if that is outside.

        Linear interpolation, or what else the series are filled with.
        """
        start, stop = self._bounds
        there = self._rows + steps
        is_inside = (there >= start) & (there < stop)
        filled = self.linear if filled is None else filled
        return np.asarray(filled[np.where(is_inside, there, self._rows)[:, 0]])

    @cached_property
    def center(self) -> Array:
        """Mean of what each series has observed of a channel, at each of its rows."""
        starts = self.offsets[:-1]
        total = np.add.reduceat(self.linear * self.is_observed, starts, axis=0)
        count = np.add.reduceat(self.is_observed, starts, axis=0, dtype=total.dtype)
        center = total / np.maximum(count, 1)
        return np.repeat(center, np.diff(self.offsets), axis=0)


def seasonal_waves(positions: Rows, season_length: int | None, dtype: Any) -> Array:
    """Sine and cosine of where each step stands in the season, and of twice that.

    Parameters
    ----------
    positions : ndarray of shape (n_rows,)
        Steps since a season began.
    season_length : int or None
        Steps of a season; no columns without one, and a wave that the steps are too few for is
        left out.
    dtype : dtype
        Of the result.

    Returns
    -------
    waves : ndarray of shape (n_rows, 4), or fewer columns
        The waves.
    """
    if season_length is None:
        return np.zeros((len(positions), 0), dtype)
    cycles = np.arange(1, 1 + min(2, season_length // 2))
    angles = 2 * np.pi * np.outer(positions % season_length, cycles) / season_length
    return np.hstack([np.sin(angles), np.cos(angles)]).astype(dtype)
