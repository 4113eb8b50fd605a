"""Graphs that `from_onnx` reads: its own, those of exporters, and those that it refuses by name."""

import contextlib
import io
import re
import warnings

import elman
import numpy as np
import onnx_nodes
import pytest
from elman import RNNClassifier, RNNRegressor
from hypothesis import given
from interchange import assert_close, cases, predictions, random_weights
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx_graphs import (
    INT,
    N_CHANNELS,
    N_SEQUENCES,
    N_STEPS,
    N_UNITS,
    RNG,
    Graph,
    W,
    X,
    evaluate,
    operator_weights,
)
from test_onnx_nodes import CASES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def assert_equal(got, expected):
    if isinstance(expected, list):
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    else:
        np.testing.assert_array_equal(got, expected)


# What to_onnx wrote


@given(cases())
def test_round_trip(case):
    again = elman.from_onnx(elman.to_onnx(case.model))
    assert type(again) is type(case.model)
    assert case.X.dtype == np.float64 or again.weights_.keys() == case.model.weights_.keys()
    if case.X.dtype != np.float64:
        for X in (case.X, case.ragged):
            for name, value in predictions(case.model, X).items():
                assert_equal(predictions(again, X)[name], value)
    again.partial_fit(case.X, case.y)
    again.set_params(warm_start=True, max_iter=1).fit(case.X, case.y)
    assert again.n_iter_ == 1


def test_round_trip_of_vectors_and_features():
    V = RNG.normal(size=(6, 4)).astype(np.float32)
    model = RNNRegressor(input="vector", max_iter=1).fit(V, RNG.normal(size=(6, 5)))
    again = elman.from_onnx(elman.to_onnx(model, states=True))
    np.testing.assert_array_equal(again.predict(V), model.predict(V))
    np.testing.assert_array_equal(again.predict(V, n_timesteps=9), model.predict(V, n_timesteps=9))


def test_round_trip_of_a_classifier_that_has_seen_one_class():
    model = RNNClassifier(max_iter=1).fit(X, ["only"] * len(X))
    again = elman.from_onnx(elman.to_onnx(model))
    assert again.predict(X).tolist() == ["only"] * len(X)
    assert again.set_params(alpha=0).partial_fit(X, ["only"] * len(X)).loss_ == 0


def test_a_graph_that_was_changed_is_not_taken_for_what_it_was():
    model = RNNRegressor(cell="gru", max_iter=1, random_state=0).fit(X, X[:, :, 0])
    proto = elman.to_onnx(model)
    (gru,) = (node for node in proto.graph.node if node.op_type == "GRU")
    (reset,) = (a for a in gru.attribute if a.name == "linear_before_reset")
    reset.i = 0
    again = elman.from_onnx(proto)
    assert not again.reset_after
    (clip,) = [helper.make_attribute("clip", 0.1)]
    gru.attribute.append(clip)
    with pytest.raises(ValueError, match=r"node 'GRU_0' \(GRU\) got clip=0.1, expected none"):
        elman.from_onnx(proto)


def test_weights_that_were_changed_are_those_that_are_read():
    model = RNNRegressor(max_iter=1, random_state=0).fit(X, X[:, :, 0])
    proto = elman.to_onnx(model)
    for tensor in proto.graph.initializer:
        if tensor.name == "head.b":
            tensor.CopyFrom(numpy_helper.from_array(np.full(N_STEPS, 7, np.float32), "head.b"))
    np.testing.assert_array_equal(elman.from_onnx(proto).weights_["head.b"], 7)


def without_description(proto):
    del proto.metadata_props[:]
    return proto


@pytest.mark.parametrize("cell", ["simple", "gru", "lstm"])
@pytest.mark.parametrize("states", [False, True])
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mean", "mul"])
def test_its_graphs_are_read_without_their_description(cell, states, merge_mode):
    model = RNNRegressor(cell=cell, merge_mode=merge_mode, bidirectional=(True, False, True))
    model.set_params(hidden_layer_sizes=(4, 3, 5), max_iter=1, activation="identity")
    for y in (X[:, 0, :2], X[:, :, :2], X[:, 0, 0]):
        random_weights(model.fit(X, y), RNG)
        again = elman.from_onnx(without_description(elman.to_onnx(model, states=states)))
        np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_its_classifiers_are_read_without_their_description():
    T = RNG.integers(0, 7, (9, 5))
    model = RNNClassifier(input="tokens", max_iter=1).fit(T, np.array(["c", "a", "b"] * 3))
    again = elman.from_onnx(without_description(elman.to_onnx(model)))
    np.testing.assert_array_equal(again.classes_, ["a", "b", "c"])
    np.testing.assert_array_equal(again.predict_proba(T), model.predict_proba(T))
    renamed = elman.from_onnx(without_description(elman.to_onnx(model)), classes=["x", "z", "y"])
    np.testing.assert_array_equal(renamed.classes_, ["x", "y", "z"])
    order = [0, 2, 1]
    assert_close(renamed.predict_proba(T), model.predict_proba(T)[:, order], 1e-6)


