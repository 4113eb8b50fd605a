"""Simple fills, shapes of gaps and pieces of series, against what plain loops say."""

from itertools import pairwise

import numpy as np
import pytest
from elman._fills import Fills, seasonal_waves
from elman._gaps import GapShapes, gap_lengths, gap_shapes
from elman._pieces import PieceDraws, covering_pieces, joined
from elman._regression_fill import fitted_regression
from elman._spread import fitted_spread

RNG = np.random.RandomState(0)
LENGTHS = [7, 1, 12, 3]
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
VALUES = RNG.randn(OFFSETS[-1], 3)
VALUES[RNG.random_sample(VALUES.shape) < 0.6] = np.nan
VALUES[OFFSETS[2] : OFFSETS[3], 1] = np.nan
SERIES = [slice(a, b) for a, b in pairwise(OFFSETS)]


def columns():
    """Each channel of each series, with its rows and the number of the channel."""
    for rows in SERIES:
        for channel in range(3):
            yield VALUES[rows, channel], rows, channel


def test_linear_interpolation_is_numpy_s():
    linear = Fills(VALUES, OFFSETS).linear
    for x, rows, channel in columns():
        there = np.flatnonzero(~np.isnan(x))
        expected = np.interp(np.arange(len(x)), there, x[there]) if len(there) else np.zeros(len(x))
        np.testing.assert_allclose(linear[rows, channel], expected, atol=1e-12)
    observed = ~np.isnan(VALUES)
    assert np.array_equal(linear[observed], VALUES[observed])


def test_last_and_next_values_and_how_far_away_they_are():
    fills = Fills(VALUES, OFFSETS)
    since, until = fills.steps
    for x, rows, channel in columns():
        there = np.flatnonzero(~np.isnan(x))
        for t in range(len(x)):
            before, after = there[there <= t], there[there >= t]
            assert since[rows, channel][t] == (t - before[-1] if len(before) else len(x))
            assert until[rows, channel][t] == (after[0] - t if len(after) else len(x))
            if not len(there):
                assert fills.last[rows, channel][t] == fills.next[rows, channel][t] == 0
                continue
            last = before[-1] if len(before) else after[0]
            next_ = after[0] if len(after) else before[-1]
            assert fills.last[rows, channel][t] == x[last]
            assert fills.next[rows, channel][t] == x[next_]


def test_means_of_what_is_observed():
    center = Fills(VALUES, OFFSETS).center
    for x, rows, channel in columns():
        expected = 0 if np.isnan(x).all() else np.nanmean(x)
        np.testing.assert_allclose(center[rows, channel], expected, atol=1e-12)


@pytest.mark.parametrize("steps", [-5, -1, 2, 100])
def test_fills_of_other_steps_of_the_same_series(steps):
    fills = Fills(VALUES, OFFSETS)
    away = fills.away(steps)
    for rows in SERIES:
        linear = fills.linear[rows]
        for t in range(len(linear)):
            there = t + steps if 0 <= t + steps < len(linear) else t
            assert np.array_equal(away[rows][t], linear[there])


def test_waves_have_the_season_s_length():
    waves = seasonal_waves(np.arange(-24, 24), 24, np.float64)
    assert waves.shape == (48, 4)
    np.testing.assert_allclose(waves[:24], waves[24:], atol=1e-12)
    np.testing.assert_allclose(waves.T @ waves, 24 * np.eye(4), atol=1e-9)
    assert seasonal_waves(np.arange(5), None, np.float32).shape == (5, 0)
    assert seasonal_waves(np.arange(5), 2, np.float32).shape == (5, 2)


def test_lengths_of_gaps():
    lengths = []
    for channel in range(3):
        for rows in SERIES:
            text = "".join("x" if missing else " " for missing in np.isnan(VALUES[rows, channel]))
            lengths += [len(gap) for gap in text.split()]
    assert gap_lengths(np.isnan(VALUES), OFFSETS).tolist() == lengths


