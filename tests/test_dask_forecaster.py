"""Series on a dask cluster: the forecasts of one machine."""

import pickle

import elman
import numpy as np
import pandas as pd
import pytest

pytest.importorskip("distributed")

import dask
import dask.bag as db
import dask.dataframe as dd
from clusters import in_epoch, kill, process_ids
from elman import RNNForecaster
from elman.dask import DaskRNNForecaster
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

pytestmark = pytest.mark.filterwarnings("default:::distributed")
SMALL = {
    "horizon": 6,
    "season_length": 12,
    "n_updates": 25,
    "n_estimators": 2,
    "hidden_layer_sizes": 6,
    "batch_size": 16,
    "random_state": 0,
}


def series_of(n=14, seed=0):
    rng = np.random.RandomState(seed)
    times = [np.arange(80 + 3 * i) for i in range(n)]
    return [
        10 + np.sin(2 * np.pi * t / 12 + i) + 0.1 * rng.normal(size=len(t))
        for i, t in enumerate(times)
    ]


SERIES = series_of()


def long_frame(series=SERIES):
    """A long frame, and what is known at its times and after them."""
    frames, known = [], []
    for i, y in enumerate(series):
        ds = pd.date_range("2024-01-01", periods=len(y) + 6, freq="D")
        name = f"s{i:02}"
        frames.append(pd.DataFrame({"unique_id": name, "ds": ds[:-6], "y": y}))
        known.append(pd.DataFrame({"unique_id": name, "ds": ds, "promotion": ds.day % 7 == 0}))
    frame, known = pd.concat(frames), pd.concat(known).astype({"promotion": float})
    past = known.merge(frame[["unique_id", "ds"]])
    future = known.groupby("unique_id").tail(6)
    return frame, past, future


