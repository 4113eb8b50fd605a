"""Networks of PyTorch and Keras come in as arrays, without either; what comes in is fitted.

What the arrays mean is computed here in NumPy, as the two write it in their documentation.
"""

import pickle
import subprocess
import sys

import elman
import numpy as np
import pytest
from elman import RNNClassifier, RNNRegressor, from_keras, from_torch
from interchange import assert_close
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

RNG = np.random.default_rng(0)
N_CHANNELS, N_UNITS = 3, 5
X = RNG.normal(size=(4, 6, N_CHANNELS)).astype(np.float32)
TOKENS = RNG.integers(0, 7, (4, 6))

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# A state_dict of PyTorch


NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def gru_state_dict(prefix="rnn."):
    shapes = {
        "weight_ih_l0": (3 * N_UNITS, N_CHANNELS),
        "weight_hh_l0": (3 * N_UNITS, N_UNITS),
        "bias_ih_l0": (3 * N_UNITS,),
        "bias_hh_l0": (3 * N_UNITS,),
    }
    return {prefix + name: RNG.normal(size=shape) for name, shape in shapes.items()}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru_states(arrays, x):
    """As PyTorch's documentation writes it."""
    W_i, W_h, b_i, b_h = (arrays[f"rnn.{name}_l0"] for name in NAMES)
    states, h = [], np.zeros((len(x), N_UNITS))
    for t in range(x.shape[1]):
        i_r, i_z, i_n = np.split(x[:, t] @ W_i.T + b_i, 3, axis=1)
        h_r, h_z, h_n = np.split(h @ W_h.T + b_h, 3, axis=1)
        r, z = sigmoid(i_r + h_r), sigmoid(i_z + h_z)
        h = (1 - z) * np.tanh(i_n + r * h_n) + z * h
        states.append(h)
    return np.stack(states, axis=1)


def test_a_state_dict_of_arrays():
    arrays = gru_state_dict()
    model = from_torch(arrays)
    assert isinstance(model, RNNRegressor)
    assert (model.head, model.n_iter_, model.loss_, model.loss_curve_) == (None, 0, None, [])
    assert_close(model.predict(X.astype(float)), gru_states(arrays, X), 1e-12)


def test_a_linear_layer_after_the_last_step():
    arrays = gru_state_dict() | {
        "out.weight": RNG.normal(size=(2, N_UNITS)),
        "out.bias": np.ones(2),
    }
    model = from_torch(arrays, output="vector")
    expected = gru_states(arrays, X)[:, -1] @ arrays["out.weight"].T + 1
    assert_close(model.predict(X.astype(float)), expected, 1e-12)


def test_logits_and_labels_are_a_classifier():
    arrays = gru_state_dict() | {
        "out.weight": RNG.normal(size=(3, N_UNITS)),
        "out.bias": np.ones(3),
    }
    model = from_torch(arrays, output="vector", classes=["b", "c", "a"])
    assert isinstance(model, RNNClassifier)
    logits = gru_states(arrays, X)[:, -1] @ arrays["out.weight"].T
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert_close(model.predict_proba(X), p[:, [2, 0, 1]], 1e-12)
    model.partial_fit(X, ["a", "b", "c", "a"])
    model.set_params(warm_start=True, max_iter=2).fit(X, ["a", "b", "c", "a"])
    assert (model.n_iter_, len(model.loss_curve_)) == (2, 3)


def test_training_goes_on_from_the_weights():
    arrays = gru_state_dict() | {
        "out.weight": RNG.normal(size=(1, N_UNITS)),
        "out.bias": np.ones(1),
    }
    y = gru_states(arrays, X)[:, -1] @ arrays["out.weight"].T + 1
    first, second = (from_torch(arrays, output="vector") for _ in range(2))
    first.set_params(alpha=0).partial_fit(X, y)
    assert first.loss_ < 1e-20
    second.set_params(alpha=0).partial_fit(X, y + 1)
    assert second.loss_ == pytest.approx(0.5, rel=1e-6)
    assert not np.array_equal(second.predict(X), y)


