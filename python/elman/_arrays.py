"""Whatever holds numbers, as a NumPy array of numbers; nothing is copied that need not be."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Iterator, Mapping, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.validation import check_array

from elman._exceptions import problem

Array = NDArray[Any]

BLOCK_ELEMENTS = 2**22
_ARRAY = "an array of numbers"
_LARGEST_EXACT_INTEGER = {np.dtype(np.float32): 2**24}


def as_array(data: Any, caller: str, argument: str) -> Array:
    """Return the numbers in ``data`` as an array of a real dtype, of any rank."""
    if type(data) is np.ndarray and data.dtype.kind in "fiub":
        return data
    _refuse_containers(data, caller, argument)
    if is_dataframe(data):
        return _from_dataframe(data, caller, argument)
    if np.ma.isMaskedArray(data):
        if np.ma.getmaskarray(data).any():
            got = f"{int(np.ma.getmaskarray(data).sum())} masked values"
            raise ValueError(problem(caller, argument, got, "none: fill or drop them"))
        data = data.data
    return _real(to_numpy(data, caller, argument), caller, argument)


def is_dataframe(data: Any) -> bool:
    """Whether ``data`` has named columns."""
    return (hasattr(data, "columns") or hasattr(data, "column_names")) and hasattr(data, "shape")


def to_numpy(data: Any, caller: str, argument: str) -> Array:
    """`numpy.asarray`, which an array on another device refuses."""
    try:
        if hasattr(data, "__dlpack__") and not hasattr(data, "__array__"):
            return np.from_dlpack(data)
        return np.asarray(data)
    except (TypeError, RuntimeError, BufferError) as error:
        if hasattr(data, "__dlpack__") or hasattr(data, "cpu"):
            got = f"a {type(data).__name__} that NumPy cannot read ({error})"
            raise TypeError(
                problem(caller, argument, got, "data in main memory: call .cpu() first")
            ) from error
        raise
    except ValueError as error:
        got = f"a {type(data).__name__} that is no array ({error})"
        raise ValueError(problem(caller, argument, got, _ARRAY)) from error


def _refuse_containers(data: Any, caller: str, argument: str) -> None:
    if data is None or isinstance(data, (str, bytes, numbers.Number, np.generic)):
        got = "None" if data is None else f"a {type(data).__name__} (0-D)"
        raise ValueError(problem(caller, argument, got, _ARRAY))
    if issparse(data):
        got = f"a sparse {type(data).__name__}"
        raise TypeError(problem(caller, argument, got, "dense data: call .toarray()"))
    if isinstance(data, np.matrix):
        raise TypeError(problem(caller, argument, "np.matrix", "an array: call numpy.asarray"))
    if isinstance(data, (Mapping, Set, Iterator)) or not (
        hasattr(data, "__len__") or hasattr(data, "__array__") or hasattr(data, "__dlpack__")
    ):
        raise TypeError(problem(caller, argument, f"a {type(data).__name__}", _ARRAY))


def _from_dataframe(data: Any, caller: str, argument: str) -> Array:
    dtypes = getattr(data, "dtypes", [])
    kinds = [str(dtype) for dtype in dtypes]
    for kind in kinds:
        if kind.lower().startswith(("categor", "enum", "datetime", "timedelta", "period")):
            got = f"a column of dtype {kind}"
            raise TypeError(problem(caller, argument, got, "numbers: encode the column first"))
    names = [str(name) for name in getattr(data, "column_names", getattr(data, "columns", []))]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        got = f"the column name {twice!r} more than once"
        raise ValueError(problem(caller, argument, got, "distinct column names"))
    try:
        array = check_array(
            data,
            dtype="numeric",
            ensure_all_finite=False,
            ensure_min_samples=0,
            ensure_min_features=0,
        )
    except (TypeError, ValueError) as error:
        raise type(error)(problem(caller, argument, f"a table: {error}", "numbers")) from error
    return _real(np.asarray(array), caller, argument)


def _real(array: Array, caller: str, argument: str) -> Array:
    kind = array.dtype.kind
    if kind in "fiub":
        return array
    if kind == "c":
        got = f"dtype {array.dtype} (Complex data not supported)"
        raise ValueError(problem(caller, argument, got, "real numbers"))
    if kind != "O":
        expected = "numbers: convert with .astype(float)"
        if kind == "U":
            expected += ", or make tokens of texts by TokenSequencer"
        raise TypeError(problem(caller, argument, f"dtype {array.dtype}", expected))
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        if any(isinstance(item, (complex, np.complexfloating)) for item in array.ravel()):
            got = "complex objects (Complex data not supported)"
            raise ValueError(problem(caller, argument, got, "real numbers")) from error
        raise type(error)(problem(caller, argument, f"objects: {error}", "numbers")) from error


def float_dtype(*arrays: Array) -> np.dtype[Any]:
    """float32 if every array is float32 or float16, otherwise float64."""
    small = all(array.dtype.kind == "f" and array.dtype.itemsize <= 4 for array in arrays)
    return np.dtype(np.float32 if small and arrays else np.float64)


def cast(array: Array, dtype: np.dtype[Any], caller: str, argument: str) -> Array:
    """C-contiguous, aligned, native, of ``dtype``; the array itself if it is so already."""
    limit = _LARGEST_EXACT_INTEGER.get(dtype)
    if limit and array.dtype.kind in "iu" and array.dtype.itemsize > 2 and array.size:
        largest = max(abs(int(array.max())), abs(int(array.min())))
        if largest > limit:
            warnings.warn(
                problem(caller, argument, f"the integer {largest}", f"at most 2**24 for {dtype}"),
                UserWarning,
                stacklevel=2,
            )
    if array.dtype == dtype:
        return np.require(array, dtype, ["C", "A"])
    with np.errstate(over="ignore"):
        result = np.require(array, dtype, ["C", "A"])
    if dtype.itemsize < array.dtype.itemsize and not is_finite(result):
        where = np.argwhere(~np.isfinite(result) & np.isfinite(array))
        if len(where):
            got = f"{array[tuple(where[0])]} at {position(where[0])}, too large for dtype {dtype}"
            raise ValueError(problem(caller, argument, got, f"values within {dtype}"))
    return result


def is_mapped(array: Array) -> bool:
    """Whether an array is mapped from a file, and perhaps larger than memory."""
    owner: Any = array
    while isinstance(owner, np.ndarray) and not isinstance(owner, np.memmap):
        owner = owner.base
    return isinstance(owner, np.memmap)


def is_finite(array: Array) -> bool:
    """Whether no value is NaN or infinite; takes no memory where all is well."""
    if array.dtype.kind != "f":
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(array.sum(dtype=np.float64))
    if math.isfinite(total):
        return True
    rows = np.atleast_1d(array)
    step = max(1, BLOCK_ELEMENTS * len(rows) // max(1, rows.size))
    return all(np.isfinite(rows[i : i + step]).all() for i in range(0, len(rows), step))


def check_finite(
    array: Array,
    caller: str,
    argument: str,
    axes: tuple[str, ...] = (),
    *,
    may_miss: bool = False,
) -> None:
    """Raise ValueError for NaN or infinite values, telling how many and where the first is.

    NaN is let through where values may be missing.
    """
    if is_finite(array):
        return
    is_nan = np.isnan(array)
    if may_miss and not np.isinf(array).any():
        return
    is_about_nan = is_nan.any() and not may_miss
    what, where = ("NaN", is_nan) if is_about_nan else ("infinity", np.isinf(array))
    first = position(np.argwhere(where)[0], axes)
    count = int(np.count_nonzero(where))
    values = "1 value" if count == 1 else f"{count} values"
    fragment = f"Input {argument} contains {what}"
    got = f"{values} of {what}, the first at {first} ({fragment})"
    raise ValueError(problem(caller, argument, got, "finite values"))


def position(index: Any, axes: tuple[str, ...] = ()) -> str:
    """Name a place in an array: ``(sample 2, step 0, channel 1)``."""
    numbered = [int(i) for i in np.atleast_1d(index)]
    if len(axes) == len(numbered):
        return "(" + ", ".join(f"{axis} {i}" for axis, i in zip(axes, numbered, strict=True)) + ")"
    return f"index {numbered[0]}" if len(numbered) == 1 else f"index {tuple(numbered)}"
