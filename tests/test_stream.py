"""Streams give, step by step, the bits that whole sequences have, however these are cut."""

import copy
import itertools
import pickle
import threading
import tracemalloc

import elman
import numpy as np
import pytest
from elman import RNNClassifier, RNNRegressor, Seq2SeqRegressor, Seq2SeqTranslator, _core
from hypothesis import given
from hypothesis import strategies as st
from interchange import torch_weights
from problems import CELLS, cast_values, problems, steps_between
from scipy import sparse
from sklearn.exceptions import NotFittedError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def one_way(problem):
    problem.options["bidirectional"] = [False] * len(problem.options["bidirectional"])
    if problem.options["residual"]:
        problem.options["hidden_layer_sizes"] = [17] * len(problem.options["hidden_layer_sizes"])
    problem.__post_init__()
    return problem


def rows_of(values, rows):
    """Some steps of what the core takes, in this order."""
    parts = [steps_between(values, row, row + 1) for row in rows]
    if not isinstance(values, tuple):
        return np.concatenate(parts)
    first = np.cumsum([0, *(part[0][-1] for part in parts)])
    return first, *(np.concatenate([part[k] for part in parts]) for k in (1, 2))


@given(problem=problems(), dtype=st.sampled_from(["float32", "float64"]))
def test_bits_of_whole_sequences(problem, dtype):
    """Ragged: a stream is dropped when its sequence has ended; its state is the final one."""
    problem = one_way(problem)
    core = problem.core(dtype)
    parameters = problem.parameters.astype(dtype)
    values, offsets = cast_values(problem.values, dtype), problem.offsets
    expected, final = core.forward(parameters, values, offsets, per_step=True)
    stream = _core.Stream(
        _core.Predictor(core, parameters, per_step=True), n_streams=len(problem.lengths)
    )
    alive = np.arange(len(problem.lengths))
    for t in range(max(problem.lengths)):
        goes_on = np.flatnonzero(np.array(problem.lengths)[alive] > t)
        if len(goes_on) < len(alive):
            ended = np.delete(alive, goes_on)
            assert np.array_equal(np.delete(stream.states, goes_on, axis=0), final[ended])
            stream.keep(goes_on)
            alive = alive[goes_on]
        outputs = stream.step(rows_of(values, offsets[alive] + t))
        assert np.array_equal(outputs, expected[offsets[alive] + t])
    assert np.array_equal(stream.states, final[alive])


@given(problem=problems(), begin=st.integers(0, 11))
def test_states_go_between_streams_and_whole_sequences(problem, begin):
    problem = one_way(problem)
    core, n = problem.core(), int(problem.offsets[-1])
    begin = min(begin, n - 1)
    expected, final = core.forward(
        problem.parameters, problem.values, np.array([0, n]), per_step=True
    )
    predictor = _core.Predictor(core, problem.parameters, per_step=True)
    stream = _core.Stream(predictor)
    for t in range(begin):
        stream.step(rows_of(problem.values, [t]))
    other = _core.Stream(predictor)
    other.states = stream.states
    rest, last = predictor.forward(
        steps_between(problem.values, begin, n),
        np.array([0, n - begin]),
        initial_state=stream.states,
    )
    assert np.array_equal(rest, expected[begin:])
    assert np.array_equal(last, final)
    for t in range(begin, n):
        assert np.array_equal(other.step(rows_of(problem.values, [t]))[0], expected[t])


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_thousands_of_streams(cell, n_threads):
    """More than are taken together, and more work than one thread is given."""
    name, activation, reset_after = cell
    core = _core.Network(
        dtype="float32",
        cell=name,
        activation=activation,
        reset_after=reset_after,
        hidden_layer_sizes=[40],
        bidirectional=[False],
        n_channels=2,
        n_outputs=1,
        head=True,
    )
    x = np.random.default_rng(0).normal(size=(5000, 3, 2)).astype(np.float32)
    predictor = _core.Predictor(core, core.initialize(0), per_step=True, n_threads=n_threads)
    stream = _core.Stream(predictor, n_streams=5000)
    got = np.stack([stream.step(x[:, t].copy()) for t in range(3)], axis=1)
    assert np.array_equal(got.reshape(-1, 1), predictor(x))


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(30, 7, 2))


def fitted(estimator, X, y):
    return estimator.set_params(max_iter=3, random_state=0).fit(X, y)


