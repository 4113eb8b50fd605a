"""Columns of numbers and of categories, of arrays and frames, as one matrix of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from elman._arrays import Array, check_finite, to_numpy
from elman._calendar import Integers
from elman._exceptions import abbreviated, problem
from elman._panel_form import N_LISTED, Columns
from elman._panel_rows import Floats, floats_of, is_frame, is_polars, is_series, to_pandas


@dataclass(frozen=True)
class Column:
    """One column as it came.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        Floats, or objects that are categories, None where there is none.
    categories : tuple or None
        The categories in their order, where the column tells it.
    """

    values: Array
    categories: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Given:
    """Columns as they came, with their names, and the frame that had them."""

    names: tuple[str, ...]
    columns: list[Column]
    frame: Any = None


def read_columns(data: Any, caller: str, argument: str) -> Given:
    """Read the columns of an array (n_rows,) or (n_rows, n_columns), a Series or a frame."""
    if is_polars(data):
        data = to_pandas(data, caller)
    if is_series(data):
        data = data.to_frame("x0" if data.name is None else data.name)
    if is_frame(data):
        names = tuple(str(name) for name in data.columns)
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            got = f"the column name {twice!r} more than once"
            raise ValueError(problem(caller, argument, got, "distinct column names"))
        columns = [
            _frame_column(data.iloc[:, i], caller, f"{argument}[{name!r}]")
            for i, name in enumerate(names)
        ]
        return Given(names, columns, data)
    array = to_numpy(data, caller, argument)
    if array.ndim not in (1, 2) or 0 in array.shape:
        expected = "(n_rows,) or (n_rows, n_columns), with at least one of each"
        raise ValueError(problem(caller, argument, f"shape {array.shape}", expected))
    array = array.reshape(len(array), -1)
    columns = [_array_column(column, caller, argument) for column in array.T]
    return Given(tuple(f"x{i}" for i in range(len(columns))), columns)


def _frame_column(column: Any, caller: str, argument: str) -> Column:
    dtype = str(column.dtype)
    if dtype.startswith(("datetime", "timedelta", "period", "interval")):
        got = f"dtype {dtype}"
        raise TypeError(problem(caller, argument, got, "numbers, categories or text"))
    if dtype == "category":
        objects = column.astype(object).to_numpy(dtype=object, na_value=None)
        return Column(objects, tuple(column.cat.categories))
    if dtype.lower().startswith("bool"):
        return Column(column.to_numpy(dtype=object, na_value=None), (False, True))
    if dtype.startswith(("object", "str")):
        return _array_column(column.to_numpy(dtype=object, na_value=None), caller, argument)
    values = floats_of(column, caller, argument)
    check_finite(values, caller, argument, may_miss=True)
    return Column(values)


def _array_column(values: Array, caller: str, argument: str) -> Column:
    kind = values.dtype.kind
    if kind == "b":
        return Column(values.astype(object), (False, True))
    if kind in "US":
        return Column(values.astype(object))
    is_text = kind == "O" and any(isinstance(value, (str, bytes)) for value in values)
    if is_text:
        missing = np.array([value is None or value != value for value in values])
        return Column(np.where(missing, np.array(None), values))
    if kind not in "fiuO":
        got = f"dtype {values.dtype}"
        raise TypeError(problem(caller, argument, got, "numbers, categories or text"))
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(problem(caller, argument, f"objects: {error}", "numbers")) from error
    check_finite(numbers, caller, argument, may_miss=True)
    return Column(numbers)


def joined_columns(parts: list[Given], caller: str, argument: str) -> tuple[Given, Integers]:
    """Columns of several arrays, one after another, and the rows of each array."""
    first = parts[0]
    for i, part in enumerate(parts):
        if part.names != first.names:
            got = f"the columns {abbreviated(list(part.names))}"
            expected = f"{abbreviated(list(first.names))}, as in {argument}[0]"
            raise ValueError(problem(caller, f"{argument}[{i}]", got, expected))
    columns = [
        Column(np.concatenate([part.columns[j].values for part in parts]), column.categories)
        for j, column in enumerate(first.columns)
    ]
    lengths = np.array([len(part.columns[0].values) for part in parts], dtype=np.int64)
    return Given(first.names, columns, first.frame), lengths


def coded(
    given: Given,
    expected: Columns | None,
    caller: str,
    argument: str,
    needed: Sequence[str] | None = None,
    wanted: str | None = None,
) -> tuple[Floats, Columns]:
    """Turn columns into one matrix: numbers as they are, categories as their codes.

    Parameters
    ----------
    given : Given
        The columns.
    expected : Columns or None
        Those of `fit`; None in `fit` itself.
    caller, argument : str
        For messages.
    needed : sequence of str, default=None
        Columns that must be there; None is all.
    wanted : str, default=None
        What is expected, in words, for the message about columns that are missing.

    Returns
    -------
    matrix : ndarray of shape (n_rows, n_columns)
        The columns in the order of ``expected``; NaN where one was left out.
    columns : Columns
        What they are.

    Raises
    ------
    ValueError
        If a column is missing or was not in `fit`, or for an unknown category.
    """
    if expected is None:
        categories = {
            name: column.categories or _categories_of(column.values)
            for name, column in zip(given.names, given.columns, strict=True)
            if column.values.dtype == object
        }
        expected = Columns(given.names, categories, given.frame is not None)
        order = expected.names
    else:
        order = _names_as_in_fit(given, expected, caller, argument, needed, wanted)
    matrix = np.full((len(given.columns[0].values), len(expected)), np.nan)
    for name, column in zip(order, given.columns, strict=True):
        if name in expected.names:
            place = expected.names.index(name)
            matrix[:, place] = _numbers(column.values, name, expected, caller, argument)
    return matrix, expected


def _categories_of(values: Array) -> tuple[Any, ...]:
    distinct = {value for value in values if value is not None}
    return tuple(sorted(distinct, key=lambda value: (type(value).__name__, value)))


def _names_as_in_fit(
    given: Given,
    expected: Columns,
    caller: str,
    argument: str,
    needed: Sequence[str] | None,
    wanted: str | None,
) -> tuple[str, ...]:
    """Names of the columns given, which are told by their order where they have none."""
    if given.frame is not None and expected.is_named and needed is not None:
        absent = [name for name in needed if name not in given.names]
        if absent:
            got = f"no columns {', '.join(absent[:N_LISTED])}"
            raise ValueError(problem(caller, argument, got, wanted or "the columns of fit"))
        return given.names
    allowed = {len(expected.names): expected.names}
    if needed is not None:
        allowed.setdefault(len(needed), tuple(needed))
    if given.frame is not None or expected.is_named:
        _check_names(given, expected, caller)
    if len(given.names) not in allowed:
        got = f"{len(given.names)} columns"
        number = " or ".join(str(n) for n in sorted(allowed))
        raise ValueError(problem(caller, argument, got, wanted or f"{number}, as in fit"))
    return allowed[len(given.names)]


def _check_names(given: Given, expected: Columns, caller: str) -> None:
    """Raise or warn as scikit-learn does where names of columns are not those of `fit`."""
    holder = type(caller.partition(".")[0], (BaseEstimator,), {})()
    if expected.is_named:
        holder.feature_names_in_ = np.array(expected.names, dtype=object)
    X = np.zeros((1, len(given.names)))
    if given.frame is not None:
        X = given.frame.set_axis(list(given.names), axis=1)
    validate_data(holder, X, reset=False, skip_check_array=True)


def _numbers(values: Array, name: str, columns: Columns, caller: str, argument: str) -> Floats:
    """Numbers as they are, or the codes of categories."""
    categories = columns.categories.get(name)
    if categories is None:
        if values.dtype == object:
            got = f"{abbreviated(next(v for v in values if v is not None))} in column {name!r}"
            raise ValueError(problem(caller, argument, got, "numbers, as in fit"))
        return values
    codes: dict[Any, float] = {value: float(i) for i, value in enumerate(categories)}
    codes[None] = np.nan
    unknown = list(dict.fromkeys(value for value in values if value not in codes))
    unknown = [value for value in unknown if value == value]
    if unknown:
        more = f" and {len(unknown) - N_LISTED} more" if len(unknown) > N_LISTED else ""
        listed = ", ".join(map(repr, unknown[:N_LISTED]))
        got = f"the unknown categories {listed}{more} in column {name!r}"
        raise ValueError(problem(caller, argument, got, "those of fit"))
    return np.array([codes.get(value, np.nan) for value in values], dtype=np.float64)
