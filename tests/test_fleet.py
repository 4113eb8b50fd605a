"""A fleet is its networks, each with the bits of its own fit; this is what side by side must keep.

The reference is the single fit. Sizes are such that groups of lanes are full and not, that
sequences of different lengths share a register, and that sums are split over 16 lanes and are not.
"""

import os
import pickle
import signal
import threading
import warnings

import elman
import numpy as np
import pytest
from elman import DivergenceError, Fleet, RNNClassifier, RNNRegressor, _core, fit_many
from elman._model_stack import ModelStack
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def assert_same_fit(one, alone):
    """Everything that a fit leaves behind is the same, to the bit."""
    assert one.n_iter_ == alone.n_iter_
    assert one.loss_curve_ == alone.loss_curve_
    for name, array in alone.weights_.items():
        assert array.tobytes() == one.weights_[name].tobytes(), name
    state, expected = one._model.training, alone._model.training
    assert state.solver_state["n_updates"] == expected.solver_state["n_updates"]
    assert_array_equal(state.solver_state["moments"], expected.solver_state["moments"])
    assert_array_equal(state.random_state.get_state()[1], expected.random_state.get_state()[1])
    for name in ("dropout_seed", "learning_rate", "t", "best_loss", "best_score", "n_no_change"):
        assert getattr(state, name) == getattr(expected, name), name
    assert one._model.n_timesteps == alone._model.n_timesteps
    assert repr(one._model.inputs) == repr(alone._model.inputs)
    assert one._model.targets == alone._model.targets


def assert_same(estimator, Xs, ys, networks=None, *, is_stack=True):
    fleet = fit_many(estimator, Xs, ys)
    assert isinstance(fleet._models, ModelStack) == is_stack
    predicted = fleet.predict(Xs)
    for i in range(len(fleet)) if networks is None else networks:
        alone = clone(fleet[i]).fit(Xs[i], ys[i])
        assert_same_fit(fleet[i], alone)
        for got in (predicted[i], fleet[i].predict(Xs[i])):
            for a, b in zip(got, alone.predict(Xs[i]), strict=True):
                assert_array_equal(a, b)
    return fleet


def waves(n, n_samples, n_timesteps, n_channels, dtype, seed=0):
    generator = np.random.RandomState(seed)
    X = generator.randn(n, n_samples, n_timesteps, n_channels).astype(dtype)
    return np.cumsum(X, axis=2) / 4


CELLS = [
    {"cell": "simple"},
    {"cell": "simple", "activation": "relu"},
    {"cell": "simple", "activation": "identity"},
    {"cell": "gru"},
    {"cell": "gru", "reset_after": False},
    {"cell": "lstm"},
    {"cell": "min_gru"},
    {"cell": "min_lstm"},
]


