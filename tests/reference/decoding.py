"""Beam search, step by step on one sequence (decoding.hpp)."""

import numpy as np


def log_softmax(a):
    return a - a.max() - np.log(np.sum(np.exp(a - a.max())))


def translate(model, flat, x, stop, max_length, beam_width=1, length_penalty=0.0):
    """The best tokens and their score (Wu et al., 2016, eq. 14)."""
    states, memory, _ = model.encode(flat, x)
    live, ended = [((), 0.0, states)], []

    def score(log_p, length):
        return log_p / ((5 + length) / 6) ** length_penalty

    for length in range(1, max_length + 1):
        candidates = []
        for tokens, log_p, states in live:
            last = tokens[-1] + 1 if tokens else 0
            y, _, states, _ = model.decode(flat, states, memory, [[(last, 1.0)]])
            for token, log_p_of_token in enumerate(log_softmax(y[0])):
                candidates.append((log_p + log_p_of_token, tokens, token, states))
        candidates.sort(key=lambda candidate: -candidate[0])
        live = []
        for rank, (log_p, tokens, token, states) in enumerate(candidates[: 2 * beam_width]):
            if len(live) == beam_width:
                break
            if token != stop:
                live.append(((*tokens, token), log_p, states))
            elif rank < beam_width:
                ended.append((score(log_p, length), tokens))
        if length == max_length:
            ended += [(score(log_p, length), tokens) for tokens, log_p, _ in live]
        if len(ended) >= beam_width:
            break
    best, tokens = max(ended, key=lambda some: some[0])
    return list(tokens), best


def generate(model, flat, x, n_steps, n_values):
    """Values step by step, each read by the next step, until one is the last."""
    states, memory, _ = model.encode(flat, x)
    values = [np.zeros(n_values)]
    for _ in range(n_steps):
        y, _, states, _ = model.decode(flat, states, memory, values[-1][None])
        values.append(y[0, :n_values])
        if len(y[0]) > n_values and y[0, n_values] > 0:
            break
    return np.array(values[1:])
