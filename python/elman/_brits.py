"""Fills by two networks, one in each direction of time, after BRITS.

What BRITS does (Cao et al., 2018), as far as a core goes in which estimates are not fed back:

- each direction estimates a value from what it has read before it, never from the value itself;
- states, and the inputs that stand for missing values, decay over gaps (here as in GRU-D, Che et
  al., 2018);
- both are trained to reconstruct what is observed, and to agree where nothing is;
- their mean is the estimate by history, which other channels at the same step correct. Here they do
  so by least squares: by how far their own estimates by history were off, where they are observed.

What differs: a missing value's input is the last one, fading towards the mean, where BRITS reads
its own estimate of it; the correction by other channels has weights of its own instead of being
trained with the networks; and values are hidden for training in the shapes of gaps, as BRITS does
not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from elman import _core
from elman._arrays import Array
from elman._fills import Fills, Rows
from elman._gaps import Bools
from elman._network import architecture, build

PENALTY = 10.0
"""Of the correction's weights, in values."""


@dataclass(frozen=True)
class Directions:
    """Shapes of both networks, and of the correction, as of one network.

    Parameters
    ----------
    one : _core.Network
        The network of either direction.
    n_channels : int
        Channels of the series.
    """

    one: Any
    n_channels: int

    @property
    def dtype(self) -> str:
        """Of the parameters."""
        return str(self.one.dtype)

    @property
    def n_parameters(self) -> int:
        """Number of parameters."""
        return 2 * int(self.one.n_parameters) + self.n_channels**2

    @property
    def parameters(self) -> list[tuple[str, tuple[int, ...], int]]:
        """Name, shape and offset of each parameter."""
        size, listed = self.one.n_parameters, []
        for begin, direction in ((0, "forward"), (size, "backward")):
            for name, shape, offset in self.one.parameters:
                listed.append((f"{direction}.{name}", shape, begin + offset))
        return [*listed, ("channels.W", (self.n_channels, self.n_channels), 2 * size)]

    def split(self, parameters: Array) -> tuple[Array, Array, Array]:
        """Cut parameters into those of both networks and those of the correction."""
        size = self.one.n_parameters
        correction = parameters[2 * size :].reshape(self.n_channels, self.n_channels)
        return parameters[:size], parameters[size : 2 * size], correction


@dataclass(frozen=True)
class Brits:
    """The method "brits": what goes in and out of its networks.

    Parameters
    ----------
    architecture : dict
        Arguments of `_core.Network`, for either direction.
    n_channels : int
        Channels of the series.
    """

    architecture: dict[str, Any]
    n_channels: int

    def network(self) -> Directions:
        """Make the networks; they hold shapes only."""
        return Directions(_core.Network(**self.architecture), self.n_channels)

    def start(self, seed: int) -> Array:
        """Return parameters to begin with."""
        one = self.network().one
        halves = [one.initialize(seed), one.initialize(seed + 1)]
        return np.concatenate([*halves, np.zeros(self.n_channels**2, halves[0].dtype)])

    def prepared(self, fills: Fills, positions: Rows, values: Array, is_hidden: Bools) -> Brits:
        """Return the method itself: all of it is trained."""
        return self

    def training(self, parameters: Array, options: Mapping[str, Any]) -> BritsTraining:
        """Return what learns from one mini-batch after another."""
        return BritsTraining(self, parameters, options)

    def estimate(self, parameters: Array, fills: Fills, positions: Rows, n_threads: int) -> Array:
        """Estimate every value of some windows, as `Mixture.estimate` does."""
        network = self.network()
        forward, backward, correction = network.split(parameters)
        histories = _Histories(fills, network.one)
        pair = (histories.forward(forward, n_threads), histories.backward(backward, n_threads))
        history = _mean(*pair)
        # Not by BLAS, in which a row may depend on the rows beside it.
        corrections = np.einsum("rc,cd->rd", _surprise(fills, history), correction)
        return np.asarray(history + corrections)


