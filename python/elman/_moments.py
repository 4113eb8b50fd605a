"""Means and deviations of rows that come in parts: the same bits however they are cut.

The rows are put together to pieces of a fixed number, each is summed as an array is, and the sums
are added in order. Rows that fit into one piece have the bits of an array's own mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array
from elman._exceptions import abbreviated, problem

N_ROWS = 2**16
ROUNDING = 10 * np.finfo(np.float64).eps
"""A deviation of so many largest values or less is that of a constant."""

Floats = NDArray[np.float64]
Part = tuple[Array, Any]
"""Rows, and their weights or None."""


def pieces(parts: Iterable[Part]) -> Iterator[Part]:
    """Yield rows and weights in pieces of `N_ROWS` rows, the last one of what is left."""
    waiting: list[Part] = []
    n_waiting = 0
    for rows, weights in parts:
        start = 0
        while n_waiting + len(rows) - start >= N_ROWS:
            stop = start + N_ROWS - n_waiting
            yield _joined([*waiting, _cut(rows, weights, start, stop)])
            start, waiting, n_waiting = stop, [], 0
        if start < len(rows):
            waiting.append(_cut(rows, weights, start, len(rows)))
            n_waiting += len(rows) - start
    if waiting:
        yield _joined(waiting)


def _cut(rows: Array, weights: Any, start: int, stop: int) -> Part:
    return rows[start:stop], None if weights is None else weights[start:stop]


def _joined(parts: list[Part]) -> Part:
    if len(parts) == 1:
        return parts[0]
    rows = np.concatenate([rows for rows, _ in parts])
    weights = None if parts[0][1] is None else np.concatenate([w for _, w in parts])
    return rows, weights


def mean(parts: Iterable[Part]) -> Floats:
    """Weighted mean of each column."""
    total: Any = 0.0
    weight: Any = 0.0
    for rows, weights in pieces(parts):
        if weights is None:
            total, weight = total + rows.sum(axis=0, dtype=np.float64), weight + len(rows)
        else:
            total, weight = total + (rows * weights[:, None]).sum(axis=0), weight + weights.sum()
    return np.asarray(total / weight, dtype=np.float64)


def standard_units(parts: Iterable[Part]) -> tuple[Floats, Floats]:
    """Weighted mean and standard deviation of each column; 1 for a constant one.

    Parameters
    ----------
    parts : iterable of (ndarray of shape (n_rows, n_columns), ndarray of shape (n_rows,) or None)
        Rows and their weights; gone through three or four times.
    """
    unit_mean, deviation, largest = mean_and_deviation(parts)
    return unit_mean * largest, unit_of(deviation, largest)


def mean_and_deviation(parts: Iterable[Part]) -> tuple[Floats, Floats, Floats]:
    """Both in units of the largest value of each column, and that."""
    heaviest = max((float(w.max(initial=0.0)) for _, w in parts if w is not None), default=1.0)
    shared = _Shared(parts, heaviest)
    largest: Any = np.finfo(np.float64).tiny
    for rows, _ in shared:
        largest = np.maximum(largest, np.abs(rows).max(axis=0, initial=0.0))
    unit_mean = mean((rows / largest, shares) for rows, shares in shared)
    variance = mean(((rows / largest - unit_mean) ** 2, shares) for rows, shares in shared)
    return unit_mean, np.sqrt(variance), largest


def unit_of(deviation: Floats, largest: Floats) -> Floats:
    """Return the unit of a column with such a deviation in units of its largest value."""
    is_constant = deviation <= ROUNDING
    return np.where(is_constant, 1.0, deviation * largest)


def standard_units_of_each(arrays: Array) -> tuple[Floats, Floats]:
    """Return what `standard_units` tells of each array (n_rows, n_columns), all of one shape."""
    if arrays.shape[1] > N_ROWS:
        means, units = zip(*(standard_units([(rows, None)]) for rows in arrays), strict=True)
        return np.array(means), np.array(units)
    largest = np.maximum(np.abs(arrays).max(axis=1), np.finfo(np.float64).tiny)
    unit = arrays / largest[:, None]
    unit_mean = unit.mean(axis=1)
    deviation = np.sqrt(((unit - unit_mean[:, None]) ** 2).mean(axis=1))
    return unit_mean * largest, unit_of(deviation, largest)


class _Shared:
    """Rows that have a weight, and weights as shares of the largest one."""

    def __init__(self, parts: Iterable[Part], heaviest: float) -> None:
        self._parts = parts
        self._heaviest = heaviest

    def __iter__(self) -> Iterator[Part]:
        for rows, weights in self._parts:
            if weights is None:
                yield rows, None
            else:
                shares = weights / self._heaviest
                yield rows[shares > 0], shares[shares > 0]


def channel_means(parts: Iterable[Part], caller: str) -> Floats:
    """Weighted means of what is not NaN, from which missing values fade.

    ValueError where there is nothing in a channel, or nothing that has a weight.
    """
    total: Any = 0.0
    count: Any = 0
    for values, weights in pieces(parts):
        is_there = ~np.isnan(values)
        known = np.where(is_there, values, 0)
        if weights is None:
            total = total + known.sum(axis=0, dtype=np.float64)
            count = count + np.count_nonzero(is_there, axis=0)
        else:
            total = total + (known * weights[:, None]).sum(axis=0)
            count = count + (is_there * weights[:, None]).sum(axis=0)
    empty = np.flatnonzero(count == 0)
    if len(empty):
        got = f"no value at all in the channels {abbreviated(empty.tolist())}"
        raise ValueError(problem(caller, "X", got, "at least one, which tells their mean"))
    return np.asarray(total / count, dtype=np.float64)
