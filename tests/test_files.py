"""Model files: what goes in comes out, others can read it, and loading does nothing else."""

import copy
import functools
import json
import os
import pickle
import re
import stat
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import elman
import numpy as np
import pytest
from elman import (
    CountRatioEncoder,
    LinearForecaster,
    ModelCorruptError,
    ModelFileError,
    RNNClassifier,
    RNNForecaster,
    RNNImputer,
    RNNRegressor,
    Seq2SeqTranslator,
    SequenceScaler,
    TokenSequencer,
    load,
    save,
)
from elman._checkpoint import FitProgress
from elman._disk import read_file
from elman._files import digest
from elman._pickles import CheckedPickleMixin
from elman._registry import _ESTIMATORS, _OTHERS, estimator_kind, kind_named
from model_files import (
    MODELS,
    SOURCE,
    TOKENS,
    WORDS,
    Parts,
    X,
    Y,
    file_of,
    fit,
    forecaster,
    header_and_data,
    outcome,
    read,
    same,
    table,
)
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ROOT = Path(__file__).resolve().parent.parent
model_of = functools.cache(lambda name: MODELS[name]())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def run_python(code, **options):
    """Run code in a process of its own that knows the modules of the tests."""
    prelude = "import os, sys, warnings; warnings.simplefilter('ignore'); import elman\n"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "SKBUILD_EDITABLE_VERBOSE": "0"}
    result = subprocess.run(
        [sys.executable, "-c", prelude + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        **options,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.splitlines()[-1]


# What goes in comes out.


def assert_equal(a, b):
    """Whether values are equal, arrays and all that holds them to the bit."""
    if isinstance(a, np.random.RandomState):
        a, b = (digest(generator, SOURCE) for generator in (a, b))
    elif isinstance(a, np.ndarray):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.dtype == object or a.tobytes() == b.tobytes()
        a, b = a.tolist(), b.tolist()
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for name in a:
            assert_equal(a[name], b[name])
        return
    elif isinstance(a, (list, tuple)):
        assert (type(a), len(a)) == (type(b), len(b))
        for one, other in zip(a, b, strict=True):
            assert_equal(one, other)
        return
    elif isinstance(a, BaseEstimator):
        assert type(a) is type(b)
        assert_equal(vars(a), vars(b))
        return
    elif is_dataclass(a):
        a, b = file_of(a), file_of(b)
    assert type(a) is type(b)
    assert a == b or (a != a and b != b)  # NaN


@pytest.mark.parametrize("name", MODELS)
def test_everything_that_an_estimator_is_comes_back(name, path):
    model = model_of(name)
    save(model, path)
    again = load(path)
    assert type(again) is type(model)
    assert same(outcome(again, name), outcome(model, name))
    assert_equal(again.get_params(), model.get_params())
    assert_equal(vars(again), vars(model))
    assert path.read_bytes() == file_of(model) == file_of(again)


@pytest.mark.parametrize("name", MODELS)
def test_copies_and_pickles_carry_the_same(name):
    model = model_of(name)
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):
        assert file_of(again) == file_of(model)
        assert_equal(vars(again), vars(model))


@pytest.mark.parametrize("name", [name for name in MODELS if hasattr(model_of(name), "_model")])
def test_without_training_a_file_is_smaller_and_says_the_same(name, path):
    model = model_of(name)
    save(model, path, include_training=False)
    again = load(path)
    has_moments = model._model.training.solver_state is not None
    assert len(path.read_bytes()) + has_moments <= len(file_of(model))
    assert same(outcome(again, name), outcome(model, name))
    assert again.loss_curve_ == model.loss_curve_
    assert file_of(load(path)) == path.read_bytes()


@pytest.mark.parametrize(
    "name", ["regressor", "regressor of steps", "classifier of integers", "classifier of tokens"]
)
def test_training_goes_on_with_the_same_bits(name, path):
    model = MODELS[name]().set_params(early_stopping=False)
    inputs = TOKENS if "tokens" in name else X.astype(model._model.inputs.dtype)
    y = {"regressor of steps": X.cumsum(axis=1), "regressor": Y}.get(name)
    y = model.predict(inputs) if y is None else y
    save(model, path)
    for again in (load(path), pickle.loads(pickle.dumps(model))):
        expected = copy.deepcopy(model)
        for _ in range(2):
            expected.partial_fit(inputs, y)
            again.partial_fit(inputs, y)
        assert file_of(again) == file_of(expected)
    for one in (again, expected):
        one.set_params(warm_start=True).fit(inputs, y)
    assert file_of(again) == file_of(expected)


def test_an_encoder_decoder_goes_on_with_the_same_bits(path):
    model = fit(Seq2SeqTranslator, WORDS, WORDS, warm_start=True, embedding_dim=3)
    save(model, path)
    again = load(path).fit(WORDS, WORDS)
    assert file_of(again) == file_of(model.fit(WORDS, WORDS))


def test_without_training_it_goes_on_from_the_weights(path):
    model = fit(RNNRegressor, X, 100 * Y + 7)
    save(model, path, include_training=False)
    again = load(path).partial_fit(X, 100 * Y + 7)
    expected = copy.deepcopy(model).set_weights(model.weights_).partial_fit(X, 100 * Y + 7)
    for name, weights in again.weights_.items():
        np.testing.assert_array_equal(weights, expected.weights_[name])


def test_parameters_of_every_kind(path):
    parameters = {
        "hidden_layer_sizes": np.array([3, 2]),
        "bidirectional": [np.True_, False],
        "alpha": np.float32(0.1),
        "batch_size": np.int64(5),
        "n_iter_no_change": float("inf"),
        "random_state": np.random.RandomState(3),
        "checkpoint": Path("../fits"),
        "cell": np.str_("gru"),
        "loss": "squared_error",
    }
    model = RNNRegressor(**parameters, max_iter=1)
    model.set_params(checkpoint=None).fit(X, Y)
    save(model.set_params(checkpoint=parameters["checkpoint"]), path)
    assert_equal(load(path).get_params(), model.get_params())


def test_numbers_of_numpy_as_parameters(path):
    two = np.int64(2)
    for model in (
        fit(RNNRegressor, table(), Y, n_channels=two),
        fit(RNNImputer, table(), n_channels=two, season_length=two, window=two),
        forecaster(RNNForecaster, X[:, 0, 0], horizon=two, window=np.int64(4), segment_length=two),
        forecaster(LinearForecaster, X[:, 0, 0], horizon=two, window=two, season_length=two),
    ):
        save(model, path)
        assert file_of(load(path)) == path.read_bytes()


def test_what_set_output_has_set_is_kept(path):
    scaler = SequenceScaler(n_channels=2).fit(table()).set_output(transform="pandas")
    save(scaler, path)
    assert load(path).transform(table()).equals(scaler.transform(table()))


def test_labels_that_look_alike_keep_their_types(path):
    for labels in (
        ["1", "2"],
        ["a", "λ\0\n\"'"],
        [True, False],
        np.array([1, 2], "u1"),
        ["", "x"],
        np.array(["2020-01-01", "2021-01-01"], "M8[D]"),
    ):
        y = np.array(labels)[(Y > 0).astype(int)]
        model = fit(RNNClassifier, X, y)
        save(model, path)
        assert_equal(load(path).predict(X), model.predict(X))


def test_a_vocabulary_is_a_tensor_of_bytes(path):
    words = [f"word{i}" for i in range(10_000)]
    for sequencer in (
        TokenSequencer().fit([" ".join(words)]),
        TokenSequencer(vocabulary=words).fit(["x"]),
    ):
        save(sequencer, path)
        assert len(header_and_data(path.read_bytes())[0]) < 2000
        assert load(path).vocabulary_ == sequencer.vocabulary_
        assert load(path).vocabulary == sequencer.vocabulary


def test_strings_of_very_different_lengths_take_the_room_of_their_array():
    words = np.array([*map(str, range(100)), "é" * 100_000])
    for array in (words, words.reshape(1, 101)):
        data = file_of(array)
        assert_equal(read(data), array)
        assert words.nbytes < len(data) < words.nbytes + 1000


KEPT_OTHERWISE = (
    "ForecastModel",
    "ImputationModel",
    "Model",
    "ModelStack",
    "Seq2SeqModel",
    "TrainingState",
)


def test_the_table_of_classes_knows_every_field():
    for name in _OTHERS:
        kind = kind_named(name)
        assert kind.cls.__name__ == name
        if is_dataclass(kind.cls) and name not in KEPT_OTHERWISE:
            assert {field.name for field in fields(kind.cls)} == set(kind.rules) - {"unit"}
    for name in _ESTIMATORS:
        assert getattr(elman, name) is kind_named(name).cls
        assert set(estimator_kind(kind_named(name).cls).attributes) == set(
            kind_named(name).rules
        ) - {"parameters"}


def test_keys_that_look_alike_are_two():
    arrays = {1: np.arange(3), "1": np.arange(4)}
    assert_equal(read(file_of(arrays)), arrays)


# Others can read it, and it is what it says.


def test_any_safetensors_reader_opens_it(path):
    safetensors = pytest.importorskip("safetensors")
    for name in MODELS:
        model = model_of(name)
        save(model, path)
        with safetensors.safe_open(path, "np") as file:
            metadata = file.metadata()
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        assert metadata["elman_version"] == elman.__version__
        assert list(json.loads(metadata["content"])) == [type(model).__name__]
        for weight, array in getattr(model, "weights_", {}).items():
            np.testing.assert_array_equal(tensors[f"model.weights.{weight}"], array)
        assert len(header_and_data(path.read_bytes())[0]) < 2**14


def test_versions_are_named():
    parts = Parts.of(file_of(model_of("window")))
    parts.metadata |= {"format_version": "7", "elman_version": "3.1"}
    with pytest.raises(elman.ModelVersionError) as error:
        read(parts.join())
    assert re.search(
        rf"elman 3\.1 .*format 7.*elman {elman.__version__}.*up to 1", str(error.value)
    )


def test_a_field_from_before_it_was_kept_has_its_default():
    parts = Parts.of(file_of(model_of("regressor")))
    estimator = parts.content["RNNRegressor"]
    pairs = estimator["parameters"]["dict"]
    estimator["parameters"]["dict"] = [pair for pair in pairs if pair[0] != "max_iter"]
    del estimator["model"]["Model"]["inputs"]["InputForm"]["n_tokens"]
    assert read(parts.join()).max_iter == RNNRegressor().max_iter


def test_nonfinite_weights_need_permission(path):
    model = copy.deepcopy(model_of("regressor"))
    parameters = model._model.parameters.copy()
    parameters[3] = np.nan
    with pytest.raises(ValueError, match=r"model\.weights\.[a-zA-Z_.0]+ got NaN or infinity"):
        save(_with_model(model, replace(model._model, parameters=parameters)), path)
    assert not path.exists()
    parts = Parts.of(file_of(model_of("regressor")))
    dtype, shape, _ = parts.tensors["model.weights.head.b"]
    parts.tensors["model.weights.head.b"] = (dtype, shape, np.array([np.nan], "f4").tobytes())
    path.write_bytes(parts.join())
    with pytest.raises(ModelCorruptError, match="allow_nonfinite=True"):
        load(path)
    damaged = load(path, allow_nonfinite=True)
    assert np.isnan(damaged.weights_["head.b"]).all()
    with pytest.raises(ValueError, match="expected outputs that are finite"):
        damaged.predict(X.astype("f4"))


def _with_model(model, fitted):
    model = copy.deepcopy(model)
    model._model = fitted
    return model


# What cannot be saved is told before anything is written.

UNSAVABLE = {
    "not fitted": (RNNRegressor, NotFittedError, "a RNNRegressor that is not fitted yet"),
    "another class": (
        dict,
        TypeError,
        "a dict, expected one of CountRatioEncoder, HiddenState",
    ),
    "a pipeline": (
        lambda: make_pipeline(SequenceScaler(), model_of("regressor")),
        TypeError,
        "a Pipeline, expected one of",
    ),
    "a class of one's own": (
        lambda: fit(type("Mine", (RNNRegressor,), {}), X, Y),
        TypeError,
        "a Mine, expected one of",
    ),
    "a function": (
        lambda: TokenSequencer(analyzer=str.split).fit(["a b"]),
        TypeError,
        "parameters.analyzer got <method 'split'.*a file holds no code",
    ),
    "a table of numbers": (
        lambda: fit(
            RNNClassifier, TOKENS, Y > 0, input="tokens", embedding=table().iloc[:9], n_tokens=9
        ),
        TypeError,
        "parameters.embedding got .*a DataFrame, expected numbers, strings, arrays",
    ),
    "half a character": (
        lambda: fit(RNNClassifier, X, np.where(Y > 0, "\ud800", "a").astype(object)),
        ValueError,
        "model.task.classes got .*half of a character",
    ),
    "a parameter that fit would refuse": (
        lambda: fit(RNNRegressor, X, Y).set_params(cell="transformer"),
        ValueError,
        "parameters.cell got 'transformer', expected one of 'simple'",
    ),
    "another kind of generator": (
        lambda: fit(RNNRegressor, X, Y).set_params(
            random_state=np.random.RandomState(np.random.PCG64(1))
        ),
        ValueError,
        "parameters.random_state got a RandomState of PCG64",
    ),
    "byte strings": (
        lambda: fit(RNNRegressor, X, Y).set_params(embedding=np.zeros((2, 2), "S3")),
        TypeError,
        r"parameters.embedding got a ndarray of dtype \|S3, expected an array of numbers or",
    ),
    "long doubles": (
        lambda: fit(RNNRegressor, X, Y).set_params(embedding=np.zeros((2, 2), np.longdouble)),
        TypeError,
        "parameters.embedding got dtype .*, expected numbers of up to 64 bits",
    ),
}


@pytest.mark.parametrize("what", UNSAVABLE)
def test_what_cannot_be_saved(what, path):
    make, error, message = UNSAVABLE[what]
    with pytest.raises(error) as raised:
        save(make(), path)
    assert re.search(f"^elman.save: model.*{message}", str(raised.value)), str(raised.value)
    assert list(path.parent.iterdir()) == []


def test_a_header_has_a_limit(path, monkeypatch):
    monkeypatch.setattr("elman._safetensors.LARGEST_HEADER", 2000)
    with pytest.raises(ValueError, match=r"model got what takes a header of [0-9]+ bytes"):
        save(model_of("regressor"), path)
    assert not path.exists()


def test_pickles_still_carry_what_a_file_cannot():
    model = TokenSequencer(analyzer=str.split).fit(["a b"])
    assert pickle.loads(pickle.dumps(model)).vocabulary_ == model.vocabulary_
    mine = pickle.loads(pickle.dumps(fit(Mine, X, Y)))
    np.testing.assert_array_equal(mine.predict(X), fit(Mine, X, Y).predict(X))


class Mine(RNNRegressor):
    """A class of somebody's own."""


class Bare(CheckedPickleMixin, BaseEstimator):
    """An estimator that the table of classes does not know."""


def test_an_estimator_that_no_file_can_hold_is_pickled_as_any_other():
    bare = Bare()
    bare.fitted_ = 3
    assert pickle.loads(pickle.dumps(bare)).fitted_ == 3


def test_109_pickles_are_checked():
    model = model_of("scaler")
    state = model.__getstate__()
    assert "_form" not in state
    for bad, message in [
        ({**state, "_form": 3}, r"got \['_form'\] that nothing has checked"),
        ({**state, "_fitted": 3}, "got a int, expected bytes"),
        ({**state, "_fitted": state["_fitted"][:-1]}, "checksum"),
        ({**state, "_fitted": file_of([1])}, "got a list, expected a dict"),
        ({**state, "_fitted": model_of("window").__getstate__()["_fitted"]}, "n_features got"),
        ([1], "got a list, expected a dict"),
    ]:
        with pytest.raises(ModelFileError, match=message):
            SequenceScaler().__setstate__(bad)
    ratios = model_of("count ratios").__getstate__()
    labels = np.array([np.zeros(0), np.zeros(0), None], dtype=object)[:2]
    fitted = {**read(ratios["_fitted"]), "classes": labels}
    with pytest.raises(ModelCorruptError, match="got what makes no CountRatioEncoder"):
        CountRatioEncoder().__setstate__({**ratios, "_fitted": file_of(fitted)})
    network = model_of("regressor")._model
    with pytest.raises(ModelCorruptError, match="got a InputForm, expected a Model"):
        object.__new__(type(network)).__setstate__(file_of(network.inputs))
    with pytest.raises(ModelCorruptError, match="got a Seq2SeqModel, expected a Model"):
        object.__new__(type(network)).__setstate__(file_of(model_of("translator")._model))


def test_109_a_checkpoint_that_does_not_go_together():
    progress = FitProgress(
        "RNNRegressor",
        {"max_iter": 3},
        {},
        np.random.RandomState(0),
        model_of("regressor")._model.training,
        None,
        False,
    )
    assert_equal(read(file_of(progress)).parameters, progress.parameters)
    without = replace(progress.state, solver_state=None)
    for change, message in [
        ({"state": without}, "state got no parameters, moments or epochs, expected all of them"),
        ({"state": replace(progress.state, n_iter=0)}, "n_iter got .* expected all zero or none"),
        ({"best_parameters": np.zeros(3, "f4")}, r"best_parameters got \(3,\), expected"),
        ({"parameters": {}}, "parameters.max_iter got no number"),
    ]:
        with pytest.raises(ModelCorruptError, match=message):
            read(file_of(replace(progress, **change)))


# Loading does nothing else.


def test_another_process_writes_the_same_bytes_and_loading_them_does_nothing_else(path):
    code = f"""
        from model_files import MODELS
        elman.save(MODELS["translator"](), {str(path)!r})
        elman.load({str(path)!r})
        seen = []
        def hook(event, arguments):
            kinds = ("open", "import", "exec", "compile", "os.", "socket", "subprocess", "pickle",
                     "marshal", "ctypes")
            if event.startswith(kinds):
                seen.append((event, arguments[0]))
        sys.addaudithook(hook)
        elman.load({str(path)!r})
        print(seen)
    """
    assert run_python(code) == f"[('open', {str(path)!r})]"
    assert path.read_bytes() == file_of(model_of("translator"))


def test_names_in_a_file_are_never_opened(tmp_path, path):
    other = tmp_path / "other"
    other.write_text("secret")
    model = copy.deepcopy(model_of("tokens")).set_params(unknown_token=f"file://{other}")
    save(model, path)
    other.unlink()
    assert load(path).unknown_token == f"file://{other}"


@pytest.mark.parametrize("include_training", [True, False])
@pytest.mark.parametrize("scale_targets", [True, False])
def test_loading_takes_the_room_of_the_file(path, include_training, scale_targets):
    big = X.astype("f4")
    model = fit(RNNRegressor, big, Y, hidden_layer_sizes=600, scale_targets=scale_targets)
    save(model, path, include_training=include_training)
    load(path)
    tracemalloc.start()
    again = load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.05 * path.stat().st_size + 2**18
    np.testing.assert_array_equal(again.predict(big), model.predict(big))


def test_a_file_of_petabytes_is_refused_at_once(path):
    data = file_of(model_of("window"))
    with open(path, "wb") as file:
        file.write(data)
        file.truncate(2**43)  # sparse: no disk is used
    with pytest.raises(MemoryError, match=f"a file of {2**43} bytes, expected at most"):
        load(path)


def test_108_a_file_that_changes_while_it_is_read(path, monkeypatch):
    data = file_of(model_of("regressor"))
    path.write_bytes(data)
    status = os.stat(path)
    for size in (len(data) + 8, len(data) - 1):
        with monkeypatch.context() as patch:
            patch.setattr(
                os, "fstat", lambda descriptor, size=size: _with_size(status, size), raising=True
            )
            with pytest.raises(ModelCorruptError, match="changed while it was read"):
                read_file(path, SOURCE)


def _with_size(status, size):
    values = list(status)
    values[stat.ST_SIZE] = size
    return os.stat_result(values)


def test_110_threads_load_one_file(path):
    model = model_of("regressor")
    save(model, path)
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(file_of(load(path)))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [file_of(model)] * 16


# Files of older versions.

GOLDEN = sorted((ROOT / "tests" / "golden").rglob("*.safetensors"))


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_23_old_files_say_what_they_said(golden):
    expected = json.loads((golden.parent / "expected.json").read_text())[golden.stem]
    model = load(golden)
    name = golden.stem.replace("_", " ")
    result = outcome(model, name)
    assert len(result) == len(expected)
    for got, wanted in zip(result, expected, strict=True):
        if got.dtype.kind != "f":
            assert got.tolist() == wanted
        else:  # instruction sets differ in the last bits
            is_single = got.dtype == np.float32 or "recurrent" in name
            rtol = 1e-5 if is_single else 1e-10
            np.testing.assert_allclose(got, np.array(wanted), rtol=rtol, atol=rtol / 10)
    parts = Parts.of(golden.read_bytes())
    for weight, array in getattr(model, "weights_", {}).items():
        assert array.tobytes() == parts.tensors[f"model.weights.{weight}"][2]


def test_there_is_an_old_file_of_each_estimator():
    assert {type(load(path)).__name__ for path in GOLDEN} == set(_ESTIMATORS)