WITHOUT_TORCH = """
import sys
import numpy as np
from elman import from_torch
arrays = {"weight_ih_l0": np.ones((4, 2)), "weight_hh_l0": np.eye(4)}
print(from_torch(arrays, activation="relu").predict(np.ones((1, 3, 2)))[0, :, 0])
print("torch" in sys.modules)
"""


def test_arrays_need_no_pytorch():
    result = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True)
    assert result.stdout.splitlines()[-2:] == ["[2. 4. 6.]", "False"], result.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rnn.weight_hr_l0": np.ones((2, 5))}, r"got projections \(proj_size, weight_hr\), expec"),
        ({"decoder.weight_ih_l0": np.ones((15, 3))}, r"got the recurrent modules \['rnn.', 'deco"),
        ({"h0": np.ones(5)}, r"module got the name 'h0', expected weights of RNN, GRU or LSTM"),
        (
            {"a.weight": np.ones((2, 8))},
            r"module 'a' got shape \(2, 8\), expected \(n_outputs, 5\)",
        ),
        ({"a.weight": np.ones(4)}, r"module 'a' got no weight of two dimensions"),
        ({"rnn.weight_ih_l1": np.ones((15, 5))}, r"got no 'weight_hh_l1', expected weight_ih and"),
        ({"rnn.weight_hh_l0": np.ones((10, 5))}, r"got weight_hh_l0 of shape \(10, 5\), expected"),
        ({"rnn.weight_ih_l0": np.ones((12, 3))}, r"weights\['layers.0.W_xh'\] got shape \(3, 12\)"),
        ({"rnn.weight_ih_l0": np.ones((15, 3), int)}, r"got dtype int64, expected real numbers"),
        (
            {"rnn.bias_ih_l0": np.full(15, np.nan)},
            r"weights\['layers.0.b_h'\] got 15 values of NaN",
        ),
    ],
)
def test_a_state_dict_that_is_refused(change, message):
    with pytest.raises(ValueError, match=rf"^elman.from_torch: .*{message}"):
        from_torch(gru_state_dict() | change)


def test_a_matrix_that_may_be_two_things():
    square = {"weight_ih_l0": np.ones((5, 5)), "weight_hh_l0": np.ones((5, 5))}
    with pytest.raises(ValueError, match=r"an Embedding and a Linear without bias may have"):
        from_torch({**square, "a.weight": np.ones((2, 5))})
    model = from_torch({**square, "a.weight": np.ones((2, 5)), "a.bias": np.ones(2)})
    assert (model.head, model.input) == ("dense", "sequence")


def test_what_is_no_module_of_pytorch():
    with pytest.raises(TypeError, match=r"module got a int, expected a torch.nn.Module, a seq"):
        from_torch(3)
    with pytest.raises(ValueError, match=r"output got 'last', expected one of 'auto', 'vector'"):
        from_torch(gru_state_dict(), output="last")


# Weights of Keras, in the order of get_weights


def simple_step(x, h, c, kernel, recurrent_kernel, bias):
    return np.tanh(x @ kernel + bias + h @ recurrent_kernel), c


def gru_step(x, h, c, kernel, recurrent_kernel, bias):
    """Gates z r h; a bias of two rows is that of reset_after=True."""
    reset_after = bias.ndim == 2
    b_input, b_state = bias if reset_after else (bias, np.zeros_like(bias))
    x_z, x_r, x_h = np.split(x @ kernel + b_input, 3, axis=1)
    h_z, h_r, h_h = np.split(h @ recurrent_kernel + b_state, 3, axis=1)
    z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
    if not reset_after:
        h_h = (r * h) @ np.split(recurrent_kernel, 3, axis=1)[2]
    candidate = np.tanh(x_h + (r * h_h if reset_after else h_h))
    return z * h + (1 - z) * candidate, c


