"""What must not matter: the order of samples, their neighbours, how often they are repeated."""

from __future__ import annotations

import numpy as np
import pytest
from elman import RNNClassifier, RNNRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
ARRAY = RNG.normal(size=(17, 6, 2))
RAGGED = [x[: 1 + i % 6] for i, x in enumerate(ARRAY)]
KINDS = {"array": ARRAY, "ragged": RAGGED}
Y = ARRAY[:, 0].sum(axis=1)
CELLS = ["simple", "gru", "lstm"]


def take(X, rows):
    return X[rows] if isinstance(X, np.ndarray) else [X[i] for i in rows]


def flat(rows):
    return np.concatenate([np.ravel(row) for row in rows])


def targets(kind, task, per_step):
    if not per_step:
        return Y if task == "regression" else (Y > 0).astype(int)
    steps = [x[:, 0] + x[:, 1] for x in KINDS[kind]]
    if task == "classification":
        steps = [(step > 0).astype(int) for step in steps]
    return np.array(steps)[:, :, None] if kind == "array" else steps


def fit(kind, task, cell="gru", per_step=False, **options):
    estimator = RNNRegressor if task == "regression" else RNNClassifier
    defaults = {"hidden_layer_sizes": (5, 4), "bidirectional": True, "max_iter": 4}
    model = estimator(cell=cell, random_state=0, **{**defaults, **options})
    return model.fit(KINDS[kind], targets(kind, task, per_step))


def predictions(model, X):
    if hasattr(model, "predict_proba"):
        return model.predict_proba(X)
    return model.predict(X)


cases = pytest.mark.parametrize(
    ("kind", "task", "cell", "per_step"),
    [
        (kind, task, cell, per_step)
        for kind in KINDS
        for task in ("regression", "classification")
        for cell in CELLS
        for per_step in (False, True)
    ],
)


@cases
def test_a_row_alone_is_predicted_with_the_same_bits(kind, task, cell, per_step):
    model, X = fit(kind, task, cell, per_step), KINDS[kind]
    whole = predictions(model, X)
    for i in range(len(X)):
        np.testing.assert_array_equal(predictions(model, take(X, [i]))[0], whole[i])


@cases
def test_order_does_not_matter_to_predictions(kind, task, cell, per_step):
    model, X = fit(kind, task, cell, per_step), KINDS[kind]
    rows = np.random.default_rng(1).permutation(len(X))
    np.testing.assert_array_equal(
        flat(predictions(model, take(X, rows))), flat(take(predictions(model, X), rows))
    )


@cases
def test_fitting_again_gives_the_same_bits(kind, task, cell, per_step):
    first, second = (fit(kind, task, cell, per_step) for _ in range(2))
    for name, weight in first.weights_.items():
        np.testing.assert_array_equal(second.weights_[name], weight)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("task", ["regression", "classification"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_is_a_number_of_repetitions(kind, task, per_step, solver):
    X, y = KINDS[kind], targets(kind, task, per_step)
    repetitions = np.random.default_rng(2).integers(0, 4, size=len(X))
    rows = np.repeat(np.arange(len(X)), repetitions)
    model = fit(kind, task, per_step=per_step, solver=solver)
    weighted = predictions(model.fit(X, y, sample_weight=repetitions), X)
    repeated = predictions(model.fit(take(X, rows), take(y, rows)), X)
    np.testing.assert_allclose(flat(weighted), flat(repeated), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_order_does_not_matter_to_one_batch_of_all(kind):
    X, model = KINDS[kind], fit(kind, "regression", shuffle=False)
    rows = np.random.default_rng(3).permutation(len(X))
    expected = model.fit(X, Y).predict(X)
    np.testing.assert_allclose(model.fit(take(X, rows), Y[rows]).predict(X), expected, rtol=1e-9)


@pytest.mark.parametrize("offset", range(0, 64, 8))
def test_alignment_does_not_matter(offset):
    model = fit("array", "regression")
    buffer = np.zeros(ARRAY.nbytes + 64, np.uint8)
    moved = buffer[offset : offset + ARRAY.nbytes].view(float).reshape(ARRAY.shape)
    moved[...] = ARRAY
    np.testing.assert_array_equal(model.predict(moved), model.predict(ARRAY))
