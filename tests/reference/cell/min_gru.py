"""The minimal gated recurrent unit (Feng et al., 2024, section 3.1).

z   = sigmoid(x_t W_xz + b_z)
n   = x_t W_xn + b_n
h_t = (1 - z) * h_{t-1} + z * n
"""

import numpy as np

from reference import sums
from reference.functions import sigmoid


class MinGru:
    n_columns, has_cell_state, has_recurrent_bias, forget_column = 2, False, False, None
    has_recurrent_weights = False

    def forward(self, p, x, h_previous, mask, c_previous=None):
        both, of_sums = sums.forward(p, x @ p["W_xh"], 0, 2)
        z_z, n = np.split(both, 2)
        z = sigmoid(z_z)
        return (1 - z) * h_previous + z * n, None, (x, h_previous, z, n, of_sums)

    def backward(self, p, memory, mask, dh, dc, gradient):
        x, h_previous, z, n, of_sums = memory
        dz = np.concatenate([dh * (n - h_previous) * z * (1 - z), dh * z])
        dz = sums.backward(p, of_sums, dz, gradient)
        gradient["W_xh"] += np.outer(x, dz)
        return p["W_xh"] @ dz, dh * (1 - z), None
