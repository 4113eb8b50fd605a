"""Fills by regression: linear interpolation of what other channels and the season leave over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elman._arrays import Array
from elman._fills import Fills, Rows, seasonal_waves
from elman._gaps import Bools

N_PASSES = 3
PENALTY = 1.0
"""Of the squares of coefficients, in values."""


@dataclass(frozen=True)
class RegressionFill:
    """A linear regression of each channel, and interpolation of its residuals.

    As in regression kriging (Odeh, McBratney & Chittleborough, 1995), in one dimension: a gap is
    filled with the regression, plus a straight line between its residuals at the observed values on
    both sides. Regressors of a channel are the other channels at the step, where it stands in the
    season, and the channel a season before and after. They have gaps themselves, so that there are
    several passes, each of which reads the fills of the one before.

    Parameters
    ----------
    coefficients : ndarray of shape (n_passes, n_channels, n_regressors)
        Of each channel's regression; a channel is no regressor of itself.
    season_length : int or None
        Steps of a season.
    """

    coefficients: Array
    season_length: int | None

    def width(self, n_channels: int) -> int:
        """Count the regressors of a channel."""
        waves = seasonal_waves(np.zeros(1, np.int64), self.season_length, np.float64)
        return int(n_channels + waves.shape[1] + (0 if self.season_length is None else 2))

    def fill(self, fills: Fills, positions: Rows) -> Array:
        """Fill the gaps of some windows.

        Parameters
        ----------
        fills : Fills
            The windows.
        positions : ndarray of shape (n_rows,)
            Steps since a season began.

        Returns
        -------
        filled : ndarray of shape (n_rows, n_channels)
            What is observed, as it is, and estimates.
        """
        filled = fills.linear
        for coefficients in self.coefficients.astype(filled.dtype):
            filled = _next_pass(coefficients, fills, filled, positions, self.season_length)
        return filled


def _next_pass(
    coefficients: Array, fills: Fills, filled: Array, positions: Rows, season_length: int | None
) -> Array:
    """Fill gaps by regressions on what the pass before has filled in."""
    shared = _shared_regressors(filled, positions, season_length)
    n_shared = shared.shape[1]
    # Not by BLAS, in which a row may depend on the rows beside it.
    regression = np.einsum("rj,cj->rc", shared, coefficients[:, :n_shared])
    for i, own in enumerate(_own_regressors(fills, filled, season_length)):
        regression += coefficients[:, n_shared + i] * own
    return np.asarray(fills.linear + (regression - fills.line(regression)))


def _shared_regressors(filled: Array, positions: Rows, season_length: int | None) -> Array:
    """Return regressors of all channels: the channels, and where steps stand in the season."""
    return np.hstack([filled, seasonal_waves(positions, season_length, filled.dtype)])


def _own_regressors(fills: Fills, filled: Array, season_length: int | None) -> list[Array]:
    """Return regressors that each channel has for itself: a season before and after."""
    if season_length is None:
        return []
    return [fills.away(-season_length, filled), fills.away(season_length, filled)]


def fitted_regression(
    fills: Fills, positions: Rows, values: Array, is_hidden: Bools, season_length: int | None
) -> RegressionFill:
    """Fit regressions to hidden values.

    Parameters
    ----------
    fills : Fills
        Windows without the hidden values.
    positions : ndarray of shape (n_rows,)
        Steps since a season began.
    values : ndarray of shape (n_rows, n_channels)
        The windows.
    is_hidden : ndarray of shape (n_rows, n_channels)
        Which values were hidden.
    season_length : int or None
        Steps of a season.

    Returns
    -------
    regression : RegressionFill
        What was fitted.
    """
    filled, passes = fills.linear, []
    for _ in range(N_PASSES):
        shared = _shared_regressors(filled, positions, season_length)
        own = _own_regressors(fills, filled, season_length)
        coefficients = np.zeros((values.shape[1], shared.shape[1] + len(own)))
        for channel in range(values.shape[1]):
            of_channel = np.hstack([shared, *(regressor[:, [channel]] for regressor in own)])
            rows = np.flatnonzero(is_hidden[:, channel])
            regressors = _off_the_line(fills, of_channel, rows, channel)
            regressors[:, channel] = 0
            errors = (values - fills.linear)[rows, channel]
            squares = np.einsum("ri,rj->ij", regressors, regressors)
            coefficients[channel] = np.linalg.solve(
                squares + PENALTY * np.eye(len(squares)), np.einsum("ri,r->i", regressors, errors)
            )
        passes.append(coefficients)
        filled = _next_pass(
            coefficients.astype(filled.dtype), fills, filled, positions, season_length
        )
    return RegressionFill(np.stack(passes), season_length)


def _off_the_line(fills: Fills, signals: Array, rows: Rows, channel: int) -> Array:
    """How far signals are off their straight lines over the gaps of a channel."""
    before, after, share = (end[rows, channel] for end in fills.ends)
    line = signals[before] + share[:, None] * (signals[after] - signals[before])
    line[fills.is_empty[rows, channel]] = 0
    return np.asarray(signals[rows] - line, dtype=np.float64)
