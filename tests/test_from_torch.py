"""Networks of PyTorch come in as estimators that say the same."""

import elman
import numpy as np
import pytest
from elman import RNNClassifier, from_torch
from interchange import assert_close

torch = pytest.importorskip("torch")
nn = torch.nn
RNG = np.random.default_rng(0)
N_CHANNELS, N_UNITS = 3, 5
X = RNG.normal(size=(4, 6, N_CHANNELS)).astype(np.float32)
TOKENS = RNG.integers(0, 7, (4, 6))

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = [("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("GRU", {}), ("LSTM", {})]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
    torch.set_num_threads(1)  # for so little work a second one is only waited for


def outputs(module, x, batch_first=True):
    """Samples first."""
    with torch.no_grad():
        tensor = torch.as_tensor(x)
        y = module.eval()(tensor if batch_first else tensor.transpose(0, 1))
    y = y[0] if isinstance(y, tuple) else y
    return (y if batch_first or y.ndim < 3 else y.transpose(0, 1)).numpy()


@pytest.mark.parametrize(("bias", "dtype"), [(True, np.float32), (False, np.float64)])
@pytest.mark.parametrize("n_layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_recurrent_modules(kind, options, n_layers, bidirectional, bias, dtype):
    module = getattr(nn, kind)(
        N_CHANNELS, N_UNITS, n_layers, bias=bias, bidirectional=bidirectional, **options
    ).to(torch.float32 if dtype == np.float32 else torch.float64)
    expected = outputs(module, X.astype(dtype), batch_first=False)
    activation = options.get("nonlinearity", "tanh")
    for model in (from_torch(module), from_torch(module.state_dict(), activation=activation)):
        assert (model.head, model.predict(X).dtype) == (None, dtype)
        assert_close(model.predict(X), expected, 1e-6 if dtype == np.float32 else 1e-13)


class Network(nn.Module):
    """What people write: a recurrent module, a Linear, and a forward of its own."""

    def __init__(self, recurrent, n_outputs, use, finish=None, embedding=None):
        super().__init__()
        self.embedding, self.recurrent = embedding, recurrent
        width = recurrent.hidden_size * (2 if recurrent.bidirectional else 1)
        self.dropout, self.linear = nn.Dropout(0.5), nn.Linear(width, n_outputs)
        self.use, self.finish = use, finish

    def forward(self, x):
        y, h = self.recurrent(x if self.embedding is None else self.embedding(x))
        h = h[0] if isinstance(h, tuple) else h
        joined = torch.cat([h[-2], h[-1]], dim=1) if self.recurrent.bidirectional else h[-1]
        last = y[:, -1] if self.recurrent.batch_first else y[-1]
        y = self.linear(self.dropout({"steps": y, "last": last, "state": joined}[self.use]))
        return y if self.finish is None else self.finish(y)


FINISHES = {
    "logits": None,
    "softmax": lambda y: torch.softmax(y, dim=-1),
    "log_softmax": lambda y: torch.log_softmax(y, dim=-1),
    "sigmoid": torch.sigmoid,
}


@pytest.mark.parametrize(
    ("kind", "finish"),
    [("RNN", "logits"), ("LSTM", "logits"), *(("GRU", finish) for finish in FINISHES)],
)
@pytest.mark.parametrize("use", ["steps", "last", "state"])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_modules_of_classes_of_their_own(kind, bidirectional, batch_first, use, finish):
    options = {"batch_first": batch_first, "bidirectional": bidirectional}
    recurrent = getattr(nn, kind)(N_CHANNELS, N_UNITS, 2, **options)
    module = Network(recurrent, 3, use, FINISHES[finish]).train()
    if bidirectional and use == "last":  # where one half has read one step
        with pytest.raises(ValueError, match=r"module got a forward with outputs .* final states"):
            from_torch(module)
        return
    model = from_torch(module)
    assert module.training
    assert module.dropout.training
    expected = outputs(module, X, batch_first)
    if finish == "logits":
        assert_close(model.predict(X), expected, 1e-6)
        classifier = from_torch(module, classes=[1, 2, 3])
        assert isinstance(classifier, RNNClassifier)
        labels = expected.argmax(axis=-1) + 1
        np.testing.assert_array_equal(classifier.predict(X), labels)
        np.testing.assert_array_equal(elman.compile(classifier)(X), labels)
    else:
        method = model.predict_log_proba if finish == "log_softmax" else model.predict_proba
        assert_close(method(X), expected, 1e-6)


def test_one_output_without_an_axis():
    module = Network(nn.GRU(N_CHANNELS, N_UNITS, batch_first=True), 1, "last", lambda y: y[:, 0])
    assert_close(from_torch(module).predict(X), outputs(module, X), 1e-6)
    module.finish = lambda y: torch.sigmoid(y[:, 0])
    model = from_torch(module, classes=["no", "yes"])
    assert_close(model.predict_proba(X)[:, 1], outputs(module, X), 1e-6)


def test_tokens():
    recurrent = nn.LSTM(N_CHANNELS, N_UNITS, batch_first=True)
    module = Network(recurrent, 2, "state", embedding=nn.Embedding(7, N_CHANNELS))
    model = from_torch(module)
    assert (model.input, model.n_tokens, model.embedding_dim) == ("tokens", 7, N_CHANNELS)
    assert_close(model.predict(TOKENS), outputs(module, TOKENS), 1e-6)
    model.partial_fit(TOKENS, np.ones((4, 2)))


def test_modules_one_after_another():
    parts = [
        nn.Embedding(7, N_CHANNELS),
        nn.GRU(N_CHANNELS, N_UNITS, bidirectional=True),
        nn.Dropout(0.5),
        nn.Linear(2 * N_UNITS, 3),
        nn.Softmax(dim=-1),
    ]
    with torch.no_grad():
        states = parts[1](parts[0](torch.as_tensor(TOKENS)).transpose(0, 1))[0].transpose(0, 1)
        expected = parts[4](parts[3](states)).numpy()
    for modules in (parts, tuple(parts), nn.Sequential(*parts)):
        assert_close(from_torch(modules).predict_proba(TOKENS), expected, 1e-6)
    last = from_torch(parts[:-1], output="vector", classes=["a", "b", "c"])
    assert last.predict(TOKENS).shape == (4,)
    stacked = [nn.GRU(N_CHANNELS, 4), nn.GRU(4, 2)]
    with torch.no_grad():
        expected = stacked[1](stacked[0](torch.as_tensor(X).transpose(0, 1))[0])[0]
    assert_close(from_torch(stacked).predict(X), expected.transpose(0, 1).numpy(), 1e-6)


class Last(nn.Module):
    """Picks what people want of the two things that a recurrent module puts out."""

    def forward(self, outputs):
        return outputs[0][:, -1]


def test_a_sequential_with_a_module_that_picks_the_last_step():
    recurrent = nn.GRU(N_CHANNELS, N_UNITS, batch_first=True)
    module = nn.Sequential(recurrent, Last(), nn.Linear(N_UNITS, 2), nn.Softmax(dim=1))
    assert_close(from_torch(module).predict_proba(X), outputs(module, X), 1e-6)


def test_halves_become_float32():
    model = from_torch(nn.GRU(N_CHANNELS, N_UNITS).to(torch.bfloat16))
    assert model.predict(X).dtype == np.float32


class Scaled(Network):
    """Has a parameter of its own."""

    def __init__(self):
        super().__init__(nn.GRU(N_CHANNELS, N_UNITS, batch_first=True), 2, "last")
        self.scale = nn.Parameter(torch.ones(2))


class Masked(Network):
    """Takes more than sequences."""

    def forward(self, x, mask):
        return super().forward(x * mask)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.LSTM(3, 5, proj_size=2), r"module 'module' \(LSTM\) got projections"),
        (lambda: nn.LSTM(3, 5, proj_size=2).state_dict(), r"got projections"),
        (lambda: [nn.LSTM(3, 5, proj_size=2)], r"module 0 \(LSTM\) got projections"),
        (lambda: nn.Linear(3, 2), r"\(Linear\) got a Linear there, expected an Embedding or none"),
        (lambda: nn.GRUCell(3, 5), r"\(GRUCell\) got a GRUCell there"),
        (lambda: [nn.Linear(3, 3), nn.GRU(3, 5)], r"module 0 \(Linear\) got a Linear there"),
        (
            lambda: [nn.GRU(3, 5), nn.Linear(5, 4), nn.Linear(4, 2)],
            r"module 2 \(Linear\) got a Lin",
        ),
        (lambda: [nn.GRU(3, 5), nn.LSTM(5, 5)], r"layer 0, got a LSTM, expected a GRU with reset"),
        (lambda: [nn.GRU(3, 5), nn.Softmax(0)], r"\(Softmax\) got dim=0, expected outputs, along"),
        (
            lambda: [nn.GRU(3, 5), nn.Softmax(-1), nn.Linear(5, 2)],
            r"got a place behind the outputs",
        ),
        (
            lambda: [nn.Embedding(7, 3, max_norm=1.0), nn.GRU(3, 5)],
            r"got max_norm=1.0, expected Non",
        ),
        (lambda: [nn.Embedding(7, 3)], r"model got no recurrent layer, expected at least one"),
        (Scaled, r"module '' \(Scaled\) got a Scaled there"),
        (
            lambda: Masked(nn.GRU(3, 5, batch_first=True), 2, "last"),
            r"got a forward that raises TypeError on shape \(3, 5, 3\): .*mask.*, expected one",
        ),
        (
            lambda: Network(nn.GRU(3, 5, batch_first=True), 2, "last", torch.tanh),
            r"module got a forward with outputs of shape \(3, 2\) that are not those of its parts",
        ),
    ],
)
def test_modules_that_are_refused(make, message):
    with pytest.raises(ValueError, match=rf"^elman.from_torch: .*{message}"):
        from_torch(make())


def test_an_output_that_a_module_does_not_have():
    module = Network(nn.GRU(3, 5, batch_first=True), 2, "last")
    assert elman.from_torch(module, output="vector").predict(X).shape == (4, 2)
    with pytest.raises(ValueError, match=r"output got 'sequence', expected 'vector', or 'auto'"):
        from_torch(module, output="sequence")
