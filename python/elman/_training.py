"""The epochs of a fit: learning rate, early stopping, and when to end."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from elman import _core
from elman._arrays import Array
from elman._exceptions import DivergenceError, diverged

EPOCHS_BEFORE_ADAPTING = 2
ADAPTING_DIVISOR = 5.0
LEAST_LEARNING_RATE = 1e-6
MOST_EVALUATIONS_PER_ITERATION = 75


@dataclass(frozen=True)
class Examples:
    """What is trained on, as `_core.Trainer.epoch` takes it.

    Parameters
    ----------
    values, offsets : ndarray
        The sequences.
    targets : ndarray of shape (n_rows, n_targets)
        A row for each sequence or time step.
    weights : ndarray of shape (n_rows,), or None
        Their weights.
    order : ndarray of int64
        Numbers of the sequences that are trained on.
    per_step : bool
        Whether rows belong to time steps.
    """

    values: Array
    offsets: NDArray[np.int64]
    targets: Array
    weights: Array | None
    order: NDArray[np.int64]
    per_step: bool


@dataclass(frozen=True)
class TrainingState:
    """All that a fit needs to be continued as if it had never stopped.

    Parameters
    ----------
    parameters : ndarray of shape (n_parameters,)
        Parameters in the units of training.
    random_state : RandomState
        Draws the order of samples.
    dropout_seed : int
        Draws the dropout masks, together with the number of the update.
    solver_state : dict or None
        Number of updates and moments; None before the first update.
    learning_rate : float or None
        Where an adaptive learning rate stands.
    n_iter, t : int
        Epochs of the last fit; samples seen in all.
    loss_curve, validation_scores : tuple of float
        A value for each epoch.
    best_loss, best_score : float
        The best of them.
    n_no_change : int
        Epochs since the last improvement.
    """

    parameters: Array
    random_state: np.random.RandomState
    dropout_seed: int
    solver_state: dict[str, Any] | None = None
    learning_rate: float | None = None
    n_iter: int = 0
    t: int = 0
    loss_curve: tuple[float, ...] = ()
    validation_scores: tuple[float, ...] = ()
    best_loss: float = math.inf
    best_score: float = -math.inf
    n_no_change: int = 0


AfterEpoch = Callable[[TrainingState], bool]


@dataclass
class Training:
    """One call of `fit` or `partial_fit`.

    Parameters
    ----------
    network : Network
        What is trained.
    state : TrainingState
        Where to begin; never changed.
    examples : Examples
        What is trained on.
    settings : dict
        The estimator's parameters.
    task : RegressionTask or ClassificationTask
        Gives the loss.
    n_threads : int
        Never changes a bit.
    caller : str
        Class and method, for messages.
    validate : callable or None
        Takes parameters and returns a score; None without early stopping.
    is_partial : bool
        Whether this is one epoch of several calls.
    token_dropout : float or ndarray of shape (n_tokens,)
        Probability with which any step's tokens, or each token, are dropped.
    n_done : int
        Epochs that an earlier process has made; `state` stands behind them.
    is_over : bool
        Whether it found that no more are needed.
    best_parameters : ndarray or None
        With early stopping, the parameters with the best score so far.
    checkpoint : Checkpoint or None
        What is written between epochs.
    """

    network: Any
    state: TrainingState
    examples: Examples
    settings: Mapping[str, Any]
    task: Any
    n_threads: int
    caller: str
    validate: Callable[[Array], float] | None = None
    is_partial: bool = False
    token_dropout: float | NDArray[np.float64] = 0.0
    n_done: int = 0
    is_over: bool = False
    best_parameters: Array | None = None
    checkpoint: Any = None

    def run(self, before_epoch: Callable[[], None], after_epoch: AfterEpoch) -> TrainingState:
        """Train until the loss or the validation score has stopped improving.

        Parameters
        ----------
        before_epoch, after_epoch : callable
            Called around every epoch; a true answer of ``after_epoch`` ends the training.

        Returns
        -------
        state : TrainingState
            The end; with early stopping, the parameters with the best score.
        """
        trainer = self._trainer()
        state, epoch, is_over = self.state, self.n_done, self.is_over
        if self.validate is not None and state.loss_curve and epoch == 0:
            self.best_parameters = state.parameters
            state = replace(state, best_score=self.validate(state.parameters))
        n_epochs = 1 if self.is_partial else self.settings["max_iter"]
        while epoch < n_epochs and not is_over:
            epoch += 1
            before_epoch()
            state = self._epoch(trainer, state, epoch)
            is_over = after_epoch(state)
            if not is_over and state.n_no_change > self._patience:
                is_over = not self._adapt(trainer)
                state = replace(state, n_no_change=state.n_no_change if is_over else 0)
            self._keep(trainer, state, is_over, is_last=is_over or epoch == n_epochs)
        if not is_over and not self.is_partial:
            self._warn_unfinished(n_epochs)
        if self.best_parameters is not None:
            state = replace(state, parameters=self.best_parameters)
        return _with_solver(state, trainer)

    def _keep(self, trainer: Any, state: TrainingState, is_over: bool, is_last: bool) -> None:
        if self.checkpoint is not None and (is_last or self.checkpoint.is_due(state.n_iter)):
            self.checkpoint.write(_with_solver(state, trainer), self.best_parameters, is_over)

    def _trainer(self) -> Any:
        options = self._trainer_options()
        return self._ready(_core.Trainer(self.network, self.state.parameters, **options))

    def _trainer_options(self) -> dict[str, Any]:
        """Arguments of `_core.Trainer` beside the network and its parameters."""
        return {
            **self._solver_options(),
            "loss_parameter": self.task.loss_parameter,
            "token_dropout": self.token_dropout,
            "bptt_steps": self.settings["bptt_steps"] or 0,
            "checkpoint": self.settings["bptt_memory"] == "checkpoint",
        }

    def _ready(self, trainer: Any) -> Any:
        """Put a trainer where the state stands."""
        kept = self.state.solver_state
        # Another number of moments is that of another solver, which was set since: this one begins.
        if kept is not None and len(kept["moments"]) == len(trainer.solver_state["moments"]):
            trainer.solver_state = kept
        return trainer

    def _solver_options(self) -> dict[str, Any]:
        """Arguments that trainers of every kind share."""
        options = self.settings
        schedule, learning_rate = options["learning_rate"], options["learning_rate_init"]
        if schedule == "adaptive" and self.state.learning_rate is not None:
            learning_rate = self.state.learning_rate
        total_steps = max(1, options["max_iter"] * self._n_batches)
        return {
            "loss": self.task.loss,
            "solver": "sgd" if options["solver"] == "lbfgs" else options["solver"],
            "learning_rate": learning_rate,
            "schedule": "constant" if schedule == "adaptive" else schedule,
            "power_t": options["power_t"],
            "warmup_steps": int(options["warmup"] * total_steps),
            "total_steps": total_steps,
            "alpha": options["alpha"],
            "clip_norm": options["clip_norm"],
            "momentum": options["momentum"],
            "nesterovs_momentum": bool(options["nesterovs_momentum"]),
            "beta_1": options["beta_1"],
            "beta_2": options["beta_2"],
            "epsilon": options["epsilon"],
            **self._dropout_options(),
            "seed": self.state.dropout_seed,
            "n_threads": self.n_threads,
        }

    def _dropout_options(self) -> dict[str, float]:
        names = ("dropout", "recurrent_dropout", "embedding_dropout")
        is_dropped = self.settings["solver"] != "lbfgs"
        return {name: self.settings.get(name, 0.0) if is_dropped else 0.0 for name in names}

    @property
    def _batch_size(self) -> int:
        n = len(self.examples.order)
        batch_size = self.settings["batch_size"]
        return min(200, n) if batch_size == "auto" else min(int(batch_size), n)

    @property
    def _n_batches(self) -> int:
        return math.ceil(len(self.examples.order) / self._batch_size)

    def _epoch(self, trainer: Any, state: TrainingState, epoch: int) -> TrainingState:
        try:
            loss = self._pass(trainer, state.random_state, epoch)
        except _core.Diverged as error:
            raise self._divergence(error, epoch) from error
        return self._assessed(
            replace(
                state,
                parameters=trainer.parameters,
                n_iter=epoch,
                t=state.t + len(self.examples.order),
                loss_curve=(*state.loss_curve, loss),
            )
        )

    def _pass(self, trainer: Any, random_state: np.random.RandomState, epoch: int) -> float:
        """Draw the order of an epoch, and train."""
        order = self.examples.order
        if self.settings["shuffle"]:
            order = order[random_state.permutation(len(order))]
        return self._train(trainer, order, epoch)

    def _train(self, trainer: Any, order: NDArray[np.int64], epoch: int) -> float:
        """One pass over the examples in this order."""
        return self._train_on(self.examples, trainer, order)

    def _train_on(self, data: Examples, trainer: Any, order: NDArray[np.int64]) -> float:
        return float(
            trainer.epoch(
                data.values,
                data.offsets,
                data.targets,
                data.weights,
                order,
                batch_size=self._batch_size,
                per_step=data.per_step,
            )
        )

    def _assessed(self, state: TrainingState) -> TrainingState:
        """Compare the epoch with the best one before."""
        tol, loss = self.settings["tol"], state.loss_curve[-1]
        if self.validate is None:
            is_stale = loss > state.best_loss - tol
            best = min(loss, state.best_loss)
            return replace(
                state, best_loss=best, n_no_change=state.n_no_change + 1 if is_stale else 0
            )
        score = self.validate(state.parameters)
        is_stale = score < state.best_score + tol
        if score > state.best_score:
            self.best_parameters = state.parameters
        return replace(
            state,
            validation_scores=(*state.validation_scores, score),
            best_score=max(score, state.best_score),
            n_no_change=state.n_no_change + 1 if is_stale else 0,
        )

    @property
    def _patience(self) -> float:
        if self.settings["learning_rate"] == "adaptive":
            return EPOCHS_BEFORE_ADAPTING - 1
        return float(self.settings["n_iter_no_change"])

    def _adapt(self, trainer: Any) -> bool:
        """Lower an adaptive learning rate; false where it is not, or cannot go lower."""
        if self.settings["learning_rate"] != "adaptive":
            return False
        trainer.learning_rate /= ADAPTING_DIVISOR
        return bool(trainer.learning_rate > LEAST_LEARNING_RATE)

    def _warn_unfinished(self, n_epochs: int) -> None:
        warnings.warn(
            f"{self.caller}: max_iter got {n_epochs}, and the optimization has not converged by "
            "then, expected more epochs, a larger tol or a larger learning_rate_init",
            ConvergenceWarning,
            stacklevel=2,
        )

    def _divergence(self, error: Exception, epoch: int) -> DivergenceError:
        place = f"in epoch {epoch}, batch {error.args[1]}"
        return diverged(error, self.caller, place, epoch, ", or scale X")

    def run_lbfgs(self, before_epoch: Callable[[], None], after_epoch: AfterEpoch) -> TrainingState:
        """Minimise the loss of all examples at once by L-BFGS.

        Parameters
        ----------
        before_epoch, after_epoch : callable
            Called around every iteration; a true answer of ``after_epoch`` ends it.

        Returns
        -------
        state : TrainingState
            The end.
        """
        from scipy.optimize import minimize

        trainer, data = self._trainer(), self.examples
        state, loss_here = self.state, math.nan
        dtype = np.dtype(self.network.dtype)

        def loss_and_gradient(parameters: Array) -> tuple[float, Array]:
            nonlocal loss_here
            trainer.parameters = parameters.astype(dtype)
            try:
                loss_here, gradient = trainer.loss_and_gradient(
                    data.values, data.offsets, data.targets, data.weights, per_step=data.per_step
                )
            except _core.Diverged as error:
                raise self._divergence(error, state.n_iter + 1) from error
            return loss_here, gradient.astype(np.float64)

        def after_iteration(xk: Array) -> None:
            nonlocal state
            state = replace(
                state,
                n_iter=state.n_iter + 1,
                t=state.t + len(data.order),
                parameters=xk.astype(dtype),
                loss_curve=(*state.loss_curve, loss_here),
                best_loss=min(state.best_loss, loss_here),
            )
            if after_epoch(state):
                raise StopIteration
            if state.n_iter < self.settings["max_iter"]:
                before_epoch()

        state = replace(state, n_iter=0)
        before_epoch()
        result = minimize(
            loss_and_gradient,
            state.parameters.astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            callback=after_iteration,
            options={
                "maxiter": self.settings["max_iter"],
                "maxfun": MOST_EVALUATIONS_PER_ITERATION * self.settings["max_iter"],
                "gtol": self.settings["tol"],
                "ftol": 64 * np.finfo(np.float64).eps,
            },
        )
        if result.status == 1:
            self._warn_unfinished(self.settings["max_iter"])
        loss = float(result.fun)
        return replace(
            state,
            parameters=result.x.astype(dtype),
            n_iter=max(1, state.n_iter),
            best_loss=min(loss, state.best_loss),
            loss_curve=state.loss_curve or (loss,),
        )


def fresh(state: TrainingState) -> TrainingState:
    """Return the state in which a new fit goes on from these parameters.

    Its dropout masks are others, and it is compared with nothing that was seen before.
    """
    seed = np.random.RandomState(state.dropout_seed).randint(np.iinfo(np.int32).max)
    return replace(
        state,
        dropout_seed=int(seed),
        solver_state=None,
        learning_rate=None,
        best_loss=math.inf,
        best_score=-math.inf,
        n_no_change=0,
    )


def _with_solver(state: TrainingState, trainer: Any) -> TrainingState:
    return replace(state, solver_state=trainer.solver_state, learning_rate=trainer.learning_rate)