def stepped(stream, X):
    return np.stack([stream.step(X[:, t]) for t in range(X.shape[1])], axis=1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", ["squared_error", "poisson", "gaussian_nll"])
def test_regressors(X, dtype, loss):
    X, y = X.astype(dtype), np.abs(X).cumsum(axis=1)
    model = fitted(RNNRegressor(loss=loss, hidden_layer_sizes=(9, 9), layer_norm=True), X, y)
    expected = model.predict(X)
    got = stepped(model.stream(30), X)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, expected)
    alone = model.stream()
    np.testing.assert_array_equal([alone.step(x_t) for x_t in X[4]], expected[4])
    many, some = np.empty((30, 2), dtype), model.stream(30)
    assert some.step(X[:, 0], out=many) is many
    np.testing.assert_array_equal(many, expected[:, 0])


@pytest.mark.parametrize("n_labels", [2, 3])
@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_classifiers(X, method, n_labels):
    labels = np.array(["a", "b", "c"])[np.arange(30 * 7).reshape(30, 7) % n_labels]
    model = fitted(RNNClassifier(output="sequence"), X, labels)
    expected = getattr(model, method)(X)
    got = stepped(model.stream(30, method=method), X)
    np.testing.assert_array_equal(got[..., 0] if method == "predict" else got, expected)
    out = np.empty(got.shape[2:], got.dtype)
    assert model.stream(method=method).step(X[3, 0], out=out) is out
    np.testing.assert_array_equal(out, got[3, 0])


def test_several_labels(X):
    model = fitted(RNNClassifier(), X, (X[:, 0] > 0).astype(int))
    np.testing.assert_array_equal(stepped(model.stream(30), X)[:, -1], model.predict(X))


def test_targets_of_sequences_are_those_of_the_sequence_so_far(X):
    model = fitted(RNNRegressor(), X, X[:, :, 0].sum(axis=1))
    got = stepped(model.stream(30), X)
    for t in range(7):
        np.testing.assert_array_equal(got[:, t, 0], model.predict(X[:, : t + 1]))


@pytest.mark.parametrize("missing", ["mask", "decay"])
def test_missing_values(X, missing):
    X = X.copy()
    X[np.random.default_rng(1).random(X.shape) < 0.4] = np.nan
    X[:, 3] = np.nan
    X[:, -1] = 0.5
    model = fitted(RNNRegressor(missing=missing, hidden_layer_sizes=(8, 8)), X, np.arange(30.0))
    expected, state = model.predict(X, return_state=True)
    stream = model.stream(30)
    first = stepped(stream, X[:, :4])
    assert first.shape == (30, 4, 1)
    # A new stream, and predict itself, go on from there.
    other = model.stream(30)
    other.state = stream.state
    np.testing.assert_array_equal(stepped(other, X[:, 4:])[:, -1, 0], expected)
    np.testing.assert_array_equal(model.predict(X[:, 4:], initial_state=stream.state), expected)
    assert other.state.keys() == state.keys()
    for name, array in other.state.items():
        np.testing.assert_array_equal(array, state[name])


def test_tokens():
    X = np.random.default_rng(0).integers(0, 9, size=(30, 7))
    y = np.take(np.linspace(-1, 1, 9), X)[:, :, None].cumsum(axis=1)
    model = fitted(RNNRegressor(input="tokens", n_tokens=9), X, y)
    expected = model.predict(X)
    np.testing.assert_array_equal(stepped(model.stream(30), X), expected)
    alone = model.stream()
    for kind in (int, np.uint8, np.int32, lambda token: [token]):
        alone.reset()
        got = [np.ravel(alone.step(kind(token))) for token in X[2]]
        np.testing.assert_array_equal(got, expected[2])
    for wrong in (9, -1, 2**40):
        with pytest.raises(ValueError, match=rf"x_t got the token {wrong}, expected 0 to 8"):
            alone.step(wrong)
    with pytest.raises(ValueError, match=r"x_t got dtype float64, expected integers"):
        alone.step(1.0)


def test_features():
    X = [sparse.random(7, 5, density=0.4, format="csr", random_state=i) for i in range(6)]
    y = [np.asarray(x.sum(axis=1)).cumsum() for x in X]
    model = fitted(RNNRegressor(input="tokens"), X, y)
    expected = np.stack(model.predict(X))
    stream = model.stream(6)
    for t in range(7):
        got = stream.step(sparse.vstack([x[t] for x in X]))
        np.testing.assert_array_equal(got[:, 0], expected[:, t])
    with pytest.raises(ValueError, match=r"x_t got a sparse matrix of shape \(6, 4\)"):
        stream.step(sparse.csr_array((6, 4)))


def test_a_vector_is_fed_at_every_step(X):
    vectors = X[:, 0]
    model = fitted(RNNRegressor(input="vector"), vectors, X)
    expected, stream = model.predict(vectors, n_timesteps=9), model.stream(30)
    for t in range(9):
        np.testing.assert_array_equal(stream.step(vectors), expected[:, t])