@dataclass(frozen=True)
class _Histories:
    """Windows as either direction reads them: a step's inputs are those before it."""

    fills: Fills
    one: Any

    @cached_property
    def forward_inputs(self) -> tuple[Array, Rows]:
        return _delayed(self.fills.values, self.fills.offsets)

    @cached_property
    def backward_inputs(self) -> tuple[Array, Rows]:
        offsets = self.fills.offsets
        return _delayed(self.fills.values[::-1], offsets[-1] - offsets[::-1])

    def forward(self, parameters: Array, n_threads: int) -> Array:
        return self._estimates(parameters, self.forward_inputs, n_threads)

    def backward(self, parameters: Array, n_threads: int) -> Array:
        return self._estimates(parameters, self.backward_inputs, n_threads)[::-1]

    def _estimates(self, parameters: Array, inputs: tuple[Array, Rows], n_threads: int) -> Array:
        outputs, _ = self.one.forward(parameters, *inputs, per_step=True, n_threads=n_threads)
        return np.asarray(outputs)


def _delayed(values: Array, offsets: Rows) -> tuple[Array, Rows]:
    """Values a step later; the first step of each window has none."""
    delayed = np.empty_like(values)
    delayed[1:] = values[:-1]
    delayed[offsets[:-1]] = np.nan
    return delayed, offsets


def _mean(forward: Array, backward: Array) -> Array:
    return (forward + backward) / 2


def _surprise(fills: Fills, history: Array) -> Array:
    """How far estimates by history are off, where that is known."""
    return np.asarray(np.where(fills.is_observed, fills.values - history, 0))


class BritsTraining:
    """Learns to reconstruct what is observed and hidden, in both directions.

    Parameters
    ----------
    method : Brits
        What is trained.
    parameters : ndarray of shape (n_parameters,)
        Where it begins.
    options : dict
        Arguments of `_core.Trainer`.
    """

    def __init__(self, method: Brits, parameters: Array, options: Mapping[str, Any]) -> None:
        self._network = method.network()
        *halves, _ = self._network.split(parameters)
        self._forward, self._backward = (
            _core.Trainer(self._network.one, half, loss="absolute", **options) for half in halves
        )
        self._n_threads = options["n_threads"]
        n = method.n_channels
        # Of the least squares of each channel, with weights that fade as in the average.
        self._fading = options["parameter_average"]
        self._squares, self._products = np.zeros((n, n, n)), np.zeros((n, n))

    @property
    def parameters(self) -> Array:
        """The moving average of the parameters."""
        n = len(self._products)
        weights = np.linalg.solve(self._squares + PENALTY * np.eye(n), self._products[:, :, None])
        halves = [self._forward.average, self._backward.average]
        return np.concatenate([*halves, weights[:, :, 0].T.ravel()], dtype=halves[0].dtype)

    def update(self, values: Array, offsets: Rows, positions: Rows, is_hidden: Bools) -> float:
        """Learn from some windows, as `MixtureTraining.update` does."""
        fills = Fills(np.where(is_hidden, values.dtype.type(np.nan), values), offsets)
        histories = _Histories(fills, self._network.one)
        forward = histories.forward(self._forward.parameters, self._n_threads)
        backward = histories.backward(self._backward.parameters, self._n_threads)
        # Where nothing is known each direction is drawn towards the other.
        is_known = ~np.isnan(values)
        _step(self._forward, histories.forward_inputs, np.where(is_known, values, backward))
        of_backward = np.where(is_known, values, forward)[::-1]
        _step(self._backward, histories.backward_inputs, of_backward)
        history = _mean(forward, backward)
        error = np.where(is_hidden, values - history, 0)
        self._add(_surprise(fills, history), error, is_hidden)
        return float(np.abs(error).sum() / is_hidden.sum())

    def _add(self, surprise: Array, error: Array, is_hidden: Bools) -> None:
        self._squares *= self._fading
        self._products *= self._fading
        for channel in range(len(self._products)):
            rows = is_hidden[:, channel]
            others = surprise[rows].astype(np.float64)
            self._squares[channel] += np.einsum("ri,rj->ij", others, others)
            self._products[channel] += np.einsum("ri,r->i", others, error[rows, channel])


def _step(trainer: Any, inputs: tuple[Array, Rows], targets: Array) -> None:
    values, offsets = inputs
    n_windows = len(offsets) - 1
    order = np.arange(n_windows)
    targets = np.ascontiguousarray(targets)
    trainer.epoch(values, offsets, targets, None, order, batch_size=n_windows, per_step=True)


def brits(
    settings: Mapping[str, Any], dtype: np.dtype[Any], n_channels: int, season: None, caller: str
) -> Brits:
    """Make the method for an estimator's parameters and data."""
    parameters = {**settings, "bidirectional": False, "missing": "decay"}
    arguments = architecture(parameters, dtype, n_channels, n_channels)
    build(arguments, caller)
    return Brits(arguments, n_channels)
