"""What a fit leaves behind: one value that never changes, read once by every prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np

from elman import _core
from elman._arrays import Array
from elman._network import named_parameters, named_states, state_rows
from elman._safetensors import Source
from elman._sequences import InputForm, Sequences
from elman._targets import TargetForm
from elman._training import TrainingState

_AnyModel = TypeVar("_AnyModel", bound="FittedModel")


class FittedModel:
    """What a fit of networks leaves behind: their parameters, and from where training goes on.

    A class below it has ``parameters``, in the units of the data, ``training``, a `TrainingState`,
    and ``task``, which turns the parameters of one into those of the other.
    """

    parameters: Array
    training: TrainingState
    task: Any

    def network(self) -> Any:
        """Make the network; it holds shapes only."""
        raise NotImplementedError

    def weights(self) -> dict[str, Array]:
        """Return copies of the parameters, by name."""
        named = named_parameters(self.network(), self.parameters)
        return {name: array.copy() for name, array in named.items()}

    def continued(self) -> TrainingState:
        """Where training goes on from; a file may have left its parameters to be told."""
        if self.training.parameters.size:
            return self.training
        parameters = self.task.unfold(self.network(), self.parameters)
        return replace(self.training, parameters=parameters)

    def compact_training(self) -> TrainingState:
        """Return the state of training, without parameters where `continued` would find them."""
        training = self.training
        unfolded = self.task.unfold(self.network(), self.parameters)
        if training.parameters.tobytes() != unfolded.tobytes():
            return training
        return replace(training, parameters=unfolded[:0].copy())

    def without_moments(self: _AnyModel) -> _AnyModel:
        """Return the model without what is needed only to go on as if it had never stopped."""
        nothing = np.empty(0, dtype=self.parameters.dtype)
        training = replace(self.training, parameters=nothing, solver_state=None)
        model: Any = self  # a dataclass
        return cast(_AnyModel, replace(model, training=training))

    def __getstate__(self) -> bytes:
        from elman._files import to_bytes

        return to_bytes(self, Source(f"{type(self).__name__}.__getstate__", "model"))

    def __setstate__(self, state: Any) -> None:
        from elman._files import from_bytes

        source = Source(f"{type(self).__name__}.__setstate__", "state")
        model = from_bytes(state, source)
        if type(model) is not type(self):
            raise source.corrupt(f"a {type(model).__name__}", f"a {type(self).__name__}")
        self.__dict__.update(vars(model))


@dataclass(frozen=True)
class Model(FittedModel):
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
