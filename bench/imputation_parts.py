"""`RNNImputer` without one of its parts, which it lets nobody choose: for `bench.imputation`.

Each is a context in which imputers are fitted and used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from unittest import mock

import numpy as np
from elman import _mixture
from elman._fills import Fills
from elman._mixture import Mixture, n_candidates
from elman._regression_fill import RegressionFill, fitted_regression


@contextmanager
def no_mixture() -> Iterator[None]:
    """Corrections to the regression alone: every fill that is mixed is the same."""
    whole = Mixture.inputs

    def inputs(self: Mixture, fills: Fills, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        read, candidates = whole(self, fills, positions)
        return read, np.tile(candidates[:, : self.n_channels], n_candidates(self.season_length))

    with mock.patch.object(Mixture, "inputs", inputs):
        yield


@contextmanager
def no_regression() -> Iterator[None]:
    """Linear interpolation in the regression's place: its coefficients are zero."""

    def zero(*arguments: object) -> RegressionFill:
        fitted = fitted_regression(*arguments)
        return RegressionFill(np.zeros_like(fitted.coefficients), fitted.season_length)

    with mock.patch.object(_mixture, "fitted_regression", zero):
        yield


@contextmanager
def neither() -> Iterator[None]:
    """Corrections to linear interpolation alone."""
    with no_regression(), no_mixture():
        yield


@contextmanager
def no_network() -> Iterator[None]:
    """The regression as the fill: the network is trained (``--change max_iter=1``) but not used."""

    def estimate(
        self: Mixture, parameters: np.ndarray, fills: Fills, positions: np.ndarray, n_threads: int
    ) -> np.ndarray:
        return self.regression.fill(fills, positions)

    with mock.patch.object(Mixture, "estimate", estimate):
        yield


WITHOUT: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "mixture": no_mixture,
    "regression": no_regression,
    "mixture-and-regression": neither,
    "network": no_network,
}
