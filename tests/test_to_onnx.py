"""Graphs that `to_onnx` writes, run by ONNX Runtime, say what `predict` says."""

import subprocess
import sys
from dataclasses import replace

import elman
import numpy as np
import pytest
from elman import RNNClassifier, RNNRegressor, SequenceScaler, SlidingWindow
from hypothesis import given
from interchange import assert_close, cases, predictions, random_weights
from scipy import sparse
from sklearn.ensemble import StackingRegressor, VotingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:skl2onnx"),
]

NATIVE = {"RNN", "GRU", "LSTM"}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(9, 6, 3)).astype(np.float32)
LENGTHS = np.array([6, 1, 3, 2, 6, 5, 4, 3, 2])
RAGGED = [x[:n] for x, n in zip(X, LENGTHS, strict=True)]


def session_of(proto):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns of inputs that may be left out
    return onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def run(proto, **feeds):
    """Outputs by name."""
    session = session_of(proto)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))


def inputs_of(case):
    return case.X if case.X.dtype.kind == "i" else case.X.astype(np.float32)


def regressor(**options):
    return RNNRegressor(**{"hidden_layer_sizes": 5, "max_iter": 2, "random_state": 0, **options})


def classifier(**options):
    return RNNClassifier(**{"hidden_layer_sizes": 5, "max_iter": 2, "random_state": 0, **options})


def assert_same(got, expected):
    """Numbers within 1e-5, labels exactly."""
    if expected.dtype.kind == "f":
        assert_close(got, expected)
    else:
        np.testing.assert_array_equal(got, expected)


@given(cases())
def test_sequences_of_one_length(case):
    got = run(elman.to_onnx(case.model), X=inputs_of(case))
    expected = predictions(case.model, case.X)
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert_same(got[name], value)


@given(cases())
def test_ragged_sequences(case):
    got = run(elman.to_onnx(case.model), X=inputs_of(case), lengths=case.lengths)
    for name, value in predictions(case.model, case.ragged).items():
        if not case.per_step:
            assert_same(got[name], value)
            continue
        for of_sequence, expected, n in zip(got[name], value, case.lengths, strict=True):
            assert_same(of_sequence[:n], expected)
            if name != "label":
                assert np.isnan(of_sequence[n:]).all()


@given(cases(kinds=["squared_error"]))
def test_states_in_and_out(case):
    proto = elman.to_onnx(case.model, states=True)
    y, states = case.model.predict(case.ragged, return_state=True)
    got = run(proto, X=inputs_of(case), lengths=case.lengths)
    for name, state in states.items():
        assert_close(got[f"final_state.{name}"], state)
    rng = np.random.default_rng(0)
    initial = {name: rng.normal(size=state.shape) for name, state in states.items()}
    feeds = {f"initial_state.{name}": state.astype(np.float32) for name, state in initial.items()}
    got = run(proto, X=inputs_of(case), lengths=case.lengths, **feeds)
    y, states = case.model.predict(case.ragged, initial_state=initial, return_state=True)
    for name, state in states.items():
        assert_close(got[f"final_state.{name}"], state)
    if not case.per_step:
        assert_close(got["y"], y)


@pytest.mark.parametrize("opset", [17, 18, 21, 22])
@pytest.mark.parametrize("cell", ["simple", "gru", "lstm", "min_gru", "min_lstm"])
def test_each_version_of_the_operators(cell, opset):
    options = {"layer_norm": True} if cell.startswith("min") else {}
    model = regressor(cell=cell, bidirectional=True, residual=True, **options)
    model.set_params(hidden_layer_sizes=(5, 5)).fit(X, X[:, :, :2])
    proto = elman.to_onnx(model, opset=opset, states=True)
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", opset)]
    got = run(proto, X=X, lengths=LENGTHS)["y"]
    for of_sequence, expected in zip(got, model.predict(RAGGED), strict=True):
        assert_close(of_sequence[: len(expected)], expected)


@pytest.mark.parametrize(
    ("cell", "operator"),
    [("simple", "RNN"), ("gru", "GRU"), ("lstm", "LSTM"), ("min_gru", "GRU"), ("min_lstm", "GRU")],
)
def test_operators_are_native(cell, operator):
    model = regressor(cell=cell, hidden_layer_sizes=(4, 3), bidirectional=(True, False))
    proto = elman.to_onnx(model.fit(X, X[:, 0, 0]))
    operators = [node.op_type for node in proto.graph.node]
    assert [name for name in operators if name in NATIVE] == [operator, operator]
    assert not {"Loop", "Scan", "If"} & set(operators)
    assert "layout" not in {a.name for node in proto.graph.node for a in node.attribute}
    assert (proto.producer_name, proto.producer_version) == ("elman", elman.__version__)


