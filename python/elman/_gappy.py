"""Series with gaps: read in any of their forms, and given back in it without the gaps.

Here missing is no end: in three dimensions a tail of NaN is a gap like any other. A series of dates
is laid on the regular grid that they tell; times that they leave out are missing too, but are not
given back.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data

from elman._arrays import Array, as_array
from elman._calendar import OFF_GRID, Frequency, check_order, read_times, show, tell_frequency
from elman._exceptions import problem
from elman._fills import Rows
from elman._sequences import InputForm, list_items, read_sequences

LONGEST_HOLE = 1000
"""Steps that dates may leave out within a series; beyond them another series begins."""


@dataclass(frozen=True)
class Calendar:
    """The times of `fit`, by which later ones find their place in the season.

    Parameters
    ----------
    frequency : Frequency
        The step between times.
    origin : str
        The first time.
    """

    frequency: Frequency
    origin: str

    @property
    def season_length(self) -> int | None:
        """Steps of the shortest season that such times usually have."""
        length = self.frequency.season_lengths()[0]
        return length if length > 1 else None

    def first(self) -> Any:
        """Return the first time, as an index of it."""
        import pandas as pd

        if self.frequency.kind == "period":
            return pd.PeriodIndex([self.origin], freq=self.frequency.offset)
        return pd.DatetimeIndex([self.origin])

    def positions(self, times: Any, caller: str) -> Rows:
        """Count the steps from the origin to each time."""
        import pandas as pd

        kind = pd.PeriodIndex if self.frequency.kind == "period" else pd.DatetimeIndex
        if not isinstance(times, kind):
            got, expected = type(times).__name__, f"a {kind.__name__} as in fit"
            raise ValueError(problem(caller, "the index of X", f"a {got}", expected))
        origin = self.first()
        if kind is pd.PeriodIndex and times.freqstr != origin.freqstr:
            got, expected = f"periods of {times.freqstr!r}", f"{origin.freqstr!r} as in fit"
            raise ValueError(problem(caller, "the index of X", got, expected))
        if self.frequency.kind == "date":
            origin = origin.as_unit(times.unit)
            if (origin.tz is None) != (times.tz is None):
                got = "times " + ("without a zone" if times.tz is None else f"of zone {times.tz}")
                raise ValueError(problem(caller, "the index of X", got, "times as those of fit"))
            origin = origin if times.tz is None else origin.tz_convert(times.tz)
        positions = self.frequency.positions(times, origin.repeat(len(times)))
        astray = np.flatnonzero(positions == OFF_GRID)
        if len(astray):
            got = f"{show(times[astray[0]])} in row {astray[0]}"
            expected = f"times of {self.frequency} from {self.origin} on"
            raise ValueError(problem(caller, "the index of X", got, f"{expected}, or no dates"))
        return positions


@dataclass(frozen=True)
class GappySeries:
    """Series, and the X that they came from.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_channels)
        The series one after another, NaN where a value is missing.
    offsets : ndarray of int64
        Where each series begins, and the end of the last.
    positions : ndarray of shape (n_rows,)
        Steps of each row since the series, or the calendar, began.
    form : InputForm
        How the X of `fit` looked.
    calendar : Calendar or None
        Its times.
    source : object
        The X that was read.
    rows : ndarray of int64, or None
        Rows that X has, where it leaves some out.
    """

    values: Array
    offsets: Rows
    positions: Rows
    form: InputForm
    calendar: Calendar | None
    source: Any
    rows: Rows | None = None

    @property
    def lengths(self) -> Rows:
        """Number of steps of each series."""
        return np.diff(self.offsets)

    def given_back(self, estimates: Array, *, is_std: bool = False) -> Any:
        """Put estimates where X has gaps, and give it back in its form.

        Parameters
        ----------
        estimates : ndarray of shape (n_rows, n_channels)
            Estimates; looked at only where a value is missing.
        is_std : bool
            Whether they are standard deviations: what is observed then becomes zero.

        Returns
        -------
        X : ndarray, list of ndarray, DataFrame or Series
            X without gaps.
        """
        is_missing = np.isnan(self.values)
        if self.rows is not None:
            estimates, is_missing = estimates[self.rows], is_missing[self.rows]

        def complete(original: Array, rows: slice) -> Array:
            dtype = original.dtype if original.dtype.kind == "f" else np.dtype(np.float64)
            whole = np.zeros(original.shape, dtype)
            if not is_std:
                whole[...] = original
            flat = whole.reshape(-1, estimates.shape[1])
            np.copyto(flat, estimates[rows], where=is_missing[rows], casting="same_kind")
            return whole

        if isinstance(self.source, list):
            ends = self.offsets.tolist()
            stretches = map(slice, ends[:-1], ends[1:])
            return [complete(x, rows) for x, rows in zip(self.source, stretches, strict=True)]
        if isinstance(self.source, np.ndarray):
            return complete(self.source, slice(None))
        values = complete(_numbers(self.source, ""), slice(None))
        is_changed = np.asarray(is_missing.any(axis=0) | is_std)
        return _like_pandas(self.source, values, is_changed)


def _like_pandas(source: Any, values: Array, is_changed: NDArray[np.bool_]) -> Any:
    """Copy a frame or Series, with other values in the columns that have changed."""
    whole = source.copy() if source.ndim == 2 else source.to_frame()
    for number in np.flatnonzero(is_changed):
        column = whole.iloc[:, number]
        dtype = column.dtype if column.dtype.kind == "f" else np.float64
        new = type(column)(values[:, number], index=column.index).astype(dtype)
        whole.isetitem(number, new)
    return whole if source.ndim == 2 else whole.iloc[:, 0].rename(source.name)


def read_gappy(
    X: Any,
    caller: str,
    holder: Any,
    *,
    layout: str,
    n_channels: int = 1,
    missing_values: float = np.nan,
    form: InputForm | None = None,
    calendar: Calendar | None = None,
) -> GappySeries:
    """Read series in which values are missing.

    Parameters
    ----------
    X : array-like, list of arrays, data frame or Series
        The series.
    caller : str
        Class and method, for messages.
    holder : estimator
        Holds ``feature_names_in_`` where names were seen before, or gets them.
    layout : {"sequences", "series"}
        Whether a table holds a sequence in each row, or one series, a time in each row.
    n_channels : int
        Channels of a time step, for a table of sequences.
    missing_values : float
        What stands for a missing value.
    form : InputForm or None
        How X looked in `fit`; None in `fit` itself.
    calendar : Calendar or None
        The times of `fit`.

    Returns
    -------
    series : GappySeries
        The series.
    """
    is_sequence_list = form is not None and form.layout == layout == "sequences"
    items = list_items(X, caller, "X", is_sequence_list=is_sequence_list)
    is_series = items is None and layout == "series" and np.ndim(X) in (1, 2)
    if items is not None:
        source: Any = [as_array(item, caller, f"X[{i}]") for i, item in enumerate(items)]
        whole: Any = source
    elif is_series:
        source = X if hasattr(X, "iloc") else as_array(X, caller, "X")
        numbers = _numbers(source, caller)
        if np.ndim(X) == 2:
            validate_data(holder, X, reset=form is None, skip_check_array=True, ensure_2d=False)
        whole = numbers.reshape(1, len(numbers), -1)
    else:
        source = as_array(X, caller, "X")
        whole = X
        if form is None:
            _warn_of_one_step(X, n_channels, caller)
    sequences, new_form = read_sequences(
        whole,
        caller,
        holder,
        form=form,
        n_channels=n_channels,
        may_miss=bool(np.isnan(missing_values)),
        ends_in_nan=False,
    )
    if is_series and form is None:
        names = getattr(holder, "feature_names_in_", None)
        new_form = replace(new_form, feature_names=names)
    values = sequences.values
    if not np.isnan(missing_values):
        is_missing = values == values.dtype.type(missing_values)
        values = np.where(is_missing, values.dtype.type(np.nan), values)
    series = GappySeries(
        values, sequences.offsets, _steps_from_start(sequences.offsets), new_form, calendar, source
    )
    return _on_calendar(series, caller) if is_series else series


def _warn_of_one_step(X: Any, n_channels: int, caller: str) -> None:
    """Warn if the rows of a table in time are taken for sequences of a single step each."""
    index = type(getattr(X, "index", None)).__name__
    is_in_time = index in ("DatetimeIndex", "PeriodIndex")
    if is_in_time and np.ndim(X) == 2 and len(X.columns) == n_channels:
        warnings.warn(
            f"{caller}: X got rows of one step each, whose index is times, expected sequences: "
            "layout='series' reads such a table as one series",
            UserWarning,
            stacklevel=4,
        )


def _numbers(source: Any, caller: str) -> Array:
    """Return the numbers of one series, (n_times, n_channels)."""
    is_column = not isinstance(source, np.ndarray) and source.ndim == 1
    array = as_array(source.to_frame() if is_column else source, caller, "X")
    return array[:, None] if array.ndim == 1 else array


def _steps_from_start(offsets: Rows) -> Rows:
    return np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))


def _on_calendar(series: GappySeries, caller: str) -> GappySeries:
    """Lay a series of dates on the grid that they, or those of `fit`, tell."""
    index = getattr(series.source, "index", None)
    if index is None or not hasattr(index, "freqstr"):  # rows have numbers, no dates
        return series
    times = read_times(index, caller, "the index of X")
    whole = np.array([0, len(times)], dtype=np.int64)
    check_order(times, whole, ("X",), caller, "the index of X")
    calendar = series.calendar
    if calendar is None:
        if len(times) < 2 and times.freq is None:
            return series
        frequency = tell_frequency(times, caller, "the index of X")
        calendar = Calendar(frequency, str(times[0]))
    positions = calendar.positions(times, caller)
    steps = np.diff(positions, prepend=positions[0])
    is_hole = steps > LONGEST_HOLE
    rows = np.cumsum(np.where(is_hole, 1, steps))
    starts = np.concatenate([[0], rows[is_hole]])
    offsets = np.append(starts, rows[-1] + 1)
    first = np.concatenate([positions[:1], positions[is_hole]])
    values = np.full((offsets[-1], series.values.shape[1]), np.nan, series.values.dtype)
    values[rows] = series.values
    return replace(
        series,
        values=values,
        offsets=offsets,
        positions=_steps_from_start(offsets) + np.repeat(first, np.diff(offsets)),
        calendar=calendar,
        rows=rows,
    )
