"""Weights to start from (initialize.hpp)."""

import numpy as np

from reference.random import normal, uniform


def glorot(key, n_in, n_out, shape):
    """Uniform in +-sqrt(6 / (n_in + n_out)) (Glorot & Bengio, 2010)."""
    limit = np.sqrt(6 / (n_in + n_out))
    return limit * (2 * uniform(key, np.arange(np.prod(shape))) - 1).reshape(shape)


def embedding(key, shape):
    """Normal, with a standard deviation of 0.1."""
    return 0.1 * normal(key, np.arange(np.prod(shape))).reshape(shape)


def orthogonal(key, n):
    """Modified Gram-Schmidt on the columns of a Gaussian matrix (Saxe et al., 2014)."""
    q = normal(key, np.arange(n * n)).reshape(n, n)
    for j in range(n):
        for k in range(j):
            q[:, j] -= (q[:, j] @ q[:, k]) * q[:, k]
        q[:, j] /= np.linalg.norm(q[:, j])
    return q
