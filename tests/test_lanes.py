"""Layers of a few units, which take 16 sequences of one length side by side."""

import numpy as np
import pytest
from problems import CELLS, Problem
from test_checkpoint import train
from test_gradient import compare

# What the core takes side by side: few units of few weights, and at least 8 sequences.
N_SEQUENCES = [8, 16, 33]


def problem_of(cell, sizes, n_sequences=33, n_steps=19, per_step=False, **options):
    name, activation, reset_after = cell
    options = {
        "cell": name,
        "activation": activation,
        "reset_after": reset_after,
        "hidden_layer_sizes": sizes,
        "bidirectional": [False] * len(sizes),
        "n_channels": 3,
        "n_outputs": 2,
        "head": True,
        **options,
    }
    problem = Problem(options, 5, [n_steps] * n_sequences, per_step)
    problem.parameters *= 0.5
    return problem


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("sizes", [[1], [2], [3], [4], [1, 4], [9, 2], [2, 9]])
@pytest.mark.parametrize("per_step", [False, True])
def test_gradient(cell, sizes, per_step):
    compare(problem_of(cell, sizes, per_step=per_step))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [[True, False], [False, True], [True, True]])
@pytest.mark.parametrize("per_step", [False, True])
def test_gradient_of_both_directions(cell, bidirectional, per_step):
    compare(problem_of(cell, [3, 2], per_step=per_step, bidirectional=bidirectional))


@pytest.mark.parametrize("n_sequences", N_SEQUENCES)
@pytest.mark.parametrize(
    "options", [{"bptt_steps": 5}, {"dropout": 0.3}, {"recurrent_dropout": 0.3}]
)
def test_gradient_with(options, n_sequences):
    compare(problem_of(("lstm", "tanh", True), [2, 4], n_sequences), **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("n_sequences", N_SEQUENCES)
@pytest.mark.parametrize("per_step", [False, True])
def test_bits_of_a_sequence_alone(cell, dtype, n_sequences, per_step):
    problem = problem_of(cell, [4, 1], n_sequences, bidirectional=[True, True])
    network, parameters = problem.core(dtype), problem.parameters.astype(dtype)
    values, states = problem.values.astype(dtype), problem.initial_state.astype(dtype)
    together, final = network.forward(
        parameters, values, problem.offsets, per_step=per_step, initial_state=states
    )
    rows = problem.offsets if per_step else np.arange(n_sequences + 1)
    for i in range(n_sequences):
        x = values[problem.offsets[i] : problem.offsets[i + 1]]
        alone, state = network.forward(
            parameters, x, np.array([0, len(x)]), per_step=per_step, initial_state=states[i : i + 1]
        )
        np.testing.assert_array_equal(alone, together[rows[i] : rows[i + 1]])
        np.testing.assert_array_equal(state[0], final[i])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("per_step", [False, True])
def test_bits_with_threads_and_checkpoints(cell, per_step):
    problem = problem_of(cell, [3, 1], 50, n_steps=400, per_step=per_step)
    losses, parameters = train(problem, checkpoint=False, batch_size=40)
    for n_threads, checkpoint in ((3, False), (1, True), (3, True)):
        again, same = train(problem, checkpoint, n_threads, batch_size=40)
        assert again == losses
        np.testing.assert_array_equal(same, parameters)


def test_long_sequences_go_in_segments():
    problem = problem_of(("gru", "tanh", True), [2], 20, n_steps=9000)
    network = problem.core()
    together, final = network.forward(
        problem.parameters, problem.values, problem.offsets, per_step=True
    )
    for i in (0, 19):
        x = problem.values[problem.offsets[i] : problem.offsets[i + 1]]
        alone, state = network.forward(problem.parameters, x, np.array([0, len(x)]), per_step=True)
        np.testing.assert_array_equal(alone, together[problem.offsets[i] : problem.offsets[i + 1]])
        np.testing.assert_array_equal(state[0], final[i])