def test_a_path_bytes_and_a_model(tmp_path):
    model = RNNRegressor(max_iter=1).fit(X, X[:, 0, 0])
    proto = elman.to_onnx(model)
    data = proto.SerializeToString()
    (tmp_path / "model.onnx").write_bytes(data)
    for given_model in (tmp_path / "model.onnx", str(tmp_path / "model.onnx"), data, proto):
        np.testing.assert_array_equal(elman.from_onnx(given_model).predict(X), model.predict(X))


def test_what_is_no_graph(tmp_path):
    with pytest.raises(TypeError, match=r"model got a int, expected a path, bytes or an onnx.Mo"):
        elman.from_onnx(3)
    with pytest.raises(FileNotFoundError):
        elman.from_onnx(tmp_path / "nothing.onnx")
    for data in (b"", b"no graph", bytes(range(256))):
        with pytest.raises(ValueError, match=r"elman.from_onnx: model got .*, expected a .*graph"):
            elman.from_onnx(data)


@pytest.mark.parametrize("cell", ["simple", "lstm", "min_gru"])
def test_damaged_graphs_are_read_or_refused(cell):
    model = RNNRegressor(cell=cell, hidden_layer_sizes=(3, 3), bidirectional=(True, False))
    proto = elman.to_onnx(model.set_params(max_iter=1).fit(X, X[:, 0, 0]), states=True)
    rng = np.random.default_rng(0)
    for data in (proto.SerializeToString(), without_description(proto).SerializeToString()):
        for _ in range(60):
            damaged = bytearray(data)
            for place in rng.integers(0, len(data), rng.integers(1, 4)):
                damaged[place] = rng.integers(256)
            with contextlib.suppress(ValueError):
                elman.from_onnx(bytes(damaged))


# The ONNX project's node tests


@pytest.mark.parametrize("name", CASES)
def test_node_tests_fare_as_the_table_in_the_docs_says(name):
    assert onnx_nodes.table().get(name) == onnx_nodes.verdict(name)


# Graphs as exporters write them


@pytest.mark.parametrize("operator", ["RNN", "GRU", "LSTM"])
def test_a_stack_and_a_dense_layer_at_each_step(operator):
    g = Graph()
    x = g("Transpose", "X", perm=[1, 0, 2])
    Y = g.recurrent(operator, x, N_CHANNELS)[0]
    Y = g.recurrent(operator, g("Squeeze", Y, INT([1])), N_UNITS)[0]
    y = g("MatMul", g("Transpose", g("Squeeze", Y, INT([1])), perm=[1, 0, 2]), W(N_UNITS, 2))
    proto = g.model(g("Add", np.array([1, 2], np.float32), y))
    model = elman.from_onnx(proto)
    assert (model.hidden_layer_sizes, model.head) == ((N_UNITS, N_UNITS), "dense")
    assert_close(model.predict(X), evaluate(proto), 1e-6)


def bidirectional(g, operator):
    x = g("Transpose", "X", perm=[1, 0, 2])
    return g.recurrent(operator, x, N_CHANNELS, 2)[:2]


def joined_steps(g, Y, Y_h):
    joined = g("Reshape", g("Transpose", Y, perm=[2, 0, 1, 3]), INT([0, 0, -1]))
    return joined, [N_SEQUENCES, N_STEPS, 2 * N_UNITS]


def joined_states(g, Y, Y_h):
    by_sample = g("Transpose", Y_h, perm=[1, 0, 2])
    return g("Reshape", by_sample, INT([N_SEQUENCES, 2 * N_UNITS])), [N_SEQUENCES, 2 * N_UNITS]


def gathered_states(g, Y, Y_h):
    halves = [g("Gather", Y_h, INT(d), axis=0) for d in (0, -1)]
    return g("Concat", *halves, axis=-1), [N_SEQUENCES, 2 * N_UNITS]


def sliced_states(g, Y, Y_h):
    parts = [
        g("Squeeze", g("Slice", Y_h, INT([d]), INT([d + 1]), INT([0])), INT([0])) for d in (0, 1)
    ]
    return g("Concat", *parts, axis=1), [N_SEQUENCES, 2 * N_UNITS]


