"""Shapes of gaps: told by the data's own, and drawn anew to hide what is there.

Three shapes are known. Points are single values, each missing by itself. A run is a stretch of one
channel, as when a sensor fails. A block is a stretch of several channels at once, as when a logger
fails.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array
from elman._exceptions import abbreviated, problem
from elman._fills import Rows
from elman._parameters import number

SHAPES = ("points", "runs", "blocks")
LEAST_GAPS = 30
"""Gaps from which on their shapes are told."""
LEAST_LONG_GAPS = 10
"""Long gaps from which on their lengths are told."""
FLOOR = 0.1
"""Share of a shape that is rare: it may come yet."""
SHORTENED = 3
"""How much shorter than the data's own some of the hidden gaps are."""
CHANCE = 0.05
"""Share of gaps among points that are longer than what counts as long."""

# How much is hidden, as shares of values, of channels and of further blocks.
POINTS_SHARE = (0.05, 0.4)
RUNS_SHARE = (0.1, 0.5)
N_BLOCKS, BLOCKS_SHARE, MOST_IN_BLOCKS = 4, 0.6, 0.5

Bools = NDArray[np.bool_]
Range = tuple[int, int]


@dataclass(frozen=True)
class GapShapes:
    """How often gaps have which shape, and how large they are.

    Parameters
    ----------
    points, runs, blocks : float
        Share of windows in which values are hidden in that shape; they sum to one.
    length : pair of int
        Least and largest number of steps of runs and blocks.
    width : pair of int
        Least and largest number of channels of blocks.
    """

    points: float
    runs: float
    blocks: float
    length: Range
    width: Range

    def hide(self, is_observed: Bools, offsets: Rows, random_state: np.random.RandomState) -> Bools:
        """Draw which observed values of some windows are hidden; each window has one shape.

        Parameters
        ----------
        is_observed : ndarray of shape (n_rows, n_channels)
            Whether each value is there.
        offsets : ndarray of int64
            Where each window begins, and the end of the last.
        random_state : RandomState
            Draws.

        Returns
        -------
        is_hidden : ndarray of shape (n_rows, n_channels)
            Whether each value is hidden: none that is not observed, and at least one in all.
        """
        windows = _Windows(offsets, is_observed.shape[1])
        shape = random_state.choice(3, len(offsets) - 1, p=[self.points, self.runs, self.blocks])
        is_hidden = np.empty_like(is_observed)
        for i, draw in enumerate((self._points, self._runs, self._blocks)):
            is_drawn = shape == i
            is_hidden[windows.spread(is_drawn)] = draw(windows.take(is_drawn), random_state)
        is_hidden &= is_observed
        if not is_hidden.any():
            places = np.flatnonzero(is_observed)
            is_hidden.flat[places[random_state.randint(len(places))]] = True
        return is_hidden

    def _points(self, windows: _Windows, random_state: np.random.RandomState) -> Bools:
        share = random_state.uniform(*POINTS_SHARE, windows.n)
        draws = random_state.random_sample((windows.n_rows, windows.n_channels))
        return np.asarray(draws < windows.spread(share)[:, None])

    def _runs(self, windows: _Windows, random_state: np.random.RandomState) -> Bools:
        size = (windows.n, windows.n_channels)
        share = random_state.uniform(*RUNS_SHARE, (windows.n, 1))
        is_hit = random_state.random_sample(size) < share
        is_hit[np.arange(windows.n), random_state.randint(windows.n_channels, size=windows.n)] = (
            True
        )
        return windows.stretches(is_hit, self._lengths(random_state, size), random_state)

    def _blocks(self, windows: _Windows, random_state: np.random.RandomState) -> Bools:
        is_hidden = np.zeros((windows.n_rows, windows.n_channels), bool)
        lengths = np.minimum(
            self._lengths(random_state, (windows.n, N_BLOCKS)), windows.lengths[:, None]
        )
        for i in range(N_BLOCKS):
            width = random_state.randint(self.width[0], self.width[1] + 1, size=(windows.n, 1))
            order = random_state.random_sample((windows.n, windows.n_channels)).argsort(axis=1)
            is_hit = order < np.minimum(width, windows.n_channels)
            if i:
                is_hit &= random_state.random_sample((windows.n, 1)) < BLOCKS_SHARE
                share = lengths[:, : i + 1].sum(axis=1, keepdims=True) / windows.lengths[:, None]
                is_hit &= share * width / windows.n_channels < MOST_IN_BLOCKS
            is_hidden |= windows.stretches(is_hit, lengths[:, i : i + 1], random_state)
        return is_hidden

    def _lengths(self, random_state: np.random.RandomState, size: tuple[int, ...]) -> Rows:
        """Lengths of stretches, as likely in each octave."""
        low, high = self.length
        octaves = random_state.uniform(math.log(low), math.log(high + 1), size)
        return np.exp(octaves).astype(np.int64).clip(low, high)


