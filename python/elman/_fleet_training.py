"""The training of a fleet in one call into C++, in registers side by side."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman import _core
from elman._arrays import Array
from elman._base import BaseRNN
from elman._data import Data
from elman._estimator import warn_of_batch_size
from elman._exceptions import DivergenceError, problem
from elman._fleet_alone import TrainingAlone
from elman._fleet_data import FleetData
from elman._model_stack import ModelStack, beginning
from elman._moments import standard_units, standard_units_of_each
from elman._network import architecture, build, named_parameters
from elman._regression import RegressionTask, read_numbers
from elman._sequences import step_rows
from elman._side_by_side import on_threads
from elman._training import (
    ADAPTING_DIVISOR,
    LEAST_LEARNING_RATE,
    Examples,
    Training,
    TrainingState,
)
from elman._weights import representable

Integers = NDArray[np.int64]
NUMBERS_AT_ONCE = 2**23
"""Numbers of orders and losses that a call of the core takes or gives, beside the data."""
REGISTER_BYTES = {"avx512": 64, "avx2": 32}.get(_core.isa, 16)
CACHED_BYTES = 2**23
"""What a group of networks may touch in a mini-batch: with more it is slower than one by one."""


def touched_bytes(network: Any, architecture: Mapping[str, Any], n_steps: Integers) -> Integers:
    """Return what a group of networks reads and writes in a mini-batch of so many steps each."""
    states = sum(width for _, width, _ in network.states)
    gates = 6 * sum(architecture["hidden_layer_sizes"])
    n_bytes: Integers = REGISTER_BYTES * (n_steps * (gates + states) + 4 * network.n_parameters)
    return n_bytes


def portions_of(sizes: Integers, most: int) -> list[Integers]:
    """Cut the numbers of what has these sizes into runs of about so much, or of one."""
    places = np.cumsum(sizes) // most
    return np.split(np.arange(len(sizes)), np.flatnonzero(np.diff(places)) + 1)


def suits(settings: Mapping[str, Any], estimator: Any) -> bool:
    """Whether trainings with these parameters can go side by side, whatever the data."""
    needs_nothing_else = (
        settings["solver"] != "lbfgs"
        and not settings["early_stopping"]
        and settings["dropout"] == 0
        and settings["recurrent_dropout"] == 0
        and settings["input"] == "sequence"
        and settings.get("class_weight") is None
        and settings["checkpoint"] is None
    )
    return needs_nothing_else and not getattr(estimator, "_skl_callbacks", None)


def make_task(
    estimator: BaseRNN, fleet: FleetData, settings: dict[str, Any], caller: str
) -> Any | None:
    """Return the task of all networks; None where their classes differ."""
    data, bounds = fleet.data, fleet.rows()
    everything = np.arange(len(data.sequences))
    plain = {**settings, "scale_targets": False}
    task = estimator._make_task(data, plain, caller, None, everything)
    if isinstance(task, RegressionTask):
        mean, scale = np.zeros((len(fleet), task.n_targets)), np.ones((len(fleet), task.n_targets))
        if settings["scale_targets"] and settings["head"] is not None and task.name != "poisson":
            values = read_numbers(data.rows, caller, "y")
            mean, scale = _units(values, data.weights, bounds)
        return replace(task, mean=mean, scale=scale)
    for begin, end in itertools.pairwise(bounds):
        part = replace(data, rows=data.rows[begin:end])
        other = estimator._make_task(part, settings, caller, None, everything)
        if other.kind != task.kind or not np.array_equal(other.classes, task.classes):
            return None
    return task


def _units(
    values: NDArray[np.float64], weights: Array | None, bounds: Integers
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each network's targets."""
    n, sizes = len(bounds) - 1, np.diff(bounds)
    mean, scale = np.empty((2, n, values.shape[1]))
    if weights is not None:
        for i in range(n):
            own = slice(bounds[i], bounds[i + 1])
            mean[i], scale[i] = standard_units([(values[own], weights[own])])
        return mean, scale
    for size in np.unique(sizes):  # networks with as many targets at once
        alike = np.flatnonzero(sizes == size)
        rows = values[bounds[alike][:, None] + np.arange(size)]
        mean[alike], scale[alike] = standard_units_of_each(rows)
    return mean, scale