def removed(kind, n_windows=200, length=48, n_channels=5):
    """Gaps of one shape, as the mask of windows that stand one after another."""
    rng = np.random.RandomState(1)
    is_missing = np.zeros((n_windows, length, n_channels), bool)
    for window in is_missing:
        start = rng.randint(length - 12)
        if kind == "points":
            window[rng.random_sample(window.shape) < 0.3] = True
        elif kind == "runs":
            window[start : start + 12, rng.randint(n_channels)] = True
        else:
            window[start : start + 12, :4] = True
    return is_missing.reshape(-1, n_channels), np.arange(0, n_windows * length + 1, length)


@pytest.mark.parametrize("kind", ["points", "runs", "blocks"])
def test_shapes_are_told_by_the_gaps_of_the_data(kind):
    shapes = gap_shapes("auto", *removed(kind), 48)
    assert getattr(shapes, kind) > 0.6
    assert min(shapes.points, shapes.runs, shapes.blocks) >= 0.099
    if kind != "points":
        assert shapes.length == (4, 12)
    if kind == "blocks":
        assert shapes.width == (4, 4)


def test_gaps_that_have_met_are_shorter_ones():
    rng = np.random.RandomState(0)
    is_missing = np.zeros((9600, 5), bool)
    for start in rng.randint(9600 - 6, size=1100):
        is_missing[start : start + 6] = True
    offsets = np.arange(0, 9601, 48)
    assert is_missing.mean() == pytest.approx(0.5, abs=0.02)
    assert np.quantile(gap_lengths(is_missing, offsets), 0.9) == 13
    assert gap_shapes("auto", is_missing, offsets, 48).length[1] == 9


def test_too_few_gaps_tell_nothing():
    is_missing, offsets = removed("runs", n_windows=20)
    shapes = gap_shapes("auto", is_missing, offsets, 48)
    assert shapes == GapShapes(1 / 3, 1 / 3, 1 / 3, (4, 12), (2, 5))
    assert gap_shapes("auto", is_missing & False, offsets, 48).length == (6, 40)


def test_shapes_that_are_given():
    data = removed("points")
    shapes = gap_shapes("runs", *data, 48)
    assert shapes.runs == pytest.approx(0.8)
    assert shapes.length == (6, 40)
    given = {"points": 1, "blocks": 3, "length": (2, 90), "width": 2}
    assert gap_shapes(given, *data, 48) == GapShapes(0.25, 0, 0.75, (2, 48), (2, 2))
    one_channel = gap_shapes({"blocks": 1}, data[0][:, :1], data[1], 48)
    assert (one_channel.runs, one_channel.blocks) == (1, 0)


def gaps_of(shapes, n_windows=300, length=20, n_channels=4):
    is_observed = RNG.random_sample((n_windows * length, n_channels)) < 0.999
    offsets = np.arange(0, n_windows * length + 1, length)
    is_hidden = shapes.hide(is_observed, offsets, np.random.RandomState(0))
    assert not (is_hidden & ~is_observed).any()
    return (is_hidden | ~is_observed).reshape(n_windows, length, n_channels)


def test_runs_are_stretches_of_channels():
    hidden = gaps_of(GapShapes(0, 1, 0, (3, 6), (1, 1)))
    n_edges = np.abs(np.diff(hidden.astype(int), axis=1, prepend=0, append=0)).sum(axis=1)
    assert (n_edges <= 2).mean() > 0.98  # some values were missing before
    lengths = hidden.sum(axis=1)
    assert set(np.unique(lengths[lengths > 1])) >= {3, 4, 5, 6}
    assert lengths.max() <= 7
    assert hidden.any(axis=(1, 2)).all()


def test_blocks_are_stretches_of_several_channels():
    hidden = gaps_of(GapShapes(0, 0, 1, (4, 4), (3, 3)))
    at_once = hidden.sum(axis=2)
    assert (at_once >= 3).any(axis=1).all()
    assert np.isin(at_once, [0, 3, 4]).mean() > 0.98
    assert 0.15 < hidden.mean() < 0.55


def test_points_are_spread_everywhere():
    hidden = gaps_of(GapShapes(1, 0, 0, (1, 1), (1, 1)))
    np.testing.assert_allclose(hidden.mean(axis=(0, 1)), 0.22, atol=0.03)


def test_something_is_always_hidden():
    shapes = GapShapes(1, 0, 0, (1, 1), (1, 1))
    for seed in range(20):
        is_hidden = shapes.hide(
            np.array([[True], [False]]), np.array([0, 2]), np.random.RandomState(seed)
        )
        assert is_hidden.tolist() == [[True], [False]]


