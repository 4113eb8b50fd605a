"""RNNForecaster: what it reads of series, what it settles, and what it keeps."""

import pickle
import time

import elman
import numpy as np
import pandas as pd
import pytest
from elman import DivergenceError, NaiveForecaster, RNNForecaster
from elman._forecast.candidates import candidates, defaults
from elman._forecast.history import neighbours
from elman._forecast.network import train_all
from elman._forecast.origins import origins_within
from elman.datasets import load_air_passengers
from sklearn.base import clone

SMALL = {"hidden_layer_sizes": 8, "n_estimators": 1, "n_updates": 40, "random_state": 0}


def seasonal_series(n=240, m=12, seed=0, level=20.0):
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    return level + 3 * np.sin(2 * np.pi * t / m) + 0.02 * t + 0.1 * rng.normal(size=n)


@pytest.fixture(scope="module")
def panel():
    return [seasonal_series(n, seed=i) for i, n in enumerate((240, 200, 150))]


def test_it_beats_the_naive_forecasts_on_airline_passengers():
    y = load_air_passengers().data
    model = RNNForecaster(horizon=12, season_length=12, random_state=0).fit(y[:-12])
    naive = NaiveForecaster(horizon=12, strategy="seasonal", season_length=12).fit(y[:-12])
    error, naive_error = (np.mean(np.abs(m.predict() - y[-12:])) for m in (model, naive))
    assert error < naive_error


def test_what_auto_settles_is_told_by_the_series():
    rng = np.random.default_rng(0)
    with_season = RNNForecaster(12, season_length=12, **SMALL).fit(seasonal_series())
    assert with_season.plan_["segment_length"] == 12
    assert ("seasonal", 12) in with_season.plan_["candidates"]
    walk = RNNForecaster(12, season_length=12, **SMALL).fit(100 + rng.normal(size=240).cumsum())
    assert walk.plan_["candidates"] == ()
    assert walk.plan_["centre"] == "last"
    growing = RNNForecaster(1, **SMALL).fit(np.exp(np.linspace(0, 3, 200)))
    assert growing.plan_["transform"] == "log"
    negative = RNNForecaster(1, **SMALL).fit(rng.normal(size=200))
    assert negative.plan_["transform"] is None


@pytest.mark.parametrize("strategy", ["direct", "recursive", "seq2seq", "parallel"])
@pytest.mark.parametrize("horizon", [1, 5, 30])
def test_every_strategy_forecasts_any_horizon_of_each_kind_of_y(strategy, horizon, panel):
    model = RNNForecaster(12, strategy=strategy, season_length=12, **SMALL).fit(panel)
    forecasts = model.predict(horizon)
    assert [f.shape for f in forecasts] == [(horizon,)] * 3
    assert np.isfinite(forecasts).all()


@pytest.mark.parametrize("strategy", ["recursive", "seq2seq", "parallel"])
@pytest.mark.parametrize("candidates", [None, ["last"], ["last", "mean"]])
def test_segments_of_one_step(strategy, candidates):
    """Of one series, where a forecast has as many rows as steps."""
    y = np.tile([1.0, 3.0, 2.0, 7.0], 10) + np.random.default_rng(0).normal(size=40)
    settings = {"segment_length": 1, "candidates": candidates, "centre": "last", **SMALL}
    model = RNNForecaster(3, strategy=strategy, **settings).fit(y)
    assert np.isfinite(model.predict()).all()
    if candidates == ["last"]:
        shifted = model.predict(y=y + 100.0)
        np.testing.assert_allclose(shifted, model.predict() + 100.0, rtol=1e-4)


@pytest.mark.parametrize("strategy", ["direct", "recursive", "seq2seq", "parallel"])
def test_the_same_bits_for_any_n_jobs_and_in_a_pickle(strategy, panel):
    make = RNNForecaster(6, strategy=strategy, season_length=12, **{**SMALL, "n_estimators": 3})
    one, two = (clone(make).set_params(n_jobs=n).fit(panel) for n in (1, 2))
    np.testing.assert_array_equal(one.predict(), two.predict())
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one)).predict(), one.predict())