def gap_lengths(is_missing: Bools, offsets: Rows) -> Rows:
    """Count the steps of each gap: of each stretch of missing values in a channel of a series.

    Parameters
    ----------
    is_missing : ndarray of shape (n_rows, n_channels)
        Whether each value is missing.
    offsets : ndarray of int64
        Where each series begins, and the end of the last.

    Returns
    -------
    lengths : ndarray of shape (n_gaps,)
        The lengths, channel after channel.
    """
    is_first = np.ones(len(is_missing), bool)
    is_first[1:] = False
    is_first[offsets[:-1]] = True
    is_last = np.roll(is_first, -1)
    begins, ends = is_missing.copy(), is_missing.copy()
    begins[1:] &= ~is_missing[:-1] | is_first[1:, None]
    ends[:-1] &= ~is_missing[1:] | is_last[:-1, None]
    return np.asarray(np.flatnonzero(ends.T) - np.flatnonzero(begins.T) + 1)


def gap_shapes(
    gaps: str | Mapping[str, Any], is_missing: Bools, offsets: Rows, window: int
) -> GapShapes:
    """Tell how gaps look, by the parameter `gaps` and where that leaves it open by the data.

    Parameters
    ----------
    gaps : "auto", one of `SHAPES`, or dict
        Told by the data; mostly one shape; or shares of shapes and bounds of sizes by name.
    is_missing : ndarray of shape (n_rows, n_channels)
        Whether each value is missing.
    offsets : ndarray of int64
        Where each series begins, and the end of the last.
    window : int
        Steps of the longest gap that can be seen.

    Returns
    -------
    shapes : GapShapes
        The shapes. Equal shares where they are not given and there are too few gaps to tell.
    """
    n_channels = is_missing.shape[1]
    lengths = gap_lengths(is_missing, offsets)
    shares = np.full(3, 1 / 3)
    if len(lengths) >= LEAST_GAPS:
        shares = _shares(is_missing, offsets)
    given = gaps if isinstance(gaps, Mapping) else {}
    length = given.get("length") or _length(lengths, is_missing.mean(), shares[0], window)
    width = given.get("width") or _width(is_missing, shares[2])
    if isinstance(gaps, str) and gaps in SHAPES:
        shares = np.array([float(gaps == shape) for shape in SHAPES])
    if any(shape in given for shape in SHAPES):
        shares = np.array([float(given.get(shape, 0)) for shape in SHAPES])
    elif len(lengths) >= LEAST_GAPS or gaps in SHAPES:
        shares = FLOOR + (1 - 3 * FLOOR) * shares
    if n_channels == 1:  # a block of one channel is a run
        shares = np.array([shares[0], shares[1] + shares[2], 0.0])
    points, runs, blocks = (shares / shares.sum()).tolist()
    return GapShapes(
        points, runs, blocks, length=_bounds(length, window), width=_bounds(width, n_channels)
    )


def _shares(is_missing: Bools, offsets: Rows) -> Array:
    """Shares of points, runs and blocks, by how values that are missing keep together.

    The correlation of neighbouring steps is 0 for points and close to 1 for long gaps; that of
    channels at one step is 0 for points and runs, and close to 1 for blocks.
    """
    rate = is_missing.mean(axis=0)
    variance = (rate * (1 - rate)).sum()
    if variance == 0:
        return np.full(3, 1 / 3)
    is_inside = np.ones(len(is_missing), bool)
    is_inside[offsets[1:] - 1] = False
    here = np.flatnonzero(is_inside)
    if not len(here):
        return np.array([1.0, 0.0, 0.0])
    both = (is_missing[here] & is_missing[here + 1]).mean(axis=0)
    of_steps = np.clip((both - rate**2).sum() / variance, 0, 1)
    n_channels = is_missing.shape[1]
    of_channels = 0.0
    if n_channels > 1 and of_steps > 0:
        excess = is_missing.sum(axis=1).var() / variance - 1
        of_channels = np.clip(excess / (n_channels - 1) / of_steps, 0, 1)
    return np.array([1 - of_steps, of_steps * (1 - of_channels), of_steps * of_channels])


