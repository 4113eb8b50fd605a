"""A picture of how much a score needs each channel and lag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from elman._exceptions import problem
from elman._heat_map import MOST_VALUES, draw_heat_map, label_ticks, write_values
from elman._permutation import permutation_importance
from elman._plot import axes_to_draw_on


class PermutationImportanceDisplay:
    """The importances of channels, from top to bottom, and lags, the last step on the right.

    It is made by `from_estimator`; what it is given is kept in attributes of the same names.

    Parameters
    ----------
    importances : array-like of shape (n_channels, n_lags)
        What the score loses, on average.
    lags : sequence of sequence of int
        The lags of each column.
    channel_names : sequence of str, default=None
        Names of the channels; None numbers them.
    estimator_name : str, default=None
        Name of the estimator, which becomes the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is drawn.
    figure_ : matplotlib Figure
        The figure.
    im_ : matplotlib AxesImage
        The colours; its columns are the lags from the last to the first.
    colorbar_ : matplotlib Colorbar
        What they tell.
    text_ : ndarray of matplotlib Text, of shape (n_channels, n_lags), or None
        The numbers.

    See Also
    --------
    elman.inspect.permutation_importance : The numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from elman import PermutationImportanceDisplay, RNNRegressor
    >>> X = np.random.default_rng(0).normal(size=(100, 5, 2))
    >>> y = X[:, -1, 0]
    >>> model = RNNRegressor(tol=0.1, random_state=0).fit(X, y)
    >>> display = PermutationImportanceDisplay.from_estimator(model, X, y, random_state=0)
    >>> display.im_.get_array().shape
    (2, 5)
    """

    def __init__(
        self,
        *,
        importances: ArrayLike,
        lags: Sequence[Sequence[int]],
        channel_names: Sequence[str] | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.importances = importances
        self.lags = lags
        self.channel_names = channel_names
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        scoring: Any = None,
        n_repeats: int = 5,
        lags: Any = None,
        random_state: int | np.random.RandomState | None = None,
        channel_names: Sequence[str] | None = None,
        include_values: bool | None = None,
        ax: Any = None,
        name: str | None = None,
        im_kw: Mapping[str, Any] | None = None,
    ) -> PermutationImportanceDisplay:
        """Compute the importances, and draw them.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator, or a pipeline.
        X, y, scoring, n_repeats, lags, random_state : object
            As of `elman.inspect.permutation_importance`.
        channel_names : sequence of str, default=None
            Names of the channels; None numbers them.
        include_values : bool, default=None
            Whether to write the numbers too; None does if there are no more than 80.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        name : str, default=None
            The title; None is the name of the class.
        im_kw : dict, default=None
            What the colours are to look like.

        Returns
        -------
        display : PermutationImportanceDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib, of the extra "plot", is not installed.
        ValueError
            As of `elman.inspect.permutation_importance`.
        """
        result = permutation_importance(
            estimator,
            X,
            y,
            scoring=scoring,
            n_repeats=n_repeats,
            lags=lags,
            random_state=random_state,
        )
        display = cls(
            importances=result.importances_mean,
            lags=result.lags,
            channel_names=channel_names,
            estimator_name=type(estimator).__name__,
        )
        return display.plot(ax, include_values=include_values, name=name, im_kw=im_kw)

    def plot(
        self,
        ax: Any = None,
        *,
        include_values: bool | None = None,
        name: str | None = None,
        im_kw: Mapping[str, Any] | None = None,
    ) -> PermutationImportanceDisplay:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        include_values : bool, default=None
            Whether to write the numbers too; None does if there are no more than 80.
        name : str, default=None
            The title; None is ``estimator_name``.
        im_kw : dict, default=None
            What the colours are to look like.

        Returns
        -------
        self : PermutationImportanceDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib, of the extra "plot", is not installed.
        ValueError
            If the names are not as many as the channels.
        """
        caller = f"{type(self).__name__}.plot"
        values = np.asarray(self.importances, dtype=float)
        names = self.channel_names
        if names is not None and len(names) != len(values):
            got, expected = f"{len(names)} names", f"{len(values)} of them"
            raise ValueError(problem(caller, "channel_names", got, expected))
        self.ax_ = ax = axes_to_draw_on(ax, caller)
        self.figure_ = ax.figure
        self.im_, self.colorbar_ = draw_heat_map(
            ax, values[:, ::-1], is_signed=True, label="Decrease of the score", im_kw=im_kw
        )
        is_small = values.size <= MOST_VALUES
        self.text_ = None
        if is_small if include_values is None else include_values:
            self.text_ = write_values(ax, self.im_)
        columns = [_lags_text(group) for group in self.lags][::-1]
        every = -(-len(columns) // 12)  # no more labels than there is room for
        shown = range((len(columns) - 1) % every, len(columns), every)
        ax.set_xticks(shown, [columns[i] for i in shown])
        label_ticks(ax.yaxis, names)
        ax.set(xlabel="Lag (0 is the last step)", ylabel="" if names is not None else "Channel")
        ax.set_title(self.estimator_name or "" if name is None else name)
        return self


def _lags_text(group: Sequence[int]) -> str:
    """``"3"``, or ``"6–11"`` for a run of lags."""
    lags = sorted(group)
    if len(lags) == 1:
        return str(lags[0])
    is_run = lags == list(range(lags[0], lags[-1] + 1))
    return f"{lags[0]}–{lags[-1]}" if is_run else ", ".join(map(str, lags))
