"""Bounds of intervals from errors in order: how many there are, and how far they overlap."""

import numpy as np
import pytest
from elman._conformal import Calibration
from elman._error_bounds import bounds_of, degrees_of_freedom, widened
from scipy.stats import t


@pytest.mark.parametrize("n", [10, 12, 18])
@pytest.mark.parametrize("draw", ["uniform", "standard_normal", "standard_cauchy"])
def test_few_errors_cover_on_average_what_is_asked_for(n, draw):
    """The share that 20,000 sets of errors cover, where the next error covers up to 0.95."""
    rng = np.random.default_rng(n)
    errors, next_one = (np.abs(getattr(rng, draw)(size=size)) for size in ((20_000, n), 20_000))
    ascending, n_errors = np.sort(errors, axis=1), np.full(20_000, n)
    inside, at_least = (
        (next_one <= bounds_of(ascending, n_errors, np.array([0.9]), between)[:, 0]).mean()
        for between in (True, False)
    )
    noise = 4 * np.sqrt(0.09 / 20_000)
    assert 0.9 - noise < inside < 0.92 + noise
    assert inside < at_least


def walks(n_walks, n_origins, horizon):
    """Errors of the last value of random walks from origins one after the other, and the next."""
    rng = np.random.default_rng(1)
    steps = rng.normal(size=(n_walks, n_origins + 2 * horizon - 1))
    y = np.concatenate([np.zeros((n_walks, 1)), steps.cumsum(axis=1)], axis=1)
    known = n_origins + horizon
    paths = np.full((n_walks, known - 1, horizon), np.nan)
    for origin in range(known - 1):
        ahead = y[:, origin + 1 : min(origin + 1 + horizon, known)]
        paths[:, origin, : ahead.shape[1]] = ahead - y[:, [origin]]
    return paths, y[:, known : known + horizon] - y[:, [known - 1]]


def test_errors_that_overlap_cover_what_is_asked_for():
    """Of a last value of random walks, up to 24 steps ahead: without what is allowed for, and with.

    Twenty origins tell of the last step.
    """
    paths, truth = walks(2000, n_origins=20, horizon=24)
    ages = np.arange(paths.shape[1], 0, -1)
    covered = {}
    for are_few in (False, True):
        bounds = [
            Calibration(path, 1, ages=ages, are_few=are_few).bounds(np.array([0.9]))[:, 0]
            for path in paths
        ]
        covered[are_few] = np.mean(np.abs(truth) <= bounds, axis=0)
    assert covered[False][11] < 0.85
    assert covered[False][23] < 0.8
    assert (covered[True] > 0.88).all()
    assert (covered[True] < 0.94).all()


@pytest.mark.parametrize(
    ("n", "spacing", "steps"), [(20, 1, [1, 4, 24]), (7, 12, [12, 13, 30]), (2, 1, [2])]
)
def test_degrees_of_freedom_are_those_of_sums_of_independent_steps(n, spacing, steps):
    """The mean of n squares varies as much as that of so many: 2 / v, from the correlations."""
    found = degrees_of_freedom(np.full(max(steps), n), 1, spacing)
    for step in steps:
        starts = spacing * np.arange(n)
        shared = np.maximum(step - np.abs(starts[:, None] - starts), 0) / step
        expected = n**2 / np.sum(shared**2)
        np.testing.assert_allclose(found[step - 1], min(max(expected, 3), n))
    assert (np.diff(found) <= 0).all()


def test_degrees_of_freedom_add_up_over_series():
    one = degrees_of_freedom(np.full(6, 40), 1, 1)
    np.testing.assert_allclose(degrees_of_freedom(np.full(6, 80), 2, 1), 2 * one)
    np.testing.assert_allclose(degrees_of_freedom(np.full(6, 40), 1, 6), 40)


def test_a_bound_is_the_largest_of_the_steps_before():
    """By plain loops over steps and ranks."""
    rng = np.random.default_rng(2)
    n_errors, n_independent = np.array([9, 8, 5]), np.array([9.0, 5.5, 3.0])
    errors = np.sort(rng.exponential(size=(3, 9)), axis=1)
    for step, n in enumerate(n_errors):
        errors[step, n:] = np.nan
    got = widened(errors, n_errors, n_independent)
    for step, n in enumerate(n_errors):
        for rank in range(1, n + 1):
            coverage = rank / (n + 1)
            each = [
                np.interp(
                    min(coverage * (n_errors[nearer] + 1), n_errors[nearer]),
                    np.arange(n_errors[nearer] + 1),
                    [0.0, *errors[nearer, : n_errors[nearer]]],
                )
                * t.ppf((1 + coverage) / 2, n_independent[nearer])
                / t.ppf((1 + coverage) / 2, n_errors[nearer])
                for nearer in range(step + 1)
            ]
            np.testing.assert_allclose(got[step, rank - 1], max(each), rtol=1e-12)
        assert (got[step, n:] == 0).all()
        assert (np.diff(got[step, :n]) >= 0).all()


def test_errors_that_do_not_overlap_and_grow_stay_as_they_are():
    errors = np.sort(np.random.default_rng(3).random((1, 12)), axis=1) * [[1], [2], [3]]
    n_errors = np.full(3, 12)
    np.testing.assert_array_equal(widened(errors, n_errors, n_errors.astype(float)), errors)
