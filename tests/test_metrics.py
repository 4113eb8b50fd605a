"""Measures of forecasts, against numbers counted by hand and published ones."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from elman import NaiveForecaster
from elman.datasets import fetch_m4, load_air_passengers
from elman.metrics import (
    backtest_report,
    interval_coverage,
    mean_absolute_scaled_error,
    mean_interval_score,
    mean_pinball_loss,
    overall_weighted_average,
    symmetric_mean_absolute_percentage_error,
    weighted_absolute_percentage_error,
)

DATA = Path(os.environ.get("ELMAN_DATA", "data"))
rng = np.random.default_rng(0)
TRUTH, FORECAST = rng.normal(5, 1, (6, 3)), rng.normal(5, 1, (6, 3))
TRAIN = [rng.normal(5, 1, n) for n in (9, 12, 30)]
POINT_MEASURES = {
    "MASE": lambda *pair, **o: mean_absolute_scaled_error(
        *pair, y_train=TRAIN, season_length=4, **o
    ),
    "sMAPE": symmetric_mean_absolute_percentage_error,
    "WAPE": weighted_absolute_percentage_error,
}


def test_mase_is_the_error_over_the_naive_error_of_the_training_part():
    expected = [
        np.abs(TRUTH[:, i] - FORECAST[:, i]).mean() / np.abs(train[4:] - train[:-4]).mean()
        for i, train in enumerate(TRAIN)
    ]
    errors = POINT_MEASURES["MASE"](TRUTH, FORECAST, multioutput="raw_values")
    np.testing.assert_allclose(errors, expected)


def test_smape_is_that_of_the_m_competitions():
    expected = (200 * np.abs(TRUTH - FORECAST) / (np.abs(TRUTH) + np.abs(FORECAST))).mean()
    error = symmetric_mean_absolute_percentage_error(TRUTH, FORECAST)
    assert 100 * error == pytest.approx(expected)
    assert symmetric_mean_absolute_percentage_error([0.0, 1.0], [0.0, -1.0]) == 1


def test_wape_is_a_share_of_the_total():
    assert weighted_absolute_percentage_error([0.0, 4.0], [1.0, 3.0]) == 0.5


def test_owa_of_the_baseline_is_one():
    options = {"y_train": TRAIN, "season_length": 4}
    assert overall_weighted_average(TRUTH, FORECAST, y_baseline=FORECAST, **options) == 1
    better = (TRUTH + FORECAST) / 2
    assert overall_weighted_average(TRUTH, better, y_baseline=FORECAST, **options) < 0.6


@pytest.mark.parametrize("quantiles", [[0.5], [0.1, 0.25, 0.9]])
def test_pinball_loss_is_the_mean_of_scikit_learns(quantiles):
    forecasts = np.sort(rng.normal(5, 1, (6, 3, len(quantiles))), axis=2)
    expected = np.mean(
        [
            sklearn.metrics.mean_pinball_loss(TRUTH, forecasts[..., i], alpha=level)
            for i, level in enumerate(quantiles)
        ]
    )
    assert mean_pinball_loss(TRUTH, forecasts, quantiles=quantiles) == pytest.approx(expected)


def test_intervals():
    ends = [[0.0, 2.0], [0.0, 2.0], [0.0, 2.0], [0.0, 2.0]]
    assert interval_coverage([0.0, 1.0, 2.0, 3.0], ends) == 0.75
    assert mean_interval_score([0.0, 1.0, 2.0, 3.0], ends, coverage=0.8) == pytest.approx(
        2 + 2 / 0.2 * 1 / 4
    )


@pytest.mark.parametrize("name", POINT_MEASURES)
def test_weights_of_times_are_like_repeated_times(name):
    weights = np.array([1, 0, 2, 1, 3, 0])
    weighted = POINT_MEASURES[name](TRUTH, FORECAST, sample_weight=weights)
    repeated = POINT_MEASURES[name](TRUTH.repeat(weights, 0), FORECAST.repeat(weights, 0))
    assert weighted == pytest.approx(repeated)


@pytest.mark.parametrize("name", POINT_MEASURES)
def test_what_nobody_knows_is_left_out(name):
    truth = TRUTH.copy()
    truth[2:, 1] = np.nan
    errors = POINT_MEASURES[name](truth, FORECAST, multioutput="raw_values")
    full = POINT_MEASURES[name](TRUTH, FORECAST, multioutput="raw_values")
    short = POINT_MEASURES[name](TRUTH[:2], FORECAST[:2], multioutput="raw_values")
    np.testing.assert_allclose(errors, [full[0], short[1], full[2]])


@pytest.mark.parametrize("name", POINT_MEASURES)
def test_series_are_averaged_as_asked(name):
    errors = POINT_MEASURES[name](TRUTH, FORECAST, multioutput="raw_values")
    assert POINT_MEASURES[name](TRUTH, FORECAST) == pytest.approx(errors.mean())
    weighted = POINT_MEASURES[name](TRUTH, FORECAST, multioutput=[1, 0, 3])
    assert weighted == pytest.approx((errors[0] + 3 * errors[2]) / 4)


def test_what_forecasters_give_back_can_be_handed_in():
    frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
    arrays = [frame[name].to_numpy() for name in frame]
    past, past_arrays = frame[:53], [array[:53] for array in arrays]
    truth, true_arrays = frame[53:], [array[53:] for array in arrays]
    model = NaiveForecaster(horizon=7).fit(past)
    of_lists = NaiveForecaster(horizon=7).fit(past_arrays)
    assert mean_absolute_scaled_error(
        truth, model.predict(), y_train=past
    ) == mean_absolute_scaled_error(true_arrays, of_lists.predict(), y_train=past_arrays)
    covered = interval_coverage(truth, model.predict_interval(0.5), multioutput="raw_values")
    expected = [
        interval_coverage(array, interval)
        for array, interval in zip(true_arrays, of_lists.predict_interval(0.5), strict=True)
    ]
    np.testing.assert_array_equal(covered, expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_absolute_scaled_error(TRUTH, FORECAST[:5], y_train=TRAIN),
         r"y_pred got shape \(5, 3\), expected \(6, 3\)"),
        (lambda: mean_absolute_scaled_error(TRUTH, FORECAST, y_train=TRAIN[:2]),
         "y_train got 2 series, expected 3"),
        (lambda: mean_absolute_scaled_error(TRUTH, FORECAST, y_train=TRAIN, season_length=0),
         "season_length got 0"),
        (lambda: mean_absolute_scaled_error([1.0], [2.0], y_train=[3.0, 3.0]),
         "series 0, whose error is not defined"),
        (lambda: symmetric_mean_absolute_percentage_error([1.0, 2], [1.0, np.nan]),
         "y_pred got 1 value of NaN"),
        (lambda: symmetric_mean_absolute_percentage_error([np.nan], [1.0]),
         "y_true got no known value in series 0"),
        (lambda: symmetric_mean_absolute_percentage_error([np.inf], [1.0]), "y_true .*infinity"),
        (lambda: weighted_absolute_percentage_error([1.0, 2], [1.0, 2], sample_weight=[-1, 1]),
         "sample_weight got"),
        (lambda: weighted_absolute_percentage_error(TRUTH, FORECAST, multioutput="median"),
         "multioutput got 'median'"),
        (lambda: weighted_absolute_percentage_error(TRUTH, FORECAST, multioutput=[1, 2]),
         "multioutput got shape"),
        (lambda: mean_pinball_loss(TRUTH, FORECAST, quantiles=[0.1, 0.9]),
         r"y_pred got shape \(6, 3\), expected \(6, 3, 2\)"),
        (lambda: mean_pinball_loss([1.0], [[1.0, 2.0]], quantiles=[0.9, 0.1]), "quantiles got"),
        (lambda: mean_interval_score([1.0], [[1.0, 2.0]], coverage=90), "coverage got 90"),
        (lambda: overall_weighted_average([1.0], [1.0], y_train=[1.0, np.nan, 2.0]),
         "y_train got 1 value of NaN"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# Published figures.


@pytest.mark.parametrize(("horizon", "published"), [(12, 1.571), (24, 2.494), (36, 1.965)])
def test_seasonal_naive_of_the_air_passengers(horizon, published):
    y = load_air_passengers().data
    model = NaiveForecaster(horizon, strategy="seasonal", season_length=12).fit(y[:-horizon])
    error = mean_absolute_scaled_error(
        y[-horizon:], model.predict(), y_train=y[:-horizon], season_length=12
    )
    assert round(error, 3) == published
    assert model.score(y[-horizon:]) == pytest.approx(-error)


@pytest.mark.parametrize(
    ("group", "season_length", "naive2", "seasonal_naive"),
    [
        ("hourly", 24, (18.383, 2.395), (13.912, 1.193, 0.6275)),
        ("weekly", 1, (9.161, 2.777), (9.161, 2.777, 1.0)),
    ],
)
def test_published_measures_of_m4(group, season_length, naive2, seasonal_naive):
    files = DATA / f"m4_{group}"
    if not files.exists():
        pytest.skip(f"m4_{group} is not in the folder that ELMAN_DATA names")
    series = fetch_m4(group)
    truth, options = series.test.T, {"y_train": series.train, "season_length": season_length}

    def submitted(name):
        path = files / f"{group.capitalize()}-forecast-{name}.csv.gz"
        return pd.read_csv(path, index_col=0).loc[list(series.names)].to_numpy().T

    def measures(forecast):
        smape = 100 * symmetric_mean_absolute_percentage_error(truth, forecast)
        return round(smape, 3), round(mean_absolute_scaled_error(truth, forecast, **options), 3)

    baseline = submitted("Naive2")
    assert measures(baseline) == naive2
    forecast = submitted("sNaive")
    assert measures(forecast) == seasonal_naive[:2]
    owa = overall_weighted_average(truth, forecast, y_baseline=baseline, **options)
    assert round(owa, 4) == seasonal_naive[2]
    ours = overall_weighted_average(truth, forecast, **options)  # with a Naive2 of our own
    assert ours == pytest.approx(owa, rel=1e-9)
    model = NaiveForecaster(len(truth), strategy="seasonal", season_length=season_length)
    np.testing.assert_array_equal(np.column_stack(model.fit(series.train).predict()), forecast)


# The report.


def test_a_report_has_the_naive_beside_the_model():
    y = load_air_passengers().data
    model = NaiveForecaster(12, strategy="seasonal_drift", season_length=12)
    table = model.backtest(y, n_windows=4, coverage=0.8)
    report = backtest_report(table, output_dict=True)
    assert list(report) == ["model", "seasonal naive", "naive"]
    error = (table["y"] - table["y_pred"]).abs()
    assert report["model"]["MASE"] == pytest.approx((error / table["scale"]).mean())
    assert report["model"]["WAPE"] == pytest.approx(error.sum() / table["y"].sum())
    assert report["naive"]["RMSE"] == pytest.approx(
        sklearn.metrics.root_mean_squared_error(table["y"], table["y_naive"])
    )
    inside = table["y"].between(table["lower"], table["upper"]).mean()
    assert report["model"]["coverage"] == pytest.approx(inside)
    lines = backtest_report(table).splitlines()
    assert lines[0].split() == ["MASE", "sMAPE", "WAPE", "RMSE", "coverage", "width"]
    assert [line[:14].strip() for line in lines[1:]] == ["model", "seasonal naive", "naive"]
    assert f"{100 * inside:.2f} %" in lines[1]


def test_a_report_of_nothing_is_refused():
    table = NaiveForecaster().backtest(np.ones(10), n_windows=2).assign(y=np.nan)
    with pytest.raises(ValueError, match="backtest_report: table got no known value"):
        backtest_report(table)


def test_numbers_of_a_value_are_the_last_axis():
    y = np.arange(6.0)[:, None] + [0, 10, 20]
    interval = np.stack([y - 1, y + 1], axis=-1)
    assert interval_coverage(y, interval) == interval_coverage(y, interval.reshape(6, 6)) == 1
    with pytest.raises(ValueError, match=r"y_pred got shape \(6, 2, 3\), expected \(6, 3, 2\)"):
        interval_coverage(y, interval.swapaxes(1, 2))
