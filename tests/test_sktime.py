"""The adapter for sktime: it says what the forecaster says, and sktime's own checks pass."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from elman import LinearForecaster, RNNForecaster

# What sktime, and what it imports, will do otherwise one day is no error of ours.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from elman.sktime import SktimeForecaster
    from sktime.forecasting.base import ForecastingHorizon
    from sktime.utils.estimator_checks import check_estimator

MONTHS = pd.period_range("2010-01", periods=60, freq="M")
rng = np.random.default_rng(0)
VALUES = rng.normal(size=(60, 2)).cumsum(axis=0) + 10
Y = pd.DataFrame(VALUES, MONTHS, ["a", "b"])
X = pd.DataFrame({"price": rng.normal(size=60), "day": rng.choice(["on", "off"], 60)}, MONTHS)
LINEAR = LinearForecaster(window=12)
CHECKS_FOR_EVERY_CHANGE = [
    "test_clone",
    "test_constructor",
    "test_fit_does_not_overwrite_hyper_params",
    "test_get_test_params",
    "test_non_state_changing_method_contract",
    "test_persistence_via_pickle",
    "test_predict_interval",
    "test_predict_quantiles",
    "test_predict_time_index_in_sample_full",
    "test_update_predict_single",
]


def linear(horizon):
    return LinearForecaster(horizon, window=12)


@pytest.mark.parametrize("y", [Y, Y["a"]], ids=["two series", "one series"])
def test_it_says_what_the_forecaster_says(y):
    expected = linear(6).fit(y).predict()
    model = SktimeForecaster(LINEAR).fit(y, fh=range(1, 7))
    forecasts = model.predict()
    assert type(forecasts) is type(y)
    assert forecasts.index.equals(expected.index)
    np.testing.assert_array_equal(forecasts, expected)
    assert model.forecaster_.horizon == 6
    assert LINEAR.horizon == 1


@pytest.mark.parametrize(
    "fh",
    [[2, 5], ForecastingHorizon(pd.PeriodIndex(["2015-02", "2015-05"], freq="M"), False)],
    ids=["relative", "absolute"],
)
def test_steps_that_the_horizon_leaves_out_are_not_given_back(fh):
    expected = linear(5).fit(Y).predict().iloc[[1, 4]]
    forecasts = SktimeForecaster(LINEAR).fit(Y, fh=fh).predict()
    np.testing.assert_array_equal(forecasts, expected)
    assert forecasts.index.astype(str).tolist() == ["2015-02", "2015-05"]


def test_covariates():
    model = SktimeForecaster(LINEAR).fit(Y[:50], X[:50], fh=[1, 2, 3])
    expected = linear(3).fit(Y[:50], X[:50]).predict(X=X[50:53])
    np.testing.assert_array_equal(model.predict(X=X[50:53]), expected)
    np.testing.assert_array_equal(model.predict(X=X), expected)  # of more times than are needed


def test_quantiles_in_the_order_of_their_levels():
    model = SktimeForecaster(LINEAR).fit(Y, fh=[1, 3])
    table = model.predict_quantiles(alpha=[0.75, 0.25])
    expected = linear(3).fit(Y).predict_quantiles([0.25, 0.75]).to_numpy()[[0, 2]]
    assert table.columns.tolist() == [("a", 0.75), ("a", 0.25), ("b", 0.75), ("b", 0.25)]
    np.testing.assert_array_equal(table, expected[:, [1, 0, 3, 2]])
    interval = model.predict_interval(coverage=0.5)
    np.testing.assert_array_equal(interval["a", 0.5, "upper"], table["a", 0.75])


@pytest.mark.parametrize("is_refitted", [True, False])
@pytest.mark.parametrize("first", [50, 45], ids=["after the end", "with rows it had"])
def test_an_update(is_refitted, first):
    model = SktimeForecaster(LINEAR).fit(Y[:50], X[:50], fh=[1, 2, 3])
    model.update(Y[first:55], X[first:55], update_params=is_refitted)
    stop = 55 if is_refitted else 50
    fitted = linear(3).fit(Y[:stop], X[:stop])
    np.testing.assert_array_equal(model.predict(X=X[55:58]), fitted.predict(y=Y[:55], X=X[:58]))


def test_missing_values_are_no_obstacle():
    y = Y.copy()
    y.iloc[[20, 59], 0] = np.nan
    assert np.isfinite(SktimeForecaster(LINEAR).fit(y, fh=[1, 2]).predict().to_numpy()).all()


def test_the_past_is_not_forecast():
    with pytest.raises(NotImplementedError, match="can not perform in-sample prediction"):
        SktimeForecaster(LINEAR).fit(Y, fh=[-1, 1])
    model = SktimeForecaster(LINEAR).fit(Y[:50], fh=ForecastingHorizon(MONTHS[[51, 54]], False))
    before = model.predict()
    with pytest.raises(NotImplementedError, match=r"fh got step -4, expected steps after the end"):
        model.update(Y[50:56])
    assert model._history.equals(Y[:50])
    assert before.index.equals(MONTHS[[51, 54]])


def test_networks_are_what_it_fits_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr(
        "elman.sktime.RNNForecaster",
        lambda: RNNForecaster(hidden_layer_sizes=(4,), n_updates=5, n_estimators=1),
    )
    model = SktimeForecaster().fit(Y, fh=[1, 2])
    assert isinstance(model.forecaster_, RNNForecaster)
    assert model.predict().shape == (2, 2)


@pytest.mark.filterwarnings("ignore")
def test_the_checks_of_sktime():
    """Those of `CHECKS_FOR_EVERY_CHANGE`; with ELMAN_SKTIME_CHECKS=all some 750, in minutes."""
    are_all = os.environ.get("ELMAN_SKTIME_CHECKS") == "all"
    names = None if are_all else CHECKS_FOR_EVERY_CHANGE
    results = check_estimator(
        SktimeForecaster, raise_exceptions=True, tests_to_run=names, verbose=False
    )
    ran = {name.split("[")[0] for name in results}
    assert ran >= set(CHECKS_FOR_EVERY_CHANGE)


def test_without_sktime_the_extra_is_named():
    code = "import sys; sys.modules['sktime'] = None; import elman.sktime"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (
        "ImportError: elman.sktime: it needs sktime: pip install 'elman[sktime]'" in result.stderr
    )
