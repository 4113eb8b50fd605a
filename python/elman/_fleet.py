"""Many small networks, fitted and asked together."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from elman._arrays import Array
from elman._base import BaseRNN, settings_of
from elman._callbacks import progress
from elman._estimator import LARGEST_SEED
from elman._exceptions import DivergenceError, abbreviated, problem
from elman._fleet_data import check_lists, read_fleet, read_questions
from elman._fleet_training import FleetTraining, fleet_training, suits
from elman._model import Model
from elman._model_stack import ModelStack
from elman._parameters import check_network_parameters, check_parameters
from elman._safetensors import Source
from elman._sequences import Sequences
from elman._side_by_side import on_threads
from elman._targets import restore
from elman._threads import effective_n_threads
from elman._tokens import check_token_parameters

Models = tuple["Model | None", ...]
MOST_NAMED = 5
_Method = TypeVar("_Method", bound=Callable[..., Any])


def fit_many(
    estimator: Any,
    Xs: Any,
    ys: Any,
    *,
    n_jobs: int | None = None,
    on_divergence: str = "raise",
) -> Fleet:
    """Fit a network to each of many data sets, side by side.

    Thousands of small networks, one for each shop, sensor or patient, are trained in one call:
    each has a lane of the registers, and groups of them go to the threads. Every network has the
    bits that ``clone(estimator).fit(X, y)`` would give it, and ends in the epoch in which it would
    have ended alone.

    Side by side go networks of any cell and number of layers, of one direction, with or without a
    head, with any loss, solver and schedule, on sequences of any lengths. With ``bidirectional``,
    ``residual``, ``layer_norm``, dropout, tokens or vectors as input, ``missing``,
    ``early_stopping``, ``class_weight``, "lbfgs", a checkpoint or callbacks, and where networks
    have classes or shapes of y of their own, they are fitted one by one on the threads instead: the
    same bits, but little faster than a loop. So are networks that are too large for the caches side
    by side. With ``bptt_memory="checkpoint"`` everything is kept all the same.

    Parameters
    ----------
    estimator : RNNRegressor or RNNClassifier
        What is fitted, with all its parameters; itself it is left as it is. With an integer as
        `random_state` each network draws what it would draw alone from that seed; with None or a
        RandomState each gets a seed of its own, which its `random_state` then tells.
    Xs, ys : array-like or list
        The X and the y of each network; arrays of them have one axis more, the first.
    n_jobs : int or None, default=None
        Number of threads, as in the estimator. Results do not depend on it.
    on_divergence : {"raise", "skip"}, default="raise"
        What is done when the loss of some networks stops being finite. The others are trained to
        their end in any case; then an error names those that diverged, or with "skip" the fleet has
        none at their places: asked for one of them it raises, and their predictions are NaN.

    Returns
    -------
    fleet : Fleet
        The fitted networks.

    Raises
    ------
    TypeError
        If the estimator is another one, or Xs or ys is no list.
    ValueError
        If a parameter, an X or a y is not as it should be; the message tells of which network.
    DivergenceError
        If the loss of a network stops being finite, unless they are skipped.

    See Also
    --------
    RNNForecaster : With ``strategy_panel="local"``, a model for each series of a panel.

    Examples
    --------
    >>> import numpy as np
    >>> import elman
    >>> waves = np.sin(np.arange(51) / np.arange(2, 22)[:, None])
    >>> Xs, ys = waves[:, None, :-1, None], waves[:, None, 1:, None]
    >>> estimator = elman.RNNRegressor(hidden_layer_sizes=8, max_iter=20, tol=0.01, random_state=0)
    >>> fleet = elman.fit_many(estimator, Xs, ys)
    >>> len(fleet), fleet.predict(Xs).shape
    (20, (20, 1, 50, 1))
    >>> alone = estimator.fit(Xs[7], ys[7])
    >>> bool((fleet[7].predict(Xs[7]) == alone.predict(Xs[7])).all())
    True
    """
    caller = "elman.fit_many"
    if not isinstance(estimator, BaseRNN):
        got = f"a {type(estimator).__name__}"
        raise TypeError(problem(caller, "estimator", got, "an RNNRegressor or an RNNClassifier"))
    if on_divergence not in ("raise", "skip"):
        got = abbreviated(on_divergence)
        raise ValueError(problem(caller, "on_divergence", got, "'raise' or 'skip'"))
    n = check_lists(Xs, ys, caller)
    template = clone(estimator)
    settings = template.get_params(deep=False)
    check_parameters(settings, caller, template._rules)
    check_network_parameters(settings, caller)
    check_token_parameters(settings, caller)
    n_threads = effective_n_threads(n_jobs, caller)
    seeds = _seeds(estimator.random_state, n)
    models: ModelStack | Models
    models, failures = _train(template, Xs, ys, settings, seeds, n_threads, caller)
    if failures and on_divergence == "raise":
        raise _all_diverged(failures, n, caller)
    if isinstance(estimator.random_state, np.random.RandomState):
        estimator.random_state.randint(LARGEST_SEED, size=n)
    is_fitted = np.ones(n, dtype=bool)
    is_fitted[list(failures)] = False
    return Fleet(template, models, seeds, is_fitted)


def _seeds(random_state: Any, n: int) -> NDArray[np.int64]:
    if isinstance(random_state, Integral):
        return np.full(n, int(random_state), dtype=np.int64)
    own = check_random_state(random_state)
    if random_state is not None:  # the caller's moves on when all has gone well
        own = copy.deepcopy(own)
    return np.array(own.randint(LARGEST_SEED, size=n), dtype=np.int64)


def _train(
    template: Any,
    Xs: Any,
    ys: Any,
    settings: dict[str, Any],
    seeds: NDArray[np.int64],
    n_threads: int,
    caller: str,
) -> tuple[ModelStack | Models, dict[int, DivergenceError]]:
    with progress(settings["verbose"], caller, "network", len(seeds), 0) as show:
        training = _side_by_side(template, Xs, ys, settings, seeds, n_threads, caller)
        if training is None:
            return _train_apart(template, Xs, ys, seeds, n_threads, caller, show)
        stack, failures, is_over = training.run_all(show)
        _warn_unfinished(is_over, settings, caller)
        return stack, failures


def _side_by_side(
    template: Any,
    Xs: Any,
    ys: Any,
    settings: dict[str, Any],
    seeds: NDArray[np.int64],
    n_threads: int,
    caller: str,
) -> FleetTraining | None:
    """Return the training of all networks in one call, where there is one."""
    if not suits(settings, template):
        return None
    fleet = read_fleet(template._reader(settings, caller, None), Xs, ys)
    if fleet is None:
        return None
    return fleet_training(template, fleet, settings, seeds, n_threads, caller)


def _warn_unfinished(is_over: Array, settings: dict[str, Any], caller: str) -> None:
    n = int(np.count_nonzero(~is_over))
    if n:
        warnings.warn(
            f"{caller}: max_iter got {settings['max_iter']}, and the optimization of {n} of "
            f"{len(is_over)} networks has not converged by then, expected more epochs, a larger "
            "tol or a larger learning_rate_init",
            ConvergenceWarning,
            stacklevel=4,
        )


def _train_apart(
    template: Any,
    Xs: Any,
    ys: Any,
    seeds: NDArray[np.int64],
    n_threads: int,
    caller: str,
    show: Callable[[int, str], None],
) -> tuple[Models, dict[int, DivergenceError]]:
    """Fit one by one, on threads."""
    failures: dict[int, DivergenceError] = {}

    def fit(i: int, is_over: Callable[[], bool]) -> Model | None:
        n_inner = 1 if n_threads > 1 and len(seeds) > 1 else n_threads
        one = clone(template).set_params(random_state=int(seeds[i]), n_jobs=n_inner, verbose=False)
        try:
            model: Model = one.fit(Xs[i], ys[i])._model
        except DivergenceError as error:
            failures[i] = error
            return None
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{caller}: network {i}: {error}") from error
        return model

    numbers = range(len(seeds))
    if n_threads > 1 and len(seeds) > 1:
        return tuple(on_threads(fit, numbers, n_threads, lambda: show(1, ""))), failures
    models = []
    for i in numbers:
        models.append(fit(i, lambda: False))
        show(1, "")
    return tuple(models), failures


def _all_diverged(failures: dict[int, DivergenceError], n: int, caller: str) -> DivergenceError:
    numbers = sorted(failures)
    first = failures[numbers[0]]
    named = ", ".join(map(str, numbers[:MOST_NAMED]))
    named += ", …" if len(numbers) > MOST_NAMED else ""
    got = f"a loss or gradient that is not finite in {len(numbers)} of {n} networks ({named})"
    expected = "finite values: lower it, set clip_norm, scale Xs, or skip them by on_divergence"
    return DivergenceError(
        f"{problem(caller, 'learning_rate_init', got, expected)}. Network {numbers[0]}: {first}",
        first.epoch,
        first.batch,
        first.learning_rate,
        first.gradient_norm,
    )


def _has_probabilities(fleet: Any) -> bool:
    if not hasattr(fleet.estimator, "predict_proba"):
        raise AttributeError(f"a Fleet of {type(fleet.estimator).__name__} has no predict_proba")
    return True


def _of_classifiers(method: _Method) -> _Method:
    available: _Method = available_if(_has_probabilities)(method)
    return available


class Fleet(Sequence[Any]):
    """Fitted networks, one for each of many data sets.

    Made by `fit_many`. A sequence: ``fleet[i]`` is network i as a fitted estimator, a copy that is
    made when it is asked for.

    Parameters
    ----------
    estimator : RNNRegressor or RNNClassifier
        What was fitted, not fitted itself.
    models : ModelStack or tuple of Model
        What the fits have left behind.
    seeds : ndarray of shape (n_networks,)
        The random state of each.
    is_fitted : ndarray of shape (n_networks,) of bool
        Whether a network is there, or has diverged and was skipped.

    Attributes
    ----------
    n_iter_ : ndarray of shape (n_networks,)
        Epochs of each network; 0 of those that were skipped.
    best_loss_ : ndarray of shape (n_networks,)
        The smallest loss of each; NaN of those that were skipped, and with early stopping.

    See Also
    --------
    fit_many : Makes it, with an example.
    """

    def __init__(
        self,
        estimator: Any,
        models: ModelStack | Models,
        seeds: NDArray[np.int64],
        is_fitted: NDArray[np.bool_],
    ) -> None:
        self.estimator = estimator
        self._models = models
        self._seeds = seeds
        self._is_fitted = is_fitted

    def __len__(self) -> int:
        return len(self._models)

    def __getitem__(self, i: Any) -> Any:
        """Return network i as a fitted estimator, or those of a slice as a list of them."""
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        i = range(len(self))[i]
        model = self._model(i)
        estimator = clone(self.estimator)
        if not isinstance(estimator.random_state, (int, np.integer)):
            estimator.set_params(random_state=int(self._seeds[i]))
        estimator._commit(model, None)
        return estimator

    def _model(self, i: int) -> Model:
        if not self._is_fitted[i]:
            raise DivergenceError(f"Fleet: network {i} has diverged in fit_many, and was skipped")
        if isinstance(self._models, ModelStack):
            return self._models.model(i)
        model = self._models[i]
        assert model is not None
        return model

    def __repr__(self) -> str:
        return f"<Fleet of {len(self)} {self.estimator!r}>"

    @property
    def n_iter_(self) -> NDArray[np.int64]:
        """Epochs of each network."""
        if isinstance(self._models, ModelStack):
            return np.where(self._is_fitted, self._models.n_iter, 0)
        counts = [model.training.n_iter if model else 0 for model in self._models]
        return np.array(counts, dtype=np.int64)

    @property
    def best_loss_(self) -> NDArray[np.float64]:
        """The smallest loss of each network."""
        if isinstance(self._models, ModelStack):
            return np.where(self._is_fitted, self._models.best_loss, np.nan)
        states = [model.training if model else None for model in self._models]
        return np.array(
            [np.nan if s is None or s.validation_scores else s.best_loss for s in states]
        )

    def predict(self, Xs: Any, *, n_jobs: int | None = None) -> Any:
        """Predict with every network, for sequences of its own.

        Parameters
        ----------
        Xs : array-like or list
            An X for each network.
        n_jobs : int or None, default=None
            Number of threads. Results do not depend on it.

        Returns
        -------
        predicted : ndarray or list
            What ``fleet[i].predict(Xs[i])`` gives for each i; an array with one axis more where
            `Xs` is such an array, or a list of arrays of one shape and dtype.

        Raises
        ------
        ValueError
            If an X is not as it should be, or networks of a classifier were skipped.
        """
        return self._predict("predict", Xs, n_jobs)

    @_of_classifiers
    def predict_proba(self, Xs: Any, *, n_jobs: int | None = None) -> Any:
        """Tell the probabilities of classes, as `predict` tells what they are.

        Parameters
        ----------
        Xs, n_jobs : object
            As of `predict`.

        Returns
        -------
        probabilities : ndarray or list
            What ``fleet[i].predict_proba(Xs[i])`` gives for each i; NaN of those that were skipped.

        Raises
        ------
        ValueError
            If an X is not as it should be.
        """
        return self._predict("predict_proba", Xs, n_jobs)

    def _predict(self, method: str, Xs: Any, n_jobs: int | None) -> Any:
        caller = f"Fleet.{method}"
        if check_lists(Xs, Xs, caller) != len(self):
            got = f"{len(Xs)} items"
            raise ValueError(problem(caller, "Xs", got, f"{len(self)}, one for each network"))
        n_threads = effective_n_threads(n_jobs, caller)
        if not self._is_fitted.all() and (method == "predict" and self._has_labels):
            missing = np.flatnonzero(~self._is_fitted)[:MOST_NAMED].tolist()
            expected = "networks that were fitted: there is no label of one that was skipped"
            raise ValueError(problem(caller, "Xs", f"items of networks {missing}", expected))
        if not isinstance(self._models, ModelStack):
            return self._predict_apart(method, Xs, n_threads, caller)
        stack = self._models
        model = stack.model(0)
        reader = self.estimator._reader(settings_of(model), caller, model)
        sequences, first, parts = read_questions(reader, Xs)
        outputs = stack.forward(sequences, first, n_threads)
        bounds = sequences.offsets[first] if stack.targets.per_step else first
        for i in np.flatnonzero(~self._is_fitted):
            outputs[bounds[i] : bounds[i + 1]] = np.nan
        rows = model.finishes()[method](outputs)
        return self._restored(method, model, rows, bounds, sequences, parts)

    @property
    def _has_labels(self) -> bool:
        return hasattr(self.estimator, "predict_proba")

    def _restored(
        self,
        method: str,
        model: Model,
        rows: Array,
        bounds: NDArray[np.int64],
        sequences: Sequences,
        parts: list[Sequences] | None,
    ) -> Any:
        """Give each network's rows the form of its predictions."""
        has_axis = True if method == "predict_proba" else None
        if parts is None:
            whole = restore(rows, model.targets, sequences, has_output_axis=has_axis)
            n = len(self)
            if isinstance(whole, list):
                size = len(whole) // n
                return [whole[i * size : (i + 1) * size] for i in range(n)]
            return whole.reshape(n, -1, *whole.shape[1:])
        return [
            restore(rows[bounds[i] : bounds[i + 1]], model.targets, part, has_output_axis=has_axis)
            for i, part in enumerate(parts)
        ]

    def _predict_apart(self, method: str, Xs: Any, n_threads: int, caller: str) -> list[Any]:
        def ask(i: int) -> Any:
            if not self._is_fitted[i]:
                raise ValueError(problem(caller, "Xs", f"an item of network {i}", "one that is"))
            return getattr(self[i], method)(Xs[i])

        return [ask(i) for i in range(len(self))]

    def __getstate__(self) -> bytes:
        from elman._files import to_bytes

        return to_bytes(self, Source("Fleet.__getstate__", "fleet"))

    def __setstate__(self, state: Any) -> None:
        from elman._files import from_bytes

        source = Source("Fleet.__setstate__", "state")
        fleet = from_bytes(state, source)
        if type(fleet) is not Fleet:
            raise source.corrupt(f"a {type(fleet).__name__}", "a Fleet")
        self.__dict__.update(vars(fleet))
