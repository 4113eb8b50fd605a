"""The gated recurrent unit (Cho et al., 2014), in its two forms.

r, z = sigmoid(x_t W_x* + h_{t-1} W_h* + b_*)
n    = tanh(x_t W_xn + b_n + r * (h_{t-1} W_hn + b_hn))     reset after the product
n    = tanh(x_t W_xn + b_n + (r * h_{t-1}) W_hn)            reset before the product
h_t  = (1 - z) * n + z * h_{t-1}
"""

import numpy as np

from reference import sums
from reference.functions import sigmoid


class ResetAfter:
    n_columns, has_cell_state, has_recurrent_bias, forget_column = 3, False, True, None
    has_recurrent_weights = True

    def forward(self, p, x, h_previous, mask, c_previous=None):
        operand = mask * h_previous
        x_r, x_z, x_n = np.split(x @ p["W_xh"], 3)
        h_r, h_z, h_n = np.split(operand @ p["W_hh"], 3)
        both, of_both = sums.forward(p, np.concatenate([x_r + h_r, x_z + h_z]), 0, 2)
        r, z = np.split(sigmoid(both), 2)
        m, of_m = sums.forward(p, h_n, b="b_hn")
        z_n, of_n = sums.forward(p, x_n, 2)
        n = np.tanh(z_n + r * m)
        of_sums = (of_both, of_n, of_m)
        return (1 - z) * n + z * h_previous, None, (x, h_previous, operand, r, z, n, m, of_sums)

    def backward(self, p, memory, mask, dh, dc, gradient):
        x, h_previous, operand, r, z, n, m, (of_both, of_n, of_m) = memory
        dz_n = dh * (1 - z) * (1 - n**2)
        dz_z = dh * (h_previous - n) * z * (1 - z)
        dz_r = dz_n * m * r * (1 - r)
        both = sums.backward(p, of_both, np.concatenate([dz_r, dz_z]), gradient)
        of_input = np.concatenate([both, sums.backward(p, of_n, dz_n, gradient)])
        of_state = np.concatenate([both, sums.backward(p, of_m, dz_n * r, gradient)])
        gradient["W_xh"] += np.outer(x, of_input)
        gradient["W_hh"] += np.outer(operand, of_state)
        return p["W_xh"] @ of_input, dh * z + mask * (p["W_hh"] @ of_state), None


class ResetBefore:
    n_columns, has_cell_state, has_recurrent_bias, forget_column = 3, False, False, None
    has_recurrent_weights = True

    def forward(self, p, x, h_previous, mask, c_previous=None):
        operand = mask * h_previous
        W_hr, W_hz, W_hn = np.split(p["W_hh"], 3, axis=1)
        x_r, x_z, x_n = np.split(x @ p["W_xh"], 3)
        both = np.concatenate([x_r + operand @ W_hr, x_z + operand @ W_hz])
        both, of_both = sums.forward(p, both, 0, 2)
        r, z = np.split(sigmoid(both), 2)
        z_n, of_n = sums.forward(p, x_n + (r * operand) @ W_hn, 2)
        n = np.tanh(z_n)
        memory = (x, h_previous, operand, r, z, n, of_both, of_n)
        return (1 - z) * n + z * h_previous, None, memory

    def backward(self, p, memory, mask, dh, dc, gradient):
        x, h_previous, operand, r, z, n, of_both, of_n = memory
        W_hr, W_hz, W_hn = np.split(p["W_hh"], 3, axis=1)
        dz_n = sums.backward(p, of_n, dh * (1 - z) * (1 - n**2), gradient)
        dz_z = dh * (h_previous - n) * z * (1 - z)
        d_gated = W_hn @ dz_n
        dz_r = d_gated * operand * r * (1 - r)
        both = sums.backward(p, of_both, np.concatenate([dz_r, dz_z]), gradient)
        dz_r, dz_z = np.split(both, 2)
        dz = np.concatenate([dz_r, dz_z, dz_n])
        gradient["W_xh"] += np.outer(x, dz)
        gradient["W_hh"] += np.hstack(
            [np.outer(operand, dz_r), np.outer(operand, dz_z), np.outer(r * operand, dz_n)]
        )
        d_operand = W_hr @ dz_r + W_hz @ dz_z + d_gated * r
        return p["W_xh"] @ dz, dh * z + mask * d_operand, None
