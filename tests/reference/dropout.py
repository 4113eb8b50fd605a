"""Masks of dropout (Srivastava et al., 2014), and tokens that are dropped (dropout.hpp)."""

from dataclasses import dataclass

import numpy as np

from reference.random import bits, uniform


@dataclass
class Dropout:
    """Masks of one update: a function of layer, sequence, step and unit."""

    output: float = 0.0
    recurrent: float = 0.0
    key: int = 0
    embedding: float = 0.0
    tokens: object = 0.0  # of each step, or an array of each token

    def output_mask(self, layer, sequence, step, n_units):
        """What multiplies a layer's output, forward units first, at one step."""
        return self._mask(2 * layer, sequence, step * n_units, n_units, self.output)

    def recurrent_mask(self, layer, sequence, n_units):
        """What multiplies h_{t-1} in products, the same at every step."""
        return self._mask(2 * layer + 1, sequence, 0, n_units, self.recurrent)

    def embedding_mask(self, sequence, step, width):
        """What multiplies the embedding of one step."""
        return self._mask(-1, sequence, step * width, width, self.embedding)

    def drops_token(self, sequence, step, place, token):
        """Whether the token at some place of a step is dropped."""
        key = bits(bits(bits(self.key, np.uint64(2**64 - 2)), sequence), step)
        if isinstance(self.tokens, np.ndarray):
            return uniform(key, place) < self.tokens[token]
        return uniform(key, 0) < self.tokens

    def _mask(self, number, sequence, first, n, p):
        if p == 0:
            return np.ones(n)
        key = bits(bits(self.key, np.uint64(number % 2**64)), sequence)
        return np.where(uniform(key, first + np.arange(n)) < p, 0.0, 1 / (1 - p))
