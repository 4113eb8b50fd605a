"""The core's loss and gradient against the reference, over networks drawn at random."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import CELLS, LOSSES, Problem, problems, relative_error


def compare(problem, **options):
    members = np.arange(len(problem.lengths))
    expected_loss, expected, _ = problem.reference_trainer(**options).loss_and_gradient(
        *problem.examples, members, problem.per_step
    )
    trainer = problem.core_trainer(n_threads=2, **options)
    loss, gradient = trainer.loss_and_gradient(*problem.examples, per_step=problem.per_step)
    assert loss == pytest.approx(expected_loss, rel=1e-11, abs=1e-14)
    assert relative_error(gradient, expected) < 1e-10


@given(problem=problems(LOSSES, max_width=40))
def test_every_cell_and_loss(problem):
    compare(problem, alpha=0.1)


@given(problem=problems(max_width=20), bptt_steps=st.integers(1, 12))
def test_truncated(problem, bptt_steps):
    compare(problem, bptt_steps=bptt_steps)


@given(
    problem=problems(max_width=20),
    dropout=st.sampled_from([0.0, 0.2, 0.6]),
    recurrent_dropout=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 2**63),
)
def test_dropout(problem, dropout, recurrent_dropout, seed):
    compare(problem, dropout=dropout, recurrent_dropout=recurrent_dropout, seed=seed)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("n_steps", [1, 129, 300])
def test_lengths_around_the_runs_of_the_gradient(cell, n_steps):
    """Sums over steps go in runs of 128 rows, cell states in segments of at most 64 steps."""
    name, activation, reset_after = cell
    options = {
        "cell": name,
        "activation": activation,
        "reset_after": reset_after,
        "hidden_layer_sizes": [3],
        "bidirectional": [True],
        "n_channels": 1,
        "n_outputs": 2,
        "head": True,
    }
    compare(Problem(options, 11, [n_steps, n_steps, max(1, n_steps - 3)], True))


def test_weights_of_zero_leave_a_sequence_out():
    options = {
        "cell": "gru",
        "activation": "tanh",
        "reset_after": True,
        "hidden_layer_sizes": [5],
        "bidirectional": [False],
        "n_channels": 2,
        "n_outputs": 1,
        "head": True,
    }
    problem = Problem(options, 2, [3, 4, 5], False)
    problem.weights[1] = 0
    full = problem.core_trainer().loss_and_gradient(*problem.examples, per_step=False)
    rows = np.r_[0:3, 7:12]
    part = problem.core_trainer().loss_and_gradient(
        problem.values[rows],
        np.array([0, 3, 8]),
        problem.targets[[0, 2]],
        problem.weights[[0, 2]],
        per_step=False,
    )
    assert full[0] == pytest.approx(part[0], rel=1e-14)
    np.testing.assert_allclose(full[1], part[1], rtol=1e-12, atol=1e-15)


@given(
    problem=problems(LOSSES),
    bptt_steps=st.integers(0, 12),
    dropout=st.sampled_from([0.0, 0.5]),
    recurrent_dropout=st.sampled_from([0.0, 0.3]),
    alpha=st.sampled_from([0.0, 0.1]),
    without_weight=st.integers(0, 2**20 - 1),
)
def test_everything_at_once(problem, without_weight, **options):
    """Every option with every other, and rows of weight zero here and there."""
    for row in range(min(20, len(problem.weights) - 1)):
        if without_weight >> row & 1:
            problem.weights[row] = 0.0
    compare(problem, **options)


def problem_of(cell, n_sequences, per_step, loss="squared"):
    name, activation, reset_after = cell
    options = {
        "cell": name,
        "activation": activation,
        "reset_after": reset_after,
        "hidden_layer_sizes": [33, 17],
        "bidirectional": [True, False],
        "n_channels": 2,
        "n_outputs": 1 if loss == "binary" else 4,
        "head": True,
    }
    return Problem(options, 5, [1 + 7 * i % 13 for i in range(n_sequences)], per_step, loss)


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_enough_sequences_for_two_shards(cell, per_step):
    """Small mini-batches are one thread's work; this one is dealt out."""
    problem = problem_of(cell, 203, per_step)
    compare(problem, dropout=0.2, recurrent_dropout=0.2, bptt_steps=4)


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_float32(cell, per_step):
    problem = problem_of(cell, 40, per_step)
    values, offsets, targets, weights = problem.examples
    narrow = [array.astype(np.float32) for array in (values, targets, weights)]
    loss, gradient = problem.core_trainer(dtype="float32", alpha=0.1).loss_and_gradient(
        narrow[0], offsets, narrow[1], narrow[2], per_step=per_step
    )
    expected_loss, expected, _ = problem.reference_trainer(alpha=0.1).loss_and_gradient(
        *problem.examples, np.arange(40), per_step
    )
    assert gradient.dtype == np.float32
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert relative_error(gradient, expected) < 1e-5


