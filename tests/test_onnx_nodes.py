"""The ONNX project's node tests for RNN, GRU and LSTM, run on our cells.

The package onnx carries them: a node, its inputs and the outputs that are right. All pass but one:

    test_lstm_with_peepholes    our LSTM has no peephole weights
"""

import importlib

import numpy as np
import pytest
from elman import _core

node = pytest.importorskip("onnx.backend.test.case.node")
REFUSED = {"test_lstm_with_peepholes"}
# Where our gates stand among ONNX's: i o f c there, i f g o here; z r h there, r z n here.
GATES = {"RNN": [0], "GRU": [1, 0, 2], "LSTM": [0, 2, 3, 1]}
CELLS = {"RNN": "simple", "GRU": "gru", "LSTM": "lstm"}


def node_cases():
    from onnx.helper import get_attribute_value

    for name in ("rnn", "gru", "lstm"):
        importlib.import_module(f"onnx.backend.test.case.node.{name}")
    for case in node._NodeTestCases:
        operator = case.model.graph.node[0]
        if operator.op_type in CELLS:
            attributes = {a.name: get_attribute_value(a) for a in operator.attribute}
            inputs, outputs = case.data_sets[0]
            given = dict(zip([name for name in operator.input if name], inputs, strict=True))
            wanted = dict(zip([name for name in operator.output if name], outputs, strict=True))
            yield pytest.param(operator.op_type, attributes, given, wanted, id=case.name)


CASES = {case.id: case for case in node_cases()}


def network_of(op_type, attributes, n_channels, is_bidirectional):
    return _core.Network(
        dtype="float64",
        cell=CELLS[op_type],
        activation="tanh",
        reset_after=bool(attributes.get("linear_before_reset", 0)),
        hidden_layer_sizes=[attributes["hidden_size"]],
        bidirectional=[is_bidirectional],
        n_channels=n_channels,
        n_outputs=1,
        head=False,
    )


def gates_first(op_type, array):
    """(n_gates * n_units, ...) in our order of gates."""
    blocks = np.split(array.astype(np.float64), len(GATES[op_type]))
    return np.concatenate([blocks[gate] for gate in GATES[op_type]])


def parameters_of(network, op_type, inputs):
    """The flat parameters, from W, R and B of each direction."""
    flat = np.zeros(network.n_parameters)
    for name, shape, offset in network.parameters:
        direction, array = int("reverse" in name), None
        if name.endswith("W_xh"):
            array = gates_first(op_type, inputs["W"][direction]).T
        elif name.endswith("W_hh"):
            array = gates_first(op_type, inputs["R"][direction]).T
        elif name.endswith("b_h") and "B" in inputs:
            of_input, of_state = np.split(inputs["B"][direction], 2)
            array = gates_first(op_type, of_input) + gates_first(op_type, of_state)
        if array is not None:
            flat[offset : offset + int(np.prod(shape))] = array.ravel()
    return flat


@pytest.mark.parametrize(
    ("op_type", "attributes", "inputs", "outputs"),
    [case for name, case in CASES.items() if name not in REFUSED],
)
def test_node(op_type, attributes, inputs, outputs):
    direction = attributes.get("direction", b"forward").decode()
    x = inputs["X"] if attributes.get("layout", 0) else inputs["X"].swapaxes(0, 1)
    if direction == "reverse":
        x = x[:, ::-1]
    n, n_steps, n_channels = x.shape
    network = network_of(op_type, attributes, n_channels, direction == "bidirectional")
    values = np.ascontiguousarray(x.reshape(-1, n_channels), dtype=np.float64)
    parameters = parameters_of(network, op_type, inputs)
    y, final = network.forward(parameters, values, np.arange(n + 1) * n_steps, per_step=True)
    n_directions = 2 if direction == "bidirectional" else 1
    y = y.reshape(n, n_steps, n_directions, -1)
    y = y[:, ::-1] if direction == "reverse" else y
    states = final.reshape(n, n_directions, -1, attributes["hidden_size"])
    ours = {"Y": y, "Y_h": states[:, :, 0], "Y_c": states[:, :, -1]}
    if not attributes.get("layout", 0):
        ours["Y"] = ours["Y"].transpose(1, 2, 0, 3)
        ours["Y_h"], ours["Y_c"] = (ours[name].swapaxes(0, 1) for name in ("Y_h", "Y_c"))
    assert outputs
    for name, expected in outputs.items():
        np.testing.assert_allclose(ours[name], expected, rtol=1e-5, atol=1e-7)


def test_all_node_tests_were_found():
    assert len(CASES) >= 18
    assert CASES.keys() >= REFUSED
