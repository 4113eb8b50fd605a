"""Pictures: what is drawn is what was told."""

import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from elman import (
    ForecastDisplay,
    LinearForecaster,
    LossCurveDisplay,
    NaiveForecaster,
    RNNForecaster,
    RNNRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

mpl.use("Agg")
from matplotlib import pyplot as plt

DAYS = pd.date_range("2020-01-01", periods=60)
VALUES = np.random.default_rng(0).normal(size=(60, 2)).cumsum(axis=0) + 10
WIDE = pd.DataFrame(VALUES, DAYS, ["a", "b"])
LONG = WIDE.rename_axis("ds").reset_index().melt("ds", var_name="unique_id", value_name="y")
KINDS = {
    "array": (VALUES[:50], VALUES[50:], 1),
    "list": ([VALUES[:50, 0], VALUES[:50, 1]], [VALUES[50:, 0], VALUES[50:, 1]], 1),
    "wide": (WIDE[:50], WIDE[50:], "b"),
    "long": (LONG[LONG["ds"] < DAYS[50]], LONG[LONG["ds"] >= DAYS[50]], "b"),
}


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    plt.close("all")


def series():
    return WIDE["b"]


def linear(y):
    return LinearForecaster(horizon=5, window=10, season_length=7).fit(y)


# Forecasts.


@pytest.mark.parametrize("kind", KINDS)
def test_a_forecast_of_every_kind_of_y(kind):
    y, later, name = KINDS[kind]
    display = ForecastDisplay.from_estimator(linear(y), actual=later, series=name, n_history=15)
    expected = linear(VALUES[:50]).predict()[:, 1]
    history, forecast = display.line_history_, display.line_forecast_
    np.testing.assert_array_equal(history.get_ydata(), VALUES[35:50, 1])
    np.testing.assert_array_equal(forecast.get_ydata(), [VALUES[49, 1], *expected])
    np.testing.assert_array_equal(display.line_actual_.get_ydata(), VALUES[49:55, 1])
    times = np.asarray(DAYS) if kind in ("wide", "long") else np.arange(60)
    np.testing.assert_array_equal(history.get_xdata(orig=True), times[35:50])
    np.testing.assert_array_equal(forecast.get_xdata(orig=True), times[49:55])
    assert display.ax_.get_title() == f"LinearForecaster: {name}"


def test_the_fan_is_what_predict_interval_says():
    model = linear(VALUES[:, 0])
    display = ForecastDisplay.from_estimator(model, coverage=(0.9, 0.5))
    assert list(display.fan_) == [0.9, 0.5]  # the narrow one is drawn over the wide one
    for coverage in (0.5, 0.9):
        interval = model.predict_interval(coverage)
        np.testing.assert_array_equal(display.intervals[coverage], interval)
        corners = display.fan_[coverage].get_paths()[0].vertices[:, 1]
        assert corners.min() == min(interval.min(), VALUES[-1, 0])
        assert corners.max() == max(interval.max(), VALUES[-1, 0])
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["History", "90 % interval", "50 % interval", "Forecast"]


def test_quantiles_of_the_networks_own():
    model = RNNForecaster(
        horizon=3, window=8, loss="quantile", n_updates=5, n_estimators=1, random_state=0
    ).fit(series())
    display = ForecastDisplay.from_estimator(model, coverage=0.5)
    expected = model.predict_interval(0.5).to_numpy()
    np.testing.assert_array_equal(display.intervals[0.5], expected)


def test_a_new_history_and_a_shorter_horizon():
    model = linear(series()[:50])
    display = ForecastDisplay.from_estimator(model, series(), horizon=3, coverage=None)
    expected = [VALUES[-1, 1], *model.predict(3, y=series())]
    np.testing.assert_array_equal(display.line_forecast_.get_ydata(), expected)
    assert len(display.history) == 14  # two seasons
    assert display.fan_ == {}
    assert display.line_actual_ is None


def test_covariates_reach_the_forecast_of_their_series():
    X = pd.DataFrame({"x": np.arange(60.0) % 4}, DAYS)
    model = LinearForecaster(horizon=5, window=10).fit(WIDE[:50], X[:50])
    display = ForecastDisplay.from_estimator(model, X=X[50:], series="b", coverage=None)
    np.testing.assert_array_equal(display.forecast, model.predict(X=X[50:])["b"])


@pytest.mark.parametrize(
    ("index", "first"),
    [
        (pd.period_range("2020-01", periods=60, freq="M"), "2020-01-01"),
        (pd.date_range("2020-01-01", periods=60, freq="h", tz="Europe/Rome"), "2020-01-01"),
    ],
    ids=["periods", "time zone"],
)
def test_periods_and_time_zones_are_dates_on_the_clock(index, first):
    model = NaiveForecaster(3).fit(pd.Series(VALUES[:, 0], index))
    display = ForecastDisplay.from_estimator(model, coverage=None, n_history=60)
    assert display.history_times[0] == np.datetime64(first)
    assert display.line_forecast_.get_xdata(orig=True).dtype.kind == "M"
    display.figure_.canvas.draw()


def test_a_history_that_ends_unknown_lends_the_forecast_no_beginning():
    y = np.append(VALUES[:, 0], np.nan)
    display = ForecastDisplay.from_estimator(NaiveForecaster().fit(y), coverage=None)
    assert len(display.line_forecast_.get_ydata()) == 1
    assert display.line_forecast_.get_marker() == "o"


def test_predictions_made_before():
    model, y = linear(series()[:50]), series()[:50]
    display = ForecastDisplay.from_predictions(
        y,
        model.predict(),
        intervals={0.9: model.predict_interval(0.9)},
        actual=series()[52:],
        n_history=20,
        name="ridge",
    )
    same = ForecastDisplay.from_estimator(model, coverage=0.9, n_history=20)
    np.testing.assert_array_equal(display.forecast, same.forecast)
    np.testing.assert_array_equal(display.times, same.times)
    np.testing.assert_array_equal(display.intervals[0.9], same.intervals[0.9])
    np.testing.assert_array_equal(display.actual, [np.nan, np.nan, *VALUES[52:55, 1]])
    assert display.ax_.get_title() == "ridge: b"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"series": "c"}, r"series got 'c', expected one of \['a', 'b'\]"),
        ({"coverage": 90}, "coverage got 90, expected a number between 0 and 1"),
        ({"n_history": 0}, "n_history got 0, expected"),
        ({"horizon": 6}, "horizon got 6, expected at most 5"),
        ({"actual": WIDE[:50]}, "actual got no known value, expected some in the horizon"),
    ],
)
def test_what_is_wrong_with_a_forecast(arguments, message):
    with pytest.raises(ValueError, match=f"ForecastDisplay.from_estimator: {message}"):
        ForecastDisplay.from_estimator(linear(WIDE[:50]), **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((VALUES, VALUES[:3]), "y got 2 series, expected one"),
        ((series(), series()[:5]), "forecast got no known value"),
        ((VALUES[:, 0], [1.0, np.nan]), r"forecast got an array of shape \(2,\), expected finite"),
    ],
)
def test_what_is_wrong_with_predictions(arguments, message):
    with pytest.raises(ValueError, match=f"ForecastDisplay.from_predictions: {message}"):
        ForecastDisplay.from_predictions(*arguments)


