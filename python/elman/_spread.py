"""How far fills are off, told by those of values that were hidden."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elman._arrays import Array
from elman._fills import Fills
from elman._gaps import Bools

PENALTY = 10.0
"""Of the squares of weights, in values."""
LEAST_ERRORS = 100
"""Hidden values of a channel from which on it has a factor of its own."""
WITHIN_ONE, WITHIN_TWO = 0.683, 0.954
"""Shares of normal errors within one and two standard deviations."""
SMALLEST = 1e-3
"""Error below which errors of scaled values are not told apart."""


@dataclass(frozen=True)
class Spread:
    """Standard deviations of fills.

    The logarithm of an error is linear in the logarithms of the distances to the observed values
    on both sides and of the range of the simple fills, and in which channels are observed at the
    step, with weights of each channel that keep close to those of all. On top, each channel has a
    factor with which about as many errors as of normal ones lie within one and within two standard
    deviations.

    Parameters
    ----------
    mean, scale : ndarray of shape (n_features,)
        Of the features.
    weights : ndarray of shape (n_channels, 1 + n_features)
        The regression's, the constant first.
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
        # Not by BLAS, in which a row may depend on the rows beside it.
        log_error = self.weights[:, 0] + np.einsum("rcf,cf->rc", features, self.weights[:, 1:])
        return np.asarray(np.exp(log_error) * self.factors)


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
    channels = np.nonzero(is_hidden)[1]
    features = _features(fills, estimates)[is_hidden]
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale < SMALLEST] = 1.0
    design = np.hstack([np.ones((len(features), 1)), (features - mean) / scale])
    errors = np.abs(estimates - values)[is_hidden].astype(np.float64)
    log_errors = np.log(errors + SMALLEST)
    of_all = np.zeros(design.shape[1])
    of_all[0] = log_errors.mean()
    of_all += _ridge(design, log_errors - of_all[0])
    left_over = log_errors - np.einsum("rf,f->r", design, of_all)
    weights = np.stack(
        [
            of_all + _ridge(design[channels == channel], left_over[channels == channel])
            for channel in range(n_channels)
        ]
    )
    ratios = errors / np.exp(np.einsum("rf,rf->r", design, weights[channels]))
    factors = np.full(n_channels, _factor(ratios))
    for channel in range(n_channels):
        if (channels == channel).sum() >= LEAST_ERRORS:
            factors[channel] = _factor(ratios[channels == channel])
    return Spread(mean, scale, weights, factors)


def _factor(ratios: Array) -> float:
    """Return the factor with which two thirds lie within one and most within two deviations.

    Errors have heavier tails than normal ones, and not both shares can be kept: in between.
    """
    one, two = np.quantile(ratios, [WITHIN_ONE, WITHIN_TWO])
    return float(np.sqrt(max(one, SMALLEST) * max(two / 2, SMALLEST)))


def _ridge(design: Array, targets: Array) -> Array:
    squares = np.einsum("rf,rg->fg", design, design) + PENALTY * np.eye(design.shape[1])
    return np.asarray(np.linalg.solve(squares, np.einsum("rf,r->f", design, targets)))


def _features(fills: Fills, estimates: Array) -> Array:
    """Return what errors depend on, (n_rows, n_channels, n_features)."""
    since, until = fills.steps
    around = np.stack([fills.linear, fills.last, fills.next, estimates])
    disagreement = around.max(axis=0) - around.min(axis=0)
    own = [np.log1p(since), np.log1p(until), np.log(disagreement + SMALLEST)]
    n_channels = since.shape[1]
    shape = (*since.shape, n_channels)
    observed = np.broadcast_to(fills.is_observed[:, None, :], shape)
    return np.concatenate([np.stack(own, axis=-1), observed], axis=-1, dtype=np.float64)