@dataclass
class FleetTraining(Training):
    """The trainings of all networks of a fleet, whose options are those of any other.

    Parameters
    ----------
    fleet : FleetData
        What they are trained on.
    seeds : ndarray of int64
        The random state of each.
    architecture : dict
        Arguments of `_core.Network`.
    """

    fleet: Any = None
    seeds: Any = None
    architecture: Any = None

    def run_all(self, show: Any) -> tuple[ModelStack, dict[int, DivergenceError], Array]:
        """Train all networks.

        Parameters
        ----------
        show : callable
            Told the number of networks that are done, and nothing else.

        Returns
        -------
        stack : ModelStack
            The networks.
        failures : dict of DivergenceError
            Those that diverged, by the number of the network.
        is_over : ndarray of bool
            Whether each found that no more epochs are needed.
        """
        is_large = self._touched_bytes() > CACHED_BYTES
        portions: list[Integers] = []
        results: list[dict[str, Array]] = []
        for some in self._portions():
            small, large = some[~is_large[some]], some[is_large[some]]
            for numbers, train in ((small, self._train_some), (large, self._train_each)):
                if len(numbers):
                    portions.append(numbers)
                    results.append(train(numbers, show))
        order = np.argsort(np.concatenate(portions), kind="stable")
        joined = {
            name: np.concatenate([result[name] for result in results])[order]
            for name in results[0]
            if name != "losses"
        }
        curves = [curve for result in results for curve in _curves(result)]
        failures = self._failures(joined)
        for i in failures:  # nothing is kept of them
            for name in ("parameters", "moments", "best_loss", "n_iter", "n_no_change"):
                joined[name][i] = 0
            curves[order[i]] = np.empty(0)
            joined["is_over"][i] = True
        stack = self._stack(joined, np.concatenate([curves[i] for i in order]))
        return stack, failures, joined["is_over"]

    def _stack(self, joined: dict[str, Array], losses: Array) -> ModelStack:
        return ModelStack(
            architecture=self.architecture,
            trained=joined["parameters"],
            moments=joined["moments"],
            task=self.task,
            inputs=self.fleet.inputs,
            targets=self.fleet.data.targets,
            seeds=self.seeds,
            n_samples=self.fleet.n_samples,
            n_timesteps=self.fleet.n_timesteps,
            n_batches=self._numbers_of_batches(),
            is_shuffled=bool(self.settings["shuffle"]),
            n_iter=joined["n_iter"],
            n_no_change=joined["n_no_change"],
            learning_rate=joined["learning_rate"],
            best_loss=joined["best_loss"],
            losses=losses,
        )

    def _failures(self, joined: dict[str, Array]) -> dict[int, DivergenceError]:
        """Tell what became of the networks that diverged."""
        has_diverged = joined["diverged_at"] >= 0
        failures = {int(i): self._failure(int(i), joined) for i in np.flatnonzero(has_diverged)}
        with np.errstate(over="ignore", invalid="ignore"):
            folded = self.task.fold(self.network, joined["parameters"])
        is_finite = np.isfinite(folded).all(axis=1) | has_diverged
        for i in np.flatnonzero(~is_finite):
            got = "weights that are not finite in the units of y"
            expected = f"targets within {folded.dtype}"
            failures[int(i)] = DivergenceError(problem(self.caller, "y", got, expected))
        return failures

    def _failure(self, i: int, joined: dict[str, Array]) -> DivergenceError:
        epoch = int(joined["n_iter"][i]) + 1
        arguments = (int(joined["diverged_at"][i]), joined["learning_rate"][i])
        error = Exception("", *arguments, joined["gradient_norm"][i])
        return self._divergence(error, epoch)

    def _numbers_of_batches(self) -> Integers:
        sizes = np.minimum(self._most_in_a_batch, self.fleet.n_samples)
        n_batches: Integers = -(-self.fleet.n_samples // sizes)
        return n_batches

    @property
    def _most_in_a_batch(self) -> int:
        batch_size = self.settings["batch_size"]
        return 200 if batch_size == "auto" else int(batch_size)

    def _portions(self) -> list[Integers]:
        """Numbers of networks that go into the core together, in order."""
        sizes = self.settings["max_iter"] * (1 + self._drawn_of_each())
        return portions_of(sizes, NUMBERS_AT_ONCE)

    def _drawn_of_each(self) -> Integers:
        """Sequences of which each network needs an order of its own."""
        n_samples: Integers = self.fleet.n_samples
        is_shared = not self.settings["shuffle"] or len(np.unique(self.seeds)) == 1
        return 0 * n_samples if is_shared else np.where(n_samples > 1, n_samples, 0)

    def _train_some(self, numbers: Integers, show: Any) -> dict[str, Array]:
        """Train side by side."""
        fleet, settings = self.fleet, self.settings
        data, first = fleet.data, fleet.first_sequence
        sequences, rows = data.sequences, data.rows
        targets, weights = self.examples.targets, self.examples.weights
        if len(numbers) < len(fleet):
            samples = step_rows(first, numbers)
            sequences = sequences.take(samples)
            rows = step_rows(fleet.rows(), numbers)
            targets = targets[rows]
            weights = None if weights is None else weights[rows]
        n_samples = fleet.n_samples[numbers]
        options = self._solver_options()
        for name in ("dropout", "recurrent_dropout", "embedding_dropout", "seed"):
            del options[name]
        total_steps = settings["max_iter"] * self._numbers_of_batches()[numbers]
        options["total_steps"] = total_steps
        options["warmup_steps"] = (settings["warmup"] * total_steps).astype(np.int64)
        is_adaptive = settings["learning_rate"] == "adaptive"
        results: dict[str, Array] = _core.train_fleet(
            self.network,
            self._start(numbers),
            sequences.values,
            sequences.offsets,
            np.concatenate(([0], np.cumsum(n_samples))).astype(np.int64),
            targets,
            weights,
            (*self._orders(numbers), None),
            per_step=data.targets.per_step,
            batch_size=self._most_in_a_batch,
            max_iter=settings["max_iter"],
            tol=float(settings["tol"]),
            patience=self._patience,
            adapting_divisor=ADAPTING_DIVISOR if is_adaptive else 1.0,
            least_learning_rate=LEAST_LEARNING_RATE,
            loss_parameters=[self.task.loss_parameter],
            bptt_steps=settings["bptt_steps"] or 0,
            **options,
        )
        show(len(numbers), "")
        return results

    def _touched_bytes(self) -> Integers:
        most: Integers = np.minimum(self._most_in_a_batch, self.fleet.n_samples)
        return touched_bytes(self.network, self.architecture, most * self.fleet.n_timesteps)

    def _train_each(self, numbers: Integers, show: Any) -> dict[str, Array]:
        """Train one by one, on the threads; what `_train_some` would give, to the bit."""
        starts = self._start(numbers)

        def train(k: int, is_over: Callable[[], bool]) -> dict[str, Array]:
            alone = self._alone(int(numbers[k]), starts[k])
            alone.train(lambda state: is_over())
            return alone.result()

        done = on_threads(train, range(len(numbers)), self.n_threads, lambda: show(1, ""))
        return {name: np.stack([result[name] for result in done]) for name in done[0]}

    def _alone(self, i: int, start: Array) -> TrainingAlone:
        begin, end = self.fleet.first_sequence[i : i + 2]
        first, last = self.fleet.rows()[i : i + 2]
        offsets = self.fleet.data.sequences.offsets[begin : end + 1]
        examples, weights = self.examples, self.examples.weights
        generator, _, dropout_seed = beginning(int(self.seeds[i]))
        return TrainingAlone(
            self.network,
            TrainingState(start, generator, dropout_seed),
            replace(
                examples,
                values=examples.values[offsets[0] : offsets[-1]],
                offsets=offsets - offsets[0],
                targets=examples.targets[first:last],
                weights=None if weights is None else weights[first:last],
                order=np.arange(end - begin),
            ),
            self.settings,
            self.task,
            1,
            self.caller,
        )

    def _start(self, numbers: Integers) -> Array:
        """Return the parameters with which each network begins."""
        seeds, places = np.unique(self.seeds[numbers], return_inverse=True)
        starts = np.stack([self.network.initialize(beginning(int(seed))[1]) for seed in seeds])
        parameters = starts[places]
        head = named_parameters(self.network, parameters).get("head.b")
        if self.task.out_activation == "exp" and head is not None:
            for i, number in enumerate(numbers):
                mean = self._mean_of_targets(int(number))
                head[i] = named_parameters(
                    self.network, self.task.start(self.network, parameters[i], mean)
                )["head.b"]
        return parameters

    def _mean_of_targets(self, i: int) -> Array:
        begin, end = self.fleet.rows()[i : i + 2]
        data = self.fleet.data
        weights = None if data.weights is None else data.weights[begin:end]
        rows = data.rows[begin:end].astype(np.float64)
        return np.asarray(np.average(rows, axis=0, weights=weights))

    def _orders(self, numbers: Integers) -> tuple[Array, Integers, Integers]:
        """Orders of samples, where those of each network begin, and how far epochs lie apart."""
        n_samples = self.fleet.n_samples[numbers]
        n_epochs = self.settings["max_iter"] if self.settings["shuffle"] else 1
        pieces: list[Array] = []
        known: dict[tuple[int, int], int] = {}
        first, end = np.empty(len(numbers), dtype=np.int64), 0
        for i, (seed, n) in enumerate(
            zip(self.seeds[numbers].tolist(), n_samples.tolist(), strict=True)
        ):
            key = (n, seed if n > 1 and self.settings["shuffle"] else 0)
            if key not in known:
                known[key] = end
                pieces.append(self._orders_of(seed, n, n_epochs))
                end += pieces[-1].size
            first[i] = known[key]
        stride = n_samples if self.settings["shuffle"] else 0 * n_samples
        return np.concatenate(pieces), first, stride

    def _orders_of(self, seed: int, n: int, n_epochs: int) -> Array:
        if n == 1 or not self.settings["shuffle"]:
            return np.tile(np.arange(n, dtype=np.int32), n_epochs)
        generator = beginning(seed)[0]
        orders = [generator.permutation(n) for _ in range(n_epochs)]
        return np.concatenate(orders).astype(np.int32)


def _curves(result: dict[str, Array]) -> list[Array]:
    return [row[:n] for row, n in zip(result["losses"], result["n_iter"].tolist(), strict=True)]


def _encoded(task: Any, data: Data, counts: Integers, caller: str) -> Array:
    """Targets of all networks as they see them."""
    if isinstance(task, RegressionTask):
        of_rows = np.repeat(np.arange(len(counts)), counts)
        task = replace(task, mean=task.mean[of_rows], scale=task.scale[of_rows])
    encoded: Array = task.encode(data.rows, data.inputs.dtype, caller, "y")
    return encoded


def _name_network(
    estimator: BaseRNN, fleet: FleetData, settings: dict[str, Any], caller: str
) -> None:
    """Raise the error of the first network whose y is not as it should be."""
    for i, (begin, end) in enumerate(itertools.pairwise(fleet.rows())):
        name, weights = f"{caller}: network {i}", fleet.data.weights
        part = replace(
            fleet.data,
            rows=fleet.data.rows[begin:end],
            weights=None if weights is None else weights[begin:end],
            targets=replace(fleet.data.targets, per_step=False),
        )
        task = estimator._make_task(part, settings, name, None, np.arange(end - begin))
        task.encode(part.rows, part.inputs.dtype, name, "y")


def fleet_training(
    estimator: BaseRNN,
    fleet: FleetData,
    settings: dict[str, Any],
    seeds: Integers,
    n_threads: int,
    caller: str,
) -> FleetTraining | None:
    """Return the training of networks side by side; None where they must be trained apart."""
    data = fleet.data
    form = estimator._target_form(data.targets, caller)
    fleet = replace(fleet, data=replace(data, targets=form))
    try:
        task = make_task(estimator, fleet, settings, caller)
        if task is None:
            return None
        targets = _encoded(task, data, np.diff(fleet.rows()), caller)
    except (TypeError, ValueError):
        _name_network(estimator, fleet, settings, caller)
        raise
    inputs = data.inputs
    arguments = architecture(settings, inputs.dtype, inputs.n_channels, task.n_outputs)
    network = build(arguments, caller)
    if not _core.suits_fleet(network):
        return None
    warn_of_batch_size(settings["batch_size"], int(fleet.n_samples.min()), caller)
    examples = Examples(
        data.sequences.values,
        data.sequences.offsets,
        targets,
        None if data.weights is None else representable(data.weights, inputs.dtype),
        np.arange(int(fleet.n_samples.max())),
        form.per_step,
    )
    return FleetTraining(
        network,
        TrainingState(np.empty(0, inputs.dtype), np.random.RandomState(0), 0),
        examples,
        settings,
        task,
        n_threads,
        caller,
        fleet=fleet,
        seeds=seeds,
        architecture=arguments,
    )