def split_sum(g, Y, Y_h):
    halves = g("Split", Y, INT([1, 1]), n_outputs=2, axis=1)
    total = g("Add", *(g("Squeeze", half, INT([1])) for half in halves))
    return g("Transpose", total, perm=[1, 0, 2]), [N_SEQUENCES, N_STEPS, N_UNITS]


def mean_of_states(g, Y, Y_h):
    total = g("Add", *(g("Gather", Y_h, INT(d), axis=0) for d in (0, 1)))
    return g("Div", total, np.array(2, np.float32)), [N_SEQUENCES, N_UNITS]


def mean_by_mean(g, Y, Y_h):
    return g("Mean", *(g("Gather", Y_h, INT(d), axis=0) for d in (0, 1))), [N_SEQUENCES, N_UNITS]


@pytest.mark.parametrize("operator", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize(
    "join",
    [
        joined_steps,
        joined_states,
        gathered_states,
        sliced_states,
        split_sum,
        mean_of_states,
        mean_by_mean,
    ],
)
@pytest.mark.parametrize("has_head", [False, True])
def test_both_directions(operator, join, has_head):
    g = Graph()
    value, shape = join(g, *bidirectional(g, operator))
    if has_head and len(shape) == 2:
        value = g("Gemm", value, W(2, shape[-1]), W(2), transB=1, alpha=0.5, beta=2.0)
    elif has_head:
        value = g("MatMul", value, W(shape[-1], 2))
    proto = g.model(value)
    assert_close(elman.from_onnx(proto).predict(X), evaluate(proto), 1e-6)


def computed_reshape(g, value, *groups):
    """A Reshape as PyTorch's exporter writes it: each new size a product of some that are there."""
    shape, sizes = g("Shape", value), []
    for group in groups:
        size, *others = (g("Slice", shape, INT([i]), INT([i + 1])) for i in group)
        for other in others:
            size = g("Reshape", g("Mul", size, other), INT([-1]))
        sizes.append(size)
    return g("Reshape", value, g("Concat", *sizes, axis=0))


@pytest.mark.parametrize("n_directions", [1, 2])
def test_shapes_that_are_computed(n_directions):
    g = Graph()
    Y = g.recurrent("LSTM", g("Transpose", "X", perm=[1, 0, 2]), N_CHANNELS, n_directions)[0]
    steps = computed_reshape(g, g("Transpose", Y, perm=[0, 2, 1, 3]), [0], [1], [2, 3])
    Y = g.recurrent("LSTM", steps, n_directions * N_UNITS, n_directions)[0]
    steps = computed_reshape(g, g("Transpose", Y, perm=[2, 0, 1, 3]), [0], [1], [3, 2])
    proto = g.model(g("MatMul", steps, W(n_directions * N_UNITS, 2)))
    assert_close(elman.from_onnx(proto).predict(X), evaluate(proto), 1e-6)


@pytest.mark.parametrize("n_directions", [1, 2])
@pytest.mark.parametrize("groups", [([0, 1], [2], [3]), ([0], [1, 2], [3]), ([1], [0], [2, 3])])
def test_computed_shapes_that_mix_steps_and_sequences(n_directions, groups):
    g = Graph()
    Y = g.recurrent("GRU", g("Transpose", "X", perm=[1, 0, 2]), N_CHANNELS, n_directions)[0]
    proto = g.model(computed_reshape(g, g("Transpose", Y, perm=[0, 2, 1, 3]), *groups))
    with pytest.raises(ValueError, match=r"\(Reshape\) got the axes .* and the shape \(.*time.*\)"):
        elman.from_onnx(proto)


def test_axes_of_size_one_come_and_go():
    g = Graph()
    Y_h = g.recurrent("GRU", g("Transpose", "X", perm=[1, 0, 2]), N_CHANNELS)[1]
    flat = g("Flatten", g("Transpose", Y_h, perm=[1, 0, 2]))
    wide = g("Squeeze", g("Unsqueeze", flat, INT([0, -1])))
    proto = g.model(g("Gemm", wide, W(N_UNITS, 2), W(2)))
    assert_close(elman.from_onnx(proto).predict(X), evaluate(proto), 1e-6)


def test_the_last_step_in_layout_1():
    g = Graph()
    Y, _, _ = g.recurrent("LSTM", "X", N_CHANNELS, layout=1)
    y = g("Gemm", g("Gather", g("Squeeze", Y, INT([2])), INT(-1), axis=1), W(N_UNITS, 3), W(3))
    proto = g.model(g("LogSoftmax", y, axis=1))
    model = elman.from_onnx(proto, classes=["b", "a", "c"])
    np.testing.assert_array_equal(model.classes_, ["a", "b", "c"])
    # The reference evaluator mixes layouts up, so it is given the other one.
    h = Graph()
    x = h("Transpose", "X", perm=[1, 0, 2])
    arrays = [numpy_helper.to_array(tensor) for tensor in g.constants[:3]]
    states = h("LSTM", x, *arrays, n_outputs=3, hidden_size=N_UNITS)[1]
    head = [numpy_helper.to_array(tensor) for tensor in g.constants[-2:]]
    log_p = evaluate(h.model(h("LogSoftmax", h("Gemm", h("Squeeze", states, INT([0])), *head))))
    assert_close(model.predict_log_proba(X), log_p[:, [1, 0, 2]], 1e-6)


@pytest.mark.parametrize(
    ("activation", "n_outputs", "kind"),
    [("Sigmoid", 1, "binary"), ("Sigmoid", 3, "multilabel"), ("Softmax", 3, "multiclass")],
)
def test_what_stands_behind_the_outputs_tells_the_classifier(activation, n_outputs, kind):
    g = Graph()
    x = g("Transpose", "X", perm=[1, 0, 2])
    Y_h = g("Squeeze", g.recurrent("GRU", x, N_CHANNELS)[1], INT([0]))
    proto = g.model(g(activation, g("Gemm", Y_h, W(N_UNITS, n_outputs), W(n_outputs))))
    model = elman.from_onnx(proto)
    assert model.classes_.tolist() == list(range(max(2, n_outputs)))
    p = model.predict_proba(X)
    assert_close(p[:, 1:] if kind == "binary" else p, evaluate(proto), 1e-6)
    if kind == "binary":
        turned = elman.from_onnx(proto, classes=["yes", "no"])
        np.testing.assert_allclose(turned.predict_proba(X), p[:, ::-1], rtol=1e-6)


def test_exponentials_are_means_of_counts():
    g = Graph()
    x = g("Transpose", "X", perm=[1, 0, 2])
    Y_h = g("Squeeze", g.recurrent("GRU", x, N_CHANNELS)[1], INT([0]))
    proto = g.model(g("Squeeze", g("Exp", g("Gemm", Y_h, W(N_UNITS, 1))), INT([1])))
    model = elman.from_onnx(proto)
    assert model.loss == "poisson"
    assert_close(model.predict(X), evaluate(proto), 1e-6)
    model.partial_fit(X, [1, 0, 3, 2])


def test_tokens_and_weights_of_integers():
    tokens = RNG.integers(0, 7, (4, 6))
    g = Graph(tokens, opset=21)
    quantised = RNG.integers(-100, 100, (7, N_CHANNELS)).astype(np.int8)
    E = g("DequantizeLinear", quantised, np.array(0.01, np.float32), np.array(3, np.int8))
    x = g("Transpose", g("Gather", E, "X"), perm=[1, 0, 2])
    proto = g.model(g("Squeeze", g.recurrent("RNN", x, N_CHANNELS)[1], INT([0])))
    model = elman.from_onnx(proto)
    assert (model.input, model.n_tokens, model.head) == ("tokens", 7, None)
    assert_close(model.predict(tokens), evaluate(proto, tokens), 1e-6)


def test_states_of_zero_that_are_computed_from_sizes():
    g = Graph()
    x = g("Transpose", "X", perm=[1, 0, 2])
    size = g("Unsqueeze", g("Gather", g("Shape", "X"), INT(0)), INT([0]))
    shape = g("Concat", INT([1]), size, INT([N_UNITS]), axis=0)
    zeros = g("ConstantOfShape", shape)
    arrays = operator_weights("LSTM", N_CHANNELS)
    options = {"n_outputs": 3, "hidden_size": N_UNITS}
    Y = g("LSTM", x, *arrays.values(), "", zeros, g("Expand", np.zeros(1, "f4"), shape), **options)
    proto = g.model(g("Squeeze", Y[1], INT([0])))
    assert_close(elman.from_onnx(proto).predict(X), evaluate(proto), 1e-6)


def test_states_and_lengths_that_are_inputs():
    g = Graph()
    g.inputs += [
        helper.make_tensor_value_info("lengths", TensorProto.INT32, ["n"]),
        helper.make_tensor_value_info("h", TensorProto.FLOAT, [1, "n", N_UNITS]),
    ]
    x = g("Transpose", "X", perm=[1, 0, 2])
    arrays = operator_weights("GRU", N_CHANNELS)
    Y_h = g("GRU", x, *arrays.values(), "lengths", "h", n_outputs=2, hidden_size=N_UNITS)[1]
    model = elman.from_onnx(g.model(g("Squeeze", Y_h, INT([0]))))
    h = RNG.normal(size=(N_SEQUENCES, N_UNITS)).astype(np.float32)
    for n in (1, 4):
        y = model.predict([x[:n] for x in X], initial_state={"layers.0.h": h})
        alone = Graph(X[:, :n])
        x = alone("Transpose", "X", perm=[1, 0, 2])
        some = alone("GRU", x, *arrays.values(), "", h[None], n_outputs=2, hidden_size=N_UNITS)
        assert_close(y, evaluate(alone.model(some[1]), X[:, :n])[0], 1e-6)


def softmax_graph(opset, arrays, head, *, per_step):
    """A GRU and a softmax without an axis, which changed its meaning with opset 13."""
    g = Graph(opset=opset)
    x = g("Transpose", "X", perm=[1, 0, 2])
    Y = g("GRU", x, *arrays.values(), n_outputs=2, hidden_size=N_UNITS)[0]
    Y = g("Squeeze", Y, INT([1])) if opset >= 13 else g("Squeeze", Y, axes=[1])
    y = g("MatMul", Y, head)
    return g.model(g("Softmax", y if per_step else g("Gather", y, INT(-1), axis=0)))


def test_operators_of_old_versions():
    weights = operator_weights("GRU", N_CHANNELS), W(N_UNITS, 3)
    old, new = (
        elman.from_onnx(softmax_graph(opset, *weights, per_step=False)) for opset in (11, 17)
    )
    np.testing.assert_array_equal(old.predict_proba(X), new.predict_proba(X))
    per_step = elman.from_onnx(softmax_graph(17, *weights, per_step=True))
    assert per_step.predict_proba(X).shape == (N_SEQUENCES, N_STEPS, 3)
    with pytest.raises(ValueError, match=r"\(Softmax\) got other values, or another axis"):
        elman.from_onnx(softmax_graph(11, *weights, per_step=True))


def test_weights_that_old_files_list_as_inputs():
    g = Graph()
    x = g("Transpose", "X", perm=[1, 0, 2])
    proto = g.model(g("Squeeze", g.recurrent("GRU", x, N_CHANNELS)[1], INT([0])))
    expected = evaluate(proto)
    for tensor in proto.graph.initializer:
        info = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        proto.graph.input.append(info)
    assert_close(elman.from_onnx(proto).predict(X), expected, 1e-6)


@pytest.mark.parametrize(
    ("kind", "is_bidirectional", "output"),
    [
        ("RNN", False, "steps"),
        ("GRU", True, "state"),
        ("LSTM", True, "steps"),
        ("LSTM", False, "last"),
        ("GRU", True, "last"),
    ],
)
def test_graphs_of_pytorch(kind, is_bidirectional, output):
    torch = pytest.importorskip("torch")

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            options = {"bidirectional": is_bidirectional, "batch_first": True}
            self.recurrent = getattr(torch.nn, kind)(N_CHANNELS, N_UNITS, 2, **options)
            self.linear = torch.nn.Linear(N_UNITS * (1 + is_bidirectional), 2)

        def forward(self, x):
            y, h = self.recurrent(x)
            h = h[0] if kind == "LSTM" else h
            last = torch.cat([h[-2], h[-1]], dim=1) if is_bidirectional else h[-1]
            return self.linear({"steps": y, "last": y[:, -1], "state": last}[output])

    torch.manual_seed(0)
    module, file = Module().eval(), io.BytesIO()
    names = {"input_names": ["X"], "dynamic_axes": {"X": {0: "n", 1: "t"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (torch.from_numpy(X),), file, dynamo=False, **names)
    if output == "last" and is_bidirectional:
        with pytest.raises(ValueError, match="got time step -1 of a bidirectional layer, expected"):
            elman.from_onnx(file.getvalue())
        return
    with torch.no_grad():
        expected = module(torch.from_numpy(X)).numpy()
    assert_close(elman.from_onnx(file.getvalue()).predict(X), expected, 1e-6)


def test_examples_in_the_docs_run():
    pytest.importorskip("onnxruntime")
    text = onnx_nodes.DOCUMENT.read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    exec(compile(code, "docs/onnx.md", "exec"), {})
    assert isinstance(elman.to_onnx(RNNRegressor(max_iter=1).fit(X, X[:, 0, 0])), ModelProto)