def test_segments_in_parallel_do_all_that_forecasts_do(panel, tmp_path):
    """Of which the last is known in part: its steps all start from the end of the history."""
    model = RNNForecaster(
        15,
        strategy="parallel",
        season_length=6,
        input_layer_size=5,
        series_identity=True,
        loss="quantile",
        dropout=0.2,
        **SMALL,
    ).fit(panel)
    assert model._models[0].architecture["branch_step"] == model.plan_["window"] // 6
    np.testing.assert_array_equal(model.predict(y=panel), model.predict())
    lower, upper = np.moveaxis(np.stack(model.predict_interval(0.5)), 2, 0)
    assert (lower <= upper).all()
    rows = model.backtest(panel, n_windows=2, refit=False)
    assert np.isfinite(np.asarray(rows["y_pred"], dtype=float)).all()
    elman.save(model, tmp_path / "forecaster")
    np.testing.assert_array_equal(elman.load(tmp_path / "forecaster").predict(), model.predict())


def test_a_forecast_does_not_depend_on_the_series_beside_it(panel):
    model = RNNForecaster(6, season_length=12, **SMALL).fit(panel)
    others = [panel[0], panel[1][:100] * 50.0, panel[2] - 7.0]
    np.testing.assert_array_equal(model.predict(y=others)[0], model.predict()[0])


def test_a_forecast_looks_at_no_more_than_its_window(panel):
    model = RNNForecaster(6, season_length=12, **SMALL).fit(panel)
    window = model.plan_["window"]
    other = panel[0].copy()
    other[: len(other) - window] += 1000.0
    np.testing.assert_array_equal(model.predict(y=[other, *panel[1:]])[0], model.predict()[0])


def test_candidates_are_the_simple_forecasts():
    u = np.arange(1.0, 9.0)[None]  # two seasons of four
    chosen = [(name, 4) for name in ("last", "seasonal", "seasonal_last", "seasonal_trend")]
    forecasts = candidates(u, chosen, (4,), 5)[0]
    np.testing.assert_allclose(forecasts[0], [8, 8, 8, 8, 8])
    np.testing.assert_allclose(forecasts[1], [5, 6, 7, 8, 5])
    np.testing.assert_allclose(forecasts[2], [9, 10, 11, 12, 9])
    np.testing.assert_allclose(forecasts[3], [9, 10, 11, 12, 13])


def test_candidates_need_a_window_that_holds_them():
    assert defaults((24, 168), 336)[-1] == ("seasonal_last", 168)
    assert all(m == 24 for _, m in defaults((24, 168), 100))
    assert defaults((), 48) == ()


def test_the_drift_of_a_season_begins_with_the_series():
    short = np.repeat(1.0, 4)  # before its beginning a series is read as its first value
    u = np.concatenate([short, np.arange(1.0, 9.0)])[None]
    forecast = candidates(u, [("seasonal_drift", 4)], (4,), 6)[0, 0]
    np.testing.assert_allclose(forecast, [9, 10, 11, 12, 13, 14])


def test_damped_growth_is_that_of_the_drift_at_first_and_less_from_season_to_season():
    u = np.arange(1.0, 13.0)[None]
    chosen = [("seasonal_drift", 4), ("seasonal_damped", 4)]
    drift, damped = candidates(u, chosen, (4,), 12)[0]
    np.testing.assert_allclose(damped[:4], drift[:4])
    np.testing.assert_allclose(damped[4::4], [9 + 4 * 1.9, 9 + 4 * 2.71])


def test_similar_times_are_told_by_their_covariates():
    u = np.array([[1.0, 2.0, 30.0, 40.0, 5.0, 6.0]])
    holiday = np.array([0, 0, 1, 1, 0, 0, 1, 1, 0, 0.0])[None, :, None] * 100.0
    forecast = candidates(u, [("seasonal_similar", 2)], (2,), 4, holiday)[0, 0]
    np.testing.assert_allclose(forecast, [30, 40, 3, 4])
    alike = candidates(u, [("seasonal_similar", 2)], (2,), 2)[0, 0]
    np.testing.assert_allclose(alike, [12, 16])


