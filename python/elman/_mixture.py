"""Fills as a correction to a learned mixture of simple ones.

A recurrent network reads, for each channel, what is observed, the linear interpolation, and how far
away the observed values are that it is made of; it scores the simple fills, mixes them by these
scores, and adds a correction. In the manner of a mixture of experts (Jacobs, Jordan, Nowlan &
Hinton, 1991) whose experts are given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elman import _core
from elman._arrays import Array
from elman._fills import Fills, Rows, seasonal_waves
from elman._gaps import Bools
from elman._network import architecture, build, layer_sizes, named_parameters
from elman._regression_fill import RegressionFill, fitted_regression

SHARPNESS = 5.0
"""Scores are multiplied by it: it lets the mixture learn faster than the rest."""
FIRST_HEADSTART = 1.0
"""How much larger the logit of the first candidate is at first."""
START_OF_HEAD = 0.1
"""Factor of the head's weights at first, so that training begins with simple fills."""


def n_candidates(season_length: int | None) -> int:
    """Count the simple fills that are mixed."""
    return 4 if season_length is None else 6


def mixture_sizes(n_channels: int, season_length: int | None) -> tuple[int, int]:
    """Count inputs and outputs of the network."""
    n_waves = seasonal_waves(np.zeros(1, np.int64), season_length, np.float64).shape[1]
    return 6 * n_channels + n_waves, n_channels * (1 + n_candidates(season_length))


@dataclass(frozen=True)
class Mixture:
    """The method "mixture": a network, and what goes in and out of it.

    Parameters
    ----------
    architecture : dict
        Arguments of `_core.Network`.
    n_channels : int
        Channels of the series.
    season_length : int or None
        Steps of a season.
    regression : RegressionFill or None
        The best of the fills that are mixed; None before it is fitted.
    """

    architecture: dict[str, Any]
    n_channels: int
    season_length: int | None
    regression: RegressionFill | None = None

    def network(self) -> Any:
        """Make the network; it holds shapes only."""
        return _core.Network(**self.architecture)

    def start(self, seed: int) -> Array:
        """Return parameters to begin with, such that fills are almost the simple ones."""
        network = self.network()
        parameters: Array = network.initialize(seed)
        named = named_parameters(network, parameters)
        named["head.W"] *= START_OF_HEAD
        named["head.b"][self.n_channels :: n_candidates(self.season_length)] = (
            FIRST_HEADSTART / SHARPNESS
        )
        return parameters

    def prepared(self, fills: Fills, positions: Rows, values: Array, is_hidden: Bools) -> Mixture:
        """Fit what is not a network's: the regression, to hidden values of some windows."""
        regression = fitted_regression(fills, positions, values, is_hidden, self.season_length)
        return replace(self, regression=regression)

    def training(self, parameters: Array, options: Mapping[str, Any]) -> MixtureTraining:
        """Return what learns from one mini-batch after another."""
        return MixtureTraining(self, parameters, options)

    def estimate(self, parameters: Array, fills: Fills, positions: Rows, n_threads: int) -> Array:
        """Estimate every value of some windows from what is observed in them.

        Parameters
        ----------
        parameters : ndarray of shape (n_parameters,)
            Parameters of the network.
        fills : Fills
            The windows.
        positions : ndarray of shape (n_rows,)
            Steps since a season began.
        n_threads : int
            Never changes a bit.

        Returns
        -------
        estimates : ndarray of shape (n_rows, n_channels)
            Of what is observed too; there they mean nothing.
        """
        inputs, candidates = self.inputs(fills, positions)
        outputs, _ = self.network().forward(
            parameters, inputs, fills.offsets, per_step=True, n_threads=n_threads
        )
        n = self.n_channels
        return np.asarray(
            _core.mix(outputs, candidates, n_targets=n, n_groups=n, sharpness=SHARPNESS)
        )

    def inputs(self, fills: Fills, positions: Rows) -> tuple[Array, Array]:
        """Return what the network reads at each step, and the candidates that it mixes."""
        assert self.regression is not None
        filled = self.regression.fill(fills, positions)
        candidates = [filled, fills.linear, fills.last, fills.next]
        if self.season_length is not None:
            candidates += [fills.away(k, filled) for k in (-self.season_length, self.season_length)]
        center = fills.center
        since, until = fills.steps
        columns = [
            (filled - center) * fills.is_observed,
            fills.is_observed,
            filled - center,
            np.log1p(since) / 2,
            np.log1p(until) / 2,
            center / 2,
            seasonal_waves(positions, self.season_length, center.dtype),
        ]
        return np.hstack(columns, dtype=center.dtype, casting="same_kind"), np.hstack(candidates)


class MixtureTraining:
    """Learns to fill what is hidden.

    Parameters
    ----------
    method : Mixture
        What is trained.
    parameters : ndarray of shape (n_parameters,)
        Where it begins.
    options : dict
        Arguments of `_core.Trainer`.
    """

    def __init__(self, method: Mixture, parameters: Array, options: Mapping[str, Any]) -> None:
        self._method = method
        self._trainer = _core.Trainer(
            method.network(),
            parameters,
            loss="absolute",
            n_candidates=n_candidates(method.season_length),
            n_groups=method.n_channels,
            sharpness=SHARPNESS,
            **options,
        )

    @property
    def parameters(self) -> Array:
        """The moving average of the parameters."""
        return self._trainer.average

    def update(self, values: Array, offsets: Rows, positions: Rows, is_hidden: Bools) -> float:
        """Learn from some windows, and return the mean absolute error before.

        Parameters
        ----------
        values : ndarray of shape (n_rows, n_channels)
            The windows, NaN where a value is missing.
        offsets : ndarray of int64
            Where each window begins, and the end of the last.
        positions : ndarray of shape (n_rows,)
            Steps since a season began.
        is_hidden : ndarray of shape (n_rows, n_channels)
            Which of the values are to be filled as if they were missing.

        Returns
        -------
        loss : float
            The mean over the hidden values.
        """
        nan = values.dtype.type(np.nan)
        fills = Fills(np.where(is_hidden, nan, values), offsets)
        inputs, candidates = self._method.inputs(fills, positions)
        targets = np.hstack([np.where(is_hidden, values, nan), candidates])
        weights = is_hidden.sum(axis=1, dtype=values.dtype)  # each hidden value counts as much
        n_windows = len(offsets) - 1
        order = np.arange(n_windows)
        return float(
            self._trainer.epoch(
                inputs, offsets, targets, weights, order, batch_size=n_windows, per_step=True
            )
        )


def mixture(
    settings: Mapping[str, Any],
    dtype: np.dtype[Any],
    n_channels: int,
    season_length: int | None,
    caller: str,
) -> Mixture:
    """Make the method for an estimator's parameters and data."""
    n_inputs, n_outputs = mixture_sizes(n_channels, season_length)
    arguments = {
        **architecture(settings, dtype, n_inputs, n_outputs),
        "head_layer": layer_sizes(settings["hidden_layer_sizes"])[-1],
        "head_inputs": True,
    }
    build(arguments, caller)
    return Mixture(arguments, n_channels, season_length)