def _length(lengths: Rows, missing_rate: float, share_of_points: float, window: int) -> Range:
    """Bounds of the lengths of runs and blocks: of gaps longer than points make them.

    Shorter ones are hidden too: they leave more to learn from. Where much is missing the longest
    are several that have met, as what is hidden will meet them, too.
    """
    point_rate = missing_rate * share_of_points
    point_rate = min(max(point_rate, 1e-9), 1 - 1e-9)
    by_chance = math.ceil(math.log(CHANCE) / math.log(point_rate))
    long = lengths[lengths > by_chance]
    n_by_chance = point_rate**by_chance * len(lengths)
    if len(long) < LEAST_LONG_GAPS + 2 * n_by_chance:
        return max(1, window // 8), max(1, 5 * window // 6)
    low, high = np.quantile(np.minimum(long, window), [0.1, 0.9], method="nearest")
    high = low + (1 - missing_rate) * (high - low)
    return max(1, int(low) // SHORTENED), int(high)


def _width(is_missing: Bools, share_of_blocks: float) -> Range:
    """Bounds of the widths of blocks: of channels that are missing together."""
    together = is_missing.sum(axis=1)
    together = together[together > 1]
    if share_of_blocks < FLOOR or len(together) < LEAST_LONG_GAPS:
        return min(2, is_missing.shape[1]), is_missing.shape[1]
    low, high = np.quantile(together, [0.1, 0.9], method="nearest")
    return int(low), int(high)


def _bounds(size: int | Range, largest: int) -> Range:
    low, high = np.broadcast_to(size, 2).tolist()
    return min(low, largest), min(high, largest)


def check_gaps(gaps: Any, caller: str) -> None:
    """Raise ValueError unless `gaps` is what `gap_shapes` takes.

    Parameters
    ----------
    gaps : object
        The parameter.
    caller : str
        Class and method, for messages.
    """
    if isinstance(gaps, str) and gaps in ("auto", *SHAPES):
        return
    if not isinstance(gaps, Mapping):
        expected = f"'auto', one of {', '.join(map(repr, SHAPES))}, or a dict"
        raise ValueError(problem(caller, "gaps", abbreviated(gaps), expected))
    for name, value in gaps.items():
        argument = f"gaps[{name!r}]"
        if name in SHAPES:
            if not number(0).passes(value):
                raise ValueError(problem(caller, argument, abbreviated(value), "a share >= 0"))
        elif name not in ("length", "width"):
            expected = f"the keys {', '.join(SHAPES)}, length and width"
            raise ValueError(problem(caller, "gaps", f"the key {name!r}", expected))
        elif not _is_size(value):
            expected = "an integer of at least 1, or two in a row that rises"
            raise ValueError(problem(caller, argument, abbreviated(value), expected))
    shares = [gaps[shape] for shape in SHAPES if shape in gaps]
    if shares and not sum(shares) > 0:
        raise ValueError(problem(caller, "gaps", "shares that are all zero", "a positive one"))


def _is_size(value: Any) -> bool:
    bounds = (value, value) if np.ndim(value) == 0 else value
    return (
        len(bounds) == 2
        and all(isinstance(bound, Integral) and not isinstance(bound, bool) for bound in bounds)
        and 1 <= bounds[0] <= bounds[1]
    )


@dataclass(frozen=True)
class _Windows:
    """Windows that stand one after another."""

    offsets: Rows
    n_channels: int

    @property
    def n(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_rows(self) -> int:
        return int(self.offsets[-1])

    @property
    def lengths(self) -> Rows:
        return np.diff(self.offsets)

    def take(self, is_chosen: Bools) -> _Windows:
        ends = np.cumsum(self.lengths[is_chosen])
        return _Windows(np.concatenate([[0], ends]).astype(np.int64), self.n_channels)

    def spread(self, of_windows: Array) -> Array:
        """Repeat what each window has for each of its rows."""
        return np.repeat(of_windows, self.lengths, axis=0)

    def stretches(self, is_hit: Bools, lengths: Rows, random_state: np.random.RandomState) -> Bools:
        """Rows of a stretch of these lengths in each window, in the channels that are hit.

        With one length for each window the channels share the stretch.
        """
        lengths = np.minimum(lengths, self.lengths[:, None])
        room = self.lengths[:, None] - lengths + 1
        start = (random_state.random_sample(lengths.shape) * room).astype(np.int64)
        start += self.offsets[:-1, None]
        rows = np.arange(self.n_rows)[:, None]
        is_within = (rows >= self.spread(start)) & (rows < self.spread(start + lengths))
        return np.asarray(is_within & self.spread(is_hit))
