"""What a table of sequences is asked for, whether its rows are time steps or sequences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array, is_finite
from elman._arrow import labels, whole
from elman._exceptions import problem
from elman._parquet_files import ParquetFiles
from elman._weights import Weights

Place = Callable[[int], str]
"""Names a row, for messages."""


@dataclass(frozen=True)
class Columns:
    """Names of columns, and what they are.

    Parameters
    ----------
    channels : list of str
        Where the values are.
    id, time : str or None
        What tells which sequence a row belongs to, and when it was.
    targets : list of str
        Where the targets are.
    has_output_axis : bool
        Whether the targets came as a list.
    weight : str or None
        Where the weights are.
    """

    channels: list[str]
    id: str | None
    time: str | None
    targets: list[str]
    has_output_axis: bool
    weight: str | None

    @property
    def told(self) -> list[str]:
        """Targets and weights."""
        return self.targets if self.weight is None else [*self.targets, self.weight]


@dataclass(frozen=True)
class Request:
    """What is read of rows.

    Parameters
    ----------
    values, targets : bool
        Whether these are.
    per_step : bool
        Whether targets belong to steps.
    may_miss : bool
        Whether NaN among the values is no error.
    caller : str
        Class and method, for messages.
    into : ndarray of shape (n_steps, n_channels), or None
        Where values may be put.
    """

    values: bool
    targets: bool
    per_step: bool
    may_miss: bool
    caller: str
    into: Array | None = None


@dataclass(frozen=True)
class Found:
    """What was read: values (n_steps, n_channels), rows of the targets, and their weights."""

    values: Array | None
    rows: Array | None
    weights: Weights | None


class SequenceTable:
    """The sequences that are in the rows of files.

    Parameters
    ----------
    files : ParquetFiles
        The files.
    columns : Columns
        What of them.
    """

    dtype: np.dtype[Any]
    n_channels: int

    def __init__(self, files: ParquetFiles, columns: Columns) -> None:
        self.files = files
        self.columns = columns

    def lengths(self, caller: str) -> NDArray[np.int64]:
        """Look how long all sequences are."""
        raise NotImplementedError

    def starts(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row in which each sequence begins, and the number of rows."""
        raise NotImplementedError

    def is_per_step(self, output: str, caller: str) -> bool:
        """Whether there is a target for each step, where the estimator's ``output`` is this."""
        raise NotImplementedError

    def read(self, start: int, stop: int, lengths: NDArray[np.int64], request: Request) -> Found:
        """Read rows, in which sequences of these lengths are whole."""
        raise NotImplementedError

    def place(self, group: int, first: int = 0) -> Place:
        """Return what names a row, counted from the ``first`` of a row group."""
        return lambda row: self.files.place(group, first + row)

    def names(self, request: Request) -> list[str]:
        """Return the columns that are to be read."""
        columns = self.columns.channels if request.values else []
        return list(dict.fromkeys(columns + (self.columns.told if request.targets else [])))

    def room(self, n_steps: int, request: Request) -> Array | None:
        """Return where values shall go, if there shall be any: what is given, if it can be."""
        if not request.values:
            return None
        if request.into is not None and request.into.dtype == self.dtype:
            return request.into
        return np.empty((n_steps, self.n_channels), self.dtype)

    def told(self, column: Any, name: str, place: Place, caller: str) -> Array:
        """Return targets or weights; ValueError tells the row of one that is none."""
        what, is_weight = f"column {name!r}", name == self.columns.weight
        values = labels(complete(column, name, place, caller), caller, what)
        if is_weight:
            if values.dtype.kind not in "fiub":
                got = f"values of dtype {values.dtype}"
                raise TypeError(problem(caller, what, got, "weights"))
            values = values.astype(np.float64)
        check_numbers(values, what, place, caller, is_weight=is_weight)
        return values


def complete(column: Any, name: str, place: Place, caller: str) -> Any:
    """Return a column as an array without nulls; ValueError tells the row of one."""
    import pyarrow.compute as pc

    array = whole(column)
    if array.null_count:
        row = int(np.argmax(pc.is_null(array).to_numpy(zero_copy_only=False)))
        got = f"null at {place(row)}"
        raise ValueError(problem(caller, f"column {name!r}", got, "a value in each row"))
    return array


def check_numbers(
    values: Array,
    what: str,
    place: Place,
    caller: str,
    *,
    may_miss: bool = False,
    is_weight: bool = False,
) -> None:
    """Raise ValueError for what is not finite, or for a negative weight, telling where."""
    if not is_finite(values):
        is_wrong = np.isinf(values) if may_miss else ~np.isfinite(values)
        expected = "finite values"
    elif is_weight:
        is_wrong, expected = values < 0, "weights of at least 0"
    else:
        return
    if is_wrong.any():
        row = int(np.argwhere(is_wrong)[0][0])
        got = f"{values[is_wrong][0]:g} at {place(row)}"
        raise ValueError(problem(caller, what, got, expected))
