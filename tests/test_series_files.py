"""Files of forecasters and imputers: the same bits in the same containers, for every kind of y."""

import copy
import datetime
import functools
import os
import pickle
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from elman import (
    LinearForecaster,
    ModelCorruptError,
    NaiveForecaster,
    RNNForecaster,
    RNNImputer,
    load,
    save,
)
from elman._imputation import ImputationModel
from elman._panel import read_panel
from model_files import MODELS, Parts, file_of, read

rng = np.random.default_rng(0)
VALUES = 20 + rng.normal(size=(60, 2)).cumsum(axis=0)
VALUES[[0, 9, 59], [1, 0, 1]] = np.nan
INDEXES = {
    "hours in Berlin": pd.date_range("2024-10-26", periods=60, freq="h", tz="Europe/Berlin"),
    "days": pd.date_range("2024-01-01", periods=60),
    "quarters of an hour": pd.date_range("2024-01-01T00:00+02:00", periods=60, freq="15min"),
    "ends of months": pd.date_range("2000-01-31", periods=60, freq="ME", unit="s"),
    "the 15th of months": pd.date_range("2000-01-15", periods=60, freq=pd.DateOffset(months=1)),
    "months": pd.period_range("2000-01", periods=60, freq="M", name="month"),
    "integers": pd.RangeIndex(7, 127, 2),
}
NETWORK = {"hidden_layer_sizes": 3, "n_updates": 3, "random_state": 0}
FORECASTERS = {
    "naive": lambda: NaiveForecaster(4, strategy="drift"),
    "linear": lambda: LinearForecaster(4, window=6),
    "networks": lambda: RNNForecaster(4, loss="gaussian_nll", n_estimators=2, **NETWORK),
}


def wide(index):
    return pd.DataFrame(VALUES, INDEXES[index], pd.Index(["a", "β"], name="shop"))


def long(index):
    table = wide(index).rename_axis("ds").reset_index()
    return table.melt("ds", var_name="unique_id", value_name="y")


KINDS = {
    "array": lambda: VALUES,
    "one series": lambda: VALUES[:, 0],
    "list": lambda: [VALUES[:, 0], VALUES[:40, 1]],
    **{f"Series of {name}": lambda name=name: wide(name)["β"] for name in INDEXES},
    **{f"wide frame of {name}": lambda name=name: wide(name) for name in INDEXES},
    **{f"long frame of {name}": lambda name=name: long(name) for name in INDEXES},
    "wide frame with times in a column": lambda: (
        wide("days").rename_axis("ds").reset_index().rename_axis(columns=None)
    ),
    "wide polars frame": lambda: pl.from_pandas(
        wide("hours in Berlin").rename_axis("ds").reset_index()
    ),
    "long polars frame": lambda: pl.from_pandas(long("hours in Berlin")),
}


def assert_same(a, b):
    """Whether two containers are equal: type, values to the bit, index with its step and zone."""
    assert type(a) is type(b)
    if isinstance(a, list):
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    elif isinstance(a, np.ndarray):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    elif isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b, check_exact=True, check_freq=True)
    elif isinstance(a, pd.Series):
        pd.testing.assert_series_equal(a, b, check_exact=True, check_freq=True)
    else:
        assert a.equals(b)


def parts_of(y):
    """What a forecaster is fitted to, and what comes after."""
    if isinstance(y, list):
        return [part[:-3] for part in y], [part[-3:] for part in y]
    if isinstance(y, pl.DataFrame):
        end = y["ds"].unique().sort()[-3]
        return y.filter(pl.col("ds") < end), y.filter(pl.col("ds") >= end)
    if isinstance(y, pd.DataFrame) and "unique_id" in y.columns:
        end = y["ds"].unique()[-3]
        return y[y["ds"] < end], y[y["ds"] >= end]
    return y[:-3], y[-3:]


def everything_said(model, y, later):
    """What a forecaster answers, call by call."""
    yield model.predict()
    yield model.predict(2)
    yield model.predict_interval(0.7)
    yield model.predict_quantiles([0.3, 0.6], horizon=3)
    yield model.sample(3, random_state=0)
    yield model.predict(y=y)
    yield model.backtest(y, n_windows=2, coverage=0.5)
    yield model.update(later).predict()
    yield model.predict_interval(0.7)


