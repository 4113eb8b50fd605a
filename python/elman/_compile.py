"""A fitted estimator as a function: validated once, called in microseconds."""

from __future__ import annotations

from typing import Any

import numpy as np

from elman._arrays import Array, as_array
from elman._base import BaseRNN
from elman._exceptions import abbreviated, problem
from elman._model import Model
from elman._stream import Stream, open_stream
from elman._threads import effective_n_threads
from elman._tokens import LARGEST_N_TOKENS

CALLER = "elman.compile"
LARGEST_FLOAT16 = 65504.0


class CompiledModel:
    """What `compile` returns: a function of arrays, with the weights of the fit.

    Attributes
    ----------
    dtype : numpy.dtype
        Of the arrays that are taken as they are; others are converted.
    n_channels : int
        Channels that X must have.
    weights : {"float16", "int8"} or None
        What the layers' matrices are stored as; None is as they are.
    """

    def __init__(
        self, model: Model, method: str, n_threads: int, weights: str | None = None
    ) -> None:
        network, per_step = model.network(), model.targets.per_step
        self.dtype = np.dtype(np.int32 if network.n_tokens else network.dtype)
        self._has_tokens = network.n_tokens > 0
        self.n_channels = network.n_channels
        self.weights = weights
        self._made_of = (model, method, n_threads, weights)
        self._per_step = per_step
        self._finish = model.finishes()[method]
        self._keeps_axis = model.targets.has_output_axis or method == "predict_proba"
        self._outputs = model.predictor(per_step=per_step, n_threads=n_threads, weights=weights)

    def __call__(self, X: Any) -> Any:
        """Predict for one sequence, or for several of one length.

        Parameters
        ----------
        X : array-like of shape (n_timesteps, n_channels) or (n_samples, n_timesteps, n_channels)
            One sequence, also (n_timesteps,) if there is one channel; or several. Tokens have
            the shape (n_timesteps,) or (n_samples, n_timesteps).

        Returns
        -------
        y : ndarray, or a scalar
            For several sequences what the estimator's method returns, with weights as they are
            equal to the bit; for one sequence its entry of that. Where the model knows missing
            values, steps of NaN at the end of a sequence are steps like others, and do not end it.

        Raises
        ------
        ValueError
            If X has another shape, NaN or infinity, masked or complex values, or a token out of
            range.
        """
        X = self._converted(X)
        rows = self._finish(self._outputs(X))
        if not self._keeps_axis:
            rows = rows[:, 0]
        if X.ndim == (1 if self._has_tokens else 2):
            return rows if self._per_step else rows[0]
        return rows.reshape(*X.shape[:2], *rows.shape[1:]) if self._per_step else rows

    def _converted(self, X: Any) -> Array:
        X = _tokens(X) if self._has_tokens else as_array(X, CALLER, "X")
        array: Array = np.ascontiguousarray(X, dtype=self.dtype)
        if array.ndim == 1 and self.n_channels == 1 and not self._has_tokens:
            return array[:, None]
        return array

    def stream(self, n_streams: int = 1) -> Stream:
        """Open streams with these weights, as the estimator's ``stream`` does with its own.

        Parameters
        ----------
        n_streams : int, default=1
            How many sequences go on side by side.

        Returns
        -------
        stream : Stream
            Takes one time step at a time. All streams of this function share its weights.

        Raises
        ------
        ValueError
            If a layer is bidirectional.
        """
        model, method, n_threads, weights = self._made_of
        caller = "CompiledModel.stream"
        return open_stream(model, method, n_streams, n_threads, caller, weights, self._outputs)

    def report(self, X: Any = None) -> dict[str, Any]:
        """Tell what storing the weights in fewer bits brings and costs.

        Parameters
        ----------
        X : array-like of shape (n_timesteps, n_channels) or (n_samples, n_timesteps, n_channels)
            Sequences to measure on; by default 64 of 50 steps, standard normal, or of random
            tokens. Sequences of yours tell more.

        Returns
        -------
        report : dict
            ``weights``, as given to `compile`; ``megabytes`` and ``full_megabytes`` that the
            layers' matrices take now and as they are; ``largest_difference`` and
            ``mean_difference`` to the predictions with the weights as they are, of a classifier
            to its probabilities; ``largest_prediction``, beside which they may be seen; of a
            classifier with one label ``changed_labels``, the share of labels that are others.
        """
        model, _, n_threads, _ = self._made_of
        full = model.predictor(per_step=self._per_step, n_threads=n_threads)
        X = self._converted(self._random_sequences() if X is None else X)
        outputs, exact = self._outputs(X), full(X)
        finishes = model.finishes()
        finish = finishes.get("predict_proba", finishes["predict"])
        differences = np.abs(finish(outputs) - finish(exact))
        report = {
            "weights": self.weights,
            "megabytes": self._outputs.n_bytes / 1e6,
            "full_megabytes": full.n_bytes / 1e6,
            "largest_difference": float(differences.max()),
            "mean_difference": float(differences.mean()),
            "largest_prediction": float(np.abs(finish(exact)).max()),
        }
        if "predict_proba" in finishes:
            changed = finishes["predict"](outputs) != finishes["predict"](exact)
            report["changed_labels"] = float(np.mean(changed))
        return report

    def _random_sequences(self) -> Array:
        rng = np.random.default_rng(0)
        if self._has_tokens:
            return rng.integers(0, self._made_of[0].architecture["n_tokens"], (64, 50))
        return rng.normal(size=(64, 50, self.n_channels))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._made_of

    def __repr__(self) -> str:
        weights = "" if self.weights is None else f", weights={self.weights!r}"
        return f"CompiledModel(n_channels={self.n_channels}, dtype={self.dtype}{weights})"


