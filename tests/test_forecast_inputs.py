"""What forecasters read: units, gaps, covariates, and nothing that is not known yet."""

import numpy as np
import pandas as pd
import pytest
from elman import LinearForecaster, NaiveForecaster, RNNForecaster

SMALL = {"hidden_layer_sizes": 8, "n_estimators": 1, "n_updates": 40, "random_state": 0}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 2))
WALK = 20 + RNG.normal(size=90).cumsum()


@pytest.mark.parametrize("strategy", ["direct", "recursive", "seq2seq", "parallel"])
@pytest.mark.parametrize("horizon", [1, 3, 9])
def test_training_reads_nothing_behind_the_horizon(strategy, horizon):
    """Though the network reads whole segments of seven times."""
    model = RNNForecaster(
        horizon, strategy=strategy, season_length=7, past_covariates=["x1"], **SMALL
    ).fit(WALK, X)
    plan = model._models[0].plan
    assert plan.segment_length == 7
    read = []
    for changed in (False, True):
        series = model._reader_of_fit.read(model._panel)
        history = series.history(plan.transform)
        if changed:
            history.covariates[50 + plan.horizon :] += 7.0
            history.past[50:] += 7.0
            history.values[50 + plan.horizon :] += 7.0
        window = plan.cut(history, np.array([0]), np.array([50]))
        base = plan.base(history, window)
        read.append([plan.inputs(history, window), *plan.targets(history, window), base])
    for before, after in zip(*read, strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("strategy", ["direct", "seq2seq", "parallel"])
def test_a_covariate_of_tomorrow_is_not_learned_from(strategy):
    """What is read in training and in a forecast is alike: the first input that differs is told."""
    model = RNNForecaster(1, strategy=strategy, season_length=7, **SMALL).fit(WALK, X)
    plan = model._models[0].plan
    known = model._reader_of_fit.read(model._panel).history(plan.transform)
    cut = model._panel.cut(np.array([0]), np.array([60]))
    asked = model._reader_of_fit.read(cut, 1, X[None, 60:61]).history(plan.transform)
    at = np.array([0]), np.array([60])
    inputs = [plan.inputs(history, plan.cut(history, *at)) for history in (known, asked)]
    np.testing.assert_array_equal(*inputs)


def bursts(n):
    """Zeros for days, and then what is not."""
    y = np.maximum(np.sin(np.arange(n) / 4), 0) * RNG.integers(0, 2, n // 25 + 1).repeat(25)[:n]
    return y + 0.1 * (y > 0) * RNG.random(n)


@pytest.mark.parametrize("factor", [2.0**-20, 2.0**20])
@pytest.mark.parametrize(
    "model",
    [
        LinearForecaster(2, window=8),
        RNNForecaster(2, window=8, loss="squared_error", **SMALL),
        RNNForecaster(2, window=8, loss="gaussian_nll", candidates="mean", **SMALL),
    ],
    ids=["linear", "network", "distribution"],
)
def test_a_stretch_of_zeros_does_not_bring_in_a_unit(model, factor):
    y = bursts(400)
    forecasts = [
        model.fit(y * by).predict(y=y[: 390 - back] * by) / by
        for by in (1.0, factor)
        for back in range(60)
    ]
    np.testing.assert_allclose(forecasts[:60], forecasts[60:], rtol=1e-4, atol=1e-6)
    assert np.abs(forecasts).max() < 3


@pytest.mark.parametrize("season_length", [1, 12])
def test_a_backtest_fills_a_long_gap_as_a_forecast_does(season_length):
    """From before the times that a forecast looks at."""
    y = WALK + 4 * np.sin(np.arange(90) * np.pi / 6)
    y[45:75] = np.nan
    models = [
        LinearForecaster(3, window=6, season_length=season_length),
        RNNForecaster(3, window=12, season_length=season_length, **SMALL),
    ]
    for model in models:
        table = model.backtest(y, step=1, n_windows=30)
        model.fit(y[:58])
        for stop in range(58, 88):
            rows = table.loc[table["cutoff"] == stop - 1, "y_pred"]
            np.testing.assert_array_equal(model.predict(y=y[:stop]), rows)
            assert np.isfinite(rows).all()


def test_a_window_that_knows_nothing_has_the_last_value_before_it():
    y = pd.DataFrame({"a": 1000 + RNG.normal(size=200), "b": 1000 + RNG.normal(size=200)})
    y.loc[120:, "b"] = np.nan
    model = RNNForecaster(2, window=24, **SMALL).fit(y)
    np.testing.assert_allclose(model.predict(), 1000, atol=20)
    interval = model.predict_interval(0.8)
    assert (interval["b", "lower"] > 900).all()
    # Nor is anything learned from a window without a value as if it were zero.
    one = RNG.normal(size=400) + 1000
    one[200:260] = np.nan
    options = {**SMALL, "loss": "squared_error", "n_updates": 100}
    model = RNNForecaster(2, window=24, **options).fit(one)
    assert model.loss_curve_[0][-1] < 10
    np.testing.assert_allclose(model.predict(), 1000, atol=20)


def test_nothing_from_behind_a_gap_at_the_start_is_read():
    model = RNNForecaster(2, window=8, **SMALL).fit(WALK)
    history = model._reader_of_fit.read(model._panel).history(None)
    rows, starts = np.array([[3, 4, 5], [40, 41, 42]]), np.array([0, 40])
    history.values[:6] = history.values[39:43] = np.nan
    before = np.where(np.isnan(history.values), -1, np.arange(90))
    history.before[:] = np.maximum.accumulate(before)
    known = np.where(np.isnan(history.values), 90, np.arange(90))
    history.after[:] = np.minimum.accumulate(known[::-1])[::-1]
    np.testing.assert_array_equal(history.filled(rows, starts), np.zeros((2, 3)))
    starts[1] = 6
    np.testing.assert_array_equal(history.filled(rows, starts)[1], [history.values[38]] * 3)


def test_static_columns_hold_at_any_time_in_a_backtest_too():
    changing = np.where(np.arange(90) == 0, 3.0, 0.0)[:, None]
    model = RNNForecaster(3, window=10, static_covariates=["x0"], **SMALL)
    table = model.backtest(WALK, changing, step=5, n_windows=4)
    constant = model.backtest(WALK, np.full((90, 1), 3.0), step=5, n_windows=4)
    pd.testing.assert_frame_equal(table, constant)


@pytest.mark.parametrize("loss", ["poisson", "negative_binomial_nll"])
def test_held_out_errors_of_counts_are_in_units_of_their_windows(loss):
    y = np.random.default_rng(3).poisson(100, size=300).astype(float)
    model = RNNForecaster(4, window=16, loss=loss, early_stopping=True, **SMALL).fit(y)
    # Of the mean of a window, where the deviation of a count is a tenth of it.
    assert 0.05 < np.min(model.validation_curve_) < 0.15
    assert model.predict().dtype == np.float64


def test_a_logarithm_of_our_choice_does_not_refuse_what_comes_later():
    """A zero is missing to it; one that was asked for refuses it."""
    y = np.r_[np.tile([1.0, 2, 3, 4], 50), np.tile([0.0, 2, 3, 4], 5)]
    model = RNNForecaster(2, **SMALL).fit(y)
    assert model.plan_["transform"] is None
    assert np.isfinite(model.predict_interval()).all()
    model = RNNForecaster(2, window=8, **SMALL).fit(y[:200])
    assert model.plan_["transform"] == "log"
    expected = model.predict(y=[*y[:200], np.nan, 3.0])
    np.testing.assert_array_equal(model.update([0.0, 3.0]).predict(), expected)
    stream = RNNForecaster(2, window=8, **SMALL).fit(y[:200]).stream()
    for n in range(1, 13):  # until no window knows more than zeros
        zeros = [*y[:200], *np.zeros(n)]
        np.testing.assert_array_equal(stream.step(0.0), model.predict(y=zeros))
        assert (model.predict(y=zeros) > 0.5).all()
    table = model.backtest([*y[:200], *np.zeros(14)], step=1, n_windows=13)
    for n in range(13):
        rows = table.loc[table["cutoff"] == 199 + n, "y_pred"]
        np.testing.assert_array_equal(rows, model.predict(y=[*y[:200], *np.zeros(n)]))
    asked = RNNForecaster(2, window=8, transform="log", **SMALL).fit(y[:200])
    with pytest.raises(ValueError, match="expected positive values with transform='log'"):
        asked.update([0.0]).predict()


def test_quantiles_beyond_those_of_the_fit_are_told():
    model = RNNForecaster(2, loss="quantile", quantiles=[0.1, 0.5, 0.9], **SMALL).fit(WALK)
    outermost = model.predict_interval(0.8)
    with pytest.warns(UserWarning, match=r"from 0.005 to 0.995, expected some from 0.1 to 0.9"):
        np.testing.assert_array_equal(model.predict_interval(0.99), outermost)


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("America/Sao_Paulo", "2017-10-15"),
        ("Asia/Beirut", "2023-03-26"),
        ("America/Havana", "2023-11-05"),
    ],
)
def test_clocks_that_change_at_midnight_leave_no_day_out(zone, day):
    """Or that are put back to it: the first of two is the day's."""
    local = pd.date_range(pd.Timestamp(day) - pd.Timedelta(days=60), periods=100)
    first = np.ones(100, dtype=bool)
    days = local.tz_localize(zone, nonexistent="shift_forward", ambiguous=first)
    y = pd.Series(np.arange(100.0), days)
    for n in (55, 61, 90):
        forecast = NaiveForecaster(9, strategy="drift").fit(y[:n]).predict()
        assert forecast.index.equals(days[n : n + 9])
        np.testing.assert_allclose(forecast, np.arange(n, n + 9))
    model = NaiveForecaster(3, strategy="drift").fit(y[:50]).update(y[50:80])
    np.testing.assert_allclose(model.predict(), [80, 81, 82])