PAIRS = [("linear", kind) for kind in KINDS] + [
    (name, kind)
    for name in ("naive", "networks")
    for kind in ("one series", "list", "Series of months", "wide frame of hours in Berlin",
                 "long frame of ends of months", "wide polars frame")
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_a_loaded_forecaster_says_the_same_in_the_same_container(name, kind, tmp_path):
    y = KINDS[kind]()
    before, later = parts_of(y)
    model = FORECASTERS[name]().fit(before)
    if "one series" not in kind:  # the others learn of their errors before
        model.sample(2)
    save(model, tmp_path / "model")
    again = load(tmp_path / "model")
    assert vars(again).keys() == vars(model).keys()
    said = [everything_said(one, before, later) for one in (model, again)]
    n = 0
    for expected, got in zip(*said, strict=True):
        assert_same(expected, got)
        n += 1
    assert n == 9


def test_what_was_changed_after_the_fit_is_kept(tmp_path):
    model = NaiveForecaster(2, strategy="seasonal", season_length=3).fit(VALUES)
    model.set_params(season_length=6)
    save(model, tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.season_lengths_ == (3,)
    assert again.season_length == 6
    again.fit(VALUES[:, 0])
    assert again.n_series_ == 1
    assert not hasattr(again, "feature_names_in_")


@pytest.mark.parametrize("name", [name for name in MODELS if "recurrent" in name])
def test_copies_and_pickles_forecast_the_same(name):
    model = MODELS[name]()
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert file_of(again) == file_of(model)


@pytest.mark.parametrize("method", ["mixture", "brits"])
def test_a_loaded_imputer_fills_the_same(method, tmp_path):
    frame = wide("hours in Berlin")
    imputer = RNNImputer(
        method=method, layout="series", hidden_layer_sizes=3, max_iter=3, random_state=0
    )
    imputer.fit(frame).set_output(transform="pandas")
    save(imputer, tmp_path / "model")
    again = load(tmp_path / "model")
    for one, other in zip(*(i.transform(frame, True) for i in (imputer, again)), strict=True):
        assert_same(one, other)
    assert list(again.get_feature_names_out()) == ["a", "β"]
    assert again.gaps_ == imputer.gaps_


# What a file cannot hold, and what is no such file.


@functools.cache
def days():
    starts = {"a": "2020-01-01", "b": "2021-01-01"}
    parts = [
        pd.DataFrame({"unique_id": name, "ds": pd.date_range(start, periods=9).as_unit("us")})
        for name, start in starts.items()
    ]
    return NaiveForecaster(2).fit(pd.concat(parts, ignore_index=True).assign(y=1.0))


def test_ids_of_every_kind(tmp_path):
    times = pd.date_range("2020", periods=2, tz="Europe/Berlin")
    for ids in (
        [1, 2.5],
        [("a", 1), ("b", 2)],
        ["", "λ\n"],
        [True, np.float32(2)],
        [datetime.date(2020, 2, 29), uuid.UUID(int=5)],
        [*times],
        [pd.Timestamp("2020-01-01 00:00:00.000000001"), pd.Timestamp.max],
        [pd.Interval(0, 1), pd.Interval(times[0], times[1], closed="both")],
    ):
        of_rows = pd.Series([name for name in ids for _ in range(3)], dtype=object)
        y = pd.DataFrame({"unique_id": of_rows, "ds": [0, 1, 2] * 2, "y": 1.0})
        model = NaiveForecaster(2).fit(y)
        save(model, tmp_path / "model")
        again = load(tmp_path / "model")
        assert_same(again.predict(), model.predict())
        assert_same(again.predict(y=y), model.predict())


def test_categories_that_are_intervals(tmp_path):
    X = pd.DataFrame({"bin": pd.cut(np.arange(60) % 7, 3)})
    model = LinearForecaster(2, window=4).fit(VALUES, X)
    save(model, tmp_path / "model")
    assert_same(load(tmp_path / "model").predict(X=X[:2]), model.predict(X=X[:2]))


def test_ids_that_no_file_can_hold_are_named(tmp_path):
    model = NaiveForecaster(2).fit(pd.DataFrame({frozenset([print]): np.arange(9.0)}))
    with pytest.raises(TypeError, match=r"elman.save: model: panel.form.names.0.0 got <built-in"):
        save(model, tmp_path / "model")


@pytest.mark.parametrize("name", ["our own", "CET", "EST5EDT"])
def test_time_zones_that_their_names_do_not_tell_are_named(name, tmp_path):
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30), name)
    index = pd.date_range("2020-01-01", periods=9, tz=zone)
    model = NaiveForecaster(2).fit(pd.Series(np.arange(9.0), index))
    with pytest.raises(ValueError, match=rf"zone got '{name}', expected the name of a time zone"):
        save(model, tmp_path / "model")


def test_series_that_begin_ages_apart_are_refused_at_once():
    """The grid between them, of days, would take petabytes."""
    parts = Parts.of(file_of(days()))
    dtype, shape, raw = parts.tensors["panel.starts"]
    starts = np.frombuffer(raw, "i8").copy()
    starts[1] = 2**62
    parts.tensors["panel.starts"] = (dtype, shape, starts.tobytes())
    with pytest.raises(ModelCorruptError, match="starts got times that are far apart"):
        read(parts.join())


def test_109_pickles_of_forecasters_and_imputers_are_checked():
    model = days()
    state = model.__getstate__()
    assert not {"_panel", "_fitted_names", "n_series_"} & state.keys()
    with pytest.raises(ModelCorruptError, match=r"got \['_panel'\] that nothing has checked"):
        NaiveForecaster().__setstate__({**state, "_panel": model._panel})
    with pytest.raises(ModelCorruptError, match="checksum"):
        NaiveForecaster().__setstate__({**state, "_fitted": state["_fitted"][:-1]})
    with pytest.raises(ModelCorruptError, match="got a dict, expected bytes as elman writes them"):
        object.__new__(ImputationModel).__setstate__(vars(MODELS["imputer"]()._model))


def test_missing_values_may_stand_where_they_belong_and_nowhere_else():
    panel = read_panel(np.array([1.0, np.nan, 3.0]), caller="")
    assert_same(read(file_of(panel)).values, panel.values)
    with pytest.raises(ValueError, match="got NaN or infinity, expected finite numbers"):
        file_of(panel.values)


def test_arrays_are_read_without_pandas():
    folder = Path(__file__).parent / "golden" / "0.1"
    code = f"""
import sys
sys.modules["pandas"] = sys.modules["polars"] = None
import elman
for name in ("naive_forecaster", "linear_forecaster", "recurrent_forecaster"):
    assert len(elman.load(f"{folder}/{{name}}.safetensors").predict())
elman.load("{folder}/imputer.safetensors")
"""
    environment = {**os.environ, "SKBUILD_EDITABLE_VERBOSE": "0"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stderr