def test_batch_and_length_are_free():
    model = regressor().fit(X, X[:, 0, 0])
    session = session_of(elman.to_onnx(model))
    for shape in [(1, 1, 3), (4, 20, 3), (30, 2, 3)]:
        other = np.ones(shape, np.float32)
        (y,) = session.run(None, {"X": other})
        assert_close(y, model.predict(other))
    assert session.get_inputs()[0].shape == ["n_samples", "n_timesteps", 3]


def test_nan_after_the_end_of_a_sequence_is_not_read():
    model = regressor(bidirectional=True).fit(X, X[:, 0, 0])
    padded = X.copy()
    for x, n in zip(padded, LENGTHS, strict=True):
        x[n:] = np.nan
    got = run(elman.to_onnx(model), X=padded, lengths=LENGTHS)["y"]
    assert_close(got, model.predict(padded))


@pytest.mark.parametrize(
    "labels",
    [["up", "down"], ["c", "b", "a"], [3, 1], [1, 5, 9], [-1.0, 1.0], [False, True]],
    ids=str,
)
@pytest.mark.parametrize("per_step", [False, True])
def test_labels(labels, per_step):
    labels = np.array(labels)
    y = labels[RNG.integers(0, len(labels), (9, 6) if per_step else 9)]
    y.flat[: len(labels)] = labels
    model = classifier(output="sequence" if per_step else "auto").fit(X, y)
    got = run(elman.to_onnx(model), X=X)
    assert got["label"].tolist() == model.predict(X).tolist()
    assert_close(got["probabilities"], model.predict_proba(X))


def test_a_column_of_labels_at_each_step_keeps_its_axis():
    y = np.where(X[:, :, :1] > 0, "up", "down")
    model = classifier().fit(X, y)
    np.testing.assert_array_equal(run(elman.to_onnx(model), X=X)["label"], model.predict(X))


def test_features_come_as_a_dense_array():
    rows = [sparse.random_array((6, 11), density=0.3, rng=RNG).tocsr() for _ in range(9)]
    model = regressor(input="tokens", embedding_dim=4).fit(rows, np.arange(9.0))
    dense = np.stack([row.toarray() for row in rows]).astype(np.float32)
    assert_close(run(elman.to_onnx(model), X=dense)["y"], model.predict(rows))


def test_vectors_are_fed_at_every_step():
    V = RNG.normal(size=(9, 4)).astype(np.float32)
    model = regressor(input="vector").fit(V, X)
    proto = elman.to_onnx(model)
    assert_close(run(proto, X=V)["y"], model.predict(V))
    longer = run(proto, X=V, n_timesteps=np.array([11]))["y"]
    assert_close(longer, model.predict(V, n_timesteps=11))


@pytest.mark.parametrize("cell", ["simple", "gru", "lstm"])
def test_layer_normalisation_is_refused_where_states_are_in_the_sums(cell):
    model = regressor(cell=cell, layer_norm=True).fit(X, X[:, 0, 0])
    with pytest.raises(ValueError, match=r"model got layer_norm=True .* do not normalise the sums"):
        elman.to_onnx(model)


@pytest.mark.parametrize("missing", ["mask", "decay"])
def test_missing_values_are_refused(missing):
    model = regressor(missing=missing).fit(X, X[:, 0, 0])
    with pytest.raises(ValueError, match=rf"model got missing='{missing}', expected missing=None"):
        elman.to_onnx(model)


@pytest.mark.parametrize(
    "part", [{"input_layer": 4}, {"head_layer": 4}, {"head_inputs": True}], ids=str
)
def test_parts_of_a_network_that_a_graph_has_no_place_for(part):
    model = regressor().fit(X, X[:, 0, 0])
    architecture = {**model._model.architecture, **part}
    n_parameters = elman._core.Network(**architecture).n_parameters
    zeros = np.zeros(n_parameters, np.float32)
    model._model = replace(model._model, architecture=architecture, parameters=zeros)
    ((name, value),) = part.items()
    with pytest.raises(ValueError, match=rf"model got {name}={value}, expected none: graphs have"):
        elman.to_onnx(model)


def test_labels_that_onnx_has_not():
    days = np.array(["2024-01-01", "2024-01-02"], dtype="datetime64[D]")
    model = classifier().fit(X, days[np.arange(9) % 2])
    with pytest.raises(
        ValueError, match=r"model got classes of dtype datetime64\[D\], expected int"
    ):
        elman.to_onnx(model)


