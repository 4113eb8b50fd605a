"""What stands behind the last layer, and the input layer before the first (head.hpp)."""

import numpy as np


def dense_relu(v, W, b):
    return np.maximum(v @ W + b, 0)


def dense_relu_gradient(v, y, dy, W, gradients, prefix):
    """dL/dv; adds those of the weights, named behind a prefix."""
    dz = dy * (y > 0)
    gradients[prefix + "W"] += v.T @ dz
    gradients[prefix + "b"] += dz.sum(axis=0)
    return dz @ W.T


def forward(arrays, v):
    """y = v W + b, or relu(v W_1 + b_1) in the place of v; what backward wants."""
    hidden = v
    if "head.0.W" in arrays:
        hidden = dense_relu(v, arrays["head.0.W"], arrays["head.0.b"])
    return hidden @ arrays["head.W"] + arrays["head.b"], (v, hidden)


def backward(arrays, tape, dy, gradients):
    """dL/dv."""
    v, hidden = tape
    gradients["head.W"] += hidden.T @ dy
    gradients["head.b"] += dy.sum(axis=0)
    dv = dy @ arrays["head.W"].T
    if "head.0.W" in arrays:
        dv = dense_relu_gradient(v, hidden, dv, arrays["head.0.W"], gradients, "head.0.")
    return dv