def test_what_x_t_may_look_like(X):
    model = fitted(RNNRegressor(), X, X[:, :, :1])
    expected = model.predict(X)[:, 0]
    alone, many = model.stream(), model.stream(30)
    for x_t in (X[0, 0], X[0, 0].tolist(), np.asfortranarray(X[:, 0])[0], X[0, 0][::-1][::-1]):
        alone.reset()
        np.testing.assert_array_equal(alone.step(x_t), expected[0])
    for x_t in (X[:, 0], X[:, 0].tolist(), np.asfortranarray(X[:, 0])):
        many.reset()
        np.testing.assert_array_equal(many.step(x_t), expected)
    alone.reset()
    np.testing.assert_array_equal(alone.step(X[:1, 0]), expected[:1])


def test_one_channel_needs_no_axis(X):
    X = X[:, :, :1]
    model = fitted(RNNRegressor(), X, X)
    expected = model.predict(X)[:, 0]
    alone, many = model.stream(), model.stream(30)
    x = X[0, 0, 0]
    for x_t, shape in ((float(x), (1,)), (x, (1,)), ([x], (1,)), (np.array(x), (1,))):
        alone.reset()
        assert alone.step(x_t).shape == shape
        alone.reset()
        np.testing.assert_array_equal(alone.step(x_t), expected[0])
    np.testing.assert_array_equal(many.step(X[:, 0, 0]), expected)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (np.zeros(2), r"shape \(2,\), expected \(3, 2\)"),
        (np.zeros((3, 3)), r"shape \(3, 3\)"),
        (np.zeros((1, 3, 2)), r"shape \(1, 3, 2\)"),
        (0.0, r"shape \(\)"),
        (np.full((3, 2), np.nan), r"6 values of NaN, the first at \(stream 0, channel 0\)"),
        (np.array([[0, 0], [0, np.inf], [0, 0]]), r"infinity, .* \(stream 1, channel 1\)"),
        (np.full((3, 2), 1e39), r"too large for dtype float32"),
        ([[1, 2], [3], [4]], r"no array"),
        (np.zeros((3, 2)) * 1j, r"complex"),
        (None, r"None"),
        (sparse.csr_array((3, 2)), r"a sparse matrix"),
    ],
)
def test_what_does_not_fit_changes_nothing(X, wrong, what):
    X = X.astype(np.float32)
    model = fitted(RNNRegressor(), X, X[:, :, :1])
    stream, twin = model.stream(3), model.stream(3)
    for each in (stream, twin):
        each.step(X[:3, 0])
    with pytest.raises((ValueError, TypeError), match=f"Stream.step: x_t got .*{what}"):
        stream.step(wrong)
    np.testing.assert_array_equal(stream.step(X[:3, 1]), twin.step(X[:3, 1]))


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_an_out_that_does_not_fit_changes_nothing(X, loss):
    model = fitted(RNNRegressor(loss=loss), X, np.abs(X[:, :, :1]))
    stream, twin = model.stream(3), model.stream(3)
    frozen = np.zeros((3, 1))
    frozen.flags.writeable = False
    for out in (
        np.zeros((3, 2)),
        np.zeros(3),
        np.zeros((3, 1), np.float32),
        np.zeros((3, 2))[:, :1],
        frozen,
        [[0.0]] * 3,
    ):
        with pytest.raises(ValueError, match=r"Stream.step: out got .*, expected a C-contiguous"):
            stream.step(X[:3, 0], out=out)
    np.testing.assert_array_equal(stream.step(X[:3, 0]), twin.step(X[:3, 0]))


def test_with_out_nothing_is_allocated(X):
    X = X.astype(np.float32)
    model = fitted(RNNRegressor(hidden_layer_sizes=(20, 20)), X, X[:, :, :1])
    for n_streams in (1, 30):
        stream, out = model.stream(n_streams), np.empty((n_streams, 1), np.float32)
        x_t = X[:n_streams, 0].copy()
        stream.step(x_t, out)
        tracemalloc.start()
        for _ in itertools.repeat(None, 100):
            stream.step(x_t, out)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 500  # a few of Python's own integers, no array


