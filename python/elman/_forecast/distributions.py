"""What the outputs of a network say about a value: a number, some quantiles, or a distribution.

    gaussian            m, log deviation                                 (Nix & Weigend, 1994)
    student_t           m, log scale, d: 2 + softplus(d) degrees of freedom
    negative_binomial   log mean mu, log alpha: variance mu + alpha mu^2 (Salinas et al., 2020)

Outputs come as (n, n_blocks, n_values), a block for each number.
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

    def quantile(self, outputs: Array, level: Any) -> Array:
        """Return the quantile at a level, or one for each value."""
        raise NotImplementedError


class Gaussian(Distribution):
    """A normal distribution."""

    def quantile(self, outputs: Array, level: Any) -> Array:
        """Return the quantile at a level."""
        from scipy.special import ndtri

        return np.asarray(outputs[:, 0] + np.exp(outputs[:, 1]) * ndtri(level))


class StudentT(Distribution):
    """Student's t distribution, moved and stretched."""

    def quantile(self, outputs: Array, level: Any) -> Array:
        """Return the quantile at a level."""
        from scipy.special import stdtrit

        freedom = 2.0 + np.logaddexp(0.0, outputs[:, 2].astype(np.float64))
        return np.asarray(outputs[:, 0] + np.exp(outputs[:, 1]) * stdtrit(freedom, level))


class NegativeBinomial(Distribution):
    """Counts whose variance exceeds their mean."""

    def point(self, outputs: Array) -> Array:
        """Return the mean."""
        return np.exp(outputs[:, 0])

    def quantile(self, outputs: Array, level: Any) -> Array:
        """Return the quantile at a level."""
        from scipy.stats import nbinom

        mean = np.exp(outputs[:, 0].astype(np.float64))
        size = np.exp(-outputs[:, 1].astype(np.float64))
        return np.asarray(nbinom.ppf(level, size, size / (size + mean)))


class Poisson(Distribution):
    """Counts whose variance is their mean."""

    def point(self, outputs: Array) -> Array:
        """Return the mean."""
        return np.exp(outputs[:, 0])

    def quantile(self, outputs: Array, level: Any) -> Array:
        """Return the quantile at a level."""
        from scipy.stats import poisson

        return np.asarray(poisson.ppf(level, np.exp(outputs[:, 0].astype(np.float64))))


@dataclass(frozen=True)
class Quantiles(Distribution):
    """Quantiles at some levels, between which lines are drawn."""

    levels: tuple[float, ...] = (0.5,)

    def point(self, outputs: Array) -> Array:
        """Return the median."""
        return self.quantile(outputs, 0.5)

    def quantile(self, outputs: Array, level: Any) -> Array:
        """Return the quantile at a level; beyond the outermost ones these."""
        ordered = np.sort(outputs, axis=1)
        place = np.interp(level, self.levels, np.arange(len(self.levels)))
        below = np.minimum(np.floor(place).astype(np.int64), len(self.levels) - 2)
        if len(self.levels) == 1:
            return np.asarray(ordered[:, 0])
        share = np.asarray(place - below)
        if share.ndim == 0:
            return np.asarray(ordered[:, below] * (1.0 - share) + ordered[:, below + 1] * share)
        low = np.take_along_axis(ordered, below[:, None], axis=1)[:, 0]
        high = np.take_along_axis(ordered, below[:, None] + 1, axis=1)[:, 0]
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