def test_far_horizons_are_told_from_the_mean_and_near_ones_from_the_last_value():
    y = seasonal_series(600)
    for horizon, centre in ((12, "last"), (30, "mean")):
        model = RNNForecaster(horizon, season_length=12, candidates=None, **SMALL).fit(y)
        assert model.plan_["centre"] == centre


def test_a_panel_of_many_short_series_is_not_few_windows():
    y = [seasonal_series(40, seed=i) for i in range(60)]
    assert RNNForecaster(12, season_length=12, **SMALL).fit(y).plan_["prior"] == ()
    prior = RNNForecaster(12, season_length=12, **SMALL).fit(y[:2]).plan_["prior"]
    assert [type(number) for number in prior] == [float] * len(prior) != []


@pytest.mark.parametrize("centre", ["season", "median"])
def test_centres_of_a_window(centre):
    units = {"transform": None, "centre": centre, "scale": None, "candidates": None}
    level = RNNForecaster(6, season_length=12, **units, **SMALL)
    moved = clone(level).fit(seasonal_series(level=120.0)).predict()
    np.testing.assert_allclose(moved, 100.0 + level.fit(seasonal_series()).predict(), rtol=1e-4)


def test_a_forecaster_with_covariates_mixes_similar_seasons():
    rng = np.random.default_rng(0)
    is_holiday = np.repeat(rng.random(100) < 0.3, 7).astype(float)
    y = np.tile(np.arange(7.0), 100) * np.where(is_holiday, 0.2, 1.0) + 20
    X = is_holiday[:, None]
    first = {**SMALL, "n_updates": 1, "candidates": "seasonal_similar", "window": 70}
    model = RNNForecaster(7, season_length=7, **first).fit(y[:-7], X[:-7])
    ordinary, holiday = (model.predict(X=np.full((7, 1), day)) for day in (0.0, 1.0))
    assert ordinary[6] - ordinary[0] > 2.5 * (holiday[6] - holiday[0])
    names = [
        name for name, _ in RNNForecaster(7, season_length=7, **SMALL).fit(y, X).plan_["candidates"]
    ]
    assert "seasonal_similar" in names


def prior_of(model):
    """The logits with which the candidates begin, by name, of each group of times."""
    names = [name for name, _ in model.plan_["candidates"]]
    groups = np.reshape(model.plan_["prior"], (-1, len(names)))
    return [dict(zip(names, group, strict=True)) for group in groups]


def test_a_few_windows_begin_with_what_candidates_were_worth():
    t = np.arange(96)
    growing = np.exp(0.01 * t + 0.2 * np.sin(2 * np.pi * t / 12))
    growing *= np.exp(0.01 * np.random.default_rng(0).normal(size=96))
    model = RNNForecaster(24, season_length=12, random_state=0).fit(growing[:-24])
    assert len(prior_of(model)) == 4  # two for each year
    for weights in prior_of(model):
        assert weights["seasonal_drift"] > weights["seasonal"] + 2.0
    assert model.plan_["window"] == 60
    error = np.abs(np.log(model.predict() / growing[-24:]))
    assert error.mean() < 0.03  # a year of growth is 0.12
    long = RNNForecaster(12, season_length=12, **SMALL).fit(seasonal_series())
    assert long.plan_["prior"] == ()


def test_named_candidates_of_a_few_windows_begin_with_their_worth_too():
    """The default ones by their names are the default ones; fewer have the same weights."""
    y = seasonal_series(90) + 0.05 * np.arange(90) ** 1.2
    model = RNNForecaster(12, season_length=12, random_state=0).fit(y)
    names = [name for name, _ in model.plan_["candidates"]]
    named = RNNForecaster(12, season_length=12, candidates=names, random_state=0).fit(y)
    assert [name for name, _ in named.plan_["candidates"]] == names
    assert {**named.plan_, "candidates": ()} == {**model.plan_, "candidates": ()}
    np.testing.assert_array_equal(named.predict(), model.predict())
    fewer = RNNForecaster(12, season_length=12, candidates=names[2:4], random_state=0).fit(y)
    for some, every in zip(prior_of(fewer), prior_of(model), strict=True):
        assert some == {name: every[name] for name in names[2:4]}
    bare = RNNForecaster(12, season_length=12, candidates=None, **SMALL).fit(y)
    assert bare.plan_["prior"] == ()
    long = RNNForecaster(12, season_length=12, candidates=names, **SMALL).fit(seasonal_series())
    assert long.plan_["prior"] == ()


