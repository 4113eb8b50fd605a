"""y in any of its forms, and predictions in the same form."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from elman import RNNClassifier, RNNRegressor, _core
from elman._classification import classification_task, factors_of_rows
from elman._regression import RegressionTask, standard_units
from elman._sequences import read_sequences
from elman._targets import read_targets, restore
from elman._weights import only_last_steps, read_weights, representable

CALLER = "RNNRegressor.fit"
RNG = np.random.default_rng(0)
REGULAR = RNG.normal(size=(4, 3, 2))
LIST = [RNG.normal(size=(n, 2)) for n in (3, 1, 5, 2)]
PADDED = np.full((4, 5, 2), np.nan)
for i, item in enumerate(LIST):
    PADDED[i, : len(item)] = item


def sequences_of(X):
    return read_sequences(X, CALLER, RNNRegressor())[0]


def per_step(*shape):
    return [RNG.normal(size=(len(item), *shape)) for item in LIST]


FORMS = {
    "one number": (REGULAR, RNG.normal(size=4), "auto"),
    "one number in a column": (REGULAR, RNG.normal(size=(4, 1)), "auto"),
    "several numbers": (REGULAR, RNG.normal(size=(4, 2)), "auto"),
    "as many numbers as steps": (REGULAR, RNG.normal(size=(4, 3)), "auto"),
    "one number a step": (REGULAR, RNG.normal(size=(4, 3)), "sequence"),
    "several numbers a step": (REGULAR, RNG.normal(size=(4, 3, 2)), "auto"),
    "one number a step in a column": (REGULAR, RNG.normal(size=(4, 3, 1)), "auto"),
    "one number for a list": (LIST, RNG.normal(size=4), "auto"),
    "list of numbers a step": (LIST, per_step(), "auto"),
    "list of several numbers a step": (LIST, per_step(2), "auto"),
    "list for an array": (REGULAR, list(RNG.normal(size=(4, 3))), "auto"),
}


@pytest.mark.parametrize("form", FORMS)
def test_reading_and_restoring_gives_y_back(form):
    X, y, output = FORMS[form]
    sequences = sequences_of(X)
    rows, target_form = read_targets(y, sequences, CALLER, output)
    n_steps = int(sequences.offsets[-1])
    assert rows.shape == (n_steps if target_form.per_step else 4, target_form.n_outputs)
    restored = restore(rows, target_form, sequences)
    assert type(restored) is type(y)
    for given, back in zip(y, restored, strict=True):
        np.testing.assert_array_equal(given, back)


@pytest.mark.parametrize("form", FORMS)
def test_predictions_have_the_form_of_y(form):
    X, y, output = FORMS[form]
    model = RNNRegressor(hidden_layer_sizes=3, solver="lbfgs", max_iter=1000, output=output)
    predicted = model.set_params(tol=1.0).fit(X, y).predict(X)
    assert type(predicted) is type(y)
    for given, back in zip(y, predicted, strict=True):
        assert np.shape(given) == np.shape(back)


def test_padded_y_comes_back_padded():
    sequences = sequences_of(PADDED)
    y = np.where(np.isnan(PADDED), np.nan, RNG.normal(size=PADDED.shape))
    rows, form = read_targets(y, sequences, CALLER)
    assert len(rows) == 11
    np.testing.assert_array_equal(restore(rows, form, sequences), y)


def test_series_and_frames():
    sequences = sequences_of(REGULAR)
    rows, form = read_targets(pd.Series([1.0, 2, 3, 4]), sequences, CALLER)
    assert not form.has_output_axis
    np.testing.assert_array_equal(rows[:, 0], [1, 2, 3, 4])
    assert read_targets(pd.DataFrame({"a": range(4)}), sequences, CALLER)[1].has_output_axis


@pytest.mark.parametrize(
    ("X", "y", "output", "message"),
    [
        (REGULAR, None, "auto", "requires y to be passed, but the target y is None"),
        (REGULAR, np.ones(3), "auto", "y got 3 samples, expected 4"),
        (LIST, per_step()[:3], "auto", "y got 3 samples, expected 4"),
        (REGULAR, np.ones((4, 5, 1)), "auto", r"got shape \(4, 5, 1\), expected \(4,\)"),
        (REGULAR, np.ones((4, 3, 1)), "vector", r"got shape \(4, 3, 1\), expected \(4,\)"),
        (REGULAR, np.ones(4), "sequence", r"got shape \(4,\), expected \(4, 3\)"),
        (REGULAR, np.ones((4, 2)), "sequence", r"got shape \(4, 2\), expected \(4, 3\)"),
        (LIST, [*per_step()[:3], np.ones(7)], "auto", r"y\[3\] got 7 time steps, expected 2"),
    ],
)
def test_what_is_no_target_is_refused(X, y, output, message):
    with pytest.raises(ValueError, match=f"{CALLER}: .*{message}"):
        read_targets(y, sequences_of(X), CALLER, output)


def test_weights_of_samples_are_weights_of_their_steps():
    sequences = sequences_of(LIST)
    weights = read_weights([1, 2, 3, 4], sequences, CALLER, per_step=True)
    np.testing.assert_array_equal(weights, np.repeat([1, 2, 3, 4], [3, 1, 5, 2]))
    assert read_weights(None, sequences, CALLER, per_step=True) is None
    np.testing.assert_array_equal(read_weights(2, sequences, CALLER, per_step=False), [2] * 4)


def test_weights_of_steps():
    given = [np.arange(1.0, len(item) + 1) for item in LIST]
    weights = read_weights(given, sequences_of(LIST), CALLER, per_step=True)
    np.testing.assert_array_equal(weights, np.concatenate(given))
    grid = np.arange(12.0).reshape(4, 3)
    weights = read_weights(grid, sequences_of(REGULAR), CALLER, per_step=True)
    np.testing.assert_array_equal(weights, grid.ravel())


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(3), r"shape \(3,\), expected shape \(4,\)"),
        (np.ones((4, 3)), r"shape \(4, 3\), expected shape \(4,\)"),
        ([1, np.nan, 1, 1], "NaN"),
        ([1, np.inf, 1, 1], "infinity"),
        ([1, 1, -2, 1], "negative weight -2 at index 2"),
        (np.zeros(4), "Sample weights must contain at least one non-zero number"),
    ],
)
def test_what_is_no_weight_is_refused(weights, message):
    with pytest.raises(ValueError, match=f"{CALLER}: sample_weight got .*{message}"):
        read_weights(weights, sequences_of(REGULAR), CALLER, per_step=False)


def test_only_the_last_steps_count():
    weights = only_last_steps(None, sequences_of(LIST), 2)
    np.testing.assert_array_equal(weights, [0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1])


def test_weights_beyond_float32_are_normalised():
    weights = np.array([1e300, 2e300, 0])
    np.testing.assert_allclose(representable(weights, np.dtype("f4")), [1, 2, 0])
    np.testing.assert_array_equal(representable(np.array([1.0, 3]), np.dtype("f4")), [1, 3])


def test_standard_units_are_weighted_and_never_zero():
    rows = np.array([[1.0, 5], [3, 5], [100, 5]])
    mean, scale = standard_units(rows, np.array([1.0, 1, 0]))
    np.testing.assert_allclose(mean, [2, 5])
    np.testing.assert_allclose(scale, [1, 1])


def test_standard_units_of_huge_targets_are_finite():
    mean, scale = standard_units(np.array([[1e308], [-1e308], [1.5e308]]), None)
    assert np.isfinite([mean, scale]).all()


@pytest.mark.parametrize("name", ["squared_error", "gaussian_nll"])
def test_folding_is_undone_by_unfolding(name):
    task = RegressionTask(name, 1.0, np.array([3.0, -1]), np.array([2.0, 0.5]))
    network = _core.Network(
        dtype="float64",
        cell="gru",
        activation="tanh",
        reset_after=True,
        hidden_layer_sizes=[3],
        bidirectional=[False],
        n_channels=2,
        n_outputs=task.n_outputs,
        head=True,
    )
    parameters = network.initialize(0)
    folded = task.fold(network, parameters)
    values, offsets = REGULAR.reshape(-1, 2), np.arange(0, 13, 3)
    inner, _ = network.forward(parameters, values, offsets, per_step=False)
    outer, _ = network.forward(folded, values, offsets, per_step=False)
    np.testing.assert_allclose(outer[:, :2], inner[:, :2] * task.scale + task.mean, rtol=1e-12)
    if name == "gaussian_nll":
        np.testing.assert_allclose(np.exp(outer[:, 2:]), np.exp(inner[:, 2:]) * task.scale)
    np.testing.assert_allclose(task.unfold(network, folded), parameters, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        ([0, 1, 0], "binary"),
        (["b", "a", "c"], "multiclass"),
        ([True, False, True], "binary"),
        ([7, 7, 7], "multiclass"),
        ([[0, 1], [1, 1], [0, 0]], "multilabel"),
    ],
)
def test_task_is_told_from_the_labels(labels, kind):
    rows = np.array(labels).reshape(3, -1)
    task = classification_task(rows, CALLER)
    assert task.kind == kind
    encoded = task.encode(rows, np.dtype("f8"), CALLER, "y")
    if kind != "multilabel":
        np.testing.assert_array_equal(task.classes[encoded[:, 0].astype(int)], rows[:, 0])


def test_unseen_labels_are_listed():
    task = classification_task(np.array([[1], [2]]), CALLER)
    with pytest.raises(ValueError, match=r"labels \[5\].*expected \[1, 2\]"):
        task.encode(np.array([[1], [5]]), np.dtype("f8"), CALLER, "y")


def test_continuous_labels_are_refused():
    with pytest.raises(ValueError, match="Unknown label type"):
        classification_task(np.array([[0.5], [1.5]]), CALLER)


def test_probabilities_of_extreme_outputs():
    outputs = np.array([[800.0], [-800.0], [0.0]])
    task = classification_task(np.array([[0], [1]]), CALLER)
    np.testing.assert_array_equal(task.probabilities(outputs), [[0, 1], [1, 0], [0.5, 0.5]])
    assert np.isfinite(task.log_probabilities(outputs)).all()
    several = classification_task(np.array([[0], [1], [2]]), CALLER)
    outputs = np.array([[900.0, 0, -900]])
    np.testing.assert_array_equal(several.probabilities(outputs), [[1, 0, 0]])
    np.testing.assert_array_equal(several.log_probabilities(outputs), [[0, -900, -1800]])


def test_balanced_weights_give_every_class_the_same_weight():
    rows = np.array([[0], [0], [0], [1]])
    task = classification_task(rows, CALLER)
    weights = factors_of_rows("balanced", task, [(rows, None)], CALLER)(rows)
    assert weights[:3].sum() == weights[3] == 2


@pytest.mark.parametrize(
    ("weight", "message"),
    [({0: 1, 1: 1, 2: 1}, "got"), ({0: 1}, "got"), ({0: 1, 1: -1}, "got -1 for class 1")],
)
def test_weights_of_unknown_missing_and_negative_classes_are_refused(weight, message):
    X, y = REGULAR, np.array([0, 1, 0, 1])
    with pytest.raises(ValueError, match=f"RNNClassifier.fit: class_weight {message}"):
        RNNClassifier(class_weight=weight, max_iter=1).fit(X, y)
