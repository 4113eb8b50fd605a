"""Sequences in a fixed number of shards, which lie on the workers of a cluster.

Sequences are numbered as they come, partition after partition. Shard s of S holds those from
number s n // S to before (s + 1) n // S, whatever the partitions and the workers are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import add
from typing import Any

import dask
import numpy as np

from elman._arrays import Array
from elman._data import Reader
from elman._exceptions import abbreviated, problem
from elman._sequences import InputForm
from elman._split import validation_split
from elman._targets import TargetForm
from elman.dask import _partitions as partition
from elman.dask._cluster import Cluster
from elman.dask._collections import Parts
from elman.dask._partitions import Description, Floats, Moments
from elman.dask._steps import Numbers


def bounds_of(n_sequences: int, n_shards: int) -> Numbers:
    """Return the number of the first sequence of each shard, and the number of them all."""
    return np.arange(n_shards + 1) * n_sequences // n_shards


@dataclass(frozen=True)
class Extent:
    """What `Sequences` tells of its size."""

    n_sequences: int
    n_timesteps: int

    def __len__(self) -> int:
        return self.n_sequences


class Placement:
    """One value for each shard, each on the worker whose turn it is.

    Neighbouring shards lie on one worker, as many on each as on any other. What a lost worker held
    is computed again on another one.

    Parameters
    ----------
    cluster : Cluster
        The cluster.
    futures : list of Future
        The values.
    """

    def __init__(self, cluster: Cluster, futures: list[Any]) -> None:
        self.cluster = cluster
        self.futures = futures
        self._workers: list[str] = []
        self.groups: list[tuple[str, range]] = []

    @property
    def home(self) -> str:
        """The worker on which updates are made."""
        return self.groups[0][0]

    def settle(self) -> None:
        """Look which workers there are, and bring shards to those that have come."""
        workers = self.cluster.workers()
        if workers == self._workers:
            return
        self.groups = groups_of(len(self.futures), workers)
        self.futures = [
            self.cluster.submit(here, self.futures[s], worker=worker)
            for worker, shards in self.groups
            for s in shards
        ]
        self._workers = workers


def groups_of(n_shards: int, workers: Sequence[str]) -> list[tuple[str, range]]:
    """Return the shards of each worker; some have none where there are more of them."""
    n = len(workers)
    groups = [
        (worker, range(i * n_shards // n, (i + 1) * n_shards // n))
        for i, worker in enumerate(workers)
    ]
    return [(worker, shards) for worker, shards in groups if shards]


def here(value: Any) -> Any:
    """Return a value, on the worker that it is asked of."""
    return value


@dataclass(frozen=True)
class ShardedData:
    """X, y and weights that lie on workers; it answers as `Data` does.

    Parameters
    ----------
    cluster : Cluster
        The cluster.
    futures : list of Future
        The `Data` of each shard.
    bounds : ndarray of int64 of shape (n_shards + 1,)
        Where each shard begins.
    inputs : InputForm
        How X looks.
    targets : TargetForm
        How y looks.
    sequences : Extent
        How many sequences there are, and the longest.
    has_weights : bool
        Whether weights were given.
    caller : str
        Class and method, for messages.
    """

    cluster: Cluster
    futures: list[Any]
    bounds: Numbers
    inputs: InputForm
    targets: TargetForm
    sequences: Extent
    has_weights: bool
    caller: str

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def n_timesteps(self) -> int:
        """Steps of the longest sequence."""
        return self.sequences.n_timesteps

    def split(
        self,
        kind: str,
        fraction: float,
        random_state: np.random.RandomState,
        caller: str,
        groups: Any = None,
        *,
        stratified: bool = False,
    ) -> tuple[Numbers, Numbers]:
        """Split samples into those trained on and those held out, as of `validation_split`."""
        stratify = self.labels if stratified else None
        return validation_split(
            len(self), kind, fraction, random_state, caller, groups=groups, stratify=stratify
        )

    def ask(self, question: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Put a question to each shard."""
        return self.cluster.ask(question, self.futures, *arguments)

    def ask_of(self, samples: Numbers, question: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Put a question to each shard about those of some sequences that it holds."""
        return self.cluster.ask_each(question, self.futures, self.local(samples), *arguments)

    def local(self, samples: Numbers) -> list[Numbers]:
        """Cut numbers of sequences into those of each shard, counted within it."""
        shard = np.searchsorted(self.bounds, samples, side="right") - 1
        return [samples[shard == s] - self.bounds[s] for s in range(len(self.futures))]

    def numbered(self, local: Sequence[Numbers]) -> Numbers:
        """Undo `local`, for ascending numbers."""
        firsts = self.bounds[:-1]
        return np.concatenate([part + first for part, first in zip(local, firsts, strict=True)])

    @cached_property
    def n_rows(self) -> Numbers:
        """Rows of the targets of each sequence."""
        if not self.targets.per_step:
            return np.ones(len(self.sequences), dtype=np.int64)
        return np.concatenate(self.ask(partition.lengths))

    @property
    def labels(self) -> Array | None:
        """One target for each sequence, where there is just one."""
        if self.targets.per_step or self.targets.n_outputs > 1:
            return None
        return np.concatenate(self.ask(partition.labels_of))

    def weighted_samples(self) -> Numbers:
        """Sequences of which not every weight is zero."""
        if not self.has_weights:
            return np.arange(len(self.sequences))
        return self.numbered(self.ask(partition.weighted))

    def contents(self) -> dict[str, Any]:
        """Return checksums of everything in it."""
        return {"X, y, sample_weight": self.ask(partition.checksum)}

    def take(self, samples: Numbers) -> ShardedData:
        """Only these sequences, each where it lies."""
        local = self.local(samples)
        futures = [
            self.cluster.submit(partition.take, data, part)
            for data, part in zip(self.futures, local, strict=True)
            if len(part)
        ]
        counts = [len(part) for part in local if len(part)]
        return replace(
            self,
            futures=futures,
            bounds=np.concatenate([[0], np.cumsum(counts)]),
            sequences=Extent(len(samples), self.sequences.n_timesteps),
        )

    def target_moments(self, samples: Numbers) -> Moments:
        """Moments of the targets of these sequences."""
        found: Moments = reduce(add, self.ask_of(samples, partition.target_moments, self.caller))
        return found

    def mean_target(self, samples: Numbers, caller: str) -> Floats:
        """Weighted mean of the targets of these sequences."""
        moments = self.target_moments(samples)
        return moments.mean * moments.largest

    def channel_means(self, samples: Numbers, caller: str) -> Floats:
        """Means of what is not NaN in these sequences, from which missing values fade."""
        moments: Moments = reduce(add, self.ask_of(samples, partition.channel_moments))
        empty = np.flatnonzero(moments.weight == 0)
        if len(empty):
            got = f"no value at all in the channels {abbreviated(empty.tolist())}"
            raise ValueError(problem(caller, "X", got, "at least one, which tells their mean"))
        return moments.mean * moments.largest


def read(cluster: Cluster, parts: Parts, reader: Reader, n_shards: int) -> ShardedData:
    """Read partitions on the workers, and deal their sequences out to shards.

    Parameters
    ----------
    cluster : Cluster
        The cluster.
    parts : Parts
        The partitions.
    reader : Reader
        How they are read.
    n_shards : int
        How many shards are wanted; there are no more than sequences.

    Returns
    -------
    data : ShardedData
        The sequences.

    Raises
    ------
    ValueError
        If a partition is not as it should be, or not as the others are.
    """
    reading = dask.delayed(partition.read, pure=False)
    tasks = [
        reading(reader, parts.form, number, *arguments)
        for number, arguments in enumerate(parts.arguments())
    ]
    futures = cluster.client.compute(tasks)
    described = cluster.ask(partition.describe, futures)
    found: list[Description] = [description for description in described if description]
    if not found:
        raise ValueError(problem(reader.caller, "X", "0 sample(s)", "a minimum of 1"))
    futures = [futures[description.number] for description in found]
    inputs, targets = form_of(found, reader.caller)
    counts = np.array([description.n_sequences for description in found])
    n_sequences = int(counts.sum())
    extent = Extent(n_sequences, max(description.n_timesteps for description in found))
    bounds = bounds_of(n_sequences, min(n_shards, n_sequences))
    starts = np.concatenate([[0], np.cumsum(counts)])
    form = (inputs, targets, extent.n_timesteps)
    shards = [
        cluster.submit(
            partition.join,
            pieces_of(cluster, partition.cut, futures, starts, (bounds[s], bounds[s + 1])),
            *form,
            worker=worker,
        )
        for worker, numbers in groups_of(len(bounds) - 1, cluster.workers())
        for s in numbers
    ]
    has_weights = found[0].has_weights
    return ShardedData(cluster, shards, bounds, inputs, targets, extent, has_weights, reader.caller)


def pieces_of(
    cluster: Cluster,
    cut: Callable[..., Any],
    partitions: Sequence[Any],
    starts: Numbers,
    span: tuple[int, int],
) -> list[Any]:
    """Cut what has numbers from the first of a span to before the second out of partitions."""
    begin, end = span
    pieces = []
    for number, data in enumerate(partitions):
        first, last = max(begin, starts[number]), min(end, starts[number + 1])
        if first < last:
            place = int(first - starts[number]), int(last - starts[number])
            pieces.append(cluster.submit(cut, data, *place))
    return pieces


def form_of(found: Sequence[Description], caller: str) -> tuple[InputForm, TargetForm]:
    """Return the form of the whole; ValueError where partitions differ."""
    first = found[0]
    n = sum(description.n_sequences for description in found)
    shape = f"({n} sequences in {len(found)} partitions, {first.inputs.n_features})"
    n_tokens = max(description.inputs.n_tokens for description in found)
    if first.inputs.layout == "features":
        n_tokens = first.inputs.n_tokens
    for description in found:
        number = description.number, first.number
        _check_alike("X", description.inputs, first.inputs, number, caller)
        _check_alike("y", description.targets, first.targets, number, caller)
    _check_names(found, caller)
    return replace(first.inputs, shape=shape, n_tokens=n_tokens), first.targets


def _check_alike(
    argument: str, form: Any, first: Any, number: tuple[int, int], caller: str
) -> None:
    for name, value in vars(first).items():
        is_free = name == "shape" or (name == "n_tokens" and first.layout == "tokens")
        if not is_free and not np.array_equal(getattr(form, name), value):
            got = f"{name}={getattr(form, name)} in partition {number[0]}"
            expected = f"{value}, as in partition {number[1]}"
            raise ValueError(problem(caller, argument, got, expected))


def _check_names(found: Sequence[Description], caller: str) -> None:
    """Raise ValueError where a sequence in long form lies in two partitions."""
    names = [d.names for d in found if d.names is not None]
    if not names:
        return
    every = np.concatenate(names)
    number = np.repeat([d.number for d in found], [len(of_one) for of_one in names])
    order = np.argsort(every, kind="stable")
    again = np.flatnonzero(every[order][1:] == every[order][:-1])
    if len(again):
        i, j = order[again[0]], order[again[0] + 1]
        got = f"steps of sequence {every.tolist()[i]!r} in partitions {number[i]} and {number[j]}"
        expected = "each sequence in one partition: call .shuffle(on=id) or .set_index(id)"
        raise ValueError(problem(caller, "X", got, expected))