def test_what_is_too_short_for_the_seasons_that_are_named_is_said_so():
    y = seasonal_series(60)
    model = RNNForecaster(12, season_length=12, candidates=["last", "seasonal"], **SMALL)
    table = model.backtest(y, n_windows=3)
    assert table["cutoff"].min() == 23
    with pytest.raises(ValueError, match=r"y got 60 values .* at least 72: 24 to be fitted to"):
        model.backtest(y, n_windows=4)
    with pytest.raises(ValueError, match=r"y got 35 values .* at least 36, of which intervals"):
        model.fit(y[:35]).predict_interval()


def test_each_series_has_its_own_model_where_errors_are_told_by_some():
    """The first one is too short to hold anything back."""
    rng = np.random.default_rng(0)
    y = [rng.normal(size=n) for n in (15, 60, 50)]
    model = RNNForecaster(4, window=10, strategy_panel="local", **SMALL).fit(y)
    assert [interval.shape for interval in model.predict_interval(0.5)] == [(4, 2)] * 3
    longer = RNNForecaster(4, window=10, strategy_panel="local", **SMALL).fit(y[1:])
    paths = longer._calibration(4, "").paths
    np.testing.assert_array_equal(model._calibration(4, "").paths, paths)


def test_similar_seasons_are_worth_what_their_covariates_tell():
    """Days off are low, whatever the weekday: seasons ago that were days off, too, tell it."""
    rng = np.random.default_rng(2)
    off = rng.random(84) < 0.4
    X = np.column_stack([off, rng.random(84) * 1e-3])
    y = 10.0 - 5.0 * off + 0.01 * rng.normal(size=84)
    candidates = ["seasonal_mean", "seasonal_similar"]
    model = RNNForecaster(7, season_length=7, candidates=candidates, random_state=0)
    for weights in prior_of(model.fit(y[:77], X[:77])):
        assert weights["seasonal_similar"] > weights["seasonal_mean"] + 2.0


@pytest.mark.parametrize("level", [1.0, 1e4, 1e-4])
def test_what_candidates_are_worth_does_not_depend_on_the_unit(level):
    y = 10.0 + 0.01 * np.arange(80) + 0.1 * np.random.default_rng(1).normal(size=80)
    model = RNNForecaster(6, season_length=12, transform=None, random_state=0)
    logits = np.reshape(model.fit(y).plan_["prior"], (2, -1))
    moved = np.reshape(model.fit(level * y).plan_["prior"], (2, -1))
    np.testing.assert_allclose(*(np.diff(of) for of in (logits, moved)), rtol=1e-6)
    assert np.ptp(logits, axis=1).min() > 1.0


def test_far_times_are_weighed_by_errors_as_far_ahead():
    """Of what comes back to its mean the last value tells what is next, the mean what is later."""
    y = np.full(110, 100.0)
    for t, change in enumerate(np.random.default_rng(3).normal(size=109), 1):
        y[t] = 100.0 + 0.9 * (y[t - 1] - 100.0) + change
    names = {"candidates": ["last", "mean"], "transform": None, "random_state": 0}
    first, *_, last = prior_of(RNNForecaster(24, season_length=12, **names).fit(y))
    assert first["last"] > first["mean"]
    assert last["last"] < last["mean"]


