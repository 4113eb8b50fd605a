"""Networks trained on windows that are drawn anew for every update."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from elman import _core
from elman._estimator import LARGEST_SEED
from elman._exceptions import diverged
from elman._forecast.distributions import COUNTS
from elman._forecast.history import History, Integers
from elman._forecast.origins import Origins
from elman._forecast.plan import Plan
from elman._forecast.window import Window
from elman._network import named_parameters
from elman._side_by_side import on_threads
from elman._training import Examples

UPDATES_A_REPORT = 20
"""Updates for which windows are cut at once: memory for some megabytes, and a pause to report."""
START_OF_HEAD = 0.1
"""What the start of the head is multiplied with: a first forecast is the mean of the candidates."""
ROWS_A_PASS = 4096
NUMBERS_KEPT = 2**23
"""Numbers of windows that are cut once and kept: 32 megabytes."""

Parameters = NDArray[Any]
Report = Callable[[int, float], None]
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Member:
    """A trained network of an ensemble.

    Parameters
    ----------
    parameters : ndarray of float32
        Its weights.
    loss_curve, validation_curve : tuple of float
        A value for each report.
    """

    parameters: Parameters
    loss_curve: tuple[float, ...]
    validation_curve: tuple[float, ...]


@dataclass(frozen=True)
class Course:
    """One training: what is trained on what, and how.

    Parameters
    ----------
    plan : Plan
        What the network reads and puts out.
    architecture : dict
        Arguments of `_core.Network`.
    options : dict
        Arguments of `_core.Trainer`.
    n_updates, batch_size : int
        Mini-batches, and windows in each.
    history : History
        The series.
    origins : Origins
        From where windows are drawn.
    held_out : Origins or None
        Origins whose forecasts tell which of the reports was the best; None keeps the last.
    caller : str
        Class and method, for messages.
    windows : Examples or None, default=None
        Those before all origins, cut once; None: cut when they are drawn.
    """

    plan: Plan
    architecture: Mapping[str, Any]
    options: Mapping[str, Any]
    n_updates: int
    batch_size: int
    history: History
    origins: Origins
    held_out: Origins | None
    caller: str
    windows: Examples | None = field(default=None, kw_only=True)

    def numbers_of_windows(self) -> int:
        """Tell how many numbers the windows before all origins hold."""
        plan = self.plan
        n_rows = plan.n_steps if plan.is_decoding else 1
        of_targets = n_rows * plan.n_values * (1 + len(plan.candidates))
        return len(self.origins) * (plan.n_steps * plan.n_channels + of_targets)

    def with_windows(self) -> Course:
        """Return the same with windows that are cut once, where few are drawn again and again."""
        n_drawn = self.n_updates * self.batch_size
        if len(self.origins) > n_drawn or self.numbers_of_windows() > NUMBERS_KEPT:
            return self
        return replace(self, windows=self.all_windows())

    def all_windows(self) -> Examples:
        """Cut the windows before all origins."""
        numbers = np.arange(len(self.origins))
        parts = [
            examples_of(self.plan, self.history, *self.origins.at(numbers[i : i + ROWS_A_PASS]))
            for i in range(0, len(numbers), ROWS_A_PASS)
        ]
        return Examples(
            np.concatenate([part.values for part in parts]),
            np.arange(len(numbers) + 1, dtype=np.int64) * self.plan.n_steps,
            np.concatenate([part.targets for part in parts]),
            np.concatenate([part.weights for part in parts if part.weights is not None]),
            numbers,
            self.plan.is_decoding,
        )

    def beginning(self, network: Any, seed: int) -> tuple[np.random.RandomState, Parameters, int]:
        """Return what draws a network's windows, its first parameters and its seed of dropout."""
        random_state = np.random.RandomState(seed)
        parameters = start(network, self.plan, int(random_state.randint(LARGEST_SEED)))
        return random_state, parameters, int(random_state.randint(LARGEST_SEED))

    def reports(self) -> list[int]:
        """Return the numbers of updates between reports."""
        whole, rest = divmod(self.n_updates, UPDATES_A_REPORT)
        return [UPDATES_A_REPORT] * whole + ([rest] if rest else [])

    def run(self, seed: int, n_threads: int, report: Report) -> Member:
        """Train a network from its own seed."""
        network = _core.Network(**self.architecture)
        random_state, parameters, seed = self.beginning(network, seed)
        trainer = self._trainer(network, parameters, seed, n_threads)
        validate = self._validation(network, n_threads)
        best, best_parameters = np.inf, None
        losses: list[float] = []
        validations: list[float] = []
        for n in self.reports():
            losses.append(self._train(trainer, n, random_state, len(losses) + 1))
            if validate is not None:
                validations.append(validate(trainer.parameters))
                if validations[-1] < best:
                    best, best_parameters = validations[-1], trainer.parameters
            report(n, losses[-1])
        parameters = trainer.parameters if best_parameters is None else best_parameters
        parameters.flags.writeable = False
        return Member(parameters, tuple(losses), tuple(validations))

    def _trainer(self, network: Any, parameters: Parameters, seed: int, n_threads: int) -> Any:
        options = self.trainer_options(seed)
        return _core.Trainer(network, parameters, **options, n_threads=n_threads)

    def trainer_options(self, seed: int) -> dict[str, Any]:
        """Arguments of `_core.Trainer` beside the network, its parameters and threads."""
        return {
            **self.options,
            **self.plan.mixture,
            "seed": seed,
            "total_steps": self.n_updates,
        }

    def _train(
        self, trainer: Any, n_updates: int, random_state: np.random.RandomState, number: int
    ) -> float:
        """Make some updates on windows drawn for them; the mean of their losses."""
        numbers = self.origins.draw(n_updates * self.batch_size, random_state)
        try:
            if self.windows is not None:
                return self._epoch(trainer, self.windows, numbers)
            return self._train_on(trainer, *self.origins.at(numbers))
        except _core.Diverged as error:
            place = f"near update {number * UPDATES_A_REPORT}"
            raise diverged(error, self.caller, place, number) from error

    def _train_on(self, trainer: Any, series: Integers, origins: Integers) -> float:
        data = examples_of(self.plan, self.history, series, origins)
        return self._epoch(trainer, data, data.order)

    def _epoch(self, trainer: Any, data: Examples, order: Integers) -> float:
        return float(
            trainer.epoch(
                data.values,
                data.offsets,
                data.targets,
                data.weights,
                order,
                batch_size=self.batch_size,
                per_step=data.per_step,
            )
        )

    def _validation(self, network: Any, n_threads: int) -> Callable[[Parameters], float] | None:
        if self.held_out is None:
            return None
        window = self.plan.cut(self.history, *self.held_out.all())
        spread = window.scale / np.median(window.scale)

        def validate(parameters: Parameters) -> float:
            errors = errors_of(network, parameters, self.plan, self.history, window, n_threads)
            return float(np.nanmean(errors * spread[:, None]))

        return validate


