"""A picture of a training: the loss, and the scores on held-out data where there are any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from elman._exceptions import problem
from elman._plot import BLUE, ORANGE, axes_to_draw_on, legend_below


class LossCurveDisplay:
    """The loss in the course of a training.

    It is made by `from_estimator`; what it is given is kept in attributes of the same names.

    Parameters
    ----------
    loss_curves : sequence of array-like of shape (n_points_i,)
        The losses, a curve for each network.
    validation_scores : array-like of shape (n_points,), default=None
        Scores on held-out data, the higher the better.
    step : int, default=1
        Epochs, or what else the unit is, from one point to the next.
    unit : str, default="Epoch"
        What the horizontal axis counts.
    estimator_name : str, default=None
        Name of the estimator, which becomes the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the losses are drawn.
    validation_ax_ : matplotlib Axes or None
        Where the scores are drawn, with an axis of their own on the right.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        The losses.
    line_validation_ : matplotlib Line2D or None
        The scores.

    See Also
    --------
    ForecastDisplay : A forecast and what came before it.

    Examples
    --------
    >>> import numpy as np
    >>> from elman import LossCurveDisplay, RNNRegressor
    >>> X = np.random.default_rng(0).normal(size=(100, 5, 1))
    >>> model = RNNRegressor(tol=0.1, random_state=0).fit(X, X.sum(axis=(1, 2)))
    >>> display = LossCurveDisplay.from_estimator(model)
    >>> len(display.lines_[0].get_ydata()) == model.n_iter_
    True
    """

    def __init__(
        self,
        *,
        loss_curves: Sequence[ArrayLike],
        validation_scores: ArrayLike | None = None,
        step: int = 1,
        unit: str = "Epoch",
        estimator_name: str | None = None,
    ) -> None:
        self.loss_curves = loss_curves
        self.validation_scores = validation_scores
        self.step = step
        self.unit = unit
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        ax: Any = None,
        name: str | None = None,
        line_kw: Mapping[str, Any] | None = None,
    ) -> LossCurveDisplay:
        """Draw the training of a fitted estimator.

        Parameters
        ----------
        estimator : estimator or Pipeline
            A fitted estimator with a ``loss_curve_``, or a pipeline that ends in one.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        name : str, default=None
            The title; None is the name of the class.
        line_kw : dict, default=None
            What the lines of the losses are to look like.

        Returns
        -------
        display : LossCurveDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib, of the extra "plot", is not installed.
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If it has no ``loss_curve_``, or an empty one: imported, and not trained yet.
        """
        check_is_fitted(estimator)
        estimator = getattr(estimator, "_final_estimator", estimator)
        curve = getattr(estimator, "loss_curve_", None)
        if curve is None or len(curve) == 0:
            expected = "a fitted estimator with a loss_curve_ of an epoch or more"
            caller = f"{cls.__name__}.from_estimator"
            raise ValueError(problem(caller, "estimator", type(estimator).__name__, expected))
        step, unit = 1, "Iteration" if getattr(estimator, "solver", "") == "lbfgs" else "Epoch"
        is_ensemble = np.ndim(curve[0]) > 0
        if is_ensemble:
            from elman._forecast.network import UPDATES_A_REPORT as step

            unit = "Update"
        display = cls(
            loss_curves=list(curve) if is_ensemble else [curve],
            validation_scores=getattr(estimator, "validation_scores_", None),
            step=step,
            unit=unit,
            estimator_name=type(estimator).__name__,
        )
        return display.plot(ax, name=name, line_kw=line_kw)

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        line_kw: Mapping[str, Any] | None = None,
    ) -> LossCurveDisplay:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        name : str, default=None
            The title; None is ``estimator_name``.
        line_kw : dict, default=None
            What the lines of the losses are to look like.

        Returns
        -------
        self : LossCurveDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib, of the extra "plot", is not installed.
        """
        self.ax_ = ax = axes_to_draw_on(ax, f"{type(self).__name__}.plot")
        self.figure_ = ax.figure
        self.validation_ax_ = self.line_validation_ = None
        n_curves = len(self.loss_curves)
        look = {"color": BLUE, "alpha": 1.0 if n_curves == 1 else 0.6, **(line_kw or {})}
        self.lines_ = [self._line(ax, curve, **look) for curve in self.loss_curves]
        self.lines_[0].set_label("Training loss" + f" of {n_curves} networks" * (n_curves > 1))
        ax.set(xlabel=self.unit, ylabel="Training loss")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_title(self.estimator_name or "" if name is None else name)
        handles = self.lines_[:1]
        if self.validation_scores is not None:
            self.validation_ax_ = ax.twinx()
            self.validation_ax_.set_ylabel("Validation score")
            label = "Validation score (right axis)"
            self.line_validation_ = self._line(
                self.validation_ax_, self.validation_scores, color=ORANGE, ls="--", label=label
            )
            handles = [*handles, self.line_validation_]
        if len(handles) > 1 or n_curves > 1:
            legend_below(ax, handles=handles, ncols=2)
        return self

    def _line(self, ax: Any, values: ArrayLike, **look: Any) -> Any:
        times = self.step * np.arange(1, np.size(values) + 1)
        marker = "o" if np.size(values) == 1 else None  # a line of one point is not seen
        return ax.plot(times, values, **{"marker": marker, **look})[0]
