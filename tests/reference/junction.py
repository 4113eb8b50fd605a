"""What stands behind a layer: directions merged, its input added, dropout (junction.hpp).

States, inputs and masks are arrays of one row for each vector that the layer hands on.
"""

import numpy as np


def merge(mode, states):
    if mode == "concat" or len(states) == 1:
        return np.hstack(states)
    f, r = states
    return {"sum": f + r, "mean": (f + r) / 2, "mul": f * r}[mode]


def split(mode, dy, states):
    """dL/d(each direction's states)."""
    if mode == "concat" or len(states) == 1:
        return np.split(dy, len(states), axis=1)
    f, r = states
    return {"sum": [dy, dy], "mean": [dy / 2, dy / 2], "mul": [dy * r, dy * f]}[mode]


def picked(rows, part, n_parts, every_step):
    """Columns of a part, at each step or where its direction's last state stands."""
    n = rows.shape[1] // n_parts
    rows = rows if every_step else rows[[-1, 0][part]][None]
    return rows[:, part * n :][:, :n]


def spread(rows, part, n_steps, every_step):
    """Rows at each step from those that were picked; zero elsewhere."""
    if every_step:
        return rows
    at_each = np.zeros((n_steps, rows.shape[1]))
    at_each[[-1, 0][part]] = rows[0]
    return at_each