def compile(
    model: BaseRNN,
    *,
    method: str = "predict",
    n_jobs: int | None = 1,
    weights: str | None = None,
) -> CompiledModel:
    """Turn a fitted estimator into a function that has validated once.

    The estimator's own methods check every X as scikit-learn does, which takes about 0.1 ms; the
    function takes arrays of one kind and checks no more than their shape, and that they are finite.

    Parameters
    ----------
    model : RNNRegressor or RNNClassifier
        Fitted. A later `fit` or `set_weights` does not change the function.
    method : {"predict", "predict_proba"}, default="predict"
        Which of the estimator's methods the function is.
    n_jobs : int or None, default=1
        Threads that a call may use, as in the estimator. One call of less than a millisecond is
        best off with one.
    weights : {"float16", "int8"} or None, default=None
        What the layers' matrices are stored as; None leaves them as they are. A single sequence
        through a large layer waits for its weights, which are read at every step, and fewer bits
        come sooner: where they do not fit the second-level cache, some 200 units and more, a step
        takes a half to a third of the time. Sums are those of float32 with weights that have been
        rounded, to 11 bits, or to 8 with a scale for each column of a gate. ``report()`` tells
        the error that it brings. Biases, the head and an embedding stay as they are.

    Returns
    -------
    function : CompiledModel
        Callable on (n_timesteps, n_channels) and (n_samples, n_timesteps, n_channels). Any number
        of threads may call it at a time.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    TypeError
        If the model is another one.
    ValueError
        If the estimator has no such method, or takes vectors or sparse matrices as input; if
        ``weights`` is given and it was not fitted on float32, or has a weight beyond float16.

    Examples
    --------
    >>> import numpy as np
    >>> import elman
    >>> X = np.random.RandomState(0).randn(100, 8, 2)
    >>> y = X[:, :, 0].sum(axis=1)
    >>> model = elman.RNNRegressor(learning_rate_init=0.01, max_iter=500, random_state=0)
    >>> fast = elman.compile(model.fit(X, y))
    >>> bool((fast(X) == model.predict(X)).all())
    True
    >>> bool(fast(X[0]) == model.predict(X)[0])
    True
    """
    if not isinstance(model, BaseRNN):
        expected = "a fitted RNNRegressor or RNNClassifier"
        raise TypeError(problem(CALLER, "model", repr(type(model)), expected))
    fitted = model._fitted_model(method)
    if fitted.inputs.layout in ("vector", "features"):
        is_vector = fitted.inputs.layout == "vector"
        got = "input='vector'" if is_vector else "sparse matrices of features as input"
        raise ValueError(problem(CALLER, "model", got, "input='sequence', or tokens"))
    if method not in fitted.finishes():
        expected = f"one of {sorted(fitted.finishes())}"
        raise ValueError(problem(CALLER, "method", repr(method), expected))
    _check_weights(weights, fitted)
    return CompiledModel(fitted, method, effective_n_threads(n_jobs, CALLER), weights)


def _check_weights(weights: Any, model: Model) -> None:
    if weights is None:
        return
    if weights not in ("float16", "int8"):
        got = abbreviated(weights)
        raise ValueError(problem(CALLER, "weights", got, "None, 'float16' or 'int8'"))
    if model.architecture["dtype"] != "float32":
        expected = "None for a model that was fitted on float64: fit it on float32"
        raise ValueError(problem(CALLER, "weights", repr(weights), expected))
    matrices = [array for name, array in model.weights().items() if name.startswith("layers.")]
    largest = max(float(np.abs(array).max()) for array in matrices)
    if weights == "float16" and largest > LARGEST_FLOAT16:
        expected = f"None or 'int8' for a model with the weight {largest:g}"
        raise ValueError(problem(CALLER, "weights", repr(weights), expected))


def _tokens(X: Any) -> Array:
    array = np.asarray(X)
    if array.dtype.kind not in "iu":
        expected = "integers, the numbers of tokens"
        raise ValueError(problem(CALLER, "X", f"dtype {array.dtype}", expected))
    return np.clip(array, -1, LARGEST_N_TOKENS) if array.dtype.itemsize > 4 else array