@pytest.mark.parametrize("seed", range(40))
def test_any_configuration_has_the_bits_of_single_fits(seed):
    draw = np.random.RandomState(seed)

    def one_of(*options):
        return options[draw.randint(len(options))]

    sizes = tuple(int(size) for size in draw.randint(1, 21, size=draw.randint(1, 4)))
    n_samples, n_timesteps, n_channels = (
        draw.randint(1, 41),
        draw.randint(1, 13),
        draw.randint(1, 4),
    )
    loss = one_of("squared_error", "absolute_error", "huber", "quantile", "poisson", "gaussian_nll")
    solver = one_of("adam", "adamw", "nadam", "rmsprop", "sgd")
    per_step = one_of(True, False)
    estimator = RNNRegressor(
        **CELLS[seed % len(CELLS)],
        hidden_layer_sizes=sizes,
        loss=loss,
        huber_delta=0.3,
        quantile=0.8,
        scale_targets=one_of(True, False),
        solver=solver,
        nesterovs_momentum=one_of(True, False),
        alpha=one_of(0.0, 0.1),
        batch_size=one_of("auto", int(draw.randint(1, n_samples + 1))),
        learning_rate=one_of("constant", "invscaling", "adaptive", "cosine"),
        learning_rate_init=0.01,
        shuffle=one_of(True, False),
        tol=one_of(1e-4, 1e-2),
        n_iter_no_change=one_of(1, 3),
        clip_norm=one_of(None, 0.1),
        bptt_steps=one_of(None, 3),
        bptt_memory=one_of("full", "checkpoint"),
        loss_steps=one_of(None, 2) if per_step else None,
        max_iter=int(draw.randint(1, 25)),
        random_state=one_of(seed, np.random.RandomState(seed)),
    )
    n = int(draw.randint(1, 20))
    X = waves(n, n_samples, n_timesteps, n_channels, one_of(np.float32, np.float64), seed)
    n_targets = draw.randint(1, 3)
    y = np.abs(X[..., :1] + 0.1 * np.arange(n_targets))
    y = y if per_step else y.sum(axis=2)
    if draw.randint(4) == 0 and loss != "gaussian_nll":
        estimator.set_params(head=None, hidden_layer_sizes=(*sizes, n_targets))
    assert_same(estimator, X, y, networks=sorted({0, n // 2, n - 1}))


@pytest.fixture
def no_company(monkeypatch):
    """Networks that are too large to go side by side."""
    monkeypatch.setattr("elman._fleet_training.CACHED_BYTES", 0)


@pytest.mark.parametrize("seed", range(0, 40, 4))
def test_so_do_networks_that_are_too_large_for_company(seed, no_company):
    test_any_configuration_has_the_bits_of_single_fits(seed)


def test_small_networks_go_side_by_side_whatever_others_do(monkeypatch):
    monkeypatch.setattr("elman._fleet_training.CACHED_BYTES", 2**19)
    draw = np.random.RandomState(6)
    Xs = [draw.randn(1, 400 if i % 7 == 3 else 9, 1) for i in range(20)]
    estimator = RNNRegressor(hidden_layer_sizes=5, max_iter=3, random_state=0)
    assert_same(estimator, Xs, [np.roll(X, 1, axis=1) for X in Xs])


def test_networks_end_each_in_its_own_epoch():
    X = waves(50, 3, 9, 2, np.float64)
    y = X[..., 0].sum(axis=2)
    estimator = RNNRegressor(
        hidden_layer_sizes=5, tol=0.02, n_iter_no_change=2, learning_rate_init=0.02, random_state=0
    )
    fleet = assert_same(estimator, X, y)
    assert len(np.unique(fleet.n_iter_)) > 5
    assert fleet.best_loss_.tolist() == [one.best_loss_ for one in fleet]


@pytest.mark.parametrize("units", [2, 9])
@pytest.mark.parametrize("cell", ["simple", "gru", "lstm"])
def test_series_of_any_lengths_share_registers(cell, units):
    draw = np.random.RandomState(1)
    Xs = [draw.randn(1, n, 1) for n in draw.randint(1, 40, size=21)]
    ys = [np.roll(X, 1, axis=1) for X in Xs]
    estimator = RNNRegressor(cell=cell, hidden_layer_sizes=units, max_iter=6, random_state=0)
    assert_same(estimator, Xs, ys)
    assert_same(estimator, Xs, [y[:, -1, 0] for y in ys])


@pytest.mark.filterwarnings("ignore:.*clipped to them")
@pytest.mark.parametrize("sizes", [(20,), (9, 18), (2, 20, 5)])
@pytest.mark.parametrize("cell", ["simple", "gru", "lstm", "min_gru"])
def test_gradients_that_are_summed_by_sequence(cell, sizes):
    """Mini-batches of 32, 16 and 3 sequences of one length, and of 16 of several lengths."""
    draw = np.random.RandomState(4)
    Xs = [[draw.randn(6, 2) for _ in range(n)] for n in (48, 51, 16, 32, 48)]
    Xs.append([draw.randn(1 + i % 5, 2) for i in range(16)])
    ys = [[x.sum(axis=1) for x in X] for X in Xs]
    estimator = RNNRegressor(
        cell=cell, hidden_layer_sizes=sizes, batch_size=32, max_iter=4, random_state=1
    )
    assert_same(estimator, Xs, ys)


def test_lists_of_arrays_that_need_a_closer_look():
    draw = np.random.RandomState(3)
    Xs = [draw.randn(2, n, 2) for n in (5, 3, 9)]
    ys = [X[:, :, :1].copy() for X in Xs]
    estimator = RNNRegressor(hidden_layer_sizes=3, max_iter=3, random_state=0)
    Xs[2][1, 6:] = np.nan
    ys[2][1, 6:] = np.nan
    assert_same(estimator, Xs, ys)
    assert_same(estimator, Xs, [y.tolist() for y in [ys[0], ys[1], np.nan_to_num(ys[2])]])
    Xs[1] = Xs[1].astype(np.float32)
    fleet = fit_many(estimator, Xs, ys)  # of two dtypes
    assert fleet[1].weights_["head.b"].dtype == np.float32
    with pytest.raises(ValueError, match="network 1: y got"):
        fit_many(estimator, Xs, [ys[0], ys[1][:, :2], ys[2]])
    with pytest.raises(ValueError, match="network 0: X got"):
        fit_many(estimator, [np.full((1, 3, 1), np.inf), Xs[1]], ys[:2])


@pytest.mark.filterwarnings("ignore:.*clipped to them")
@pytest.mark.parametrize("units", [(3,), (2, 7)])
def test_ragged_sequences_of_any_number(units):
    draw = np.random.RandomState(2)
    counts = draw.randint(1, 23, size=18)
    Xs = [[draw.randn(n, 2) for n in draw.randint(1, 9, size=count)] for count in counts]
    Xs[4] = [draw.randn(6, 2) for _ in range(12)]  # of one length, where others are ragged
    ys = [[x.sum(axis=1) for x in X] for X in Xs]
    estimator = RNNRegressor(hidden_layer_sizes=units, batch_size=9, max_iter=5, random_state=1)
    assert_same(estimator, Xs, ys)


def test_activations_that_grow_do_so_in_their_own_lane_alone():
    Xs = [np.ones((1, 4, 1)), np.ones((1, 900, 1))]
    estimator = RNNRegressor(
        cell="simple", activation="identity", hidden_layer_sizes=4, max_iter=2, random_state=0
    )
    long = clone(estimator).set_params(learning_rate_init=0.9, solver="sgd", clip_norm=1.0)
    with np.errstate(all="ignore"):
        fleet = fit_many(long, Xs, [X[:, -1, 0] for X in Xs], on_divergence="skip")
    assert_same_fit(fleet[0], clone(long).fit(Xs[0], np.ones(1)))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "steps"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_classifiers(kind, dtype):
    X = waves(18, 12, 6, 2, dtype)
    total = X.sum(axis=(2, 3))
    y = {
        "binary": np.where(total > np.median(total, axis=1)[:, None], "up", "down"),
        "multiclass": np.argsort(total, axis=1) % 3,
        "multilabel": (X[:, :, -1] > 0).astype(int),
        "steps": (X[..., 0] > X[..., 1]).astype(int),
    }[kind]
    estimator = RNNClassifier(
        hidden_layer_sizes=6,
        max_iter=8,
        random_state=0,
        output="sequence" if kind == "steps" else "auto",
    )
    fleet = assert_same(estimator, X, y)
    probabilities = fleet.predict_proba(X)
    for i in (0, 17):
        assert_array_equal(probabilities[i], fleet[i].predict_proba(X[i]))


def test_classifiers_of_different_classes_are_fitted_apart():
    X = waves(3, 8, 4, 1, np.float64)
    y = np.arange(24).reshape(3, 8) % np.array([2, 3, 4])[:, None]
    fleet = fit_many(RNNClassifier(hidden_layer_sizes=3, max_iter=4, random_state=0), X, y)
    assert [len(one.classes_) for one in fleet] == [2, 3, 4]
    alone = clone(fleet[2]).fit(X[2], y[2])
    assert_array_equal(fleet[2].predict_proba(X[2]), alone.predict_proba(X[2]))
    assert_array_equal(fleet.predict(X)[2], alone.predict(X[2]))


@pytest.mark.parametrize(
    "parameters",
    [
        {"bidirectional": True},
        {"residual": True, "hidden_layer_sizes": (3, 3)},
        {"layer_norm": True},
        {"dropout": 0.2},
        {"recurrent_dropout": 0.2},
        {"missing": "mask"},
        {"early_stopping": True, "validation_fraction": 0.3},
        {"solver": "lbfgs"},
    ],
    ids=lambda parameters: next(iter(parameters)),
)
def test_what_registers_do_not_hold_is_fitted_apart(parameters):
    X = waves(3, 10, 5, 2, np.float64)
    estimator = RNNRegressor(
        **{"hidden_layer_sizes": 3, "max_iter": 4, "random_state": 0, **parameters}
    )
    y = X[:, :, -1, 0]
    fleet = fit_many(estimator, X, y)
    assert not isinstance(fleet._models, ModelStack)
    for i, one in enumerate(fleet):
        alone = clone(estimator).fit(X[i], y[i])
        assert one.loss_curve_ == alone.loss_curve_
        assert_array_equal(fleet.predict(X)[i], alone.predict(X[i]))
    assert_array_equal(pickle.loads(pickle.dumps(fleet)).predict(X), fleet.predict(X))


@pytest.fixture(scope="module")
def data():
    X = waves(20, 4, 8, 2, np.float32)
    return X, X[..., 0].mean(axis=2)


@pytest.fixture(scope="module")
def fleet(data):
    estimator = RNNRegressor(hidden_layer_sizes=5, max_iter=10, random_state=7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit_many(estimator, *data)


def test_it_is_a_sequence_of_fitted_estimators(fleet, data):
    assert isinstance(fleet, Fleet)
    assert len(fleet) == len(list(fleet)) == 20
    assert len(fleet[3:6]) == 3
    assert_array_equal(fleet[-1].predict(data[0][-1]), fleet[19].predict(data[0][-1]))
    assert "20" in repr(fleet)
    with pytest.raises(IndexError):
        fleet[20]


def test_what_is_done_to_one_is_not_done_to_the_fleet(fleet, data):
    before = fleet.predict(data[0])
    one = fleet[3]
    one.set_weights({name: 0 * array for name, array in one.weights_.items()})
    one.partial_fit(data[0][0], data[1][0])
    assert_array_equal(fleet.predict(data[0]), before)


def test_training_goes_on_as_after_a_single_fit(fleet, data):
    X, y = data
    alone = clone(fleet[5]).fit(X[5], y[5])
    for one in (alone, again := fleet[5]):
        one.partial_fit(X[5], y[5]).partial_fit(X[5], y[5])
    assert_array_equal(again.predict(X[5]), alone.predict(X[5]))


def test_the_number_of_threads_changes_nothing(data):
    estimator = RNNRegressor(hidden_layer_sizes=5, max_iter=40, tol=0.01, random_state=7)
    X, y = (np.concatenate([part] * 3) for part in data)
    one, many = (fit_many(estimator, X, y, n_jobs=n_jobs) for n_jobs in (1, 3))
    assert_array_equal(one.n_iter_, many.n_iter_)
    assert_array_equal(one.predict(X, n_jobs=1), many.predict(X, n_jobs=3))


def test_an_integer_is_the_seed_of_each_and_a_generator_draws_them(data):
    X, y = data
    estimator = RNNRegressor(hidden_layer_sizes=3, max_iter=2)
    alike = fit_many(estimator.set_params(random_state=3), X, y)
    assert {one.random_state for one in alike} == {3}
    generator = np.random.RandomState(3)
    drawn = fit_many(estimator.set_params(random_state=generator), X, y)
    expected = np.random.RandomState(3).randint(2**31 - 1, size=20)
    assert [one.random_state for one in drawn] == expected.tolist()
    assert generator.randint(1000) != np.random.RandomState(3).randint(1000)
    fresh = fit_many(estimator.set_params(random_state=None), X, y)
    assert len({one.random_state for one in fresh}) == 20


def test_predictions_for_other_sequences(fleet, data):
    draw = np.random.RandomState(5)
    Xs = [draw.randn(n, 6, 2).astype(np.float32) for n in draw.randint(1, 30, size=20)]
    for i, predicted in enumerate(fleet.predict(Xs)):
        assert_array_equal(predicted, fleet[i].predict(Xs[i]))
    lists = [[x[: 1 + i % 5] for i, x in enumerate(X)] for X in Xs]
    for i, predicted in enumerate(fleet.predict(lists)):
        assert_array_equal(predicted, fleet[i].predict(lists[i]))


def test_tables_and_tails_of_nan():
    X = waves(17, 5, 6, 2, np.float64)
    y = X[:, :, -1, 0].copy()
    estimator = RNNRegressor(hidden_layer_sizes=4, max_iter=4, random_state=0, n_channels=2)
    assert_same(estimator, X.reshape(17, 5, 12), y)
    X[:, 1, 4:] = np.nan
    X[3, 2, 2:] = np.nan
    assert_same(estimator, X, y)


@pytest.mark.parametrize("cached_bytes", [0, 2**23])
def test_a_network_that_diverges_is_named_and_the_others_go_on(cached_bytes, monkeypatch):
    monkeypatch.setattr("elman._fleet_training.CACHED_BYTES", cached_bytes)
    X = waves(20, 2, 5, 1, np.float32)
    y = X[:, :, -1, 0].copy()
    y[[4, 17]] = 3e38
    estimator = RNNRegressor(
        hidden_layer_sizes=3,
        scale_targets=False,
        solver="sgd",
        max_iter=3,
        random_state=0,
        learning_rate_init=2.0,
    )
    with pytest.raises(DivergenceError, match=r"2 of 20 networks \(4, 17\)") as caught:
        fit_many(estimator, X, y)
    with pytest.raises(DivergenceError) as alone:
        clone(estimator).fit(X[4], y[4])
    for name in ("epoch", "batch", "learning_rate", "gradient_norm"):
        assert getattr(caught.value, name) == getattr(alone.value, name)
    fleet = fit_many(estimator, X, y, on_divergence="skip")
    assert np.flatnonzero(fleet.n_iter_ == 0).tolist() == [4, 17]
    assert_same_fit(fleet[5], clone(estimator).fit(X[5], y[5]))
    assert np.flatnonzero(np.isnan(fleet.predict(X)).all(axis=1)).tolist() == [4, 17]
    assert np.isnan(fleet.best_loss_[4])
    with pytest.raises(DivergenceError, match="network 17"):
        fleet[17]
    again = pickle.loads(pickle.dumps(fleet))
    assert_array_equal(again.predict(X), fleet.predict(X))


def test_one_warning_tells_how_many_have_not_converged(data):
    with pytest.warns(ConvergenceWarning, match="20 of 20 networks") as caught:
        fit_many(RNNRegressor(hidden_layer_sizes=2, max_iter=1, random_state=0), *data)
    assert len(caught) == 1


def test_errors_tell_the_network(data, fleet):
    X, y = (part.copy() for part in data)
    estimator = RNNRegressor(hidden_layer_sizes=2, max_iter=2)
    X[7, 2, 3, 0] = np.nan
    with pytest.raises(ValueError, match="network 7: X got"):
        fit_many(estimator, X, y)
    with pytest.raises(ValueError, match="network 7: X got"):
        fit_many(estimator, list(X), list(y))
    y[11, 2] = np.nan
    with pytest.raises(ValueError, match="network 11: y got"):
        fit_many(estimator, data[0], y)
    with pytest.raises(ValueError, match="ys got 19 items, expected 20"):
        fit_many(estimator, X, y[:19])
    with pytest.raises(ValueError, match="Xs got 0 networks"):
        fit_many(estimator, [], [])
    with pytest.raises(TypeError, match="Xs got a int"):
        fit_many(estimator, 3, y)
    with pytest.raises(TypeError, match="estimator got a SequenceScaler"):
        fit_many(elman.SequenceScaler(), data[0], y)
    with pytest.raises(ValueError, match="on_divergence got 'no'"):
        fit_many(estimator, *data, on_divergence="no")
    with pytest.raises(ValueError, match="max_iter got 0"):
        fit_many(clone(estimator).set_params(max_iter=0), *data)
    with pytest.raises(ValueError, match="Xs got 3 items, expected 20"):
        fleet.predict(data[0][:3])
    with pytest.raises(AttributeError, match="no attribute 'predict_proba'"):
        fleet.predict_proba(data[0])


@pytest.mark.parametrize("include_training", [True, False])
def test_files(tmp_path, fleet, data, include_training):
    path = tmp_path / "fleet.safetensors"
    elman.save(fleet, path, include_training=include_training)
    again = elman.load(path)
    assert_array_equal(again.predict(data[0]), fleet.predict(data[0]))
    assert again.estimator.get_params() == fleet.estimator.get_params()
    if include_training:
        assert_same_fit(again[4], fleet[4])
    one = again[4].partial_fit(data[0][4], data[1][4])
    assert np.isfinite(one.predict(data[0][4])).all()


def test_a_pickle_is_the_fleet(fleet, data):
    again = pickle.loads(pickle.dumps(fleet))
    assert_same_fit(again[11], fleet[11])
    assert_array_equal(again.predict(data[0]), fleet.predict(data[0]))


def test_a_file_that_does_not_go_together_is_refused(fleet):
    from elman._files import from_bytes, to_bytes
    from elman._safetensors import Source

    source = Source("test", "fleet")
    for name, value in (("is_fitted", fleet._is_fitted[:3]), ("seeds", fleet._seeds[:2])):
        forged = pickle.loads(pickle.dumps(fleet))
        setattr(forged, f"_{name}", value)
        with pytest.raises(elman.ModelCorruptError):
            from_bytes(to_bytes(forged, source), source)
    for name in ("n_iter", "losses", "learning_rate", "moments"):
        forged = pickle.loads(pickle.dumps(fleet))
        object.__setattr__(forged._models, name, getattr(forged._models, name)[:-1])
        with pytest.raises(elman.ModelCorruptError):
            from_bytes(to_bytes(forged, source), source)


@pytest.mark.skipif(os.name == "nt", reason="os.kill ends the process there")
@pytest.mark.parametrize(("n_jobs", "cached_bytes"), [(1, 2**23), (2, 2**23), (2, 0)])
def test_it_can_be_interrupted(n_jobs, cached_bytes, monkeypatch):
    monkeypatch.setattr("elman._fleet_training.CACHED_BYTES", cached_bytes)
    X = waves(64, 1, 100, 1, np.float32)
    estimator = RNNRegressor(
        hidden_layer_sizes=16, max_iter=10**5, n_iter_no_change=np.inf, random_state=0
    )
    timer = threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT])  # as Ctrl-C does
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        fit_many(estimator, X, X, n_jobs=n_jobs)
    timer.join()


OPTIONS_OF_THE_CORE = {
    "per_step": False,
    "batch_size": 2,
    "max_iter": 1,
    "tol": 0.0,
    "patience": 1.0,
    "adapting_divisor": 1.0,
    "least_learning_rate": 0.0,
    "loss": "squared",
    "loss_parameters": [1.0],
    "solver": "adam",
    "learning_rate": 0.001,
    "schedule": "constant",
    "power_t": 0.5,
    "warmup_steps": np.array([0, 0]),
    "total_steps": np.array([1, 1]),
    "alpha": 0.0,
    "clip_norm": None,
    "momentum": 0.9,
    "nesterovs_momentum": True,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-8,
    "bptt_steps": 0,
    "n_threads": 1,
}


class TestCore:
    """What the core refuses of arrays that do not go together."""

    @pytest.fixture
    def arguments(self):
        network = _core.Network(
            dtype="float32",
            cell="gru",
            activation="tanh",
            reset_after=True,
            hidden_layer_sizes=[2],
            bidirectional=[False],
            n_channels=1,
            n_outputs=1,
            head=True,
        )
        return {
            "network": network,
            "parameters": np.zeros((2, network.n_parameters), np.float32),
            "values": np.zeros((6, 1), np.float32),
            "offsets": np.array([0, 2, 4, 6]),
            "first_sequence": np.array([0, 1, 3]),
            "targets": np.zeros((3, 1), np.float32),
            "weights": None,
            "orders": (np.array([0, 0, 1], np.int32), np.array([0, 1]), np.array([0, 0]), None),
        }

    def test_arrays_that_go_together(self, arguments):
        results = _core.train_fleet(**arguments, **OPTIONS_OF_THE_CORE)
        assert results["n_iter"].tolist() == [1, 1]

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("first_sequence", np.array([0, 2, 2]), "first_sequence must run"),
            ("first_sequence", np.array([0, 0, 3]), "network 0 has no sequences"),
            ("first_sequence", np.array([0, 3]), "first_sequence has shape"),
            (
                "orders",
                (np.zeros(1, np.int32), np.array([0, 1]), np.array([0, 0]), None),
                "are not there",
            ),
            (
                "orders",
                (np.zeros(9, np.int32), np.array([0, 3]), np.array([3, 3]), np.array([3, 7])),
                "of network 1 are not there",
            ),
            (
                "orders",
                (np.zeros(3, np.int32), np.array([0, 1]), np.array([0, 0])),
                "orders must be",
            ),
            (
                "orders",
                (np.array([0, 0, 2], np.int32), np.array([0, 1]), np.array([0, 0]), None),
                "names a",
            ),
            ("targets", np.zeros((2, 1), np.float32), "targets has shape"),
            ("weights", -np.ones(3, np.float32), "weight 0 is negative"),
        ],
    )
    def test_arrays_that_do_not(self, arguments, name, value, message):
        with pytest.raises(ValueError, match=message):
            _core.train_fleet(**{**arguments, name: value}, **OPTIONS_OF_THE_CORE)
