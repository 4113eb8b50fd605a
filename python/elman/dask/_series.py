"""What a partition or a shard of a panel is, and what can be asked of it, where it lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elman import _core
from elman._arrays import Array
from elman._forecast.fit import check_values
from elman._forecast.history import Floats, History, Integers
from elman._forecast.network import errors_of, examples_of
from elman._forecast.plan import Plan
from elman._forecast.series import Series, SeriesReader
from elman._panel import Panel, read_panel
from elman._panel_form import PanelForm
from elman._sequences import offsets_of, step_rows
from elman._training import Examples
from elman.dask._partitions import is_empty, listed
from elman.dask._steps import aligned, threads_of_worker


@dataclass(frozen=True)
class SeriesPartition:
    """A partition that was read.

    Parameters
    ----------
    series : Series
        Its series.
    form : PanelForm
        How y came, and X.
    """

    series: Series
    form: PanelForm


@dataclass(frozen=True)
class WindowShard:
    """Series from which windows are cut; members are pairs of a series and an origin.

    Parameters
    ----------
    history : History
        The series.
    plan : Plan
        How windows are cut.
    """

    history: History
    plan: Plan

    def minibatch(self, members: Integers) -> Examples:
        """Return the windows that end before these origins."""
        return examples_of(self.plan, self.history, members[:, 0], members[:, 1])


def panel_of(y: Any, X: Any, columns: tuple[str, str, str], caller: str) -> Panel:
    """Read the series of a partition."""
    return read_panel(listed(y), listed(X), None, caller=caller, columns=columns)


def read(
    reader: SeriesReader,
    known: tuple[str, ...],
    columns: tuple[str, str, str],
    number: int,
    y: Any,
    X: Any,
) -> SeriesPartition | None:
    """Read a partition, None where it is empty; what is wrong with it is told with its number."""
    y = listed(y)
    if is_empty(y):
        return None
    try:
        panel = panel_of(y, X, columns, reader.caller)
        reader.check(panel.form, known)
        return SeriesPartition(reader.read(panel), panel.form)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{error}, in partition {number}") from error


def told(partition: SeriesPartition | None) -> tuple[PanelForm, Integers] | None:
    """Tell the form of a partition, and the times of its series."""
    return None if partition is None else (partition.form, partition.series.lengths)


def cut(partition: SeriesPartition, begin: int, end: int) -> Series:
    """Return some of its series."""
    return take(partition.series, np.arange(begin, end))


def take(series: Series, which: Integers) -> Series:
    """Only these series."""
    rows = step_rows(series.offsets, which)
    return Series(
        series.values[rows],
        offsets_of(series.lengths[which]),
        series.covariates[rows],
        series.past[rows],
        series.static[which],
        series.identities[which],
    )


def join(pieces: Sequence[Series]) -> Series:
    """Put series one after another."""
    parts = [[getattr(piece, name) for piece in pieces] for name in _ROWS]
    values, covariates, past, static = (np.concatenate(part) for part in parts)
    lengths = np.concatenate([piece.lengths for piece in pieces])
    numbers = np.arange(len(lengths))
    return Series(values, offsets_of(lengths), covariates, past, static, numbers)


_ROWS = ("values", "covariates", "past", "static")


def extremes(series: Series) -> tuple[float, bool]:
    """Return the least value, and whether one is missing."""
    return float(np.nanmin(series.values)), bool(np.isnan(series.values).any())


def shard_of(series: Series, plan: Plan, n_beyond: int, caller: str) -> WindowShard:
    """Return series as they are trained on, with times behind each of which nothing is known."""
    check_values(series.values, plan.transform, plan.loss, caller)
    series = series.extended(n_beyond) if n_beyond else series
    return WindowShard(series.history(plan.transform), plan)


def scales(shard: WindowShard, members: Integers) -> Floats:
    """Units of windows."""
    return shard.plan.cut(shard.history, members[:, 0], members[:, 1]).scale


def errors(
    shard: WindowShard, members: Integers, architecture: Mapping[str, Any], parameters: Array
) -> Floats:
    """Absolute errors of the forecasts from some origins, in units of their windows."""
    network, plan, history = _core.Network(**architecture), shard.plan, shard.history
    if len(members) == 0:
        return np.empty((0, plan.horizon))
    window = plan.cut(history, members[:, 0], members[:, 1])
    n_threads = threads_of_worker()
    return errors_of(network, aligned(parameters), plan, history, window, n_threads)


def with_network(plan: Plan, n_times: Integers, has_holes: bool) -> Plan:
    """Return a plan of some series as one of them all."""
    short = bool((n_times < plan.window + plan.horizon).any())
    return replace(plan, reads_holes=has_holes or short)
