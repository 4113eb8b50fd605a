"""The same bits for any number of threads, any batch, any order and any alignment."""

import os
import subprocess
import sys

import numpy as np
import pytest
from elman import _isa
from problems import CELLS, Problem

N_SEQUENCES = 150


def problem_of(cell, per_step=False, sizes=(33, 20)):
    name, activation, reset_after = cell
    options = {
        "cell": name,
        "activation": activation,
        "reset_after": reset_after,
        "hidden_layer_sizes": list(sizes),
        "bidirectional": [False, True],
        "n_channels": 3,
        "n_outputs": 2,
        "head": True,
    }
    lengths = [1 + 7 * i % 40 for i in range(N_SEQUENCES)]
    return Problem(options, 23, lengths, per_step)


def cast(problem, dtype):
    values, offsets, targets, weights = problem.examples
    return values.astype(dtype), offsets, targets.astype(dtype), weights.astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_training_on_any_number_of_threads(cell, dtype):
    problem = problem_of(cell)
    order = np.random.default_rng(1).permutation(N_SEQUENCES)
    runs = []
    for n_threads in (1, 2, 3, 8):
        trainer = problem.core_trainer(
            n_threads, dtype, clip_norm=0.5, dropout=0.2, recurrent_dropout=0.2, alpha=0.1
        )
        examples = cast(problem, dtype)
        losses = [trainer.epoch(*examples, order, batch_size=64, per_step=False) for _ in range(3)]
        runs.append((losses, trainer.parameters, trainer.solver_state["moments"]))
    for losses, parameters, moments in runs[1:]:
        assert losses == runs[0][0]
        assert np.array_equal(parameters, runs[0][1])
        assert np.array_equal(moments, runs[0][2])


AFFINITY = """
import os, sys
import numpy as np
from elman import _core
from problems import Problem

if sys.argv[1] == "one":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
processors = os.sched_getaffinity(0)
options = dict(cell="lstm", activation="tanh", reset_after=True, hidden_layer_sizes=[64],
               bidirectional=[False], n_channels=3, n_outputs=2, head=True)
problem = Problem(options, 23, [50] * 100, per_step=False)
for n_threads in (1, 2, 5):
    trainer = problem.core_trainer(n_threads)
    trainer.epoch(*problem.examples, np.arange(100), batch_size=50, per_step=False)
    assert os.sched_getaffinity(0) == processors
    print(trainer.parameters.tobytes().hex())
"""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux tells where threads begin")
@pytest.mark.parametrize("processors", ["one", "all"])
def test_threads_begin_elsewhere_and_leave_the_caller_where_it_is(processors):
    command = [sys.executable, "-c", AFFINITY, processors]
    run = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=os.path.dirname(__file__)
    )
    assert len(set(run.stdout.split())) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_prediction_of_a_row_alone_and_in_company(cell, dtype):
    problem = problem_of(cell)
    network, parameters = problem.core(dtype), problem.parameters.astype(dtype)
    values, offsets = cast(problem, dtype)[:2]
    for per_step in (False, True):
        expected, states = network.forward(parameters, values, offsets, per_step=per_step)
        for n_threads in (2, 3, 8):
            again, again_states = network.forward(
                parameters, values, offsets, per_step=per_step, n_threads=n_threads
            )
            assert np.array_equal(again, expected)
            assert np.array_equal(again_states, states)
        rows = offsets if per_step else np.arange(N_SEQUENCES + 1)
        for i in range(0, N_SEQUENCES, 7):
            x = values[offsets[i] : offsets[i + 1]]
            alone, state = network.forward(parameters, x, np.array([0, len(x)]), per_step=per_step)
            assert np.array_equal(alone, expected[rows[i] : rows[i + 1]])
            assert np.array_equal(state[0], states[i])


@pytest.mark.parametrize("cell", CELLS)
def test_prediction_in_any_order_and_batch(cell):
    problem = problem_of(cell)
    network = problem.core()
    expected, _ = network.forward(
        problem.parameters, problem.values, problem.offsets, per_step=False
    )
    rng = np.random.default_rng(5)
    for size in (1, 2, 5, 17, 96, 97, N_SEQUENCES):
        members = rng.permutation(N_SEQUENCES)[:size]
        x = [problem.values[problem.offsets[i] : problem.offsets[i + 1]] for i in members]
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in x])])
        got, _ = network.forward(problem.parameters, np.concatenate(x), offsets, per_step=False)
        assert np.array_equal(got, expected[members])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_alignment(dtype):
    problem = problem_of(CELLS[5])
    network = problem.core(dtype)
    values, offsets, targets, weights = cast(problem, dtype)
    parameters = problem.parameters.astype(dtype)
    expected, _ = network.forward(parameters, values, offsets, per_step=False)
    gradient = problem.core_trainer(dtype=dtype).loss_and_gradient(
        values, offsets, targets, weights, per_step=False
    )[1]
    for shift in range(1, 17):
        moved = shifted(values, shift)
        got, _ = network.forward(shifted(parameters, shift), moved, offsets, per_step=False)
        assert np.array_equal(got, expected)
        again = problem.core_trainer(dtype=dtype).loss_and_gradient(
            moved, offsets, shifted(targets, shift), shifted(weights, shift), per_step=False
        )[1]
        assert np.array_equal(again, gradient)


def shifted(array, n_elements):
    """A copy that begins n_elements further from an aligned address."""
    room = np.empty(array.size + n_elements, dtype=array.dtype)
    room[n_elements:] = array.ravel()
    return room[n_elements:].reshape(array.shape)


FIT = """
import hashlib, numpy as np, elman
X, y = elman.datasets.generate_time_series(60, 21, random_state=1)[:, :20], np.arange(60) % 3
digest = hashlib.sha256()
for cell in ("simple", "gru", "lstm", "min_gru"):
    for dtype in (np.float32, np.float64):
        model = elman.RNNClassifier(cell=cell, hidden_layer_sizes=(20, 9), bidirectional=True,
                                    layer_norm=cell != "simple", dropout=0.1, max_iter=3,
                                    random_state=0)
        digest.update(model.fit(X.astype(dtype), y).predict_proba(X).tobytes())
print(digest.hexdigest())
"""


def test_a_fit_on_any_instruction_set_that_has_an_fma():
    isas = [isa for isa in _isa.available() if isa != "baseline"]
    if len(isas) < 2:
        pytest.skip(f"one instruction set with an FMA here: {isas}")
    digests = [
        subprocess.run(
            [sys.executable, "-c", FIT],
            env={**os.environ, "ELMAN_ISA": isa},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()[-1]
        for isa in isas
    ]
    assert len(set(digests)) == 1, dict(zip(isas, digests, strict=True))
