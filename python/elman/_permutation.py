"""How much a score drops when a channel, or a part of its past, is shuffled among sequences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import check_scoring
from sklearn.utils import Bunch, check_random_state

from elman._arrays import Array, as_array
from elman._exceptions import abbreviated, problem
from elman._parameters import COUNT, check_parameters
from elman._sequences import list_items, offsets_of, valid_lengths

CALLER = "elman.inspect.permutation_importance"


def permutation_importance(
    model: Any,
    X: Any,
    y: Any,
    *,
    scoring: Any = None,
    n_repeats: int = 5,
    lags: Any = None,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Tell how much the score needs each channel, and each lag of it.

    An importance is what the score loses when the values of a channel at a lag, or at several of
    them, or at all, change places among the sequences [1]_. It is about the model and the data
    together: take data that the model was not fitted to. Neighbouring values of one channel mostly
    tell the same, so that each of their lags alone can look needless: look at groups of lags, and
    at the channel over all lags, too.

    Lags count from the end: lag 0 is a sequence's last step. Values change places among those
    sequences that are long enough to have the lag.

    Parameters
    ----------
    model : estimator
        A fitted estimator with a ``score``, or a pipeline, that takes such an X.
    X : array-like of shape (n_samples, n_timesteps, n_channels), or list of arrays
        The sequences. In an array a tail of NaN ends a sequence.
    y : array-like or list of arrays
        The targets, as `score` takes them.
    scoring : str or callable, default=None
        A scorer as scikit-learn knows them; None is the model's ``score``.
    n_repeats : int, default=5
        Number of permutations, the same for every channel and lag.
    lags : int or sequence of int or of sequences of int, default=None
        Which lags: the first so many, or these; those of an inner sequence, such as a range, are
        shuffled together. None is every lag of the longest sequence, one by one.
    random_state : int, RandomState instance or None, default=None
        Draws the permutations.

    Returns
    -------
    result : Bunch
        A dictionary with attributes:

        importances_mean, importances_std : ndarray of shape (n_channels, n_lags)
            Mean and standard deviation over the repeats.
        importances : ndarray of shape (n_channels, n_lags, n_repeats)
            What the score lost.
        channel_importances_mean, channel_importances_std : ndarray of shape (n_channels,)
            The same of each channel over all lags.
        channel_importances : ndarray of shape (n_channels, n_repeats)
            What the score lost.
        lags : list of tuple of int
            The lags of each column.

    Raises
    ------
    ValueError
        If X is a table, or an argument is not as it should be.

    See Also
    --------
    sklearn.inspection.permutation_importance : The same for the columns of tables.
    PermutationImportanceDisplay : The same as a picture.
    saliency : How the values of one sequence move its prediction.

    References
    ----------
    .. [1] Breiman, L. "Random forests." Machine Learning 45(1), 2001.

    Examples
    --------
    >>> import numpy as np
    >>> from elman import RNNRegressor
    >>> from elman.inspect import permutation_importance
    >>> X = np.random.RandomState(0).randn(200, 6, 2)
    >>> y = X[:, -1, 0] - X[:, -2, 1]
    >>> model = RNNRegressor(learning_rate_init=0.01, max_iter=500, random_state=0).fit(X, y)
    >>> result = permutation_importance(model, X, y, lags=3, random_state=0)
    >>> result.importances_mean.round(0) + 0.0
    array([[1., 0., 0.],
           [0., 1., 0.]])
    >>> result.channel_importances_mean.round(0)
    array([1., 1.])
    """
    check_parameters({"n_repeats": n_repeats}, CALLER, {"n_repeats": COUNT})
    steps = _read(X)
    groups = _groups(lags, int(steps.lengths.max()))
    scorer = check_scoring(model, scoring)
    rng = check_random_state(random_state)
    orders = [rng.permutation(len(steps.lengths)) for _ in range(n_repeats)]
    score = scorer(model, X, y)

    def importances(group: Iterable[int]) -> Array:
        sources = [steps.shuffled_rows(group, order) for order in orders]
        return np.array(
            [
                [score - scorer(model, steps.with_channel(c, rows), y) for rows in sources]
                for c in range(steps.values.shape[1])
            ]
        )

    of_lags = np.stack([importances(group) for group in groups], axis=1)
    of_channels = importances(range(int(steps.lengths.max())))
    return Bunch(
        importances_mean=of_lags.mean(axis=-1),
        importances_std=of_lags.std(axis=-1),
        importances=of_lags,
        channel_importances_mean=of_channels.mean(axis=-1),
        channel_importances_std=of_channels.std(axis=-1),
        channel_importances=of_channels,
        lags=groups,
    )


