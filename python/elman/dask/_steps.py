"""What workers do in a mini-batch: pure functions, whose answers depend on nothing but arguments.

The sequences lie in a fixed number of shards. Each shard of a mini-batch gives a `Part` of its loss
and gradient, and the parts are summed up along one binary tree over the shards,

    ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7))

whoever has computed them. A worker with neighbouring shards sums up the subtrees that it holds, so
that less is moved, and the sum is the same to the bit for any number of workers.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from elman import _core
from elman._arrays import Array
from elman._sequences import step_rows
from elman._training import Examples

Numbers = NDArray[np.int64]
Node = tuple[int, int]
"""A subtree: the shards from the first number to before the second."""

_T = TypeVar("_T")
_kept = threading.local()


@dataclass(frozen=True)
class Recipe:
    """What a worker makes networks and trainers with.

    Parameters
    ----------
    name : str
        The fit's own.
    architecture : dict
        Arguments of `_core.Network`.
    options : dict
        Arguments of `_core.Trainer` beside parameters and threads.
    n_shards : int
        In how many shards the sequences lie.
    n_jobs : int or None
        Threads of a task; None is those of its worker. They never change a bit.
    """

    name: str
    architecture: Mapping[str, Any]
    options: Mapping[str, Any]
    n_shards: int
    n_jobs: int | None

    def trainer(self, parameters: Array, shard: int = 0) -> Any:
        """Make a trainer; its dropout masks are those of a shard."""
        seed = (self.options["seed"] + shard) % 2**64
        options = {**self.options, "seed": seed, "n_threads": self._n_threads()}
        return _core.Trainer(_core.Network(**self.architecture), parameters, **options)

    def kept_trainer(self, parameters: Array) -> Any:
        """Return this thread's trainer, whose memory is used again, with other parameters."""
        if getattr(_kept, "name", None) != self.name:
            _kept.trainer, _kept.name = self.trainer(parameters), self.name
        _kept.trainer.parameters = parameters
        return _kept.trainer

    def _n_threads(self) -> int:
        from elman._threads import effective_n_threads

        if self.n_jobs is None:
            return threads_of_worker()
        return effective_n_threads(self.n_jobs, "Recipe.trainer")


def threads_of_worker() -> int:
    """Threads that the worker of this task was started with; 1 where there is none."""
    from distributed import get_worker

    try:
        return int(get_worker().state.nthreads)
    except ValueError:
        return 1


class Shard(Protocol):
    """Some of the data, from which any mini-batch takes its part."""

    def minibatch(self, members: Numbers) -> Examples:
        """Return examples of which those in ``order`` are these members."""


@dataclass(frozen=True)
class SequenceShard:
    """Sequences that lie in memory as they are trained on; members are their numbers."""

    examples: Examples

    def minibatch(self, members: Numbers) -> Examples:
        """Return the sequences, these in order."""
        return replace(self.examples, order=aligned(members))


@dataclass(frozen=True)
class Weights:
    """What a worker must know of the state of a training to differentiate.

    Parameters
    ----------
    parameters : ndarray of shape (n_parameters,)
        Parameters in the units of training.
    n_updates : int
        Updates so far.
    """

    parameters: Array
    n_updates: int


