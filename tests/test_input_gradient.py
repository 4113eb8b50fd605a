"""The core's gradient by the inputs: against the reference, and small steps of the inputs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import CELLS, Problem, problems, relative_error, steps_between
from reference import embedding

OPTIONS = {
    "cell": "gru",
    "activation": "tanh",
    "reset_after": True,
    "hidden_layer_sizes": [33, 17],
    "bidirectional": [False, True],
    "n_channels": 3,
    "n_outputs": 2,
    "head": True,
}


def drawn_gradients(problem):
    """dL/d(outputs), drawn at random."""
    n_rows = problem.offsets[-1] if problem.per_step else len(problem.lengths)
    rng = np.random.default_rng(problem.seed + 1)
    return rng.normal(size=(n_rows, problem.reference.n_outputs))


def of_core(problem, doutputs, n_threads=2, dtype="float64"):
    return problem.core(dtype).input_gradient(
        problem.parameters.astype(dtype),
        problem.values,
        problem.offsets,
        doutputs.astype(dtype),
        per_step=problem.per_step,
        n_threads=n_threads,
    )


def of_reference(problem, doutputs, sequences=None):
    network, gradients = problem.reference, []
    for i in range(len(problem.lengths)) if sequences is None else sequences:
        begin, end = problem.offsets[i : i + 2]
        x = embedding.steps_of(problem.values, begin, end)
        _, _, tape = network.forward(problem.parameters, x, problem.per_step)
        dy = doutputs[begin:end] if problem.per_step else doutputs[i : i + 1]
        gradients.append(np.zeros((end - begin, problem.options["n_channels"])))
        rest = np.zeros(network.n_parameters)
        network.backward(
            problem.parameters, tape, dy, problem.per_step, 0, rest, dinputs=gradients[-1]
        )
    return np.concatenate(gradients)


@given(problem=problems(max_width=40))
def test_reference(problem):
    doutputs = drawn_gradients(problem)
    assert relative_error(of_core(problem, doutputs), of_reference(problem, doutputs)) < 1e-10


@pytest.mark.parametrize("cell", CELLS)
def test_float32(cell):
    name, activation, reset_after = cell
    kinds = {"cell": name, "activation": activation, "reset_after": reset_after}
    problem = Problem({**OPTIONS, **kinds}, 5, [1 + 7 * i % 13 for i in range(40)], True)
    problem.values = problem.values.astype(np.float32)
    doutputs = drawn_gradients(problem)
    got = of_core(problem, doutputs, dtype="float32")
    assert got.dtype == np.float32
    assert relative_error(got, of_reference(problem, doutputs)) < 1e-5


@pytest.mark.parametrize("missing", ["none", "mask", "decay"])
@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("options", [{}, {"input_layer": 4}, {"head_inputs": True}], ids=str)
def test_small_steps_of_the_inputs(missing, per_step, options):
    """What is missing stays missing, and does not matter; what is there matters where it fades."""
    problem = Problem({**OPTIONS, "missing": missing, **options}, 3, [4, 1, 7], per_step)
    doutputs, small = drawn_gradients(problem), 1e-6
    got, values = of_core(problem, doutputs), problem.values

    def loss(row, channel, step):
        moved = values.copy()
        moved[row, channel] += step
        outputs, _ = problem.core().forward(
            problem.parameters, moved, problem.offsets, per_step=per_step
        )
        return (outputs * doutputs).sum()

    expected = [
        [(loss(i, c, small) - loss(i, c, -small)) / (2 * small) for c in range(values.shape[1])]
        for i in range(len(values))
    ]
    np.testing.assert_allclose(got, expected, atol=1e-8)
    assert (got[np.isnan(values)] == 0).all()


@given(problem=problems(max_width=40), n_threads=st.integers(1, 4))
def test_a_sequence_alone_has_the_same_bits(problem, n_threads):
    doutputs = drawn_gradients(problem)
    got = of_core(problem, doutputs, n_threads)
    begin, end = problem.offsets[-2:]
    rows = slice(begin, end) if problem.per_step else slice(-1, None)
    alone = problem.core().input_gradient(
        problem.parameters,
        steps_between(problem.values, begin, end),
        np.array([0, end - begin], dtype=np.int64),
        doutputs[rows],
        per_step=problem.per_step,
    )
    assert np.array_equal(got[begin:end], alone)


def test_many_chunks_on_several_threads_have_the_same_bits():
    problem = Problem(OPTIONS, 1, [1 + 37 * i % 90 for i in range(400)], False)
    doutputs = drawn_gradients(problem)
    expected = of_core(problem, doutputs, 1)
    assert np.array_equal(of_core(problem, doutputs, 4), expected)
    last = slice(problem.offsets[-4], None)  # in the last chunk
    assert relative_error(expected[last], of_reference(problem, doutputs, [397, 398, 399])) < 1e-10


def test_shapes_are_looked_at():
    problem = Problem(OPTIONS, 1, [3, 4], False)
    with pytest.raises(ValueError, match="doutputs has shape"):
        of_core(problem, np.zeros((7, 2)))
