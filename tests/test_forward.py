"""The core's forward pass against the reference, over networks and batches drawn at random."""

import numpy as np
import pytest
from hypothesis import assume, given
from problems import (
    BOUNDED_CELLS,
    CELLS,
    Problem,
    cast_values,
    n_steps_of,
    problems,
    relative_error,
    steps_between,
)


@given(problem=problems())
def test_outputs_and_final_states(problem):
    expected, states = problem.reference_forward()
    got, final = problem.core().forward(
        problem.parameters, problem.values, problem.offsets, per_step=problem.per_step
    )
    assert relative_error(got, expected) < 1e-12
    assert relative_error(final, states) < 1e-12


@given(problem=problems())
def test_initial_states(problem):
    expected, states = problem.reference_forward(problem.initial_state)
    got, final = problem.core().forward(
        problem.parameters,
        problem.values,
        problem.offsets,
        per_step=problem.per_step,
        initial_state=problem.initial_state,
    )
    assert relative_error(got, expected) < 1e-12
    assert relative_error(final, states) < 1e-12


@given(problem=problems())
def test_float32(problem):
    expected, _ = problem.reference_forward()
    got, final = problem.core("float32").forward(
        problem.parameters.astype(np.float32),
        cast_values(problem.values, np.float32),
        problem.offsets,
        per_step=problem.per_step,
    )
    assert got.dtype == final.dtype == np.float32
    # Layer normalisation divides by a standard deviation, and rounding with it, which may be small.
    assert relative_error(got, expected) < (1e-4 if problem.options["layer_norm"] else 1e-5)


@given(problem=problems())
def test_parameters_and_states_are_named_alike(problem):
    core = problem.core()
    assert [(name, shape) for name, shape, _ in core.parameters] == problem.reference.parameters
    assert [(name, width) for name, width, _ in core.states] == problem.reference.states
    assert core.n_parameters == problem.reference.n_parameters
    assert core.state_size == problem.reference.state_size
    assert core.n_outputs == problem.reference.n_outputs


@given(problem=problems())
def test_states_carry_over(problem):
    """A sequence in two pieces, with the state handed on, is the sequence in one."""
    assume(not any(problem.options["bidirectional"]))
    core = problem.core()
    x, n = problem.values, n_steps_of(problem.values)
    whole, final = core.forward(problem.parameters, x, np.array([0, n]), per_step=True)
    half = (n + 1) // 2
    outputs, state = [], None
    for begin, end in ((0, half), (half, n)):
        if begin < end:
            y, state = core.forward(
                problem.parameters,
                steps_between(x, begin, end),
                np.array([0, end - begin]),
                per_step=True,
                initial_state=state,
            )
            outputs.append(y)
    assert np.array_equal(np.concatenate(outputs), whole)
    assert np.array_equal(state, final)


def problem_of(cell, lengths, per_step=True):
    name, activation, reset_after = cell
    options = {
        "cell": name,
        "activation": activation,
        "reset_after": reset_after,
        "hidden_layer_sizes": [33, 17],
        "bidirectional": [True, False],
        "n_channels": 2,
        "n_outputs": 2,
        "head": True,
    }
    return Problem(options, 5, lengths, per_step)


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_more_sequences_than_a_chunk(cell, n_threads):
    """Prediction goes in chunks of 96 sequences."""
    problem = problem_of(cell, [1 + 7 * i % 13 for i in range(203)])
    expected, states = problem.reference_forward(problem.initial_state)
    got, final = problem.core().forward(
        problem.parameters,
        problem.values,
        problem.offsets,
        per_step=True,
        initial_state=problem.initial_state,
        n_threads=n_threads,
    )
    assert relative_error(got, expected) < 1e-12
    assert relative_error(final, states) < 1e-12


@pytest.mark.parametrize("scale", [30.0, 1e3, 1e6])
@pytest.mark.parametrize("cell", BOUNDED_CELLS)
def test_saturated_gates(cell, scale):
    problem = problem_of(cell, [4, 1, 7])
    problem.values *= scale
    expected, states = problem.reference_forward()
    got, final = problem.core().forward(
        problem.parameters, problem.values, problem.offsets, per_step=True
    )
    assert relative_error(got, expected) < 1e-12
    assert relative_error(final, states) < 1e-12


BAD = {
    "values of another dtype": (lambda a: {**a, "values": a["values"].astype("f4")}, "values"),
    "values of another width": (lambda a: {**a, "values": a["values"][:, :1].copy()}, "values"),
    "values not contiguous": (lambda a: {**a, "values": a["values"][::-1]}, "values"),
    "offsets that do not end": (lambda a: {**a, "offsets": a["offsets"][:-1].copy()}, "offsets"),
    "offsets of another dtype": (lambda a: {**a, "offsets": a["offsets"].astype("i4")}, "offsets"),
    "an empty sequence": (lambda a: {**a, "offsets": np.insert(a["offsets"], 1, 0)}, "sequence 0"),
    "offsets that go back": (
        lambda a: {**a, "offsets": np.insert(a["offsets"], 1, 10**6)},
        "sequence 1",
    ),
    "no sequence": (lambda a: {**a, "offsets": np.zeros(1, np.int64)}, "offsets"),
    "few parameters": (lambda a: {**a, "parameters": a["parameters"][:-1].copy()}, "parameters"),
    "a state too wide": (lambda a: {**a, "initial_state": np.zeros((2, 99))}, "initial_state"),
}


@pytest.mark.parametrize("name", BAD)
def test_every_shape_is_checked(name):
    from elman import _core

    network = _core.Network(
        dtype="float64",
        cell="lstm",
        activation="tanh",
        reset_after=True,
        hidden_layer_sizes=[4],
        bidirectional=[False],
        n_channels=2,
        n_outputs=1,
        head=True,
    )
    good = {
        "parameters": network.initialize(0),
        "values": np.zeros((7, 2)),
        "offsets": np.array([0, 3, 7]),
    }
    change, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        network.forward(**change(good), per_step=False)