def test_streams_come_and_go(X):
    """Against streams of their own for each sequence."""
    model = fitted(RNNRegressor(cell="lstm"), X, X[:, :, :1])
    rng = np.random.default_rng(2)
    stream, alone = model.stream(3), [model.stream() for _ in range(3)]
    for t in range(40):
        if t % 5 == 1:
            numbers = stream.add(int(rng.integers(0, 9)))
            assert numbers.tolist() == list(range(len(alone), stream.n_streams))
            alone += [model.stream() for _ in numbers]
        elif t % 5 == 2:
            mask = rng.random(len(alone)) < 0.3
            stream.drop(mask if t % 2 else np.flatnonzero(mask))
            alone = list(itertools.compress(alone, ~mask))
        elif t % 5 == 3 and alone:
            stream.reset(-1)
            stream.reset(slice(0, 1))
            for i in {0, len(alone) - 1}:
                alone[i] = model.stream()
        assert stream.n_streams == len(alone)
        x_t = rng.normal(size=(len(alone), 2))
        expected = [one.step(x) for one, x in zip(alone, x_t, strict=True)]
        np.testing.assert_array_equal(stream.step(x_t), np.reshape(expected, (-1, 1)))
    for name, array in stream.state.items():
        for i, one in enumerate(alone):
            np.testing.assert_array_equal(array[i], one.state[name][0])
    stream.reset()
    assert not any(array.any() for array in stream.state.values())


def test_states_are_copies(X):
    model = fitted(RNNRegressor(), X, X[:, :, :1])
    stream = model.stream(2)
    before = stream.state
    stream.step(X[:2, 0])
    assert not before["layers.0.h"].any()
    saved = stream.state
    expected = stream.step(X[:2, 1])
    stream.state = saved
    saved["layers.0.h"][...] = 7.0
    np.testing.assert_array_equal(stream.step(X[:2, 1]), expected)
    stream.state = None
    np.testing.assert_array_equal(stream.step(X[:2, 0])[:, 0], model.predict(X[:2])[:, 0, 0])


@pytest.mark.parametrize(
    ("state", "what"),
    [
        ({}, r"state got the names \[\], expected"),
        ({"layers.0.h": np.zeros((1, 32))}, r"shape \(1, 32\), expected shape \(2, 32\)"),
        ({"layers.0.h": np.full((2, 32), np.nan)}, "NaN"),
        (np.zeros((2, 32)), "a dict of"),
    ],
)
def test_states_that_do_not_fit(X, state, what):
    stream = fitted(RNNRegressor(), X, X[:, :, :1]).stream(2)
    stream.step(X[:2, 0])
    before = stream.state
    with pytest.raises((ValueError, TypeError), match=rf"Stream.state: .*{what}"):
        stream.state = state
    np.testing.assert_array_equal(stream.state["layers.0.h"], before["layers.0.h"])


@pytest.mark.parametrize(
    "which",
    [2, -3, [0, 2], [True], True, 0.5, "a", [0.0], [[0, 1]], {0}, ..., None, slice("a", None)],
)
def test_streams_that_are_not_there(X, which):
    stream = fitted(RNNRegressor(), X, X[:, :, :1]).stream(2)
    for method in ("reset", "drop") if which is not None else ("drop",):
        with pytest.raises(ValueError, match=rf"Stream.{method}: which got .*, expected numbers"):
            getattr(stream, method)(which)
    assert stream.n_streams == 2


@pytest.mark.parametrize("which", [(0, 2), [-3, 2, 2], np.int8([0, 2]), slice(0, 3, 2)])
def test_streams_by_number(X, which):
    stream = fitted(RNNRegressor(), X, X[:, :, :1]).stream(3)
    stream.step(X[:3, 0])
    stream.reset([])
    stream.drop(np.array([]))
    kept = stream.state["layers.0.h"][1]
    stream.drop(which)
    np.testing.assert_array_equal(stream.state["layers.0.h"], [kept])


def test_outputs_may_go_where_the_inputs_are(X):
    model = fitted(RNNRegressor(), X, X)
    for n_streams in (1, 30):
        stream, twin = model.stream(n_streams), model.stream(n_streams)
        expected, buffer = X[:n_streams, 0], X[:n_streams, 0].copy()
        for _ in range(4):
            expected = twin.step(expected)
            assert stream.step(buffer, out=buffer) is buffer
            np.testing.assert_array_equal(buffer, expected)


IMPORTED = {
    "torch, RNN": lambda: elman.from_torch(torch_weights(1)),
    "torch, LSTM": lambda: elman.from_torch(torch_weights(4)),
    "onnx, GRU": lambda: elman.from_onnx(elman.to_onnx(elman.from_torch(torch_weights(3)))),
}


@pytest.mark.parametrize("name", IMPORTED)
def test_estimators_that_came_in(X, name):
    if name.startswith("onnx"):
        pytest.importorskip("onnx")
    X = X.astype(np.float32)
    model = IMPORTED[name]()
    np.testing.assert_array_equal(stepped(model.stream(30), X), model.predict(X))


