"""The training of one network of a fleet, which is too large to go side by side with others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from elman._arrays import Array
from elman._exceptions import DivergenceError
from elman._training import Training, TrainingState


class TrainingAlone(Training):
    """The training of one network of a fleet, beside the others on the threads."""

    _end: TrainingState | DivergenceError

    def train(self, after_epoch: Callable[[TrainingState], bool]) -> None:
        """Train to the end, or until ``after_epoch`` wants no more."""
        try:
            self._end = self.run(lambda: None, after_epoch)
        except DivergenceError as error:
            self._end = error

    def _warn_unfinished(self, n_epochs: int) -> None:
        pass  # the fleet tells of all at once

    def result(self) -> dict[str, Array]:
        """Return what `_core.train_fleet` tells of one network."""
        end, max_iter = self._end, self.settings["max_iter"]
        n = self.state.parameters.size
        n_moments = 1 if self.settings["solver"] in ("sgd", "rmsprop") else 2
        result: dict[str, Any] = {
            "parameters": self.state.parameters,
            "moments": np.zeros((n_moments, n), self.state.parameters.dtype),
            "learning_rate": self.settings["learning_rate_init"],
            "best_loss": np.inf,
            "n_iter": 0,
            "n_no_change": 0,
            "is_over": False,
            "diverged_at": -1,
            "gradient_norm": 0.0,
            "losses": np.zeros(max_iter),
        }
        if isinstance(end, DivergenceError):
            result["n_iter"], result["diverged_at"] = end.epoch - 1, end.batch
            result["learning_rate"], result["gradient_norm"] = end.learning_rate, end.gradient_norm
        else:
            for name in ("parameters", "learning_rate", "best_loss", "n_iter", "n_no_change"):
                result[name] = getattr(end, name)
            assert end.solver_state is not None
            result["moments"] = end.solver_state["moments"]
            result["losses"][: end.n_iter] = end.loss_curve
            result["is_over"] = end.n_iter < max_iter or end.n_no_change > self._patience
        return {name: np.asarray(value) for name, value in result.items()}
