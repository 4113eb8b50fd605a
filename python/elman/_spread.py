"""How far fills are off, told by those of values that were hidden."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elman._arrays import Array
from elman._fills import Fills
from elman._gaps import Bools

PENALTY = 10.0
"""Of the regression's weights, in values."""
PSEUDO_COUNT = 20.0
"""Values of all channels that count with those of each when its errors are measured."""
SMALLEST = 1e-3
"""Standard deviation below which errors of scaled values are not told apart."""


@dataclass(frozen=True)
class Spread:
    """Standard deviations of fills.

    The logarithm of an error is linear in the logarithms of the distances to the observed values
    on both sides, of the range of the simple fills, in the share of channels that are observed at
    the step, and has a constant for each channel. On top, each channel has a factor with which the
    errors of the fills have the standard deviation that is told.

    Parameters
    ----------
    mean, scale : ndarray of shape (n_features,)
        Of the features.
    weights : ndarray of shape (1 + n_features + n_channels,)
        The regression's.
    factors : ndarray of shape (n_channels,)
        Of the channels.
    """

    mean: Array
    scale: Array
    weights: Array
    factors: Array

    def std(self, fills: Fills, estimates: Array) -> Array:
        """Tell standard deviations of all values, whether missing or not.

        Parameters
        ----------
        fills : Fills
            The windows.
        estimates : ndarray of shape (n_rows, n_channels)
            Their fills.

        Returns
        -------
        std : ndarray of shape (n_rows, n_channels)
            Positive; they mean nothing for what is observed.
        """
        features = (_features(fills, estimates) - self.mean) / self.scale
        n_features = features.shape[-1]
        # Not by BLAS, in which a row may depend on the rows beside it.
        by_features = (features * self.weights[1 : 1 + n_features]).sum(axis=-1)
        log_error = self.weights[0] + by_features
        return np.asarray(np.exp(log_error + self.weights[1 + n_features :]) * self.factors)


def fitted_spread(fills: Fills, estimates: Array, values: Array, is_hidden: Bools) -> Spread:
    """Learn standard deviations from hidden values.

    Parameters
    ----------
    fills : Fills
        Windows without the hidden values.
    estimates, values : ndarray of shape (n_rows, n_channels)
        The fills, and the values.
    is_hidden : ndarray of shape (n_rows, n_channels)
        Which values were hidden.

    Returns
    -------
    spread : Spread
        What was learned.
    """
    n_channels = values.shape[1]
    features = _features(fills, estimates)[is_hidden]
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale < SMALLEST] = 1.0
    channels = np.nonzero(is_hidden)[1]
    design = np.hstack(
        [
            np.ones((len(features), 1)),
            (features - mean) / scale,
            channels[:, None] == np.arange(n_channels),
        ]
    )
    errors = np.abs(estimates - values)[is_hidden].astype(np.float64)
    penalty = PENALTY * np.eye(design.shape[1])
    penalty[0, 0] = 0
    weights = np.linalg.solve(
        np.einsum("ri,rj->ij", design, design) + penalty,
        np.einsum("ri,r->i", design, np.log(errors + SMALLEST)),
    )
    squares = (errors / np.exp(np.einsum("ri,i->r", design, weights))) ** 2
    total = np.bincount(channels, squares, minlength=n_channels)
    count = np.bincount(channels, minlength=n_channels)
    factors = np.sqrt((total + PSEUDO_COUNT * squares.mean()) / (count + PSEUDO_COUNT))
    return Spread(mean, scale, weights, factors)


def _features(fills: Fills, estimates: Array) -> Array:
    """Return what errors depend on, (n_rows, n_channels, n_features)."""
    since, until = fills.steps
    around = np.stack([fills.linear, fills.last, fills.next, estimates])
    disagreement = around.max(axis=0) - around.min(axis=0)
    observed = fills.is_observed.mean(axis=1, keepdims=True)
    return np.stack(
        [
            np.log1p(since),
            np.log1p(until),
            np.log(disagreement + SMALLEST),
            np.broadcast_to(observed, since.shape),
        ],
        axis=-1,
    ).astype(np.float64)
