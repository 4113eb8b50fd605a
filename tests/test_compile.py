"""A compiled model gives the bits of the estimator, and refuses what it was not made for."""

import pickle
import threading
import warnings

import elman
import numpy as np
import pytest
from elman import RNNClassifier, RNNRegressor
from problems import CELLS
from sklearn.exceptions import ConvergenceWarning, NotFittedError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(40, 9, 3))


def fitted(estimator, X, y):
    return estimator.set_params(hidden_layer_sizes=(21, 5), max_iter=3, random_state=0).fit(X, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cell", ["simple", "gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    "target",
    [
        lambda X: X[:, :, 0].sum(axis=1),
        lambda X: X[:, :, :2].sum(axis=1),
        lambda X: X[:, :, 0].cumsum(axis=1)[:, :, None],
    ],
    ids=["vector", "outputs", "steps"],
)
def test_bits_of_predict(X, dtype, cell, bidirectional, target):
    X = X.astype(dtype)
    model = fitted(RNNRegressor(cell=cell, bidirectional=bidirectional), X, target(X))
    fast = elman.compile(model)
    expected = model.predict(X)
    assert fast(X).dtype == expected.dtype
    np.testing.assert_array_equal(fast(X), expected)
    for i in (0, 7):
        np.testing.assert_array_equal(fast(X[i]), expected[i])


@pytest.mark.parametrize("loss", ["poisson", "gaussian_nll", "quantile"])
def test_losses_with_outputs_of_their_own(X, loss):
    model = fitted(RNNRegressor(loss=loss), X, np.abs(X[:, :, 0]).sum(axis=1))
    np.testing.assert_array_equal(elman.compile(model)(X), model.predict(X))


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_classifiers(X, method, n_classes):
    labels = np.array(["a", "b", "c"])[np.arange(40) % n_classes]
    model = fitted(RNNClassifier(), X, labels)
    fast = elman.compile(model, method=method)
    expected = getattr(model, method)(X)
    np.testing.assert_array_equal(fast(X), expected)
    np.testing.assert_array_equal(fast(X[3]), expected[3])


def test_one_channel_needs_no_axis(X):
    model = fitted(RNNRegressor(), X[:, :, :1], X[:, 0, 0])
    fast = elman.compile(model)
    np.testing.assert_array_equal(fast(X[2, :, 0]), model.predict(X[2:3, :, :1])[0])


def test_other_dtypes_and_orders_are_converted(X):
    model = fitted(RNNRegressor(), X.astype(np.float32), X[:, 0, 0])
    fast = elman.compile(model)
    expected = fast(X.astype(np.float32))
    np.testing.assert_array_equal(fast(X), expected)
    np.testing.assert_array_equal(fast(np.asfortranarray(X)), expected)
    np.testing.assert_array_equal(fast(X.tolist()), expected)


def test_a_later_fit_changes_nothing(X):
    model = fitted(RNNRegressor(), X, X[:, 0, 0])
    fast = elman.compile(model)
    expected = fast(X)
    model.fit(X, -X[:, 0, 0])
    assert not np.array_equal(model.predict(X), expected)
    np.testing.assert_array_equal(fast(X), expected)


def test_threads_share_it(X):
    fast = elman.compile(fitted(RNNRegressor(), X, X[:, 0, 0]), n_jobs=2)
    expected, results = fast(X), {}

    def work(k):
        results[k] = all(np.array_equal(fast(X), expected) for _ in range(200))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(range(4), True)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((9, 4)),
        np.zeros((2, 9, 4)),
        np.zeros(9),
        np.zeros((0, 3)),
        np.zeros((2, 0, 3)),
        np.zeros((1, 2, 9, 3)),
        np.full((9, 3), np.nan),
        np.full((9, 3), -np.inf),
    ],
)
def test_what_does_not_fit_is_refused(X, wrong):
    fast = elman.compile(fitted(RNNRegressor(), X, X[:, 0, 0]))
    with pytest.raises(ValueError, match="X has"):
        fast(wrong)
    np.testing.assert_array_equal(fast(X), fast(X))