@dataclass(frozen=True)
class State:
    """A training between two mini-batches of an epoch.

    Parameters
    ----------
    parameters : ndarray of shape (n_parameters,)
        Parameters in the units of training.
    solver_state : dict or None
        As of `_core.Trainer`; None before the first update.
    learning_rate : float
        That of the solver.
    loss, weight : float
        Sum over the mini-batches since the epoch began of their losses times their weights, and of
        their weights.
    """

    parameters: Array
    solver_state: dict[str, Any] | None
    learning_rate: float
    loss: float = 0.0
    weight: float = 0.0

    @property
    def weights(self) -> Weights:
        """The part of it that is sent to the other workers."""
        n_updates = 0 if self.solver_state is None else self.solver_state["n_updates"]
        return Weights(self.parameters, n_updates)

    def put_into(self, trainer: Any) -> Any:
        """Let a trainer go on from here."""
        if self.solver_state is not None:
            trainer.solver_state = {
                name: aligned(value) if isinstance(value, np.ndarray) else value
                for name, value in self.solver_state.items()
            }
        trainer.learning_rate = self.learning_rate
        return trainer

    def after(self, trainer: Any, loss: float, weight: float) -> State:
        """Return the state behind a mini-batch."""
        return State(
            trainer.parameters,
            trainer.solver_state,
            self.learning_rate,
            self.loss + weight * loss,
            self.weight + weight,
        )


@dataclass(frozen=True)
class Part:
    """What some shards add to a mini-batch, as `_core.Trainer.part` tells it."""

    loss: float
    weight: float
    gradient: Array
    tokens: Numbers

    def __add__(self, other: Part) -> Part:
        return Part(
            self.loss + other.loss,
            self.weight + other.weight,
            self.gradient + other.gradient,
            np.union1d(self.tokens, other.tokens),
        )


@dataclass(frozen=True)
class Travelled:
    """Where some shards have come to, each by mini-batches of its own: sums over them."""

    n_shards: int
    n_updates: int
    arrays: dict[str, Array]
    loss: float
    weight: float

    def __add__(self, other: Travelled) -> Travelled:
        return Travelled(
            self.n_shards + other.n_shards,
            max(self.n_updates, other.n_updates),
            {name: array + other.arrays[name] for name, array in self.arrays.items()},
            self.loss + other.loss,
            self.weight + other.weight,
        )


def aligned(array: Array) -> Array:
    """Return an array as the core reads it; one that was sent may lie anywhere in a message."""
    return np.require(array, requirements=["C", "A"])


def differentiate(
    recipe: Recipe,
    weights: Weights | State,
    numbers: Sequence[int],
    shards: Sequence[Shard],
    members: Sequence[Numbers],
    total_weight: float,
) -> dict[Node, Part]:
    """Tell what neighbouring shards add to a mini-batch.

    Parameters
    ----------
    recipe : Recipe
        The fit's.
    weights : Weights or State
        Where the training is.
    numbers : sequence of int
        Which shards they are, one after the other.
    shards : sequence of Shard
        The shards.
    members : sequence of ndarray of int64
        What of each shard is in the mini-batch.
    total_weight : float
        What losses are divided by.

    Returns
    -------
    parts : dict
        Of each subtree that lies within these shards, and in no larger one.
    """
    if isinstance(weights, State):
        weights = weights.weights
    trainer = recipe.kept_trainer(aligned(weights.parameters))
    parts: dict[Node, Part] = {}
    for number, shard, chosen in zip(numbers, shards, members, strict=True):
        if len(chosen) == 0:
            continue
        # Masks are drawn by the number of the update; in each shard they are others.
        trainer.n_updates = weights.n_updates * recipe.n_shards + number
        batch = shard.minibatch(chosen)
        options = {"total_weight": total_weight, "per_step": batch.per_step}
        parts[number, number + 1] = Part(*trainer.part(*_data(batch), **options))
    return subtrees(parts, (0, recipe.n_shards), (numbers[0], numbers[-1] + 1))


def update(
    recipe: Recipe, state: State, batch: int, total_weight: float, *parts: Mapping[Node, Part]
) -> State:
    """Make one update by the parts of all shards; ``batch`` is its number in the epoch."""
    part = whole(merged(parts), (0, recipe.n_shards))
    if part is None or not part.weight > 0.0:
        return state
    gradient, loss = part.gradient, part.loss
    if part.weight != total_weight:
        factor = total_weight / part.weight
        gradient, loss = gradient * gradient.dtype.type(factor), loss * factor
    make = recipe.trainer if state.solver_state is None else recipe.kept_trainer
    trainer = state.put_into(make(aligned(state.parameters)))
    try:
        loss = trainer.update(aligned(gradient), loss, part.weight, aligned(part.tokens))
    except _core.Diverged as error:
        message, _, *rest = error.args
        raise _core.Diverged(message, batch, *rest) from None
    return state.after(trainer, loss, part.weight)