def test_nothing_is_drawn_before_a_fit():
    with pytest.raises(NotFittedError):
        ForecastDisplay.from_estimator(LinearForecaster())
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(RNNRegressor())


# Losses.


def regressor(**parameters):
    X = VALUES[:, :, None]
    model = RNNRegressor(hidden_layer_sizes=(4,), max_iter=6, tol=0, random_state=0, **parameters)
    return make_pipeline(StandardScaler(), model).fit(VALUES, X.sum(axis=(1, 2)))


@pytest.mark.filterwarnings("ignore:.*has not converged")
def test_the_loss_of_a_network_and_its_validation_scores():
    pipeline = regressor(early_stopping=True)
    display = LossCurveDisplay.from_estimator(pipeline)
    (line,) = display.lines_
    assert line.get_ydata().tolist() == pipeline[-1].loss_curve_
    assert line.get_xdata().tolist() == [1, 2, 3, 4, 5, 6]
    scores = display.line_validation_
    assert scores.get_ydata().tolist() == pipeline[-1].validation_scores_
    assert scores.axes is display.validation_ax_ is not display.ax_
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["Training loss", "Validation score (right axis)"]
    assert display.ax_.get_xlabel() == "Epoch"
    assert display.ax_.get_title() == "RNNRegressor"


@pytest.mark.filterwarnings("ignore:.*has not converged")
def test_without_validation_there_is_one_axis():
    display = LossCurveDisplay.from_estimator(regressor(), name="mine", line_kw={"color": "red"})
    assert display.line_validation_ is display.validation_ax_ is None
    assert display.ax_.get_title() == "mine"
    assert display.lines_[0].get_color() == "red"


def test_each_network_of_a_forecaster_has_its_curve():
    model = RNNForecaster(horizon=3, window=8, n_updates=60, n_estimators=2, random_state=0)
    display = LossCurveDisplay.from_estimator(model.fit(series()))
    assert len(display.lines_) == 2
    for line, curve in zip(display.lines_, model.loss_curve_, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), curve)
        assert line.get_xdata().tolist() == [20, 40, 60]
    assert display.ax_.get_xlabel() == "Update"


def test_an_estimator_without_a_curve_is_named():
    message = "LossCurveDisplay.from_estimator: estimator got NaiveForecaster, expected a fitted"
    with pytest.raises(ValueError, match=message):
        LossCurveDisplay.from_estimator(NaiveForecaster().fit(VALUES))


# What displays share.


def displays():
    return {
        "forecast": ForecastDisplay.from_estimator(linear(VALUES)),
        "loss": LossCurveDisplay(loss_curves=[[3.0, 2.0, 1.0]], validation_scores=[0.1, 0.2, 0.3]),
    }


@pytest.mark.parametrize("name", ["forecast", "loss"])
def test_it_is_drawn_where_one_says(name):
    display, (figure, ax) = displays()[name], plt.subplots()
    assert display.plot(ax, name="title") is display
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert ax.get_title() == "title"
    display.plot()
    assert display.ax_ is not ax


@pytest.mark.parametrize("name", ["forecast", "loss"])
def test_the_legend_hides_no_line_and_no_label(name):
    display = displays()[name].plot()
    figure, ax = display.figure_, display.ax_
    figure.canvas.draw()
    legend = ax.get_legend().get_window_extent()
    assert not legend.overlaps(ax.get_window_extent())
    assert not legend.overlaps(ax.xaxis.get_tightbbox())
    assert figure.bbox.contains(*legend.min)
    assert figure.bbox.contains(*legend.max)


@pytest.mark.parametrize("name", ["forecast", "loss"])
def test_without_matplotlib_the_extra_is_named(name, monkeypatch):
    display = displays()[name]
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"Display.plot: pictures need .*'elman\[plot\]'"):
        display.plot()