def test_what_cannot_be_compiled(X):
    with pytest.raises(NotFittedError):
        elman.compile(RNNRegressor())
    with pytest.raises(TypeError, match=r"model got .*, expected a fitted RNNRegressor or RNNC"):
        elman.compile(object())
    model = fitted(RNNRegressor(), X, X[:, 0, 0])
    with pytest.raises(ValueError, match=r"method got 'predict_proba', expected one of"):
        elman.compile(model, method="predict_proba")
    with pytest.raises(ValueError, match=r"input='vector'"):
        elman.compile(
            fitted(RNNRegressor(input="vector"), X[:, 0], np.repeat(X[:, :4, :1], 1, axis=1))
        )


def test_a_compiled_model_says_what_it_takes(X):
    fast = elman.compile(fitted(RNNRegressor(), X, X[:, 0, 0]))
    assert repr(fast) == "CompiledModel(n_channels=3, dtype=float64)"
    assert (fast.n_channels, fast.dtype) == (3, np.float64)


def test_pickles(X):
    fast = elman.compile(fitted(RNNRegressor(), X, X[:, 0, 0]))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fast))(X), fast(X))


def rounded(array, weights):
    """A gate's weights, columns of units; int8 has a scale of 17 bits for each column."""
    if weights == "float16":
        return array.astype(np.float16).astype(np.float32)
    scale = np.abs(array).max(axis=0) / np.float32(127)
    fraction, exponent = np.frexp(scale)
    scale = np.ldexp(np.floor(fraction * 2**17 + np.float32(0.5)) / 2**17, exponent)
    return np.rint(array / scale) * scale


# How many of a cell's columns of gates sum up inputs and states together, of how many.
JOINT = {"simple": (1, 1), "lstm": (4, 4), "min_gru": (0, 2), "min_lstm": (0, 3)}


def with_rounded_weights(model, weights):
    n_joint, n_columns = JOINT.get(model.cell, (2 if model.reset_after else 3, 3))
    named = model.weights_
    for name in [name for name in named if name.endswith("W_xh")]:
        of_state = name.replace("W_xh", "W_hh")
        W_xh = named[name]
        W_hh = named.get(of_state, np.zeros((0, W_xh.shape[1]), np.float32))
        end = W_xh.shape[1] // n_columns * n_joint
        joint = rounded(np.concatenate([W_xh, W_hh])[:, :end], weights)
        named[name] = np.hstack([joint[: len(W_xh)], rounded(W_xh[:, end:], weights)])
        if of_state in named:
            named[of_state] = np.hstack([joint[len(W_xh) :], rounded(W_hh[:, end:], weights)])
    return model.set_weights(named)


@pytest.mark.parametrize("weights", ["float16", "int8"])
@pytest.mark.parametrize("sizes", [(3, 2), (21, 5), (70, 40)])
@pytest.mark.parametrize("cell", CELLS)
def test_fewer_bits_are_those_of_rounded_weights(X, cell, sizes, weights):
    X = X.astype(np.float32)
    name, activation, reset_after = cell
    model = RNNRegressor(
        cell=name,
        activation=activation,
        reset_after=reset_after,
        hidden_layer_sizes=sizes,
        bidirectional=(False, sizes[1] == 5),
        layer_norm=sizes[1] == 40,
        max_iter=1,
        random_state=0,
    ).fit(X, X[:, :, :1].cumsum(axis=1))
    fast = elman.compile(model, weights=weights)
    copied = pickle.loads(pickle.dumps(fast))
    expected = with_rounded_weights(model, weights).predict(X)
    for function in (fast, copied):
        np.testing.assert_array_equal(function(X), expected)
        for i in (0, 7):
            np.testing.assert_array_equal(function(X[i]), expected[i])
    again = elman.compile(model, weights=weights)  # rounding twice is rounding once
    np.testing.assert_array_equal(again(X), expected)


@pytest.mark.parametrize("weights", [None, "float16", "int8"])
def test_streams_share_the_weights_of_a_compiled_model(X, weights):
    X = X.astype(np.float32)
    model = fitted(RNNRegressor(cell="lstm"), X, X[:, :, :1].cumsum(axis=1))
    fast = elman.compile(model, weights=weights)
    streams = [fast.stream(40), pickle.loads(pickle.dumps(fast.stream(40)))]
    expected = fast(X)
    for t in range(9):
        for stream in streams:
            np.testing.assert_array_equal(stream.step(X[:, t]), expected[:, t])


