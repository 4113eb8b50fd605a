"""A gradient against central differences of what it is the gradient of.

Along directions v of random signs rather than along each axis: every entry of the gradient counts
fully in each of them, so one that is off by e shows as e, for a few evaluations instead of two an
entry; several that are off would have to cancel in all directions.
"""

import numpy as np

N_DIRECTIONS = 6
STEP = 3e-7


def worst_difference(value_and_gradient, at, ignore=slice(0)):
    """Of (f(at + STEP v) - f(at - STEP v)) / (2 STEP) to v . gradient.

    Relative to the largest entry of the gradient; entries in `ignore` are left where they are.
    """
    _, gradient = value_and_gradient(at)
    directions = np.random.default_rng(0).choice([-1.0, 1.0], size=(N_DIRECTIONS, len(at)))
    directions[:, ignore] = 0
    differences = [
        value_and_gradient(at + STEP * v)[0] - value_and_gradient(at - STEP * v)[0]
        for v in directions
    ]
    worst = np.abs(np.array(differences) / (2 * STEP) - directions @ gradient).max()
    return worst / np.abs(gradient).max()
