"""Trained networks of one shape, as arrays with a row for each; a `Model` is made on demand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman import _core
from elman._arrays import Array
from elman._estimator import LARGEST_SEED
from elman._model import Model
from elman._sequences import InputForm, Sequences
from elman._targets import TargetForm
from elman._training import TrainingState

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ModelStack:
    """What trainings side by side leave behind.

    Parameters
    ----------
    architecture : dict
        Arguments of `_core.Network`.
    trained : ndarray of shape (n_networks, n_parameters)
        Parameters in the units of training.
    moments : ndarray of shape (n_networks, n_moments, n_parameters), or None
        Moments of the solver; None without what training goes on from.
    task : RegressionTask or ClassificationTask
        What the outputs mean; units of a regression have a row for each network.
    inputs : tuple of InputForm
        How each X looked; one for all where they looked alike.
    targets : TargetForm
        How each y looked.
    seeds : ndarray of shape (n_networks,) of int64
        The random state of each.
    n_samples, n_timesteps, n_batches : ndarray of shape (n_networks,) of int64
        What each was trained on: sequences, steps of the longest one, mini-batches of an epoch.
    is_shuffled : bool
        Whether each epoch had an order of its own.
    n_iter, n_no_change : ndarray of shape (n_networks,) of int64
        Epochs; those since the last improvement.
    learning_rate, best_loss : ndarray of shape (n_networks,)
        As in `TrainingState`.
    losses : ndarray of shape (sum of n_iter,)
        A value for each epoch, network after network.
    """

    architecture: dict[str, Any]
    trained: Array
    moments: Array | None
    task: Any
    inputs: tuple[InputForm, ...]
    targets: TargetForm
    seeds: Integers
    n_samples: Integers
    n_timesteps: Integers
    n_batches: Integers
    is_shuffled: bool
    n_iter: Integers
    n_no_change: Integers
    learning_rate: Floats
    best_loss: Floats
    losses: Floats

    def __len__(self) -> int:
        return len(self.trained)

    def network(self) -> Any:
        """Make the network; it holds shapes only."""
        return _core.Network(**self.architecture)

    def parameters(self) -> Array:
        """Parameters whose outputs are in the units of y."""
        parameters: Array = self.task.fold(self.network(), self.trained)
        return parameters

    def without_moments(self) -> ModelStack:
        """Return the stack without what is needed only to go on as if it had never stopped."""
        return replace(self, moments=None)

    def task_of(self, i: int) -> Any:
        """Return what the outputs of one network mean."""
        if not hasattr(self.task, "scale"):
            return self.task
        return replace(self.task, mean=self.task.mean[i], scale=self.task.scale[i])

    def model(self, i: int) -> Model:
        """Make the model of one network, as its own fit would have left it."""
        task, trained = self.task_of(i), self.trained[i].copy()
        parameters = task.fold(self.network(), trained)
        parameters.flags.writeable = False
        inputs = self.inputs[0 if len(self.inputs) == 1 else i]
        training = self._training(i, trained)
        n_timesteps = int(self.n_timesteps[i])
        return Model(
            self.architecture, parameters, inputs, self.targets, task, training, n_timesteps
        )

    def _training(self, i: int, trained: Array) -> TrainingState:
        n_iter, n_samples = int(self.n_iter[i]), int(self.n_samples[i])
        generator, _, dropout_seed = beginning(int(self.seeds[i]))
        for _ in range(n_iter if self.is_shuffled else 0):
            generator.permutation(n_samples)
        end = int(self.n_iter[: i + 1].sum())
        solver_state = None
        if self.moments is not None:
            n_updates = n_iter * int(self.n_batches[i])
            solver_state = {"n_updates": n_updates, "moments": self.moments[i].copy()}
        return TrainingState(
            parameters=trained if self.moments is not None else trained[:0],
            random_state=generator,
            dropout_seed=dropout_seed,
            solver_state=solver_state,
            learning_rate=float(self.learning_rate[i]),
            n_iter=n_iter,
            t=n_iter * n_samples,
            loss_curve=tuple(self.losses[end - n_iter : end].tolist()),
            best_loss=float(self.best_loss[i]),
            n_no_change=int(self.n_no_change[i]),
        )

    def forward(self, sequences: Sequences, first_sequence: Integers, n_threads: int) -> Array:
        """Compute outputs, a row for each sequence or time step; those of network i first[i] on."""
        outputs: Array = _core.predict_fleet(
            self.network(),
            self.parameters(),
            sequences.values,
            sequences.offsets,
            first_sequence,
            per_step=self.targets.per_step,
            n_threads=n_threads,
        )
        return outputs


def beginning(seed: int) -> tuple[np.random.RandomState, int, int]:
    """Return a fit's generator as it is before the first epoch, and what was drawn until then.

    That is the seed of the initial parameters and the seed of dropout.
    """
    generator = np.random.RandomState(seed)
    return generator, int(generator.randint(LARGEST_SEED)), int(generator.randint(LARGEST_SEED))
