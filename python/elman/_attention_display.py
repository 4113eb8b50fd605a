"""A picture of what each step of an answer has read of its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from elman._exceptions import problem
from elman._heat_map import draw_heat_map, label_ticks
from elman._plot import axes_to_draw_on
from elman._seq2seq_regressor import Seq2SeqRegressor
from elman._seq2seq_translator import Seq2SeqTranslator


class AttentionDisplay:
    """The attention weights of one pair: source from left to right, answer down.

    Of tokens the answer has one more, its end. It is made by `from_estimator`; what it is given is
    kept in attributes of the same names.

    Parameters
    ----------
    weights : array-like of shape (n_timesteps_out, n_timesteps)
        The weights; rows sum to one.
    source_names, target_names : sequence, default=None
        Names of the steps, such as words; None numbers them.
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

    See Also
    --------
    Seq2SeqTranslator.attention_weights : The numbers.
    Seq2SeqRegressor.attention_weights : The numbers.

    Examples
    --------
    >>> from elman import AttentionDisplay, Seq2SeqTranslator
    >>> X, y = [list("abc"), list("ba")] * 20, [list("cba"), list("ab")] * 20
    >>> model = Seq2SeqTranslator(hidden_layer_sizes=8, tol=9.0, random_state=0).fit(X, y)
    >>> display = AttentionDisplay.from_estimator(model, list("abc"), list("cba"))
    >>> display.im_.get_array().shape
    (4, 3)
    """

    def __init__(
        self,
        *,
        weights: ArrayLike,
        source_names: Sequence[Any] | None = None,
        target_names: Sequence[Any] | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.weights = weights
        self.source_names = source_names
        self.target_names = target_names
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        source: Any,
        target: Any = None,
        *,
        ax: Any = None,
        name: str | None = None,
        im_kw: Mapping[str, Any] | None = None,
    ) -> AttentionDisplay:
        """Draw what a fitted encoder-decoder reads of one source.

        Parameters
        ----------
        estimator : Seq2SeqTranslator or Seq2SeqRegressor
            A fitted estimator with attention.
        source : sequence of tokens or array-like of shape (n_timesteps, n_channels)
            One source.
        target : sequence of tokens or array-like, default=None
            Its answer; None is what `predict` says.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        name : str, default=None
            The title; None is the name of the class.
        im_kw : dict, default=None
            What the colours are to look like.

        Returns
        -------
        display : AttentionDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib, of the extra "plot", is not installed.
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it is another one.
        AttributeError
            If it has no attention.
        """
        if not isinstance(estimator, (Seq2SeqTranslator, Seq2SeqRegressor)):
            got, expected = f"a {type(estimator).__name__}", "an encoder-decoder"
            raise TypeError(problem(f"{cls.__name__}.from_estimator", "estimator", got, expected))
        check_is_fitted(estimator)
        targets = estimator.predict([source]) if target is None else [target]
        (weights,) = estimator.attention_weights([source], targets)
        writes_tokens = isinstance(estimator, Seq2SeqTranslator)
        reads_tokens = writes_tokens and estimator.input == "tokens"
        display = cls(
            weights=weights,
            source_names=list(source) if reads_tokens else None,
            target_names=[*targets[0], "end"] if writes_tokens else None,
            estimator_name=type(estimator).__name__,
        )
        return display.plot(ax, name=name, im_kw=im_kw)

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        im_kw: Mapping[str, Any] | None = None,
    ) -> AttentionDisplay:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        name : str, default=None
            The title; None is ``estimator_name``.
        im_kw : dict, default=None
            What the colours are to look like.

        Returns
        -------
        self : AttentionDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib, of the extra "plot", is not installed.
        """
        self.ax_ = ax = axes_to_draw_on(ax, f"{type(self).__name__}.plot")
        self.figure_ = ax.figure
        look = {"vmax": 1.0, **(im_kw or {})}
        self.im_, self.colorbar_ = draw_heat_map(
            ax, np.asarray(self.weights), is_signed=False, label="Attention weight", im_kw=look
        )
        label_ticks(ax.xaxis, self.source_names)
        label_ticks(ax.yaxis, self.target_names)
        ax.set(xlabel="Source", ylabel="Answer")
        ax.set_title(self.estimator_name or "" if name is None else name)
        return self
