"""What a fit leaves behind: one value that never changes, read once by every prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elman import _core
from elman._arrays import Array
from elman._network import named_parameters, named_states, state_rows
from elman._sequences import InputForm, Sequences
from elman._targets import TargetForm
from elman._training import TrainingState


@dataclass(frozen=True)
class Model:
    """A trained network, and the forms of the X and y that it was trained on.

    Parameters
    ----------
    architecture : dict
        Arguments of `_core.Network`.
    parameters : ndarray of shape (n_parameters,)
        Parameters whose outputs are in the units of y; read-only.
    inputs : InputForm
        How X looked.
    targets : TargetForm
        How y looked.
    task : RegressionTask or ClassificationTask
        What the outputs mean.
    training : TrainingState
        From where training can go on.
    n_timesteps : int
        Steps of the longest output, for vectors as input.
    """

    architecture: dict[str, Any]
    parameters: Array
    inputs: InputForm
    targets: TargetForm
    task: Any
    training: TrainingState
    n_timesteps: int

    def network(self) -> Any:
        """Make the network; it holds shapes only."""
        return self._network_of(self.architecture)

    @staticmethod
    def _network_of(architecture: dict[str, Any]) -> Any:
        return _core.Network(**architecture)

    def weights(self) -> dict[str, Array]:
        """Return copies of the parameters, by name."""
        named = named_parameters(self.network(), self.parameters)
        return {name: array.copy() for name, array in named.items()}

    def states(self, rows: Array) -> dict[str, Array]:
        """Cut rows of final states into arrays, by name."""
        return named_states(self.network(), rows)

    def finishes(self) -> dict[str, Callable[[Array], Array]]:
        """From the network's outputs to the rows of what each method predicts."""
        finishes: dict[str, Callable[[Array], Array]] = {"predict": self.task.predict}
        if hasattr(self.task, "probabilities"):
            finishes["predict_proba"] = self.task.probabilities
        return finishes

    def has_plain_outputs(self) -> bool:
        """Whether the network's outputs are the predictions as they are."""
        has_one_for_each: bool = self.network().n_outputs == self.targets.n_outputs
        return has_one_for_each and self.task.out_activation == "identity"

    def predictor(
        self, *, per_step: bool, n_threads: int, weights: str | None = None
    ) -> _core.Predictor:
        """Pack the weights for many calls; ``weights`` names what they are stored as."""
        return _core.Predictor(
            self.network(),
            self.parameters,
            per_step=per_step,
            n_threads=n_threads,
            storage=weights or "full",
        )

    def with_training(self, training: TrainingState) -> Model:
        """Return this model with the parameters of a training state, in the units of y."""
        parameters = self.task.fold(self.network(), training.parameters)
        parameters.flags.writeable = False
        return replace(self, parameters=parameters, training=training)

    def forward(
        self, sequences: Sequences, caller: str, initial_state: Any = None, n_threads: int = 1
    ) -> tuple[Array, Array]:
        """Compute outputs, a row for each sequence or time step, and rows of final states."""
        network = self.network()
        states = state_rows(network, initial_state, len(sequences), caller, "initial_state")
        outputs, final_states = [], []
        for values, offsets, samples in sequences.blocks():
            output, final_state = network.forward(
                self.parameters,
                values,
                offsets,
                per_step=self.targets.per_step,
                initial_state=None if states is None else states[samples],
                n_threads=n_threads,
            )
            outputs.append(output)
            final_states.append(final_state)
        if len(outputs) == 1:
            return outputs[0], final_states[0]
        return np.concatenate(outputs), np.concatenate(final_states)

    def __setstate__(self, state: dict[str, Any]) -> None:
        network = self._network_of(state["architecture"])
        for parameters in (state["parameters"], state["training"].parameters):
            if parameters.shape != (network.n_parameters,) or parameters.dtype != network.dtype:
                raise ValueError(
                    f"elman: pickled parameters got {parameters.dtype} {parameters.shape}, "
                    f"expected {network.dtype} ({network.n_parameters},)"
                )
            if not np.isfinite(parameters).all():
                raise ValueError("elman: pickled parameters got NaN or infinity, expected numbers")
        state["parameters"].flags.writeable = False
        self.__dict__.update(state)