def by_series(frame, n_parts=3):
    """A dask data frame whose partitions are told by the names of series alone."""
    in_order = frame.set_index("unique_id").sort_index(kind="stable")
    whole = dd.from_pandas(in_order, npartitions=1)
    names = frame["unique_id"].unique()
    divisions = [*names[:: -(-len(names) // n_parts)], names[-1]]
    return whole.repartition(divisions=divisions).reset_index()


def parameters_of(model):
    return np.concatenate([member.parameters for member in model._models[0].members])


FITS = {
    "direct": {},
    "recursive": {"strategy": "recursive", "horizon": 20},
    "a decoder": {"strategy": "seq2seq", "dropout": 0.1},
    "segments in parallel": {"strategy": "parallel", "dropout": 0.1},
    "early stopping": {"early_stopping": True, "dropout": 0.2},
    "quantiles": {"loss": "quantile", "transform": None},
}


@pytest.mark.parametrize("name", FITS)
def test_one_shard_gives_the_bits_of_one_machine(dask_client, name):
    options = {**SMALL, **FITS[name]}
    expected = RNNForecaster(**options).fit(SERIES)
    bag = db.from_sequence(SERIES, npartitions=4)
    model = DaskRNNForecaster(n_shards=1, **options).fit(bag)
    np.testing.assert_array_equal(parameters_of(model), parameters_of(expected))
    assert model.plan_ == expected.plan_
    assert model.n_series_ == 14
    np.testing.assert_array_equal(model.predict().compute(), expected.predict())
    if name == "quantiles":
        got, wanted = (m.predict_interval(0.8) for m in (model, expected))
        np.testing.assert_array_equal(got.compute(), wanted)


def test_more_shards_round_otherwise_and_no_more(dask_client):
    expected = RNNForecaster(**SMALL).fit(SERIES)
    bag = db.from_sequence(SERIES, npartitions=4)
    model = DaskRNNForecaster(n_shards=4, **SMALL).fit(bag)
    np.testing.assert_allclose(parameters_of(model), parameters_of(expected), atol=1e-5)


def test_neither_partitions_nor_a_killed_worker_change_a_bit(dask_client):
    model = DaskRNNForecaster(n_shards=4, **SMALL)
    expected = clone(model).fit(db.from_sequence(SERIES, npartitions=2))
    victim = process_ids(dask_client)[0]
    with in_epoch(2, lambda: kill(victim)):
        model.fit(db.from_sequence(SERIES, npartitions=5))
    np.testing.assert_array_equal(parameters_of(model), parameters_of(expected))


def test_a_long_frame_with_covariates(dask_client):
    frame, past, future = long_frame()
    options = {**SMALL, "known_covariates": ["promotion"], "calendar": ["dayofweek"]}
    expected = RNNForecaster(**options).fit(frame, past)
    model = DaskRNNForecaster(n_shards=1, **options).fit(by_series(frame), by_series(past))
    np.testing.assert_array_equal(parameters_of(model), parameters_of(expected))
    wanted = expected.predict(X=future)
    got = model.predict(X=by_series(future)).compute()
    assert list(got.columns) == ["unique_id", "ds", "y_pred"]
    np.testing.assert_array_equal(got["y_pred"], wanted["y_pred"])
    np.testing.assert_array_equal(got["ds"], wanted["ds"])
    both = by_series(pd.concat([past, future]))
    again = model.predict(y=by_series(frame), X=both).compute()
    np.testing.assert_array_equal(again["y_pred"], wanted["y_pred"])


def test_other_series_are_forecast_too(dask_client):
    model = DaskRNNForecaster(**SMALL).fit(by_series(long_frame()[0]))
    others = series_of(5, seed=1)
    frame, *_ = long_frame(others)
    got = model.predict(y=by_series(frame, 2)).compute()
    np.testing.assert_array_equal(got["y_pred"], model.to_local(frame).predict()["y_pred"])
    delayed = model.predict(y=[dask.delayed(others[:2]), dask.delayed(others[2:])], horizon=3)
    assert [len(part) for part in dask.compute(*delayed)] == [2, 3]


def test_holes_and_values_below_zero_that_the_sample_does_not_have(dask_client, monkeypatch):
    """What "auto" means holds for all series, though some alone are looked at."""
    monkeypatch.setattr("elman.dask._course.MOST_LOOKED_AT", 2)
    series = [y.copy() for y in SERIES]
    series[5][30], series[6][40] = np.nan, -3.0
    model = DaskRNNForecaster(n_shards=3, **SMALL).fit(db.from_sequence(series, npartitions=4))
    assert model.plan_["transform"] is None
    assert model._models[0].plan.reads_holes
    assert np.isfinite(model.predict().compute()).all()


def test_a_fitted_one_goes_on_without_a_cluster(dask_client, tmp_path):
    frame, *_ = long_frame()
    model = DaskRNNForecaster(**SMALL).fit(by_series(frame))
    local = model.to_local(frame)
    assert type(local) is RNNForecaster
    elman.save(local, tmp_path / "model.safetensors")
    loaded = elman.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict()["y_pred"], model.predict().compute()["y_pred"])
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict().compute()["y_pred"], loaded.predict()["y_pred"])
    with pytest.raises(AttributeError, match=r"update: the series lie on the workers.*to_local"):
        model.update(frame)
    assert clone(model).get_params()["n_shards"] == 8


def test_what_is_refused(dask_client):
    frame, *_ = long_frame()
    model = DaskRNNForecaster(**SMALL)
    with pytest.raises(NotFittedError, match="predict"):
        model.predict()
    with pytest.raises(ValueError, match=r"\['s\d+'\] in several partitions"):
        model.fit(dd.from_pandas(frame.reset_index(drop=True), npartitions=2))
    with pytest.raises(ValueError, match="X got 2 partitions, expected 3, as in y"):
        model.fit(by_series(frame), by_series(long_frame()[1], 2))
    for options, message in (
        ({"strategy_panel": "local"}, "strategy_panel got 'local'"),
        ({"series_identity": True}, "series_identity got True"),
        ({"n_shards": 0}, "n_shards"),
    ):
        with pytest.raises(ValueError, match=message):
            clone(model).set_params(**options).fit(by_series(frame))
    infinite = [*SERIES[:9], np.full(80, np.inf)]
    with pytest.raises(ValueError, match=r"infinity.*in partition 1"):
        model.fit(db.from_sequence(infinite, npartitions=2))
    model.fit(by_series(frame))
    with pytest.raises(ValueError, match="loss got 'absolute_error'"):
        model.predict_interval()
