"""A fitted estimator as a function: validated once, called in microseconds."""

from __future__ import annotations

from typing import Any

import numpy as np

from elman import _core
from elman._arrays import Array
from elman._base import BaseRNN
from elman._exceptions import problem
from elman._model import Model
from elman._threads import effective_n_threads
from elman._tokens import LARGEST_N_TOKENS

CALLER = "elman.compile"


class CompiledModel:
    """What `compile` returns: a function of arrays, with the weights of the fit.

    Attributes
    ----------
    dtype : numpy.dtype
        Of the arrays that are taken as they are; others are converted.
    n_channels : int
        Channels that X must have.
    """

    def __init__(self, model: Model, method: str, n_threads: int) -> None:
        network, per_step = model.network(), model.targets.per_step
        self.dtype = np.dtype(np.int32 if network.n_tokens else network.dtype)
        self._has_tokens = network.n_tokens > 0
        self.n_channels = network.n_channels
        self._made_of = (model, method, n_threads)
        self._per_step = per_step
        self._finish = model.finishes()[method]
        self._keeps_axis = model.targets.has_output_axis or method == "predict_proba"
        self._outputs = _core.Predictor(
            network, model.parameters, per_step=per_step, n_threads=n_threads
        )

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
            For several sequences what the estimator's method returns, equal to the bit; for one
            sequence its entry of that.

        Raises
        ------
        ValueError
            If X has another shape, NaN or infinity, or a token out of range.
        """
        if self._has_tokens:
            X = _tokens(X)
        X = np.ascontiguousarray(X, dtype=self.dtype)
        if X.ndim == 1 and self.n_channels == 1 and not self._has_tokens:
            X = X[:, None]
        rows = self._finish(self._outputs(X))
        if not self._keeps_axis:
            rows = rows[:, 0]
        if X.ndim == (1 if self._has_tokens else 2):
            return rows if self._per_step else rows[0]
        return rows.reshape(*X.shape[:2], *rows.shape[1:]) if self._per_step else rows

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._made_of

    def __repr__(self) -> str:
        return f"CompiledModel(n_channels={self.n_channels}, dtype={self.dtype})"


def compile(model: BaseRNN, *, method: str = "predict", n_jobs: int | None = 1) -> CompiledModel:
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
        If the estimator has no such method, or takes vectors or sparse matrices as input.

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
    return CompiledModel(fitted, method, effective_n_threads(n_jobs, CALLER))


def _tokens(X: Any) -> Array:
    array = np.asarray(X)
    if array.dtype.kind not in "iu":
        expected = "integers, the numbers of tokens"
        raise ValueError(problem(CALLER, "X", f"dtype {array.dtype}", expected))
    return np.clip(array, -1, LARGEST_N_TOKENS) if array.dtype.itemsize > 4 else array
