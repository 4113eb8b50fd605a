"""Columns beside a panel of series: X at its times, X at the times to come, and what is static.

X is one of

- an array (n_times, n_covariates) or a frame, shared by all series: row by row, or by its times
  where it has a `DatetimeIndex`, a `PeriodIndex` or a column ``ds``;
- a list with such an array for each series;
- a frame with the columns ``unique_id`` and ``ds`` beside the covariates.

Columns of text, categories or truth values become codes, whose categories are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from elman._calendar import (
    OFF_GRID,
    Integers,
    check_order,
    concatenated,
    earliest,
    integers_of,
    kind_of,
    read_times,
    show,
    zone_of,
)
from elman._columns import coded, joined_columns, read_columns
from elman._exceptions import abbreviated, problem
from elman._panel_form import N_LISTED, Columns, PanelForm
from elman._panel_rows import (
    Floats,
    check_known,
    is_frame,
    is_polars,
    is_series,
    series_codes,
    to_pandas,
)
from elman._sequences import list_items, offsets_of

if TYPE_CHECKING:
    from elman._panel import Panel


@dataclass(frozen=True)
class _Table:
    """Rows of covariates as they came."""

    matrix: Floats
    columns: Columns
    times: Any = None  # None: row by row
    series: Integers | None = None  # number of each row's series; None: shared by all
    offsets: Integers | None = None  # where each array of a list begins


def read_covariates(
    X: Any, panel: Panel, given: Integers, lengths: Integers, caller: str, *, is_fit: bool
) -> tuple[Floats | None, Columns | None]:
    """Read X at the times of a panel.

    Parameters
    ----------
    X : object
        The covariates, or None.
    panel : Panel
        The series.
    given : ndarray of shape (n_total_times,)
        The row of y that each value was given in, or -1.
    lengths : ndarray of shape (n_series,)
        Rows of y that each series was given in.
    caller : str
        Class and method, for messages.
    is_fit : bool
        Whether the columns are not known yet.

    Returns
    -------
    matrix : ndarray of shape (n_total_times, n_covariates) or None
        The covariates; NaN where X has no row and y none either.
    columns : Columns or None
        The columns.

    Raises
    ------
    ValueError
        If X has no row for a time of y, goes on after y, or its columns are not those of `fit`.
    """
    expected = None if is_fit else panel.form.covariates
    if X is None or (not is_fit and expected is None):
        _check_presence(X, expected, caller)
        return None, None
    table = _read_table(X, panel.form, expected, caller)
    if table.times is None:
        rows = _rows_of_positions(table, panel, given, lengths, caller)
    else:
        rows = _rows_of_times(table, panel, panel.lengths, np.zeros(len(panel), np.int64), caller)
        _check_all_there(rows, table, panel, given, caller)
    return _taken(table.matrix, rows), table.columns


def read_future(
    X: Any, panel: Panel, horizon: int, caller: str, needed: Sequence[str] | None = None
) -> Floats | None:
    """Read X at the times after the end of each series.

    Parameters
    ----------
    X : object
        The covariates, or None.
    panel : Panel
        The series.
    horizon : int
        Number of times.
    caller : str
        Class and method, for messages.
    needed : sequence of str, default=None
        Columns that X must have; None is all of `fit`. Others may be left out.

    Returns
    -------
    future : ndarray of shape (n_series, horizon, n_covariates) or None
        The covariates, NaN in columns that were left out; None if there are none in `fit`.

    Raises
    ------
    ValueError
        If X lacks a column or a row that is needed.
    """
    columns = panel.form.covariates
    if columns is None:
        _check_presence(X, None, caller)
        return None
    names = columns.names if needed is None else tuple(needed)
    has_rows = X is not None and not (is_frame(X) and not len(X))
    if not has_rows and not names:
        return np.full((len(panel), horizon, len(columns)), np.nan)
    wanted = _wanted(names, panel, horizon)
    if not has_rows:
        got = "None" if X is None else "a frame without rows"
        raise ValueError(problem(caller, "X", got, wanted))
    table = _read_table(X, panel.form, columns, caller, names, wanted)
    counts = np.full(len(panel), horizon)
    if table.times is None:
        rows = _rows_to_come(table, panel, horizon, caller)
    else:
        rows = _rows_of_times(table, panel, counts, panel.lengths, caller)
    _check_future(rows, panel, horizon, wanted, caller)
    return _taken(table.matrix, rows).reshape(len(panel), horizon, len(columns))


def read_past_and_future(
    X: Any,
    panel: Panel,
    given: Integers,
    lengths: Integers,
    horizon: int,
    caller: str,
    needed: Sequence[str],
) -> tuple[Floats | None, Floats | None]:
    """Read an X that holds the times of a panel and those after it.

    Parameters
    ----------
    X, panel, given, lengths, horizon, caller, needed : object
        As of `read_covariates` and `read_future`. Where no column is needed after the end, X
        may end with y.

    Returns
    -------
    covariates : ndarray of shape (n_total_times, n_covariates) or None
        X at the times of the panel.
    future : ndarray of shape (n_series, horizon, n_covariates) or None
        X after them.

    Raises
    ------
    ValueError
        If X lacks a row.
    """
    columns = panel.form.covariates
    _check_presence(X, columns, caller)
    if columns is None:
        return None, None
    table = _read_table(X, panel.form, columns, caller)
    shape = (len(panel), horizon, len(columns))
    if table.times is None:
        more = (horizon,) if needed else (0, horizon)
        rows = _rows_of_positions(table, panel, given, lengths, caller, more)
        if not needed:
            return _taken(table.matrix, rows), np.full(shape, np.nan)
        ends = rows[panel.offsets[1:] - 1]
        future = (ends[:, None] + 1 + np.arange(horizon)).ravel()
    else:
        counts = np.full(len(panel), horizon)
        rows = _rows_of_times(table, panel, panel.lengths, np.zeros(len(panel), np.int64), caller)
        _check_rows(rows, panel, given, caller)
        future = _rows_of_times(table, panel, counts, panel.lengths, caller)
        if needed:
            _check_future(future, panel, horizon, _wanted(needed, panel, horizon), caller)
    return _taken(table.matrix, rows), _taken(table.matrix, future).reshape(shape)


def _check_future(rows: Integers, panel: Panel, horizon: int, wanted: str, caller: str) -> None:
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        series = int(missing[0]) // horizon
        n_found = int((rows.reshape(-1, horizon)[series] >= 0).sum())
        of_series = f" for series {panel.names[series]!r}" if len(panel) > 1 else ""
        raise ValueError(problem(caller, "X", f"{n_found} rows{of_series}", wanted))


def _check_presence(X: Any, columns: Columns | None, caller: str) -> None:
    if X is None and columns is not None:
        expected = f"the columns {abbreviated(list(columns.names))}, as in fit"
        raise ValueError(problem(caller, "X", "None", expected))
    if X is not None and columns is None:
        raise ValueError(problem(caller, "X", f"a {type(X).__name__}", "None, as in fit"))


def _wanted(names: Sequence[str], panel: Panel, horizon: int) -> str:
    """Say what X must have for a forecast."""
    times = panel.future_times(horizon)
    span = f", {show(times[0])} to {show(times[horizon - 1])}" if panel.form.has_dates else ""
    listed = ", ".join(names[:N_LISTED]) + (", …" if len(names) > N_LISTED else "")
    return f"the columns {listed} in {horizon} rows after the end of y{span}"


def _taken(matrix: Floats, rows: Integers) -> Floats:
    taken = matrix[np.maximum(rows, 0)]
    taken[rows < 0] = np.nan
    return taken


def _rows_of_positions(
    table: _Table,
    panel: Panel,
    given: Integers,
    lengths: Integers,
    caller: str,
    more: tuple[int, ...] = (0,),
) -> Integers:
    """Return the row of X for each value, where X has as many rows as y, or some ``more``."""
    layout = panel.form.layout
    if table.offsets is None:
        if layout == "list" and len(panel) > 1:
            raise ValueError(problem(caller, "X", "an array", "a list with one for each series"))
        if layout == "long" and more != (0,):
            raise ValueError(problem(caller, "X", "rows without times", "rows that tell them"))
        n_rows = int(lengths.sum() if layout == "long" else lengths[0])
        _check_count(len(table.matrix), n_rows, more, caller, "X")
        return given
    _check_list(table, panel, caller)
    for i, n_rows in enumerate(np.diff(table.offsets)):
        _check_count(int(n_rows), int(lengths[i]), more, caller, f"X[{i}]")
    first = table.offsets[:-1] - (offsets_of(lengths)[:-1] if layout == "list" else 0)
    return np.where(given < 0, -1, np.repeat(first, panel.lengths) + given)


def _check_count(
    n_rows: int, n_times: int, more: tuple[int, ...], caller: str, argument: str
) -> None:
    if n_rows - n_times not in more:
        and_more = f" and {more[0]} more" if more[0] else ""
        expected = f"{n_times}, as in y{and_more}"
        raise ValueError(problem(caller, argument, f"{n_rows} rows", expected))


def _check_list(table: _Table, panel: Panel, caller: str) -> None:
    n_arrays = 0 if table.offsets is None else len(table.offsets) - 1
    if panel.form.layout == "long":
        expected = f"a frame with the columns {', '.join(panel.form.columns[:2])}, as y has them"
        raise ValueError(problem(caller, "X", "a list", expected))
    if n_arrays != len(panel):
        got, expected = f"a list of {n_arrays} arrays", f"{len(panel)}, one for each series"
        raise ValueError(problem(caller, "X", got, expected))


def _rows_to_come(table: _Table, panel: Panel, horizon: int, caller: str) -> Integers:
    """Return the row of X for each time to come, where rows count from the end of y."""
    steps = np.arange(horizon)
    if table.offsets is None:
        if len(panel) > 1 and panel.form.layout in ("list", "long"):
            expected = "rows that tell their series and times"
            if panel.form.layout == "list":
                expected = "a list with one for each series"
            raise ValueError(problem(caller, "X", "rows without series", expected))
        return np.tile(np.where(steps < len(table.matrix), steps, -1), len(panel))
    _check_list(table, panel, caller)
    lengths = np.diff(table.offsets)[:, None]
    rows = np.where(steps < lengths, table.offsets[:-1, None] + steps, -1)
    return np.asarray(rows.ravel())


def _rows_of_times(
    table: _Table, panel: Panel, counts: Integers, first: Integers, caller: str
) -> Integers:
    """Return the row of X, or -1, for times ``first`` to ``first + counts`` of each series."""
    _check_times(table, panel, caller)
    frequency, offsets = panel.form.frequency, offsets_of(counts)
    if table.series is None:
        origin = earliest(concatenated(table.times, panel.starts))
        places = frequency.positions(table.times, origin[np.zeros(len(table.times), np.int64)])
        starts = frequency.positions(panel.starts, origin[np.zeros(len(panel), np.int64)])
        _check_grid(places, table.times, frequency, caller)
        _check_grid(starts, panel.starts, frequency, caller)
        wanted = np.repeat(starts + first - offsets[:-1], counts) + np.arange(offsets[-1])
        row_at = np.full(max(places.max(), wanted.max()) + 1, -1)
        row_at[places] = np.arange(len(places))
        return np.asarray(row_at[wanted])
    number = np.full(len(panel.form.names), -1)
    number[panel.series] = np.arange(len(panel))
    series = number[table.series]
    rows_there = np.flatnonzero(series >= 0)
    series = series[rows_there]
    places = frequency.positions(table.times[rows_there], panel.starts[series])
    _check_grid(places, table.times[rows_there], frequency, caller)
    within = places - first[series]
    is_wanted = (within >= 0) & (within < counts[series])
    rows = np.full(offsets[-1], -1)
    rows[(offsets[series] + within)[is_wanted]] = rows_there[is_wanted]
    return rows


def _check_times(table: _Table, panel: Panel, caller: str) -> None:
    frequency = panel.form.frequency
    kind, zone = kind_of(table.times), zone_of(table.times)
    if (kind, zone) != (frequency.kind, frequency.zone):
        got = f"{kind} times of the zone {zone}"
        expected = f"{frequency.kind} times of the zone {frequency.zone}, as in y"
        raise ValueError(problem(caller, "X", got, expected))


def _check_grid(places: Integers, times: Any, frequency: Any, caller: str) -> None:
    if (places == OFF_GRID).any():
        got = show(times[int(np.argmax(places == OFF_GRID))])
        raise ValueError(problem(caller, "X", got, f"times on the grid of {frequency}"))


def _check_all_there(
    rows: Integers, table: _Table, panel: Panel, given: Integers, caller: str
) -> None:
    """Raise ValueError where X lacks a time at which y has a row, or goes on after all of y."""
    _check_rows(rows, panel, given, caller)
    ends = panel.future_times(1)
    last = ends[int(np.argmax(integers_of(ends)))]
    later = np.flatnonzero(table.times >= last)
    if len(later):
        got = f"a row at {show(table.times[later[0]])}, after the end of y"
        raise ValueError(problem(caller, "X", got, "no more times than y: `predict` takes them"))


def _check_rows(rows: Integers, panel: Panel, given: Integers, caller: str) -> None:
    missing = np.flatnonzero((rows < 0) & (given >= 0))
    if len(missing):
        value = int(missing[0])
        series = int(np.searchsorted(panel.offsets, value, side="right")) - 1
        of_series = f" for series {panel.names[series]!r}" if len(panel) > 1 else ""
        got = f"no row at {show(panel.times()[value])}{of_series}"
        raise ValueError(problem(caller, "X", got, "a row for each of y"))


def _read_table(
    X: Any,
    form: PanelForm,
    expected: Columns | None,
    caller: str,
    needed: Sequence[str] | None = None,
    wanted: str | None = None,
) -> _Table:
    """Read the rows of X; of ``needed`` columns only, where they are told."""
    items = None if is_frame(X) or is_series(X) else list_items(X, caller, "X")
    if items is not None:
        parts = [read_columns(item, caller, f"X[{i}]") for i, item in enumerate(items)]
        given, lengths = joined_columns(parts, caller, "X")
        matrix, columns = coded(given, expected, caller, "X", needed, wanted)
        return _Table(matrix, columns, offsets=offsets_of(lengths))
    times = series = None
    if is_frame(X):
        X, times, series = _split_keys(X, form, caller)
    matrix, columns = coded(read_columns(X, caller, "X"), expected, caller, "X", needed, wanted)
    return _Table(matrix, columns, times, series)


def _split_keys(frame: Any, form: PanelForm, caller: str) -> tuple[Any, Any, Integers | None]:
    """Take the columns of ids and times, or the index, from a frame; check the order of times."""
    if is_polars(frame):
        frame = to_pandas(frame, caller)
    id_name, time_name = form.columns[:2]
    series = None
    if id_name in frame.columns:
        codes, ids = series_codes(frame[id_name], caller, f"X[{id_name!r}]")
        series = check_known(ids, form, caller, "X")[codes]
        frame = frame.drop(columns=id_name)
        if time_name not in frame.columns:
            got = f"the column {id_name!r} and no column {time_name!r}"
            raise ValueError(problem(caller, "X", got, "both"))
    if time_name in frame.columns:
        times = read_times(frame[time_name], caller, f"X[{time_name!r}]")
        frame = frame.drop(columns=time_name)
    elif form.has_dates and frame.index.dtype.kind not in "iu":
        times = read_times(frame.index, caller, "X")
    else:
        return frame, None, series
    by_series = np.zeros(len(times), np.int64) if series is None else series
    order = np.argsort(by_series, kind="stable")
    bounds = np.flatnonzero(np.diff(by_series[order])) + 1
    names = [form.names[i] for i in by_series[order][np.append(0, bounds)]]
    check_order(times[order], np.array([0, *bounds, len(times)]), names, caller, "X")
    return frame, times, series


def read_static(static: Any, form: PanelForm, caller: str) -> tuple[Floats | None, Columns | None]:
    """Read what holds for a series at all its times.

    Parameters
    ----------
    static : array-like or frame of shape (n_series, n_static), or None
        A frame tells the ids in its index or in its column ``unique_id``; an array has the
        series in the order of y.
    form : PanelForm
        How y came.
    caller : str
        Class and method, for messages.

    Returns
    -------
    matrix : ndarray of shape (n_series, n_static) or None
        A row for each of ``form.names``; categories are codes.
    columns : Columns or None
        The columns.

    Raises
    ------
    ValueError
        If a series has no row, or more than one.
    """
    if static is None:
        return None, None
    ids = None
    if is_frame(static):
        frame = to_pandas(static, caller) if is_polars(static) else static
        id_name = form.columns[0]
        if id_name in frame.columns:
            ids, static = list(frame[id_name]), frame.drop(columns=id_name)
        elif form.layout in ("wide", "long"):
            ids, static = list(frame.index), frame
        else:
            static = frame
    matrix, columns = coded(read_columns(static, caller, "static"), None, caller, "static")
    if ids is not None:
        rows = {name: row for row, name in enumerate(ids)}
        twice = [name for row, name in enumerate(ids) if rows[name] != row]
        absent = [name for name in form.names if name not in rows]
        if twice or absent:
            got = f"two rows for {twice[0]!r}" if twice else f"no row for {absent[:N_LISTED]}"
            raise ValueError(problem(caller, "static", got, "one for each series"))
        return matrix[[rows[name] for name in form.names]], columns
    if len(matrix) != len(form.names):
        got, expected = f"{len(matrix)} rows", f"{len(form.names)}, one for each series"
        raise ValueError(problem(caller, "static", got, expected))
    return matrix, columns
