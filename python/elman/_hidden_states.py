"""Hidden states of a recurrent network as features for any other estimator."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, TransformerMixin, clone
from sklearn.frozen import FrozenEstimator

from elman import _core
from elman._arrays import Array
from elman._base import BaseRNN
from elman._exceptions import not_fitted, problem
from elman._model import Model
from elman._network import layer_sizes
from elman._parameters import RULES, Rule, check_parameters, one_of
from elman._regressor import RNNRegressor
from elman._sequences import Sequences
from elman._targets import TargetForm, restore
from elman._threads import effective_n_threads


def _is_network(value: Any) -> bool:
    return isinstance(value.estimator if isinstance(value, FrozenEstimator) else value, BaseRNN)


class HiddenStateTransformer(MetaEstimatorMixin, TransformerMixin, BaseEstimator):
    """Turn sequences into the hidden states of a recurrent network that was trained on them.

    What a layer hands on is a learned summary of the sequence so far, with as many numbers for a
    short sequence as for a long one: features for a nearest neighbour, a boosted tree, a
    clustering, a picture in two dimensions.

    Parameters
    ----------
    estimator : RNNRegressor, RNNClassifier or FrozenEstimator, default=None
        `fit` trains a clone of it; None is ``RNNRegressor()``. One that is fitted already is used
        as it is in a `~sklearn.frozen.FrozenEstimator`.
    layer : int, default=-1
        Which recurrent layer, negative numbers counted from the last one.
    steps : {"last", "mean", "all"}, default="last"
        States after the last step, which are what the head reads (of a layer of two directions the
        reverse half is the one after the first step); their mean over all steps; or all of them.
    random_state : int, RandomState instance or None, default=None
        Takes the place of the estimator's own; None leaves that.

    Attributes
    ----------
    estimator_ : RNNRegressor or RNNClassifier
        The fitted estimator.
    n_features_in_ : int
        Number of columns of a table, otherwise of channels.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, when X was a data frame.

    See Also
    --------
    elman.inspect.saliency : How the values of a sequence move what is predicted for it.

    Examples
    --------
    >>> import numpy as np
    >>> from elman import HiddenStateTransformer, RNNRegressor
    >>> from sklearn.frozen import FrozenEstimator
    >>> X = np.random.RandomState(0).randn(100, 8, 2)
    >>> model = RNNRegressor(hidden_layer_sizes=(4,), tol=0.1, random_state=0)
    >>> model.fit(X, X[:, :, 0].sum(axis=1)).predict(X[:2]).shape
    (2,)
    >>> states = HiddenStateTransformer(FrozenEstimator(model)).fit(X)
    >>> states.transform(X).shape
    (100, 4)
    >>> states.get_feature_names_out()
    array(['layer0_h0', 'layer0_h1', 'layer0_h2', 'layer0_h3'], dtype=object)

    The head of the network is a linear function of them.

    >>> head = model.weights_["head.W"], model.weights_["head.b"]
    >>> bool(np.allclose(states.transform(X) @ head[0] + head[1], model.predict(X)[:, None]))
    True
    """

    _rules: ClassVar[dict[str, Rule]] = {
        "estimator": Rule(
            lambda value: value is None or _is_network(value),
            "None, an RNNRegressor, an RNNClassifier or a FrozenEstimator of one",
        ),
        "layer": Rule(
            lambda value: isinstance(value, Integral) and not isinstance(value, bool), "an integer"
        ),
        "steps": one_of("last", "mean", "all"),
        "random_state": RULES["random_state"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        layer: int = -1,
        steps: str = "last",
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.layer = layer
        self.steps = steps
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> HiddenStateTransformer:
        """Train the network, unless it is frozen.

        Parameters
        ----------
        X : array-like, data frame or list of arrays
            Sequences in one of the forms of the estimator's `fit`.
        y : array-like or list of arrays, default=None
            Its targets; not looked at if the estimator is frozen.
        **fit_params : dict
            Handed on to the estimator's `fit`.

        Returns
        -------
        self : HiddenStateTransformer
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter, X or y is not as it should be.
        sklearn.exceptions.NotFittedError
            If a frozen estimator is not fitted.
        """
        caller = f"{type(self).__name__}.fit"
        check_parameters(self.get_params(deep=False), caller, self._rules)
        given = RNNRegressor() if self.estimator is None else self.estimator
        if isinstance(given, FrozenEstimator):
            estimator = given.estimator
            model = estimator._fitted_model("fit")
            self._check_layer(model.architecture["hidden_layer_sizes"], caller)
            estimator._read_X(model, caller, X, names=self._names(model))
        else:
            estimator = clone(given)
            if self.random_state is not None:
                estimator.set_params(random_state=self.random_state)
            if RULES["hidden_layer_sizes"].passes(estimator.hidden_layer_sizes):
                self._check_layer(layer_sizes(estimator.hidden_layer_sizes), caller)
            model = estimator.fit(X, y, **fit_params)._fitted_model("fit")
        self.__dict__.pop("feature_names_in_", None)
        self.estimator_ = estimator
        self.__dict__.update(self._attributes(model))
        return self

    def transform(self, X: Any) -> Any:
        """Compute the states.

        Parameters
        ----------
        X : array-like, data frame or list of arrays
            Sequences in one of the forms of `fit`.

        Returns
        -------
        states : ndarray of shape (n_samples, n_states), or list of ndarray
            With ``steps="all"`` (n_samples, n_timesteps, n_states), with NaN behind the end of a
            sequence, or a list of arrays if X was one.

        Raises
        ------
        ValueError
            If X is not as it should be.
        """
        caller = f"{type(self).__name__}.transform"
        layer = self._layer(caller)
        estimator = self.estimator_
        sequences = estimator._read_X(layer.model, caller, X, names=self._names(layer.model))
        n_threads = effective_n_threads(estimator.n_jobs, caller)
        rows = layer.states(sequences, self.steps != "last", n_threads)
        if self.steps == "all":
            form = TargetForm(True, False, True, rows.shape[1])
            return restore(rows, form, sequences)
        if self.steps == "mean":
            sums = np.add.reduceat(rows, sequences.offsets[:-1])
            return sums / sequences.lengths[:, None].astype(rows.dtype)
        return rows

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return the names of the states.

        Parameters
        ----------
        input_features : array-like of str, default=None
            The names of the columns of X, if they are given; not used otherwise.

        Returns
        -------
        names : ndarray of str
            "layer0_h0", "layer0_h1", …; "layer0_reverse_h0" of a second direction beside the first.

        Raises
        ------
        ValueError
            If the names are not those of `fit`.
        """
        caller = f"{type(self).__name__}.get_feature_names_out"
        layer = self._layer(caller)
        names = vars(self).get("feature_names_in_")
        if input_features is not None and names is not None:
            given, known = np.asarray(input_features).tolist(), names.tolist()
            if given != known:
                raise ValueError(
                    f"{caller}: input_features is not equal to feature_names_in_: got {given}, "
                    f"expected {known}"
                )
        return np.array(layer.names(), dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return "estimator_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        estimator = RNNRegressor() if self.estimator is None else self.estimator
        is_frozen = isinstance(estimator, FrozenEstimator)
        inner = estimator.estimator if is_frozen else estimator
        if not isinstance(inner, BaseRNN):
            return tags
        tags.input_tags = inner.__sklearn_tags__().input_tags
        tags.target_tags.required = not is_frozen
        return tags

    def _attributes(self, model: Model) -> dict[str, Any]:
        """Everything that a fit sets beside the estimator, by name."""
        names = model.inputs.feature_names
        of_columns = {} if names is None else {"feature_names_in_": names}
        return {"n_features_in_": model.inputs.n_features, **of_columns}

    def _check_layer(self, sizes: Any, caller: str) -> None:
        n = len(sizes)
        if not -n <= self.layer < n:
            expected = f"one of the {n} layers: an integer from {-n} to {n - 1}"
            raise ValueError(problem(caller, "layer", self.layer, expected))

    def _layer(self, caller: str) -> _Layer:
        if "estimator_" not in vars(self):
            raise not_fitted(caller, "network")
        check_parameters(self.get_params(deep=False), caller, self._rules)
        model = self.estimator_._fitted_model("transform")
        sizes = model.architecture["hidden_layer_sizes"]
        self._check_layer(sizes, caller)
        return _Layer(model, self.layer % len(sizes))

    def _names(self, model: Model) -> HiddenStateTransformer:
        """Return a transformer that knows nothing but feature names."""
        holder = type(self)(self.estimator)
        if model.inputs.feature_names is not None:
            holder.feature_names_in_ = model.inputs.feature_names
        return holder


@dataclass(frozen=True)
class _Layer:
    """A layer of a fitted network, and all that stands before it: a network without a head."""

    model: Model
    number: int

    @property
    def network(self) -> _core.Network:
        architecture = self.model.architecture
        end = self.number + 1
        return _core.Network(
            **{
                **architecture,
                "hidden_layer_sizes": architecture["hidden_layer_sizes"][:end],
                "bidirectional": architecture["bidirectional"][:end],
                "head": False,
                "head_layer": 0,
                "head_inputs": False,
            }
        )

    def states(self, sequences: Sequences, per_step: bool, n_threads: int) -> Array:
        """Rows of states, one for each sequence or step; parameters stand layer after layer."""
        network = self.network
        parameters = self.model.parameters[: network.n_parameters]
        rows = [
            network.forward(parameters, values, offsets, per_step=per_step, n_threads=n_threads)[0]
            for values, offsets, _ in sequences.blocks()
        ]
        return rows[0] if len(rows) == 1 else np.concatenate(rows)

    def names(self) -> list[str]:
        """Name each state."""
        architecture, k = self.model.architecture, self.number
        is_joined = architecture["bidirectional"][k] and architecture["merge_mode"] == "concat"
        prefixes = ["h", "reverse_h"] if is_joined else ["h"]
        units = range(architecture["hidden_layer_sizes"][k])
        return [f"layer{k}_{prefix}{u}" for prefix in prefixes for u in units]
