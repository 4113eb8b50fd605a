"""A picture of gaps and of what they were filled with."""

from __future__ import annotations

from typing import Any

import numpy as np

from elman._arrays import Array
from elman._exceptions import abbreviated, problem


class ImputationDisplay:
    """One channel of a series: what is observed, what was filled in, and how sure that is.

    It is made by `from_estimator`.

    Parameters
    ----------
    times : array-like of shape (n_times,)
        Numbers or dates.
    filled : ndarray of shape (n_times,)
        The series without gaps.
    std : ndarray of shape (n_times,)
        Standard deviation of each value that was filled in, and zero of each observed one.
    actual : ndarray of shape (n_times,), default=None
        What the values are in truth, where somebody knows.
    name : str, default=None
        Name of the channel.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the picture.
    figure_ : matplotlib Figure
        Figure with the axes.
    observed_, filled_ : matplotlib Line2D
        The observed values, and those filled in.
    bands_ : list of matplotlib collections
        Two and one standard deviations around what was filled in.
    actual_ : matplotlib Line2D or None
        The actual values.

    See Also
    --------
    RNNImputer : What fills gaps.

    Examples
    --------
    >>> import numpy as np
    >>> from elman import ImputationDisplay, RNNImputer
    >>> X = np.sin(np.arange(200) / 4)[:, None]
    >>> X[40:52] = np.nan
    >>> imputer = RNNImputer(layout="series", max_iter=5, random_state=0).fit(X)
    >>> display = ImputationDisplay.from_estimator(imputer, X)
    >>> display.ax_.get_ylabel()
    'channel 0'
    """

    def __init__(
        self,
        times: Any,
        filled: Array,
        std: Array,
        *,
        actual: Array | None = None,
        name: Any = None,
    ) -> None:
        self.times = times
        self.filled = filled
        self.std = std
        self.actual = actual
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        sample: int = 0,
        channel: Any = 0,
        actual: Any = None,
        ax: Any = None,
    ) -> ImputationDisplay:
        """Fill the gaps of a series, and draw one of its channels.

        Parameters
        ----------
        estimator : RNNImputer
            A fitted imputer.
        X : array-like, data frame or list of arrays
            Series with gaps, in one of the forms that `RNNImputer.transform` takes.
        sample : int, default=0
            Which of several series is drawn.
        channel : int or str, default=0
            Which of its channels: a number, or the name of a column of one long series.
        actual : array-like, data frame or list of arrays, default=None
            In the form of X, what is true.
        ax : matplotlib Axes, default=None
            Axes to draw on; by default new ones.

        Returns
        -------
        display : ImputationDisplay
            The picture.

        Raises
        ------
        ValueError
            If there is no such sample or channel.
        ImportError
            If matplotlib, of the extra "plot", is not installed.
        """
        caller = f"{cls.__name__}.from_estimator"
        one = _one_series(X, sample, estimator.layout, caller)
        filled, std = estimator.transform(one, return_std=True)
        n_channels = estimator.n_channels_in_
        number, name = _channel(channel, one, n_channels, caller)
        truth = None
        if actual is not None:
            truth = _steps(_one_series(actual, sample, estimator.layout, caller), n_channels)
        display = cls(
            _times(one, len(_steps(filled, n_channels))),
            _steps(filled, n_channels)[:, number],
            _steps(std, n_channels)[:, number],
            actual=None if truth is None else truth[:, number],
            name=name,
        )
        return display.plot(ax)

    def plot(self, ax: Any = None) -> ImputationDisplay:
        """Draw the picture.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; by default new ones.

        Returns
        -------
        display : ImputationDisplay
            The display itself, which now has `ax_` and `figure_`.

        Raises
        ------
        ImportError
            If matplotlib, of the extra "plot", is not installed.
        """
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            caller = f"{type(self).__name__}.plot"
            message = f"{caller}: pictures need matplotlib: pip install 'elman[plot]'"
            raise ImportError(message) from error
        if ax is None:
            _, ax = plt.subplots(figsize=(9, 3.5), layout="constrained")
        is_filled = self.std > 0
        # Lines and bands start at the observed values beside the gap.
        is_drawn = is_filled.copy()
        is_drawn[1:] |= is_filled[:-1]
        is_drawn[:-1] |= is_filled[1:]
        line = np.where(is_drawn, self.filled, np.nan)
        self.bands_ = [
            ax.fill_between(
                self.times,
                line - n * self.std,
                line + n * self.std,
                color="tab:orange",
                alpha=0.2,
                linewidth=0,
                label=f"± {n} standard deviation{'s' if n > 1 else ''}",
            )
            for n in (2, 1)
        ]
        self.actual_ = None
        if self.actual is not None:
            (self.actual_,) = ax.plot(
                self.times, self.actual, color="0.4", linewidth=1, linestyle=":", label="actual"
            )
        observed = np.where(is_filled, np.nan, self.filled)
        (self.observed_,) = ax.plot(
            self.times,
            observed,
            ".-",
            color="tab:blue",
            linewidth=1,
            markersize=4,
            label="observed",
        )
        (self.filled_,) = ax.plot(
            self.times, line, color="tab:orange", linewidth=1.5, label="filled in"
        )
        ax.set_xlabel("time")
        ax.set_ylabel("" if self.name is None else str(self.name))
        handles, labels = ax.get_legend_handles_labels()
        ax.legend(handles[::-1], labels[::-1], loc="best", fontsize="small")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _one_series(X: Any, sample: int, layout: str, caller: str) -> Any:
    """Return the series with this number, in the form of several."""
    if layout == "series" and not isinstance(X, list) and np.ndim(X) < 3:
        if sample != 0:
            raise ValueError(problem(caller, "sample", sample, "0: there is one series"))
        return X
    if not 0 <= sample < len(X):
        expected = f"a number from 0 to {len(X) - 1}"
        raise ValueError(problem(caller, "sample", sample, expected))
    if hasattr(X, "iloc"):
        return X.iloc[[sample]]
    return [X[sample]] if isinstance(X, list) else np.asarray(X)[[sample]]


def _steps(one: Any, n_channels: int) -> Array:
    """Return one series as an array of shape (n_times, n_channels)."""
    return np.asarray(one[0] if isinstance(one, list) else one).reshape(-1, n_channels)


def _channel(channel: Any, one: Any, n_channels: int, caller: str) -> tuple[int, str]:
    """Return number and name of a channel."""
    names = [str(name) for name in getattr(one, "columns", [])]
    if len(names) != n_channels:
        names = [f"channel {number}" for number in range(n_channels)]
    if isinstance(channel, str) and channel in names:
        return names.index(channel), channel
    is_number = isinstance(channel, (int, np.integer)) and not isinstance(channel, bool)
    if is_number and 0 <= channel < n_channels:
        return int(channel), names[channel]
    expected = f"a number from 0 to {n_channels - 1}, or a name among {abbreviated(names)}"
    raise ValueError(problem(caller, "channel", abbreviated(channel), expected))


def _times(one: Any, n_times: int) -> Array:
    """Return dates where the series has an index of them, and numbers otherwise."""
    index = getattr(one, "index", None)
    if isinstance(one, list) or index is None or len(index) != n_times:
        return np.arange(n_times)
    if type(index).__name__ == "PeriodIndex":
        index = index.to_timestamp()
    return np.asarray(index)
