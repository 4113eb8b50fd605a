"""Long short-term memory (Hochreiter & Schmidhuber, 1997; forget gate: Gers et al., 2000).

i, f, o = sigmoid(x_t W_x* + h_{t-1} W_h* + b_*)
g       = tanh(x_t W_xg + h_{t-1} W_hg + b_g)
c_t     = f * c_{t-1} + i * g
h_t     = o * tanh(c_t)
"""

import numpy as np

from reference import sums
from reference.functions import sigmoid


class Lstm:
    n_columns, has_cell_state, has_recurrent_bias, forget_column = 4, True, False, 1
    has_recurrent_weights = True

    def forward(self, p, x, h_previous, mask, c_previous):
        operand = mask * h_previous
        z, of_sums = sums.forward(p, x @ p["W_xh"] + operand @ p["W_hh"], 0, 4)
        z_i, z_f, z_g, z_o = np.split(z, 4)
        i, f, g, o = sigmoid(z_i), sigmoid(z_f), np.tanh(z_g), sigmoid(z_o)
        c = f * c_previous + i * g
        return o * np.tanh(c), c, (x, operand, c_previous, i, f, g, o, c, of_sums)

    def backward(self, p, memory, mask, dh, dc, gradient):
        x, operand, c_previous, i, f, g, o, c, of_sums = memory
        dc = dc + dh * o * (1 - np.tanh(c) ** 2)
        dz_i = dc * g * i * (1 - i)
        dz_f = dc * c_previous * f * (1 - f)
        dz_g = dc * i * (1 - g**2)
        dz_o = dh * np.tanh(c) * o * (1 - o)
        dz = np.concatenate([dz_i, dz_f, dz_g, dz_o])
        dz = sums.backward(p, of_sums, dz, gradient)
        gradient["W_xh"] += np.outer(x, dz)
        gradient["W_hh"] += np.outer(operand, dz)
        return p["W_xh"] @ dz, mask * (p["W_hh"] @ dz), dc * f
