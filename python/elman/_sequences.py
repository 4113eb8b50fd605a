"""What counts as a sequence: X in any of its forms becomes ``(values, offsets)``.

The forms are

- an array of shape (n_samples, n_timesteps, n_channels), where a tail of time steps in which
  every channel is NaN ends its sequence;
- a list or object array of (n_timesteps_i, n_channels) or (n_timesteps_i,) arrays;
- lists of Arrow, which are laid out as sequences are here, or columns of them;
- a table of shape (n_samples, n_timesteps * n_channels), as a lag matrix: time-major.

Below this module there is only one: ``values`` (n_total_steps, n_channels) holds the sequences
one after another, and sequence i is ``values[offsets[i]:offsets[i + 1]]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data

from elman._arrays import (
    BLOCK_ELEMENTS,
    Array,
    as_array,
    cast,
    check_finite,
    float_dtype,
    is_dataframe,
    is_finite,
    is_mapped,
    to_numpy,
)
from elman._arrow import has_lists, table_lists
from elman._exceptions import problem

AXES = ("sample", "step", "channel")


@dataclass(frozen=True)
class InputForm:
    """How the X of `fit` looked; a later X is read in its light.

    Parameters
    ----------
    layout : {"sequences", "table", "vector", "tokens", "features"}
        Arrays of time steps and channels, lag matrix, a vector for each sequence, tokens, or
        sparse matrices of features.
    n_features : int
        Columns of a table, otherwise channels.
    n_channels : int
        Channels of a time step.
    dtype : dtype
        float32 or float64.
    shape : str
        The shape, for messages.
    feature_names : ndarray of str or None
        Column names of a data frame.
    n_tokens : int
        Number of tokens or features; 0 where steps are numbers.
    """

    layout: str
    n_features: int
    n_channels: int
    dtype: np.dtype[Any]
    shape: str
    feature_names: Array | None = None
    n_tokens: int = 0


@dataclass(frozen=True)
class Sequences:
    """Sequences of one or more time steps.

    Parameters
    ----------
    array : ndarray of shape (n_samples, n_timesteps, n_channels) or (n_total_steps, n_channels)
        The values, in any memory layout and any real dtype.
    offsets : ndarray of shape (n_samples + 1,) of int64
        Where each sequence begins, counted in time steps.
    dtype : dtype
        What `values` are cast to.
    n_timesteps : int
        Length of the array's axis of time, or of the longest sequence.
    is_list : bool
        Whether the sequences came as a list.
    caller, argument : str
        Where they came from, for messages.
    """

    array: Array
    offsets: NDArray[np.int64]
    dtype: np.dtype[Any]
    n_timesteps: int
    is_list: bool
    caller: str
    argument: str

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of time steps of each sequence."""
        return np.diff(self.offsets)

    @property
    def is_regular(self) -> bool:
        """Whether every sequence has `n_timesteps`."""
        return int(self.offsets[-1]) == len(self) * self.n_timesteps

    @property
    def shape(self) -> str:
        """The shape, for messages."""
        return shape_text(len(self), self.lengths, self.array.shape[-1])

    @property
    def values(self) -> Array:
        """All time steps, (n_total_steps, n_channels), contiguous and of `dtype`."""
        return self._rows(0, len(self))

    def blocks(self) -> Iterator[tuple[Array, NDArray[np.int64], slice]]:
        """Values, offsets and samples, in pieces where they must be copied."""
        step = len(self)
        if self.array.dtype != self.dtype or not self.array.flags.c_contiguous:
            step = max(1, BLOCK_ELEMENTS // (self.n_timesteps * self.array.shape[-1]))
        for start in range(0, len(self), step):
            stop = min(start + step, len(self))
            offsets = self.offsets[start : stop + 1]
            yield self._rows(start, stop), offsets - offsets[0], slice(start, stop)

    def take(self, samples: NDArray[np.int64]) -> Sequences:
        """Sequences with these numbers, in this order."""
        lengths = self.lengths[samples]
        array = self.array[samples if self.array.ndim == 3 else self.step_rows(samples)]
        return replace(self, array=array, offsets=offsets_of(lengths))

    def step_rows(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of `values` that hold the time steps of these sequences."""
        return step_rows(self.offsets, samples)

    def repeated(self, lengths: NDArray[np.int64]) -> Sequences:
        """Sequences of one time step each, fed for ``lengths`` steps instead."""
        return replace(
            self,
            array=np.repeat(self.values, lengths, axis=0),
            offsets=offsets_of(lengths),
            n_timesteps=int(lengths.max()),
        )

    def _rows(self, start: int, stop: int) -> Array:
        if self.array.ndim == 2:
            part = self.array[self.offsets[start] : self.offsets[stop]]
            return cast(part, self.dtype, self.caller, self.argument)
        part = cast(self.array[start:stop], self.dtype, self.caller, self.argument)
        return part.reshape(-1, part.shape[-1])


def offsets_of(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where sequences of these lengths begin, and where the last one ends."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def step_rows(offsets: NDArray[np.int64], samples: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of the steps of these sequences, one sequence after another."""
    lengths = np.diff(offsets)[samples]
    starts = np.repeat(offsets[samples] - offsets_of(lengths)[:-1], lengths)
    return starts + np.arange(len(starts), dtype=np.int64)


def shape_text(n_samples: int, lengths: NDArray[np.int64], n_channels: int) -> str:
    """``(200, 50, 3)``, or ``(200, 7..50, 3)`` for sequences of different lengths."""
    shortest, longest = int(lengths.min()), int(lengths.max())
    steps = str(longest) if shortest == longest else f"{shortest}..{longest}"
    return f"({n_samples}, {steps}, {n_channels})"


def read_sequences(
    X: Any,
    caller: str,
    estimator: Any,
    *,
    form: InputForm | None = None,
    n_channels: int = 1,
    vectors: bool = False,
    argument: str = "X",
    may_miss: bool = False,
    ends_in_nan: bool = True,
) -> tuple[Sequences, InputForm]:
    """Read X in any of its forms.

    Parameters
    ----------
    X : array-like, list of arrays or data frame
        The sequences.
    caller : str
        Class and method, for messages.
    estimator : estimator
        Holds ``feature_names_in_`` if a table with names was seen before; with ``form=None``
        that attribute is set here.
    form : InputForm or None
        How X looked in `fit`; None in `fit` itself.
    n_channels : int
        Channels of a time step, for a table.
    vectors : bool
        Whether a row of a table is one vector, not a lag matrix.
    argument : str
        What X is called, for messages.
    may_miss : bool
        Whether NaN stands for missing values instead of an error.
    ends_in_nan : bool
        Whether in three dimensions a tail of NaN in all channels ends a sequence; otherwise it
        is NaN like any other.

    Returns
    -------
    sequences : Sequences
        The sequences.
    form : InputForm
        How X looked.
    """
    if has_lists(X):
        return _read_lists(X, caller, form, argument, may_miss)
    is_sequence_list = form is not None and form.layout == "sequences"
    items = list_items(X, caller, argument, is_sequence_list=is_sequence_list)
    if items is not None and not _is_lag_rows(items, form, n_channels, vectors):
        return _read_list(items, caller, form, argument, may_miss)
    array = as_array(X, caller, argument) if items is None else np.stack(items)
    _check_rank(array, caller, argument)
    if array.ndim == 3:
        return _read_regular(array, caller, form, argument, may_miss, ends_in_nan)
    return _read_table(X, array, caller, estimator, form, n_channels, vectors, argument, may_miss)


def list_items(
    data: Any, caller: str, argument: str, *, is_sequence_list: bool = False
) -> list[Any] | None:
    """Return the items of a list of arrays; None for what is an array-like as a whole."""
    if isinstance(data, np.ndarray) or (hasattr(data, "__array__") and not is_dataframe(data)):
        array = data if isinstance(data, np.ndarray) else to_numpy(data, caller, argument)
        is_nested = array.dtype == object and array.ndim == 1 and array.size > 0
        return list(array) if is_nested and _is_item(array[0]) else None
    if not isinstance(data, (list, tuple)) or not data:
        return None
    if any(_is_item(item) and not isinstance(item, (list, tuple)) for item in data):
        return list(data)
    if not all(isinstance(item, (list, tuple)) for item in data):
        return None
    depths = {_depth(item) for item in data}
    is_ragged = len({len(item) for item in data}) > 1
    return list(data) if is_ragged or (is_sequence_list and depths == {1}) else None


def _is_item(item: Any) -> bool:
    if isinstance(item, (list, tuple)) or is_dataframe(item):
        return True
    return hasattr(item, "__array__") and np.ndim(item) > 0


def _depth(item: Any) -> int:
    return (
        1 + _depth(item[0])
        if isinstance(item, (list, tuple)) and len(item)
        else 1 - (not isinstance(item, (list, tuple)))
    )


def _is_lag_rows(items: list[Any], form: InputForm | None, n_channels: int, vectors: bool) -> bool:
    """Whether a list of one-dimensional arrays is a table, row by row."""
    wants_table = form.layout != "sequences" if form else n_channels > 1 or vectors
    return (
        wants_table
        and all(isinstance(item, np.ndarray) and item.ndim == 1 for item in items)
        and len({len(item) for item in items}) == 1
    )


def _check_rank(array: Array, caller: str, argument: str) -> None:
    wanted = "(n_samples, n_timesteps, n_channels) or (n_samples, n_timesteps * n_channels)"
    if array.ndim and array.shape[0] == 0:
        got = f"0 sample(s) (shape={array.shape})"
        raise ValueError(problem(caller, argument, got, "a minimum of 1"))
    if array.ndim == 1:
        got = f"a 1-D array of shape {array.shape}"
        raise ValueError(
            problem(caller, argument, got, f"{wanted}. Reshape your data: .reshape(1, -1) is one")
            + " sample, .reshape(-1, 1) is one time step for each sample"
        )
    if array.ndim not in (2, 3):
        got = f"a {array.ndim}-D array of shape {array.shape}"
        raise ValueError(problem(caller, argument, got, wanted))
    if array.ndim == 3 and array.shape[1] == 0:
        samples = list(range(min(5, array.shape[0])))
        got = f"0 time steps at samples {samples} (shape={array.shape})"
        raise ValueError(problem(caller, argument, got, "at least 1 in each sequence"))
    if array.shape[-1] == 0:
        fragment = f"0 feature(s) (shape={array.shape}) while a minimum of 1 is required."
        raise ValueError(problem(caller, argument, fragment, "at least 1 feature"))


def _check_layout(form: InputForm | None, layout: str, shape: str, caller: str, arg: str) -> None:
    if form is None or form.layout == layout:
        return
    wanted = (
        f"sequences of {form.n_channels} channels" if form.layout == "sequences" else "2-D rows"
    )
    got = f"{'a table' if layout != 'sequences' else 'sequences'} of shape {shape}"
    raise ValueError(problem(caller, arg, got, f"{wanted}, as in fit: there X had {form.shape}"))


def check_form(found: InputForm, form: InputForm, caller: str, argument: str) -> None:
    """Raise ValueError where an X does not look as that of `fit` did."""
    _check_layout(form, found.layout, found.shape, caller, argument)
    _check_channels(found.n_channels, form, caller, argument)


def _check_channels(n: int, form: InputForm | None, caller: str, argument: str) -> None:
    if form is not None and n != form.n_features:
        name = caller.split(".")[0]
        raise ValueError(
            f"{caller}: {argument} has {n} features, but {name} is expecting "
            f"{form.n_features} features as input: got {n}, expected {form.n_features}"
        )


def _read_table(
    X: Any,
    array: Array,
    caller: str,
    estimator: Any,
    form: InputForm | None,
    n_channels: int,
    vectors: bool,
    argument: str,
    may_miss: bool,
) -> tuple[Sequences, InputForm]:
    layout = "vector" if vectors else "table"
    _check_layout(form, layout, str(array.shape), caller, argument)
    validate_data(estimator, X, reset=form is None, skip_check_array=True, ensure_2d=False)
    n_rows, n_columns = array.shape
    _check_channels(n_columns, form, caller, argument)
    check_finite(array, caller, argument, ("sample", "column"), may_miss=may_miss)
    if vectors:
        n_channels = n_columns
    if n_columns % n_channels:
        got = f"{n_columns} columns"
        raise ValueError(problem(caller, argument, got, f"a multiple of n_channels={n_channels}"))
    names = getattr(estimator, "feature_names_in_", None)
    form = form or InputForm(
        layout, n_columns, int(n_channels), float_dtype(array), str(array.shape), names
    )
    array = array.reshape(n_rows, n_columns // n_channels, n_channels)
    return _regular(array, form, caller, argument), form


def _read_regular(
    array: Array,
    caller: str,
    form: InputForm | None,
    argument: str,
    may_miss: bool,
    ends_in_nan: bool,
) -> tuple[Sequences, InputForm]:
    _check_layout(form, "sequences", str(array.shape), caller, argument)
    n_channels = array.shape[2]
    _check_channels(n_channels, form, caller, argument)
    form = form or InputForm(
        "sequences", n_channels, n_channels, float_dtype(array), str(array.shape)
    )
    if is_finite(array) or not ends_in_nan:
        check_finite(array, caller, argument, AXES, may_miss=may_miss)
        return _regular(array, form, caller, argument), form
    lengths = valid_lengths(array)
    check_lengths(lengths, caller, argument)
    is_step = np.arange(array.shape[1]) < lengths[:, None]
    steps = np.where(is_step[:, :, None], array, 0)
    check_finite(steps, caller, argument, AXES, may_miss=may_miss)
    values = cast(array[is_step], form.dtype, caller, argument)
    sequences = Sequences(
        values, offsets_of(lengths), form.dtype, array.shape[1], False, caller, argument
    )
    return sequences, form


def valid_lengths(array: Array) -> NDArray[np.int64]:
    """Time steps of each sequence before its tail in which every channel is NaN."""
    has_value = np.asarray(~np.isnan(array).all(axis=2))
    tail = np.argmax(has_value[:, ::-1], axis=1)
    lengths = np.where(has_value.any(axis=1), array.shape[1] - tail, 0)
    return lengths.astype(np.int64)


def _regular(array: Array, form: InputForm, caller: str, argument: str) -> Sequences:
    n_samples, n_timesteps, _ = array.shape
    offsets = np.arange(0, n_samples * n_timesteps + 1, n_timesteps, dtype=np.int64)
    if array.dtype == form.dtype:
        array = array if array.flags.aligned else np.require(array, form.dtype, ["C", "A"])
    elif array.flags.c_contiguous and not is_mapped(array):
        array = cast(array, form.dtype, caller, argument)
    return Sequences(array, offsets, form.dtype, n_timesteps, False, caller, argument)


def _read_list(
    items: list[Any], caller: str, form: InputForm | None, argument: str, may_miss: bool
) -> tuple[Sequences, InputForm]:
    arrays = [as_array(item, caller, f"{argument}[{i}]") for i, item in enumerate(items)]
    n_channels = _check_items(arrays, caller, argument)
    lengths = np.array([len(array) for array in arrays], dtype=np.int64)
    shape = f"({len(arrays)}, …, {n_channels})"
    _check_layout(form, "sequences", shape, caller, argument)
    _check_channels(n_channels, form, caller, argument)
    check_lengths(lengths, caller, argument)
    for i, array in enumerate(arrays):
        axes = AXES[1 : 1 + array.ndim]
        check_finite(array, caller, f"{argument}[{i}]", axes, may_miss=may_miss)
    form = form or InputForm(
        "sequences",
        n_channels,
        n_channels,
        float_dtype(*arrays),
        shape_text(len(arrays), lengths, n_channels),
    )
    rows = [array.reshape(len(array), n_channels) for array in arrays]
    values = np.concatenate([cast(row, form.dtype, caller, argument) for row in rows])
    sequences = Sequences(
        values, offsets_of(lengths), form.dtype, int(lengths.max()), True, caller, argument
    )
    return sequences, form


def _read_lists(
    data: Any, caller: str, form: InputForm | None, argument: str, may_miss: bool
) -> tuple[Sequences, InputForm]:
    """Read lists of Arrow, whose layout is that of `Sequences`."""
    lengths, values = table_lists(data, caller, argument)
    if not len(lengths):
        raise ValueError(problem(caller, argument, "0 sample(s)", "a minimum of 1"))
    check_lengths(lengths, caller, argument)
    n_channels = values.shape[1]
    shape = shape_text(len(lengths), lengths, n_channels)
    found = InputForm("sequences", n_channels, n_channels, float_dtype(values), shape)
    if form is not None:
        check_form(found, form, caller, argument)
    form = form or found
    check_finite(values, caller, argument, ("step of all", "channel"), may_miss=may_miss)
    sequences = Sequences(
        cast(values, form.dtype, caller, argument),
        offsets_of(lengths),
        form.dtype,
        int(lengths.max()),
        True,
        caller,
        argument,
    )
    return sequences, form


def _check_items(arrays: list[Array], caller: str, argument: str) -> int:
    first = arrays[0]
    if first.ndim not in (1, 2):
        got = f"shape {first.shape}"
        raise ValueError(
            problem(caller, f"{argument}[0]", got, "(n_timesteps, n_channels) or (n_timesteps,)")
        )
    n_channels = first.shape[1] if first.ndim == 2 else 1
    if n_channels == 0:
        fragment = f"0 feature(s) (shape={first.shape}) while a minimum of 1 is required."
        raise ValueError(problem(caller, f"{argument}[0]", fragment, "at least 1 feature"))
    wanted = f"(n_timesteps, {n_channels})" if first.ndim == 2 else "(n_timesteps,)"
    for i, array in enumerate(arrays):
        if array.ndim != first.ndim or array.shape[1:] != first.shape[1:]:
            got = f"shape {array.shape}"
            expected = f"{wanted}, as in {argument}[0]"
            raise ValueError(problem(caller, f"{argument}[{i}]", got, expected))
    return n_channels


def check_lengths(lengths: NDArray[np.int64], caller: str, argument: str) -> None:
    """Raise ValueError for sequences without a step."""
    empty = np.flatnonzero(lengths == 0)
    if len(empty):
        got = f"0 time steps at samples {[int(i) for i in empty[:5]]}"
        raise ValueError(problem(caller, argument, got, "at least 1 in each sequence"))
