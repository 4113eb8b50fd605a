"""Weights to start from: the same as the reference's, and what they promise."""

import numpy as np
import pytest
from hypothesis import given
from problems import problems, relative_error


@given(problem=problems())
def test_as_the_reference(problem):
    expected = problem.reference.initialize(problem.seed)
    assert relative_error(problem.core().initialize(problem.seed), expected) < 1e-9


@pytest.mark.parametrize("cell", ["simple", "gru", "lstm"])
def test_recurrent_weights_are_orthogonal_gate_by_gate(cell):
    from elman import _core

    network = _core.Network(
        dtype="float64",
        cell=cell,
        activation="tanh",
        reset_after=True,
        hidden_layer_sizes=[50],
        bidirectional=[True],
        n_channels=3,
        n_outputs=1,
        head=True,
    )
    flat = network.initialize(1)
    for name, shape, offset in network.parameters:
        array = flat[offset : offset + int(np.prod(shape))].reshape(shape)
        if name.endswith("W_hh"):
            for gate in np.split(array, shape[1] // shape[0], axis=1):
                np.testing.assert_allclose(gate.T @ gate, np.eye(50), atol=1e-10)
        elif name.endswith("W_xh"):
            assert np.abs(array).max() <= np.sqrt(6 / (3 + 50))
            assert np.abs(array).max() > 0.9 * np.sqrt(6 / (3 + 50))
        elif name.endswith("b_h") and cell == "lstm":
            np.testing.assert_array_equal(array, np.repeat([0.0, 1, 0, 0], 50))
        elif name.endswith(("b_h", "b_hn", "head.b")):
            assert not array.any()


def test_seeds_differ():
    from elman import _core

    network = _core.Network(
        dtype="float32",
        cell="gru",
        activation="tanh",
        reset_after=True,
        hidden_layer_sizes=[8],
        bidirectional=[False],
        n_channels=3,
        n_outputs=1,
        head=True,
    )
    assert np.array_equal(network.initialize(1), network.initialize(1))
    assert not np.array_equal(network.initialize(1), network.initialize(2))
