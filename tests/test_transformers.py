"""SequenceScaler and SlidingWindow as a user meets them."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from elman import RNNRegressor, SequenceScaler, SlidingWindow
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

RNG = np.random.RandomState(0)
X = RNG.randn(30, 7, 3) * [1, 10, 100] + [0, 5, -50]
RAGGED = [x[: 1 + i % 7] for i, x in enumerate(X)]
METHODS = ["standard", "robust", "minmax", "mean_abs"]


@pytest.mark.parametrize("estimator", [SequenceScaler(), SequenceScaler(by="sequence")])
def test_scikit_learns_own_checks(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, expected_failed_checks={}, on_fail=None)
    failed = {result["check_name"] for result in results if result["status"] == "failed"}
    assert failed == set()


@pytest.mark.parametrize(
    ("method", "of_tables"),
    [("standard", StandardScaler()), ("robust", RobustScaler()), ("minmax", MinMaxScaler())],
)
def test_channels_are_scaled_as_columns_of_all_steps(method, of_tables):
    expected = of_tables.fit_transform(X.reshape(-1, 3)).reshape(X.shape)
    np.testing.assert_allclose(SequenceScaler(method=method).fit_transform(X), expected, atol=1e-12)
    steps = np.concatenate(RAGGED)
    scaled = SequenceScaler(method=method).fit_transform(RAGGED)
    np.testing.assert_allclose(np.concatenate(scaled), of_tables.fit_transform(steps), atol=1e-12)


@pytest.mark.parametrize(
    ("method", "of_tables"),
    [("standard", StandardScaler()), ("robust", RobustScaler()), ("minmax", MinMaxScaler())],
)
def test_sequences_are_scaled_each_by_itself(method, of_tables):
    scaled = SequenceScaler(method=method, by="sequence").fit(RAGGED[:1]).transform(RAGGED)
    for got, x in zip(scaled, RAGGED, strict=True):
        np.testing.assert_allclose(got, of_tables.fit_transform(x), atol=1e-9)


def test_mean_absolute_value():
    scaled = SequenceScaler(method="mean_abs", by="sequence").fit_transform(RAGGED)
    for got, x in zip(scaled, RAGGED, strict=True):
        np.testing.assert_allclose(got, x / np.abs(x).mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("by", ["channel", "sequence"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "data", [X, X.astype(np.float32), X[:, :, 0], RAGGED, [x[:, 0] for x in RAGGED]]
)
def test_what_is_scaled_comes_back(data, method, by):
    scaler = SequenceScaler(method=method, by=by).fit(data)
    scaled = scaler.transform(data)
    back = scaler.inverse_transform(scaled, like=data)
    assert type(scaled) is type(data)
    assert all(a.shape == b.shape for a, b in zip(scaled, data, strict=True))
    assert scaled[0].dtype == data[0].dtype
    tolerance = 1e-3 if data[0].dtype == np.float32 else 1e-9
    for a, b in zip(back, data, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("method", METHODS)
def test_missing_values_do_not_count_and_stay(method):
    gappy = X.copy()
    gappy[RNG.random_sample(X.shape) < 0.3] = np.nan
    gappy[3, :, 1] = np.nan
    for by in ("channel", "sequence"):
        scaled = SequenceScaler(method=method, by=by).fit_transform(gappy)
        assert np.array_equal(np.isnan(scaled), np.isnan(gappy))
    center = SequenceScaler(method=method).fit(gappy).center_
    expected = {"standard": np.nanmean, "robust": np.nanmedian, "minmax": np.nanmin}
    if method in expected:
        np.testing.assert_allclose(center, expected[method](gappy, axis=(0, 1)), rtol=1e-12)


def test_forecasts_are_put_back_into_the_scale_of_their_past():
    scaler = SequenceScaler(by="sequence").fit(X)
    forecast = np.zeros((30, 2, 3))
    expected = np.repeat(X.mean(axis=1)[:, None], 2, axis=1)
    np.testing.assert_allclose(scaler.inverse_transform(forecast, like=X), expected, rtol=1e-12)


def test_constant_channels_are_only_moved():
    constant = np.full((4, 5, 1), 7.0)
    for method in METHODS[:3]:
        assert not SequenceScaler(method=method).fit_transform(constant).any()


def test_names_of_columns_and_containers():
    table = pd.DataFrame(X[:, :, 0], columns=[f"t{i}" for i in range(7)])
    scaler = SequenceScaler().set_output(transform="pandas").fit(table)
    assert list(scaler.get_feature_names_out()) == list(table.columns)
    assert list(scaler.transform(table).columns) == list(table.columns)
    again = pickle.loads(pickle.dumps(scaler))
    assert np.array_equal(again.transform(table), scaler.transform(table))


def test_scaler_that_cannot_be():
    with pytest.raises(ValueError, match=r"SequenceScaler\.fit: method got 'loud'"):
        SequenceScaler(method="loud").fit(X)
    with pytest.raises(NotFittedError, match=r"SequenceScaler\.transform"):
        SequenceScaler().transform(X)
    scaler = SequenceScaler(by="sequence").fit(X)
    with pytest.raises(ValueError, match="like got None, expected the sequences before"):
        scaler.inverse_transform(X)
    with pytest.raises(ValueError, match="like got 3 sequences, expected 30, as in X"):
        scaler.inverse_transform(X, like=X[:3])
    with pytest.raises(ValueError, match="X has 2 features"):
        scaler.transform(X[:, :, :2])
    with pytest.raises(ValueError, match="infinity"):
        scaler.transform(np.where(X > 100, np.inf, X))


def test_windows():
    series = np.arange(12.0).reshape(6, 2)
    windows = SlidingWindow(window=3).fit_transform(series)
    assert windows.shape == (6, 3, 2)
    assert windows[0, 0].tolist() == [0, 1]
    assert np.isnan(windows[0, 1:]).all()
    assert np.array_equal(windows[5], series[3:])
    assert np.array_equal(
        SlidingWindow(window=3).fit_transform(series[:, 0])[:, :, 0],
        windows[..., 0],
        equal_nan=True,
    )
    assert SlidingWindow(window=9).fit_transform(series).shape == (6, 9, 2)
    assert SlidingWindow(window=3).fit_transform(series.astype(np.float32)).dtype == np.float32


def test_a_pipeline_forecasts():
    series = np.sin(np.arange(200) / 5) + 0.01 * RNG.randn(200)
    today, tomorrow = series[:-1], series[1:]
    model = make_pipeline(
        SlidingWindow(window=10),
        RNNRegressor(hidden_layer_sizes=16, learning_rate_init=0.01, max_iter=60, random_state=0),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(today[:150], tomorrow[:150])
    errors = model.predict(today[140:])[10:] - tomorrow[150:]
    naive = today[150:] - tomorrow[150:]
    assert np.mean(errors**2) < 0.2 * np.mean(naive**2)


def test_windows_that_cannot_be():
    with pytest.raises(ValueError, match=r"SlidingWindow\.fit: window got 0"):
        SlidingWindow(window=0).fit(X[0])
    with pytest.raises(ValueError, match="NaN"):
        SlidingWindow().fit([1.0, np.nan])
    with pytest.raises(ValueError, match=r"X got shape \(30, 7, 3\)"):
        SlidingWindow().fit(X)
    with pytest.raises(ValueError, match="X has 1 features"):
        SlidingWindow().fit(X[0]).transform(X[0, :, :1])
    with pytest.raises(NotFittedError, match=r"SlidingWindow\.transform"):
        SlidingWindow().transform(X[0])
