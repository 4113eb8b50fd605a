"""A gate's sums with their bias, or normalised over the units of the layer (layer_norm.hpp).

z = s + b
z = g * (s - mean(s)) / sqrt(var(s) + 1e-5) + b        (Ba et al., 2016)
"""

import numpy as np

EPSILON = 1e-5


def forward(p, s, first=0, n_gates=1, b="b_h"):
    """z of n_gates gates side by side, the first of which has this number; its memory."""
    n_units = len(s) // n_gates
    part = slice(first * n_units, (first + n_gates) * n_units)
    gain = p.get(b.replace("b_", "g_"))
    if gain is None:
        return s + p[b][part], (part, b, None)
    s = s.reshape(n_gates, n_units)
    scale = 1 / np.sqrt(s.var(axis=1, keepdims=True) + EPSILON)
    normalized = (s - s.mean(axis=1, keepdims=True)) * scale
    return gain[part] * normalized.ravel() + p[b][part], (part, b, (normalized, scale))


def backward(p, memory, dz, gradient):
    """dL/ds; adds dL/db and dL/dg to ``gradient``."""
    part, b, of_norm = memory
    gradient[b][part] += dz
    if of_norm is None:
        return dz
    normalized, scale = of_norm
    g = b.replace("b_", "g_")
    gradient[g][part] += normalized.ravel() * dz
    d = (p[g][part] * dz).reshape(normalized.shape)
    along = (d * normalized).mean(axis=1, keepdims=True)
    return ((d - d.mean(axis=1, keepdims=True) - normalized * along) * scale).ravel()
