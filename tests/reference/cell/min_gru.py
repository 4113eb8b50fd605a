"""The minimal gated recurrent unit (Feng et al., 2024, section 3.1).

z   = sigmoid(x_t W_xz + b_z)
n   = x_t W_xn + b_n
h_t = (1 - z) * h_{t-1} + z * n
"""

import numpy as np

from reference.functions import sigmoid


class MinGru:
    n_columns, has_cell_state, has_recurrent_bias, forget_column = 2, False, False, None
    has_recurrent_weights = False

    def forward(self, p, x, h_previous, mask, c_previous=None):
        z_z, n = np.split(x @ p["W_xh"] + p["b_h"], 2)
        z = sigmoid(z_z)
        return (1 - z) * h_previous + z * n, None, (x, h_previous, z, n)

    def backward(self, p, memory, mask, dh, dc, gradient):
        x, h_previous, z, n = memory
        dz = np.concatenate([dh * (n - h_previous) * z * (1 - z), dh * z])
        gradient["W_xh"] += np.outer(x, dz)
        gradient["b_h"] += dz
        return p["W_xh"] @ dz, dh * (1 - z), None
