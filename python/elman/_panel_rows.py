"""The rows of y as they came: an array, a list, a Series or a frame, each with its times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array, as_array
from elman._calendar import (
    OFF_GRID,
    Frequency,
    Integers,
    check_order,
    import_pandas,
    kind_of,
    read_times,
    show,
    tell_frequency,
    zone_of,
)
from elman._exceptions import abbreviated, problem
from elman._panel_form import N_LISTED, PanelForm
from elman._sequences import list_items, offsets_of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Values as they came: series by series, each with its place on the grid."""

    values: Floats
    offsets: Integers
    positions: Integers  # steps from the start of the series
    starts: Any
    series: Integers
    given: Integers  # the row of y, or of the arrays of a list joined
    form: PanelForm


def read_rows(y: Any, caller: str, form: PanelForm | None, columns: tuple[str, str, str]) -> Rows:
    if is_polars(y):
        return _read_frame(to_pandas(y, caller), "polars", caller, form, columns)
    if _is_pandas(y, "DataFrame"):
        return _read_frame(y, "pandas", caller, form, columns)
    if is_series(y):
        return _read_series(y, caller, form)
    is_list = form is not None and form.layout == "list"
    items = list_items(y, caller, "y", is_sequence_list=is_list)
    if items is not None:
        return _read_list(items, caller, form)
    return _read_array(as_array(y, caller, "y"), caller, form)


def is_series(data: Any) -> bool:
    """Whether data is a Series of pandas."""
    return _is_pandas(data, "Series")


def is_frame(data: Any) -> bool:
    """Whether data is a frame of pandas or polars."""
    return is_polars(data) or _is_pandas(data, "DataFrame")


def is_polars(data: Any) -> bool:
    """Whether data is a frame of polars."""
    return _root(data) == "polars" and hasattr(data, "columns")


def _is_pandas(data: Any, name: str) -> bool:
    return _root(data) == "pandas" and any(base.__name__ == name for base in type(data).__mro__)


def _root(data: Any) -> str:
    return type(data).__module__.partition(".")[0]


def to_pandas(frame: Any, caller: str) -> Any:
    """Make a frame of pandas of one of polars, without pyarrow."""
    pd = import_pandas(caller)
    return pd.DataFrame({name: _polars_column(frame[name]) for name in frame.columns})


def _polars_column(column: Any) -> Any:
    import pandas as pd

    dtype = str(column.dtype)
    if dtype.startswith("Enum"):
        return pd.Categorical(column.to_list(), categories=column.cat.get_categories().to_list())
    zone = getattr(column.dtype, "time_zone", None)
    if zone is not None:
        utc = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return pd.DatetimeIndex(utc.to_numpy()).tz_localize("UTC").tz_convert(zone)
    if dtype.startswith(("String", "Categorical", "Object")):
        return column.to_list()
    return column.to_numpy()


def _read_array(array: Array, caller: str, form: PanelForm | None) -> Rows:
    if array.ndim not in (1, 2) or 0 in array.shape:
        expected = "(n_times,) or (n_times, n_series), with at least one of each"
        raise ValueError(problem(caller, "y", f"shape {array.shape}", expected))
    is_flat = array.ndim == 1
    n_times, n_series = len(array), 1 if is_flat else array.shape[1]
    names = tuple(range(n_series))
    found = PanelForm("array", names, Frequency("integer", "1"), is_flat=is_flat)
    form = _same_kind(found, form, caller)
    if form.names != names:
        expected = f"{len(form.names)}, as in fit"
        raise ValueError(problem(caller, "y", f"{n_series} series", expected))
    return _shared_times(array.reshape(n_times, n_series), np.arange(n_times), form, caller)


def _read_list(items: list[Any], caller: str, form: PanelForm | None) -> Rows:
    arrays = [as_array(item, caller, f"y[{i}]") for i, item in enumerate(items)]
    for i, array in enumerate(arrays):
        if array.ndim != 1 or not len(array):
            expected = "(n_times,), with at least one time"
            raise ValueError(problem(caller, f"y[{i}]", f"shape {array.shape}", expected))
    names = tuple(range(len(arrays)))
    form = _same_kind(PanelForm("list", names, Frequency("integer", "1")), form, caller)
    if form.names != names:
        expected = f"{len(form.names)}, as in fit"
        raise ValueError(problem(caller, "y", f"{len(arrays)} series", expected))
    offsets = offsets_of(np.array([len(array) for array in arrays], dtype=np.int64))
    n_rows, n_series = int(offsets[-1]), len(arrays)
    return Rows(
        values=np.concatenate(arrays).astype(np.float64),
        offsets=offsets,
        positions=np.arange(n_rows) - np.repeat(offsets[:-1], np.diff(offsets)),
        starts=np.zeros(n_series, dtype=np.int64),
        series=np.arange(n_series),
        given=np.arange(n_rows),
        form=form,
    )


