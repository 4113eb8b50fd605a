"""The epochs of a fit whose mini-batches are computed on a cluster.

An epoch is cut into stretches of some rounds. A stretch is a graph that is handed to the scheduler
at once: round after round, each worker differentiates for the shards that it holds, and one of them
makes the update, whose parameters go to the others. Nothing but the members of the mini-batches
goes from here to the workers, and nothing comes back before the end of the stretch. If a worker is
lost, dask computes again what was on it; if it cannot, the stretch is begun anew from the state
before it, which lies here. All tasks are pure, so the bits stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dask
import numpy as np

from elman._arrays import Array
from elman._training import Training
from elman.dask import _steps as step
from elman.dask._cluster import Cluster
from elman.dask._shards import Placement
from elman.dask._steps import Numbers, Recipe, State

ROUNDS_A_STRETCH = 64


@dataclass(frozen=True)
class Round:
    """What happens between two states.

    Parameters
    ----------
    batches : list of (list of ndarray of int64)
        The mini-batches: of each shard, the numbers of its members.
    first : int
        Number of the first one in the epoch.
    total_weight : float
        What the losses of a mini-batch are divided by, if there is one.
    """

    batches: list[list[Numbers]]
    first: int
    total_weight: float


class ClusterTrainer:
    """Trains on the shards of a cluster as `_core.Trainer` does on arrays.

    Parameters
    ----------
    placement : Placement
        The `Examples` of each shard.
    bounds : ndarray of int64
        Where each shard begins.
    rows : ndarray of int64
        Rows of the targets of each sequence.
    recipe : Recipe
        What workers make trainers with.
    state : State
        Where to begin.
    sync_every : int
        Mini-batches that each shard makes by itself between two averages; 1 sums up gradients.
    """

    def __init__(
        self,
        placement: Placement,
        bounds: Numbers,
        rows: Numbers,
        recipe: Recipe,
        state: State,
        sync_every: int,
    ) -> None:
        self._placement = placement
        self._bounds = bounds
        self._rows = rows
        self._recipe = recipe
        self._state = state
        self._sync_every = sync_every

    @property
    def parameters(self) -> Array:
        """Parameters in the units of training."""
        return self._state.parameters

    @property
    def solver_state(self) -> dict[str, Any] | None:
        """As of `_core.Trainer`."""
        return self._state.solver_state

    @property
    def learning_rate(self) -> float:
        """That of the solver."""
        return self._state.learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._state = replace(self._state, learning_rate=rate)

    def epoch(self, order: Numbers, batch_size: int) -> float:
        """One pass over ``order`` in mini-batches; the weighted mean of their losses."""
        rounds = self._rounds(order, batch_size)
        state = replace(self._state, loss=0.0, weight=0.0)
        cluster = self._placement.cluster
        for begin in range(0, len(rounds), ROUNDS_A_STRETCH):
            stretch = rounds[begin : begin + ROUNDS_A_STRETCH]
            state = cluster.again(lambda s=state, r=stretch: self._stretch(s, r))
        self._state = state
        return state.loss / state.weight if state.weight > 0.0 else 0.0

    def _rounds(self, order: Numbers, batch_size: int) -> list[Round]:
        cuts = range(0, len(order), batch_size)
        batches = [order[cut : cut + batch_size] for cut in cuts]
        k = self._sync_every
        return [
            Round(
                [self._by_shard(batch) for batch in batches[b : b + k]],
                b,
                float(self._rows[batches[b]].sum()),
            )
            for b in range(0, len(batches), k)
        ]

    def _by_shard(self, batch: Numbers) -> list[Numbers]:
        shard = np.searchsorted(self._bounds, batch, side="right") - 1
        return [batch[shard == s] - self._bounds[s] for s in range(len(self._bounds) - 1)]

    def _stretch(self, state: State, rounds: Sequence[Round]) -> State:
        """Hand some rounds to the scheduler, and wait for the state behind them."""
        placement = self._placement
        placement.settle()
        home, cluster = placement.groups[0][0], placement.cluster
        one_round = self._summed if self._sync_every == 1 else self._averaged
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
            future = cluster.submit(resume, state, worker=home)
            for each in rounds:
                future = one_round(cluster, future, each)
        try:
            end: State = cluster.wait(future)
        except BaseException:
            future.cancel()
            raise
        return end

    def _summed(self, cluster: Cluster, state: Any, each: Round) -> Any:
        """Differentiate one mini-batch, and update by the sum of its gradients."""
        placement, (batch,) = self._placement, each.batches
        home = placement.groups[0][0]
        weights = state
        if len(placement.groups) > 1:
            weights = cluster.submit(step.weights_of, state, worker=home)
        parts = [
            cluster.submit(
                step.differentiate,
                self._recipe,
                state if worker == home else weights,
                numbers,
                [placement.futures[s] for s in numbers],
                [batch[s] for s in numbers],
                each.total_weight,
                worker=worker,
            )
            for worker, numbers in placement.groups
            if any(len(batch[s]) for s in numbers)
        ]
        arguments = (self._recipe, state, each.first, each.total_weight)
        return cluster.submit(step.update, *arguments, *parts, worker=home)

    def _averaged(self, cluster: Cluster, state: Any, each: Round) -> Any:
        """Let each shard go some mini-batches by itself, and average where they end."""
        placement = self._placement
        ends = [
            cluster.submit(
                step.travel,
                self._recipe,
                state,
                numbers,
                [placement.futures[s] for s in numbers],
                [[batch[s] for batch in each.batches] for s in numbers],
                worker=worker,
            )
            for worker, numbers in placement.groups
        ]
        home = placement.groups[0][0]
        return cluster.submit(step.meet, self._recipe, state, *ends, worker=home)


def resume(state: State) -> State:
    """Return the state that a stretch begins with."""
    return state


@dataclass
class ClusterTraining(Training):
    """One call of `fit` or `partial_fit` on a cluster.

    Parameters
    ----------
    make_trainer : callable
        Takes the options of a trainer and a `State`, and returns a `ClusterTrainer`.
    """

    make_trainer: Callable[[dict[str, Any], State], ClusterTrainer] | None = None

    def _trainer(self) -> Any:
        assert self.make_trainer is not None
        options = self._trainer_options()
        del options["n_threads"]
        rate = options["learning_rate"]
        return self.make_trainer(
            options, State(self.state.parameters, self.state.solver_state, rate)
        )

    def _train(self, trainer: Any, order: Numbers, epoch: int) -> float:
        return float(trainer.epoch(order, self._batch_size))
