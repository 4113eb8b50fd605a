"""From where forecasts are made in training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elman._forecast.history import Integers


@dataclass(frozen=True)
class Origins:
    """Origins to draw from: of each series first, first + step, … last.

    Parameters
    ----------
    series : ndarray of int64 of shape (n,)
        Series that have one.
    first, counts : ndarray of int64 of shape (n,)
        Their first origin, and how many there are.
    step : int
        Between neighbours.
    is_uniform : bool
        Whether every series is drawn alike, or else every origin.
    """

    series: Integers
    first: Integers
    counts: Integers
    step: int
    is_uniform: bool

    def draw(self, n: int, random_state: np.random.RandomState) -> Integers:
        """Draw the numbers of n origins, with replacement."""
        ends = np.cumsum(self.counts)
        if not self.is_uniform:
            return np.asarray(random_state.randint(ends[-1], size=n))
        which = random_state.randint(len(self.series), size=n)
        place = (random_state.random_sample(n) * self.counts[which]).astype(np.int64)
        return np.asarray((ends - self.counts)[which] + place)

    def at(self, numbers: Integers) -> tuple[Integers, Integers]:
        """Return the series and the first forecast times of some origins."""
        ends = np.cumsum(self.counts)
        which = np.searchsorted(ends, numbers, side="right")
        place = numbers - (ends - self.counts)[which]
        return self.series[which], self.first[which] + self.step * place

    def all(self) -> tuple[Integers, Integers]:
        """Return every origin once."""
        return self.at(np.arange(len(self)))

    def __len__(self) -> int:
        return int(self.counts.sum())


def origins_within(
    offsets: Integers,
    *,
    horizon: int,
    least_past: int,
    step: int,
    is_uniform: bool,
    held_out: Integers,
    n_beyond: int = 0,
) -> Origins:
    """Origins whose future is known and not held out, a whole number of steps before the end.

    Parameters
    ----------
    offsets : ndarray of int64 of shape (n_series + 1,)
        Where each series begins; none of their times lies in the future.
    horizon : int
        Times that are forecast.
    least_past : int
        Times that a series must have before an origin.
    step : int
        1 for every origin; the length of a season for those in phase with the end of the series.
    is_uniform : bool
        As of `Origins`.
    held_out : ndarray of int64 of shape (n_series,)
        Times at the end of each series that are not looked at.
    n_beyond : int
        How many of these lie behind what is known, of which the forecast is that is wanted.
    """
    ends = offsets[1:] - n_beyond
    last = ends - steps_ahead(held_out - n_beyond + horizon, step)
    span = last - (offsets[:-1] + least_past)
    series = np.flatnonzero(span >= 0)
    counts = span[series] // step + 1
    return Origins(series, last[series] - step * (counts - 1), counts, step, is_uniform)


def steps_ahead(n_times: Integers, step: int) -> Integers:
    """Return the least whole number of steps that holds some times, in times."""
    return -(-n_times // step) * step


def held_out_origins(offsets: Integers, *, horizon: int, held_out: Integers, most: int) -> Origins:
    """Evenly spaced origins whose whole future is held out, about ``most`` of them in all."""
    span = held_out - horizon
    step = max(1, int(np.sum(span + 1)) // most)
    counts = span // step + 1
    first = offsets[1:] - horizon - step * (counts - 1)
    return Origins(np.arange(len(held_out)), first, counts, step, True)
