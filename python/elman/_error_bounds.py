"""From errors in order of size to the bounds of intervals.

Of n errors that are exchangeable with the one to come, that one is at most the k-th smallest with a
probability of k / (n + 1). So an interval of coverage c reaches as far as the error of rank
(n + 1) c, between two of them by a straight line.

Errors of a few short series are not exchangeable with it: they come from origins whose futures
overlap. Where errors h steps ahead from origins g steps apart are sums of h independent steps, as
those of a random walk are, the j-th next shares a part r_j of an error, and the mean of n squares
varies as much as that of v independent ones:

    r_j = max(1 - |j| g / h, 0),    v = n^2 / sum over |j| < n of (n - |j|) r_j^2

(Bartlett, 1946; degrees of freedom as of Satterthwaite, 1946). Errors that are normal and of
unknown variance stay within t_v, the quantile of Student's t with v degrees of freedom, where n
that are independent stay within t_n. And what comes further ahead is less known than what comes
before, so bounds do not shrink with the horizon:

    bound(h, c) = max over l <= h of t_v(l) / t_n(l) error(l, c),    t at (1 + c) / 2

where error(l, c) is as above. With fewer than three degrees of freedom t has no variance: v is
three at least.

References
----------
Bartlett, M. S. "On the theoretical specification and sampling properties of autocorrelated
time-series." Supplement to the Journal of the Royal Statistical Society 8(1), 1946.
Satterthwaite, F. E. "An approximate distribution of estimates of variance components."
Biometrics Bulletin 2(6), 1946.
"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

from elman._calendar import Integers
from elman._panel_rows import Floats

FEWEST_DEGREES = 3.0


def bounds_of(
    errors: Floats, n_errors: Integers, coverage: Floats, interpolates: bool = True
) -> Floats:
    """Errors of the ranks that coverages ask for; none before the first, the last one at most.

    Parameters
    ----------
    errors : ndarray of shape (horizon, n_most)
        Those of each step, ascending, at least those of the ranks next to `ranks_of`.
    n_errors : ndarray of int64 of shape (horizon,)
        How many of each step are known.
    coverage : ndarray of shape (n_levels,) or (n_points, horizon, n_levels)
        Coverages of intervals.
    interpolates : bool, default=True
        Whether a bound may lie between two errors.

    Returns
    -------
    bounds : ndarray of shape (horizon, n_levels) or (n_points, horizon, n_levels)
        How far intervals reach on either side.
    """
    ranks = ranks_of(n_errors, coverage, interpolates)
    below, steps = np.floor(ranks).astype(np.int64), np.arange(len(errors))[:, None]
    lower = np.where(below > 0, errors[steps, np.maximum(below, 1) - 1], 0.0)
    upper = errors[steps, np.minimum(below + 1, n_errors[:, None]) - 1]
    return np.asarray(lower + (ranks - below) * (upper - lower))


def ranks_of(n_errors: Integers, coverage: Floats, interpolates: bool = True) -> Floats:
    """Ranks of the errors, from 1, that bound intervals; as of `bounds_of`, and of its shape."""
    ranks = (n_errors[:, None] + 1) * coverage
    whole = np.rint(ranks)
    ranks = np.where(np.abs(ranks - whole) < 1e-9, whole, ranks)  # of 1 - 0.1, say
    if not interpolates:
        ranks = np.maximum(np.ceil(ranks), 1)
    return np.minimum(ranks, n_errors[:, None])


def widened(errors: Floats, n_errors: Integers, n_independent: Floats) -> Floats:
    """Bounds in the place of the errors whose ranks they have, where these overlap.

    Parameters
    ----------
    errors : ndarray of shape (horizon, n_most)
        Those of each step, ascending; what is behind the last one of a step does not count.
    n_errors : ndarray of int64 of shape (horizon,)
        How many of each step are known.
    n_independent : ndarray of shape (horizon,)
        As many as that if they were independent, see `degrees_of_freedom`.

    Returns
    -------
    bounds : ndarray of shape (horizon, n_most)
        To be asked by `bounds_of` as errors are; zero behind the last one of a step.
    """
    bounds = np.zeros_like(errors)
    for step, n in enumerate(n_errors.tolist()):
        coverage, nearer = np.arange(1, n + 1) / (n + 1), slice(step + 1)
        place = (1 + coverage) / 2
        allowance = stdtrit(n_independent[nearer, None], place)
        allowance /= stdtrit(n_errors[nearer, None], place)
        of_steps = allowance * bounds_of(errors[nearer], n_errors[nearer], coverage)
        bounds[step, :n] = of_steps.max(axis=0)
    return bounds


def degrees_of_freedom(n_errors: Integers, n_series: int, spacing: int) -> Floats:
    """How many independent errors tell as much as those whose futures overlap.

    Parameters
    ----------
    n_errors : ndarray of int64 of shape (horizon,)
        Errors of each step, of all series.
    n_series : int
        Series, which tell independently of each other.
    spacing : int
        Times from one origin to the next.

    Returns
    -------
    n_independent : ndarray of shape (horizon,)
        Three at least, as far as there are as many errors.
    """
    found = np.empty(len(n_errors))
    for step, n in enumerate(np.maximum(n_errors // n_series, 1).tolist()):
        apart = np.arange(1 - n, n)
        shared = np.maximum(1 - np.abs(apart) * spacing / (step + 1), 0)
        found[step] = n_series * n**2 / np.sum((n - np.abs(apart)) * shared**2)
    return np.minimum(np.maximum(found, FEWEST_DEGREES), n_errors)