def lstm_step(x, h, c, kernel, recurrent_kernel, bias):
    """Gates i f c o."""
    i, f, g, o = np.split(x @ kernel + h @ recurrent_kernel + bias, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


STEPS = {"simple": simple_step, "gru": gru_step, "gru_before": gru_step, "lstm": lstm_step}


def weights_of(cell, n_inputs, n_units=N_UNITS):
    n_columns = {"simple": 1, "lstm": 4}.get(cell, 3) * n_units
    bias = (2, n_columns) if cell == "gru" else (n_columns,)
    return [RNG.normal(size=shape) for shape in ((n_inputs, n_columns), (n_units, n_columns), bias)]


def layer(cell, weights, x, backwards=False):
    """States at each step."""
    h = c = np.zeros((len(x), len(weights[1])))
    states = np.empty((*x.shape[:2], h.shape[1]))
    for t in range(x.shape[1])[:: -1 if backwards else 1]:
        h, c = STEPS[cell](x[:, t], h, c, *weights)
        states[:, t] = h
    return states


@pytest.mark.parametrize("cell", STEPS)
def test_arrays_of_a_stack(cell):
    first, second = weights_of(cell, N_CHANNELS), weights_of(cell, N_UNITS, 4)
    head = [RNG.normal(size=(4, 2)), RNG.normal(size=2)]
    states = layer(cell, second, layer(cell, first, X))
    model = from_keras([*first, *second, *head])
    assert (model.hidden_layer_sizes, model.reset_after) == ((5, 4), cell != "gru_before")
    assert_close(model.predict(X.astype(float)), states[:, -1] @ head[0] + head[1], 1e-12)
    bare = from_keras([*first, *second], output="sequence")
    assert_close(bare.predict(X.astype(float)), states, 1e-12)


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mean", "mul"])
@pytest.mark.parametrize("cell", STEPS)
def test_arrays_of_both_directions(cell, merge_mode):
    forwards, backwards = weights_of(cell, N_CHANNELS), weights_of(cell, N_CHANNELS)
    f = layer(cell, forwards, X)
    b = layer(cell, backwards, X, backwards=True)
    merged = {"concat": np.dstack([f, b]), "sum": f + b, "mean": (f + b) / 2, "mul": f * b}
    head = [RNG.normal(size=(merged[merge_mode].shape[2], 2))]
    model = from_keras([*forwards, *backwards, *head], output="sequence", merge_mode=merge_mode)
    assert_close(model.predict(X.astype(float)), merged[merge_mode] @ head[0], 1e-12)


def test_arrays_of_an_embedding():
    table, lstm = RNG.normal(size=(7, 4)), weights_of("lstm", 4)
    head = [RNG.normal(size=(N_UNITS, 1)), RNG.normal(size=1)]
    model = from_keras([table, *lstm, *head], classes=["no", "yes"])
    expected = sigmoid(layer("lstm", lstm, table[TOKENS])[:, -1] @ head[0] + head[1])
    assert_close(model.predict_proba(TOKENS)[:, 1:], expected, 1e-12)
    model.partial_fit(TOKENS, ["yes", "no", "no", "yes"])


def test_arrays_of_a_simple_cell_with_another_activation():
    kernel, recurrent = RNG.normal(size=(3, 5)), RNG.normal(size=(5, 5)) / 5
    model = from_keras([kernel, recurrent], output="sequence", activation="identity")
    h = X.astype(float)[:, 0] @ kernel
    assert_close(model.predict(X.astype(float))[:, 0], h, 1e-12)
    assert_close(model.predict(X.astype(float))[:, 1], X[:, 1] @ kernel + h @ recurrent, 1e-12)


SQUARE = [np.ones((5, 20)), np.ones((5, 20)), np.ones(20)]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([], r"model got arrays of shapes , expected those of SimpleRNN, GRU with its bias"),
        ([np.ones((3, 2))], r"model got arrays of shapes \(3, 2\), expected"),
        ([np.ones((3, 15)), np.ones((5, 15))], r"expected those of SimpleRNN, GRU with its bias"),
        (
            [*SQUARE, *SQUARE],
            r"which several networks have, expected the model instead",
        ),
        ([*SQUARE, np.ones((4, 2))], r"model got arrays of shapes .*\(4, 2\), expected"),
    ],
)
def test_arrays_that_are_no_network_or_several(arrays, message):
    with pytest.raises(ValueError, match=rf"^elman.from_keras: .*{message}"):
        from_keras(arrays)


