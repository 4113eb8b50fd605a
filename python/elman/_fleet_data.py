"""The Xs and ys of a fleet, read together where they are alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array, is_finite
from elman._data import Data, Reader
from elman._exceptions import problem
from elman._sequences import InputForm, Sequences, offsets_of
from elman._weights import only_last_steps

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class FleetData:
    """X and y of many networks, one after another.

    Parameters
    ----------
    data : Data
        The sequences of all networks, and their targets.
    first_sequence : ndarray of shape (n_networks + 1,) of int64
        Where those of each network begin.
    inputs : tuple of InputForm
        How each X looked; one for all where they looked alike.
    n_timesteps : ndarray of shape (n_networks,) of int64
        Steps of each X, as its own fit would count them.
    """

    data: Data
    first_sequence: Integers
    inputs: tuple[InputForm, ...]
    n_timesteps: Integers

    def __len__(self) -> int:
        return len(self.first_sequence) - 1

    @property
    def n_samples(self) -> Integers:
        """Sequences of each network."""
        return np.diff(self.first_sequence)

    def rows(self) -> Integers:
        """Where the rows of the targets of each network begin, and where the last ones end."""
        first: Integers = self.first_sequence
        return self.data.sequences.offsets[first] if self.data.targets.per_step else first


def check_lists(Xs: Any, ys: Any, caller: str) -> int:
    """Return the number of networks; an error where there is none, or ys has another length."""
    for values, argument in ((Xs, "Xs"), (ys, "ys")):
        if not isinstance(values, (Sequence, np.ndarray)) or isinstance(values, str):
            got = f"a {type(values).__name__}"
            expected = "a list with an item for each network, or an array of them"
            raise TypeError(problem(caller, argument, got, expected))
    if len(Xs) == 0:
        raise ValueError(problem(caller, "Xs", "0 networks", "at least 1"))
    if len(ys) != len(Xs):
        raise ValueError(problem(caller, "ys", f"{len(ys)} items", f"{len(Xs)}, as in Xs"))
    return len(Xs)


def stacked(items: Any, least_axes: int) -> Array | None:
    """Items of one shape and dtype as one array; None where they are something else."""
    if isinstance(items, np.ndarray):
        return items if items.dtype != object and items.ndim > least_axes else None
    first = items[0]
    if not isinstance(first, np.ndarray) or first.dtype == object or first.ndim < least_axes:
        return None
    if any(
        type(item) is not np.ndarray or item.shape != first.shape or item.dtype != first.dtype
        for item in items
    ):
        return None
    return np.stack(items)


def read_fleet(reader: Reader, Xs: Any, ys: Any) -> FleetData | None:
    """Read X and y of every network.

    Parameters
    ----------
    reader : Reader
        How one of them is read.
    Xs, ys : array-like or list
        An item for each network.

    Returns
    -------
    data : FleetData or None
        None where networks need shapes of their own.
    """
    X, y = stacked(Xs, 2), stacked(ys, 1)
    if X is not None and y is not None and len(y) == len(X) and y.shape[1] == X.shape[1]:
        try:
            data = reader.read_arrays(_joined(X), _joined(y), None)
        except (TypeError, ValueError):
            _read_apart(reader, Xs, ys)  # which names the network
            raise
        n, n_samples = X.shape[:2]
        form = replace(data.inputs, shape=str(X.shape[1:]))
        lengths = np.full(n, data.sequences.n_timesteps, dtype=np.int64)
        return FleetData(data, np.arange(n + 1, dtype=np.int64) * n_samples, (form,), lengths)
    return _of_many_lengths(reader, Xs, ys) or _side_by_side(_read_apart(reader, Xs, ys))


def _of_many_lengths(reader: Reader, Xs: Any, ys: Any) -> FleetData | None:
    """Read arrays that differ in their lengths only; None where one needs a closer look."""
    if not (_are_like_first(Xs) and _are_like_first(ys)) or Xs[0].ndim != 3:
        return None
    try:
        first = reader.read_arrays(Xs[0], ys[0], None)
    except (TypeError, ValueError):
        return None
    n_shared = 2 if first.targets.per_step else 1
    n_channels, form = Xs[0].shape[2], ys[0].shape[n_shared:]
    if any(
        X.shape[2] != n_channels or X.shape[:n_shared] != y.shape[:n_shared]
        for X, y in zip(Xs, ys, strict=True)
    ) or any(y.shape[n_shared:] != form for y in ys):
        return None
    sequences, parts = _concatenated(Xs, first.sequences)
    rows = np.concatenate([y.reshape(-1, first.targets.n_outputs) for y in ys])
    if not is_finite(sequences.array) or (rows.dtype.kind == "f" and not is_finite(rows)):
        return None
    weights = None
    if reader.loss_steps is not None:
        weights = only_last_steps(None, sequences, reader.loss_steps)
    data = Data(sequences, first.inputs, rows, first.targets, weights)
    inputs = tuple(replace(first.inputs, shape=str(X.shape)) for X in Xs)
    n_timesteps = np.array([part.n_timesteps for part in parts], dtype=np.int64)
    return FleetData(data, offsets_of(_counts(parts)), inputs, n_timesteps)


def _are_like_first(items: Any) -> bool:
    """Whether these are arrays of one dtype and rank, with something in each."""
    first = items[0]
    return all(
        type(item) is np.ndarray
        and item.dtype == first.dtype
        and item.dtype != object
        and item.ndim == first.ndim >= 1
        and item.size > 0
        for item in items
    )


def _concatenated(Xs: Any, like: Sequences) -> tuple[Sequences, list[Sequences]]:
    """Return arrays of three dimensions one after another, and each of them."""
    parts = [
        Sequences(
            X,
            np.arange(len(X) + 1, dtype=np.int64) * X.shape[1],
            like.dtype,
            X.shape[1],
            False,
            like.caller,
            like.argument,
        )
        for X in Xs
    ]
    lengths = np.repeat([X.shape[1] for X in Xs], [len(X) for X in Xs]).astype(np.int64)
    array = np.concatenate([X.reshape(-1, X.shape[2]) for X in Xs])
    whole = replace(like, array=array, offsets=offsets_of(lengths), n_timesteps=int(lengths.max()))
    return whole, parts


def read_questions(reader: Reader, Xs: Any) -> tuple[Sequences, Integers, list[Sequences] | None]:
    """Read the X of every network alone.

    Parameters
    ----------
    reader : Reader
        How one of them is read.
    Xs : array-like or list
        An item for each network.

    Returns
    -------
    sequences : Sequences
        Those of all networks.
    first_sequence : ndarray of int64
        Where those of each network begin.
    parts : list of Sequences, or None
        Those of each network; None where `Xs` was a stack.
    """
    X = stacked(Xs, 2)
    if X is not None:
        first = np.arange(len(X) + 1, dtype=np.int64) * X.shape[1]
        return reader.read_sequences(_joined(X))[0], first, None
    form = reader.form
    if form is not None and form.layout == "sequences" and _are_like_first(Xs):
        first = Xs[0]
        is_plain = first.ndim == 3 and first.dtype == form.dtype
        if is_plain and all(X.shape[2] == form.n_channels for X in Xs):
            whole, parts = _concatenated(Xs, reader.read_sequences(first)[0])
            if is_finite(whole.array):
                return whole, offsets_of(_counts(parts)), parts
    parts = [_named(reader, i).read_sequences(X)[0] for i, X in enumerate(Xs)]
    return _joined_sequences(parts), offsets_of(_counts(parts)), parts


def _joined(stack: Array) -> Array:
    """Return samples of all networks along one axis."""
    return stack.reshape(-1, *stack.shape[2:])


def _named(reader: Reader, i: int) -> Reader:
    return replace(reader, caller=f"{reader.caller}: network {i}")


def _counts(parts: list[Sequences]) -> Integers:
    return np.array([len(part) for part in parts], dtype=np.int64)


def _read_apart(reader: Reader, Xs: Any, ys: Any) -> list[Data]:
    pairs = zip(Xs, ys, strict=True)
    return [_named(reader, i).read_arrays(X, y, None) for i, (X, y) in enumerate(pairs)]


def _joined_sequences(parts: list[Sequences]) -> Sequences:
    return replace(
        parts[0],
        array=np.concatenate([part.values for part in parts]),
        offsets=offsets_of(np.concatenate([part.lengths for part in parts])),
        n_timesteps=max(part.n_timesteps for part in parts),
        is_list=True,
    )


def _side_by_side(parts: list[Data]) -> FleetData | None:
    first = parts[0]
    like_first = replace(first.inputs, shape="")
    if any(
        part.targets != first.targets
        or part.rows.dtype != first.rows.dtype
        or not _same_form(replace(part.inputs, shape=""), like_first)
        for part in parts
    ):
        return None
    weights = None
    if first.weights is not None:
        weights = np.concatenate([part.weights for part in parts if part.weights is not None])
    sequences = [part.sequences for part in parts]
    data = Data(
        _joined_sequences(sequences),
        first.inputs,
        np.concatenate([part.rows for part in parts]),
        first.targets,
        weights,
    )
    return FleetData(
        data,
        offsets_of(_counts(sequences)),
        tuple(part.inputs for part in parts),
        np.array([part.n_timesteps for part in sequences], dtype=np.int64),
    )


def _same_form(a: InputForm, b: InputForm) -> bool:
    names = [None if form.feature_names is None else list(form.feature_names) for form in (a, b)]
    return replace(a, feature_names=None) == replace(b, feature_names=None) and names[0] == names[1]