@pytest.mark.parametrize("n_years", [5, 7])
def test_weights_are_the_more_alike_the_fewer_futures_tell_them(n_years):
    """The season before last is off by twice as much as the last one, at all times."""
    y = np.tile(np.arange(12.0) % 5, n_years) + np.repeat(np.arange(n_years), 12)
    names = {"candidates": ["seasonal"], "season_length": (12, 24), "transform": None}
    model = RNNForecaster(12, window=24, random_state=0, **names).fit(y)
    assert model.plan_["candidates"] == (("seasonal", 12), ("seasonal", 24))
    near, far = np.reshape(model.plan_["prior"], (2, 2))
    n_origins = len(y) - (2 * 24 + 1)
    for group, n_times in ((near, 6), (far, 12)):
        n_apart = n_origins / n_times
        ratio = np.log(2) * 8.0 * n_apart / (n_apart + 1.0)
        assert group[0] - group[1] == pytest.approx(ratio, rel=1e-6)


@pytest.mark.parametrize("loss", ["quantile", "gaussian_nll"])
def test_what_spreads_is_learned_of_a_few_windows_too(loss):
    y = seasonal_series(80) + np.random.default_rng(1).normal(size=80)
    model = RNNForecaster(12, season_length=12, loss=loss, random_state=0).fit(y)
    assert model.plan_["prior"] != ()
    lower, upper = model.predict_interval(0.8).T
    assert (upper - lower > 0.5).all()
    assert (upper - lower < 20.0).all()


def test_candidates_that_were_never_wrong_or_never_told_have_finite_weights():
    exact = np.tile(np.arange(1.0, 13.0), 6)
    for y in (exact, np.ones(40)):
        model = RNNForecaster(6, season_length=12, random_state=0).fit(y)
        assert np.isfinite(model.plan_["prior"]).all()
        np.testing.assert_allclose(model.predict(), y[-12:-6], rtol=0.05)


def test_a_single_candidate_is_what_is_corrected():
    y = seasonal_series()
    corrected = RNNForecaster(
        12, season_length=12, candidates="seasonal", **{**SMALL, "n_updates": 1}
    ).fit(y)
    np.testing.assert_allclose(corrected.predict(), y[-12:], atol=1.5)


def test_missing_values_are_read_as_such():
    y = seasonal_series()
    holes = y.copy()
    holes[[5, 50, 51, 52, 100, 235]] = np.nan
    model = RNNForecaster(12, season_length=12, **{**SMALL, "n_updates": 200}).fit(holes)
    truth = 20 + 3 * np.sin(2 * np.pi * np.arange(240, 252) / 12) + 0.02 * np.arange(240, 252)
    assert np.mean(np.abs(model.predict() - truth)) < 0.5


def test_neighbours_of_holes():
    before, after = neighbours(np.array([np.nan, 1.0, np.nan, 2.0]))
    assert before.tolist() == [-1, 1, 1, 3]
    assert after.tolist() == [1, 1, 3, 3]


def test_a_covariate_that_changes_after_the_fit_alone():
    """The sine of a weekday, the same in all of a day, has a deviation of mere rounding."""
    hours = pd.date_range("2024-01-02", periods=24, freq="h")  # a Tuesday
    y = pd.Series(np.random.default_rng(0).normal(10.0, 1.0, 24), hours)
    settings = {"strategy": "seq2seq", "cell": "min_gru", "calendar": ["dayofweek"], **SMALL}
    model = RNNForecaster(6, **settings).fit(y)
    assert model.predict().between(0.0, 20.0).all()


@pytest.mark.parametrize("strategy", ["direct", "seq2seq", "parallel"])
def test_known_covariates_are_used(strategy):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    y = 5 + 2 * X[:, 0] + 0.1 * rng.normal(size=400)
    model = RNNForecaster(
        4,
        strategy=strategy,
        segment_length=1,
        window=8,
        **{**SMALL, "n_updates": 600, "hidden_layer_sizes": 32, "learning_rate_init": 0.01},
    ).fit(y[:-4], X[:-4])
    assert np.mean(np.abs(model.predict(X=X[-4:]) - y[-4:])) < 1.0


