"""Steps that branch: from one of them on, all start from the states before it."""

import numpy as np
import pytest
from elman import _core
from problems import CELLS, Problem, relative_error

LENGTHS = [6, 3, 9, 4, 9, 1, 7]  # of a branch at step 3 some have none
FORMS = {
    "plain": {},
    "one sequence": {"lengths": [9]},
    "few units, one length": {"hidden_layer_sizes": [2], "lengths": [7] * 9},
    "of steps": {"per_step": True},
    "layer normalisation": {"layer_norm": True, "per_step": True},
    "layers around": {"input_layer": 7, "head_layer": 6, "head_inputs": True, "per_step": True},
    "residual": {"hidden_layer_sizes": [5, 5], "residual": True},
    "tokens": {"n_tokens": 11},
}


def problem_of(lengths=LENGTHS, per_step=False, cell=("lstm", "tanh", True), **more):
    options = {
        **dict(zip(("cell", "activation", "reset_after"), cell, strict=True)),
        "hidden_layer_sizes": [9, 5],
        "n_channels": 3,
        "n_outputs": 4,
        "head": True,
        "branch_step": 3,
        **more,
    }
    options["bidirectional"] = [False] * len(options["hidden_layer_sizes"])
    return Problem(options, 5, lengths, per_step)


def compare(problem, **options):
    expected_loss, expected, _ = problem.reference_trainer(**options).loss_and_gradient(
        *problem.examples, np.arange(len(problem.lengths)), problem.per_step
    )
    loss, gradient = problem.core_trainer(2, **options).loss_and_gradient(
        *problem.examples, per_step=problem.per_step
    )
    assert loss == pytest.approx(expected_loss, rel=1e-11)
    assert relative_error(gradient, expected) < 1e-10


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_the_references_gradient_is_differences(cell):
    problem = problem_of([6, 2, 4], True, cell, hidden_layer_sizes=[3, 2])

    def loss_at(parameters):
        trainer = problem.reference_trainer()
        trainer.parameters = parameters
        return trainer.loss_and_gradient(*problem.examples, np.arange(3), True)

    _, gradient, _ = loss_at(problem.parameters)
    rng = np.random.default_rng(1)
    for _ in range(5):
        direction = rng.normal(size=len(gradient))
        up, down = (loss_at(problem.parameters + s * 1e-6 * direction)[0] for s in (1, -1))
        assert (up - down) / 2e-6 == pytest.approx(gradient @ direction, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("cell", CELLS, ids=str)
@pytest.mark.parametrize("per_step", [False, True])
def test_outputs_and_gradients(cell, per_step):
    problem = problem_of(per_step=per_step, cell=cell)
    expected, states = problem.reference_forward(problem.initial_state)
    outputs, final = problem.core().forward(
        problem.parameters,
        problem.values,
        problem.offsets,
        per_step=per_step,
        initial_state=problem.initial_state,
    )
    assert relative_error(outputs, expected) < 1e-12
    assert relative_error(final, states) < 1e-12
    compare(problem)
    compare(problem, dropout=0.3, recurrent_dropout=0.2, alpha=0.1)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_of_every_form(form):
    compare(problem_of(**FORMS[form]))


def test_what_a_branch_means():
    """Its steps are those of as many sequences that go on with one of them each."""
    problem = problem_of([7], True)
    network, plain = (
        problem.core(),
        _core.Network(dtype="float64", **{**problem.options, "branch_step": 0}),
    )
    got, _ = network.forward(problem.parameters, problem.values, problem.offsets, per_step=True)
    for t in range(7):
        steps = [0, 1, 2, t] if t >= 3 else range(t + 1)
        x = np.ascontiguousarray(problem.values[steps])
        one = np.array([0, len(x)])
        expected, _ = plain.forward(problem.parameters, x, one, per_step=False)
        np.testing.assert_allclose(got[t], expected[0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_on_any_number_of_threads(dtype):
    """Of long branches, too, whose cell states are made anew on the way back."""
    problem = problem_of([1 + 7 * i % 160 for i in range(80)], True, hidden_layer_sizes=[33])
    values, offsets, targets, weights = problem.examples
    arrays = values.astype(dtype), offsets, targets.astype(dtype), weights.astype(dtype)
    runs = []
    for n_threads in (1, 3):
        trainer = problem.core_trainer(n_threads, dtype, dropout=0.2, recurrent_dropout=0.1)
        losses = trainer.epoch(*arrays, np.arange(80), batch_size=40, per_step=True)
        runs.append((losses, trainer.parameters))
    assert runs[0][0] == runs[1][0]
    assert np.array_equal(runs[0][1], runs[1][1])


def test_gradients_of_long_branches():
    compare(problem_of([150, 130, 100], True, hidden_layer_sizes=[6], branch_step=70))


@pytest.mark.parametrize("per_step", [False, True])
def test_bits_of_a_row_alone_and_in_company(per_step):
    lengths = [1 + 97 * i % 300 for i in range(30)]
    problem = problem_of(lengths, per_step, hidden_layer_sizes=[33], branch_step=100)
    network, offsets = problem.core(), problem.offsets
    expected, states = network.forward(
        problem.parameters, problem.values, offsets, per_step=per_step, n_threads=3
    )
    rows = offsets if per_step else np.arange(len(lengths) + 1)
    for i in range(0, len(lengths), 7):
        x, one = problem.values[offsets[i] : offsets[i + 1]], np.array([0, lengths[i]])
        alone, state = network.forward(problem.parameters, x, one, per_step=per_step)
        assert np.array_equal(alone, expected[rows[i] : rows[i + 1]])
        assert np.array_equal(state[0], states[i])


REFUSED = {
    "negative": ({"branch_step": -1}, "branch_step must be at least 0"),
    "two directions": ({"bidirectional": [True, False]}, "one direction"),
    "missing steps": ({"missing": "mask"}, "none of them missing"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_options_that_do_not_go_together(name):
    change, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        _core.Network(dtype="float64", **{**problem_of().options, **change})


@pytest.mark.parametrize("option", [{"checkpoint": True}, {"bptt_steps": 3}], ids=str)
def test_trainings_that_do_not_branch(option):
    with pytest.raises(ValueError, match="steps that branch"):
        problem_of().core_trainer(**option)


def test_streams_do_not_branch():
    predictor = _core.Predictor(problem_of().core(), problem_of().parameters, per_step=True)
    with pytest.raises(ValueError, match="does not start from the one before"):
        _core.Stream(predictor, n_streams=1)
