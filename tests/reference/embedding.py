"""The embedding of tokens, or of several features a step (embedding.hpp).

A step is a list of (token, value); a network with an embedding takes a list of them for x.
"""

import numpy as np


def steps_of(values, begin, end):
    """Steps of what the core takes: rows of numbers, tokens, or (first, ids, values)."""
    if isinstance(values, tuple):
        first, ids, amounts = values
        return [
            list(zip(ids[first[t] : first[t + 1]], amounts[first[t] : first[t + 1]], strict=True))
            for t in range(begin, end)
        ]
    if values.ndim == 1:
        return [[(i, 1.0)] for i in values[begin:end]]
    return values[begin:end]


def has_one_token(values):
    """Whether a step is one token: a dropped one then turns into token 0."""
    return not isinstance(values, tuple)


def drop(steps, dropout, sequence, turns_into_unknown):
    """What word dropout (Iyyer et al., 2015) leaves of the steps."""
    kept = []
    for t, tokens in enumerate(steps):
        dropped = [
            dropout.drops_token(sequence, t, place, i) for place, (i, _) in enumerate(tokens)
        ]
        if turns_into_unknown:
            kept.append([(0 if dropped[0] else tokens[0][0], tokens[0][1])])
        else:
            kept.append(
                [token for token, is_out in zip(tokens, dropped, strict=True) if not is_out]
            )
    return kept


def forward(E, steps):
    x = np.zeros((len(steps), E.shape[1]))
    for t, tokens in enumerate(steps):
        for i, value in tokens:
            x[t] += value * E[i]
    return x


def backward(steps, dx, gradient):
    """Adds dL/dE to ``gradient``."""
    for t, tokens in enumerate(steps):
        for i, value in tokens:
            gradient[i] += value * dx[t]
