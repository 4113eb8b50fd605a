"""What the outputs of a network mean in regression: losses, and targets in standard units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman import _core
from elman._arrays import Array, as_array, check_finite
from elman._exceptions import problem
from elman._network import named_parameters

LOSSES = {
    "squared_error": "squared",
    "absolute_error": "absolute",
    "huber": "huber",
    "quantile": "quantile",
    "poisson": "poisson",
    "gaussian_nll": "gaussian",
}


@dataclass(frozen=True)
class RegressionTask:
    """A loss, and the units in which the network sees the targets.

    Parameters
    ----------
    name : str
        One of `LOSSES`.
    loss_parameter : float
        The delta of "huber", the level of "quantile".
    mean, scale : ndarray of shape (n_targets,)
        The network is trained on ``(y - mean) / scale``.
    """

    name: str
    loss_parameter: float
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @property
    def loss(self) -> str:
        """The core's name of the loss."""
        return LOSSES[self.name]

    @property
    def n_outputs(self) -> int:
        """Outputs of the network; two for each target where it tells means and deviations."""
        return len(self.mean) * (2 if self.name == "gaussian_nll" else 1)

    @property
    def out_activation(self) -> str:
        """What makes predictions of the network's outputs."""
        return "exp" if self.name == "poisson" else "identity"

    def encode(self, rows: Array, dtype: np.dtype[Any], caller: str, argument: str) -> Array:
        """Targets as the network sees them."""
        values = read_numbers(rows, caller, argument)
        if values.shape[1] != len(self.mean):
            got = f"{values.shape[1]} outputs"
            raise ValueError(problem(caller, argument, got, f"{len(self.mean)}, as in fit"))
        if self.name == "poisson" and (values < 0).any():
            got = f"the negative value {values.min():g}"
            raise ValueError(problem(caller, argument, got, "values of at least 0 for 'poisson'"))
        with np.errstate(over="ignore"):
            encoded = ((values - self.mean) / self.scale).astype(dtype)
        if not np.isfinite(encoded).all():
            got = f"values too large for dtype {dtype}"
            raise ValueError(problem(caller, argument, got, f"values within {dtype}"))
        return np.ascontiguousarray(encoded)

    def start(self, network: _core.Network, parameters: Array, mean: Array) -> Array:
        """Return initial parameters of "poisson": the head starts at the mean of y."""
        parameters = parameters.copy()
        head = named_parameters(network, parameters).get("head.b")
        if head is not None:
            head[...] = np.log(np.maximum(mean, np.finfo(head.dtype).tiny))
        return parameters

    def fold(self, network: _core.Network, parameters: Array) -> Array:
        """Parameters whose outputs are in the units of y."""
        return self._rescaled(network, parameters, self.scale, self.mean)

    def unfold(self, network: _core.Network, parameters: Array) -> Array:
        """Undo `fold`."""
        return self._rescaled(network, parameters, 1 / self.scale, -self.mean / self.scale)

    def _rescaled(
        self, network: _core.Network, parameters: Array, scale: Array, shift: Array
    ) -> Array:
        result = parameters.copy()
        named = named_parameters(network, result)
        if "head.W" not in named or (np.all(scale == 1) and np.all(shift == 0)):
            return result
        W, b, k = named["head.W"], named["head.b"], len(scale)
        W[:, :k] = W[:, :k] * scale
        b[:k] = b[:k] * scale + shift
        if self.name == "gaussian_nll":
            b[k:] += np.log(scale)
        return result

    def predict(self, outputs: Array) -> Array:
        """Predictions, (n_rows, n_targets), from outputs in the units of y."""
        if self.name == "poisson":
            return np.exp(outputs)
        return np.ascontiguousarray(outputs[:, : len(self.mean)])

    def deviation(self, outputs: Array) -> Array:
        """Predicted standard deviations of "gaussian_nll"."""
        return np.exp(outputs[:, len(self.mean) :])

    def score(self, rows: Array, predicted: Array, weights: Array | None) -> float:
        """Coefficient of determination, averaged over targets."""
        from sklearn.metrics import r2_score

        return float(r2_score(rows.astype(np.float64), predicted, sample_weight=weights))


def read_numbers(rows: Array, caller: str, argument: str) -> NDArray[np.float64]:
    """Targets as finite float64."""
    if rows.dtype.kind in "USMm":
        got = f"dtype {rows.dtype}"
        raise ValueError(problem(caller, argument, got, "numbers"))
    numbers = as_array(rows, caller, argument)
    check_finite(numbers, caller, argument, ("row", "output"))
    values: NDArray[np.float64] = numbers.astype(np.float64)
    check_finite(values, caller, argument, ("row", "output"))
    return values


def regression_task(
    name: str,
    loss_parameter: float,
    rows: Array,
    weights: Array | None,
    *,
    is_scaled: bool,
) -> RegressionTask:
    """Make the task, in standard units of the targets if ``is_scaled``."""
    n_targets = rows.shape[1]
    mean, scale = np.zeros(n_targets), np.ones(n_targets)
    if is_scaled and name != "poisson":
        mean, scale = standard_units(rows, weights)
    return RegressionTask(name, loss_parameter, mean, scale)


def standard_units(
    rows: NDArray[np.float64], weights: Array | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted mean and standard deviation of each column; 1 for a constant one."""
    mean, deviation, largest = mean_and_deviation(rows, weights)
    return mean * largest, unit_of(deviation, largest)


def mean_and_deviation(
    rows: NDArray[np.float64], weights: Array | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Weighted mean and standard deviation of each column in units of its largest value."""
    if weights is not None:
        shares = weights / weights.max()
        rows, weights = rows[shares > 0], shares[shares > 0]
    largest = np.maximum(np.abs(rows).max(axis=0), np.finfo(np.float64).tiny)
    unit = rows / largest
    mean = np.average(unit, axis=0, weights=weights)
    deviation = np.sqrt(np.average((unit - mean) ** 2, axis=0, weights=weights))
    return mean, deviation, largest


def unit_of(deviation: NDArray[np.float64], largest: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the unit of a column with such a deviation in units of its largest value."""
    is_constant = deviation <= 10 * np.finfo(np.float64).eps
    return np.where(is_constant, 1.0, deviation * largest)
