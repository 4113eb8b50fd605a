"""A picture of one sequence, and of how much each of its values matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from elman._exceptions import problem
from elman._heat_map import draw_heat_map, label_ticks
from elman._plot import BLACK, axes_to_draw_on
from elman._saliency import fitted_network, saliency


class SaliencyDisplay:
    """How much each value of a sequence moves its prediction: channels from top to bottom, time.

    A line in each row is the channel itself, from its lowest value to its highest. The display is
    made by `from_estimator`; what it is given is kept in attributes of the same names.

    Parameters
    ----------
    saliency : array-like of shape (n_timesteps, n_channels) or (n_timesteps,)
        What `elman.inspect.saliency` says of the sequence.
    sequence : array-like of shape (n_timesteps, n_channels), default=None
        The sequence; None draws no lines.
    channel_names : sequence of str, default=None
        Names of the channels; None numbers them.
    step_names : sequence of str, default=None
        Names of the steps, such as the words of a text; None numbers them.
    label : str, default="Saliency"
        What the colours tell.
    estimator_name : str, default=None
        Name of the estimator, which becomes the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is drawn.
    figure_ : matplotlib Figure
        The figure.
    im_ : matplotlib AxesImage
        The colours.
    colorbar_ : matplotlib Colorbar
        What they tell.
    lines_ : list of matplotlib Line2D
        The channels.

    See Also
    --------
    elman.inspect.saliency : The numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from elman import RNNRegressor, SaliencyDisplay
    >>> X = np.random.default_rng(0).normal(size=(100, 5, 2))
    >>> model = RNNRegressor(tol=0.1, random_state=0).fit(X, X.sum(axis=(1, 2)))
    >>> display = SaliencyDisplay.from_estimator(model, X[0], channel_names=["wind", "rain"])
    >>> display.im_.get_array().shape
    (2, 5)
    """

    def __init__(
        self,
        *,
        saliency: ArrayLike,
        sequence: ArrayLike | None = None,
        channel_names: Sequence[str] | None = None,
        step_names: Sequence[str] | None = None,
        label: str = "Saliency",
        estimator_name: str | None = None,
    ) -> None:
        self.saliency = saliency
        self.sequence = sequence
        self.channel_names = channel_names
        self.step_names = step_names
        self.label = label
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        x: Any,
        *,
        output: Any = None,
        step: str | int = "last",
        method: str = "gradient",
        baseline: Any = 0.0,
        n_steps: int = 32,
        channel_names: Sequence[str] | None = None,
        step_names: Sequence[str] | None = None,
        ax: Any = None,
        name: str | None = None,
        im_kw: Mapping[str, Any] | None = None,
        line_kw: Mapping[str, Any] | None = None,
    ) -> SaliencyDisplay:
        """Draw the saliency of one sequence.

        Parameters
        ----------
        estimator : RNNRegressor or RNNClassifier
            A fitted estimator.
        x : array-like of shape (n_timesteps, n_channels) or (n_timesteps,)
            The sequence; of an estimator that was fitted to a table, one row of it.
        output, step, method, baseline, n_steps : object
            As of `elman.inspect.saliency`.
        channel_names, step_names : sequence of str, default=None
            Names of channels and steps; None numbers them.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        name : str, default=None
            The title; None is the name of the class.
        im_kw, line_kw : dict, default=None
            What the colours and the lines are to look like.

        Returns
        -------
        display : SaliencyDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib, of the extra "plot", is not installed.
        TypeError, ValueError, NotFittedError
            As of `elman.inspect.saliency`.
        """
        model = fitted_network(estimator, f"{cls.__name__}.from_estimator")
        X = x if sparse.issparse(x) else np.asarray(x)
        is_row = model.inputs.layout in ("table", "vector")
        several = X[None] if is_row else [X]
        (values,) = saliency(
            estimator,
            several,
            output=output,
            step=step,
            method=method,
            baseline=baseline,
            n_steps=n_steps,
        )
        n_channels = 1 if model.inputs.n_tokens else model.inputs.n_channels
        has_lines = not model.inputs.n_tokens
        display = cls(
            saliency=values.reshape(-1, n_channels),
            sequence=X.reshape(-1, n_channels) if has_lines else None,
            channel_names=channel_names,
            step_names=step_names,
            label="Gradient" if method == "gradient" else "Integrated gradient",
            estimator_name=type(estimator).__name__,
        )
        return display.plot(ax, name=name, im_kw=im_kw, line_kw=line_kw)

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        im_kw: Mapping[str, Any] | None = None,
        line_kw: Mapping[str, Any] | None = None,
    ) -> SaliencyDisplay:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        name : str, default=None
            The title; None is ``estimator_name``.
        im_kw, line_kw : dict, default=None
            What the colours and the lines are to look like.

        Returns
        -------
        self : SaliencyDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib, of the extra "plot", is not installed.
        ValueError
            If the names are not as many as what they name.
        """
        caller = f"{type(self).__name__}.plot"
        values = np.asarray(self.saliency, dtype=float)
        values = values.reshape(len(values), -1)
        for argument, names, n in (
            ("channel_names", self.channel_names, values.shape[1]),
            ("step_names", self.step_names, len(values)),
        ):
            if names is not None and len(names) != n:
                raise ValueError(problem(caller, argument, f"{len(names)} names", f"{n} of them"))
        self.ax_ = ax = axes_to_draw_on(ax, caller)
        self.figure_ = ax.figure
        self.im_, self.colorbar_ = draw_heat_map(
            ax, values.T, is_signed=True, label=self.label, im_kw=im_kw
        )
        look = {"color": BLACK, "lw": 1.0, **(line_kw or {})}
        self.lines_ = []
        if self.sequence is not None:
            for c, channel in enumerate(np.asarray(self.sequence, dtype=float).T):
                self.lines_ += ax.plot(c - 0.4 * _between_ones(channel), **look)
        label_ticks(ax.xaxis, self.step_names)
        label_ticks(ax.yaxis, self.channel_names)
        has_words = self.step_names is not None
        ax.set(xlabel="" if has_words else "Step")
        if values.shape[1] == 1 and self.channel_names is None:
            ax.set_yticks([])
        elif self.channel_names is None:
            ax.set_ylabel("Channel")
        ax.set_title(self.estimator_name or "" if name is None else name)
        return self


def _between_ones(values: Any) -> Any:
    """Bring a channel's lowest value to -1, and its highest to 1; a constant one to 0."""
    is_there = values[np.isfinite(values)]
    if not len(is_there) or is_there.min() == is_there.max():
        return np.where(np.isfinite(values), 0.0, np.nan)
    low, high = is_there.min(), is_there.max()
    return 2 * (values - low) / (high - low) - 1
