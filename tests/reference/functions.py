"""Functions on arrays (simd.hpp)."""

import numpy as np


def sigmoid(z):
    with np.errstate(over="ignore"):  # 1 / (1 + inf) is the limit
        return 1 / (1 + np.exp(-z))
