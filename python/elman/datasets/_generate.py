"""Generated time series."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state


def generate_time_series(
    batch_size: int,
    n_steps: int,
    random_state: int | np.random.RandomState | None = None,
) -> NDArray[np.float32]:
    """Generate univariate time series: two sine waves and noise.

    Each series is the sum of two waves of its own frequencies and offsets and of uniform
    noise, over the time t from 0 to 1:

        0.5 sin((t - o1) (10 f1 + 10)) + 0.2 sin((t - o2) (20 f2 + 20)) + 0.1 (noise - 0.5)

    where f1, f2, o1 and o2 of each series and the noise of each step are drawn uniformly
    from [0, 1).

    Parameters
    ----------
    batch_size : int
        Number of series.
    n_steps : int
        Number of time steps of each series.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same series at every call.

    Returns
    -------
    series : ndarray of shape (batch_size, n_steps, 1), dtype float32
        The series.

    Raises
    ------
    ValueError
        If `batch_size` or `n_steps` is not a positive integer.

    References
    ----------
    A. Géron, "Hands-On Machine Learning with Scikit-Learn, Keras, and TensorFlow", 2nd
    edition, chapter 15, O'Reilly, 2019.

    Examples
    --------
    >>> from elman.datasets import generate_time_series
    >>> series = generate_time_series(10000, 51, random_state=0)
    >>> series.shape
    (10000, 51, 1)
    >>> X_train, y_train = series[:7000, :50], series[:7000, -1]
    """
    for name, size in (("batch_size", batch_size), ("n_steps", n_steps)):
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise ValueError(
                f"generate_time_series: {name} got {size!r}, expected a positive integer"
            )
    rng = check_random_state(random_state)
    f1, f2, o1, o2 = rng.uniform(size=(4, batch_size, 1))
    noise = rng.uniform(size=(batch_size, n_steps))
    t = np.linspace(0, 1, n_steps)
    series = 0.5 * np.sin((t - o1) * (10 * f1 + 10))
    series += 0.2 * np.sin((t - o2) * (20 * f2 + 20))
    series += 0.1 * (noise - 0.5)
    return np.asarray(series[:, :, np.newaxis], dtype=np.float32)
