"""Backpropagation with checkpoints: the bits of the one that keeps everything, in less room."""

import subprocess
import sys

import numpy as np
import pytest
from elman import RNNClassifier, RNNRegressor
from elman._parameters import InvalidParameterError
from problems import CELLS, Problem, cast_values

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LENGTHS = {
    "one segment": [9, 16, 3],
    "regular": [100] * 7,
    "one sequence": [150],
    "ragged": [1, 90, 17, 16, 33, 90, 2, 61],
}


def problem_of(cell, lengths, per_step, head=True, n_tokens=0):
    name, activation, reset_after = cell
    options = {
        "cell": name,
        "activation": activation,
        "reset_after": reset_after,
        "hidden_layer_sizes": [19, 4],
        "bidirectional": [False, False],
        "n_channels": 2,
        "n_outputs": 3,
        "head": head,
        "n_tokens": n_tokens,
    }
    problem = Problem(options, 11, lengths, per_step)
    problem.parameters *= 0.3  # what grows from step to step would overflow
    return problem


def train(problem, checkpoint, n_threads=1, batch_size=5, **options):
    trainer = problem.core_trainer(n_threads, "float32", checkpoint=checkpoint, **options)
    values, offsets, targets, weights = problem.examples
    order = np.arange(len(problem.lengths))
    examples = (
        cast_values(values, np.float32),
        offsets,
        targets.astype(np.float32),
        weights.astype(np.float32),
    )
    losses = [trainer.epoch(*examples, order, batch_size=batch_size, per_step=problem.per_step)]
    losses.append(
        trainer.epoch(*examples, order[::-1].copy(), batch_size=3, per_step=problem.per_step)
    )
    return losses, trainer.parameters


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("per_step", [False, True])
def test_same_bits(cell, lengths, per_step):
    problem = problem_of(cell, LENGTHS[lengths], per_step)
    losses, parameters = train(problem, checkpoint=False)
    assert not np.array_equal(parameters, problem.parameters.astype(np.float32))
    for n_threads in (1, 3):
        again, same = train(problem, checkpoint=True, n_threads=n_threads)
        assert again == losses
        np.testing.assert_array_equal(same, parameters)


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.3},
        {"recurrent_dropout": 0.3},
        {"bptt_steps": 7},
        {"bptt_steps": 40, "dropout": 0.1, "recurrent_dropout": 0.1, "clip_norm": 0.1},
    ],
)
@pytest.mark.parametrize("per_step", [False, True])
def test_same_bits_with(options, per_step):
    problem = problem_of(("lstm", "tanh", True), LENGTHS["ragged"], per_step)
    losses, parameters = train(problem, checkpoint=False, **options)
    again, same = train(problem, checkpoint=True, **options)
    assert again == losses
    np.testing.assert_array_equal(same, parameters)


@pytest.mark.parametrize("n_tokens", [5, 60, 4000])
@pytest.mark.parametrize("cell", CELLS)
def test_same_bits_of_tokens(cell, n_tokens):
    """Which are read once in a mini-batch, whatever the segment, where they recur in it."""
    problem = problem_of(cell, LENGTHS["ragged"], True, n_tokens=n_tokens)
    losses, parameters = train(problem, checkpoint=False, token_dropout=0.1)
    for n_threads in (1, 3):
        again, same = train(problem, checkpoint=True, n_threads=n_threads, token_dropout=0.1)
        assert again == losses
        np.testing.assert_array_equal(same, parameters)


def test_same_bits_without_a_head():
    problem = problem_of(("gru", "tanh", True), LENGTHS["ragged"], True, head=False)
    losses, parameters = train(problem, checkpoint=False)
    again, same = train(problem, checkpoint=True)
    assert again == losses
    np.testing.assert_array_equal(same, parameters)


@pytest.mark.parametrize("estimator", [RNNRegressor, RNNClassifier])
def test_estimators(estimator):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)) for n in (120, 7, 64, 65)]
    y = [0, 1, 1, 0]
    fits = [
        estimator(max_iter=4, solver=solver, random_state=0, bptt_memory=memory).fit(X, y)
        for solver in ("adam", "lbfgs")
        for memory in ("full", "checkpoint")
    ]
    for full, checkpoint in (fits[:2], fits[2:]):
        assert full.loss_curve_ == checkpoint.loss_curve_
        np.testing.assert_array_equal(full.predict(X), checkpoint.predict(X))


def test_a_reverse_layer_is_refused():
    model = RNNRegressor(bptt_memory="checkpoint", bidirectional=True)
    with pytest.raises(
        InvalidParameterError, match="bptt_memory got 'checkpoint', expected 'full'"
    ):
        model.fit(np.zeros((3, 4, 1)), np.arange(3))
    problem = problem_of(("gru", "tanh", True), [3], False)
    problem.options["bidirectional"] = [False, True]
    problem = Problem(problem.options, 11, [3], False)
    with pytest.raises(ValueError, match="checkpoints need layers of one direction"):
        problem.core_trainer(checkpoint=True)


MEASURE = """
import sys
import numpy as np
from elman import RNNRegressor

def peak():  # of this program alone: ru_maxrss begins with that of its parent
    return next(int(line.split()[1]) for line in open("/proc/self/status") if "VmHWM" in line)

n_steps, memory = int(sys.argv[1]), sys.argv[2]
X = np.zeros((4, n_steps, 1), np.float32)
y = np.arange(4.0)
model = RNNRegressor(cell="lstm", hidden_layer_sizes=(64,), max_iter=1, tol=0, bptt_memory=memory)
model.fit(X[:, :64], y)
before = peak()
model.fit(X, y)
print(peak() - before)
"""


def kilobytes(n_steps, memory):
    code = [sys.executable, "-W", "ignore", "-c", MEASURE, str(n_steps), memory]
    return int(subprocess.run(code, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory():
    """A tape of 5 x 64 floats for each of 4 x 20,000 steps is 102 MB."""
    assert kilobytes(20_000, "full") > 90_000
    assert kilobytes(20_000, "checkpoint") < 20_000


@pytest.mark.parametrize("cell", CELLS)
def test_same_bits_where_the_first_pass_is_dealt_out(cell):
    """Enough sequences for several threads, and units in blocks of more than one width."""
    problem = problem_of(cell, [1 + 7 * i % 40 for i in range(60)], True)
    expected = train(problem, False, batch_size=30)
    for n_threads in (1, 2, 4):
        losses, parameters = train(problem, True, n_threads, batch_size=30)
        assert losses == expected[0]
        assert np.array_equal(parameters, expected[1])
