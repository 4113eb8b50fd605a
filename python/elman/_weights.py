"""Sample weights in any of their forms, as one weight for each row of the targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import as_array, check_finite, position
from elman._exceptions import problem
from elman._sequences import Sequences, list_items

Weights = NDArray[np.float64]


def read_weights(
    sample_weight: Any,
    sequences: Sequences,
    caller: str,
    *,
    per_step: bool,
    argument: str = "sample_weight",
) -> Weights | None:
    """Read ``sample_weight``: one for each sample, or for each time step.

    Parameters
    ----------
    sample_weight : None, float, array-like of shape (n_samples,) or (n_samples, n_timesteps), \
            or list of arrays
        The weights.
    sequences : Sequences
        What they belong to.
    caller : str
        Class and method, for messages.
    per_step : bool
        Whether the targets are per time step.
    argument : str
        What the weights are called, for messages.

    Returns
    -------
    weights : ndarray of shape (n_samples,) or (n_total_steps,), or None
        None if no weights were given.
    """
    if sample_weight is None:
        return None
    weights = _rows(sample_weight, sequences, caller, per_step, argument)
    check_finite(weights, caller, argument)
    negative = np.flatnonzero(weights < 0)
    if len(negative):
        i = int(negative[0])
        fragment = f"Negative values in data passed to `{argument}`"
        got = f"the negative weight {weights[i]:g} at {position(i)} ({fragment})"
        raise ValueError(problem(caller, argument, got, "weights of at least 0"))
    if not weights.any():
        fragment = "Sample weights must contain at least one non-zero number"
        got = f"weights that are all zero ({fragment})"
        raise ValueError(problem(caller, argument, got, "at least one positive weight"))
    return weights


def _rows(
    sample_weight: Any, sequences: Sequences, caller: str, per_step: bool, argument: str
) -> Weights:
    n, lengths = len(sequences), sequences.lengths
    if isinstance(sample_weight, (int, float, np.number)) and not isinstance(sample_weight, bool):
        return np.full(int(lengths.sum()) if per_step else n, float(sample_weight))
    items = list_items(sample_weight, caller, argument)
    if items is not None:
        return _step_weights(items, sequences, caller, per_step, argument)
    array = np.array(as_array(sample_weight, caller, argument), dtype=np.float64)
    if array.shape == (n,):
        return np.repeat(array, lengths) if per_step else array
    if per_step and array.shape == (n, sequences.n_timesteps):
        rows: Weights = array[np.arange(sequences.n_timesteps) < lengths[:, None]]
        return rows
    wanted = f"({n},)" + (f" or ({n}, {sequences.n_timesteps})" if per_step else "")
    raise ValueError(problem(caller, argument, f"shape {array.shape}", f"shape {wanted}"))


def _step_weights(
    items: list[Any], sequences: Sequences, caller: str, per_step: bool, argument: str
) -> Weights:
    n = len(sequences)
    if not per_step or len(items) != n:
        wanted = f"{n} of them" if per_step else f"shape ({n},): y has no targets for each step"
        raise ValueError(problem(caller, argument, f"a list of {len(items)} arrays", wanted))
    rows = []
    for i, (item, length) in enumerate(zip(items, sequences.lengths, strict=True)):
        row = as_array(item, caller, f"{argument}[{i}]")
        if row.shape != (length,):
            got = f"shape {row.shape}"
            raise ValueError(problem(caller, f"{argument}[{i}]", got, f"shape ({length},)"))
        rows.append(row.astype(np.float64))
    return np.concatenate(rows)


def only_last_steps(weights: Weights | None, sequences: Sequences, n_steps: int) -> Weights:
    """Set the weights of all but the last ``n_steps`` steps of each sequence to zero."""
    lengths = sequences.lengths
    steps_left = np.repeat(sequences.offsets[1:], lengths) - np.arange(lengths.sum())
    counts = steps_left <= n_steps
    return counts.astype(np.float64) if weights is None else np.where(counts, weights, 0.0)


def representable(weights: Weights, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Cast weights to ``dtype``; to a mean of 1 first where their sum leaves its range."""
    result = as_they_are(weights, dtype)
    if result is not None:
        return result
    shares = weights / weights.max()
    return np.asarray(shares / shares.mean(), dtype=dtype)


def as_they_are(weights: Weights, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Cast weights to ``dtype``; None where they, or their sum, leave its range."""
    with np.errstate(over="ignore", under="ignore"):
        result = weights.astype(dtype)
        total = result.sum(dtype=dtype)
    fits = np.isfinite(total) and (result > 0).sum() == (weights > 0).sum()
    return result if fits else None
