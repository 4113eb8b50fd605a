"""Series in shards on the workers of a cluster, and networks that are trained on their windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dask
import numpy as np

from elman._arrays import Array
from elman._exceptions import abbreviated, problem
from elman._forecast.fit import settle_plan
from elman._forecast.history import History, Integers
from elman._forecast.network import Course
from elman._forecast.plan import Plan
from elman._forecast.series import Series, SeriesReader
from elman._panel_form import PanelForm
from elman._sequences import offsets_of
from elman.dask import _series as part
from elman.dask._cluster import Cluster
from elman.dask._collections import Collection
from elman.dask._shards import Placement, bounds_of, groups_of, pieces_of
from elman.dask._steps import Recipe, State
from elman.dask._training import ClusterTrainer

MOST_LOOKED_AT = 1000
"""Series, evenly spaced, that tell what "auto" means; more of them are not brought together."""


@dataclass(frozen=True)
class ShardedSeries:
    """Series that lie on workers.

    Parameters
    ----------
    cluster : Cluster
        The cluster.
    futures : list of Future
        The `Series` of each shard.
    bounds : ndarray of int64 of shape (n_shards + 1,)
        Where each shard begins.
    lengths : ndarray of int64 of shape (n_series,)
        Times of each series.
    form : PanelForm
        How y came.
    """

    cluster: Cluster
    futures: list[Any]
    bounds: Integers
    lengths: Integers
    form: PanelForm

    def ask(self, question: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Put a question to each shard."""
        return self.cluster.ask(question, self.futures, *arguments)

    def local(self, series: Integers, origins: Integers, offsets: Integers) -> list[Integers]:
        """Cut pairs of a series and an origin into those of each shard, counted within it."""
        shard = np.searchsorted(self.bounds, series, side="right") - 1
        first = self.bounds[shard]
        members = np.column_stack([series - first, origins - offsets[first]])
        return [members[shard == s] for s in range(len(self.futures))]

    def sample(self) -> Series:
        """Bring some evenly spaced series here."""
        n = len(self.lengths)
        numbers = np.unique(np.linspace(0, n - 1, min(n, MOST_LOOKED_AT)).round().astype(int))
        shard = np.searchsorted(self.bounds, numbers, side="right") - 1
        chosen = [numbers[shard == s] - self.bounds[s] for s in range(len(self.futures))]
        return part.join(self.cluster.ask_each(part.take, self.futures, chosen))


@dataclass(frozen=True)
class ClusterCourse(Course):
    """One training whose windows are cut on the workers.

    Parameters
    ----------
    shards : ShardedSeries
        The series; its futures are `WindowShard`s.
    n_beyond : int
        Times behind each series of which nothing is known.
    sync_every : int
        As of `ClusterTrainer`.
    n_jobs : int or None
        Threads of a task.
    """

    shards: ShardedSeries
    n_beyond: int
    sync_every: int
    n_jobs: int | None

    @cached_property
    def _offsets(self) -> Integers:
        return offsets_of(self.shards.lengths + self.n_beyond)

    def _trainer(self, network: Any, parameters: Array, seed: int, n_threads: int) -> Any:
        cluster = self.shards.cluster
        recipe = Recipe(
            f"{cluster.name}-{seed}",
            self.architecture,
            self.trainer_options(seed),
            len(self.shards.futures),
            self.n_jobs,
        )
        state = State(parameters, None, self.options["learning_rate"])
        placement = Placement(cluster, self.shards.futures)
        return ClusterTrainer(placement, recipe, state, self.sync_every)

    def _train_on(self, trainer: Any, series: Integers, origins: Integers) -> float:
        size = self.batch_size
        batches = [
            self.shards.local(series[i : i + size], origins[i : i + size], self._offsets)
            for i in range(0, len(series), size)
        ]
        rows = size * (self.plan.n_written if self.plan.is_decoding else 1)
        return float(trainer.run(batches, [float(rows)] * len(batches)))

    def _validation(self, network: Any, n_threads: int) -> Callable[[Array], float] | None:
        if self.held_out is None:
            return None
        shards = self.shards
        members = shards.local(*self.held_out.all(), self._offsets)
        scale = np.concatenate(shards.cluster.ask_each(part.scales, shards.futures, members))
        spread = scale / np.median(scale)

        def validate(parameters: Array) -> float:
            arguments = (self.architecture, parameters)
            found = shards.cluster.ask_each(part.errors, shards.futures, members, *arguments)
            return float(np.nanmean(np.concatenate(found) * spread[:, None]))

        return validate


