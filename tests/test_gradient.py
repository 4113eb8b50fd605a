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
    """Sums over steps go in runs of 128 rows; nothing is lost between them."""
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
