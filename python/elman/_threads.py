"""How many threads a call may use."""

from __future__ import annotations

import os
from functools import lru_cache

from joblib import cpu_count, parallel

from elman._exceptions import problem

MOST_THREADS = 64


def effective_n_threads(n_jobs: int | None, caller: str) -> int:
    """Turn ``n_jobs`` into a number of threads; results never depend on it.

    Parameters
    ----------
    n_jobs : int or None
        None: every core that this process may use (its affinity, the container's quota and
        `threadpoolctl.threadpool_limits` are obeyed), or one inside a joblib worker. A negative
        number counts from the end: -1 is every core, -2 all but one.
    caller : str
        Class and method, for the message.

    Returns
    -------
    n_threads : int
        At least 1, and never more than ``ELMAN_NUM_THREADS`` if that is set.
    """
    if n_jobs == 0:
        raise ValueError(problem(caller, "n_jobs", 0, "None or an integer other than 0"))
    cores = _usable_cores()
    if n_jobs is None:
        wanted = 1 if _is_joblib_worker() else min(cores, _openmp_limit())
    else:
        wanted = n_jobs if n_jobs > 0 else cores + 1 + n_jobs
    return max(1, min(wanted, max(MOST_THREADS, cores), _environment_limit()))


def _usable_cores() -> int:
    """Cores that the affinity and the container's quota leave; the quota is read once."""
    try:
        affinity = len(os.sched_getaffinity(0))
    except AttributeError:
        affinity = os.cpu_count() or 1
    return _counted_cores(os.getpid(), affinity, os.environ.get("LOKY_MAX_CPU_COUNT"))


@lru_cache(maxsize=8)
def _counted_cores(process: int, affinity: int, limit: str | None) -> int:
    return int(cpu_count())


def _is_joblib_worker() -> bool:
    backend, _ = parallel.get_active_backend()
    return bool(getattr(backend, "nesting_level", 0))


def _openmp_limit() -> int:
    try:
        from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
    except ImportError:
        return MOST_THREADS
    return int(_openmp_effective_n_threads(only_physical_cores=False))


def _environment_limit() -> int:
    text = os.environ.get("ELMAN_NUM_THREADS")
    if not text:
        return MOST_THREADS
    if not text.isdigit() or int(text) == 0:
        raise ValueError(f"ELMAN_NUM_THREADS: got {text!r}, expected a positive integer")
    return int(text)