def _read_series(y: Any, caller: str, form: PanelForm | None) -> Rows:
    values = floats_of(y, caller, "y")
    times = read_times(y.index, caller, "y")
    frequency = _frequency(times, form, caller, "y")
    found = PanelForm("series", (0,), frequency, "pandas", index_name=y.index.name, label=y.name)
    return _shared_times(values[:, None], times, _same_kind(found, form, caller), caller)


def _read_frame(
    frame: Any, library: str, caller: str, form: PanelForm | None, columns: tuple[str, str, str]
) -> Rows:
    columns = columns if form is None else form.columns
    names = list(frame.columns)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        got = f"the column {twice!r} more than once"
        raise ValueError(problem(caller, "y", got, "distinct column names"))
    if not len(frame):
        raise ValueError(problem(caller, "y", "a frame without rows", "at least one"))
    if columns[0] in names:
        return _read_long(frame, library, caller, form, columns)
    return _read_wide(frame, library, caller, form, columns)


def _read_wide(
    frame: Any, library: str, caller: str, form: PanelForm | None, columns: tuple[str, str, str]
) -> Rows:
    has_time_column = columns[1] in frame.columns
    index = frame[columns[1]] if has_time_column else frame.index
    argument = f"y[{columns[1]!r}]" if has_time_column else "y"
    times = read_times(index, caller, argument)
    table = frame.drop(columns=columns[1]) if has_time_column else frame
    if not table.shape[1]:
        raise ValueError(problem(caller, "y", "a frame without series", "a column for each"))
    found = PanelForm(
        "wide",
        tuple(table.columns),
        _frequency(times, form, caller, argument),
        library,
        columns,
        has_time_column=has_time_column,
        index_name=frame.index.name,
        label=table.columns.name,
    )
    form = _same_kind(found, form, caller)
    check_known(list(found.names), form, caller, "y")
    absent = [name for name in form.names if name not in found.names]
    if absent:
        got = f"no column {abbreviated(absent[:N_LISTED])}"
        raise ValueError(problem(caller, "y", got, "every series of fit"))
    series = [floats_of(table[name], caller, f"y[{name!r}]") for name in form.names]
    return _shared_times(np.column_stack(series), times, form, caller)


def _read_long(
    frame: Any, library: str, caller: str, form: PanelForm | None, columns: tuple[str, str, str]
) -> Rows:
    missing = [name for name in columns if name not in frame.columns]
    more = [name for name in frame.columns if name not in columns]
    if missing or more:
        got = f"no column {missing[0]!r}" if missing else f"the further columns {more[:N_LISTED]}"
        expected = f"the columns {', '.join(columns)}; covariates are handed in as X"
        raise ValueError(problem(caller, "y", got, expected))
    codes, ids = series_codes(frame[columns[0]], caller, f"y[{columns[0]!r}]")
    order = np.argsort(codes, kind="stable")
    offsets = offsets_of(np.bincount(codes).astype(np.int64))
    argument = f"y[{columns[1]!r}]"
    times = read_times(frame[columns[1]], caller, argument)[order]
    check_order(times, offsets, ids, caller, argument)
    longest = int(np.argmax(np.diff(offsets)))
    part = times[offsets[longest] : offsets[longest + 1]]
    found = PanelForm(
        "long", tuple(ids), _frequency(part, form, caller, argument), library, columns
    )
    form = _same_kind(found, form, caller)
    series = check_known(ids, form, caller, "y")
    starts = times[offsets[:-1]]
    rows_of = np.repeat(np.arange(len(ids)), np.diff(offsets))
    return Rows(
        values=floats_of(frame[columns[2]], caller, f"y[{columns[2]!r}]")[order],
        offsets=offsets,
        positions=_positions(times, starts[rows_of], offsets, form, caller, argument),
        starts=starts,
        series=series,
        given=order,
        form=form,
    )


def series_codes(column: Any, caller: str, argument: str) -> tuple[Integers, list[Any]]:
    """Return the place of each row's id among the ids, and those, as they come."""
    import pandas as pd

    codes, ids = pd.factorize(np.asarray(column.astype(object)))
    if (codes < 0).any():
        row = int(np.argmax(codes < 0))
        raise ValueError(problem(caller, argument, f"no id in row {row}", "one in every row"))
    return codes.astype(np.int64), list(ids)


