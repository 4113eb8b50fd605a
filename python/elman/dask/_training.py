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

from elman._arrays import Array
from elman._training import Training
from elman.dask import _steps as step
from elman.dask._cluster import Cluster
from elman.dask._shards import Placement, ShardedData
from elman.dask._steps import Numbers, Recipe, State

ROUNDS_A_STRETCH = 64


@dataclass(frozen=True)
class Round:
    """What happens between two states.

    Parameters
    ----------
    batches : list of (list of ndarray of int64)
        The mini-batches: of each shard, its members.
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
        The `Shard`s.
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
        recipe: Recipe,
        state: State,
        sync_every: int,
    ) -> None:
        self._placement = placement
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

    def run(self, batches: Sequence[list[Numbers]], total_weights: Sequence[float]) -> float:
        """Train on mini-batches, given by the members of each shard; the mean of their losses."""
        k = self._sync_every
        rounds = [
            Round(list(batches[b : b + k]), b, float(total_weights[b]))
            for b in range(0, len(batches), k)
        ]
        state = replace(self._state, loss=0.0, weight=0.0)
        for begin in range(0, len(rounds), ROUNDS_A_STRETCH):
            state = self._stretch(state, rounds[begin : begin + ROUNDS_A_STRETCH])
        self._state = state
        return state.loss / state.weight if state.weight > 0.0 else 0.0

    def _stretch(self, state: State, rounds: Sequence[Round]) -> State:
        """Hand some rounds to the scheduler, and wait for the state behind them."""
        placement = self._placement
        cluster = placement.cluster
        one_round = self._summed if self._sync_every == 1 else self._averaged

        def attempt() -> State:
            placement.settle()
            with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
                future = cluster.submit(resume, state, worker=placement.home)
                for each in rounds:
                    future = one_round(cluster, future, each)
            try:
                end: State = cluster.wait(future)
            except BaseException:
                future.cancel()
                raise
            return end

        end: State = cluster.again(attempt)
        return end

    def _summed(self, cluster: Cluster, state: Any, each: Round) -> Any:
        """Differentiate one mini-batch, and update by the sum of its gradients."""
        placement, (batch,) = self._placement, each.batches
        home, weights = placement.home, state
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
        return cluster.submit(step.meet, self._recipe, state, *ends, worker=placement.home)


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
    data : ShardedData
        Tells where sequences lie.
    """

    make_trainer: Callable[[dict[str, Any], State], ClusterTrainer] | None = None
    data: ShardedData | None = None

    def _trainer(self) -> Any:
        assert self.make_trainer is not None
        options, state = self._trainer_options(), self.state
        del options["n_threads"]
        start = State(state.parameters, state.solver_state, options["learning_rate"])
        return self.make_trainer(options, start)

    def _train(self, trainer: Any, order: Numbers, epoch: int) -> float:
        data = self.data
        assert data is not None
        size = self._batch_size
        batches = [order[begin : begin + size] for begin in range(0, len(order), size)]
        n_rows = [float(data.n_rows[batch].sum()) for batch in batches]
        return float(trainer.run([data.local(batch) for batch in batches], n_rows))
