"""Graphs that no estimator computes are refused: the message names the node and what it got."""

import elman
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_graphs import (
    INT,
    N_CHANNELS,
    N_SEQUENCES,
    N_UNITS,
    Graph,
    W,
    X,
    operator_weights,
)


def refused(operator="LSTM", inputs=(), n_outputs=2, arrays=None, **attributes):
    """A graph of one operator, with something that it should not have."""
    g = Graph()
    x = g("Transpose", "X", perm=[1, 0, 2])
    arrays = operator_weights(operator, N_CHANNELS) if arrays is None else arrays
    attributes = {"hidden_size": N_UNITS, **attributes}
    outputs = g(operator, x, *arrays.values(), *inputs, n_outputs=n_outputs, **attributes)
    return g.model(g("Squeeze", outputs[1], INT([0])))


ONES = np.ones((1, N_SEQUENCES, N_UNITS), np.float32)


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        (refused(clip=3.0), r"got clip=3, expected none"),
        (refused(input_forget=1), r"got input_forget=1, expected 0"),
        (refused(activations=["Sigmoid", "Relu", "Tanh"]), r"got activations=\['Sigmoid', 'Relu'"),
        (refused("RNN", activations=["Elu"]), r"got activations=\['Elu'\], expected Tanh, Relu"),
        (
            refused("RNN", activations=["Affine"], activation_alpha=[2.0], activation_beta=[0.0]),
            r"got activations=\['Affine'\]",
        ),
        (
            refused("GRU", activations=["HardSigmoid", "Tanh"]),
            r"expected Sigmoid, Tanh, the same for both directions",
        ),
        (refused(inputs=("", ONES)), r"got initial_h other than zero, expected zeros or an input"),
        (refused(inputs=("", ONES * 0, ONES)), r"got initial_c other than zero"),
        (
            refused(inputs=("", "", "", np.ones((1, 3 * N_UNITS), np.float32))),
            r"got P, expected none",
        ),
        (refused(inputs=(INT([1, 2, 3, 4], dtype="i4"),)), r"got sequence_lens in the file"),
        (refused(hidden_size=7), r"got hidden_size=7, expected 5, as R has"),
        (
            refused(arrays={**operator_weights("LSTM", 3), "B": np.ones((1, 3), np.float32)}),
            r"got B of shape \(1, 3\), expected \(1, 40\)",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_attributes_and_inputs_that_are_not_honoured(proto, message):
    with pytest.raises(ValueError, match=rf"^elman.from_onnx: node '\w+' \(\w+\) .*{message}"):
        elman.from_onnx(proto)


def graph_of(write):
    g = Graph()
    x = g("Transpose", "X", perm=[1, 0, 2])
    return g.model(*np.atleast_1d(write(g, x)))


def states(g, x, operator="GRU"):
    return g("Squeeze", g.recurrent(operator, x, N_CHANNELS)[1], INT([0]))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda g, x: g("Relu", states(g, x)),
            r"\(Relu\) got the operator 'Relu', expected one of",
        ),
        (
            lambda g, x: g("Cast", g("Cast", states(g, x), to=TensorProto.INT64), to=1),
            r"\(Cast\) got to=7, expected a type of reals",
        ),
        (
            lambda g, x: g("Flatten", g("Unsqueeze", states(g, x), INT([0]))),
            r"\(Flatten\) got the axes \('one', 'sample', 'feature'\), expected a vector for each",
        ),
        (
            lambda g, x: g("ReduceMean", g.recurrent("GRU", x, 3)[0]),
            r"got the operator 'ReduceMean",
        ),
        (
            lambda g, x: g("MatMul", g("MatMul", states(g, x), W(5, 4)), W(4, 2)),
            r"got a dense layer before it, expected recurrent layers, and one dense layer behind",
        ),
        (
            lambda g, x: g.recurrent("GRU", g("MatMul", x, W(3, 3)), 3)[0],
            r"got no recurrent layer before it",
        ),
        (
            lambda g, x: g.recurrent(
                "LSTM", g("Squeeze", g.recurrent("GRU", x, 3)[0], INT([1])), 5
            )[0],
            r"layer 1 \(LSTM\) got a LSTM, expected a GRU with reset_after=False, as layer 0",
        ),
        (
            lambda g, x: g("Gather", g("Squeeze", g.recurrent("GRU", x, 3)[0], INT([1])), INT(2)),
            r"got time step 2, expected the one that is read last",
        ),
        (
            lambda g, x: g("Gather", g.recurrent("GRU", x, 3, 2)[1], INT(0)),
            r"model got one direction of a bidirectional layer as output, expected both",
        ),
        (lambda g, x: g.recurrent("LSTM", x, 3)[2], r"model got nothing but states of cells"),
        (lambda g, x: g("Identity", x), r"model got no recurrent layer, expected outputs of RNN"),
        (
            lambda g, x: [g("MatMul", states(g, x), W(5, 1)), g("MatMul", states(g, x), W(5, 1))],
            r"model got 2 outputs, expected one, or labels and probabilities",
        ),
        (lambda g, x: g("Add", states(g, x), W(5)), r"\(Add\) got other terms, expected both"),
        (
            lambda g, x: g("Softmax", g("MatMul", g.recurrent("GRU", x, 3)[0], W(5, 2)), axis=0),
            r"\(MatMul\) got the axes .*'direction'.*, expected features last",
        ),
        (
            lambda g, x: g("Add", g("MatMul", states(g, x), W(5, 4)), W(4, 1)),
            r"\(Add\) got a bias of shape \(4, 1\), expected \(4,\)",
        ),
        (
            lambda g, x: g("Mul", states(g, x), np.full((1, 1), 0.5, np.float32)),
            r"\(Mul\) got other factors, expected both directions",
        ),
    ],
    ids=range(16),
)
def test_nodes_that_no_estimator_computes(write, message):
    with pytest.raises(ValueError, match=rf"^elman.from_onnx: .*{message}"):
        elman.from_onnx(graph_of(write))