@pytest.mark.parametrize("strategy", ["direct", "recursive", "seq2seq", "parallel"])
def test_dense_layers_before_and_behind_the_recurrence(strategy, panel):
    layers = {"input_layer_size": 5, "head_layer_size": 7}
    plain, dense = (
        RNNForecaster(12, strategy=strategy, season_length=12, **SMALL, **sizes).fit(panel)
        for sizes in ({}, layers)
    )
    assert "input.W" in dense.summary()
    assert "head.0.W" in dense.summary()
    assert dense.n_parameters_ != plain.n_parameters_
    assert np.isfinite(dense.predict()).all()


def test_covariates_that_are_known_for_the_past_are_not_asked_for():
    index = pd.date_range("2020-01-01", periods=200, freq="D")
    rng = np.random.default_rng(0)
    y = pd.Series(seasonal_series(200, 7), index=index, name="sales")
    X = pd.DataFrame({"weather": rng.normal(size=200), "shop": ["a"] * 200}, index=index)
    model = RNNForecaster(
        7,
        past_covariates=["weather"],
        static_covariates=["shop"],
        calendar=["dayofweek"],
        **SMALL,
    ).fit(y, X)
    forecast = model.predict()
    assert forecast.index[0] == index[-1] + pd.Timedelta(days=1)
    assert forecast.name == "sales"


@pytest.mark.parametrize(
    "loss", ["quantile", "gaussian_nll", "student_t_nll", "poisson", "negative_binomial_nll"]
)
def test_distributions_tell_quantiles_that_do_not_cross(loss):
    rng = np.random.default_rng(0)
    y = rng.poisson(20 + 10 * np.sin(2 * np.pi * np.arange(300) / 12)).astype(float)
    model = RNNForecaster(12, season_length=12, loss=loss, **{**SMALL, "n_updates": 200}).fit(y)
    quantiles = model.predict_quantiles([0.1, 0.5, 0.9])
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert np.mean(quantiles[:, 2] - quantiles[:, 0]) > 4.0
    assert abs(np.mean(model.predict()) - 20) < 6


def test_intervals_cover_what_comes():
    y = np.stack([seasonal_series(300, seed=i) for i in range(8)], axis=1)
    model = RNNForecaster(12, season_length=12, **{**SMALL, "n_updates": 200}).fit(y[:-12])
    interval = model.predict_interval(0.9)
    lower, upper = interval[..., 0], interval[..., 1]
    assert 0.75 < np.mean((lower <= y[-12:]) & (y[-12:] <= upper)) <= 1.0


@pytest.mark.parametrize(
    ("horizon", "held_out", "last"), [(12, 0, 48), (5, 0, 48), (13, 0, 36), (5, 10, 36)]
)
def test_origins_of_training_are_whole_steps_before_the_end(horizon, held_out, last):
    origins = origins_within(
        np.array([0, 60]),
        horizon=horizon,
        least_past=12,
        step=12,
        is_uniform=True,
        held_out=np.array([held_out]),
    )
    assert origins.all()[1].tolist() == list(range(12, last + 1, 12))


@pytest.mark.parametrize("panel_of", ["global", "local"])
def test_intervals_are_told_from_origins_like_those_of_training(panel_of):
    y = [seasonal_series(110), seasonal_series(150)]
    settings = {"season_length": 12, "window": 24, "strategy_panel": panel_of, **SMALL}
    model = RNNForecaster(6, **settings, origin_step=12).fit(y)
    assert model._origin_step() == 12
    assert len(model._calibration(6, "").paths) == 3 + 4  # years before the last ones
    assert RNNForecaster(6, **settings).fit(y)._origin_step() == 1  # so few count all
    many = RNNForecaster(6, **{**settings, "n_updates": 1}).fit([seasonal_series(150)] * 120)
    assert many._origin_step() == (12 if panel_of == "global" else 1)


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_each_series_has_a_model_of_its_own_with_a_local_panel(panel, n_jobs):
    parameters = {"season_length": 12, "strategy_panel": "local", **SMALL}
    panel = [panel[0], panel[1] * 1000.0, panel[2][-60:]]
    together = RNNForecaster(6, n_jobs=n_jobs, **parameters).fit(panel)
    for i, y in enumerate(panel):
        alone = RNNForecaster(6, **parameters).fit(y)
        np.testing.assert_array_equal(together.predict()[i], alone.predict())


