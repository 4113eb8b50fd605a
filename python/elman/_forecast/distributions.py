"""What the outputs of a network say about a value: a number, some quantiles, or a distribution.

    gaussian            m, log deviation                                 (Nix & Weigend, 1994)
    student_t           m, log scale, d: 2 + softplus(d) degrees of freedom
    negative_binomial   log mean mu, log alpha: variance mu + alpha mu^2 (Salinas et al., 2020)

Outputs come as (n, n_blocks, n_values), a block for each number. Levels of quantiles are the same
for all values, (n_levels,), or each value's own, (n, n_values, n_levels).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Distribution:
    """How many numbers tell of a value, and what they are.

    Parameters
    ----------
    n_blocks : int
        Numbers for each value.
    """

    n_blocks: int = 1

    @property
    def has_quantiles(self) -> bool:
        """Whether more than a number is told."""
        return type(self) is not Distribution

    def point(self, outputs: Array) -> Array:
        """Return the forecast (n, n_values): the median, of counts the mean."""
        return outputs[:, 0]

    def quantiles(self, outputs: Array, levels: Array) -> Array:
        """Return quantiles, (n, n_values, n_levels)."""
        raise NotImplementedError


class Gaussian(Distribution):
    """A normal distribution."""

    def quantiles(self, outputs: Array, levels: Array) -> Array:
        """Return quantiles."""
        from scipy.special import ndtri

        middle, spread = outputs[:, 0, :, None], np.exp(outputs[:, 1, :, None])
        return np.asarray(middle + spread * ndtri(levels))


class StudentT(Distribution):
    """Student's t distribution, moved and stretched."""

    def quantiles(self, outputs: Array, levels: Array) -> Array:
        """Return quantiles."""
        from scipy.special import stdtrit

        middle, spread = outputs[:, 0, :, None], np.exp(outputs[:, 1, :, None])
        freedom = 2.0 + np.logaddexp(0.0, outputs[:, 2, :, None].astype(np.float64))
        return np.asarray(middle + spread * stdtrit(freedom, levels))


class NegativeBinomial(Distribution):
    """Counts whose variance exceeds their mean."""

    def point(self, outputs: Array) -> Array:
        """Return the mean."""
        return np.exp(outputs[:, 0].astype(np.float64))

    def quantiles(self, outputs: Array, levels: Array) -> Array:
        """Return quantiles."""
        from scipy.stats import nbinom

        mean = np.exp(outputs[:, 0, :, None].astype(np.float64))
        size = np.exp(-outputs[:, 1, :, None].astype(np.float64))
        return np.asarray(nbinom.ppf(levels, size, size / (size + mean)))


class Poisson(Distribution):
    """Counts whose variance is their mean."""

    def point(self, outputs: Array) -> Array:
        """Return the mean."""
        return np.exp(outputs[:, 0].astype(np.float64))

    def quantiles(self, outputs: Array, levels: Array) -> Array:
        """Return quantiles."""
        from scipy.stats import poisson

        return np.asarray(poisson.ppf(levels, np.exp(outputs[:, 0, :, None].astype(np.float64))))


@dataclass(frozen=True)
class Quantiles(Distribution):
    """Quantiles at some levels, between which lines are drawn."""

    levels: tuple[float, ...] = (0.5,)

    def point(self, outputs: Array) -> Array:
        """Return the median."""
        return self.quantiles(outputs, np.array([0.5]))[..., 0]

    def quantiles(self, outputs: Array, levels: Array) -> Array:
        """Return quantiles; beyond the outermost levels these."""
        ordered = np.sort(outputs, axis=1).swapaxes(1, 2)
        n, n_values, n_known = ordered.shape
        place = np.broadcast_to(
            np.interp(levels, self.levels, np.arange(n_known)), (n, n_values, levels.shape[-1])
        )
        below = np.clip(np.floor(place).astype(np.int64), 0, max(n_known - 2, 0))
        share = place - below
        low = np.take_along_axis(ordered, below, axis=2)
        high = np.take_along_axis(ordered, np.minimum(below + 1, n_known - 1), axis=2)
        return np.asarray(low * (1.0 - share) + high * share)


COUNTS = ("poisson", "negative_binomial")
DISTRIBUTIONS: dict[str, Distribution] = {
    "squared": Distribution(),
    "absolute": Distribution(),
    "huber": Distribution(),
    "gaussian": Gaussian(2),
    "student_t": StudentT(3),
    "poisson": Poisson(),
    "negative_binomial": NegativeBinomial(2),
}


def distribution(loss: str, levels: tuple[float, ...]) -> Distribution:
    """Tell what outputs mean of a network that was trained with a loss, by the core's name."""
    return Quantiles(len(levels), levels) if loss == "quantile" else DISTRIBUTIONS[loss]
