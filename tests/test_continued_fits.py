"""What goes on from an earlier fit, what weights do not reach, and what no network can answer."""

import warnings

import numpy as np
import pytest
from elman import RNNClassifier, RNNRegressor, Seq2SeqRegressor
from sklearn.exceptions import ConvergenceWarning

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 5, 2))
Y = X.sum(axis=(1, 2))
LABELS = np.arange(60) % 2
SMALL = {"hidden_layer_sizes": 4, "random_state": 0, "learning_rate_init": 0.02}


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def test_a_classifier_of_labels_takes_one_column():
    one_hot = np.eye(2, dtype=int)[LABELS]
    model = RNNClassifier(max_iter=2, warm_start=True, **SMALL).fit(X, LABELS)
    before = model.predict_proba(X)
    for call in (model.fit, model.partial_fit, model.score):
        with pytest.raises(ValueError, match=r"y got 2 columns, expected .*, as in fit"):
            call(X, one_hot)
    np.testing.assert_array_equal(model.predict_proba(X), before)
    stopping = RNNClassifier(early_stopping=True, **SMALL)
    with pytest.raises(ValueError, match="y_val got 2 columns"):
        stopping.fit(X, LABELS, X_val=X, y_val=one_hot)


def test_a_warm_start_is_compared_with_what_it_begins_with():
    """Not with scores of other data: what is returned is the best of what was seen."""
    model = RNNRegressor(max_iter=60, early_stopping=True, warm_start=True, **SMALL).fit(X, Y)
    model.fit(X, -Y)
    start = model.score(X, Y)
    model.fit(X, Y)
    assert model.score(X, Y) > start + 0.5
    assert model.best_validation_score_ == max(model.validation_scores_[-model.n_iter_ :])
    best = model.score(X, Y)
    model.set_params(learning_rate_init=1.0, n_iter_no_change=3).fit(X, Y)
    assert model.score(X, Y) > best - 0.1  # nothing got lost by a bad fit
    plain = RNNRegressor(max_iter=40, warm_start=True, **SMALL).fit(X, Y)
    plain.fit(X, Y + 100 * RNG.random(60))
    assert plain.n_iter_ == 40


def test_a_warm_start_drops_other_units():
    options = {**SMALL, "hidden_layer_sizes": (8, 8), "solver": "sgd", "momentum": 0.0}
    model = RNNRegressor(dropout=0.5, max_iter=1, warm_start=True, shuffle=False, **options)
    steps, last = [], model.fit(X, Y).weights_["layers.1.W_xh"]
    for _ in range(3):
        now = model.fit(X, Y).weights_["layers.1.W_xh"]
        steps.append((now - last).ravel())
        last = now
    cosines = np.corrcoef(steps)[np.triu_indices(3, 1)]
    assert (cosines < 0.999).all()


def test_a_loss_that_is_set_is_that_of_the_next_fit():
    noisy = RNG.normal(size=400)
    model = RNNRegressor(loss="quantile", quantile=0.5, max_iter=60, warm_start=True, **SMALL)
    sequences = np.zeros((400, 2, 1))
    model.fit(sequences, noisy)
    assert (noisy < model.predict(sequences)).mean() < 0.6
    model.set_params(quantile=0.9).fit(sequences, noisy)
    assert (noisy < model.predict(sequences)).mean() > 0.8
    model.set_params(loss="squared_error").partial_fit(sequences, noisy)
    with pytest.raises(ValueError, match="loss got 'poisson', expected 'squared_error'"):
        model.set_params(loss="poisson").fit(sequences, noisy**2)


def test_a_learning_rate_that_is_set_is_that_of_the_next_call():
    model = RNNRegressor(**SMALL).partial_fit(X, Y)
    before = model.weights_["head.W"].copy()
    model.set_params(learning_rate_init=1e-12).partial_fit(X, Y)
    np.testing.assert_allclose(model.weights_["head.W"], before, atol=1e-9)


def test_more_steps_than_before_are_told_of():
    model = RNNRegressor(input="vector", max_iter=2, warm_start=True, **SMALL)
    model.fit(X[:, 0], X[:, :3, 0])
    assert model.predict(X[:, 0]).shape == (60, 3)
    model.fit(X[:, 0], X[:, :5, 0])
    assert model.predict(X[:, 0]).shape == (60, 5)


