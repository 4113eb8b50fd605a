"""Dask collections as lists of partitions, each of which holds whole sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from distributed import Future

from elman._arrays import is_dataframe
from elman._exceptions import problem
from elman.dask._cluster import is_collection
from elman.dask._long import LongForm


@dataclass(frozen=True)
class Collection:
    """A collection, and its partitions.

    Parameters
    ----------
    kind : {"array", "bag", "frame", "futures", "delayed"}
        What it is.
    parts : list
        A delayed value, or a future, for each partition.
    sizes : tuple of int, or None
        Rows of each, if they are known.
    whole : object
        The collection itself.
    """

    kind: str
    parts: list[Any]
    sizes: tuple[int, ...] | None
    whole: Any


def collection(data: Any, n_parts: int, caller: str, argument: str) -> Collection:
    """Look at a collection; what lies in this process's memory is cut into ``n_parts``.

    Parameters
    ----------
    data : dask array, bag or data frame, list of futures or delayed values, array-like
        The collection.
    n_parts : int
        How many partitions are made of what is not one.
    caller, argument : str
        Class and method, and what the collection is called there, for messages.

    Returns
    -------
    collection : Collection
        Its partitions.
    """
    if isinstance(data, (list, tuple)) and data and all(map(is_remote, data)):
        kind = "futures" if isinstance(data[0], Future) else "delayed"
        return Collection(kind, list(data), None, data)
    if not is_collection(data):
        return collection(_from_memory(data, n_parts, caller, argument), 1, caller, argument)
    if hasattr(data, "rechunk"):
        if data.ndim == 0:
            raise ValueError(problem(caller, argument, "a 0-D array", "an array of sequences"))
        data = data.rechunk(dict.fromkeys(range(1, data.ndim), -1))
        sizes = data.chunks[0]
        known = None if any(np.isnan(sizes)) else tuple(int(size) for size in sizes)
        # Without a look at the graph: fused once here, and again by who asks for what is made of
        # it, its keys would mean two things.
        parts = data.to_delayed(optimize_graph=False).ravel()
        return Collection("array", list(parts), known, data)
    if hasattr(data, "dtypes"):
        return Collection("frame", list(data.to_delayed()), None, data)
    if hasattr(data, "to_delayed"):
        return Collection("bag", list(data.to_delayed(optimize_graph=False)), None, data)
    if is_remote(data):
        return Collection("delayed", [data], None, [data])
    expected = "a dask array, bag or data frame, or a list of futures or delayed values"
    raise TypeError(problem(caller, argument, f"a {type(data).__name__}", expected))


def is_remote(item: Any) -> bool:
    """Whether something is a future or a delayed value: one partition."""
    return isinstance(item, Future) or (is_collection(item) and hasattr(item, "key"))


def _from_memory(data: Any, n_parts: int, caller: str, argument: str) -> Any:
    from dask import array, bag

    if isinstance(data, (str, bytes, dict, set)) or not hasattr(data, "__len__"):
        expected = "a dask array, bag or data frame, or a list of futures or delayed values"
        raise TypeError(problem(caller, argument, f"a {type(data).__name__}", expected))
    if len(data) == 0:
        raise ValueError(problem(caller, argument, "0 sample(s)", "a minimum of 1"))
    if is_dataframe(data):
        from dask import dataframe

        return dataframe.from_pandas(data, npartitions=1, sort=False)
    if isinstance(data, np.ndarray) and data.dtype != object:
        chunks = (-(-len(data) // n_parts), *data.shape[1:])
        return array.from_array(data, chunks=chunks)
    return bag.from_sequence(list(data), partition_size=-(-len(data) // n_parts))


@dataclass(frozen=True)
class Parts:
    """Partitions of X, with their targets and weights.

    Parameters
    ----------
    X : Collection
        The sequences.
    y, sample_weight : Collection or None
        What belongs to them; None where X tells it, or there is none.
    form : LongForm or None
        What the columns of a frame in long form are.
    """

    X: Collection
    y: Collection | None
    sample_weight: Collection | None
    form: LongForm | None

    def arguments(self) -> list[tuple[Any, Any, Any]]:
        """X, y and weights of each partition."""
        nothing = [None] * len(self.X.parts)
        y = nothing if self.y is None else self.y.parts
        weights = nothing if self.sample_weight is None else self.sample_weight.parts
        return list(zip(self.X.parts, y, weights, strict=True))


def partitions(
    X: Any,
    y: Any,
    sample_weight: Any,
    names: tuple[str | None, str | None],
    n_parts: int,
    caller: str,
) -> Parts:
    """Bring X, y and weights into partitions that belong together.

    Parameters
    ----------
    X, y, sample_weight : object
        As of `collection`. Of a frame in long form y and weights may be names of columns.
    names : tuple of str or None
        Columns of a frame in long form that tell whose a step is, and when.
    n_parts : int
        How many partitions are made of what is not a collection.
    caller : str
        Class and method, for messages.

    Returns
    -------
    parts : Parts
        The partitions.
    """
    sequences = collection(X, n_parts, caller, "X")
    form = None
    if names[0] is not None:
        form = _long_form(sequences, y, sample_weight, names, caller)
        if form.target:
            return Parts(sequences, None, None, form)
    beside = []
    for argument, data in (("y", y), ("sample_weight", sample_weight)):
        is_missing = data is None or isinstance(data, (str, int, float))
        beside.append(None if is_missing else _beside(data, sequences, n_parts, caller, argument))
    return Parts(sequences, beside[0], beside[1], form)


def _beside(data: Any, X: Collection, n_parts: int, caller: str, argument: str) -> Collection:
    """Return what belongs to X, in partitions of the same sizes as far as these are known."""
    other = collection(data, n_parts, caller, argument)
    if X.sizes is None or other.sizes is None or X.sizes == other.sizes:
        pass
    elif sum(X.sizes) != sum(other.sizes):
        got, expected = f"{sum(other.sizes)} samples", f"{sum(X.sizes)}, as in X"
        raise ValueError(problem(caller, argument, got, expected))
    else:
        other = collection(other.whole.rechunk({0: X.sizes}), n_parts, caller, argument)
    check_as_many(other, X, caller, argument, "X")
    return other


def check_as_many(
    data: Collection, other: Collection, caller: str, argument: str, beside: str
) -> None:
    """Raise ValueError where two collections have other numbers of partitions."""
    if len(data.parts) != len(other.parts):
        got, expected = f"{len(data.parts)} partitions", f"{len(other.parts)}, as in {beside}"
        raise ValueError(problem(caller, argument, got, expected))


def _long_form(
    X: Collection, y: Any, sample_weight: Any, names: tuple[str | None, str | None], caller: str
) -> LongForm:
    if X.kind not in ("frame", "futures", "delayed"):
        expected = f"a data frame with the column {names[0]!r}, as id tells"
        raise ValueError(problem(caller, "X", f"a dask {X.kind}", expected))
    is_series = isinstance(y, str)
    target = (y,) if is_series else tuple(y) if _are_names(y) else ()
    if y is not None and not target:
        expected = "the name of a column of X, or a list of them"
        raise ValueError(problem(caller, "y", f"a {type(y).__name__}", expected))
    if sample_weight is not None and not isinstance(sample_weight, str):
        got = f"a {type(sample_weight).__name__}"
        raise ValueError(problem(caller, "sample_weight", got, "the name of a column of X"))
    assert names[0] is not None
    return LongForm(names[0], names[1], target, sample_weight, is_series)


def _are_names(y: Any) -> bool:
    is_list = isinstance(y, (list, tuple)) and len(y) > 0
    return is_list and all(isinstance(name, str) for name in y)
