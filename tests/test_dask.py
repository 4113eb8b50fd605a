"""Estimators on a dask cluster: the same bits for any workers, and all kinds of collections."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("distributed")

import dask
import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import elman
import joblib
import pandas as pd
from clusters import SMALL, ragged, same_bits, sequences, weights_of
from elman import RNNClassifier, RNNRegressor
from elman.dask import DaskRNNClassifier, DaskRNNRegressor
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("default:::distributed"),
]
X, Y = sequences()
LABELS = np.array(["low", "mid", "high"])[np.digitize(Y, [4.0, 6.0])]
WEIGHTS = np.random.RandomState(1).uniform(size=len(Y)) * (np.arange(len(Y)) % 7 > 0)


def arrays(chunk, *data):
    return [da.from_array(array, chunks=(chunk, *array.shape[1:])) for array in data]


FITS = {
    "regression": (RNNRegressor, DaskRNNRegressor, {}, (X, Y)),
    "float64": (RNNRegressor, DaskRNNRegressor, {"solver": "sgd"}, (X.astype("f8"), Y)),
    "a table": (RNNRegressor, DaskRNNRegressor, {"n_channels": 2}, (X.reshape(90, -1), Y)),
    "a target at each step": (RNNRegressor, DaskRNNRegressor, {}, (X, X.cumsum(axis=1))),
    "early stopping": (RNNRegressor, DaskRNNRegressor, {"early_stopping": True}, (X, Y)),
    "classes": (RNNClassifier, DaskRNNClassifier, {"early_stopping": True}, (X, LABELS)),
    "several labels": (RNNClassifier, DaskRNNClassifier, {}, (X, (X[:, 0] > 0).astype(int))),
    "tokens": (
        RNNRegressor,
        DaskRNNRegressor,
        {"input": "tokens", "embedding_dim": 3, "batch_size": 90},
        ((X[:, :, 0] > 0).astype(int) + 2 * (X[:, :, 1] > 1), Y),
    ),
    "vectors": (
        RNNRegressor,
        DaskRNNRegressor,
        {"input": "vector"},
        (X[:, 0], X.cumsum(axis=1)),
    ),
}


@pytest.mark.parametrize("name", FITS)
def test_one_shard_gives_the_bits_of_one_machine(dask_client, name):
    """The mini-batches are the same, the dropout masks too."""
    local, remote, options, data = FITS[name]
    expected = local(**{**SMALL, **options}).fit(*data)
    model = remote(n_shards=1, **{**SMALL, **options}).fit(*arrays(25, *data))
    if name == "tokens":  # updates of the rows that wait are not put off: to the rounding
        np.testing.assert_allclose(weights_of(model), weights_of(expected), atol=2e-6)
    else:
        assert same_bits(model, expected)
    np.testing.assert_array_equal(
        model.predict(arrays(25, data[0])[0]).compute(), model.predict(data[0])
    )
    assert model.score(*arrays(40, *data)) == pytest.approx(model.to_local().score(*data))


def test_more_shards_round_otherwise_and_no_more(dask_client):
    options = {**SMALL, "dropout": 0.0, "alpha": 0.1, "clip_norm": 0.5}
    expected = RNNRegressor(**options).fit(X, Y)
    model = DaskRNNRegressor(n_shards=8, **options).fit(*arrays(25, X, Y))
    np.testing.assert_allclose(weights_of(model), weights_of(expected), atol=1e-5)
    assert not np.array_equal(weights_of(model), weights_of(expected))


@pytest.mark.parametrize("sync_every", [1, 3])
def test_partitions_do_not_change_a_bit(dask_client, sync_every):
    model = DaskRNNRegressor(sync_every=sync_every, **SMALL)
    expected = clone(model).fit(*arrays(90, X, Y))
    assert same_bits(clone(model).fit(*arrays(7, X, Y)), expected)
    assert same_bits(clone(model).fit(arrays(7, X)[0], arrays(40, Y)[0]), expected)
    assert same_bits(clone(model).fit(X, Y), expected)


def test_dropout_masks_of_shards_differ(dask_client):
    """Twice the same sequence in a mini-batch, once in each of two shards."""
    twins = np.repeat(X[:1], 2, axis=0)
    options = {**SMALL, "dropout": 0.5, "max_iter": 1, "shuffle": False, "batch_size": 2}
    one, two = (DaskRNNRegressor(n_shards=n, **options).fit(twins, [1.0, 2.0]) for n in (1, 2))
    assert not np.allclose(weights_of(one), weights_of(two))


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_weights(dask_client, class_weight):
    options = {**SMALL, "dropout": 0.0, "class_weight": class_weight, "early_stopping": True}
    expected = RNNClassifier(**options).fit(X, LABELS, sample_weight=WEIGHTS)
    data = arrays(25, X, LABELS, WEIGHTS)
    for n_shards in (1, 4):
        model = DaskRNNClassifier(n_shards=n_shards, **options).fit(*data)
        np.testing.assert_allclose(weights_of(model), weights_of(expected), atol=1e-5)
        assert model.validation_scores_ == expected.validation_scores_
    assert model.score(*data) == pytest.approx(expected.score(X, LABELS, WEIGHTS))


@pytest.mark.parametrize("loss", ["poisson", "gaussian_nll", "quantile"])
def test_losses(dask_client, loss):
    options = {**SMALL, "dropout": 0.0, "loss": loss}
    target = np.abs(Y)
    expected = RNNRegressor(**options).fit(X, target)
    model = DaskRNNRegressor(n_shards=3, **options).fit(*arrays(25, X, target))
    np.testing.assert_allclose(weights_of(model), weights_of(expected), atol=1e-5)


def test_missing_values(dask_client):
    holes = np.where(np.random.RandomState(1).uniform(size=X.shape) < 0.1, np.nan, X)
    options = {**SMALL, "dropout": 0.0, "missing": "decay"}
    expected = RNNRegressor(**options).fit(list(holes), Y)
    bags = db.from_sequence(list(holes), npartitions=4), db.from_sequence(list(Y), npartitions=4)
    model = DaskRNNRegressor(n_shards=3, **options).fit(*bags)
    np.testing.assert_allclose(weights_of(model), weights_of(expected), atol=1e-5)


def test_averages_of_one_shard_are_where_it_is(dask_client):
    expected = RNNRegressor(**SMALL).fit(X, Y)
    model = DaskRNNRegressor(n_shards=1, sync_every=4, **SMALL).fit(*arrays(25, X, Y))
    assert np.array_equal(weights_of(model), weights_of(expected))


def test_averages_learn_too(dask_client):
    options = {**SMALL, "dropout": 0.0, "max_iter": 30, "learning_rate_init": 0.02}
    data = arrays(25, X, Y)
    model = DaskRNNRegressor(n_shards=4, sync_every=3, **options).fit(*data)
    assert model.n_iter_ == 30
    assert model.loss_curve_[-1] < 0.5 * model.loss_curve_[0]


def test_partial_fit_and_warm_start_go_on(dask_client):
    options = {**SMALL, "n_shards": 1}
    data = arrays(25, X, LABELS)
    expected = RNNClassifier(**SMALL)
    model = DaskRNNClassifier(**options)
    for _ in range(2):
        expected.partial_fit(X, LABELS, classes=np.unique(LABELS))
        model.partial_fit(*data, classes=np.unique(LABELS))
    assert same_bits(model, expected)
    model.set_params(warm_start=True).fit(*data)
    expected.set_params(warm_start=True).fit(X, LABELS)
    assert same_bits(model, expected)


def test_bags_and_lists(dask_client):
    items, y, steps = ragged()
    bags = [db.from_sequence(list(data), npartitions=5) for data in (items, y, steps)]
    expected = RNNRegressor(**SMALL).fit(items, y)
    model = DaskRNNRegressor(n_shards=1, **SMALL)
    assert same_bits(model.fit(bags[0], bags[1]), expected)
    predicted = model.predict(bags[0])
    assert isinstance(predicted, db.Bag)
    np.testing.assert_array_equal(predicted.compute(), expected.predict(items))
    assert same_bits(model.fit(bags[0], bags[2]), RNNRegressor(**SMALL).fit(items, steps))
    assert [len(y) for y in model.predict(bags[0]).compute()] == [len(x) for x in items]

    parts = [items[:13], items[13:40], items[40:]], [y[:13], y[13:40], y[40:]]
    delayed = [[dask.delayed(part) for part in data] for data in parts]
    futures = [[dask_client.submit(list, part) for part in data] for data in parts]
    for lists in (delayed, futures):
        assert same_bits(clone(model).fit(*lists), expected)
        model.fit(*lists)
        found = dask_client.gather(dask.compute(*model.predict(lists[0])))
        np.testing.assert_array_equal(np.concatenate(found), expected.predict(items))


def test_nothing_is_computed_before_it_is_asked_for(dask_client):
    model = DaskRNNClassifier(**SMALL).fit(*arrays(25, X, LABELS))

    def fail(block):
        raise RuntimeError("computed")

    lazy = da.from_array(X, chunks=(25, -1, -1)).map_blocks(fail, dtype=X.dtype, meta=X[:0, :0])
    for method in (model.predict, model.predict_proba, model.predict_log_proba):
        predicted = method(lazy)
        assert predicted.shape[0] == 90
        with pytest.raises(RuntimeError, match="computed"):
            predicted.compute()


def test_a_chunk_may_have_an_unknown_size(dask_client):
    x, y = (a[a.sum(axis=tuple(range(1, a.ndim))) < 1e9] for a in arrays(25, X, Y))
    assert np.isnan(x.chunks[0]).all()
    model = DaskRNNRegressor(**SMALL).fit(x, y)
    assert same_bits(model, DaskRNNRegressor(**SMALL).fit(*arrays(25, X, Y)))
    np.testing.assert_array_equal(model.predict(x).compute(), model.predict(X))


def table():
    frame = pd.DataFrame(X.reshape(90, -1), columns=[f"x{i}" for i in range(24)])
    return frame, dd.from_pandas(frame, npartitions=4, sort=False)


def test_a_frame_is_a_table(dask_client):
    frame, lazy = table()
    y = dd.from_pandas(pd.Series(Y, frame.index), npartitions=4, sort=False)
    expected = RNNRegressor(n_channels=2, **SMALL).fit(frame, Y)
    model = DaskRNNRegressor(n_shards=1, n_channels=2, **SMALL).fit(lazy, y)
    assert same_bits(model, expected)
    assert list(model.feature_names_in_) == list(frame.columns)
    np.testing.assert_array_equal(model.predict(lazy).compute(), expected.predict(frame))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(lazy.rename(columns={"x0": "other"})).compute()


def long_frame():
    """The steps of sequences of several lengths, in no order."""
    items, y, steps = ragged()
    lengths = [len(item) for item in items]
    frame = pd.DataFrame(np.concatenate(items), columns=["a", "b"])
    frame["who"] = np.repeat(np.arange(60), lengths)
    frame["when"] = np.concatenate([np.arange(n) for n in lengths])
    frame["sum"] = np.repeat(y, lengths)
    frame["step"] = np.concatenate(steps)
    return frame.sample(frac=1, random_state=0), items, y, steps


def test_a_frame_in_long_form(dask_client):
    frame, items, y, steps = long_frame()
    lazy = dd.from_pandas(frame, npartitions=3).shuffle(on="who", npartitions=4).persist()
    ids = np.concatenate(
        [np.sort(part["who"].unique()) for part in dask.compute(*lazy.to_delayed())]
    )
    options = {**SMALL, "n_shards": 1, "id": "who", "time": "when"}
    model = DaskRNNRegressor(**options).fit(lazy.drop(columns="step"), "sum")
    assert same_bits(model, RNNRegressor(**SMALL).fit([items[i] for i in ids], y[ids]))
    assert list(model.feature_names_in_) == ["a", "b"]
    predicted = model.predict(lazy).compute()
    assert predicted.index.name == "who"
    expected = model.to_local().predict([items[i] for i in predicted.index])
    np.testing.assert_array_equal(predicted["y_pred"], expected)

    options["output"] = "sequence"
    model = DaskRNNRegressor(**options).fit(lazy.drop(columns="sum"), "step")
    ordered = [items[i] for i in ids], [steps[i] for i in ids]
    assert same_bits(model, RNNRegressor(**SMALL).fit(*ordered))
    predicted = model.predict(lazy).compute()
    assert list(predicted.columns) == ["who", "when", "y_pred"]
    of_7 = predicted[predicted["who"] == 7].sort_values("when")["y_pred"]
    np.testing.assert_array_equal(of_7, model.to_local().predict([items[7]])[0])


def test_a_partition_may_be_empty(dask_client):
    frame, *_ = long_frame()
    few = dd.from_pandas(frame[frame["who"] < 20].drop(columns="step"), npartitions=1)
    model = DaskRNNRegressor(id="who", time="when", **{**SMALL, "batch_size": 8})
    expected = clone(model).fit(few, "sum")
    scattered = dd.concat([few.partitions[0], few[few["who"] > 99], few[few["who"] > 98]])
    assert same_bits(model.fit(scattered, "sum"), expected)
    assert len(model.predict(scattered).compute()) == 20

    model = DaskRNNRegressor(**SMALL)
    x, y = arrays(30, X, Y)
    is_taken = da.from_array(np.arange(90) >= 30, chunks=30)
    some, target = x[is_taken], y[is_taken]
    assert same_bits(clone(model).fit(some, target), clone(model).fit(X[30:], Y[30:]))
    fitted = model.fit(X, X[:, :, 0].cumsum(axis=1)[:, :, None])
    assert fitted.predict(some).compute().shape == (60, 12, 1)


def test_a_sequence_in_two_partitions_is_refused(dask_client):
    frame, *_ = long_frame()
    model = DaskRNNRegressor(id="who", time="when", **SMALL)
    with pytest.raises(ValueError, match=r"steps of sequence 15 in partitions \d+ and \d+"):
        model.fit(dd.from_pandas(frame.drop(columns="step"), npartitions=4), "sum")
    with pytest.raises(ValueError, match=r"\['step'\] that changes within sequence"):
        model.fit(dd.from_pandas(frame, npartitions=1), ["step"])
    with pytest.raises(ValueError, match=r"expected \['nothing'\] among them.*partition 0"):
        model.fit(dd.from_pandas(frame, npartitions=1), "nothing")


def broken(place, value):
    array = X.copy()
    array[place] = value
    return array


REFUSED = {
    "NaN": ((broken((60, 3, 1), np.nan), Y), "X contains NaN.*in partition 2"),
    "infinity": ((broken((10, 3, 1), np.inf), Y), "infinity.*in partition 0"),
    "lengths": ((X, Y[:-1]), "y got 89 samples, expected 90, as in X"),
    "rank": ((X[:, 0, 0], Y), "1-D array.*Reshape your data"),
    "labels": ((X, LABELS), "y got dtype <U4, expected numbers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_worker_refuses_is_told_here(dask_client, name):
    data, message = REFUSED[name]
    model = DaskRNNRegressor(**SMALL).fit(*arrays(25, X, Y))
    before = weights_of(model)
    with pytest.raises(ValueError, match=message):
        model.fit(*arrays(25, *data))
    np.testing.assert_array_equal(weights_of(model), before)


def test_partitions_that_do_not_match_are_refused(dask_client):
    model = DaskRNNRegressor(**SMALL)
    bags = db.from_sequence(list(X), npartitions=3), db.from_sequence(list(Y), npartitions=4)
    with pytest.raises(ValueError, match="y got 4 partitions, expected 3, as in X"):
        model.fit(*bags)
    parts = [dask.delayed(X[:40]), dask.delayed(X[40:])]
    with pytest.raises(ValueError, match=r"y got 39 samples, expected 40, .* in partition 0"):
        model.fit(parts, [dask.delayed(Y[:39]), dask.delayed(Y[39:])])
    doubles = [parts[0], dask.delayed(X[40:].astype("f8"))]
    with pytest.raises(ValueError, match="dtype=float64 in partition 1"):
        model.fit(doubles, [dask.delayed(Y[:40]), dask.delayed(Y[40:])])


def test_parameters_that_are_refused(dask_client):
    data = arrays(25, X, Y)
    for options, message in (
        ({"n_shards": 0}, "n_shards"),
        ({"sync_every": 1.5}, "sync_every"),
        ({"solver": "lbfgs", "batch_size": "auto"}, "solver got 'lbfgs'"),
        ({"time": "when"}, "time got 'when', expected None without id"),
    ):
        with pytest.raises(ValueError, match=message):
            DaskRNNRegressor(**{**SMALL, **options}).fit(*data)
    with pytest.raises(TypeError, match="nothing"):
        DaskRNNRegressor(nothing=1)
    with pytest.raises(TypeError, match="X got a set"):
        DaskRNNRegressor(**SMALL).fit({1}, Y)


def test_divergence_is_an_error(dask_client):
    model = DaskRNNRegressor(**{**SMALL, "solver": "sgd", "learning_rate_init": 1e30})
    with pytest.raises(elman.DivergenceError, match=r"in epoch \d, batch \d"):
        model.fit(*arrays(25, X, Y))


def test_a_fitted_model_is_one_without_a_cluster(dask_client, tmp_path):
    model = DaskRNNClassifier(**SMALL).fit(*arrays(25, X, LABELS))
    local = model.to_local()
    assert type(local) is RNNClassifier
    elman.save(local, tmp_path / "model.safetensors")
    loaded = elman.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert model.stream().step(X[0, 0]) in LABELS
    again = pickle.loads(pickle.dumps(model))
    assert type(again) is DaskRNNClassifier
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert clone(model).get_params() == model.get_params()
    assert model.get_params()["n_shards"] == 8


def test_a_grid_search_over_the_cluster(dask_client):
    search = GridSearchCV(RNNRegressor(**SMALL), {"hidden_layer_sizes": [2, 5]}, cv=2)
    expected = clone(search).fit(X, Y)
    with joblib.parallel_backend("dask"):
        search.fit(X, Y)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )


def test_without_a_client():
    code = (
        "import numpy as np\n"
        "from elman.dask import DaskRNNRegressor\n"
        "try:\n"
        "    DaskRNNRegressor().fit(np.zeros((4, 3)), np.zeros(4))\n"
        "except ValueError as error:\n"
        "    print(error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("DaskRNNRegressor.fit: client got none, expected one")


def test_without_dask():
    code = "import sys\nsys.modules['distributed'] = None\nimport elman\nimport elman.dask\n"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'elman[dask]'" in result.stderr
