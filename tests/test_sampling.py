"""Sample paths: each step as the quantiles say, all of them together as forecasts had been off."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from elman import LinearForecaster, NaiveForecaster, RNNForecaster
from elman._conformal import Calibration
from sklearn.exceptions import NotFittedError

rng = np.random.default_rng(0)
WALKS = 100 + rng.normal(size=(300, 2)).cumsum(axis=0)
COUNTS = rng.poisson(20 + 10 * np.sin(np.arange(300) / 2)).astype(float)
DAYS = pd.date_range("2020-01-01", periods=300, tz="Europe/Berlin")
WIDE = pd.DataFrame(WALKS, DAYS, pd.Index(["a", "b"], name="shop"))
LONG = WIDE.rename_axis("ds").reset_index().melt("ds", var_name="unique_id", value_name="y")
NAIVE = NaiveForecaster(horizon=5, season_length=1)
NETWORK = {"hidden_layer_sizes": 4, "n_updates": 30, "n_estimators": 2, "random_state": 0}
LOSSES = (
    *("absolute_error", "quantile", "gaussian_nll", "student_t_nll"),
    *("poisson", "negative_binomial_nll"),
)


def network(loss, **options):
    return RNNForecaster(5, loss=loss, **{**NETWORK, **options})


# What comes out.


def test_arrays_have_the_paths_first():
    model = NAIVE.fit(WALKS)
    paths = model.sample(7, random_state=0)
    assert paths.shape == (7, 5, 2)
    assert model.sample(7, 3, random_state=0).shape == (7, 3, 2)
    one = NAIVE.fit(WALKS[:, 0]).sample(7, random_state=0)
    assert one.shape == (7, 5)
    parts = NAIVE.fit(list(WALKS.T)).sample(7, random_state=0)
    np.testing.assert_array_equal(np.stack(parts, axis=2), paths)


def test_frames_have_a_column_or_rows_for_each_path():
    paths = NAIVE.fit(WALKS).sample(3, random_state=0)
    wide = NAIVE.fit(WIDE).sample(3, random_state=0)
    assert wide.columns.names == ["shop", "sample"]
    assert wide.index.equals(NAIVE.predict().index)
    np.testing.assert_array_equal(wide["b"], paths[:, :, 1].T)
    series = NAIVE.fit(WIDE["a"]).sample(3, random_state=0)
    assert series.columns.name == "sample"
    assert series.index.freq == DAYS.freq
    np.testing.assert_array_equal(series, NAIVE.fit(WALKS[:, 0]).sample(3, random_state=0).T)
    long = NAIVE.fit(LONG).sample(3, random_state=0)
    assert long.columns.tolist() == ["unique_id", "ds", "sample", "y_pred"]
    assert long["sample"].tolist() == np.tile(np.arange(3).repeat(5), 2).tolist()
    second = long[(long["unique_id"] == "b") & (long["sample"] == 2)]
    np.testing.assert_array_equal(second["y_pred"], paths[2, :, 1])
    assert pd.DatetimeIndex(second["ds"]).equals(pd.DatetimeIndex(wide.index, freq=None))
    polars = NAIVE.fit(pl.from_pandas(LONG)).sample(3, random_state=0)
    assert isinstance(polars, pl.DataFrame)
    np.testing.assert_array_equal(polars["y_pred"], long["y_pred"])


def test_draws_are_those_of_the_seed_whatever_series_are_beside():
    model = NAIVE.fit(LONG)
    paths = model.sample(5, random_state=3)
    pd.testing.assert_frame_equal(model.sample(5, random_state=3), paths)
    assert not model.sample(5, random_state=4).equals(paths)
    state = np.random.RandomState(3)
    first, second = (model.sample(5, random_state=state) for _ in range(2))
    assert not first.equals(second)
    alone = model.sample(5, y=LONG[LONG["unique_id"] == "b"], random_state=3)
    of_both = paths[paths["unique_id"] == "b"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, of_both)


# What they say.


def assert_quantiles(paths, quantiles, levels, more=0.0):
    """Whether shares of draws below quantiles are their levels.

    By the inequality of Dvoretzky, Kiefer and Wolfowitz an empirical distribution of n draws is
    further off than sqrt(log(2 / p) / 2n) with a probability of less than p. Draws that are
    equal, as counts are, may lie on either side of a level.
    """
    n_tests = quantiles[..., 0].size
    margin = np.sqrt(np.log(2 * n_tests / 1e-4) / (2 * len(paths))) + more
    at_most = (paths[..., None] <= quantiles).mean(axis=0)
    below = (paths[..., None] < quantiles).mean(axis=0)
    assert (at_most >= np.asarray(levels) - margin).all()
    assert (below <= np.asarray(levels) + margin).all()


LEVELS = [0.1, 0.25, 0.5, 0.8, 0.95]


@pytest.mark.parametrize("model", [NAIVE, LinearForecaster(5, window=10)], ids=["naive", "linear"])
def test_steps_are_distributed_as_the_conformal_quantiles(model):
    model.fit(WALKS)
    n_errors = len(model._calibration(5, "").paths)
    paths = model.sample(4000, random_state=0)
    # A quantile is one of the errors, next to which lie others.
    assert_quantiles(paths, model.predict_quantiles(LEVELS), LEVELS, 1 / n_errors)


@pytest.mark.parametrize("panel", ["global", "local"])
@pytest.mark.parametrize("loss", LOSSES)
def test_steps_are_distributed_as_the_networks_say(loss, panel):
    model = network(loss, strategy_panel=panel).fit(np.column_stack([COUNTS, COUNTS[::-1]]))
    paths = model.sample(4000, horizon=7, random_state=0)
    more = 0.0
    if loss == "absolute_error":
        more = 1 / len(model._calibration(7, "").paths)
    # Between networks and their median counts are no integers.
    assert_quantiles(paths, model.predict_quantiles(LEVELS, horizon=7), LEVELS, more)


def test_counts_are_counted_and_quantiles_end_with_the_outermost():
    model = network("negative_binomial_nll", n_estimators=1).fit(COUNTS)
    paths = model.sample(500, random_state=0)
    assert (paths >= 0).all()
    np.testing.assert_array_equal(paths, np.round(paths))
    model = network("quantile", quantiles=(0.2, 0.7)).fit(COUNTS)
    outermost = model.predict_quantiles([0.2, 0.7])
    paths = model.sample(500, random_state=0)
    assert (paths >= outermost[:, 0]).all()
    assert (paths <= outermost[:, 1]).all()


@pytest.mark.parametrize("make", [lambda: NAIVE, lambda: network("gaussian_nll", transform=None)])
def test_paths_move_and_stretch_with_the_series(make):
    model = make().fit(WALKS[:, 0])
    paths = model.sample(50, y=WALKS[:, 0], random_state=0)
    stretched = model.sample(50, y=1024 * WALKS[:, 0], random_state=0)
    np.testing.assert_array_equal(stretched, 1024 * paths)


# What they say together.


def test_a_random_walk_walks_on():
    """Its values t and s steps ahead correlate by sqrt(t / s), and its mean spreads by theory."""
    y = np.random.default_rng(5).normal(size=(400, 40)).cumsum(axis=0)
    paths = NaiveForecaster(8).fit(y).sample(500, random_state=0)
    away = (paths - y[-1]).transpose(1, 0, 2).reshape(8, -1)
    steps = np.arange(1, 9)
    expected = np.sqrt(np.minimum.outer(steps, steps) / np.maximum.outer(steps, steps))
    # 40 series of 120 origins, every eighth of which is a new draw: 600 at least.
    np.testing.assert_allclose(np.corrcoef(away), expected, atol=4 / np.sqrt(600))
    spread = away.mean(axis=0).std()
    theory = np.sqrt(np.minimum.outer(steps, steps).mean())
    assert abs(spread / theory - 1) < 4 / np.sqrt(2 * 600)


def test_noise_has_no_memory():
    y = np.random.default_rng(6).normal(size=(400, 40))
    paths = NaiveForecaster(4, strategy="mean").fit(y).sample(500, random_state=0)
    away = paths.transpose(1, 0, 2).reshape(4, -1)
    np.testing.assert_allclose(np.corrcoef(away), np.eye(4), atol=4 / np.sqrt(1200))


def test_levels_are_uniform_at_each_step_and_have_the_ranks_of_a_path():
    errors = np.array([[1.0, 30.0], [2.0, 10.0], [3.0, 20.0], [np.nan, np.nan]])
    calibration = Calibration(errors, 1)
    assert calibration.ranks.tolist() == [[0, 2], [1, 0], [2, 1]]
    levels = calibration.draw_levels(3000, np.random.RandomState(0))
    assert levels.shape == (2, 3000)
    cells = np.floor(3 * levels).astype(int)
    assert {tuple(pair) for pair in cells.T} == {(0, 2), (1, 0), (2, 1)}
    for step in levels:
        below = (step[:, None] < np.linspace(0.1, 0.9, 9)).mean(axis=0)
        np.testing.assert_allclose(below, np.linspace(0.1, 0.9, 9), atol=np.sqrt(6 / 3000))


def test_what_is_missing_in_a_path_is_ranked_as_what_is_before_or_next():
    errors = np.array([[3.0, np.nan], [5.0, 2.0], [1.0, 1.0]])
    assert Calibration(errors, 1).ranks.tolist() == [[1, 1], [2, 2], [0, 0]]
    assert Calibration(errors[:, ::-1], 1).ranks.tolist() == [[1, 1], [2, 2], [0, 0]]


def test_paths_that_the_data_end_in_are_not_drawn():
    errors = np.array([[3.0, 1.0], [5.0, 2.0], [1.0, 3.0], [4.0, np.nan]])
    calibration = Calibration(errors, 1, ages=np.arange(4, 0, -1))
    assert calibration.ranks.tolist() == [[1, 0], [2, 1], [0, 2]]


def test_holes_are_no_obstacle():
    y = WALKS.copy()
    y[rng.random(y.shape) < 0.2] = np.nan
    for model in (NAIVE, network("student_t_nll")):
        assert np.isfinite(model.fit(y).sample(20, random_state=0)).all()


# What cannot be drawn.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n got 0, expected an integer of at least 1"),
        ({"n": 1.5}, "n got 1.5"),
        ({"n": 2, "horizon": -1}, "horizon got -1"),
        ({"n": 2, "random_state": "x"}, "random_state got 'x'"),
        ({"n": 2, "X": WALKS}, "X got a ndarray, expected None"),
    ],
)
def test_calls_that_are_wrong(options, message):
    with pytest.raises(ValueError, match=f"NaiveForecaster.sample: {message}"):
        NAIVE.fit(WALKS).sample(**options)


def test_it_has_to_be_fitted_to_enough():
    with pytest.raises(NotFittedError, match=r"NaiveForecaster.sample: .* not fitted"):
        NaiveForecaster().sample(2)
    with pytest.raises(ValueError, match=r"sample: y got 5 values in the longest series, expected"):
        NaiveForecaster(5).fit(WALKS[:5]).sample(2)