def examples_of(plan: Plan, history: History, series: Integers, origins: Integers) -> Examples:
    """Return windows that end before some origins, as a network is trained on them."""
    window = plan.cut(history, series, origins)
    x = plan.inputs(history, window)
    targets, weights = plan.targets(history, window)
    n = len(series)
    return Examples(
        x.reshape(-1, x.shape[2]),
        np.arange(n + 1, dtype=np.int64) * plan.n_steps,
        targets,
        weights,
        np.arange(n, dtype=np.int64),
        plan.is_decoding,
    )


def errors_of(
    network: Any,
    parameters: Parameters,
    plan: Plan,
    history: History,
    window: Window,
    n_threads: int,
) -> NDArray[Any]:
    """Return absolute errors of the forecasts that follow windows, (n, horizon) in their units."""
    times = window.rows[:, plan.window : plan.window + plan.horizon]
    truth = window.standardised(history.values[times])
    outputs = forward(network, parameters, plan, history, window, n_threads)
    point = plan.distribution.point(outputs)
    if plan.loss in COUNTS:
        point = window.standardised(point)
    return np.asarray(np.abs(point - truth))


def start(network: Any, plan: Plan, seed: int) -> Parameters:
    """Return the parameters with which training begins."""
    parameters: Parameters = network.initialize(seed)
    named = named_parameters(network, parameters)
    named["head.W"] *= START_OF_HEAD
    if plan.prior:
        scores = np.array(plan.prior) / plan.sharpness
        named["head.W"][:, : plan.n_blocks * plan.n_values] = 0.0
        named["head.b"][plan.n_blocks * plan.n_values :] = scores
    return parameters


def train_all(
    course: Course, seeds: list[int], n_threads: int, report: Report
) -> tuple[Member, ...]:
    """Train the members of an ensemble, side by side where there are threads for it."""

    def run(seed: int, n_own: int, report: Report) -> Member:
        return course.run(seed, n_own, report)

    return side_by_side(run, seeds, n_threads, report)


def side_by_side(
    run: Callable[[Any, int, Report], _Result],
    arguments: Sequence[Any],
    n_threads: int,
    report: Report,
) -> tuple[_Result, ...]:
    """Call ``run(argument, n_threads, report)`` for each, several at once where there are threads.

    Where one fails, or somebody interrupts, nobody waits: the others end at their next report.
    """
    n_at_once = min(n_threads, len(arguments))
    if n_at_once == 1:
        return tuple(run(argument, n_threads, report) for argument in arguments)

    def run_while_wanted(argument: Any, is_over: Callable[[], bool]) -> _Result:
        def report_while_wanted(n_updates: int, loss: float) -> None:
            if is_over():
                raise CancelledError
            report(n_updates, loss)

        return run(argument, n_threads // n_at_once, report_while_wanted)

    return tuple(on_threads(run_while_wanted, arguments, n_at_once))


def forward(
    network: Any,
    parameters: Parameters,
    plan: Plan,
    history: History,
    window: Window,
    n_threads: int,
) -> NDArray[Any]:
    """Return what is said of the horizon, (n, n_blocks, horizon) in units of the window."""
    outputs = [
        _forward(
            network, parameters, plan, history, window.take(slice(i, i + ROWS_A_PASS)), n_threads
        )
        for i in range(0, len(window.u), ROWS_A_PASS)
    ]
    return np.concatenate(outputs)


def _forward(
    network: Any,
    parameters: Parameters,
    plan: Plan,
    history: History,
    window: Window,
    n_threads: int,
) -> NDArray[Any]:
    x = plan.inputs(history, window)
    n = len(x)
    outputs, _ = network.forward(
        parameters,
        x.reshape(-1, x.shape[2]),
        np.arange(n + 1, dtype=np.int64) * plan.n_steps,
        per_step=plan.is_decoding,
        n_threads=n_threads,
    )
    if plan.is_decoding:
        outputs = outputs.reshape(n, plan.n_steps, -1)[:, plan.n_read :]
        outputs = np.ascontiguousarray(outputs.reshape(n * plan.n_written, -1))
    base = plan.base(history, window)
    if base is not None:
        outputs = _core.mix(
            outputs,
            base,
            n_targets=plan.n_values,
            n_levels=max(1, len(plan.levels)),
            n_groups=plan.n_groups,
            sharpness=plan.sharpness,
        )
    blocks = outputs.reshape(n, -1, plan.n_blocks, plan.n_values).swapaxes(1, 2)
    return np.asarray(blocks.reshape(n, plan.n_blocks, -1)[:, :, : plan.horizon])