def test_local_models_differ_in_what_they_take_for_granted():
    t = np.arange(120)
    grows, shrinks = np.exp(t / 20), -t - np.sin(2 * np.pi * t / 12)
    model = RNNForecaster(6, season_length=12, strategy_panel="local", **SMALL)
    forecasts = model.fit([grows, shrinks]).predict()
    assert forecasts[0].min() > 0 > forecasts[1].max()


def test_a_generator_gives_local_models_seeds_of_their_own(panel):
    parameters = {"season_length": 12, "strategy_panel": "local", **SMALL}
    generator = np.random.RandomState(5)
    parameters["random_state"] = generator
    together = RNNForecaster(6, **parameters).fit(panel[:2])
    parameters["random_state"] = np.random.RandomState(5)
    alone = [RNNForecaster(6, **parameters).fit(y).predict() for y in panel[:2]]
    np.testing.assert_array_equal(together.predict(), alone)
    assert generator.randint(10**6) == parameters["random_state"].randint(10**6)


def test_a_series_of_its_own_model_may_be_told_which_it_is(panel):
    model = RNNForecaster(
        6, season_length=12, strategy_panel="local", series_identity=True, **SMALL
    ).fit(panel)
    assert np.isfinite(model.predict()).all()


def test_a_covariate_that_is_never_known_says_nothing(panel):
    static = np.array([[1.0, np.nan], [2.0, np.nan], [3.0, np.nan]])
    with_hole, without = (
        RNNForecaster(6, season_length=12, **SMALL).fit(panel, static=table)
        for table in (static, np.nan_to_num(static))
    )
    np.testing.assert_array_equal(with_hole.predict(), without.predict())


def test_early_stopping_keeps_the_weights_with_the_best_forecasts():
    model = RNNForecaster(
        6, season_length=12, early_stopping=True, **{**SMALL, "n_updates": 100}
    ).fit(seasonal_series())
    assert model.validation_curve_[0].shape == model.loss_curve_[0].shape


def test_a_fit_that_fails_leaves_the_forecaster_as_it_was():
    y = seasonal_series()
    model = RNNForecaster(6, season_length=12, **SMALL).fit(y)
    before = model.predict()
    with pytest.raises(ValueError, match=r"RNNForecaster.fit: y got the value -1"):
        clone(model).set_params(transform="log").fit(y - y.min() - 1)
    model.set_params(learning_rate_init=1e38, clip_norm=None)
    with pytest.raises(DivergenceError, match="learning_rate_init"):
        model.fit(y)
    np.testing.assert_array_equal(model.predict(), before)


def test_networks_beside_one_that_fails_end_at_their_next_report():
    class Course:
        n_reports = 0

        def run(self, seed, n_threads, report):
            if seed == 0:
                raise DivergenceError("the first one")
            for _ in range(2000):
                report(1, 0.0)
                self.n_reports += 1
                time.sleep(0.005)

    course = Course()
    with pytest.raises(DivergenceError, match="the first one"):
        train_all(course, [0, 1], 2, lambda n_updates, loss: None)
    assert course.n_reports < 2000


def test_logarithms_refuse_a_later_history_that_has_none():
    model = RNNForecaster(6, transform="log", season_length=12, **SMALL).fit(seasonal_series())
    with pytest.raises(ValueError, match=r"RNNForecaster.predict: y got the value 0"):
        model.predict(y=np.zeros(240))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"window": 10, "segment_length": 4}, "window got 10, expected a multiple"),
        ({"candidates": "best"}, "candidates got 'best'"),
        ({"loss": "poisson", "transform": "log"}, "transform got 'log'"),
        ({"past_covariates": ["rain"]}, r"past_covariates got \['rain'\]"),
        ({"calendar": ["hour"]}, "without dates"),
    ],
)
def test_parameters_that_do_not_go_together_are_named(parameters, message):
    with pytest.raises(ValueError, match=rf"RNNForecaster.fit: .*{message}"):
        RNNForecaster(6, **{**SMALL, **parameters}).fit(seasonal_series())
