"""Saliency: exact gradients of predictions, and parts that add up to what a prediction moved."""

import signal
import threading

import numpy as np
import pytest
from elman import RNNClassifier, RNNForecaster, RNNRegressor
from elman.inspect import saliency
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 5, 2))
RAGGED = [x[: 2 + i % 4] for i, x in enumerate(X)]
NUMBERS = X.sum(axis=(1, 2))
CLASSES = np.array(["a", "b", "c"])[np.arange(12) % 3]


def fitted(model=RNNRegressor, X=X, y=NUMBERS, **parameters):
    """A network of which it does not matter how good it is."""
    return model(
        hidden_layer_sizes=(6,), max_iter=20, learning_rate_init=0.03, random_state=0, **parameters
    ).fit(X, y)


def gradients(predict, X, small=1e-5):
    """Central differences of one number for each sequence, by every value of it."""
    result = np.zeros(X.shape)
    for place in np.ndindex(X.shape[1:]):
        moved = [X.copy(), X.copy()]
        for array, sign in zip(moved, (1, -1), strict=True):
            array[(slice(None), *place)] += sign * small
        result[(slice(None), *place)] = (predict(moved[0]) - predict(moved[1])) / (2 * small)
    return result


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "gaussian_nll"])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_regressor_is_differentiated(loss, cell):
    model = fitted(y=np.abs(NUMBERS), loss=loss, cell=cell, bidirectional=True)
    np.testing.assert_allclose(saliency(model, X), gradients(model.predict, X), atol=1e-7)


def test_one_of_several_targets():
    model = fitted(y=X[:, -1])
    expected = gradients(lambda X: model.predict(X)[:, 1], X)
    np.testing.assert_allclose(saliency(model, X, output=1), expected, atol=1e-7)
    for output in (None, 2, -1, 0.0, True):
        with pytest.raises(ValueError, match=r"output got .* an integer from 0 to 1"):
            saliency(model, X, output=output)


def test_the_probability_of_a_class():
    model = fitted(RNNClassifier, y=CLASSES)
    for k, label in enumerate(model.classes_):
        expected = gradients(lambda X, k=k: model.predict_proba(X)[:, k], X)
        np.testing.assert_allclose(saliency(model, X, output=label), expected, atol=1e-7)
    predicted = np.argmax(model.predict_proba(X), axis=1)
    by_class = np.stack([saliency(model, X, output=label) for label in model.classes_])
    assert np.array_equal(saliency(model, X), by_class[predicted, np.arange(12)])
    with pytest.raises(ValueError, match="output got 'd', expected one of"):
        saliency(model, X, output="d")


def test_the_second_one_of_two_classes_and_one_of_several_labels():
    model = fitted(RNNClassifier, y=NUMBERS > 0)
    expected = gradients(lambda X: model.predict_proba(X)[:, 1], X)
    np.testing.assert_allclose(saliency(model, X), expected, atol=1e-7)
    assert np.array_equal(saliency(model, X, output=False), -saliency(model, X, output=True))
    model = fitted(RNNClassifier, y=(X[:, -1] > 0).astype(int))
    expected = gradients(lambda X: model.predict_proba(X)[:, 1], X)
    np.testing.assert_allclose(saliency(model, X, output=1), expected, atol=1e-7)


@pytest.mark.parametrize(
    ("step", "of"),
    [
        ("last", lambda y: y[:, -1]),
        ("sum", lambda y: y.sum(axis=1)),
        (2, lambda y: y[:, 2]),
        (-4, lambda y: y[:, -4]),
    ],
    ids=["last", "sum", "2", "-4"],
)
def test_predictions_for_each_step(step, of):
    model = fitted(y=X.cumsum(axis=1)[:, :, :1])
    expected = gradients(lambda X: of(model.predict(X)[:, :, 0]), X)
    got = saliency(model, X, step=step)
    np.testing.assert_allclose(got, expected, atol=1e-7)
    if step == 2:
        assert (got[:, 3:] == 0).all()  # a layer of one direction does not see what comes


def test_the_class_that_is_predicted_for_each_step():
    model = fitted(RNNClassifier, y=[["a", "b", "c", "a", "b"]] * 12, output="sequence")
    labels = np.argmax(model.predict_proba(X)[:, -1], axis=1)
    expected = gradients(lambda X: model.predict_proba(X)[np.arange(12), -1, labels], X)
    np.testing.assert_allclose(saliency(model, X), expected, atol=1e-7)


def test_the_form_of_X():
    model = fitted(X=RAGGED)
    parts = saliency(model, RAGGED)
    assert [part.shape for part in parts] == [x.shape for x in RAGGED]
    padded = np.full(X.shape, np.nan)
    for i, x in enumerate(RAGGED):
        padded[i, : len(x)] = x
    result = saliency(model, padded)
    assert np.array_equal(np.isnan(result), np.isnan(padded))
    for i, part in enumerate(parts):
        assert np.array_equal(result[i, : len(part)], part)
        assert np.array_equal(saliency(model, [RAGGED[i]])[0], part)  # whoever is beside it
    flat = [x[:, 0] for x in RAGGED]
    assert [part.shape for part in saliency(fitted(X=flat), flat)] == [x.shape for x in flat]
    table = X.reshape(12, 10)
    of_table = fitted(X=table, n_channels=2)
    assert np.array_equal(saliency(of_table, table).reshape(X.shape), saliency(fitted(), X))


def test_a_vector_has_the_sum_of_what_the_steps_read():
    vectors = X[:, 0]
    model = fitted(X=vectors, y=X.cumsum(axis=1)[:, :, 0], input="vector")
    expected = gradients(lambda X: model.predict(X)[:, -1], vectors)
    np.testing.assert_allclose(saliency(model, vectors), expected, atol=1e-7)