@pytest.mark.parametrize("per_step", [False, True])
def test_no_weights_are_weights_of_one(per_step):
    problem = problem_of(CELLS[5], 5, per_step)
    values, offsets, targets, weights = problem.examples
    trainer = problem.core_trainer(alpha=0.3)
    none = trainer.loss_and_gradient(values, offsets, targets, None, per_step=per_step)
    ones = trainer.loss_and_gradient(
        values, offsets, targets, np.ones_like(weights), per_step=per_step
    )
    assert none[0] == ones[0]
    assert np.array_equal(none[1], ones[1])


@pytest.mark.parametrize("bias", [-300.0, -50.0, 50.0, 300.0])
@pytest.mark.parametrize("loss", LOSSES)
def test_outputs_far_from_their_targets(loss, bias):
    """No logarithm of an exponential overflows or loses its digits."""
    problem = problem_of(CELLS[3], 5, False, loss)
    problem.reference.named(problem.parameters)["head.b"][-1] = bias
    compare(problem)


def test_nothing_is_left_of_the_batch_before():
    """A trainer's memory is taken again for batches of other shapes."""
    first = problem_of(CELLS[5], 3, True)
    trainer = first.core_trainer()
    for n_sequences in (60, 1, 7, 60, 2):
        for per_step in (True, False):
            problem = problem_of(CELLS[5], n_sequences, per_step)
            again = trainer.loss_and_gradient(*problem.examples, per_step=per_step)
            fresh = first.core_trainer().loss_and_gradient(*problem.examples, per_step=per_step)
            assert again[0] == fresh[0]
            assert np.array_equal(again[1], fresh[1])


@pytest.mark.parametrize("loss", LOSSES)
def test_a_target_of_weight_zero_may_be_anything(loss):
    options = {
        "cell": "simple",
        "activation": "tanh",
        "reset_after": True,
        "hidden_layer_sizes": [3],
        "bidirectional": [False],
        "n_channels": 1,
        "n_outputs": 1 if loss == "binary" else 2,
        "head": True,
    }
    problem = Problem(options, 4, [3, 5], True, loss)
    problem.weights[2] = 0
    expected = problem.core_trainer().loss_and_gradient(*problem.examples, per_step=True)
    problem.targets[2] = 1 if loss == "multiclass" else np.nan
    got = problem.core_trainer().loss_and_gradient(*problem.examples, per_step=True)
    assert got[0] == expected[0]
    assert np.array_equal(got[1], expected[1])


def test_a_class_number_is_an_integer():
    problem = Problem(
        {
            "cell": "simple",
            "activation": "tanh",
            "reset_after": True,
            "hidden_layer_sizes": [3],
            "bidirectional": [False],
            "n_channels": 1,
            "n_outputs": 3,
            "head": True,
        },
        4,
        [3, 5],
        False,
        "multiclass",
    )
    problem.targets[1] = 1.5
    with pytest.raises(ValueError, match="target 1 is not a class number"):
        problem.core_trainer().loss_and_gradient(*problem.examples, per_step=False)