@dataclass(frozen=True)
class _Steps:
    """All steps of all sequences, and how they become an X again."""

    values: Array  # (n_total_steps, n_channels)
    lengths: NDArray[np.int64]
    X: Any  # an array, or a list of arrays

    def shuffled_rows(self, lags: Iterable[int], order: NDArray[np.int64]) -> NDArray[np.int64]:
        """From which row each step takes its value if these lags change places."""
        ends = offsets_of(self.lengths)[1:]
        rows = np.arange(len(self.values), dtype=np.int64)
        for lag in lags:
            has_lag = self.lengths > lag
            source = _first_return(order, has_lag)
            rows[ends[has_lag] - 1 - lag] = ends[source[has_lag]] - 1 - lag
        return rows

    def with_channel(self, channel: int, rows: NDArray[np.int64]) -> Any:
        """X with the values of a channel taken from other rows."""
        values = self.values.copy()
        values[:, channel] = values[rows, channel]
        if isinstance(self.X, list):
            parts = np.split(values, np.cumsum(self.lengths)[:-1])
            return [part.reshape(x.shape) for part, x in zip(parts, self.X, strict=True)]
        X = self.X.copy()
        X[np.arange(X.shape[1]) < self.lengths[:, None]] = values
        return X


def _first_return(order: NDArray[np.int64], is_in: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return what a permutation makes of a subset: along its cycles, past those not in it.

    A sequence that takes one value from another takes all from it, as far as that one is long
    enough.
    """
    source = order.copy()
    while not is_in[source[is_in]].all():
        source = np.where(is_in[source], source, order[source])
    return source


def _read(X: Any) -> _Steps:
    items = list_items(X, CALLER, "X", is_sequence_list=True)
    if items is None:
        array = as_array(X, CALLER, "X")
        if array.ndim != 3 or array.size == 0:
            expected = "(n_samples, n_timesteps, n_channels), or a list of arrays"
            raise ValueError(problem(CALLER, "X", f"shape {array.shape}", expected))
        lengths = np.full(len(array), array.shape[1], dtype=np.int64)
        if array.dtype.kind == "f":
            lengths = valid_lengths(array)
        return _Steps(array[np.arange(array.shape[1]) < lengths[:, None]], lengths, array)
    arrays = [as_array(item, CALLER, f"X[{i}]") for i, item in enumerate(items)]
    for i, array in enumerate(arrays):
        if array.ndim not in (1, 2) or array.shape[1:] != arrays[0].shape[1:]:
            expected = "(n_timesteps, n_channels) or (n_timesteps,), as the others"
            raise ValueError(problem(CALLER, f"X[{i}]", f"shape {array.shape}", expected))
    lengths = np.array([len(array) for array in arrays], dtype=np.int64)
    n_channels = arrays[0].shape[1] if arrays[0].ndim == 2 else 1
    values = np.concatenate([array.reshape(len(array), n_channels) for array in arrays])
    return _Steps(values, lengths, arrays)


def _groups(lags: Any, longest: int) -> list[tuple[int, ...]]:
    if lags is None:
        lags = longest
    if isinstance(lags, Integral) and not isinstance(lags, bool):
        lags = range(int(lags))
    expected = f"numbers of lags from 0 to {longest - 1}, one or more, or groups of them"
    if not isinstance(lags, (Sequence, np.ndarray)) or isinstance(lags, str) or len(lags) == 0:
        raise ValueError(problem(CALLER, "lags", abbreviated(lags), expected))
    groups = [tuple(np.atleast_1d(np.asarray(group)).tolist()) for group in lags]
    for group in groups:
        if not group or not all(type(lag) is int and 0 <= lag < longest for lag in group):
            raise ValueError(problem(CALLER, "lags", abbreviated(group), expected))
    return groups