def test_weights_beyond_float32():
    model = regressor().fit(X.astype(np.float64), X[:, 0, 0])
    weights = model.weights_
    weights["head.b"][0] = 1e100
    with pytest.raises(ValueError, match=r"model got head.b too large for float32"):
        elman.to_onnx(model.set_weights(weights))


def test_what_is_no_fitted_estimator():
    with pytest.raises(NotFittedError):
        elman.to_onnx(RNNRegressor())
    with pytest.raises(NotFittedError):
        elman.to_onnx(make_pipeline(StandardScaler(), RNNRegressor()))
    for other in (object(), None, SequenceScaler()):
        with pytest.raises(TypeError, match=r"model got .*, expected a fitted RNNRegressor"):
            elman.to_onnx(other)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (elman.NaiveForecaster(), "a NaiveForecaster, which has no network"),
        (elman.LinearForecaster(), "a LinearForecaster, which has no network"),
        (elman.RNNForecaster(), "a RNNForecaster, whose windows, mixtures and quantiles around"),
        (elman.RNNImputer(), "a RNNImputer, whose mixture of fills around its networks"),
        (elman.TokenSequencer(), "a TokenSequencer, which reads texts outside of the graph"),
        (elman.CountRatioEncoder(), "a CountRatioEncoder, which looks tokens up outside"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_estimators_that_no_graph_is_written_of(model, reason):
    with pytest.raises(TypeError, match=f"^elman.to_onnx: model got {reason}"):
        elman.to_onnx(model)
    with pytest.raises(ValueError, match=r"model got a .* as 'first', .*, expected RNNReg"):
        elman.to_onnx(Pipeline([("first", model), ("second", regressor())]))


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"opset": 16}, "opset got 16, expected an integer from 17"),
        ({"opset": 9999}, "opset got 9999"),
        ({"opset": True}, "opset got True"),
        ({"states": 1}, "states got 1, expected True or False"),
    ],
)
def test_options_are_checked(options, argument):
    with pytest.raises(ValueError, match=argument):
        elman.to_onnx(regressor().fit(X, X[:, 0, 0]), **options)


WITHOUT = """
import sys
sys.modules["onnx"] = sys.modules["skl2onnx"] = None
import elman
for call in (lambda: elman.to_onnx(elman.RNNRegressor()), lambda: elman.from_onnx(b""),
             elman.register_skl2onnx):
    try:
        call()
    except ImportError as error:
        print(error)
"""


def test_without_the_packages_an_import_error_names_the_extra():
    result = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True)
    lines = result.stdout.splitlines()[-3:]
    assert [line.endswith("pip install 'elman[onnx]'") for line in lines] == [True] * 3, result


# Pipelines, by skl2onnx

TABLE = RNG.normal(size=(40, 12)) * 3 + 5
SUM = TABLE[:, :3].sum(axis=1)
THREE = TABLE.reshape(40, 6, 2).copy()
THREE[3, 4:] = THREE[5, 1:] = np.nan


def assert_converts(model, data, opset=17):
    got = run(elman.to_onnx(model, opset=opset), X=data.astype(np.float32))
    if "label" in got:
        np.testing.assert_array_equal(got["label"], model.predict(data))
        assert_close(got["probabilities"], model.predict_proba(data))
        return
    (y,) = got.values()
    expected = model.predict(data)
    is_there = ~np.isnan(expected)
    y = y.reshape(expected.shape)  # scikit-learn's converters keep an axis for one output
    assert np.isnan(y[~is_there]).all()
    assert_close(y[is_there], expected[is_there])


@pytest.mark.parametrize("opset", [17, 21])
@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), regressor()),
        make_pipeline(StandardScaler(), regressor(n_channels=3, cell="lstm")),
        GridSearchCV(make_pipeline(MinMaxScaler(), regressor()), {"rnnregressor__alpha": [0, 1]}),
        VotingRegressor([("rnn", regressor()), ("ridge", Ridge())]),
        StackingRegressor([("rnn", make_pipeline(StandardScaler(), regressor())), ("r", Ridge())]),
    ],
    ids=["scaler", "channels", "grid", "voting", "stacking"],
)
def test_pipelines_on_tables(model, opset):
    assert_converts(model.fit(TABLE, SUM), TABLE, opset)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_pipelines_that_classify(n_classes):
    y = np.array(["a", "b", "c"])[np.arange(40) % n_classes]
    assert_converts(make_pipeline(StandardScaler(), classifier()).fit(TABLE, y), TABLE)