def test_the_last_step_of_sequences_that_may_have_ended_before():
    g = Graph()
    g.inputs.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, ["n"]))
    arrays = operator_weights("GRU", N_CHANNELS)
    x = g("Transpose", "X", perm=[1, 0, 2])
    options = {"n_outputs": 2, "hidden_size": N_UNITS}
    Y = g("GRU", x, *arrays.values(), "lengths", **options)[0]
    last = g("Gather", g("Squeeze", Y, INT([1])), INT(-1), axis=0)
    with pytest.raises(ValueError, match=r"got time step -1 of a ragged layer, expected its final"):
        elman.from_onnx(g.model(last))
    whole = g("Gather", g("Shape", "X"), INT([1]))
    lengths = g("Cast", g("Expand", whole, g("Gather", g("Shape", "X"), INT([0]))), to=6)
    Y = g("GRU", x, *arrays.values(), lengths, **options)[0]
    last = g("Gather", g("Squeeze", Y, INT([1])), INT(-1), axis=0)
    assert elman.from_onnx(g.model(last)).predict(X).shape == (N_SEQUENCES, N_UNITS)


def test_only_what_an_output_needs_has_to_be_read():
    def write(g, x):
        g("Relu", states(g, x))
        return states(g, x)

    assert elman.from_onnx(graph_of(write)).predict(X).shape == (N_SEQUENCES, N_UNITS)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [(["a", "a", "b"], "3 distinct labels, for 3 outputs"), (["a", "b"], "3 distinct labels")],
)
def test_labels_that_do_not_fit(classes, expected):
    g = Graph()
    x = g("Transpose", "X", perm=[1, 0, 2])
    proto = g.model(g("Softmax", g("MatMul", states(g, x), W(N_UNITS, 3))))
    with pytest.raises(ValueError, match=rf"classes got \[.*\], expected {expected}"):
        elman.from_onnx(proto, classes=classes)


@pytest.mark.parametrize(
    ("behind", "n_outputs", "classes", "message"),
    [
        ("Exp", 2, ["a", "b"], r"classes got \['a', 'b'\], expected None with exponentials"),
        ("Sigmoid", 3, ["a", "b", "c"], r"classes got .* expected None: 3 logistic outputs are"),
        ("Softmax", 1, None, r"head got a softmax of one output, expected two or more outputs"),
    ],
)
def test_labels_of_outputs_that_have_none(behind, n_outputs, classes, message):
    proto = graph_of(lambda g, x: g(behind, g("MatMul", states(g, x), W(N_UNITS, n_outputs))))
    with pytest.raises(ValueError, match=rf"^elman.from_onnx: {message}"):
        elman.from_onnx(proto, classes=classes)


def test_labels_of_states_have_to_be_sorted():
    proto = graph_of(states)
    assert elman.from_onnx(proto, classes=range(5)).predict_proba(X).shape == (N_SEQUENCES, 5)
    with pytest.raises(ValueError, match="classes got labels that are not sorted, expected sorted"):
        elman.from_onnx(proto, classes=[2, 1, 3, 4, 5])


def test_weights_that_are_not_finite():
    proto = refused()
    R = numpy_helper.to_array(proto.graph.initializer[1]).copy()
    R[0, 0, 0] = np.nan
    proto.graph.initializer[1].CopyFrom(numpy_helper.from_array(R, proto.graph.initializer[1].name))
    with pytest.raises(ValueError, match=r"weights\['layers.0.W_hh'\] got 1 value of NaN"):
        elman.from_onnx(proto)
