"""Windows of one long series, one for each of its times."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from elman._arrays import Array, as_array, check_finite, float_dtype
from elman._exceptions import not_fitted, problem
from elman._parameters import COUNT, Rule, check_parameters
from elman._pickles import CheckedPickleMixin


class SlidingWindow(
    TransformerMixin, CheckedPickleMixin, BaseEstimator, auto_wrap_output_keys=None
):  # type: ignore[call-arg]
    """Turn a long series into a sequence for each of its times: what came last until then.

    There are as many samples as before, so that a `~sklearn.pipeline.Pipeline` can forecast: the
    target of a time is what is to be known at it, such as the value of the next one.

    The first times have a shorter past, and get shorter sequences: an array of sequences that ends
    in NaN where they do, as `RNNRegressor` reads it. In `predict` too the past begins with the
    first row of X; hand in some rows more before those that count.

    Parameters
    ----------
    window : int, default=24
        Rows of the longest sequence, the row of its own time among them.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns.

    Examples
    --------
    >>> import numpy as np
    >>> from elman import SlidingWindow
    >>> SlidingWindow(window=2).fit_transform([1.0, 2.0, 3.0])[:, :, 0]
    array([[ 1., nan],
           [ 1.,  2.],
           [ 2.,  3.]])
    """

    _rules: ClassVar[dict[str, Rule]] = {"window": COUNT}

    def __init__(self, window: int = 24) -> None:
        self.window = window

    def fit(self, X: Any, y: Any = None) -> SlidingWindow:
        """Take the number of columns.

        Parameters
        ----------
        X : array-like of shape (n_times,) or (n_times, n_channels)
            The series, in the order of time.
        y : object, default=None
            Not looked at.

        Returns
        -------
        self : SlidingWindow
            The fitted transformer.

        Raises
        ------
        ValueError
            If `window` or X is not as it should be.
        """
        caller = f"{type(self).__name__}.fit"
        check_parameters(self.get_params(deep=False), caller, self._rules)
        self.n_features_in_ = _series(X, caller).shape[1]
        return self

    def transform(self, X: Any) -> Array:
        """Cut the windows.

        Parameters
        ----------
        X : array-like of shape (n_times,) or (n_times, n_channels)
            The series, in the order of time.

        Returns
        -------
        windows : ndarray of shape (n_times, window, n_channels)
            Sequence t holds rows t - window + 1 to t of X, as far as there are any.

        Raises
        ------
        ValueError
            If X is not as it should be, or has another number of columns than in `fit`.
        """
        caller = f"{type(self).__name__}.transform"
        if "n_features_in_" not in vars(self):
            raise not_fitted(caller, "number of columns")
        series = _series(X, caller)
        if series.shape[1] != self.n_features_in_:
            name = type(self).__name__
            raise ValueError(
                f"{caller}: X has {series.shape[1]} features, but {name} is expecting "
                f"{self.n_features_in_} features as input: got {series.shape[1]}, expected "
                f"{self.n_features_in_}"
            )
        times = np.arange(len(series))[:, None]
        rows = np.maximum(times - self.window + 1, 0) + np.arange(self.window)
        windows = series[np.minimum(rows, len(series) - 1)]
        windows[rows > times] = np.nan
        return np.asarray(windows)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _series(X: Any, caller: str) -> Array:
    """Return a series as floats of shape (n_times, n_channels)."""
    array = as_array(X, caller, "X")
    if array.ndim not in (1, 2) or 0 in array.shape:
        expected = "(n_times,) or (n_times, n_channels), with at least one of each"
        raise ValueError(problem(caller, "X", f"shape {array.shape}", expected))
    check_finite(array, caller, "X", ("time", "channel")[: array.ndim])
    return array.reshape(len(array), -1).astype(float_dtype(array))
