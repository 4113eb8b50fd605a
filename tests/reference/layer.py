"""A cell over time, forwards or backwards in time, on one sequence; its BPTT (layer.hpp)."""

import numpy as np


def forward(cell, p, x, h, c, mask, reverse, is_missing, fading, branch_step):
    """States at each step, what backward wants of each step, and the final states.

    A step that is missing hands on the states as they are; before a step h fades. Steps from
    branch_step on, unless that is 0, all start from the states before it.
    """
    outputs, memories = np.empty((len(x), len(mask))), [None] * len(x)
    for t in reversed(range(len(x))) if reverse else range(len(x)):
        if branch_step and t == branch_step:
            branch = h, c
        if branch_step and t >= branch_step:
            h, c = branch
        if not is_missing[t]:
            before = h
            h, c, memory = cell.forward(p, x[t], fading[t] * h, mask, c)
            memories[t] = (memory, before, fading[t])
        outputs[t] = h
    return outputs, memories, h, c


def backward(
    cell, p, memories, dy, mask, reverse, bptt_steps, n_inputs, gradient, dh, dc, branch_step
):
    """dL/dx, dL/d(fading), dL/dh and dL/dc before the first step; adds dL/dW to ``gradient``.

    dy is dL/dh at each step; dh and dc are what flows into the final states from elsewhere.

    With truncation (Williams & Peng, 1990) the gradient stops wherever the number of steps up to
    the end of the sequence is a multiple of bptt_steps.
    """
    n_steps, dx = len(memories), [None] * len(memories)
    dfading = np.zeros((n_steps, len(mask)))
    branch = [np.zeros(len(mask)), np.zeros(len(mask))]
    for to_end, t in enumerate(range(n_steps) if reverse else reversed(range(n_steps)), start=1):
        if t + 1 == branch_step:
            dh, dc = dh + branch[0], dc + branch[1]
        if memories[t] is None:
            dx[t], dh = np.zeros(n_inputs), dy[t] + dh
        else:
            memory, before, fading = memories[t]
            dx[t], dh, dc = cell.backward(p, memory, mask, dy[t] + dh, dc, gradient)
            dfading[t] = dh * before
            dh = dh * fading
        if branch_step and t >= branch_step:
            branch = [branch[0] + dh, branch[1] + (0.0 if dc is None else dc)]
            dh, dc = np.zeros(len(mask)), np.zeros(len(mask))
        if bptt_steps and to_end % bptt_steps == 0:
            dh, dc = np.zeros(len(mask)), np.zeros(len(mask))
    return np.array(dx), dfading, dh, dc