@pytest.mark.parametrize("missing", ["mask", "decay"])
@pytest.mark.parametrize("method", ["gradient", "integrated"])
def test_what_is_missing_has_none(missing, method):
    gappy = np.where(RNG.random(X.shape) < 0.3, np.nan, X)
    gappy[:, -1] = X[:, -1]
    model = fitted(X=gappy, missing=missing)
    got = saliency(model, gappy, method=method)
    assert (got[np.isnan(gappy)] == 0).all()
    if method == "gradient":
        np.testing.assert_allclose(got, gradients(model.predict, gappy), atol=1e-7)
    else:
        moved = model.predict(gappy) - model.predict(0 * gappy)
        np.testing.assert_allclose(got.sum(axis=(1, 2)), moved, atol=1e-7)


def test_integrated_gradients_add_up_to_what_the_prediction_moved():
    """The axiom of completeness, for numbers and for probabilities, from any baseline."""
    model = fitted(cell="lstm")
    for baseline in (0.0, -1.5, [0.5, 2.0]):
        parts = saliency(model, X, method="integrated", baseline=baseline, n_steps=100)
        start = np.broadcast_to(np.asarray(baseline), X.shape)
        moved = model.predict(X) - model.predict(start)
        np.testing.assert_allclose(parts.sum(axis=(1, 2)), moved, atol=1e-8)
    model = fitted(RNNClassifier, y=CLASSES)
    parts = saliency(model, X, output="b", method="integrated")
    moved = (model.predict_proba(X) - model.predict_proba(0 * X))[:, 1]
    np.testing.assert_allclose(parts.sum(axis=(1, 2)), moved, atol=1e-8)


def test_more_points_are_closer():
    model = fitted()
    parts = [saliency(model, 3 * X, method="integrated", n_steps=n) for n in (1, 4, 64)]
    moved = model.predict(3 * X) - model.predict(0 * X)
    errors = [np.abs(part.sum(axis=(1, 2)) - moved).max() for part in parts]
    assert errors[0] > errors[1] > errors[2]


def tokens_and_features():
    ids = [RNG.integers(0, 7, 2 + i % 4) for i in range(12)]
    features = [sparse.random_array((len(x), 9), density=0.4, rng=1) for x in ids]
    return {"tokens": (ids, 7), "features": (features, 9)}


@pytest.mark.parametrize("kind", ["tokens", "features"])
def test_tokens_have_a_number_each(kind):
    X, n_tokens = tokens_and_features()[kind]
    model = fitted(X=X, input="tokens", n_tokens=n_tokens, embedding_dim=3)
    weights = model.weights_
    embedded = [
        weights["embedding"][x] if kind == "tokens" else x @ weights["embedding"] for x in X
    ]
    layers = fitted(X=[x.astype(np.float32) for x in embedded])
    rest = {name: array for name, array in weights.items() if name != "embedding"}
    layers.set_weights(rest)  # the same network behind the embedding
    parts = zip(saliency(model, X), saliency(layers, embedded), embedded, strict=True)
    for part, gradient, vectors in parts:
        np.testing.assert_allclose(part, (gradient * vectors).sum(axis=1), rtol=1e-4, atol=1e-6)
    sums = [part.sum() for part in saliency(model, X, method="integrated")]
    moved = layers.predict(embedded) - layers.predict([0 * x for x in embedded])
    np.testing.assert_allclose(sums, moved, rtol=1e-3, atol=1e-5)
    with pytest.raises(ValueError, match=r"baseline got 1\.0, expected 0 for tokens"):
        saliency(model, X, method="integrated", baseline=1.0)


def test_threads_do_not_matter():
    model, many = fitted(), RNG.normal(size=(600, 40, 2))
    expected = saliency(model, many, n_jobs=1)
    assert np.array_equal(saliency(model, many, n_jobs=3), expected)


def test_ctrl_c_ends_it():
    model = fitted()
    long = np.zeros((3000, 300, 2))
    timer = threading.Timer(0.5, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        saliency(model, long, method="integrated", n_steps=500)
    timer.join()
    assert saliency(model, X).shape == X.shape


def test_what_is_refused():
    model = fitted()
    for arguments, message in (
        ({"method": "lime"}, "method got 'lime', expected one of 'gradient', 'integrated'"),
        ({"n_steps": 0}, "n_steps got 0, expected an integer from 1 to 1000"),
        ({"n_steps": 1001}, "n_steps got 1001, expected an integer from 1 to 1000"),
        ({"step": "first"}, "step got 'first', expected 'last', 'sum'"),
        ({"baseline": [1.0, 2.0, 3.0]}, r"baseline got shape \(3,\), expected a number"),
        ({"baseline": np.nan}, "baseline"),
    ):
        with pytest.raises(ValueError, match=message):
            saliency(model, X, **arguments)
    of_steps = fitted(X=RAGGED, y=[x[:, 0] for x in RAGGED])
    with pytest.raises(ValueError, match="step got 2, expected a step of every sequence"):
        saliency(of_steps, RAGGED, step=2)
    with pytest.raises(ValueError, match=r"elman\.inspect\.saliency: X has 3 features"):
        saliency(model, np.zeros((2, 5, 3)))
    with pytest.raises(NotFittedError):
        saliency(RNNRegressor(), X)
    for other in (StandardScaler(), RNNForecaster(3)):
        with pytest.raises(TypeError, match="expected an RNNRegressor or RNNClassifier"):
            saliency(other, X)
    with pytest.raises(TypeError, match=r"transform X by model\[:-1\]"):
        saliency(make_pipeline(StandardScaler(), model), X)
