"""Sums over shards: one tree, whoever holds them."""

import numpy as np
import pytest
from elman._window import SlidingWindow  # noqa: F401  (elman is there, whether dask is or not)

pytest.importorskip("distributed")

from dask.sizeof import sizeof
from elman.dask._partitions import moments
from elman.dask._shards import bounds_of, groups_of
from elman.dask._steps import Part, State, Weights, merged, subtrees, whole


def values(n):
    return np.random.RandomState(n).normal(size=(n, 100)).astype("f4")


@pytest.mark.parametrize("n_shards", [1, 2, 3, 7, 8, 13])
@pytest.mark.parametrize("n_workers", [1, 2, 3, 5, 20])
def test_the_sum_does_not_depend_on_the_workers(n_shards, n_workers):
    leaves = {(i, i + 1): value for i, value in enumerate(values(n_shards))}
    expected = whole(leaves, (0, n_shards))
    sent = [
        subtrees(
            {(i, i + 1): leaves[i, i + 1] for i in shards},
            (0, n_shards),
            (shards[0], shards[-1] + 1),
        )
        for _, shards in groups_of(n_shards, [str(i) for i in range(n_workers)])
    ]
    np.testing.assert_array_equal(whole(merged(sent), (0, n_shards)), expected)
    np.testing.assert_allclose(expected, values(n_shards).sum(axis=0), rtol=1e-4, atol=1e-5)


def test_a_worker_sends_few_sums():
    leaves = {(i, i + 1): value for i, value in enumerate(values(16))}
    assert list(subtrees(leaves, (0, 16), (0, 8))) == [(0, 8)]
    assert list(subtrees(leaves, (0, 16), (3, 10))) == [(3, 4), (4, 8), (8, 10)]


def test_a_shard_without_members_adds_nothing():
    assert whole({(0, 1): 1.0, (2, 3): 4.0}, (0, 4)) == 5.0
    assert whole({}, (0, 4)) is None


def test_every_shard_has_its_turn_and_neighbours_lie_together():
    for n_workers in (1, 2, 3, 8, 9):
        groups = groups_of(8, [str(i) for i in range(n_workers)])
        assert [s for _, shards in groups for s in shards] == list(range(8))
        sizes = [len(shards) for _, shards in groups]
        assert max(sizes) - min(sizes) <= 1


def test_shards_are_told_by_the_numbers_of_sequences_alone():
    np.testing.assert_array_equal(bounds_of(10, 4), [0, 2, 5, 7, 10])


@pytest.mark.parametrize("weighted", [False, True])
def test_moments_of_parts_are_those_of_the_whole(weighted):
    rng = np.random.RandomState(0)
    rows = rng.normal(1000.0, 0.1, size=(50, 3)) * [1, 1e-8, 1e8]
    weights = rng.uniform(size=50) if weighted else None
    expected = moments(rows, weights)
    cuts = [slice(0, 7), slice(7, 7), slice(7, 50)]
    parts = [moments(rows[cut], None if weights is None else weights[cut]) for cut in cuts]
    got = parts[0] + parts[1] + parts[2]
    np.testing.assert_allclose(got.weight, expected.weight)
    np.testing.assert_allclose(got.mean * got.largest, expected.mean * expected.largest)
    np.testing.assert_allclose(
        got.deviation * got.largest, expected.deviation * expected.largest, rtol=1e-9
    )


def test_dask_knows_how_large_things_are():
    """It places tasks, and spills what does not fit, by that."""
    gradient = np.zeros(10**6, dtype="f4")
    part = Part(0.0, 1.0, gradient, np.zeros(0, dtype=np.int64))
    for value in (part, Weights(gradient, 3), State(gradient, None, 0.1), {(0, 1): part}):
        assert 4e6 < sizeof(value) < 4.01e6
