"""Scaling of sequences: by statistics of each channel, or of each sequence by itself."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin

from elman._arrays import Array
from elman._exceptions import not_fitted, problem
from elman._parameters import COUNT, Rule, check_parameters, one_of
from elman._pickles import CheckedPickleMixin
from elman._sequences import InputForm, Sequences, read_sequences

Statistics = tuple[NDArray[np.float64], NDArray[np.float64]]


class SequenceScaler(OneToOneFeatureMixin, TransformerMixin, CheckedPickleMixin, BaseEstimator):
    """Scale sequences, of one length or of several.

    With ``by="channel"`` every value of a channel is scaled alike, by statistics over all steps of
    all sequences in `fit`. With ``by="sequence"`` each sequence is scaled by itself, which lets a
    model look at the shape of sequences of very different sizes.

    NaN stays NaN and does not count. Channels that are constant are moved only.

    Parameters
    ----------
    method : {"standard", "robust", "minmax", "mean_abs"}, default="standard"
        What is taken off and what is divided by: mean and standard deviation, median and distance
        between the quartiles, least value and range, or nothing and the mean of absolute values.
    by : {"channel", "sequence"}, default="channel"
        Whether statistics are those of a channel in all sequences, or of a sequence's own channels.
    n_channels : int, default=1
        Channels of a time step where X is a table, a lag matrix.

    Attributes
    ----------
    center_, scale_ : ndarray of shape (n_channels,)
        The statistics, with ``by="channel"``.
    n_features_in_ : int
        Number of columns of a table, otherwise of channels.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, when X was a data frame.

    See Also
    --------
    sklearn.preprocessing.StandardScaler : The same for tables, column by column.

    Examples
    --------
    >>> import numpy as np
    >>> from elman import SequenceScaler
    >>> X = [np.array([1.0, 2.0, 3.0]), np.array([100.0, 300.0])]
    >>> scaler = SequenceScaler(method="minmax", by="sequence").fit(X)
    >>> scaler.transform(X)
    [array([0. , 0.5, 1. ]), array([0., 1.])]
    >>> scaler.inverse_transform([np.array([1.5]), np.array([0.5])], like=X)
    [array([4.]), array([200.])]
    """

    _rules: ClassVar[dict[str, Rule]] = {
        "method": one_of("standard", "robust", "minmax", "mean_abs"),
        "by": one_of("channel", "sequence"),
        "n_channels": COUNT,
    }

    def __init__(
        self, *, method: str = "standard", by: str = "channel", n_channels: int = 1
    ) -> None:
        self.method = method
        self.by = by
        self.n_channels = n_channels

    def fit(self, X: Any, y: Any = None) -> SequenceScaler:
        """Take the statistics of the channels.

        Parameters
        ----------
        X : array-like, data frame or list of arrays
            Sequences, in one of the forms that `RNNRegressor` takes; NaN may stand anywhere.
        y : object, default=None
            Not looked at.

        Returns
        -------
        self : SequenceScaler
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter or X is not as it should be. The transformer then stays as it was.
        """
        caller = f"{type(self).__name__}.fit"
        check_parameters(self.get_params(deep=False), caller, self._rules)
        sequences, form = self._read(X, caller, None)
        attributes: dict[str, Any] = {"_form": form, "n_features_in_": form.n_features}
        if form.feature_names is not None:
            attributes["feature_names_in_"] = form.feature_names
        if self.by == "channel":
            whole = np.array([0, len(sequences.values)])
            center, scale = segment_statistics(sequences.values, whole, self.method)
            attributes |= {"center_": center[0], "scale_": scale[0]}
        for name in ("center_", "scale_", "feature_names_in_"):
            self.__dict__.pop(name, None)
        self.__dict__.update(attributes)
        return self

    def transform(self, X: Any) -> Any:
        """Scale sequences.

        Parameters
        ----------
        X : array-like, data frame or list of arrays
            Sequences in the form of `fit`.

        Returns
        -------
        X_scaled : ndarray or list of ndarray
            The same form.
        """
        caller = f"{type(self).__name__}.transform"
        sequences, form = self._read(X, caller, self._fitted_form(caller))
        center, scale = self._steps_of(self._statistics(sequences), sequences)
        return _in_form((sequences.values - center) / scale, sequences, form, X)

    def inverse_transform(self, X: Any, like: Any = None) -> Any:
        """Undo `transform`, for what has been transformed or for forecasts in its scale.

        Parameters
        ----------
        X : array-like, data frame or list of arrays
            Scaled sequences, of any lengths.
        like : array-like, data frame or list of arrays, default=None
            With ``by="sequence"``, as many sequences before they were scaled: their statistics are
            put back.

        Returns
        -------
        X_original : ndarray or list of ndarray
            The form of X.

        Raises
        ------
        ValueError
            If X is not as it should be, or ``like`` is missing where it is needed.
        """
        caller = f"{type(self).__name__}.inverse_transform"
        form = self._fitted_form(caller)
        sequences, own_form = self._read(X, caller, None if form.layout == "table" else form)
        if self.by == "channel":
            statistics = self._statistics(sequences)
        else:
            if like is None:
                expected = "the sequences before they were scaled, with by='sequence'"
                raise ValueError(problem(caller, "like", "None", expected))
            originals, _ = self._read(like, caller, form, "like")
            if len(originals) != len(sequences):
                got = f"{len(originals)} sequences"
                raise ValueError(problem(caller, "like", got, f"{len(sequences)}, as in X"))
            statistics = self._statistics(originals)
        center, scale = self._steps_of(statistics, sequences)
        return _in_form(sequences.values * scale + center, sequences, own_form, X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return "_form" in vars(self)

    def _fitted_form(self, caller: str) -> InputForm:
        if not self.__sklearn_is_fitted__():
            raise not_fitted(caller, "statistics")
        form: InputForm = self._form
        return form

    def _read(
        self, X: Any, caller: str, form: InputForm | None, argument: str = "X"
    ) -> tuple[Sequences, InputForm]:
        holder = object.__new__(type(self))
        if form is not None and form.feature_names is not None:
            holder.feature_names_in_ = form.feature_names
        return read_sequences(
            X,
            caller,
            holder,
            form=form,
            n_channels=self.n_channels,
            argument=argument,
            may_miss=True,
        )

    def _statistics(self, sequences: Sequences) -> Statistics:
        if self.by == "channel":
            n = len(sequences)
            return np.tile(self.center_, (n, 1)), np.tile(self.scale_, (n, 1))
        return segment_statistics(sequences.values, sequences.offsets, self.method)

    @staticmethod
    def _steps_of(statistics: Statistics, sequences: Sequences) -> tuple[Array, Array]:
        """Statistics of each step's sequence, in the dtype of the values."""
        center, scale = (
            np.repeat(of_sequence.astype(sequences.dtype), sequences.lengths, axis=0)
            for of_sequence in statistics
        )
        return center, scale


