"""Which samples an early-stopping fit keeps aside."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array
from elman._exceptions import problem

Samples = NDArray[np.int64]


def validation_split(
    n_samples: int,
    kind: str,
    fraction: float,
    random_state: np.random.RandomState,
    caller: str,
    *,
    groups: Any = None,
    stratify: Array | None = None,
) -> tuple[Samples, Samples]:
    """Split samples into those trained on and those held out.

    Parameters
    ----------
    n_samples : int
        Number of samples.
    kind : {"random", "last", "groups"}
        Any samples, the last ones in the order of X, or all samples of some groups.
    fraction : float
        Share of samples (of groups, for "groups") to hold out.
    random_state : RandomState
        Draws "random" and "groups".
    caller : str
        Class and method, for messages.
    groups : array-like of shape (n_samples,)
        Group of each sample.
    stratify : ndarray of shape (n_samples,), or None
        Classes whose shares "random" keeps.

    Returns
    -------
    training, validation : ndarray of int64
        Numbers of the samples, ascending.
    """
    from sklearn.model_selection import train_test_split

    samples = np.arange(n_samples)
    n_held_out = math.ceil(fraction * n_samples)
    if n_held_out < 2 or n_held_out >= n_samples:
        got = f"{fraction:g}, which holds out {n_held_out} of {n_samples} samples"
        expected = "2 or more, and 1 or more to train on: early_stopping needs 3 samples"
        raise ValueError(problem(caller, "validation_fraction", got, expected))
    if kind == "last":
        return samples[:-n_held_out], samples[-n_held_out:]
    if kind == "groups":
        return _split_groups(n_samples, fraction, random_state, caller, groups)
    try:
        training, validation = train_test_split(
            samples, test_size=fraction, random_state=random_state, stratify=stratify
        )
    except ValueError as error:
        got = f"{fraction:g} of {n_samples} samples ({error})"
        expected = "enough samples of each class for early_stopping"
        raise ValueError(problem(caller, "validation_fraction", got, expected)) from error
    return np.sort(training), np.sort(validation)


def _split_groups(
    n_samples: int,
    fraction: float,
    random_state: np.random.RandomState,
    caller: str,
    groups: Any,
) -> tuple[Samples, Samples]:
    if groups is None:
        expected = "the group of each sample for validation_split='groups'"
        raise ValueError(problem(caller, "groups", "None", expected))
    array = np.asarray(groups)
    if array.shape != (n_samples,):
        raise ValueError(problem(caller, "groups", f"shape {array.shape}", f"shape ({n_samples},)"))
    names, numbers = np.unique(array, return_inverse=True)
    n_held_out = math.ceil(fraction * len(names))
    if n_held_out >= len(names):
        got = f"{len(names)} groups, of which {n_held_out} would be held out"
        raise ValueError(problem(caller, "groups", got, "more of them"))
    held_out = random_state.permutation(len(names))[:n_held_out]
    is_held_out = np.isin(numbers, held_out)
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)