def read(
    cluster: Cluster,
    parts: tuple[Collection, Collection | None],
    reader: SeriesReader,
    settings: Mapping[str, Any],
) -> ShardedSeries:
    """Read partitions on the workers, and deal their series out to shards."""
    y, X = parts
    known = tuple(settings["known_covariates"] or ())
    columns = tuple(settings["columns"])
    reading = dask.delayed(part.read, pure=False)
    covariates = [None] * len(y.parts) if X is None else X.parts
    futures = cluster.client.compute(
        [
            reading(reader, known, columns, number, *of_part)
            for number, of_part in enumerate(zip(y.parts, covariates, strict=True))
        ]
    )
    told = cluster.ask(part.told, futures)
    futures = [future for future, found in zip(futures, told, strict=True) if found]
    if not futures:
        raise ValueError(problem(reader.caller, "y", "0 series", "at least 1"))
    form = _form_of([found and found[0] for found in told], reader.caller)
    each = [found[1] for found in told if found]
    lengths, starts = np.concatenate(each), offsets_of(np.array([len(n) for n in each]))
    bounds = bounds_of(len(lengths), min(settings["n_shards"], len(lengths)))
    shards = [
        cluster.submit(
            part.join,
            pieces_of(cluster, part.cut, futures, starts, (bounds[s], bounds[s + 1])),
            worker=worker,
        )
        for worker, numbers in groups_of(len(bounds) - 1, cluster.workers())
        for s in numbers
    ]
    return ShardedSeries(cluster, shards, bounds, lengths, form)


def _form_of(forms: list[PanelForm | None], caller: str) -> PanelForm:
    """Return the form of the whole; ValueError where partitions differ or share a series."""
    first, *_ = (form for form in forms if form)
    seen: set[Any] = set()
    for number, form in enumerate(forms):
        if form is None:
            continue
        for name in ("layout", "frequency", "covariates"):
            if getattr(form, name) != getattr(first, name):
                got = f"{name} {getattr(form, name)} in partition {number}"
                expected = f"{getattr(first, name)}, as in the first one"
                raise ValueError(problem(caller, "y", got, expected))
        if form.layout in ("long", "wide"):
            twice = seen.intersection(form.names)
            if twice:
                got = f"the series {abbreviated(sorted(twice))} in several partitions"
                expected = "each in one: call .shuffle(on='unique_id') or .set_index"
                raise ValueError(problem(caller, "y", got, expected))
            seen.update(form.names)
    return first


def plan_of(series: ShardedSeries, settings: Mapping[str, Any], caller: str) -> Plan:
    """Settle the plan by some of the series, and what must hold by all of them."""
    found = series.ask(part.extremes)
    if settings["transform"] == "auto" and min(least for least, _ in found) <= 0.0:
        settings = {**settings, "transform": None}
    plan = settle_plan(series.sample(), settings, caller)
    return part.with_network(plan, series.lengths, any(has_holes for _, has_holes in found))


def nothing() -> History:
    """Return a history without a series: the series are elsewhere."""
    empty, none = np.empty(0), np.empty(0, dtype=np.int64)
    table = np.empty((0, 0))
    return History(empty, none, none, np.zeros(1, dtype=np.int64), table, table, table, none)