def gappy(n=12):
    values = [RNG.normal(size=(5, 2)) for _ in range(n)]
    for x in values:
        x[1] = np.nan
    return values


@pytest.mark.parametrize("cls", [RNNRegressor, Seq2SeqRegressor])
def test_weights_count_in_the_mean_from_which_values_fade(cls):
    values = gappy()
    target = RNG.normal(size=12) if cls is RNNRegressor else RNG.normal(size=(12, 3))
    options = {"missing": "decay", "max_iter": 3, "solver": "sgd", **SMALL}
    if cls is RNNRegressor:
        options["scale_targets"] = False
    zero, twice = np.ones(13), np.r_[np.ones(11), 2.0]
    zero[12] = 0.0
    name = "decay.mean" if cls is RNNRegressor else "encoder.decay.mean"
    outlier = [*values, np.full((5, 2), 1e6)]
    weighted = cls(**options).fit(outlier, np.r_[target, target[:1]], sample_weight=zero)
    absent = cls(**options).fit(values, target)
    np.testing.assert_allclose(weighted.weights_[name], absent.weights_[name], rtol=1e-9)
    doubled = cls(**options).fit(values, target, sample_weight=twice)
    repeated = cls(**options).fit([*values, values[-1]], np.r_[target, target[-1:]])
    np.testing.assert_allclose(doubled.weights_[name], repeated.weights_[name], rtol=1e-9)


def test_what_is_held_out_does_not_tell_from_where_values_fade():
    values = gappy(20)
    target = RNG.normal(size=(20, 3))
    options = {"missing": "decay", "max_iter": 1, "early_stopping": True, **SMALL}
    model = Seq2SeqRegressor(validation_split="last", validation_fraction=0.2, **options)
    before = model.fit(values, target).weights_["encoder.decay.mean"]
    values[-1] = np.full((5, 2), 1e3)
    after = model.fit(values, target).weights_["encoder.decay.mean"]
    np.testing.assert_allclose(after, before, atol=0.1)


@pytest.mark.parametrize("cls", [RNNRegressor, RNNClassifier])
def test_an_overflow_is_no_answer(cls):
    model = cls(cell="simple", activation="identity", max_iter=2, **SMALL)
    model.fit(X.astype(np.float32), LABELS)
    for name in ("predict", "predict_proba"):
        if hasattr(model, name):
            with pytest.raises(ValueError, match="network overflows, expected outputs that are"):
                getattr(model, name)(np.full((1, 5, 2), 3e38, dtype=np.float32))


def test_a_state_that_overflows_is_refused():
    model = RNNRegressor(max_iter=2, **SMALL).fit(X.astype(np.float32), Y)
    states = model.predict(X[:1].astype(np.float32), return_state=True)[1]
    states = {name: np.full_like(state, 1e300, dtype=float) for name, state in states.items()}
    with pytest.raises(ValueError, match="initial_state"):
        model.predict(X[:1].astype(np.float32), initial_state=states)


def test_nothing_is_dropped_by_lbfgs():
    options = {"hidden_layer_sizes": 4, "random_state": 0, "solver": "lbfgs", "max_iter": 5}
    models = [RNNRegressor(dropout=p, recurrent_dropout=p, **options).fit(X, Y) for p in (0.0, 0.5)]
    np.testing.assert_array_equal(models[0].predict(X), models[1].predict(X))


@pytest.mark.parametrize(("before", "after"), [("adam", "sgd"), ("rmsprop", "nadam")])
def test_a_solver_that_is_set_begins_without_moments(before, after):
    model = RNNRegressor(solver=before, **SMALL).partial_fit(X, Y)
    start = model.weights_["head.W"].copy()
    model.set_params(solver=after, learning_rate_init=1e-9).partial_fit(X, Y)
    np.testing.assert_allclose(model.weights_["head.W"], start, atol=1e-6)
    assert len(model._model.training.solver_state["moments"]) == (1 if after == "sgd" else 2)
