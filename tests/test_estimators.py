"""What RNNRegressor and RNNClassifier do, as their users see it."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import threading
import warnings

import elman
import joblib
import numpy as np
import pytest
from elman import DivergenceError, ModelCorruptError, RNNClassifier, RNNRegressor
from elman._parameters import InvalidParameterError
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 8, 2))
Y = X[:, :, 0].sum(axis=1)
LABELS = np.where(Y > 0, "up", "down")
STEPS = np.cumsum(X[:, :, 0], axis=1)
RAGGED = [x[: 1 + i % 8] for i, x in enumerate(X)]
RAGGED_STEPS = [np.cumsum(x[:, 0]) for x in RAGGED]


def regressor(**options):
    defaults = {"hidden_layer_sizes": 8, "max_iter": 3, "random_state": 0}
    return RNNRegressor(**{**defaults, **options})


def classifier(**options):
    defaults = {"hidden_layer_sizes": 8, "max_iter": 3, "random_state": 0}
    return RNNClassifier(**{**defaults, **options})


def state_of(model):
    """Everything an estimator knows, comparable."""
    return pickle.dumps(model)


def same_weights(a, b):
    assert a.weights_.keys() == b.weights_.keys()
    return all(np.array_equal(a.weights_[name], b.weights_[name]) for name in a.weights_)


@pytest.mark.parametrize(
    ("cell", "max_iter"),
    [("simple", 100), ("gru", 100), ("lstm", 100), ("min_gru", 300), ("min_lstm", 300)],
)
def test_regressor_learns_a_sum(cell, max_iter):
    model = regressor(cell=cell, learning_rate_init=0.02, max_iter=max_iter, hidden_layer_sizes=16)
    assert model.fit(X, Y).score(X, Y) > 0.95


@pytest.mark.parametrize("cell", ["min_gru", "min_lstm"])
def test_minimal_cells_have_no_recurrent_weights_to_drop(cell):
    model = regressor(cell=cell, max_iter=2).fit(X, Y)
    assert set(model.weights_) == {"layers.0.W_xh", "layers.0.b_h", "head.W", "head.b"}
    with pytest.raises(InvalidParameterError, match=f"0 with cell='{cell}'"):
        model.set_params(recurrent_dropout=0.2).fit(X, Y)


@pytest.mark.parametrize("solver", ["adam", "adamw", "nadam", "rmsprop", "sgd", "lbfgs"])
def test_every_solver_lowers_the_loss(solver):
    model = regressor(solver=solver, max_iter=20, learning_rate_init=0.01).fit(X, Y)
    assert model.loss_curve_[-1] < 0.9 * model.loss_curve_[0]


def test_a_target_at_each_step_is_learned():
    model = regressor(max_iter=200, learning_rate_init=0.02).fit(X, STEPS[:, :, None])
    assert model.predict(X).shape == (60, 8, 1)
    assert model.score(X, STEPS[:, :, None]) > 0.95


def test_a_list_gives_a_list_and_scores():
    model = regressor(max_iter=200, learning_rate_init=0.02).fit(RAGGED, RAGGED_STEPS)
    predicted = model.predict(RAGGED)
    assert [len(p) for p in predicted] == [len(y) for y in RAGGED_STEPS]
    assert model.score(RAGGED, RAGGED_STEPS) > 0.95
    rows = np.concatenate(RAGGED_STEPS), np.concatenate(predicted)
    r2 = 1 - ((rows[0] - rows[1]) ** 2).sum() / ((rows[0] - rows[0].mean()) ** 2).sum()
    assert model.score(RAGGED, RAGGED_STEPS) == pytest.approx(r2)


def test_array_list_and_table_are_the_same_sequences():
    from_array = regressor().fit(X, Y)
    from_list = regressor().fit(list(X), Y)
    from_table = regressor(n_channels=2).fit(X.reshape(60, 16), Y)
    assert same_weights(from_array, from_list)
    assert same_weights(from_array, from_table)
    np.testing.assert_array_equal(from_array.predict(list(X)), from_list.predict(X))
    np.testing.assert_array_equal(from_table.predict(X.reshape(60, 16)), from_array.predict(X))
    assert (from_array.n_features_in_, from_table.n_features_in_) == (2, 16)
    assert from_array.n_channels_in_ == from_table.n_channels_in_ == 2


def test_nan_tail_is_the_same_as_a_list():
    padded = np.full_like(X, np.nan)
    padded_steps = np.full((60, 8), np.nan)
    for i, (x, y) in enumerate(zip(RAGGED, RAGGED_STEPS, strict=True)):
        padded[i, : len(x)], padded_steps[i, : len(x)] = x, y
    from_list = regressor().fit(RAGGED, RAGGED_STEPS)
    from_padded = regressor(output="sequence").fit(padded, padded_steps)
    assert same_weights(from_list, from_padded)
    predicted = from_padded.predict(padded)
    np.testing.assert_array_equal(np.isnan(predicted), np.isnan(padded_steps))
    np.testing.assert_array_equal(
        predicted[~np.isnan(predicted)], np.concatenate(from_list.predict(RAGGED))
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_of_x_is_the_dtype_of_everything(dtype):
    model = regressor().fit(X.astype(dtype), Y)
    assert {weight.dtype for weight in model.weights_.values()} == {np.dtype(dtype)}
    assert model.predict(X).dtype == dtype


def test_without_a_head_the_states_are_the_output():
    y = np.tanh(Y)
    model = regressor(cell="simple", hidden_layer_sizes=1, head=None).fit(X[:, :, :1], y)
    assert model.n_parameters_ == 3
    assert {name: w.shape for name, w in model.weights_.items()} == {
        "layers.0.W_xh": (1, 1),
        "layers.0.W_hh": (1, 1),
        "layers.0.b_h": (1,),
    }
    assert np.abs(model.predict(X[:, :, :1])).max() <= 1


def test_without_a_head_the_last_layer_must_fit_the_targets():
    with pytest.raises(ValueError, match=r"hidden_layer_sizes got .* expected 1 outputs"):
        regressor(head=None).fit(X, Y)


def test_weights_speak_in_the_units_of_y():
    model = regressor(cell="simple", hidden_layer_sizes=4, max_iter=5).fit(X, 1000 * Y + 5e4)
    weights = model.weights_
    h = np.zeros((60, 4))
    for t in range(8):
        h = np.tanh(
            X[:, t] @ weights["layers.0.W_xh"]
            + h @ weights["layers.0.W_hh"]
            + weights["layers.0.b_h"]
        )
    outputs = h @ weights["head.W"] + weights["head.b"]
    np.testing.assert_allclose(model.predict(X), outputs[:, 0], rtol=1e-10)


def test_scaled_targets_make_units_irrelevant():
    metres, kilometres = regressor().fit(X, Y), regressor().fit(X, 2.0**-10 * Y)
    np.testing.assert_allclose(kilometres.predict(X), 2.0**-10 * metres.predict(X), rtol=1e-10)
    assert not np.allclose(
        regressor(scale_targets=False).fit(X, Y).predict(X), metres.predict(X), rtol=1e-3
    )


def test_constant_and_huge_targets():
    np.testing.assert_allclose(
        regressor(max_iter=50).fit(X, np.full(60, 7.0)).predict(X), 7, atol=0.5
    )
    huge = regressor(max_iter=50, learning_rate_init=0.02).fit(X.astype(np.float32), 1e30 * Y)
    assert np.isfinite(huge.predict(X)).all()
    assert huge.score(X, 1e30 * Y) > 0.5


def test_poisson_predicts_positive_means():
    counts = np.random.default_rng(0).poisson(np.exp(X[:, -1, 0] + 2))
    model = regressor(loss="poisson", max_iter=100, learning_rate_init=0.02).fit(X, counts)
    assert (model.predict(X) > 0).all()
    assert model.score(X, counts) > 0.5
    assert model.out_activation_ == "exp"
    with pytest.raises(ValueError, match=r"RNNRegressor\.fit: y got the negative value"):
        regressor(loss="poisson").fit(X, Y)


def test_poisson_starts_at_the_mean():
    model = regressor(loss="poisson", max_iter=1, learning_rate_init=1e-12).fit(X * 0, Y * 0 + 1000)
    np.testing.assert_allclose(model.predict(X * 0), 1000, rtol=1e-6)


def test_gaussian_predicts_deviations():
    noise = np.random.default_rng(1).normal(size=600)
    inputs = np.random.default_rng(2).normal(size=(600, 3, 1))
    deviation = np.where(inputs[:, -1, 0] > 0, 30.0, 3.0)
    model = regressor(loss="gaussian_nll", max_iter=150, learning_rate_init=0.02)
    model.fit(inputs, 100 + deviation * noise)
    mean, std = model.predict(inputs, return_std=True)
    assert mean.shape == std.shape == (600,)
    assert 20 < np.median(std[deviation == 30]) < 45
    assert 2 < np.median(std[deviation == 3]) < 5
    with pytest.raises(ValueError, match="predict: return_std got True"):
        regressor().fit(X, Y).predict(X, return_std=True)


def test_quantile_splits_the_targets():
    y = np.random.default_rng(0).exponential(size=400)
    model = regressor(loss="quantile", quantile=0.9, max_iter=150, learning_rate_init=0.01)
    inputs = np.ones((400, 2, 1))
    assert np.mean(y <= model.fit(inputs, y).predict(inputs)) == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize("labels", [LABELS, Y > 0, np.digitize(Y, [-2, 0, 2]) - 5])
def test_classifier_learns_labels_of_any_dtype(labels):
    model = classifier(max_iter=200, learning_rate_init=0.02, hidden_layer_sizes=16)
    model.fit(X, labels)
    assert model.score(X, labels) > 0.9
    assert model.predict(X).dtype == labels.dtype
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (60, len(np.unique(labels)))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_allclose(
        np.log(probabilities), model.predict_log_proba(X), rtol=1e-6, atol=1e-9
    )
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(X))


def test_classifier_of_one_class_always_predicts_it():
    model = classifier().fit(X, np.full(60, "a"))
    assert set(model.predict(X)) == {"a"}
    np.testing.assert_array_equal(model.predict_proba(X), np.ones((60, 1)))


def test_several_labels():
    y = np.stack([Y > 0, X[:, -1, 1] > 0, Y < -2], axis=1).astype(int)
    model = classifier(max_iter=200, learning_rate_init=0.02).fit(X, y)
    assert model.predict(X).shape == model.predict_proba(X).shape == (60, 3)
    assert model.score(X, y) > 0.8


def test_a_label_at_each_step():
    labels = [np.where(y > 0, "up", "down") for y in RAGGED_STEPS]
    model = classifier(max_iter=200, learning_rate_init=0.02).fit(RAGGED, labels)
    assert model.score(RAGGED, labels) > 0.9
    assert [p.shape for p in model.predict_proba(RAGGED)] == [(len(y), 2) for y in labels]
    assert [p.shape for p in model.predict(RAGGED)] == [y.shape for y in labels]
    grid = classifier(output="sequence").fit(X, np.where(STEPS > 0, 3, 1))
    assert grid.predict(X).shape == (60, 8)
    assert grid.predict_proba(X).shape == (60, 8, 2)


def test_class_weights_move_predictions():
    y = (np.arange(60) % 6 == 0).astype(int)
    plain = classifier(max_iter=50).fit(X * 0, y)
    balanced = classifier(max_iter=50, class_weight="balanced").fit(X * 0, y)
    np.testing.assert_allclose(balanced.predict_proba(X * 0)[:, 1], 0.5, atol=0.03)
    assert plain.predict_proba(X * 0)[:, 1].max() < 0.45
    assert same_weights(
        classifier(class_weight={0: 1, 1: 3}).fit(X, y),
        classifier().fit(X, y, sample_weight=np.where(y, 3.0, 1.0)),
    )


def test_weights_that_leave_nothing_are_refused():
    with pytest.raises(ValueError, match="sample_weight got weights that are all zero together"):
        classifier(class_weight={"down": 0, "up": 0}).fit(X, LABELS)
    first = np.zeros((60, 8))
    first[:, 0] = 1
    with pytest.raises(ValueError, match="sample_weight got weights that are all zero in the last"):
        regressor(output="sequence", loss_steps=2).fit(X, STEPS, sample_weight=first)


def test_an_array_is_trained_on_without_a_copy(monkeypatch):
    from elman._training import Training

    seen = []
    run = Training.run
    monkeypatch.setattr(
        Training,
        "run",
        lambda self, *observers: seen.append(self.examples.values) or run(self, *observers),
    )
    regressor().fit(X, Y)
    classifier(early_stopping=True, class_weight="balanced").fit(X, LABELS)
    assert [np.shares_memory(values, X) for values in seen] == [True, True]


def test_vector_to_sequence():
    vectors = RNG.normal(size=(80, 3))
    y = vectors[:, :1] * np.linspace(0, 1, 5)
    model = regressor(input="vector", max_iter=150, learning_rate_init=0.02).fit(vectors, y)
    assert model.predict(vectors).shape == (80, 5)
    assert model.predict(vectors, n_timesteps=9).shape == (80, 9)
    np.testing.assert_array_equal(
        model.predict(vectors, n_timesteps=9)[:, :5], model.predict(vectors)
    )
    assert model.score(vectors, y) > 0.9
    ragged = [row[: 1 + i % 5] for i, row in enumerate(y)]
    fitted = clone(model).set_params(max_iter=2).fit(vectors, ragged)
    assert [p.shape for p in fitted.predict(vectors[:3])] == [(5,)] * 3
    with pytest.raises(ValueError, match="n_timesteps got 0"):
        model.predict(vectors, n_timesteps=0)
    with pytest.raises(ValueError, match="n_timesteps got 3, expected None"):
        regressor().fit(X, Y).predict(X, n_timesteps=3)


@pytest.mark.parametrize("cell", ["simple", "gru", "lstm"])
def test_states_carry_a_sequence_over_a_cut(cell):
    model = regressor(cell=cell, hidden_layer_sizes=(5, 3)).fit(X, STEPS[:, :, None])
    whole, final = model.predict(X, return_state=True)
    first, state = model.predict(X[:, :3], return_state=True)
    second, last = model.predict(X[:, 3:], initial_state=state, return_state=True)
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), whole)
    assert final.keys() == last.keys()
    for name in final:
        np.testing.assert_array_equal(final[name], last[name])
    assert final["layers.1.h"].shape == (60, 3)


def test_prediction_block_by_block_gives_the_same_bits(monkeypatch):
    model = regressor(bidirectional=True).fit(X, STEPS[:, :, None])
    whole, states = model.predict(X, return_state=True)
    monkeypatch.setattr("elman._sequences.BLOCK_ELEMENTS", 7 * X[0].size)
    blocks, block_states = model.predict(np.asfortranarray(X), return_state=True)
    np.testing.assert_array_equal(blocks, whole)
    assert states.keys() == {"layers.0.h", "layers.0.reverse.h"}
    for name in states:
        np.testing.assert_array_equal(block_states[name], states[name])
    first = {name: state[:, ::-1] for name, state in states.items()}
    np.testing.assert_array_equal(
        model.predict(np.asfortranarray(X), initial_state=first),
        model.predict(X, initial_state=first),
    )


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"layers.0.h": np.zeros((59, 8))}, r"got shape \(59, 8\), expected shape \(60, 8\)"),
        ({"layers.0.h": np.full((60, 8), np.nan)}, "NaN"),
        ({"layers.9.h": np.zeros((60, 8))}, r"got the names \['layers.9.h'\]"),
    ],
)
def test_states_of_another_model_are_refused(state, message):
    model = regressor().fit(X, Y)
    with pytest.raises(ValueError, match=rf"RNNRegressor.predict: initial_state.*{message}"):
        model.predict(X, initial_state=state)


def test_only_the_last_steps_count():
    other = STEPS.copy()
    other[:, :5] = 99
    options = {"output": "sequence", "loss_steps": 3}
    assert same_weights(regressor(**options).fit(X, STEPS), regressor(**options).fit(X, other))
    with pytest.raises(ValueError, match="loss_steps got 3"):
        regressor(loss_steps=3).fit(X, Y)


def test_weight_zero_is_absence():
    weight = (np.arange(60) % 3 > 0).astype(float)
    kept = weight > 0
    assert same_weights(
        regressor().fit(X, Y, sample_weight=weight), regressor().fit(X[kept], Y[kept])
    )


def test_units_of_weights_do_not_matter_beyond_their_range():
    weight = 1 + np.arange(60.0)
    model = regressor(alpha=0.0).fit(X.astype("f4"), Y, sample_weight=weight * 1e300)
    assert np.isfinite(model.predict(X)).all()


def test_partial_fit_is_one_epoch():
    model = regressor(shuffle=False)
    for _ in range(3):
        model.partial_fit(X, Y)
    assert same_weights(model, regressor(shuffle=False, max_iter=3).fit(X, Y))
    assert (model.n_iter_, model.t_, len(model.loss_curve_)) == (1, 180, 3)


def test_partial_fit_goes_on_after_pickling_with_the_same_bits():
    model = regressor(batch_size=16, dropout=0.2, hidden_layer_sizes=(6, 5)).partial_fit(X, Y)
    copied = pickle.loads(pickle.dumps(model))
    for _ in range(2):
        model.partial_fit(X, Y)
        copied.partial_fit(X, Y)
    assert same_weights(model, copied)
    assert model.loss_curve_ == copied.loss_curve_


def test_partial_fit_needs_all_classes():
    with pytest.raises(ValueError, match="partial_fit: classes got None"):
        classifier().partial_fit(X, LABELS)
    model = classifier().partial_fit(X[:5], LABELS[:5], classes=["down", "level", "up"])
    assert model.predict_proba(X).shape == (60, 3)
    with pytest.raises(ValueError, match=r"the labels \['none'\]"):
        model.partial_fit(X, np.full(60, "none"))
    with pytest.raises(ValueError, match="as in the first call"):
        model.partial_fit(X, LABELS, classes=["down", "up"])


def test_partial_fit_is_for_minibatches_without_early_stopping():
    assert not hasattr(regressor(solver="lbfgs"), "partial_fit")
    with pytest.raises(ValueError, match="early_stopping got True"):
        regressor(early_stopping=True).partial_fit(X, Y)


def test_warm_start_goes_on():
    model = regressor(warm_start=True, solver="sgd", momentum=0.0, shuffle=False, max_iter=2)
    model.fit(X, Y).fit(X, Y)
    straight = regressor(solver="sgd", momentum=0.0, shuffle=False, max_iter=4).fit(X, Y)
    assert same_weights(model, straight)
    assert model.loss_curve_ == straight.loss_curve_
    assert model.n_iter_ == 2
    assert not same_weights(regressor().fit(X, Y).fit(X, Y), model)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_another_network_cannot_be_continued(method):
    model = regressor(warm_start=True).fit(X, Y)
    before = model.predict(X)
    model.set_params(hidden_layer_sizes=5)
    np.testing.assert_array_equal(model.predict(X), before)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes got \[5\], expected \[8\]"):
        getattr(model, method)(X, Y)


def test_early_stopping_keeps_the_best_weights():
    model = regressor(
        early_stopping=True, max_iter=300, learning_rate_init=0.05, n_iter_no_change=5
    )
    held_out = X[40:], Y[40:]
    model.fit(X[:40], Y[:40], X_val=held_out[0], y_val=held_out[1])
    assert model.n_iter_ < 300
    assert len(model.validation_scores_) == model.n_iter_
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.score(*held_out) == pytest.approx(model.best_validation_score_, rel=1e-12)
    assert model.best_loss_ is None


def test_warm_start_never_loses_the_best_weights():
    model = regressor(early_stopping=True, warm_start=True, learning_rate_init=0.01).fit(X, Y)
    best, weights = model.best_validation_score_, model.weights_
    model.set_params(learning_rate_init=1.0).fit(X, Y)
    assert max(model.validation_scores_[3:]) < best == model.best_validation_score_
    assert all(np.array_equal(model.weights_[name], weights[name]) for name in weights)


def test_early_stopping_on_the_last_block():
    given = regressor(early_stopping=True, validation_fraction=0.25).set_params(
        validation_split="last"
    )
    given.fit(X, Y)
    explicit = regressor(early_stopping=True).fit(X[:45], Y[:45], X_val=X[45:], y_val=Y[45:])
    assert given.validation_scores_ == explicit.validation_scores_


def test_early_stopping_holds_out_whole_groups():
    from elman._split import validation_split

    groups = np.repeat(np.arange(12), 5)
    training, held_out = validation_split(
        60, "groups", 0.25, np.random.RandomState(0), "fit", groups=groups
    )
    assert set(groups[training]).isdisjoint(groups[held_out])
    assert len(held_out) == 15
    options = {"early_stopping": True, "validation_split": "groups"}
    assert len(regressor(**options).fit(X, Y, groups=groups).validation_scores_) == 3
    with pytest.raises(ValueError, match="groups got None"):
        regressor(**options).fit(X, Y)


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        ({"X_val": X[:5]}, "y_val got None"),
        ({"y_val": Y[:5]}, "X_val got None"),
        ({"X_val": X[:5, :, :1], "y_val": Y[:5]}, "X_val has 1 features"),
        ({"X_val": X[:5], "y_val": Y[:4]}, "y_val got 4 samples, expected 5, as in X_val"),
        (
            {"sample_weight": np.r_[np.ones(54), np.zeros(6)]},
            "sample_weight got weights that are all zero in the validation split",
        ),
    ],
)
def test_bad_validation_data_are_refused(fit, message):
    model = regressor(early_stopping=True, validation_split="last")
    with pytest.raises(ValueError, match=f"RNNRegressor.fit: {message}"):
        model.fit(X, Y, **fit)


def test_validation_data_without_early_stopping_are_refused():
    with pytest.raises(ValueError, match="X_val got data, expected None"):
        regressor().fit(X, Y, X_val=X, y_val=Y)


def test_too_few_samples_to_hold_any_out():
    with pytest.raises(ValueError, match="early_stopping needs"):
        regressor(early_stopping=True).fit(X[:2], Y[:2])


def test_adaptive_learning_rate_falls():
    model = regressor(learning_rate="adaptive", tol=1e3, max_iter=100).fit(X, Y)
    assert model.n_iter_ < 30
    curve = np.array(model.loss_curve_)
    assert abs(curve[-1] - curve[-2]) < abs(curve[1] - curve[0]) / 50


@pytest.mark.parametrize("schedule", ["invscaling", "cosine"])
def test_schedules_change_the_course(schedule):
    constant = regressor(max_iter=10).fit(X, Y)
    assert regressor(max_iter=10, learning_rate=schedule).fit(X, Y).loss_ != constant.loss_


def test_training_ends_when_the_loss_stands_still():
    model = regressor(tol=1e9, max_iter=50, n_iter_no_change=4).fit(X, Y)
    assert model.n_iter_ == 6
    assert regressor(tol=1e9, max_iter=50, n_iter_no_change=np.inf).fit(X, Y).n_iter_ == 50


@pytest.mark.filterwarnings("error")
def test_reaching_max_iter_warns():
    with pytest.warns(ConvergenceWarning, match="max_iter got 2"):
        regressor(max_iter=2).fit(X, Y)


def test_batches_larger_than_the_data_are_clipped_with_a_warning():
    with pytest.warns(UserWarning, match="batch_size got 100, expected at most the 60"):
        clipped = regressor(batch_size=100).fit(X, Y)
    assert same_weights(clipped, regressor(batch_size=60).fit(X, Y))


@pytest.mark.parametrize("n_jobs", [2, 3, -1])
def test_bits_do_not_depend_on_threads(n_jobs):
    alone = regressor(n_jobs=1, early_stopping=True).fit(RAGGED, Y)
    shared = regressor(n_jobs=n_jobs, early_stopping=True).fit(RAGGED, Y)
    assert same_weights(alone, shared)
    assert alone.loss_curve_ == shared.loss_curve_
    np.testing.assert_array_equal(alone.predict(RAGGED), shared.predict(RAGGED))


def test_pickle_clone_and_weights():
    model = classifier().fit(RAGGED, LABELS)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.predict_proba(RAGGED), model.predict_proba(RAGGED))
    assert not hasattr(clone(model), "classes_")
    model.weights_["head.W"][:] = 0
    assert same_weights(model, copied)


def test_a_pickle_that_does_not_come_as_a_checked_file_is_refused():
    model = regressor().fit(X, Y)
    with pytest.raises(ModelCorruptError, match="state got a dict, expected bytes"):
        object.__new__(type(model._model)).__setstate__(vars(model._model))
    with pytest.raises(ModelCorruptError, match=r"state got \['_model'\] that nothing has checked"):
        regressor().__setstate__(vars(model))


def test_set_weights_undoes_training():
    model = regressor(max_iter=1).fit(X, 100 * Y + 7)
    weights, predicted = model.weights_, model.predict(X)
    model.partial_fit(X, 100 * Y + 7)
    assert not np.array_equal(model.predict(X), predicted)
    model.set_weights(weights)
    np.testing.assert_array_equal(model.predict(X), predicted)
    model.partial_fit(X, 100 * Y + 7)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head.b": np.zeros(2)}, r"weights\['head.b'\] got shape \(2,\), expected shape \(1,\)"),
        ({"head.b": [np.nan]}, "NaN"),
        ({"other": [0.0]}, "weights got the names"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change, message):
    model = regressor().fit(X, Y)
    before = state_of(model)
    with pytest.raises(ValueError, match=f"RNNRegressor.set_weights: .*{message}"):
        model.set_weights({**model.weights_, **change})
    assert state_of(model) == before


def test_summary_tells_shapes_and_the_total():
    model = regressor(cell="simple", hidden_layer_sizes=(4, 3), bidirectional=[True, False])
    model.fit(X, Y)
    lines = model.summary().splitlines()
    assert lines[1].split() == ["layers.0.W_xh", "2", "×", "4", "8"]
    assert lines[-1].split() == ["total", str(model.n_parameters_)]
    assert sum(w.size for w in model.weights_.values()) == model.n_parameters_


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "score", "summary", "set_weights"]
)
def test_before_fit_there_is_nothing(method):
    arguments = {"score": (X, LABELS), "summary": (), "set_weights": ({},)}.get(method, (X,))
    with pytest.raises(NotFittedError, match=f"RNNClassifier.{method}"):
        getattr(classifier(), method)(*arguments)
    assert not hasattr(classifier(), "weights_")


PARAMETERS = {
    "hidden_layer_sizes": [0, (), (3, -1), 1.5, "8", None],
    "cell": ["rnn", None],
    "alpha": [-1, np.nan, "1", True],
    "max_iter": [0, True, 1.5],
    "dropout": [1.0, -0.1],
    "clip_norm": [0, -1],
    "bidirectional": ["yes", [True, False]],
    "random_state": ["seed", -1],
    "n_jobs": [0, 1.5],
    "loss": ["log_loss", None],
    "quantile": [0, 1],
    "batch_size": [0, "all"],
    "verbose": [-1, "yes"],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in PARAMETERS.items() for v in vs])
def test_bad_parameters_are_refused_in_fit_only(name, value):
    model = regressor().fit(X, Y)
    model.set_params(**{name: value})
    fitted = model._model
    with pytest.raises(ValueError, match=f"^RNNRegressor.fit: {name} got .*expected ") as raised:
        model.fit(X, Y)
    assert isinstance(raised.value, TypeError)
    assert model._model is fitted


def test_a_network_beyond_memory_is_refused_before_it_is_made():
    with pytest.raises(MemoryError, match=r"hidden_layer_sizes got \(1000000,\), which takes \d+"):
        regressor(hidden_layer_sizes=10**6).fit(X, Y)


def test_divergence_tells_where_and_changes_nothing():
    model = regressor(solver="sgd", activation="relu", cell="simple").fit(X, Y)
    before = state_of(model)
    model.set_params(learning_rate_init=1e20, max_iter=50)
    with pytest.raises(DivergenceError, match=r"learning_rate_init got .* in epoch") as raised:
        model.fit(X.astype(np.float32), Y)
    assert raised.value.epoch >= 1
    assert raised.value.learning_rate == 1e20
    assert pickle.loads(pickle.dumps(raised.value)).epoch == raised.value.epoch
    assert state_of(model.set_params(learning_rate_init=0.001, max_iter=3)) == before


def test_a_warning_turned_error_changes_nothing():
    model = regressor().fit(X, Y)
    before = state_of(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning):
            model.fit(X[:30], Y[:30])
    assert state_of(model) == before


def test_a_refused_fit_leaves_a_shared_random_state_alone():
    random_state = np.random.RandomState(0)
    before = random_state.get_state()[1].copy()
    with pytest.raises(ValueError, match="y got 3 samples"):
        regressor(random_state=random_state).fit(X, Y[:3])
    np.testing.assert_array_equal(random_state.get_state()[1], before)
    regressor(random_state=random_state).fit(X, Y)
    assert not np.array_equal(random_state.get_state()[1], before)


def test_a_refit_forgets_names():
    import pandas as pd

    table = pd.DataFrame(X[:, :, 0], columns=list("abcdefgh"))
    model = regressor().fit(table, Y)
    assert list(model.feature_names_in_) == list("abcdefgh")
    model.fit(X, Y)
    assert not hasattr(model, "feature_names_in_")


def test_threads_may_predict_while_another_refits():
    model = regressor(max_iter=2, n_jobs=1).fit(X, Y)
    answers = [clone(model).set_params(random_state=seed).fit(X, Y).predict(X) for seed in (0, 1)]
    wrong = []

    def predict():
        for _ in range(60):
            predicted = model.predict(X)
            if not any(np.array_equal(predicted, answer) for answer in answers):
                wrong.append(predicted)

    threads = [threading.Thread(target=predict) for _ in range(4)]
    for thread in threads:
        thread.start()
    for seed in range(20):
        model.set_params(random_state=seed % 2).fit(X, Y)
    for thread in threads:
        thread.join()
    assert wrong == []


def test_two_threads_may_fit_the_same_estimator():
    model = regressor(n_jobs=1)
    answers = [regressor().fit(x, y).predict(X) for x, y in ((X, Y), (X[:30], Y[:30]))]
    threads = [
        threading.Thread(target=model.fit, args=data) for data in ((X, Y), (X[:30], Y[:30])) * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert any(np.array_equal(model.predict(X), answer) for answer in answers)


def test_one_thread_inside_a_joblib_worker():
    from elman._threads import effective_n_threads

    for backend in ("loky", "threading"):
        counts = joblib.Parallel(n_jobs=2, backend=backend)(
            joblib.delayed(effective_n_threads)(n_jobs, "fit") for n_jobs in (None, 3)
        )
        assert counts == [1, 3]


def test_number_of_threads(monkeypatch):
    from elman._threads import effective_n_threads

    cores = joblib.cpu_count()
    assert effective_n_threads(None, "fit") <= cores
    assert effective_n_threads(-1, "fit") == cores
    assert effective_n_threads(10**6, "fit") == max(64, cores)
    monkeypatch.setenv("ELMAN_NUM_THREADS", "1")
    assert effective_n_threads(8, "fit") == 1
    monkeypatch.setenv("ELMAN_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="ELMAN_NUM_THREADS"):
        effective_n_threads(8, "fit")


def test_ctrl_c_leaves_the_estimator_as_it_was():
    model = regressor(max_iter=10**6, tol=0.0, n_iter_no_change=np.inf, hidden_layer_sizes=64)
    model.partial_fit(X, Y)
    before = state_of(model)
    timer = threading.Timer(0.3, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    timer.join()
    assert state_of(model) == before


@pytest.mark.parametrize("has_tqdm", [True, False])
def test_verbose_shows_every_epoch(capsys, monkeypatch, has_tqdm):
    if not has_tqdm:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    regressor(verbose=True).fit(X, Y)
    shown = capsys.readouterr()
    if has_tqdm:
        assert "3/3" in shown.err
        assert "loss" in shown.err
    else:
        assert [line.split(",")[0] for line in shown.out.splitlines()] == [
            f"RNNRegressor: epoch {i}/3" for i in (1, 2, 3)
        ]
    regressor().fit(X, Y)
    assert capsys.readouterr() == ("", "")


def test_import_adds_nothing_heavy_to_scikit_learn():
    code = (
        "import sys, sklearn.base; before = set(sys.modules); import elman; "
        "heavy = {'pandas', 'polars', 'pyarrow', 'matplotlib', 'tqdm', 'sklearn.metrics', "
        "'sklearn.model_selection', 'scipy.optimize', 'scipy.stats'}; "
        "print(sorted(heavy & (set(sys.modules) - before)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("merge_mode", ["sum", "mean", "mul"])
def test_directions_become_one_vector(merge_mode):
    """Two directions with the weights of a bidirectional model, merged by hand."""
    X = np.random.default_rng(0).normal(size=(9, 5, 2))
    settings = {"hidden_layer_sizes": 4, "head": None, "max_iter": 1, "scale_targets": False}
    merged = RNNRegressor(bidirectional=True, merge_mode=merge_mode, **settings)
    merged.fit(X, np.zeros((9, 4)))
    weights = merged.weights_
    one = RNNRegressor(**settings).fit(X, np.zeros((9, 4)))
    directions = []
    for prefix, sequences in (("layers.0.", X), ("layers.0.reverse.", X[:, ::-1])):
        names = {name: weights[name.replace("layers.0.", prefix)] for name in one.weights_}
        directions.append(one.set_weights(names).predict(sequences))
    f, r = directions
    expected = {"sum": f + r, "mean": (f + r) / 2, "mul": f * r}[merge_mode]
    np.testing.assert_allclose(merged.predict(X), expected, rtol=1e-12)


@pytest.mark.parametrize("cell", ["simple", "gru", "lstm", "min_gru", "min_lstm"])
def test_layer_normalisation_makes_the_scale_of_inputs_no_matter(cell):
    """But for the epsilon: sums that are ten times as large are normalised to the same."""
    X = np.random.RandomState(0).randn(40, 6, 3)
    model = RNNRegressor(cell=cell, layer_norm=True, max_iter=2, random_state=0, n_jobs=2)
    model.fit(X, X.sum(axis=(1, 2)))
    weights = model.weights_
    assert (weights["layers.0.g_h"] != 1).any()
    assert weights["layers.0.g_h"].shape == weights["layers.0.b_h"].shape
    assert ("layers.0.g_hn" in weights) == (cell == "gru")
    before = model.predict(X)
    names = ("layers.0.W_xh", "layers.0.W_hh")
    model.set_weights({k: 10 * v if k in names else v for k, v in weights.items()})
    np.testing.assert_allclose(model.predict(X), before, atol=0.01 * before.std())


def test_a_residual_adds_the_input_of_a_layer():
    """A second layer whose weights are zero hands on what it gets, and half of its own zero."""
    X = np.random.default_rng(0).normal(size=(9, 5, 2))
    settings = {"cell": "simple", "head": None, "max_iter": 1, "scale_targets": False}
    deep = RNNRegressor(hidden_layer_sizes=(4, 4), residual=True, **settings)
    deep.fit(X, np.zeros((9, 5, 4)))
    weights = deep.weights_
    for name in weights:
        if name.startswith("layers.1."):
            weights[name][...] = 0.0
    flat = RNNRegressor(hidden_layer_sizes=4, **settings).fit(X, np.zeros((9, 5, 4)))
    flat.set_weights({name: weights[name] for name in flat.weights_})
    assert np.array_equal(deep.set_weights(weights).predict(X), flat.predict(X))


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_layer_sizes": (4, 5)},
        {"hidden_layer_sizes": (4, 4), "bidirectional": (True, False)},
    ],
)
def test_a_residual_needs_layers_of_one_width(change):
    model = RNNRegressor(residual=True, **change)
    with pytest.raises(ValueError, match="hidden_layer_sizes got layers with outputs of"):
        model.fit(np.zeros((4, 3, 1)), np.arange(4.0))


def test_a_residual_around_merged_directions():
    model = RNNRegressor(
        hidden_layer_sizes=(4, 8, 4), bidirectional=(True, False, True), residual=True, max_iter=1
    )
    assert model.fit(np.zeros((4, 3, 1)), np.arange(4.0)).predict(np.zeros((1, 3, 1))).shape == (1,)


def with_gaps(X, share=0.3):
    X = X.copy()
    X[np.random.default_rng(1).random(X.shape[:2]) < share, 0] = np.nan
    X[:, -1] = 0.5
    return X


@pytest.mark.parametrize("cell", ["simple", "gru", "lstm", "min_gru", "min_lstm"])
def test_a_missing_step_is_one_that_is_not_there(cell):
    """For a target of each sequence, in any number of layers and in both directions."""
    X = with_gaps(np.random.default_rng(0).normal(size=(30, 9, 2)))
    y = np.arange(30.0)
    settings = {"cell": cell, "hidden_layer_sizes": (3, 5), "bidirectional": True, "max_iter": 3}
    masked = RNNRegressor(missing="mask", random_state=0, **settings).fit(X, y)
    shorter = [x[~np.isnan(x).any(axis=1)] for x in X]
    plain = RNNRegressor(random_state=0, **settings).fit(shorter, y)
    np.testing.assert_allclose(masked.predict(X), plain.predict(shorter), rtol=1e-9, atol=1e-12)


def test_forms_of_missing_steps():
    X = with_gaps(np.random.default_rng(0).normal(size=(30, 9, 1)))
    y = np.arange(30.0)
    model = RNNRegressor(missing="mask", max_iter=2, random_state=0)
    expected = model.fit(X, y).predict(X)
    assert np.array_equal(model.fit(list(X), y).predict(list(X)), expected)
    table = X[:, :, 0]
    assert np.array_equal(model.fit(table, y).predict(table), expected)
    fast = elman.compile(model.fit(X, y))
    assert np.array_equal(fast(X), expected)
    with pytest.raises(ValueError, match="NaN or infinity"):
        fast(np.full((3, 1), np.inf))
    with pytest.raises(ValueError, match="X got 1 value of infinity"):
        model.fit(np.where(np.arange(9)[:, None] == 3, np.inf, X[:1]), y[:1])
    for part in (slice(0, 1), slice(3, 20)):
        assert np.array_equal(model.predict(X[part]), expected[part])


def test_the_output_of_a_missing_step_is_that_of_the_state_before():
    X = np.random.default_rng(0).normal(size=(4, 6, 1))
    X[:, 3] = np.nan
    model = RNNRegressor(missing="mask", max_iter=2).fit(X, np.zeros((4, 6, 1)))
    y = model.predict(X)
    assert np.array_equal(y[:, 3], y[:, 2])
    assert not np.array_equal(y[:, 4], y[:, 3])


@pytest.mark.parametrize("input", ["vector", "tokens"])
def test_only_sequences_of_numbers_may_miss_steps(input):
    with pytest.raises(ValueError, match=f"missing got 'mask', expected None with input='{input}'"):
        RNNRegressor(missing="mask", input=input).fit([[1, 2]], [[1.0]])


def with_holes(X, share=0.4):
    """Single values are missing, of each channel others."""
    X = X.copy()
    X[np.random.default_rng(1).random(X.shape) < share] = np.nan
    X[:, -1] = 0.5
    return X


@pytest.mark.parametrize("cell", ["simple", "gru", "lstm", "min_gru"])
def test_without_missing_values_nothing_fades(cell):
    """Then a decay is a network that also reads a mask of ones."""
    X, y = np.random.default_rng(0).normal(size=(20, 6, 2)), np.arange(20.0)
    settings = {"cell": cell, "hidden_layer_sizes": 5, "max_iter": 1}
    decay = RNNRegressor(missing="decay", **settings).fit(X, y)
    plain = RNNRegressor(**settings).fit(np.concatenate([X, np.ones_like(X)], axis=2), y)
    weights = decay.weights_
    np.testing.assert_allclose(weights["decay.mean"], X.mean(axis=(0, 1)), rtol=1e-12)
    weights["decay.b_x"][...] = weights["decay.b_h"][...] = -10.0  # below zero nothing fades
    expected = plain.set_weights({k: w for k, w in weights.items() if "decay" not in k})
    masked = np.concatenate([X, np.ones_like(X)], axis=2)
    np.testing.assert_allclose(
        decay.set_weights(weights).predict(X), expected.predict(masked), rtol=1e-12
    )


def test_a_missing_value_is_the_last_one_as_it_fades():
    """Against the equations by hand, for one channel of a simple cell."""
    model = RNNRegressor(
        cell="simple", hidden_layer_sizes=1, head=None, missing="decay", max_iter=1
    )
    model.fit(np.ones((2, 3, 1)), np.zeros((2, 1)))
    values = {"mean": [2.0], "w_x": [0.3], "b_x": [0.1], "W_h": [[0.2]], "b_h": [0.4]}
    weights = {f"decay.{name}": value for name, value in values.items()}
    weights |= {"layers.0.W_xh": [[0.5], [-0.7]], "layers.0.W_hh": [[0.9]], "layers.0.b_h": [0.1]}
    got = model.set_weights(weights).predict(np.array([[[5.0], [np.nan], [np.nan], [1.0]]]))
    h, since, last = 0.0, 0.0, 2.0
    for x in (5.0, np.nan, np.nan, 1.0):
        is_there = not np.isnan(x)
        g = np.exp(-(0.3 * since + 0.1))
        filled = x if is_there else g * last + (1 - g) * 2.0
        h *= np.exp(-(0.2 * since + 0.4))
        h = np.tanh(0.5 * filled - 0.7 * is_there + 0.9 * h + 0.1)
        since, last = (1.0, x) if is_there else (since + 1, last)
    np.testing.assert_allclose(got.ravel(), h, rtol=1e-12)


def test_decay_learns_from_holes():
    rng = np.random.default_rng(0)
    level = rng.normal(size=(300, 1, 1))
    X = with_holes(level + 0.1 * rng.normal(size=(300, 8, 2)), share=0.6)
    X[:, -1] = np.nan
    X[:, 0, 0] = level[:, 0, 0]
    X = list(X)
    model = RNNRegressor(
        missing="decay", hidden_layer_sizes=8, max_iter=60, learning_rate_init=0.02, random_state=0
    )
    y = level.ravel()
    assert model.fit(X[:200], y[:200]).score(X[200:], y[200:]) > 0.95


@pytest.mark.parametrize("missing", ["mask", "decay"])
def test_missing_values_and_the_promises(missing):
    """Same bits for any number of threads, alone, compiled, pickled, with checkpoints."""
    X, y = with_holes(np.random.default_rng(0).normal(size=(80, 70, 2))), np.arange(80.0)
    settings = {
        "missing": missing,
        "hidden_layer_sizes": (40, 40),
        "max_iter": 2,
        "random_state": 0,
        "recurrent_dropout": 0.2,
    }
    model = RNNRegressor(n_jobs=1, **settings).fit(X, y)
    expected = model.predict(X)
    for other in ({"n_jobs": 3}, {"bptt_memory": "checkpoint"}):
        assert np.array_equal(RNNRegressor(**settings, **other).fit(X, y).predict(X), expected)
    for i in (0, 7, 79):
        assert np.array_equal(model.predict(X[i : i + 1])[0], expected[i])
    assert np.array_equal(elman.compile(model)(X), expected)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(X), expected)


def test_what_decay_refuses():
    X = with_holes(np.random.default_rng(0).normal(size=(9, 5, 2)))
    y = np.arange(9.0)
    with pytest.raises(
        ValueError, match="missing got 'decay', expected None or 'mask' with a first"
    ):
        RNNRegressor(missing="decay", bidirectional=True).fit(X, y)
    X[:, :, 1] = np.nan
    with pytest.raises(ValueError, match=r"X got no value at all in the channels \[1\]"):
        RNNRegressor(missing="decay").fit(X, y)
    with pytest.raises(ValueError, match=r"X got .* values of NaN"):
        RNNRegressor().fit(X, y)