def _in_form(values: Array, sequences: Sequences, form: InputForm, X: Any) -> Any:
    """Give steps the form that X had."""
    if sequences.is_list:
        is_flat = np.asarray(X[0]).ndim == 1
        parts = np.split(values, sequences.offsets[1:-1])
        return [part[:, 0] for part in parts] if is_flat else parts
    shape = (len(sequences), sequences.n_timesteps, values.shape[1])
    if sequences.is_regular:
        whole = values.reshape(shape)
    else:
        whole = np.full(shape, np.nan, values.dtype)
        whole[np.arange(shape[1]) < sequences.lengths[:, None]] = values
    return whole.reshape(shape[0], -1) if form.layout == "table" else whole


def segment_statistics(
    values: Array, offsets: NDArray[np.int64], method: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Center and scale of each channel in each run of rows, of what is not NaN.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_channels)
        The values.
    offsets : ndarray of int64
        Where each run begins, and the end of the last; none is empty.
    method : {"standard", "robust", "minmax", "mean_abs"}
        What center and scale are.

    Returns
    -------
    center, scale : ndarray of shape (n_runs, n_channels)
        0 and 1 where there is no value; a scale of 1 where all values are the same.
    """
    values = values.astype(np.float64)
    is_there = ~np.isnan(values)
    starts, lengths = offsets[:-1], np.diff(offsets)
    count = np.maximum(np.add.reduceat(is_there, starts, axis=0, dtype=np.float64), 1)

    def mean(of_values: Array) -> Array:
        total = np.add.reduceat(np.where(is_there, of_values, 0.0), starts, axis=0)
        return np.asarray(total / count)

    if method == "standard":
        center = mean(values)
        scale = np.sqrt(mean((values - np.repeat(center, lengths, axis=0)) ** 2))
    elif method == "mean_abs":
        scale = mean(np.abs(values))
        center = np.zeros_like(scale)
    elif method == "minmax":
        center = np.minimum.reduceat(np.where(is_there, values, np.inf), starts, axis=0)
        scale = np.maximum.reduceat(np.where(is_there, values, -np.inf), starts, axis=0) - center
    else:
        low, center, high = _quantiles(values, offsets, count, (0.25, 0.5, 0.75))
        scale = high - low
    is_empty = np.add.reduceat(is_there, starts, axis=0, dtype=np.int64) == 0
    largest = np.repeat(np.finfo(np.float64).eps * 10, values.shape[1])
    is_constant = ~(scale > largest * np.maximum(np.abs(center), np.finfo(np.float64).tiny))
    return np.where(is_empty, 0.0, center), np.where(is_empty | is_constant, 1.0, scale)


def _quantiles(
    values: Array, offsets: NDArray[np.int64], count: Array, levels: tuple[float, ...]
) -> list[Array]:
    """Quantiles of each channel in each run, linear between values; NaN stands last."""
    runs = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    ordered = np.empty_like(values)
    for channel in range(values.shape[1]):
        order = np.lexsort((values[:, channel], runs))
        ordered[:, channel] = values[order, channel]
    columns, first = np.arange(values.shape[1]), offsets[:-1, None]
    quantiles = []
    for level in levels:
        place = level * (count - 1)
        below = np.floor(place).astype(np.int64)
        above = np.minimum(below + 1, (count - 1).astype(np.int64))
        low, high = ordered[first + below, columns], ordered[first + above, columns]
        quantiles.append(low + (place - below) * (high - low))
    return quantiles
