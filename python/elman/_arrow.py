"""Arrow: columns of numbers as arrays, lists of numbers as ``(values, offsets)``, without copies.

What is a sequence of several channels in Arrow is a list of lists of a fixed size, a list of
structs, or one list for each channel, in columns of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array
from elman._exceptions import abbreviated, problem


def import_pyarrow(caller: str) -> Any:
    """Return pyarrow, or raise an ImportError that names the extra."""
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(f"{caller}: it needs pyarrow: pip install 'elman[parquet]'") from error
    return pyarrow


def has_lists(data: Any) -> bool:
    """Whether data is an Arrow array of lists, or a table that has columns of lists only."""
    if type(data).__module__.partition(".")[0] != "pyarrow":
        return False
    if hasattr(data, "schema"):
        return len(data.schema) > 0 and all(is_list(field.type) for field in data.schema)
    return is_list(getattr(data, "type", None))


def is_list(kind: Any) -> bool:
    """Whether a type of Arrow is one of lists."""
    import pyarrow.types as types

    return any(
        test(kind) for test in (types.is_list, types.is_large_list, types.is_fixed_size_list)
    )


def whole(column: Any) -> Any:
    """Return a column as one array, of plain values where it is coded by a dictionary."""
    import pyarrow as pa

    array = column
    if isinstance(column, pa.ChunkedArray):  # of which to combine even one is a copy
        array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def numbers(column: Any, caller: str, argument: str) -> Array:
    """Return the numbers of a column, NaN where there is none; a view if they are all there."""
    import pyarrow as pa

    array, types = whole(column), pa.types
    if types.is_boolean(array.type):
        array = array.cast(pa.uint8())
    elif types.is_decimal(array.type):
        array = array.cast(pa.float64())
    elif not (types.is_floating(array.type) or types.is_integer(array.type)):
        got = f"a column of type {array.type}"
        raise TypeError(problem(caller, argument, got, "numbers"))
    result: Array = array.to_numpy(zero_copy_only=False)
    return result


def number_dtype(kind: Any) -> np.dtype[Any]:
    """Return the dtype of the numbers of a column, or of the lists of numbers in it."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        inner = [number_dtype(field.type) for field in kind]
        return np.result_type(*inner)
    if is_list(kind):
        return number_dtype(kind.value_type)
    is_small = pa.types.is_floating(kind) and kind.bit_width <= 32
    return np.dtype(np.float32 if is_small else np.float64)


def n_numbers(kind: Any) -> int:
    """Return how many numbers a step has in the lists of a column."""
    import pyarrow as pa

    inner = kind.value_type
    if pa.types.is_struct(inner):
        return int(inner.num_fields)
    return int(inner.list_size) if pa.types.is_fixed_size_list(inner) else 1


def lists(column: Any, caller: str, argument: str) -> tuple[NDArray[np.int64], Array]:
    """Return the lengths of lists, and their steps one after another, (n_steps, n_channels)."""
    import pyarrow as pa

    array = whole(column)
    lengths = list_lengths(array, caller, argument)
    steps = array.flatten()
    kind = steps.type
    if steps.null_count and (pa.types.is_struct(kind) or pa.types.is_fixed_size_list(kind)):
        got = f"{steps.null_count} steps that are null"
        raise ValueError(problem(caller, argument, got, "values, or nulls within a step"))
    if pa.types.is_struct(kind):
        names = [field.name for field in kind]
        parts = [
            numbers(part, caller, f"{argument}[{name!r}]")
            for name, part in zip(names, steps.flatten(), strict=True)
        ]
        return lengths, np.stack(parts, axis=1)
    if pa.types.is_fixed_size_list(kind):
        return lengths, numbers(steps.flatten(), caller, argument).reshape(-1, kind.list_size)
    return lengths, numbers(steps, caller, argument)[:, None]


def table_lists(data: Any, caller: str, argument: str) -> tuple[NDArray[np.int64], Array]:
    """Return the lengths and steps of lists, or of columns of lists, a column after another."""
    if not hasattr(data, "schema"):
        return lists(data, caller, argument)
    names = [f"{argument}[{name!r}]" for name in data.schema.names]
    columns = [lists(c, caller, name) for name, c in zip(names, data.columns, strict=True)]
    lengths = columns[0][0]
    for name, (others, _) in zip(names, columns, strict=True):
        if not np.array_equal(others, lengths):
            row = int(np.argmax(others != lengths))
            got = f"a list of {others[row]} in row {row}"
            raise ValueError(problem(caller, name, got, f"{lengths[row]}, as in {names[0]}"))
    if len(columns) == 1:
        return columns[0]
    return lengths, np.concatenate([values for _, values in columns], axis=1)


def target_apart(data: Any, y: Any) -> tuple[Any, Any]:
    """Return columns of lists and what y is, which may be the name of one of the columns."""
    if not isinstance(y, str) or not hasattr(data, "schema") or y not in data.schema.names:
        return data, y
    others = data.select([name for name in data.schema.names if name != y])
    return (others, data.column(y)) if has_lists(others) else (data, y)


def list_lengths(column: Any, caller: str, argument: str) -> NDArray[np.int64]:
    """Return the lengths of lists."""
    import pyarrow.compute as pc

    array = whole(column)
    if array.null_count:
        rows = np.flatnonzero(pc.is_null(array).to_numpy(zero_copy_only=False))
        got = f"null at the rows {abbreviated(rows[:5].tolist())}"
        raise ValueError(problem(caller, argument, got, "a list in each row"))
    lengths: Array = pc.list_value_length(array).to_numpy(zero_copy_only=False)
    return lengths.astype(np.int64)


def labels(column: Any, caller: str, argument: str) -> Array:
    """Return targets of any type: numbers, truth values or text."""
    import pyarrow as pa

    array, types = whole(column), pa.types
    if array.null_count:
        got = f"{array.null_count} nulls"
        raise ValueError(problem(caller, argument, got, "a value in each row"))
    if types.is_boolean(array.type):
        truths: Array = array.to_numpy(zero_copy_only=False)
        return truths
    if types.is_string(array.type) or types.is_large_string(array.type):
        return np.asarray(array.to_numpy(zero_copy_only=False), dtype=str)
    return numbers(array, caller, argument)