def test_estimators_with_quantiles_checkpoints_and_files(X, tmp_path):
    y = X.cumsum(axis=1)
    for model in (
        RNNRegressor(loss="quantile", quantile=0.9, bptt_memory="checkpoint"),
        RNNRegressor(checkpoint=tmp_path / "fit", checkpoint_every=1),
    ):
        fitted(model, X, y)
        elman.save(model, tmp_path / "model.safetensors")
        for each in (model, elman.load(tmp_path / "model.safetensors")):
            np.testing.assert_array_equal(stepped(each.stream(30), X), model.predict(X))


def test_copies_and_pickles_go_on_by_themselves(X):
    stream = fitted(RNNRegressor(), X, X[:, :, :1]).stream(30)
    stream.step(X[:, 0])
    others = [copy.copy(stream), copy.deepcopy(stream), pickle.loads(pickle.dumps(stream))]
    expected = stream.step(X[:, 1])
    for other in others:
        np.testing.assert_array_equal(other.step(X[:, 1]), expected)


def test_a_later_fit_changes_nothing(X):
    model = fitted(RNNRegressor(), X, X[:, :, :1])
    expected, stream = model.predict(X)[:, 0], model.stream(30)
    fitted(model, X, -X[:, :, :1])
    np.testing.assert_array_equal(stream.step(X[:, 0]), expected)


def test_threads_take_turns(X):
    """However the steps of threads mix, each is made once and whole."""
    model = fitted(RNNRegressor(cell="simple", activation="identity", hidden_layer_sizes=1), X, X)
    weights = {name: np.zeros_like(array) for name, array in model.weights_.items()}
    weights["layers.0.W_hh"][...] = weights["layers.0.b_h"][...] = 1.0  # h counts the steps
    stream = model.set_weights(weights).stream(n_streams=50)
    x_t = np.zeros((50, 2))

    def work():
        for _ in range(500):
            stream.step(x_t)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (stream.state["layers.0.h"] == 4000).all()


def test_long_steps_of_two_threads_take_turns_without_the_gil():
    core = _core.Network(
        dtype="float32",
        cell="simple",
        activation="identity",
        reset_after=True,
        hidden_layer_sizes=[256],
        bidirectional=[False],
        n_channels=1,
        n_outputs=1,
        head=True,
    )
    parameters = np.zeros(core.n_parameters, np.float32)
    named = {name: (shape, offset) for name, shape, offset in core.parameters}
    (n, _), offset = named["layers.0.W_hh"]
    parameters[offset : offset + n * n] = np.eye(n).ravel()
    _, offset = named["layers.0.b_h"]
    parameters[offset : offset + n] = 1.0
    predictor = _core.Predictor(core, parameters, per_step=True, n_threads=2)
    stream = _core.Stream(predictor, n_streams=400)
    x_t = np.zeros((400, 1), np.float32)
    threads = [
        threading.Thread(target=lambda: [stream.step(x_t) for _ in range(10)]) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (stream.states == 30).all()


def test_what_has_no_stream(X):
    with pytest.raises(NotFittedError, match=r"RNNRegressor.stream"):
        RNNRegressor().stream()
    model = fitted(
        RNNClassifier(bidirectional=(True, False), hidden_layer_sizes=(3, 3)), X, X[:, 0, 0] > 0
    )
    with pytest.raises(ValueError, match=r"bidirectional got True, expected False: a layer that"):
        model.stream()
    model = fitted(RNNClassifier(), X, X[:, 0, 0] > 0)
    with pytest.raises(ValueError, match=r"method got 'decision', expected one of \['predict', "):
        model.stream(method="decision")
    for n in (-1, 1.5, True, "a", None):
        with pytest.raises(ValueError, match=r"RNNClassifier.stream: n_streams got"):
            model.stream(n)
        with pytest.raises(ValueError, match=r"Stream.add: n got"):
            model.stream().add(n)
    for estimator in (Seq2SeqRegressor(), Seq2SeqTranslator()):
        with pytest.raises(ValueError, match=r"stream: model got an encoder-decoder, whose"):
            estimator.stream()


def test_no_stream_at_all(X):
    model = fitted(RNNRegressor(), X, X[:, :, :1])
    stream = model.stream(0)
    assert stream.step(np.zeros((0, 2))).shape == (0, 1)
    assert stream.add().tolist() == [0]
    np.testing.assert_array_equal(stream.step(X[0, 0]), model.predict(X[:1])[0, 0])
    stream.drop(slice(None))
    assert repr(stream) == "Stream(n_streams=0)"