@pytest.mark.parametrize("method", ["standard", "minmax", "mean_abs", "robust"])
@pytest.mark.parametrize("by", ["channel", "sequence"])
def test_sequences_scaled(by, method):
    model = make_pipeline(SequenceScaler(by=by, method=method), regressor()).fit(THREE, SUM)
    table = make_pipeline(
        SequenceScaler(by=by, method=method, n_channels=2), regressor(n_channels=2)
    ).fit(TABLE, SUM)
    if (by, method) == ("sequence", "robust"):
        with pytest.raises(ValueError, match="model got method='robust' with by='sequence'"):
            elman.to_onnx(model)
        return
    constant = THREE.copy()
    constant[7, :, 0], constant[8], constant[8, 0] = 0.1, np.nan, 3.3
    assert_converts(model, constant)
    assert_converts(table, TABLE)


def test_steps_of_scaled_sequences():
    model = make_pipeline(SequenceScaler(), regressor()).fit(THREE, np.nan_to_num(THREE))
    assert_converts(model, THREE)


def test_a_search_over_tokens():
    tokens = RNG.integers(0, 7, (12, 5))
    model = classifier(input="tokens", n_tokens=7, embedding_dim=3)
    search = GridSearchCV(model, {"alpha": [0, 1]}, cv=2).fit(tokens, np.arange(12) % 2)
    got = run(elman.to_onnx(search), X=tokens)
    np.testing.assert_array_equal(got["label"], search.predict(tokens))
    assert_close(got["probabilities"], search.predict_proba(tokens))


def test_vectors_in_a_pipeline():
    model = make_pipeline(StandardScaler(), regressor(input="vector")).fit(TABLE, THREE[:, :1])
    assert_converts(model, TABLE)


def test_columns_that_come_one_by_one():
    import skl2onnx
    from skl2onnx.common.data_types import FloatTensorType

    elman.register_skl2onnx()
    model = regressor(n_channels=6).fit(TABLE, SUM)
    types = [("a", FloatTensorType([None, 6])), ("b", FloatTensorType([None, 6]))]
    proto = skl2onnx.convert_sklearn(model, initial_types=types)
    single = TABLE.astype(np.float32)
    got = run(proto, a=single[:, :6], b=single[:, 6:])["variable"]
    assert_close(got[:, 0], model.predict(TABLE))


def test_windows_of_a_series():
    series = RNG.normal(size=(50, 2)).cumsum(axis=0)
    model = make_pipeline(SlidingWindow(window=5), SequenceScaler(), regressor())
    model.fit(series[:-1], series[1:, 0])
    assert_converts(model, series)
    assert_converts(model, series[:2])


def test_registered_with_skl2onnx():
    import skl2onnx

    elman.register_skl2onnx()
    model = make_pipeline(StandardScaler(), classifier()).fit(TABLE, np.arange(40) % 3)
    got = run(skl2onnx.to_onnx(model, TABLE[:1]), X=TABLE)
    np.testing.assert_array_equal(got["output_label"], model.predict(TABLE))
    rows = [list(row.values()) for row in got["output_probability"]]
    assert_close(np.array(rows), model.predict_proba(TABLE))
    numbers = make_pipeline(StandardScaler(), regressor()).fit(TABLE, SUM)
    got = run(skl2onnx.to_onnx(numbers, TABLE[:1]), X=TABLE)["variable"]
    assert got.dtype == np.float64
    assert_close(got[:, 0], numbers.predict(TABLE))


def test_an_encoder_decoder_in_a_pipeline():
    model = make_pipeline(SequenceScaler(), elman.Seq2SeqRegressor())
    with pytest.raises(ValueError, match="as 'seq2seqregressor', which becomes two graphs of its"):
        elman.to_onnx(model)


# Encoder-decoders

WORDS = ["stop", "live", "drawer", "evil", "part", "tuba", "devil", "pals"]


def numbers_of(words, tokens):
    lengths = np.array([len(word) for word in words])
    padded = np.zeros((len(words), lengths.max()), np.int64)
    for row, word in zip(padded, words, strict=True):
        row[: len(word)] = np.searchsorted(tokens, list(word)) + 1
    return padded, lengths


