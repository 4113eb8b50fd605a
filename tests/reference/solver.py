"""Solvers: from a gradient g and their moments to the change of the weights (solver.hpp).

The number t of the update counts from 1.
"""

from dataclasses import dataclass

import numpy as np


@dataclass
class Sgd:
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    n_moments = 1

    def change(self, g, moments, eta, t):
        moments[0] = self.momentum * moments[0] - eta * g
        return self.momentum * moments[0] - eta * g if self.nesterovs_momentum else moments[0]


@dataclass
class Rmsprop:
    """Hinton, 2012."""

    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_moments = 1

    def change(self, g, moments, eta, t):
        moments[0] = self.beta_2 * moments[0] + (1 - self.beta_2) * g**2
        return -eta * g / (np.sqrt(moments[0]) + self.epsilon)


@dataclass
class Adam:
    """Kingma & Ba, 2015."""

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_moments = 2

    def update_moments(self, g, moments):
        moments[0] = self.beta_1 * moments[0] + (1 - self.beta_1) * g
        moments[1] = self.beta_2 * moments[1] + (1 - self.beta_2) * g**2

    def change(self, g, moments, eta, t):
        self.update_moments(g, moments)
        rate = eta * np.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        return -rate * moments[0] / (np.sqrt(moments[1]) + self.epsilon)


class Nadam(Adam):
    """Dozat, 2016."""

    def change(self, g, moments, eta, t):
        self.update_moments(g, moments)
        b1, b2 = self.beta_1, self.beta_2
        m = b1 * moments[0] / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        return -eta * m / (np.sqrt(moments[1] / (1 - b2**t)) + self.epsilon)


SOLVERS = {"sgd": Sgd, "rmsprop": Rmsprop, "adam": Adam, "adamw": Adam, "nadam": Nadam}
