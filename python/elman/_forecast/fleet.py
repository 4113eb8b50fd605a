"""The networks of many courses: small ones that are alike are trained side by side in registers.

What a course draws are numbers of its windows, which are cut once. So the networks of all courses
go into one call of the core, as those of `fit_many` do (cpp/elman/fleet), and each leaves it with
the bits that `Course.run` would give it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman import _core
from elman._fleet_training import NUMBERS_AT_ONCE, REGISTER_BYTES, portions_of, touched_bytes
from elman._forecast.history import Integers
from elman._forecast.network import (
    NUMBERS_KEPT,
    UPDATES_A_REPORT,
    Course,
    Member,
    Report,
    side_by_side,
    train_all,
)
from elman._sequences import offsets_of
from elman._training import Examples

N_LANES = REGISTER_BYTES // 4
LEAST_FILLED = 0.7
"""Share of the lanes that have to hold a network: with fewer, one after another is faster."""
FEW_UNITS = 8
"""In a layer of a network that leaves registers half empty by itself."""
BYTES_OF_FEW_UNITS, BYTES_OF_MORE = 2**24, 2**21
"""What a group may touch in a mini-batch: beyond, networks are faster one by one.

More where the units are few. Measured with 16 to 128 windows of 8 and of 24 steps.
"""

Members = tuple[Member, ...]


def train_each(
    courses: Sequence[Course], seeds: Integers, n_threads: int, report: Report
) -> list[Members]:
    """Train the networks of every course.

    Parameters
    ----------
    courses : sequence of Course
        What is trained on what.
    seeds : ndarray of int64 of shape (n_courses, n_members)
        Those of the networks.
    n_threads : int
        Never changes a bit.
    report : callable
        Told the number of updates of networks and their loss.

    Returns
    -------
    members : list of tuple of Member
        Those of each course.
    """
    found: dict[int, Members] = {}
    for some in _alike(courses, seeds.shape[1]):
        sizes = [_numbers_of(courses[i], seeds.shape[1]) for i in some]
        for portion in portions_of(np.array(sizes), NUMBERS_AT_ONCE):
            numbers = [some[k] for k in portion]
            windows = [courses[i].all_windows() for i in numbers]
            # A mini-batch in which nothing is known makes no update: that needs a training alone.
            kept = [k for k, own in enumerate(windows) if _all_count(own)]
            if not kept:
                continue
            numbers = [numbers[k] for k in kept]
            together = Together(
                [courses[i] for i in numbers], [windows[k] for k in kept], seeds[numbers]
            )
            found.update(zip(numbers, together.train(n_threads, report), strict=True))

    def train(i: int, n_own: int, report: Report) -> Members:
        return train_all(courses[i].with_windows(), seeds[i].tolist(), n_own, report)

    alone = [i for i in range(len(courses)) if i not in found]
    if alone:
        found.update(zip(alone, side_by_side(train, alone, n_threads, report), strict=True))
    return [found[i] for i in range(len(courses))]


def _alike(courses: Sequence[Course], n_members: int) -> Iterator[list[int]]:
    """Numbers of courses whose networks can go side by side, and are faster for it."""
    groups: dict[str, list[int]] = {}
    for i, course in enumerate(courses):
        options = {name: value for name, value in course.options.items() if name != "warmup_steps"}
        plan = course.plan
        key = repr((course.architecture, options, plan.mixture, course.batch_size))
        if course.held_out is None and options["dropout"] == 0:
            groups.setdefault(key + str(plan.is_decoding), []).append(i)
    for some in groups.values():
        architecture = courses[some[0]].architecture
        network = _core.Network(**architecture)
        if not _core.suits_fleet(network):
            continue
        n_steps = np.array([courses[i].batch_size * courses[i].plan.n_steps for i in some])
        has_few_units = max(architecture["hidden_layer_sizes"]) <= FEW_UNITS
        n_bytes = touched_bytes(network, architecture, n_steps)
        is_small = n_bytes <= (BYTES_OF_FEW_UNITS if has_few_units else BYTES_OF_MORE)
        small = [
            i
            for i, fits in zip(some, is_small, strict=True)
            if fits and courses[i].numbers_of_windows() <= NUMBERS_KEPT
        ]
        n_networks = len(small) * n_members
        n_groups = -(-n_networks // N_LANES)
        if small and n_networks >= LEAST_FILLED * N_LANES * n_groups:
            yield small


def _numbers_of(course: Course, n_members: int) -> int:
    """Numbers of windows and of draws that networks of a course bring into a call."""
    return n_members * (course.numbers_of_windows() + course.n_updates * course.batch_size)


def _all_count(windows: Examples) -> bool:
    """Whether something is known of what follows each window."""
    weights = windows.weights
    return weights is None or bool(weights.reshape(len(windows.order), -1).any(axis=1).all())


class Together:
    """The networks of some courses in one call of the core, course by course.

    Parameters
    ----------
    courses : list of Course
        Alike in their networks and options.
    windows : list of Examples
        Those of each course.
    seeds : ndarray of int64 of shape (n_courses, n_members)
        Those of the networks.
    """

    def __init__(self, courses: list[Course], windows: list[Examples], seeds: Integers) -> None:
        self.courses = courses
        self.windows = windows
        self.seeds = seeds
        self._drawn: dict[Any, int] = {}
        self._pieces: list[NDArray[np.int32]] = []
        self._end = 0

    def train(self, n_threads: int, report: Report) -> list[Members]:
        """Train them all; where one diverges, raise the error of its training alone."""
        n_members = self.seeds.shape[1]
        networks = [
            (course, own, int(seed))
            for course, own, seeds in zip(self.courses, self.windows, self.seeds, strict=True)
            for seed in seeds
        ]
        told = self._result(networks, n_threads)
        members = []
        for i, (course, _, seed) in enumerate(networks):
            if told["diverged_at"][i] >= 0:
                members.append(course.run(seed, n_threads, report))
                continue
            parameters = told["parameters"][i].copy()
            parameters.flags.writeable = False
            losses = tuple(told["losses"][i, : told["n_iter"][i]].tolist())
            members.append(Member(parameters, losses, ()))
        n_updates = sum(course.n_updates for course, _, _ in networks)
        report(n_updates, float(np.mean([member.loss_curve[-1] for member in members])))
        return [tuple(members[i : i + n_members]) for i in range(0, len(members), n_members)]

    def _result(
        self, networks: list[tuple[Course, Examples, int]], n_threads: int
    ) -> dict[str, NDArray[Any]]:
        first = networks[0][0]
        network = _core.Network(**first.architecture)
        begun = [self._begin(network, course, seed) for course, _, seed in networks]
        options = {**first.options, **first.plan.mixture}
        levels = np.atleast_1d(options.pop("loss_parameter")).tolist()
        n_updates = np.array([course.n_updates for course, _, _ in networks])
        windows = [own for _, own, _ in networks]
        options |= {
            "warmup_steps": np.array([course.options["warmup_steps"] for course, _, _ in networks]),
            "total_steps": n_updates,
            "max_iter": int(-(-n_updates.max() // UPDATES_A_REPORT)),
        }
        del options["dropout"]
        stride = np.full(len(networks), UPDATES_A_REPORT * first.batch_size)
        places = np.array([place for _, place in begun])
        result: dict[str, NDArray[Any]] = _core.train_fleet(
            network,
            np.stack([parameters for parameters, _ in begun]),
            np.concatenate([own.values for own in windows]),
            offsets_of(np.concatenate([np.diff(own.offsets) for own in windows])),
            offsets_of(np.array([len(own.order) for own in windows])),
            np.concatenate([own.targets for own in windows]),
            np.concatenate([own.weights for own in windows if own.weights is not None]),
            (np.concatenate(self._pieces), places, stride, n_updates * first.batch_size),
            per_step=first.plan.is_decoding,
            batch_size=first.batch_size,
            loss_parameters=levels,
            **NEVER_ENDS_EARLY,
            **PLAIN_SOLVER,
            **options,
            n_threads=n_threads,
        )
        return result

    def _begin(self, network: Any, course: Course, seed: int) -> tuple[NDArray[Any], int]:
        """Return the first parameters of a network, and where the numbers of its windows begin."""
        random_state, parameters, _ = course.beginning(network, seed)
        origins = course.origins
        key = (seed, origins.counts.tobytes(), origins.is_uniform, course.n_updates)
        if key not in self._drawn:
            draws = [origins.draw(n * course.batch_size, random_state) for n in course.reports()]
            self._pieces.append(np.concatenate(draws).astype(np.int32))
            self._drawn[key] = self._end
            self._end += len(self._pieces[-1])
        return parameters, self._drawn[key]


NEVER_ENDS_EARLY: dict[str, Any] = {
    "tol": 0.0,
    "patience": np.inf,
    "adapting_divisor": 1.0,
    "least_learning_rate": 0.0,
    "bptt_steps": 0,
}
PLAIN_SOLVER: dict[str, Any] = {
    "power_t": 0.5,
    "momentum": 0.9,
    "nesterovs_momentum": True,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-8,
}
"""What `_core.Trainer` takes unless it is told otherwise."""