def test_columns_of_zeros_and_of_tiny_weights(X):
    X = X.astype(np.float32)
    model = fitted(RNNRegressor(), X, X[:, 0, 0])
    named = model.weights_
    named["layers.0.W_xh"][:, :3] = named["layers.0.W_hh"][:, :3] = 0.0
    named["layers.0.W_xh"][:, 3] = named["layers.0.W_hh"][:, 3] = 1e-42
    model.set_weights(named)
    for weights in ("float16", "int8"):
        np.testing.assert_allclose(
            elman.compile(model, weights=weights)(X), model.predict(X), atol=0.05
        )


@pytest.mark.parametrize("weights", [None, "float16", "int8"])
@pytest.mark.parametrize("estimator", [RNNRegressor, RNNClassifier])
def test_a_report_tells_what_it_costs(X, estimator, weights):
    X = X.astype(np.float32)
    model = estimator(hidden_layer_sizes=64, max_iter=3, random_state=0).fit(X, np.arange(40) % 3)
    fast = elman.compile(model, weights=weights)
    for report in (fast.report(), fast.report(X), fast.report(X[0])):
        ratio = report["full_megabytes"] / report["megabytes"]
        assert {None: 1, "float16": 2, "int8": 3.6}[weights] <= ratio < 4.1
        worst, mean = report["largest_difference"], report["mean_difference"]
        if weights is None:
            assert worst == mean == 0
        else:
            assert 0 < mean <= worst < {"float16": 0.002, "int8": 0.1}[weights]
    whole = model.predict_proba(X) if estimator is RNNClassifier else model.predict(X)
    method = "predict_proba" if estimator is RNNClassifier else "predict"
    difference = np.abs(elman.compile(model, method=method, weights=weights)(X) - whole)
    assert fast.report(X)["largest_difference"] == pytest.approx(difference.max(), rel=1e-3)
    assert ("changed_labels" in fast.report(X)) == (estimator is RNNClassifier)


def test_a_report_of_tokens():
    tokens = np.random.default_rng(0).integers(0, 9, size=(40, 9))
    model = fitted(RNNRegressor(input="tokens", n_tokens=9), tokens, tokens.sum(axis=1) / 9)
    report = elman.compile(model, weights="int8").report()
    assert 0 < report["mean_difference"] < report["largest_prediction"]


def test_weights_that_cannot_be_stored(X):
    model = fitted(RNNRegressor(), X, X[:, 0, 0])
    with pytest.raises(ValueError, match=r"weights got 'float16', expected None for a model that"):
        elman.compile(model, weights="float16")
    model = fitted(RNNRegressor(), X.astype(np.float32), X[:, 0, 0])
    for wrong in ("float32", "int4", 8, ["int8"]):
        with pytest.raises(ValueError, match=r"weights got .*, expected None, 'float16' or 'int8'"):
            elman.compile(model, weights=wrong)
    named = model.weights_
    named["layers.0.W_xh"][0, 0] = 1e5
    model.set_weights(named)
    with pytest.raises(ValueError, match=r"weights got 'float16', .* with the weight 100000"):
        elman.compile(model, weights="float16")
    assert elman.compile(model, weights="int8").weights == "int8"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.ma.masked_greater(np.ones((5, 2)), 0.5), "10 masked values"),
        (np.ones((5, 2)) + 1j, "Complex data not supported"),
        (np.full((5, 2), "a"), "dtype <U1"),
    ],
    ids=["masked", "complex", "text"],
)
def test_what_the_estimator_refuses_is_refused(wrong, message):
    rng = np.random.default_rng(0)
    model = RNNRegressor(hidden_layer_sizes=3, max_iter=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rng.normal(size=(20, 5, 2)), rng.normal(size=20))
    for ask in (elman.compile(model), lambda x: model.predict(x[None])):
        with pytest.raises((ValueError, TypeError), match=message):
            ask(wrong)