def test_what_is_no_model_of_keras():
    with pytest.raises(
        TypeError, match=r"model got a int, expected a keras.Model, a keras.Layer or"
    ):
        from_keras(3)
    with pytest.raises(ValueError, match=r"merge_mode got 'ave', expected one of 'concat', 'sum'"):
        from_keras(SQUARE, merge_mode="ave")


# What comes in is a fitted estimator


def one_layer(n_gates, n_outputs):
    """A state_dict of a recurrent module and a Linear."""
    names = {"ih": N_CHANNELS, "hh": N_UNITS}
    arrays = {f"weight_{k}_l0": RNG.normal(size=(n_gates * N_UNITS, n)) for k, n in names.items()}
    head = {"out.weight": RNG.normal(size=(n_outputs, N_UNITS)), "out.bias": np.ones(n_outputs)}
    return {name: array.astype(np.float32) for name, array in {**arrays, **head}.items()}


IMPORTED = {
    "numbers": (lambda: from_torch(one_layer(3, 2), output="vector"), np.ones((4, 2))),
    "steps": (lambda: from_torch(one_layer(1, 1)), X[:, :, :1]),
    "one label of two": (
        lambda: from_torch(one_layer(4, 1), output="vector", classes=["no", "yes"]),
        ["no", "yes", "yes", "no"],
    ),
    "a softmax of two": (
        lambda: from_torch(one_layer(4, 2), output="vector", classes=[3, 1]),
        [1, 3, 3, 1],
    ),
    "tokens": (
        lambda: from_keras([RNG.normal(size=(7, 4)), *weights_of("gru", 4, 4)], classes=range(4)),
        [0, 1, 2, 3],
    ),
    "both directions": (
        lambda: from_keras([*weights_of("lstm", 3), *weights_of("lstm", 3)]),
        np.zeros((4, 10)),
    ),
}


@pytest.fixture(params=IMPORTED)
def imported(request):
    """An estimator, an X and a y of it."""
    make, y = IMPORTED[request.param]
    return make(), TOKENS if request.param == "tokens" else X, y


def says(model, X):
    return (model.predict_proba if hasattr(model, "classes_") else model.predict)(X)


def test_files_and_pickles_keep_it(imported, tmp_path):
    model, X, y = imported
    path = tmp_path / "model.safetensors"
    elman.save(model, path)
    copies = [elman.load(path), pickle.loads(pickle.dumps(model))]
    for copy in copies:
        np.testing.assert_array_equal(says(copy, X), says(model, X))
        assert (copy.n_iter_, copy.t_, copy.loss_, copy.loss_curve_) == (0, 0, None, [])
        copy.partial_fit(X, y)
    model.partial_fit(X, y)
    for copy in copies:
        assert copy.loss_ == model.loss_
        np.testing.assert_array_equal(says(copy, X), says(model, X))
    elman.save(model, path)
    np.testing.assert_array_equal(says(elman.load(path), X), says(model, X))


def test_it_can_be_cloned_compiled_and_written_as_onnx(imported):
    model, X, y = imported
    again = clone(model)
    assert again.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        again.predict(X)
    assert says(again.set_params(max_iter=1).fit(X, y), X).shape == says(model, X).shape
    method = "predict_proba" if hasattr(model, "classes_") else "predict"
    np.testing.assert_array_equal(elman.compile(model, method=method)(X), says(model, X))
    assert_close(says(elman.from_onnx(elman.to_onnx(model)), X), says(model, X))


def test_a_picture_of_its_training_needs_some():
    pytest.importorskip("matplotlib").use("agg")
    model = from_torch(one_layer(3, 2), output="vector")
    with pytest.raises(ValueError, match=r"estimator got .*, expected .* of an epoch or"):
        elman.LossCurveDisplay.from_estimator(model)
    display = elman.LossCurveDisplay.from_estimator(model.partial_fit(X, np.ones((4, 2))))
    assert display.loss_curves == [model.loss_curve_]
