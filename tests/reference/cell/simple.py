"""The simple recurrent cell (Elman, 1990).

h_t = phi(x_t W_xh + h_{t-1} W_hh + b_h)
"""

import numpy as np

from reference import sums

ACTIVATIONS = {
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "identity": (lambda z: z, np.ones_like),
}


class Simple:
    n_columns, has_cell_state, has_recurrent_bias, forget_column = 1, False, False, None
    has_recurrent_weights = True

    def __init__(self, activation):
        self.phi, self.phi_derivative = ACTIVATIONS[activation]

    def forward(self, p, x, h_previous, mask, c_previous=None):
        operand = mask * h_previous
        z, of_sums = sums.forward(p, x @ p["W_xh"] + operand @ p["W_hh"])
        return self.phi(z), None, (x, operand, z, of_sums)

    def backward(self, p, memory, mask, dh, dc, gradient):
        x, operand, z, of_sums = memory
        dz = sums.backward(p, of_sums, dh * self.phi_derivative(z), gradient)
        gradient["W_xh"] += np.outer(x, dz)
        gradient["W_hh"] += np.outer(operand, dz)
        return p["W_xh"] @ dz, mask * (p["W_hh"] @ dz), None
