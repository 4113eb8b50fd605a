"""Missing values that fade (GRU-D: Che et al., 2018; decay.hpp)."""

import numpy as np

PARAMETERS = ("mean", "w_x", "b_x", "W_h", "b_h")


def shapes(n_channels, n_units):
    sizes = [(n_channels,)] * 3 + [(n_channels, n_units), (n_units,)]
    return [(f"decay.{name}", size) for name, size in zip(PARAMETERS, sizes, strict=True)]


def states(n_channels):
    """What goes on from one step to the next: each channel's last value, the steps since it."""
    return [("decay.last", n_channels), ("decay.since", n_channels)]


def of(arrays):
    """The decay's arrays, without its prefix."""
    return {name: arrays[f"decay.{name}"] for name in PARAMETERS}


def forward(p, x, observed=None):
    """What the network reads of each step, what the states fade by, and what backward wants.

    Also what has been observed for the step after the last; observed is that of the first step.
    """
    is_there = ~np.isnan(x)
    last, since = np.zeros((2, len(x) + 1, x.shape[1]))
    last[0], since[0] = (p["mean"], 0) if observed is None else np.split(observed, 2)
    for t in range(len(x)):
        since[t + 1] = 1 + np.where(is_there[t], 0, since[t])
        last[t + 1] = np.where(is_there[t], x[t], last[t])
    final = np.concatenate([last[-1], since[-1]])
    last, since = last[:-1], since[:-1]
    a_x, a_h = p["w_x"] * since + p["b_x"], since @ p["W_h"] + p["b_h"]
    g_x, g_h = np.exp(-np.maximum(0, a_x)), np.exp(-np.maximum(0, a_h))
    filled = np.where(is_there, x, g_x * last + (1 - g_x) * p["mean"])
    tape = (is_there, since, last, a_x, g_x, a_h, g_h)
    return np.hstack([filled, is_there]), g_h, tape, final


def backward(p, tape, dx, dg_h, gradient):
    """dL/d(values), zero where they are missing; adds dL/dW to ``gradient``.

    The mean, which the data tell, has none. A value that is there stands in for those that are
    missing behind it.
    """
    is_there, since, last, a_x, g_x, a_h, g_h = tape
    dg_x = np.where(is_there, 0, dx[:, : since.shape[1]] * (last - p["mean"]))
    da_x = np.where(a_x > 0, -g_x * dg_x, 0)
    gradient["w_x"] += (since * da_x).sum(axis=0)
    gradient["b_x"] += da_x.sum(axis=0)
    da_h = np.where(a_h > 0, -g_h * dg_h, 0)
    gradient["W_h"] += since.T @ da_h
    gradient["b_h"] += da_h.sum(axis=0)
    dvalues, of_later = np.zeros(is_there.shape), np.zeros(is_there.shape[1])
    for t in reversed(range(len(dvalues))):
        of_later = of_later + dx[t, : len(of_later)] * np.where(is_there[t], 1, g_x[t])
        dvalues[t] = np.where(is_there[t], of_later, 0)
        of_later = np.where(is_there[t], 0, of_later)
    return dvalues
