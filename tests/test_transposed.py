"""Layers whose units would leave lanes idle, which take sequences of one length side by side."""

import numpy as np
import pytest
from problems import CELLS
from test_checkpoint import train
from test_gradient import compare
from test_lanes import problem_of

# Too few for the registers of AVX-512 or AVX2, and too many weights for what test_lanes.py tests.
SIZES = [[5], [9, 18], [20, 10], [9, 20, 5]]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("n_sequences", [16, 48])
def test_gradient(cell, sizes, n_sequences):
    compare(problem_of(cell, sizes, n_sequences, n_steps=6, per_step=n_sequences == 48))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [[True, False], [False, True], [True, True]])
def test_gradient_of_both_directions(cell, bidirectional):
    compare(problem_of(cell, [9, 18], 32, n_steps=6, bidirectional=bidirectional))


@pytest.mark.parametrize(
    "options", [{"bptt_steps": 3}, {"dropout": 0.3}, {"recurrent_dropout": 0.3}]
)
def test_gradient_with(options):
    compare(problem_of(("lstm", "tanh", True), [20, 5], 32, n_steps=8), **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("sizes", [[20, 9], [28, 28]])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("n_sequences", [12, 32, 45])
def test_bits_of_a_sequence_alone(cell, dtype, sizes, bidirectional, n_sequences):
    """Two layers of one direction hand each other what stands side by side."""
    directions = [bidirectional, False]
    problem = problem_of(cell, sizes, n_sequences, 5, per_step=True, bidirectional=directions)
    network, parameters = problem.core(dtype), problem.parameters.astype(dtype)
    values, states = problem.values.astype(dtype), problem.initial_state.astype(dtype)
    together, final = network.forward(
        parameters, values, problem.offsets, per_step=True, initial_state=states
    )
    for i in range(n_sequences):
        steps = slice(problem.offsets[i], problem.offsets[i + 1])
        alone, state = network.forward(
            parameters,
            values[steps],
            np.array([0, 5]),
            per_step=True,
            initial_state=states[i : i + 1],
        )
        np.testing.assert_array_equal(alone, together[steps])
        np.testing.assert_array_equal(state[0], final[i])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("per_step", [False, True])
def test_bits_with_threads_and_checkpoints(cell, per_step):
    problem = problem_of(cell, [9, 20], 64, n_steps=100, per_step=per_step)
    losses, parameters = train(problem, checkpoint=False, batch_size=48)
    for n_threads, checkpoint in ((3, False), (1, True), (3, True)):
        again, same = train(problem, checkpoint, n_threads, batch_size=48)
        assert again == losses
        np.testing.assert_array_equal(same, parameters)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [[False] * 2, [True] * 2, [True, False], [False] * 3])
@pytest.mark.parametrize("residual", [False, True])
def test_like_units_side_by_side(cell, dtype, bidirectional, residual):
    """A longer sequence, which does not count, has the others trained with units side by side.

    The gradient is the same sum in another order.
    """
    problem = problem_of(
        cell,
        [20] * len(bidirectional) if residual else [20, 9, 18][: len(bidirectional)],
        33,
        n_steps=7,
        bidirectional=bidirectional,
        merge_mode="mean",
        residual=residual,
    )
    problem.weights[-1] = 0.0
    offsets = problem.offsets[:-1]
    values = np.concatenate([problem.values, np.ones((4, 3))]).astype(dtype)
    longer = np.append(offsets, len(values))
    targets, weights = problem.targets.astype(dtype), problem.weights.astype(dtype)
    gradients = [
        problem.core_trainer(dtype=dtype).loss_and_gradient(
            values[: ends[-1]],
            ends,
            targets[: len(ends) - 1],
            weights[: len(ends) - 1],
            per_step=False,
        )
        for ends in (offsets, longer)
    ]
    assert gradients[0][0] == gradients[1][0]
    largest = np.abs(gradients[1][1]).max()
    np.testing.assert_allclose(
        gradients[0][1], gradients[1][1], rtol=0, atol=20 * np.finfo(dtype).eps * largest
    )