def decode(graphs, n_steps, lengths=None, **sources):
    """Outputs of each step, by name, each step from the one before."""
    decoder = session_of(graphs.decoder)
    names = {value.name for value in graphs.decoder.graph.input}
    if lengths is not None:
        sources["lengths"] = lengths
    encoded = run(graphs.encoder, **sources)
    feeds = {name: value for name, value in {**encoded, **sources}.items() if name in names}
    steps = []
    for _ in range(n_steps):
        outputs = [output.name for output in decoder.get_outputs()]
        step = dict(zip(outputs, decoder.run(None, feeds), strict=True))
        steps.append(step)
        feeds["previous"] = step["token" if "token" in step else "values"]
        feeds |= {k.removeprefix("next_"): v for k, v in step.items() if k.startswith("next_")}
    return {name: np.stack([step[name] for step in steps], axis=1) for name in steps[0]}


def translator(**options):
    defaults = {"hidden_layer_sizes": 9, "max_iter": 2, "max_length": 9, "random_state": 0}
    return elman.Seq2SeqTranslator(**{**defaults, **options})


@pytest.mark.parametrize("attention", [None, "dot", "general", "additive"])
@pytest.mark.parametrize("cell", ["simple", "gru", "lstm", "min_gru"])
@pytest.mark.parametrize(
    "options",
    [{}, {"bidirectional": True, "merge_mode": "sum"}, {"hidden_layer_sizes": (4, 9)}],
    ids=["plain", "both", "deep"],
)
def test_greedy_answers(attention, cell, options):
    model = translator(attention=attention, cell=cell, **options)
    model.fit(WORDS, [word[::-1] for word in WORDS])
    random_weights(model, np.random.default_rng(1))
    X, lengths = numbers_of(WORDS, model.source_tokens_)
    got = decode(elman.to_onnx(model), 9, X=X, lengths=lengths)
    answers = model.predict(WORDS)
    log_p = model.predict_log_proba(WORDS, answers)
    stop = len(model.target_tokens_)
    for i, answer in enumerate(answers):
        tokens = np.append(np.searchsorted(model.target_tokens_, list(answer)), stop)
        n = min(len(tokens), 9)  # without a stop token the answer ends at max_length
        np.testing.assert_array_equal(got["token"][i, :n], tokens[:n])
        if n == len(tokens):
            total = got["log_probabilities"][i, np.arange(n), tokens].sum()
            assert_close(total, log_p[i])
        if attention:
            expected = model.attention_weights([WORDS[i]], [answer])[0][:n]
            assert_close(got["attention"][i, :n, : lengths[i]], expected)
            assert not got["attention"][i, :, lengths[i] :].any()


def test_a_decoder_of_another_size_reads_a_vector():
    V = RNG.normal(size=(8, 4)).astype(np.float32)
    model = translator(input="vector", attention=None, decoder_layer_sizes=(5, 3)).fit(V, WORDS)
    random_weights(model, np.random.default_rng(1))
    got = decode(elman.to_onnx(model), 9, X=V)["token"]
    for row, answer in zip(got, model.predict(V), strict=True):
        numbers = np.searchsorted(model.target_tokens_, list(answer))
        np.testing.assert_array_equal(row[: len(numbers)], numbers)


@pytest.mark.parametrize("attention", [None, "general", "additive"])
def test_values_step_by_step(attention):
    waves = np.sin(np.arange(30) / 3 + RNG.uniform(0, 30, (20, 1))) * 5 + 7
    model = elman.Seq2SeqRegressor(hidden_layer_sizes=8, attention=attention, max_iter=3)
    model.set_params(random_state=0).fit(waves[:, :20], waves[:, 20:])
    X = waves[:, :20, None].astype(np.float32)
    got = decode(elman.to_onnx(model), 10, X=X)["values"]
    assert_close(got[:, :, 0], model.predict(waves[:, :20]))


def test_values_that_end_by_themselves():
    series = [np.ones((2 + i % 4, 2)) * i for i in range(20)]
    model = elman.Seq2SeqRegressor(hidden_layer_sizes=8, max_iter=60, learning_rate_init=0.02)
    model.set_params(random_state=0, max_length=6).fit(np.ones((20, 3, 1)), series)
    got = decode(elman.to_onnx(model), 6, X=np.ones((20, 3, 1), np.float32))
    for i, expected in enumerate(model.predict(np.ones((20, 3, 1)))):
        assert_close(got["values"][i, : len(expected)], expected)
        assert not got["is_last"][i, : len(expected) - 1].any()
        assert got["is_last"][i, len(expected) - 1] or len(expected) == 6


def test_states_of_an_encoder_decoder_are_there_anyway():
    model = translator().fit(WORDS, WORDS)
    with pytest.raises(ValueError, match="states got True, expected False with a Seq2SeqTransl"):
        elman.to_onnx(model, states=True)
