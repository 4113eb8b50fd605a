"""The ONNX project's node tests for RNN, GRU and LSTM, run on our cells.

The package onnx carries them: a node, its inputs and the outputs that are right. All pass but one:

    test_lstm_with_peepholes    our LSTM has no peephole weights

None of the others has initial states, sequences of different length or a GRU with
linear_before_reset; nodes drawn at random do, compared with the package's evaluator.
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
# What `run` honours: a node with anything else must be refused by name, not run without it.
ATTRIBUTES = {"hidden_size", "direction", "layout", "linear_before_reset"}
INPUTS = {"X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c"}


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


def biases(op_type, B, has_recurrent_bias):
    """b_h, and b_hn where the candidate's recurrent bias stands apart."""
    of_input, of_state = (gates_first(op_type, half) for half in np.split(B, 2))
    if not has_recurrent_bias:
        return {"b_h": of_input + of_state}
    n_units = len(of_state) // 3
    b_hn = of_state[-n_units:].copy()
    of_state[-n_units:] = 0
    return {"b_h": of_input + of_state, "b_hn": b_hn}


def parameters_of(network, op_type, inputs):
    """The flat parameters, from W, R and B of each direction."""
    flat = np.zeros(network.n_parameters)
    has_recurrent_bias = any(name.endswith("b_hn") for name, _, _ in network.parameters)
    for name, shape, offset in network.parameters:
        direction = int("reverse" in name)
        arrays = {
            "W_xh": gates_first(op_type, inputs["W"][direction]).T,
            "W_hh": gates_first(op_type, inputs["R"][direction]).T,
        }
        if "B" in inputs:
            arrays |= biases(op_type, inputs["B"][direction], has_recurrent_bias)
        array = arrays.get(name.split(".")[-1])
        if array is not None:
            flat[offset : offset + int(np.prod(shape))] = array.ravel()
    return flat


def run(op_type, attributes, inputs):
    """Y, Y_h and Y_c of our core, laid out as the node lays them out."""
    assert attributes.keys() <= ATTRIBUTES
    assert inputs.keys() <= INPUTS
    direction = attributes.get("direction", b"forward").decode()
    n_directions, step = 1 + (direction == "bidirectional"), -1 if direction == "reverse" else 1
    is_batch_first = bool(attributes.get("layout", 0))
    x = inputs["X"] if is_batch_first else inputs["X"].swapaxes(0, 1)
    n, n_steps, n_channels = x.shape
    lengths = inputs.get("sequence_lens", np.full(n, n_steps))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    network = network_of(op_type, attributes, n_channels, n_directions == 2)
    values = [row[:length][::step] for row, length in zip(x, lengths, strict=True)]
    given = [inputs[name] for name in ("initial_h", "initial_c") if name in inputs]
    initial = (
        np.stack([s if is_batch_first else s.swapaxes(0, 1) for s in given], 2) if given else None
    )
    y, final = network.forward(
        parameters_of(network, op_type, inputs),
        np.concatenate(values).astype(np.float64),
        offsets,
        per_step=True,
        initial_state=None if initial is None else initial.reshape(n, -1).astype(np.float64),
    )
    padded = np.zeros((n, n_steps, n_directions, attributes["hidden_size"]))
    for i, length in enumerate(lengths):
        piece = y[offsets[i] : offsets[i + 1]].reshape(length, n_directions, -1)
        padded[i, :length] = piece[::step]
    states = final.reshape(n, n_directions, -1, attributes["hidden_size"])
    ours = {"Y": padded, "Y_h": states[:, :, 0], "Y_c": states[:, :, -1]}
    if not is_batch_first:
        ours["Y"] = ours["Y"].transpose(1, 2, 0, 3)
        ours["Y_h"], ours["Y_c"] = (ours[name].swapaxes(0, 1) for name in ("Y_h", "Y_c"))
    return ours


