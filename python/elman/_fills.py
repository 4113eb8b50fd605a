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
    def _sides(self) -> tuple[Array, Array]:
        """The last and the next observed value; each stands for the other where that is none."""
        (last, has_last), (next_, has_next) = self._neighbours
        before = self._at(np.where(has_last, last, next_))
        after = self._at(np.where(has_next, next_, last))
        is_empty = ~(has_last | has_next)
        if is_empty.any():
            before[is_empty] = after[is_empty] = 0
        return before, after

    def _at(self, rows: Rows) -> Array:
        """Values of each channel in rows of its own."""
        n_channels = self.values.shape[1]
        places = rows * n_channels + np.arange(n_channels)
        return np.asarray(self.values.ravel().take(places, mode="clip"))

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
        since, until = self.steps
        share = since / np.maximum(since + until, 1)
        return np.asarray(before + share * (after - before))

    def away(self, steps: int) -> Array:
        """Linear interpolation so many steps later (or earlier), or here if that is outside."""
        start, stop = self._bounds
        there = self._rows + steps
        is_inside = (there >= start) & (there < stop)
        return np.asarray(self.linear[np.where(is_inside, there, self._rows)[:, 0]])

    @cached_property
    def center(self) -> Array:
        """Mean of what each series has observed of a channel, at each of its rows."""
        starts = self.offsets[:-1]
        total = np.add.reduceat(self.linear * self.is_observed, starts, axis=0)
        count = np.add.reduceat(self.is_observed, starts, axis=0, dtype=total.dtype)
        center = total / np.maximum(count, 1)
        return np.repeat(center, np.diff(self.offsets), axis=0)

    def candidates(self, season_length: int | None) -> list[Array]:
        """Return fills that a network may choose among, linear interpolation first."""
        fills = [self.linear, self.last, self.next]
        if season_length is not None:
            fills += [self.away(-season_length), self.away(season_length)]
        return fills


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
