"""A mixture of given candidates, added to the locations that a loss reads (mixture.hpp)."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Mixture:
    n_targets: int
    n_candidates: int
    n_levels: int = 1  # blocks of outputs that the mixture is added to
    n_groups: int = 1
    sharpness: float = 1.0

    def __post_init__(self):
        self.group = np.arange(self.n_targets) * self.n_groups // self.n_targets

    def forward(self, outputs, candidates):
        """The loss's outputs, the mixture in their locations; the shares of the candidates."""
        scores = outputs[-self.n_groups * self.n_candidates :].reshape(self.n_groups, -1)
        shares = np.exp(self.sharpness * (scores - scores.max(axis=1, keepdims=True)))
        shares = shares / shares.sum(axis=1, keepdims=True)
        mixture = np.sum(shares[self.group].T * self._by_candidate(candidates), axis=0)
        mixed = outputs[: -scores.size].copy()
        mixed[: self.n_levels * self.n_targets] += np.tile(mixture, self.n_levels)
        return mixed, shares

    def backward(self, shares, candidates, dmixed):
        """dl/d(scores), from dl/d(the loss's outputs)."""
        locations = dmixed[: self.n_levels * self.n_targets].reshape(self.n_levels, -1)
        by_target = locations.sum(axis=0) * self._by_candidate(candidates)
        u = np.array([by_target[:, self.group == g].sum(axis=1) for g in range(self.n_groups)])
        mean = np.sum(shares * u, axis=1, keepdims=True)
        return (self.sharpness * shares * (u - mean)).ravel()

    def _by_candidate(self, candidates):
        return candidates.reshape(self.n_candidates, self.n_targets)
