"""Minimal long short-term memory (Feng et al., 2024, section 3.2).

i, f = sigmoid(x_t W_x* + b_*)
n    = x_t W_xn + b_n
h_t  = w * h_{t-1} + (1 - w) * n        w = f / (f + i)
"""

import numpy as np

from reference import sums
from reference.functions import sigmoid


class MinLstm:
    n_columns, has_cell_state, has_recurrent_bias, forget_column = 3, False, False, 1
    has_recurrent_weights = False

    def forward(self, p, x, h_previous, mask, c_previous=None):
        z, of_sums = sums.forward(p, x @ p["W_xh"], 0, 3)
        z_i, z_f, n = np.split(z, 3)
        # log f - log i, since both gates may be nearly shut.
        w = sigmoid(np.logaddexp(0, -z_i) - np.logaddexp(0, -z_f))
        h = w * h_previous + (1 - w) * n
        return h, None, (x, h_previous, z_i, z_f, n, w, of_sums)

    def backward(self, p, memory, mask, dh, dc, gradient):
        x, h_previous, z_i, z_f, n, w, of_sums = memory
        dw = dh * (h_previous - n) * w * (1 - w)
        dz = np.concatenate([-dw * sigmoid(-z_i), dw * sigmoid(-z_f), dh * (1 - w)])
        dz = sums.backward(p, of_sums, dz, gradient)
        gradient["W_xh"] += np.outer(x, dz)
        return p["W_xh"] @ dz, dh * w, None
