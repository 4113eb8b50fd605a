"""A compiled model gives the bits of the estimator, and refuses what it was not made for."""

import pickle
import threading

import elman
import numpy as np
import pytest
from elman import RNNClassifier, RNNRegressor
from sklearn.exceptions import NotFittedError

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
