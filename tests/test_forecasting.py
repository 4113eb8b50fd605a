"""What every forecaster keeps, and what the naive ones and the linear one say."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from elman import LinearForecaster, NaiveForecaster
from elman._conformal import Calibration
from elman._forecasting import FORECASTER_RULES, BaseForecaster
from elman._panel import read_panel
from elman.datasets import load_air_passengers
from promises.digest import state_digest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

NAN = np.nan
DAYS = pd.date_range("2020-01-01", periods=60)
FUTURE = pd.date_range(DAYS[-1] + DAYS.freq, periods=5)
rng = np.random.default_rng(0)
VALUES = rng.normal(size=(60, 2)).cumsum(axis=0) + 10
STRATEGIES = ("last", "mean", "drift", "seasonal", "seasonal_drift")
FORECASTERS = {
    **{
        strategy: NaiveForecaster(horizon=5, strategy=strategy, season_length=7)
        for strategy in STRATEGIES
    },
    "linear": LinearForecaster(horizon=5, window=14, season_length=7),
}


def wide():
    return pd.DataFrame(VALUES.copy(), DAYS, ["a", "b"])


def long():
    return wide().rename_axis("ds").reset_index().melt("ds", var_name="unique_id", value_name="y")


def forecaster(name, **parameters):
    return clone(FORECASTERS[name]).set_params(**parameters)


KINDS = {
    "array": (lambda: VALUES, lambda out: out.T),
    "list": (lambda: [VALUES[:, 0], VALUES[:, 1]], np.array),
    "wide": (wide, lambda out: out.to_numpy().T),
    "long": (long, lambda out: out["y_pred"].to_numpy().reshape(2, 5)),
    "wide polars": (
        lambda: pl.from_pandas(wide().rename_axis("ds").reset_index()),
        lambda out: out.select("a", "b").to_numpy().T,
    ),
    "long polars": (
        lambda: pl.from_pandas(long()),
        lambda out: out["y_pred"].to_numpy().reshape(2, 5),
    ),
}


@pytest.mark.parametrize("name", FORECASTERS)
def test_every_kind_of_y_has_the_same_forecasts(name):
    expected = forecaster(name).fit(VALUES).predict().T
    assert np.isfinite(expected).all()
    for make, numbers in KINDS.values():
        y = make()
        forecasts = forecaster(name).fit(y).predict()
        assert type(forecasts) is type(y)
        np.testing.assert_array_equal(numbers(forecasts), expected)


@pytest.mark.parametrize("name", FORECASTERS)
def test_one_series_alone(name):
    model = forecaster(name).fit(VALUES[:, 0])
    assert model.predict().shape == (5,)
    series = model.fit(wide()["a"]).predict()
    assert series.name == "a"
    assert series.index.equals(FUTURE)


@pytest.mark.parametrize("name", FORECASTERS)
def test_a_forecast_does_not_depend_on_the_series_beside_it(name):
    model = forecaster(name).fit(long())
    both = model.predict(y=long())
    alone = model.predict(y=long().query("unique_id == 'b'"))
    np.testing.assert_array_equal(both.query("unique_id == 'b'")["y_pred"], alone["y_pred"])


@pytest.mark.parametrize("name", FORECASTERS)
def test_a_new_history_is_what_the_update_would_have_made(name):
    model = forecaster(name).fit(wide()[:50])
    of_history = model.predict(y=wide())
    assert of_history.index.equals(FUTURE)
    before = model.predict()
    assert before.index[0] == DAYS[50]
    pd.testing.assert_frame_equal(model.update(wide()[50:]).predict(), of_history)


@pytest.mark.parametrize("name", FORECASTERS)
def test_a_shorter_horizon_is_the_beginning_of_a_longer_one(name):
    model = forecaster(name).fit(VALUES)
    np.testing.assert_array_equal(model.predict(3), model.predict()[:3])


@pytest.mark.parametrize("name", FORECASTERS)
def test_missing_values_are_no_obstacle(name):
    y = wide()
    y.iloc[[5, 20, 21, 40, 59], [0, 1, 0, 1, 0]] = NAN
    y = y.drop(DAYS[30])
    forecasts = forecaster(name).fit(y).predict()
    assert forecasts.index.equals(FUTURE)
    assert np.isfinite(forecasts.to_numpy()).all()


@pytest.mark.parametrize("name", FORECASTERS)
def test_it_can_be_pickled_cloned_and_fitted_again(name):
    model = forecaster(name).fit(wide())
    again = pickle.loads(pickle.dumps(model))
    pd.testing.assert_frame_equal(again.predict(), model.predict())
    pd.testing.assert_frame_equal(again.predict_interval(0.5), model.predict_interval(0.5))
    copy = clone(model)
    assert not hasattr(copy, "n_series_")
    assert copy.get_params() == model.get_params()
    with pytest.raises(NotFittedError, match=r"Forecaster.predict: .* not fitted"):
        copy.predict()
    model.fit(VALUES[:, 0])
    assert model.n_series_ == 1
    assert not hasattr(model, "feature_names_in_")


@pytest.mark.parametrize("name", FORECASTERS)
def test_a_fit_that_fails_changes_nothing(name):
    model = forecaster(name).fit(wide())
    before = state_digest(model)
    for y in (np.array([1.0, np.inf]), np.zeros(0), np.full(30, NAN)):
        with pytest.raises(ValueError, match="y got"):
            model.fit(y)
    with pytest.raises(ValueError, match="y got"):
        model.update(wide())
    assert state_digest(model) == before


# Seasons.


def test_the_season_is_told_by_the_index():
    model = NaiveForecaster(5, strategy="seasonal").fit(wide())
    assert model.season_lengths_ == (7,)
    np.testing.assert_array_equal(model.predict().to_numpy(), VALUES[53:58])
    assert NaiveForecaster().fit(VALUES).season_lengths_ == (1,)
    assert NaiveForecaster(season_length=(24, 168)).fit(VALUES).season_lengths_ == (24, 168)


# The naive forecasts.


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("last", [6, 6, 6, 6, 6]),
        ("mean", [3.5, 3.5, 3.5, 3.5, 3.5]),
        ("drift", [7, 8, 9, 10, 11]),
        ("seasonal", [5, 6, 5, 6, 5]),
        ("seasonal_drift", [7, 8, 9, 10, 11]),
    ],
)
def test_strategies(strategy, expected):
    model = NaiveForecaster(5, strategy=strategy, season_length=2)
    np.testing.assert_allclose(model.fit(np.arange(1.0, 7.0)).predict(), expected)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("last", [5, 5, 5]),
        ("mean", [3, 3, 3]),
        ("drift", [8, 9, 10]),  # the line goes on from where the last value was
        ("seasonal", [4, 5, 4]),
    ],
)
def test_what_is_missing_is_as_it_was_last(strategy, expected):
    y = [1.0, 2.0, NAN, 4.0, 5.0, NAN, NAN]
    model = NaiveForecaster(3, strategy=strategy, season_length=2).fit(y)
    np.testing.assert_allclose(model.predict(), expected)


# The linear forecast.


def test_a_linear_recurrence_is_found():
    t = np.arange(120)
    y = 3 + np.sin(t / 3) + 0.5 * np.cos(t / 5)
    model = LinearForecaster(horizon=10, window=24, alpha=1e-8).fit(y[:110])
    np.testing.assert_allclose(model.predict(), y[110:], atol=1e-3)
    assert model.coef_.shape == (10, 24)


def test_the_forecast_moves_and_stretches_with_the_series():
    model = LinearForecaster(horizon=5, window=14).fit(VALUES[:, 0])
    np.testing.assert_allclose(
        model.predict(y=1000 + 7 * VALUES[:, 0]), 1000 + 7 * model.predict(), rtol=1e-10
    )


def test_covariates_of_each_step_count():
    """Sales follow prices and days off, which the window cannot tell."""
    index = pd.date_range("2020-01-01", periods=300)
    X = pd.DataFrame({"price": rng.normal(size=300), "day": rng.choice(["on", "off"], 300)}, index)
    y = pd.Series(10 + 2 * X["price"] + 3 * (X["day"] == "off"), index)
    model = LinearForecaster(horizon=5, window=10, alpha=1e-3).fit(y[:290], X[:290])
    assert list(model.feature_names_in_) == ["price", "day"]
    assert model.coef_.shape == (5, 10 + 3)
    blind = LinearForecaster(horizon=5, window=10, alpha=1e-3).fit(y[:290])
    errors, blind_errors = [], []
    for stop in range(250, 295):
        forecast = model.predict(y=y[:stop], X=X[: stop + 5])
        errors.append(np.abs(forecast - y[stop : stop + 5]).mean())
        blind_errors.append(np.abs(blind.predict(y=y[:stop]) - y[stop : stop + 5]).mean())
    assert np.mean(errors) < 0.5 * np.mean(blind_errors)
    np.testing.assert_allclose(model.predict(3, X=X[290:293]), model.predict(X=X[290:])[:3])


def test_windows_with_a_target_that_is_missing_are_left_out():
    y = np.sin(np.arange(200.0))
    y[100] = NAN
    model = LinearForecaster(horizon=3, window=20, alpha=1e-6).fit(y)
    assert np.abs(model.predict() - np.sin(np.arange(200.0, 203.0))).max() < 0.1
    with pytest.raises(ValueError, match="y got 7 values in the longest series, expected a window"):
        LinearForecaster(horizon=3, window=5).fit(y[98:105])


# Intervals.


def test_quantiles_of_errors_have_the_correction_for_their_number():
    """Of 9 errors the largest bounds the one to come with 90 %, the fifth with 50 %."""
    panel = read_panel([[0.0], [1.0]] * 2, caller="")
    calibration = Calibration(np.arange(1.0, 10.0)[:, None], season_length=1)
    levels = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    every = np.array([0]), np.array([4]), np.zeros((1, 1))
    quantiles = calibration.quantiles(panel, *every, levels, "")
    assert quantiles.tolist() == [[[-9, -5, 0, 5, 9]]]
    with pytest.warns(UserWarning, match="quantiles got levels that need 49 .* that 9 errors"):
        calibration.quantiles(panel, *every, np.array([0.01, 0.5]), "")


@pytest.mark.parametrize("name", ["mean", "linear"])
@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_intervals_cover_what_they_promise(name, coverage):
    """200 series of noise of very different sizes."""
    noise = np.random.default_rng(1).normal(size=(80, 200)) * np.geomspace(1, 1e4, 200)
    model = forecaster(name).fit(noise[:75])
    interval = model.predict_interval(coverage)
    assert interval.shape == (5, 200, 2)
    inside = (interval[..., 0] <= noise[75:]) & (noise[75:] <= interval[..., 1])
    assert abs(inside.mean() - coverage) < 0.04


def test_intervals_are_in_units_of_how_a_series_moved_of_late():
    noise = np.random.default_rng(0).normal(size=400)
    model = forecaster("last").fit(noise)
    calm = np.concatenate([noise[:250], 0.1 * noise[250:]])
    width, of_calm = (np.ptp(model.predict_interval(y=y), axis=1) for y in (noise, calm))
    np.testing.assert_allclose(of_calm / width, 0.1, rtol=0.2)
    still = np.concatenate([noise, np.full(150, noise[-1])])  # told by all of its past
    assert (np.ptp(model.predict_interval(y=still), axis=1) > 0.5 * width).all()


@pytest.mark.parametrize(
    ("n_known", "season_length", "units"),
    [
        (64, 1, [1, 2, 2, 4, 4, 4, 4, 8]),
        (63, 1, [1, 2, 2, 4, 4, 4, 4, 4]),  # too short to tell of eight times
        (64, 3, [3, 3, 3, 6, 6, 6, 6, 6]),
        (2, 3, [1, 1, 1, 1, 1, 1, 1, 1]),
    ],
)
def test_far_steps_are_in_units_of_changes_over_as_many_seasons(n_known, season_length, units):
    """A steady climb, whose change over some times is their number; errors of one unit."""
    panel = read_panel(np.arange(float(n_known)), caller="")
    calibration = Calibration(np.ones((9, 8)), season_length)
    every = np.array([0]), np.array([n_known]), np.zeros((1, 8))
    quantiles = calibration.quantiles(panel, *every, np.array([0.95]), "")
    assert quantiles[0, :, 0].tolist() == units


def test_errors_are_those_from_origins_that_a_model_has_learned():
    class OncePerWeek(NaiveForecaster):
        def _origin_step(self):
            return 7

    saw = np.arange(210.0) % 7  # ends with 6: what comes next is 6 away, elsewhere 1
    for kind, width in ((NaiveForecaster, 1.0), (OncePerWeek, 6.0)):
        interval = kind(horizon=1, season_length=7).fit(saw).predict_interval(0.5)
        np.testing.assert_allclose(interval, [[6 - width, 6 + width]], atol=0.1)


@pytest.mark.parametrize("name", FORECASTERS)
def test_quantiles_ascend_and_hold_the_intervals(name):
    model = forecaster(name).fit(VALUES)
    quantiles = model.predict_quantiles([0.05, 0.25, 0.5, 0.75, 0.95])
    assert quantiles.shape == (5, 2, 5)
    assert (np.diff(quantiles, axis=2) >= 0).all()
    np.testing.assert_array_equal(model.predict_interval(0.9), quantiles[..., [0, 4]])
    np.testing.assert_array_equal(model.predict_interval(0.5), quantiles[..., [1, 3]])
    np.testing.assert_array_equal(model.predict(), quantiles[..., 2])


def test_intervals_do_not_depend_on_what_was_asked_before():
    first, second = (forecaster("linear").fit(wide()[:55]) for _ in range(2))
    first.predict_interval(0.8, horizon=2)
    first.predict_interval(0.5)
    first.update(wide()[55:])
    second.update(wide()[55:])
    pd.testing.assert_frame_equal(first.predict_interval(0.8), second.predict_interval(0.8))


def test_a_long_frame_has_quantiles_as_columns():
    model = forecaster("last").fit(long())
    table = model.predict_quantiles([0.1, 0.9])
    assert table.columns.tolist() == ["unique_id", "ds", "y_pred", "0.1", "0.9"]
    pd.testing.assert_series_equal(table["y_pred"], model.predict()["y_pred"])
    assert model.predict_interval().columns.tolist()[3:] == ["lower", "upper"]


def test_series_too_short_to_hold_anything_back_have_no_intervals():
    model = forecaster("last").fit(VALUES[:5])
    with pytest.raises(ValueError, match="y got 5 values in the longest series, expected at least"):
        model.predict_interval()


class Echo(BaseForecaster):
    """Repeats the last value of y and of the covariates to come; its quantiles cross."""

    def __init__(self, horizon=2, *, season_length="auto", columns=("unique_id", "ds", "y")):
        self.horizon = horizon
        self.season_length = season_length
        self.columns = columns

    _rules = FORECASTER_RULES

    def _fit_panel(self, panel, caller):
        return {"static_": panel.static}

    def _has_quantiles(self):
        return True

    def _context(self, panel, series, stops):
        return np.full(len(stops), 3)

    def _future_columns(self, form):
        return ("known",)

    def _forecast(self, panel, horizon, future):
        assert (panel.lengths <= 60).all()
        if future is not None:
            assert np.isnan(future[..., 1]).all()  # what is not known is not shown
        last = panel.values[panel.offsets[1:] - 1][:, None]
        return np.repeat(last, horizon, axis=1) if future is None else future[..., 0]

    def _forecast_quantiles(self, panel, horizon, future, levels):
        point = self._forecast(panel, horizon, future)
        return point, point[..., None] - np.arange(len(levels))


def test_quantiles_of_a_forecasters_own_never_cross():
    model = Echo().fit(VALUES)
    assert model.predict_quantiles([0.1, 0.5, 0.9])[0, 0].tolist() == [
        VALUES[-1, 0] - 2, VALUES[-1, 0] - 1, VALUES[-1, 0],
    ]  # fmt: skip
    table = model.backtest(VALUES, n_windows=2, quantiles=[0.1, 0.9])
    assert (table["0.9"] - table["0.1"] == 1).all()


def test_only_columns_that_are_known_reach_the_future():
    X = pd.DataFrame({"known": np.arange(60.0), "past": np.arange(60.0)}, DAYS)
    model = Echo().fit(wide(), X)
    ahead = pd.DataFrame({"known": [60.0, 61.0]}, FUTURE[:2])
    assert model.predict(X=ahead)["a"].tolist() == [60, 61]
    table = model.backtest(wide(), X, n_windows=3, step=1)
    assert table.query("unique_id == 'b'")["y_pred"].tolist() == [56, 57, 57, 58, 58, 59]
    with pytest.raises(ValueError, match="no columns known, expected the columns known in 2 rows"):
        model.predict(X=ahead.rename(columns={"known": "past"}))


def test_what_is_static_goes_with_its_series():
    static = pd.DataFrame({"size": [2.0, 1.0]}, index=["b", "a"])
    assert Echo().fit(wide(), static=static).static_.tolist() == [[1], [2]]


# Backtests.


def test_a_backtest_is_a_tidy_table():
    model = forecaster("seasonal")
    table = model.backtest(long(), n_windows=3, step=2, coverage=0.5, quantiles=[0.25, 0.5])
    assert table.columns.tolist() == [
        "unique_id", "cutoff", "ds", "step", "y", "y_pred", "y_naive", "y_seasonal_naive",
        "scale", "0.25", "lower", "0.5", "upper",
    ]  # fmt: skip
    assert len(table) == 3 * 2 * 5
    assert not hasattr(model, "n_series_")
    last = table.query("unique_id == 'b'").tail(5)
    assert (last["cutoff"] == DAYS[54]).all()
    assert last["ds"].tolist() == list(DAYS[55:])
    assert last["step"].tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(last["y"], VALUES[55:, 1])
    np.testing.assert_array_equal(last["y_pred"], VALUES[48:53, 1])
    np.testing.assert_array_equal(last["y_seasonal_naive"], VALUES[48:53, 1])
    np.testing.assert_array_equal(last["y_naive"], VALUES[54, 1])
    scale = np.abs(VALUES[7:55, 1] - VALUES[:48, 1]).mean()
    np.testing.assert_allclose(last["scale"], scale)
    assert sorted(table["cutoff"].unique()) == [DAYS[50], DAYS[52], DAYS[54]]
    np.testing.assert_array_equal(table["lower"], table["0.25"])


@pytest.mark.parametrize("name", FORECASTERS)
@pytest.mark.parametrize("refit", [False, True, 2])
def test_a_backtest_equals_forecasts_made_one_by_one(name, refit):
    options = {"n_windows": 3, "step": 4, "refit": refit, "coverage": 0.5}
    table = forecaster(name).backtest(wide(), **options)
    for window in range(3):
        stop = 60 - 5 - (2 - window) * 4
        first = 0 if refit is False else window // int(refit) * int(refit)
        begin = 60 - 5 - (2 - first) * 4
        model = forecaster(name).fit(wide()[:begin])
        rows = table[table["cutoff"] == DAYS[stop - 1]]
        expected = model.predict(y=wide()[:stop])
        np.testing.assert_array_equal(
            rows["y_pred"].to_numpy().reshape(2, 5).T, expected.to_numpy()
        )
        if begin < stop:
            model.update(wide()[begin:stop])
        intervals = model.predict_interval(0.5)
        np.testing.assert_array_equal(
            rows["upper"].to_numpy().reshape(2, 5).T, intervals.xs("upper", axis=1, level=1)
        )


@pytest.mark.parametrize("name", FORECASTERS)
def test_a_backtest_does_not_look_ahead(name):
    changed = wide()
    changed.iloc[50:] += 100 * rng.normal(size=(10, 2))
    options = {"n_windows": 2, "coverage": 0.8}
    before, after = (forecaster(name).backtest(y, **options) for y in (wide(), changed))
    is_first = before["cutoff"] == DAYS[49]
    assert is_first.sum() == 10
    for column in ("y_pred", "y_naive", "y_seasonal_naive", "scale", "lower", "upper"):
        np.testing.assert_array_equal(before[column][is_first], after[column][is_first])
    assert not before["y"][is_first].equals(after["y"][is_first])


def test_backtests_of_series_that_end_apart():
    y = [VALUES[:, 0], VALUES[:40, 1]]
    table = forecaster("last").backtest(y, n_windows=2)
    assert table.groupby("unique_id")["cutoff"].unique().map(list).tolist() == [[49, 54], [29, 34]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "horizon got 0"),
        ({"step": 0}, "step got 0"),
        ({"n_windows": 0}, "n_windows got 0"),
        ({"refit": 0}, "refit got 0"),
        ({"coverage": 1}, "coverage got 1"),
        ({"quantiles": [0.9, 0.1]}, "quantiles got"),
        ({"n_windows": 12}, r"y got 60 values in series 0, expected at least 67: 7 to be fitted"),
    ],
)
def test_backtests_that_cannot_be_made(options, message):
    with pytest.raises(ValueError, match=f"NaiveForecaster.backtest: {message}"):
        forecaster("seasonal").backtest(VALUES, **options)


def test_the_score_goes_on_a_horizon_at_a_time():
    model = forecaster("last").fit(VALUES[:48])
    last = np.concatenate(
        [VALUES[[47]].repeat(5, 0), VALUES[[52]].repeat(5, 0), VALUES[[57]].repeat(2, 0)]
    )
    scale = np.abs(VALUES[7:48] - VALUES[:41]).mean(axis=0)
    expected = -(np.abs(VALUES[48:] - last).mean(axis=0) / scale).mean()
    assert model.score(VALUES[48:]) == pytest.approx(expected)
    assert model.predict()[0, 0] == VALUES[47, 0]


def test_a_score_needs_something_to_compare_with():
    with pytest.raises(ValueError, match="score: y got no known value in a series that"):
        NaiveForecaster().fit(np.ones(10)).score(np.ones(3))


def test_intervals_of_the_air_passengers_cover():
    y = load_air_passengers().data
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = NaiveForecaster(12, strategy="seasonal_drift", season_length=12).backtest(
            y, n_windows=7, refit=True, coverage=0.9
        )
    inside = table["y"].between(table["lower"], table["upper"]).mean()
    assert 0.85 <= inside <= 0.95
