"""Embeddings to start from: which tokens stand near which others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from elman._arrays import Array

WINDOW = 5
CONTEXT_POWER = 0.75
STANDARD_DEVIATION = 0.1


def cooccurrence_embedding(
    steps: sparse.csr_array, offsets: NDArray[np.int64], width: int, seed: int
) -> Array:
    """Factorise the positive pointwise mutual information of tokens that stand near each other.

    Neighbours at a distance of d steps, up to `WINDOW`, count 1 / d. Contexts have probabilities
    to the power of `CONTEXT_POWER`, which tempers those of rare ones (Levy, Goldberg & Dagan,
    "Improving distributional similarity with lessons learned from word embeddings", TACL 2015,
    sections 3.1 and 3.3). The rows are the leading singular vectors times the square roots of
    their values, scaled to the standard deviation that embeddings otherwise start with.

    Parameters
    ----------
    steps : CSR array of shape (n_total_steps, n_tokens)
        What each step holds.
    offsets : ndarray of shape (n_sequences + 1,)
        Where each sequence begins.
    width : int
        Columns of the embedding.
    seed : int
        Of the randomised singular value decomposition.

    Returns
    -------
    embedding : ndarray of shape (n_tokens, width)
        The embedding; columns that the data have no rank for are zero.
    """
    information = _positive_information(_counts(steps, offsets))
    embedding = np.zeros((steps.shape[1], width))
    rank = min(width, min(information.shape) - 1)
    if rank < 1 or information.nnz == 0:
        return embedding
    left, values, _ = randomized_svd(information, rank, random_state=seed)
    embedding[:, :rank] = left * np.sqrt(values)
    deviation = embedding[:, :rank].std()
    return embedding * (STANDARD_DEVIATION / deviation) if deviation > 0 else embedding


def _counts(steps: sparse.csr_array, offsets: NDArray[np.int64]) -> sparse.csr_array:
    n_steps, n_tokens = steps.shape
    steps = steps.maximum(0)  # features may have any value; less than nothing is not seen
    sequence = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    counts = sparse.csr_array((n_tokens, n_tokens))
    for distance in range(1, min(WINDOW, n_steps - 1) + 1):
        first = np.flatnonzero(sequence[:-distance] == sequence[distance:])
        counts = counts + (steps[first].T @ steps[first + distance]) / distance
    return sparse.csr_array(counts + counts.T)


def _positive_information(counts: sparse.csr_array) -> Any:
    total = counts.sum()
    if total <= 0:
        return counts
    occurrence = np.asarray(counts.sum(axis=1)).ravel()
    context = np.maximum(occurrence, 0) ** CONTEXT_POWER
    pairs = counts.tocoo()
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.log(
            pairs.data * context.sum() / (occurrence[pairs.row] * context[pairs.col])
        )
    kept = information > 0
    return sparse.csr_matrix(
        (information[kept], (pairs.row[kept], pairs.col[kept])), shape=counts.shape
    )
