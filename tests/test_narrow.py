"""Layers whose gates share registers: the bits of layers whose gates are apart, as they are where
values may be missing, at every width of a register."""

import numpy as np
import pytest
from elman import _core
from problems import CELLS, Problem

# Less than a register of any kind, some of each, and more than a row of gates may have.
SIZES = [1, 7, 16, 20, 33, 100]
LENGTHS = [17, 9, 9, 8, 5, 5, 2, 1]


def networks_of(cell, n_units, **options):
    """One with gates side by side, one with gates apart, of the same weights and data."""
    name, activation, reset_after = cell
    options = {
        "cell": name,
        "activation": activation,
        "reset_after": reset_after,
        "hidden_layer_sizes": [n_units, n_units],
        "bidirectional": [False, False],
        "n_channels": 3,
        "n_outputs": 2,
        "head": True,
        **options,
    }
    problem = Problem(options, 3, LENGTHS, per_step=True)
    problem.parameters *= 0.5
    return problem, Problem({**options, "missing": "mask"}, 3, LENGTHS, per_step=True).core


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_of_gates_apart(cell, dtype):
    for n_units in SIZES:
        both = [n_units in (7, 33)] * 2
        problem, apart = networks_of(cell, n_units, bidirectional=both)
        parameters, values, states = (
            array.astype(dtype)
            for array in (problem.parameters, problem.values, problem.initial_state)
        )
        for begin, end in ((0, len(LENGTHS)), (0, 1), (3, 6)):
            offsets = problem.offsets[begin : end + 1]
            data = values[offsets[0] : offsets[-1]], offsets - offsets[0]
            got, expected = (
                network.forward(parameters, *data, per_step=True, initial_state=states[begin:end])
                for network in (problem.core(dtype), apart(dtype))
            )
            np.testing.assert_array_equal(got[0], expected[0])
            np.testing.assert_array_equal(got[1], expected[1])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("n_streams", [1, 2, 7])
def test_bits_of_a_step(cell, n_streams):
    for n_units in SIZES:
        problem, apart = networks_of(cell, n_units)
        parameters, values = problem.parameters.astype("f4"), problem.values.astype("f4")
        streams = [
            _core.Stream(_core.Predictor(core, parameters, per_step=True), n_streams=n_streams)
            for core in (problem.core("float32"), apart("float32"))
        ]
        for t in range(4):
            x = values[t * n_streams : (t + 1) * n_streams]
            np.testing.assert_array_equal(*(stream.step(x) for stream in streams))
        np.testing.assert_array_equal(*(stream.states for stream in streams))