@pytest.mark.parametrize(
    ("op_type", "attributes", "inputs", "outputs"),
    [case for name, case in CASES.items() if name not in REFUSED],
)
def test_node(op_type, attributes, inputs, outputs):
    ours = run(op_type, attributes, inputs)
    assert outputs
    for name, expected in outputs.items():
        np.testing.assert_allclose(ours[name], expected, rtol=1e-5, atol=1e-7)


def test_all_node_tests_were_found():
    assert len(CASES) >= 18
    assert CASES.keys() >= REFUSED


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_refused_has_what_we_cannot_honour(name):
    _, attributes, inputs, _ = CASES[name].values
    assert attributes.keys() - ATTRIBUTES or inputs.keys() - INPUTS


N_STEPS, N_SEQUENCES, N_CHANNELS, N_UNITS = 6, 4, 3, 5


def random_inputs(op_type, n_directions):
    rng, n_rows = np.random.default_rng(3), len(GATES[op_type]) * N_UNITS
    shapes = {
        "X": (N_STEPS, N_SEQUENCES, N_CHANNELS),
        "W": (n_directions, n_rows, N_CHANNELS),
        "R": (n_directions, n_rows, N_UNITS),
        "B": (n_directions, 2 * n_rows),
        "initial_h": (n_directions, N_SEQUENCES, N_UNITS),
    }
    if op_type == "LSTM":
        shapes["initial_c"] = shapes["initial_h"]
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def evaluate(op_type, attributes, inputs):
    """Y, Y_h (and Y_c) of the node, by the package's own evaluator."""
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    outputs = ["Y", "Y_h", "Y_c"] if op_type == "LSTM" else ["Y", "Y_h"]
    order = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c"]
    names = [name if name in inputs else "" for name in order[: 7 if op_type == "LSTM" else 6]]
    operator = helper.make_node(op_type, names, outputs, **attributes)

    def infos(names):
        return [helper.make_tensor_value_info(name, TensorProto.DOUBLE, None) for name in names]

    graph = helper.make_graph([operator], "node", infos(inputs), infos(outputs))
    results = ReferenceEvaluator(helper.make_model(graph)).run(None, inputs)
    return dict(zip(outputs, results, strict=True))


@pytest.mark.parametrize("direction", [b"forward", b"reverse", b"bidirectional"])
@pytest.mark.parametrize(
    ("op_type", "options"),
    [
        ("RNN", {}),
        ("GRU", {"linear_before_reset": 0}),
        ("GRU", {"linear_before_reset": 1}),
        ("LSTM", {}),
    ],
)
def test_biases_and_initial_states(op_type, options, direction):
    attributes = {"hidden_size": N_UNITS, "direction": direction, **options}
    inputs = random_inputs(op_type, 1 + (direction == b"bidirectional"))
    ours, outputs = run(op_type, attributes, inputs), evaluate(op_type, attributes, inputs)
    for name, expected in outputs.items():
        np.testing.assert_allclose(ours[name], expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("direction", [b"forward", b"reverse", b"bidirectional"])
@pytest.mark.parametrize("op_type", CELLS)
def test_sequence_lengths(op_type, direction):
    """The evaluator takes no lengths: it is given each sequence alone, cut to its length."""
    attributes = {"hidden_size": N_UNITS, "direction": direction, "linear_before_reset": 1}
    if op_type != "GRU":
        del attributes["linear_before_reset"]
    inputs, lengths = random_inputs(op_type, 1 + (direction == b"bidirectional")), [4, 6, 1, 3]
    ours = run(op_type, attributes, {**inputs, "sequence_lens": np.array(lengths)})
    for i, length in enumerate(lengths):
        alone = {**inputs, "X": inputs["X"][:length, i : i + 1]}
        for name in alone.keys() & {"initial_h", "initial_c"}:
            alone[name] = inputs[name][:, i : i + 1]
        expected = evaluate(op_type, attributes, alone)
        np.testing.assert_allclose(ours["Y"][:length, :, i], expected["Y"][:, :, 0], rtol=1e-12)
        assert not ours["Y"][length:, :, i].any()
        for name in expected.keys() - {"Y"}:
            np.testing.assert_allclose(ours[name][:, i], expected[name][:, 0], rtol=1e-12)
