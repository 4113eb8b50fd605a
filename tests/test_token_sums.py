"""Tokens that are read once each: the bits of those that are read step by step, one gradient."""

import numpy as np
import pytest
from elman import _core
from problems import CELLS, Problem, relative_error
from seq2seq_problems import network_options

N_TOKENS = 60
# By units: several blocks, gates side by side, sequences side by side, a lane for each sequence.
SIZES = [[70], [33], [20], [3]]


def problem_of(
    cell, sizes, n_tokens=N_TOKENS, lengths=(30, 7, 30, 1, 19, 30), bidirectional=False, **options
):
    directions = [bidirectional] * len(sizes)
    options = network_options(
        cell, list(sizes), directions, 6, n_tokens, n_outputs=2, head=True, **options
    )
    problem = Problem(options, 3, list(lengths), per_step=True)
    problem.parameters *= 0.5  # what grows from step to step would overflow
    return problem


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_a_sequence_among_others_that_hold_its_tokens_and_step_by_step(
    cell, layer_norm, sizes, dtype
):
    problem = problem_of(cell, sizes, layer_norm=layer_norm)
    distinct = np.random.default_rng(0).permutation(N_TOKENS)[:30].astype(np.int32)
    parameters = problem.parameters.astype(dtype)
    predictor = _core.Predictor(problem.core(dtype), parameters, per_step=True)
    alone, state = predictor.forward(distinct, np.array([0, 30]))
    stream = _core.Stream(predictor, n_streams=1)
    by_step = [stream.step(np.array([token], np.int32)).copy() for token in distinct]
    np.testing.assert_array_equal(np.concatenate(by_step), alone)
    for n_others in (1, 5, 40):
        offsets = 30 * np.arange(n_others + 2)
        among, states = predictor.forward(np.tile(distinct, n_others + 1), offsets)
        np.testing.assert_array_equal(among, np.tile(alone, (n_others + 1, 1)))
        np.testing.assert_array_equal(states, np.tile(state, (n_others + 1, 1)))


@pytest.mark.parametrize("lengths", [(30, 7, 30, 1, 19, 30), (12,) * 16, (40,)])
@pytest.mark.parametrize("sizes", [*SIZES, [33, 20]])
@pytest.mark.parametrize("cell", CELLS)
def test_the_gradient_agrees_with_the_reference(cell, sizes, lengths):
    for n_tokens in (4, 1000):  # of which one recurs
        for options in ({}, {"layer_norm": True}, {"bidirectional": True}):
            problem = problem_of(cell, sizes, n_tokens, lengths, **options)
            dropout = {"recurrent_dropout": 0.2, "token_dropout": 0.1, "seed": 2}
            for dropouts in ({}, dropout):
                loss, gradient = problem.core_trainer(**dropouts).loss_and_gradient(
                    *problem.examples, per_step=True
                )
                expected_loss, expected, _ = problem.reference_trainer(
                    **dropouts
                ).loss_and_gradient(*problem.examples, np.arange(len(lengths)), True)
                assert loss == pytest.approx(expected_loss, rel=1e-9)
                assert relative_error(gradient, expected) < 1e-9


@pytest.mark.parametrize("cell", CELLS)
def test_mini_batches_of_which_some_read_tokens_once(cell):
    """A vocabulary of 60: three sequences of a mini-batch hold most tokens once, twenty do not."""
    problem = problem_of(cell, (33, 20), lengths=[1 + 7 * i % 19 for i in range(46)])
    order = np.random.default_rng(1).permutation(46)
    runs = []
    for n_threads in (1, 2, 3, 8):
        trainer = problem.core_trainer(n_threads, learning_rate=0.01)
        expected = problem.reference_trainer(learning_rate=0.01)
        losses = []
        for batch_size in (20, 3, 20, 1):
            epoch = (*problem.examples, order, batch_size)
            losses.append(trainer.epoch(*epoch[:-1], batch_size=batch_size, per_step=True))
            if n_threads == 1:
                assert losses[-1] == pytest.approx(expected.epoch(*epoch, True), rel=1e-6)
        runs.append((losses, trainer.parameters))
    for losses, parameters in runs[1:]:
        assert losses == runs[0][0]
        np.testing.assert_array_equal(parameters, runs[0][1])
