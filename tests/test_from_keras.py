"""Networks of Keras come in as estimators that say the same."""

import importlib.util
import os

import elman
import numpy as np
import pytest
from elman import RNNClassifier, RNNRegressor, from_keras
from interchange import assert_close

has_torch = importlib.util.find_spec("torch") is not None
os.environ.setdefault("KERAS_BACKEND", "torch" if has_torch else "jax")
keras = pytest.importorskip("keras")
L = keras.layers
RNG = np.random.default_rng(0)
N_CHANNELS, N_UNITS = 3, 5
X = RNG.normal(size=(4, 6, N_CHANNELS)).astype(np.float32)
TOKENS = RNG.integers(0, 7, (4, 6))

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # of Keras
]

CELLS = [
    ("SimpleRNN", {}),
    ("SimpleRNN", {"activation": "relu", "use_bias": False}),
    ("SimpleRNN", {"activation": "linear"}),
    ("GRU", {"reset_after": True}),
    ("GRU", {"reset_after": False}),
    ("GRU", {"reset_after": True, "use_bias": False}),
    ("LSTM", {}),
    ("LSTM", {"use_bias": False}),
]


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


def outputs(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def recurrent(kind, n_units=N_UNITS, **options):
    return getattr(L, kind)(n_units, bias_initializer="random_normal", **options)


def sequential(*layers):
    return keras.Sequential([L.Input((None, N_CHANNELS)), *layers])


def functional(*layers):
    first = value = keras.Input((None, N_CHANNELS))
    for each in layers:
        value = each(value)
    return keras.Model(first, value)


@pytest.mark.parametrize(("make", "per_step"), [(sequential, True), (functional, False)])
@pytest.mark.parametrize(("kind", "options"), CELLS)
def test_recurrent_layers(kind, options, per_step, make):
    layers = [
        recurrent(kind, 4, return_sequences=True, **options),
        L.Dropout(0.5),
        recurrent(kind, return_sequences=per_step, **options),
        L.TimeDistributed(L.Dense(2)) if per_step else L.Dense(2),
    ]
    network = make(*layers)
    model = from_keras(network)
    assert (model.hidden_layer_sizes, model.head) == ((4, N_UNITS), "dense")
    assert_close(model.predict(X), outputs(network, X), 1e-6)
    bare = from_keras(layers[0])
    assert (bare.head, bare.n_iter_) == (None, 0)
    assert_close(bare.predict(X), outputs(layers[0], X), 1e-6)


@pytest.mark.parametrize(
    ("kind", "merge_mode"),
    [("SimpleRNN", "concat"), ("GRU", "concat"), ("LSTM", "sum"), ("GRU", "ave"), ("LSTM", "mul")],
)
@pytest.mark.parametrize("per_step", [False, True])
def test_both_directions(kind, per_step, merge_mode):
    network = sequential(
        L.Bidirectional(recurrent(kind, return_sequences=True), merge_mode=merge_mode),
        recurrent(kind, 4, return_sequences=True),
        L.Bidirectional(recurrent(kind, return_sequences=per_step), merge_mode=merge_mode),
        L.Dense(3, use_bias=False),
    )
    model = from_keras(network)
    assert model.bidirectional == (True, False, True)
    assert_close(model.predict(X), outputs(network, X), 1e-6)


@pytest.mark.parametrize(
    ("layers", "n_classes"),
    [
        (lambda: [L.Dense(3, activation="softmax")], 3),
        (lambda: [L.Dense(3), L.Activation("softmax")], 3),
        (lambda: [L.Dense(3), L.Softmax()], 3),
        (lambda: [L.Dense(1, activation="sigmoid")], 2),
        (lambda: [L.Dense(4, activation="sigmoid")], 4),
    ],
)
def test_what_stands_behind_the_dense_layer_tells_the_classifier(layers, n_classes):
    network = sequential(recurrent("GRU"), *layers())
    model = from_keras(network)
    assert isinstance(model, RNNClassifier)
    assert model.classes_.tolist() == list(range(n_classes))
    p = model.predict_proba(X)
    assert_close(p[:, 1:] if n_classes == 2 else p, outputs(network, X), 1e-6)


def test_exponentials_are_means_of_counts():
    network = sequential(recurrent("LSTM"), L.Dense(2, activation="exponential"))
    model = from_keras(network)
    assert model.loss == "poisson"
    assert_close(model.predict(X), outputs(network, X), 1e-6)


def test_logits_and_labels_are_a_classifier():
    network = sequential(recurrent("LSTM"), L.Dense(3))
    model = from_keras(network, classes=["c", "a", "b"])
    logits = outputs(network, X)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert_close(model.predict_proba(X), p[:, [1, 2, 0]], 1e-6)


def test_tokens():
    network = keras.Sequential([L.Input((None,)), L.Embedding(7, 4), recurrent("GRU"), L.Dense(1)])
    model = from_keras(network)
    assert (model.input, model.n_tokens, model.embedding_dim) == ("tokens", 7, 4)
    assert_close(model.predict(TOKENS), outputs(network, TOKENS), 1e-6)


def test_padding_of_tokens_stays_away():
    network = keras.Sequential(
        [L.Input((None,)), L.Embedding(7, 4, mask_zero=True), recurrent("GRU"), L.Dense(1)]
    )
    with pytest.warns(UserWarning, match=r"got mask_zero=True, expected sequences without their"):
        model = from_keras(network)
    padded = np.array([[3, 1, 0, 0], [2, 4, 6, 1]])
    expected = outputs(network, padded)
    assert_close(model.predict([padded[0, :2], padded[1]]), expected, 1e-6)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM"])
def test_masked_steps_are_skipped(kind, per_step, bidirectional):
    cell = recurrent(kind, return_sequences=per_step)
    layers = [
        L.Masking(-1.0),
        recurrent(kind, 4, return_sequences=True),
        L.Bidirectional(cell) if bidirectional else cell,
    ]
    network = sequential(*layers, L.Dense(2))
    model = from_keras(network)
    assert model.missing == "mask"
    masked = X.copy()
    masked[0, 4:] = masked[1, :2] = masked[2, 3] = -1.0
    is_masked = (masked == -1.0).all(axis=2, keepdims=True)
    got = model.predict(np.where(is_masked, np.nan, masked))
    some = ~is_masked[:, :, 0] if per_step else slice(None)
    assert_close(got[some], outputs(network, masked)[some], 1e-6)


def test_backwards_alone():
    network = sequential(recurrent("LSTM", go_backwards=True), L.Dense(2))
    assert_close(from_keras(network).predict(X), outputs(network, X), 1e-6)


def test_its_weights_as_arrays():
    network = sequential(
        L.Bidirectional(recurrent("GRU", 4, return_sequences=True)), recurrent("GRU"), L.Dense(2)
    )
    model = from_keras(network.get_weights())
    assert model.bidirectional == (True, False)
    np.testing.assert_array_equal(model.predict(X), from_keras(network).predict(X))


def test_training_goes_on():
    network = sequential(recurrent("GRU"), L.Dense(1))
    model = from_keras(network)
    y = outputs(network, X)
    model.set_params(alpha=0).partial_fit(X, y)
    assert model.loss_ < 1e-12
    model.set_params(warm_start=True, max_iter=3).fit(X, y + 1)
    assert model.loss_curve_[1] == pytest.approx(0.5, abs=0.01)
    assert isinstance(model, RNNRegressor)


def branched():
    first = keras.Input((None, N_CHANNELS))
    return keras.Model(first, L.Add()([L.GRU(3)(first), L.GRU(3)(first)]))


def two_outputs():
    first = keras.Input((None, N_CHANNELS))
    return keras.Model(first, [L.GRU(3)(first), L.GRU(3)(first)])


def given_states():
    first, state = keras.Input((None, N_CHANNELS)), keras.Input((3,))
    return keras.Model([first, state], L.GRU(3)(first, initial_state=state))


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.gru = L.GRU(3)

    def call(self, x):
        return self.gru(x)


LAYERS = "Masking, Embedding, Bidirectional, Dense, Activation, Softmax"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: [L.Conv1D(3, 2), L.GRU(3)], rf"\(Conv1D\) got a Conv1D, expected one of {LAYERS}"),
        (lambda: [L.LayerNormalization(), L.GRU(3)], r"got a LayerNormalization, expected one of"),
        (lambda: [L.GRU(3, activation="relu")], r"got activation='relu', expected 'tanh'"),
        (lambda: [L.SimpleRNN(3, activation="elu")], r"got activation='elu', expected 'tanh' or"),
        (
            lambda: [L.LSTM(3, recurrent_activation="hard_sigmoid")],
            r"got recurrent_activation='hard_sigmoid', expected 'sigmoid'",
        ),
        (lambda: [L.GRU(3), L.Dense(2, activation="relu")], r"got activation='relu', expected one"),
        (lambda: [L.GRU(3), L.Dense(2), L.Dense(2)], r"got another place, expected Masking or Emb"),
        (lambda: [L.Dense(3), L.GRU(3)], r"\(Dense\) got another place"),
        (
            lambda: [L.GRU(3), L.Dense(2, activation="softmax"), L.Activation("linear")],
            r"got a place there, expected none behind the outputs' activation",
        ),
        (
            lambda: [L.Bidirectional(L.GRU(3, return_sequences=True), merge_mode=None)],
            r"got merge_mode=None, expected one of 'concat', 'sum', 'ave', 'mul'",
        ),
        (
            lambda: [L.GRU(3, go_backwards=True, return_sequences=True)],
            r"got go_backwards=True and return_sequences=True",
        ),
        (
            lambda: [L.GRU(3, return_sequences=True), L.LSTM(3)],
            r"\(LSTM\) got a LSTM, expected a GRU with reset_after=True, as layer",
        ),
        (
            lambda: [
                L.Bidirectional(L.GRU(3, return_sequences=True), merge_mode="sum"),
                L.Bidirectional(L.GRU(3)),
            ],
            r"got merge mode 'concat', expected 'sum', as the layers before it",
        ),
        (
            lambda: [L.Bidirectional(L.GRU(3), backward_layer=L.LSTM(3, go_backwards=True))],
            r"got the layers \['GRU', 'LSTM'\], expected two of one kind, of SimpleRNN, GRU, LSTM",
        ),
        (
            lambda: [
                L.Bidirectional(
                    L.SimpleRNN(3),
                    backward_layer=L.SimpleRNN(3, go_backwards=True, activation="relu"),
                )
            ],
            r"got layers with different activation, expected the same of both directions",
        ),
        (
            lambda: [
                L.Bidirectional(L.GRU(3, go_backwards=True), backward_layer=L.GRU(3)),
            ],
            r"got another order of directions, expected forwards, then backwards",
        ),
        (lambda: [L.GRU(3), L.Softmax(axis=0)], r"got axis=0, expected the last, -1"),
        (lambda: [L.Dropout(0.5)], r"model got no recurrent layer, expected at least one"),
    ],
)
def test_layers_that_are_refused(make, message):
    with pytest.raises(ValueError, match=rf"^elman.from_keras: .*{message}"):
        from_keras(sequential(*make()))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (branched, r"model got layers beside each other, expected a Sequential, or a functional"),
        (two_outputs, r"model got layers beside each other"),
        (given_states, r"model got layers beside each other"),
        (Own, r"model got a Own without a graph of layers"),
        (lambda: L.GRU(3), r"got 0 arrays of weights, expected 3, of a layer that has been built"),
        (lambda: L.GRU(3, return_state=True), r"got return_state=True, expected False: predict"),
        (lambda: L.GRU(3, stateful=True), r"got stateful=True, expected False"),
        (lambda: L.Dense(3), r"\(Dense\) got another place"),
    ],
)
def test_models_that_are_refused(make, message):
    with pytest.raises(ValueError, match=rf"^elman.from_keras: .*{message}"):
        from_keras(make())


@pytest.mark.parametrize("argument", ["output", "activation", "merge_mode"])
def test_a_model_tells_these_itself(argument):
    value = {"output": "vector", "activation": "relu", "merge_mode": "sum"}[argument]
    with pytest.raises(ValueError, match=rf"{argument} got '{value}', expected '\w+' with a model"):
        elman.from_keras(sequential(recurrent("GRU")), **{argument: value})