def travel(
    recipe: Recipe,
    state: State,
    numbers: Sequence[int],
    shards: Sequence[Shard],
    batches: Sequence[Sequence[Numbers]],
) -> dict[Node, Travelled]:
    """Let each of neighbouring shards train by itself for some mini-batches."""
    ends = {}
    for number, shard, chosen in zip(numbers, shards, batches, strict=True):
        trainer = state.put_into(recipe.trainer(aligned(state.parameters), number))
        loss = weight = 0.0
        for members in chosen:
            batch = shard.minibatch(members)
            here = weight_of(batch)
            if here > 0.0:
                options = {"batch_size": len(batch.order), "per_step": batch.per_step}
                loss += here * trainer.epoch(*_data(batch), **options)
                weight += here
        solver_state = dict(trainer.solver_state)
        n_updates = solver_state.pop("n_updates")
        arrays = {"parameters": trainer.parameters, **solver_state}
        ends[number, number + 1] = Travelled(1, n_updates, arrays, loss, weight)
    return subtrees(ends, (0, recipe.n_shards), (numbers[0], numbers[-1] + 1))


def meet(recipe: Recipe, state: State, *ends: Mapping[Node, Travelled]) -> State:
    """Average where the shards have come to: their weights, and the moments of their solvers."""
    end = whole(merged(ends), (0, recipe.n_shards))
    assert end is not None
    arrays = {name: array / array.dtype.type(end.n_shards) for name, array in end.arrays.items()}
    parameters = arrays.pop("parameters")
    return State(
        parameters,
        {"n_updates": end.n_updates, **arrays},
        state.learning_rate,
        state.loss + end.loss,
        state.weight + end.weight,
    )


def weights_of(state: State) -> Weights:
    """Return the part of a state that is sent to the other workers."""
    return state.weights


def _data(batch: Examples) -> tuple[Any, ...]:
    """Return what a trainer takes first."""
    return batch.values, batch.offsets, batch.targets, batch.weights, batch.order


def weight_of(batch: Examples) -> float:
    """Sum of the weights of the examples in order."""
    order = batch.order
    if batch.weights is None:
        return float(np.diff(batch.offsets)[order].sum() if batch.per_step else len(order))
    rows = step_rows(batch.offsets, order) if batch.per_step else order
    return float(batch.weights[rows].sum(dtype=np.float64))


def merged(parts: Sequence[Mapping[Node, _T]]) -> dict[Node, _T]:
    """Put the subtrees of all workers side by side."""
    return reduce(lambda nodes, more: {**nodes, **more}, parts, {})


def whole(nodes: Mapping[Node, Any], node: Node) -> Any:
    """Sum up a subtree; a shard that is missing, or None, adds nothing."""
    begin, end = node
    if node in nodes or end - begin == 1:
        return nodes.get(node)
    middle = (begin + end) // 2
    left, right = whole(nodes, (begin, middle)), whole(nodes, (middle, end))
    if left is None or right is None:
        return left if right is None else right
    return left + right


def subtrees(nodes: Mapping[Node, Any], node: Node, within: Node) -> dict[Node, Any]:
    """Sum up the largest subtrees of ``node`` that lie within a range of shards."""
    begin, end = node
    if within[0] <= begin and end <= within[1]:
        return {node: whole(nodes, node)}
    if end <= within[0] or within[1] <= begin:
        return {}
    middle = (begin + end) // 2
    return {
        **subtrees(nodes, (begin, middle), within),
        **subtrees(nodes, (middle, end), within),
    }