@pytest.mark.parametrize("window", [1, 2, 5, 8, 100])
def test_pieces_cover_series_and_every_inner_row_is_inside_of_one(window):
    offsets = np.array([0, 30, 31, 40, 48])
    pieces = covering_pieces(offsets, window)
    assert set(pieces.rows) == set(range(48))
    assert (pieces.lengths <= window).all()
    series = np.searchsorted(offsets, pieces.starts, side="right") - 1
    assert (pieces.starts + pieces.lengths <= offsets[series + 1]).all()
    for row in range(window, 30 - window):
        margin = np.minimum(row - pieces.starts, pieces.starts + pieces.lengths - 1 - row)
        assert margin.max() >= (window - 1) // 4


def test_what_pieces_agree_on_is_joined_as_it_is():
    offsets = np.array([0, 30, 31])
    pieces = covering_pieces(offsets, 8)
    values = RNG.randn(31, 2)
    np.testing.assert_allclose(joined(values[pieces.rows], pieces, 31), values, rtol=1e-12)
    some = pieces.take(np.array([0]))
    assert not joined(values[some.rows], some, 31)[8:].any()


def test_draws_take_every_series_in_turn_and_begin_anywhere():
    offsets = np.array([0, 40, 44, 54])
    has_value = np.arange(54) // 4 != 10  # the second series is empty
    draws = PieceDraws(offsets, 10, has_value, np.random.RandomState(0))
    pieces = draws.draw(500)
    assert set(pieces.starts) == {*range(31), 44}
    assert (pieces.lengths == 10).all()
    first = np.sort(pieces.starts[:5])
    assert (first[:4] < 40).all()
    assert first[4] == 44


def test_every_piece_has_a_value():
    has_value = np.arange(1000) == 700
    pieces = PieceDraws(np.array([0, 1000]), 10, has_value, np.random.RandomState(0)).draw(200)
    assert set(pieces.starts) == set(range(691, 701))


def linear_system(n_windows=60, length=30):
    """Two channels of which the third is a sum, and a season; with gaps."""
    rng = np.random.RandomState(3)
    walks = rng.randn(n_windows, length, 2).cumsum(axis=1)
    season = np.sin(2 * np.pi * np.arange(length) / 6)
    third = 2 * walks[..., :1] - walks[..., 1:] + 3 * season[:, None]
    values = np.concatenate([walks, third], axis=2).reshape(-1, 3)
    offsets = np.arange(0, n_windows * length + 1, length)
    is_hidden = GapShapes(0.5, 0.5, 0, (3, 8), (1, 1)).hide(values == values, offsets, rng)
    fills = Fills(np.where(is_hidden, np.nan, values), offsets)
    return fills, np.tile(np.arange(length), n_windows), values, is_hidden


def test_a_channel_that_others_tell_is_filled_by_them():
    _, positions, values, is_hidden = linear_system()
    is_hidden[:, :2] = False
    fills = Fills(np.where(is_hidden, np.nan, values), np.arange(0, 1801, 30))
    regression = fitted_regression(fills, positions, values, is_hidden, 6)
    filled = regression.fill(fills, positions)
    assert np.array_equal(filled[~is_hidden], values[~is_hidden])

    def error_of(estimates):
        return np.abs(estimates - values)[is_hidden].mean()

    assert error_of(filled) < 0.02 * error_of(fills.linear)


def test_standard_deviations_grow_with_the_distance_as_errors_do():
    rng = np.random.RandomState(4)
    fills, _, values, is_hidden = linear_system()
    noise = rng.randn(*values.shape) * np.log1p(fills.steps[0])
    estimates = np.where(is_hidden, values + noise, values)
    std = fitted_spread(fills, estimates, values, is_hidden).std(fills, estimates)
    score = (noise / std)[is_hidden]
    assert 0.6 < (np.abs(score) < 1).mean() < 0.76
    assert 0.92 < (np.abs(score) < 2).mean() < 0.98
    near, far = fills.steps[0] == 1, fills.steps[0] >= 5
    assert std[is_hidden & far].mean() > 1.7 * std[is_hidden & near].mean()
