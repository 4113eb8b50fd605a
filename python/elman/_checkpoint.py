"""Fits that go on where a process was killed: a file that is written between epochs.

It holds how far the fit has come, the generator as it was when the fit began, and what the fit was
given: its parameters, and checksums of its data. A fit that finds the file of one that was given
the same begins with that generator, so that it splits the data and starts the network as the first
one did, and then goes on from the last epoch that was written.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman._arrays import Array
from elman._exceptions import abbreviated, problem
from elman._safetensors import Source
from elman._training import Training, TrainingState

NEVER_CHANGE_A_BIT = ("checkpoint", "checkpoint_every", "n_jobs", "verbose")


@dataclass(frozen=True)
class FitProgress:
    """What the file holds.

    Parameters
    ----------
    estimator : str
        Name of the class that is fitted.
    parameters : dict
        Its parameters, but those that never change a bit.
    data : dict of str
        Checksums of what `fit` was given.
    generator : RandomState
        As it was when the fit began.
    state : TrainingState
        How far the fit has come.
    best_parameters : ndarray of shape (n_parameters,), or None
        With early stopping, the parameters with the best score.
    is_over : bool
        Whether the fit ended before `max_iter` epochs.
    """

    estimator: str
    parameters: dict[str, Any]
    data: dict[str, str]
    generator: np.random.RandomState
    state: TrainingState
    best_parameters: Array | None
    is_over: bool

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing left to do."""
        return bool(self.is_over or self.state.n_iter >= self.parameters["max_iter"])


class Checkpoint:
    """The file of one fit, and what it is compared with.

    Parameters
    ----------
    estimator : estimator
        What is fitted.
    settings : dict
        Its parameters.
    caller : str
        Class and method, for messages.
    data : dict
        Plain values and arrays that `fit` was given, by the names that messages call them.
    """

    def __init__(
        self, estimator: Any, settings: Mapping[str, Any], caller: str, data: Mapping[str, Any]
    ) -> None:
        self._caller = caller
        self._every: int = settings["checkpoint_every"]
        self._estimator = type(estimator).__name__
        self._parameters = {
            name: copy.deepcopy(value)  # others may draw from a RandomState meanwhile
            for name, value in settings.items()
            if name not in NEVER_CHANGE_A_BIT
        }
        self._data = {name: self._digest(value, name) for name, value in data.items()}
        self._path = self._path_in(os.fspath(settings["checkpoint"]))
        self._source = Source(caller, f"checkpoint {self._path!r}")
        self._found: FitProgress | None = None
        self._generator = np.random.RandomState(0)

    def _digest(self, value: Any, name: str) -> str:
        from elman._files import digest

        return digest(value, Source(self._caller, name))

    def _path_in(self, path: str) -> str:
        """Return the path, or in a folder that of a name that is this fit's alone."""
        if os.path.isdir(path):
            given = [self._estimator, self._parameters, self._data]
            return os.path.join(path, f"{self._digest(given, 'parameters')[:32]}.safetensors")
        os.stat(os.path.dirname(path) or ".")  # rather now than after hours
        return path

    def begin(self, generator: np.random.RandomState) -> np.random.RandomState:
        """Look for the file; return the generator with which the fit begins.

        Raises
        ------
        ValueError
            If there is one of another fit that is not finished, or something else.
        """
        found = self._read()
        if found is not None and self._is_continued(found):
            self._found, generator = found, found.generator
        self._generator = copy.deepcopy(generator)
        return generator

    def attach(self, training: Training, held_out: Any) -> None:
        """Let a training go on from the file, and write it.

        Parameters
        ----------
        training : Training
            How the fit begins.
        held_out : Data, Pairs or None
            What early stopping looks at.
        """
        contents = None if held_out is None else held_out.contents()
        self._data["validation data"] = self._digest(contents, "validation data")
        if self._found is not None and self._is_continued(self._found):
            training.state = self._found.state
            training.n_done = self._found.state.n_iter
            training.best_parameters = self._found.best_parameters
            training.is_over = self._found.is_over
        training.checkpoint = self

    def is_due(self, epoch: int) -> bool:
        """Whether the file is written after this epoch, though it is not the last one."""
        return epoch % self._every == 0

    def write(self, state: TrainingState, best_parameters: Array | None, is_over: bool) -> None:
        """Write how far the fit has come."""
        from elman._files import write_value

        progress = FitProgress(
            self._estimator,
            self._parameters,
            self._data,
            self._generator,
            state,
            best_parameters,
            is_over,
        )
        write_value(progress, self._path, self._source)

    def _read(self) -> FitProgress | None:
        from elman._files import read_value

        if not os.path.exists(self._path):
            return None
        found = read_value(self._path, self._source)
        if not isinstance(found, FitProgress):
            self._refuse(f", a {type(found).__name__} that was saved", "a name of its own")
        progress: FitProgress = found
        return progress

    def _is_continued(self, found: FitProgress) -> bool:
        """Whether to go on from a file; ValueError if that would be wrong and so would another."""
        difference = self._difference(found)
        if difference is None:
            # A new call without a seed wants another start, unless it was never answered.
            return not found.is_finished or self._parameters["random_state"] is not None
        if not found.is_finished:
            got, expected = difference
            self._refuse(f" of a fit with {got}", f"{expected}; remove the file to begin anew")
        return False

    def _refuse(self, got: str, expected: str) -> None:
        got = f"{self._path!r}{got}"
        raise ValueError(problem(self._caller, "checkpoint", got, expected))

    def _difference(self, found: FitProgress) -> tuple[str, str] | None:
        """Tell the first thing that the fit in the file was given and this one is not."""
        if found.estimator != self._estimator:
            return f"a {found.estimator}", f"a {self._estimator}"
        for name, value in self._parameters.items():
            before = found.parameters.get(name, value)
            if self._digest(before, name) != self._digest(value, name):
                return f"{name}={abbreviated(before)}", f"{abbreviated(value)} as now"
        for name, checksum in self._data.items():
            if found.data.get(name) != checksum:
                return f"another {name}", f"the same {name} as now"
        return None
