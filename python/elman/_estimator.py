"""What every estimator with a network does with it: train it, keep it, show its weights."""

from __future__ import annotations

import copy
import functools
import threading
import warnings
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from elman._arrays import Array
from elman._callbacks import CallbackSupportMixin, FitObserver, progress, report_of
from elman._checkpoint import Checkpoint
from elman._exceptions import DivergenceError, abbreviated, not_fitted, problem
from elman._model import Model
from elman._network import flat_parameters, summary
from elman._pairs import Pairs
from elman._pickles import CheckedPickleMixin
from elman._training import Training, TrainingState

if TYPE_CHECKING:
    from elman._blocks import AnyData

LARGEST_SEED = 2**31 - 1
_commit_lock = threading.Lock()


class BaseNetworkEstimator(CallbackSupportMixin, CheckedPickleMixin, BaseEstimator):
    """An estimator whose fit leaves a `Model` behind."""

    _doc_link_module = "elman"

    # To look at the signature again for each `get_params` would cost a short fit a fifth.
    @classmethod
    @functools.cache
    def _get_param_names(cls) -> list[str]:
        names: list[str] = super()._get_param_names()
        return names

    def _attributes(self, model: Model) -> dict[str, Any]:
        """Everything that a fit sets, by name."""
        state = model.training
        is_stopping = bool(state.validation_scores)
        attributes = {
            "_model": model,
            "n_features_in_": model.inputs.n_features,
            "n_parameters_": int(model.parameters.size),
            "n_iter_": state.n_iter,
            "t_": state.t,
            "loss_": state.loss_curve[-1] if state.loss_curve else None,
            "loss_curve_": list(state.loss_curve),
            "best_loss_": state.best_loss if state.loss_curve and not is_stopping else None,
            "validation_scores_": list(state.validation_scores) if is_stopping else None,
            "best_validation_score_": state.best_score if is_stopping else None,
            **self._more_attributes(model),
        }
        if model.inputs.feature_names is not None:
            attributes["feature_names_in_"] = model.inputs.feature_names
        return attributes

    def _more_attributes(self, model: Model) -> dict[str, Any]:
        return {}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = vars(self).get("missing") is not None
        return tags

    def _names(self, model: Model | None) -> BaseEstimator:
        """Return an estimator of this class that knows nothing but feature names."""
        holder: BaseEstimator = object.__new__(type(self))
        if model is not None and model.inputs.feature_names is not None:
            holder.feature_names_in_ = model.inputs.feature_names
        return holder

    def _checkpoint(
        self,
        settings: dict[str, Any],
        caller: str,
        before: Model | None,
        data: AnyData | Pairs,
        groups: Any,
        **more: Any,
    ) -> Checkpoint | None:
        """Return the file in which a fit keeps how far it has come, if there shall be one."""
        if settings["checkpoint"] is None or caller.endswith(".partial_fit"):
            return None
        groups = None if groups is None else np.asarray(groups)
        given = {**data.contents(), "groups": groups, **more, "model before": before}
        return Checkpoint(self, settings, caller, given)

    def _run(
        self, training: Training, model: Model, settings: dict[str, Any], observer: FitObserver
    ) -> Model:
        n_epochs = 1 if training.is_partial else settings["max_iter"]
        name, n_done = type(self).__name__, training.n_done
        with progress(settings["verbose"], name, "epoch", n_epochs, n_done) as show:

            def after_epoch(state: TrainingState) -> bool:
                show(1, report_of(state))
                return observer.end_epoch(
                    lambda: self._attributes(model.with_training(_copied(state)))
                )

            run = training.run_lbfgs if settings["solver"] == "lbfgs" else training.run
            model = model.with_training(run(observer.begin_epoch, after_epoch))
        if not np.isfinite(model.parameters).all():
            got = "weights that are not finite in the units of y"
            raise DivergenceError(
                problem(training.caller, "y", got, f"targets within {model.inputs.dtype}")
            )
        return model

    def _commit(self, model: Model, random_state: Any) -> None:
        attributes = self._attributes(model)
        with _commit_lock:
            self.__dict__.update(attributes)
            if "feature_names_in_" not in attributes:
                self.__dict__.pop("feature_names_in_", None)
            if isinstance(random_state, np.random.RandomState):
                random_state.set_state(model.training.random_state.get_state())

    def _fitted_model(self, method: str) -> Model:
        model: Model | None = vars(self).get("_model")
        if model is None:
            raise not_fitted(f"{type(self).__name__}.{method}", "model")
        return model

    def __sklearn_is_fitted__(self) -> bool:
        return "_model" in vars(self)

    @property
    def weights_(self) -> dict[str, Array]:
        """Copies of the parameters by name, such that outputs are in the units of y."""
        model: Model | None = vars(self).get("_model")
        if model is None:
            raise AttributeError(f"{type(self).__name__} has no attribute 'weights_' before fit")
        return model.weights()

    def set_weights(self, weights: dict[str, Any]) -> BaseNetworkEstimator:
        """Replace the parameters of a fitted model.

        Parameters
        ----------
        weights : dict of array-like
            Arrays with the names and shapes of `weights_`.

        Returns
        -------
        self : estimator
            The estimator itself.

        Raises
        ------
        ValueError
            If a name, a shape or a value is not as it should be.
        """
        model = self._fitted_model("set_weights")
        caller = f"{type(self).__name__}.set_weights"
        network = model.network()
        parameters = flat_parameters(network, weights, caller)
        training = replace(
            model.training, parameters=model.task.unfold(network, parameters), solver_state=None
        )
        parameters.flags.writeable = False
        self._commit(replace(model, parameters=parameters, training=training), None)
        return self

    def summary(self) -> str:
        """Tell the size of a fitted model.

        Returns
        -------
        table : str
            Name, shape and number of each parameter, and the total.
        """
        return summary(self._fitted_model("summary").network())


def _copied(state: TrainingState) -> TrainingState:
    return replace(state, random_state=copy.deepcopy(state.random_state))


def generator(random_state: Any, before: Model | None, is_partial: bool) -> np.random.RandomState:
    """Return a generator of our own; the caller's moves on when the fit has succeeded."""
    if is_partial and before is not None:
        return copy.deepcopy(before.training.random_state)
    if random_state is None:
        return np.random.RandomState(check_random_state(None).randint(LARGEST_SEED))
    generator: np.random.RandomState = check_random_state(random_state)
    is_fresh = isinstance(random_state, Integral)  # others are somebody's
    return generator if is_fresh else copy.deepcopy(generator)


def warn_of_batch_size(batch_size: Any, n_samples: int, caller: str) -> None:
    if batch_size != "auto" and batch_size > n_samples:
        warnings.warn(
            f"{caller}: batch_size got {batch_size}, expected at most the {n_samples} samples: "
            "it is clipped to them",
            UserWarning,
            stacklevel=5,
        )


def check_architecture(new: dict[str, Any], old: dict[str, Any], caller: str) -> None:
    for name, value in new.items():
        if value != old[name]:
            expected = f"{abbreviated(old[name])} as in the fit before, which is continued"
            raise ValueError(problem(caller, name, abbreviated(value), expected))