def check_known(ids: list[Any], form: PanelForm, caller: str, argument: str) -> Integers:
    """Return the numbers of ids among the series of `fit`; ValueError for unknown ones."""
    numbers = {name: i for i, name in enumerate(form.names)}
    unknown = [name for name in ids if name not in numbers]
    if unknown:
        more = f" and {len(unknown) - N_LISTED} more" if len(unknown) > N_LISTED else ""
        got = f"the unknown series {', '.join(map(repr, unknown[:N_LISTED]))}{more}"
        raise ValueError(problem(caller, argument, got, "series of fit"))
    return np.array([numbers[name] for name in ids], dtype=np.int64)


def floats_of(column: Any, caller: str, argument: str) -> Floats:
    """Return a column of a frame as floats, in which NaN is missing."""
    import pandas as pd

    if column.dtype.kind in "mM":
        expected = "numbers; times stand in the index, as after y.set_index"
        raise ValueError(problem(caller, argument, f"dtype {column.dtype}", expected))
    try:
        return np.array(column.to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError) as error:
        rows = np.flatnonzero(pd.to_numeric(column, errors="coerce").isna() & column.notna())
        got = f"dtype {column.dtype}"
        if len(rows):
            got = f"{abbreviated(column.iloc[rows[0]])} in row {rows[0]}"
        expected = "numbers"
        if argument.startswith("y["):
            expected += "; times stand in the index, ids in a column unique_id beside ds and y"
        raise ValueError(problem(caller, argument, got, expected)) from error


def _frequency(times: Any, form: PanelForm | None, caller: str, argument: str) -> Frequency:
    """Tell the frequency of one series' times, whose order is checked; or take that of `fit`."""
    check_order(times, np.array([0, len(times)]), (), caller, argument)
    if form is None:
        return tell_frequency(times, caller, argument)
    kind, zone = form.frequency.kind, zone_of(times)
    if kind_of(times) != kind:
        got, expected = f"{kind_of(times)} times", f"{kind} times, as in fit"
        raise ValueError(problem(caller, argument, got, expected))
    if zone != form.frequency.zone:
        got, expected = f"times of the zone {zone}", f"{form.frequency.zone}, as in fit"
        raise ValueError(problem(caller, argument, got, expected))
    return form.frequency


def _same_kind(found: PanelForm, form: PanelForm | None, caller: str) -> PanelForm:
    """Return the form of `fit`, or the one just found; ValueError where they are of two kinds."""
    if form is None:
        return found
    if found.kind != form.kind:
        raise ValueError(problem(caller, "y", found.kind, f"{form.kind}, as in fit"))
    return form


def _shared_times(table: Array, times: Any, form: PanelForm, caller: str) -> Rows:
    """Series that have their times in common, (n_times, n_series)."""
    n_times, n_series = table.shape
    offsets = np.array([0, n_times])
    positions = _positions(times, times[np.zeros(n_times, dtype=np.int64)], offsets, form, caller)
    return Rows(
        values=table.T.ravel().astype(np.float64),
        offsets=np.arange(0, n_series * n_times + 1, n_times),
        positions=np.tile(positions, n_series),
        starts=times[np.zeros(n_series, dtype=np.int64)],
        series=np.arange(n_series),
        given=np.tile(np.arange(n_times), n_series),
        form=form,
    )


def _positions(
    times: Any,
    starts: Any,
    offsets: Integers,
    form: PanelForm,
    caller: str,
    argument: str = "y",
) -> Integers:
    """Place of each time on the grid of its series; ValueError for times off it."""
    positions = form.frequency.positions(times, starts)
    off = np.flatnonzero(positions == OFF_GRID)
    if len(off):
        row = int(off[0])
        before = row - 1 if row not in offsets else row
        got = f"{show(times[before])} and {show(times[row])}"
        expected = f"times on the grid of {form.frequency}"
        raise ValueError(problem(caller, argument, got, expected))
    within = np.delete(np.arange(len(times) - 1), offsets[1:-1] - 1)
    steps = positions[within + 1] - positions[within]
    if len(steps) >= 2 and (steps > 1).all():
        row = int(within[np.argmin(steps)])
        got = f"{show(times[row])} and then {show(times[row + 1])}"
        expected = f"times that are apart by {form.frequency}, as in fit"
        raise ValueError(problem(caller, argument, got, expected))
    return positions
