"""What each step of a decoder reads of an encoder's outputs (attention.hpp).

Bahdanau et al., 2015; Luong et al., 2015.
"""

import numpy as np


def shapes(score, memory_width, query_width):
    general = [("W_m", (memory_width, query_width))]
    additive = [("b_m", (query_width,)), ("W_q", (query_width, query_width)), ("v", (query_width,))]
    of_score = {"dot": [], "general": general, "additive": general + additive}[score]
    combine = [("W_c", (memory_width + query_width, query_width)), ("b_c", (query_width,))]
    return of_score + combine


def forward(score, p, memory, queries):
    """o (n_queries, query_width), the shares a, and what backward wants."""
    keys, hidden = memory, None
    if score != "dot":
        keys = memory @ p["W_m"]
    if score == "additive":
        hidden = np.tanh((queries @ p["W_q"])[:, None] + keys + p["b_m"])
        scores = hidden @ p["v"]
    else:
        scores = queries @ keys.T
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    joined = np.hstack([shares @ memory, queries])
    o = np.tanh(joined @ p["W_c"] + p["b_c"])
    return o, shares, (memory, queries, keys, hidden, shares, joined, o)


def backward(score, p, tape, do, gradient):
    """dL/d(memory) and dL/d(queries); adds dL/dW to ``gradient``."""
    memory, queries, keys, hidden, shares, joined, o = tape
    dz = do * (1 - o**2)
    gradient["W_c"] += joined.T @ dz
    gradient["b_c"] += dz.sum(axis=0)
    dcontexts, dqueries = np.split(dz @ p["W_c"].T, [memory.shape[1]], axis=1)
    dmemory = shares.T @ dcontexts
    dshares = dcontexts @ memory.T
    dscores = shares * (dshares - (shares * dshares).sum(axis=1, keepdims=True))
    if score == "additive":
        gradient["v"] += np.einsum("jt,jtu->u", dscores, hidden)
        dhidden = dscores[:, :, None] * p["v"] * (1 - hidden**2)
        dprojected, dkeys = dhidden.sum(axis=1), dhidden.sum(axis=0)
        gradient["W_q"] += queries.T @ dprojected
        gradient["b_m"] += dkeys.sum(axis=0)
        dqueries = dqueries + dprojected @ p["W_q"].T
    else:
        dqueries = dqueries + dscores @ keys
        dkeys = dscores.T @ queries
    if score == "dot":
        return dmemory + dkeys, dqueries
    gradient["W_m"] += memory.T @ dkeys
    return dmemory + dkeys @ p["W_m"].T, dqueries
