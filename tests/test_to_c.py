"""Headers that `to_c` writes: compiled as strictly as C99 can be, and run against `predict`."""

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path

import elman
import numpy as np
import pytest
from elman import RNNClassifier, RNNRegressor, _core
from hypothesis import given, settings
from hypothesis import strategies as st
from interchange import torch_weights
from problems import CELLS
from scipy import sparse
from sklearn.exceptions import NotFittedError

GCC = shutil.which("gcc")
ARM_GCC = shutil.which("arm-none-eabi-gcc")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
N_STEPS = 6
# What a program calls is "static inline" in the header.
LIBRARY = """
#include "model.h"
#if {has_tokens}
#define INPUT const int32_t
#define AT(t) x[t]
#else
#define INPUT const float
#define AT(t) x + (t) * NET_N_CHANNELS
#endif
int state_size(void);
int n_outputs(void);
void init(net_state *state);
void step(net_state *state, INPUT *x, int t, float *y);
void predict(INPUT *x, int n_steps, float *y);
int state_size(void) {{ return (int)sizeof(net_state); }}
int n_outputs(void) {{ return NET_N_OUTPUTS; }}
void init(net_state *state) {{ net_init(state); }}
void step(net_state *state, INPUT *x, int t, float *y) {{ net_step(state, AT(t), y); }}
void predict(INPUT *x, int n_steps, float *y) {{ net_predict(x, n_steps, y); }}
"""

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.skipif(GCC is None, reason="gcc is not installed"),
]


class Compiled:
    """A model's header as a library."""

    def __init__(self, model, level="-O2"):
        has_tokens = model.input == "tokens"
        with tempfile.TemporaryDirectory() as folder:
            elman.to_c(model, Path(folder, "model.h"), prefix="net")
            source = Path(folder, "library.c")
            source.write_text(LIBRARY.format(has_tokens=int(has_tokens)))
            library = Path(folder, "library.so")
            command = [GCC, *STRICT, level, "-shared", "-fPIC", source, "-o", library, "-lm"]
            result = subprocess.run(command, capture_output=True, text=True)
            assert result.returncode == 0, result.stderr
            self.library = ctypes.CDLL(str(library))
        self.n_outputs = self.library.n_outputs()
        self.dtype = np.int32 if has_tokens else np.float32

    def steps(self, x):
        x = np.ascontiguousarray(x, self.dtype)
        state = ctypes.create_string_buffer(self.library.state_size())
        self.library.init(state)
        y = np.empty((len(x), self.n_outputs), np.float32)
        for t in range(len(x)):
            self.library.step(state, pointer(x), t, pointer(y[t]))
        return y

    def predict(self, x, n_steps, n_rows):
        x = np.ascontiguousarray(x, self.dtype)
        y = np.empty((n_rows, self.n_outputs), np.float32)
        self.library.predict(pointer(x), n_steps, pointer(y))
        return y


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


@st.composite
def models(draw):
    """Fitted estimators with every part that can be written, and a sequence for each."""
    cell, activation, reset_after = draw(st.sampled_from(CELLS))
    depth, per_step = draw(st.integers(1, 3)), draw(st.booleans())
    residual, layer_norm = draw(st.booleans()), draw(st.booleans())
    # The sums of few units may be all but alike, and normalisation divides by their differences.
    least = 6 if layer_norm else 1
    widths = draw(st.lists(st.integers(least, 21), min_size=depth, max_size=depth))
    options = {
        "cell": cell,
        "activation": activation,
        "reset_after": reset_after,
        "hidden_layer_sizes": [widths[0]] * depth if residual else widths,
        "residual": residual,
        "layer_norm": layer_norm,
        "max_iter": 1,
        "random_state": 0,
    }
    inputs = draw(st.sampled_from(["numbers", "numbers", "mask", "decay", "tokens"]))
    dtype, n_channels = draw(st.sampled_from([np.float32, np.float64])), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    X = rng.normal(size=(6, N_STEPS, n_channels)).astype(dtype)
    if inputs == "tokens":
        X = rng.integers(0, 9, size=(6, N_STEPS))
        options |= {"input": "tokens", "n_tokens": 9, "embedding_dim": n_channels}
    elif inputs != "numbers":
        options["missing"] = inputs
        X[rng.random(X.shape) < 0.3] = np.nan
        X[:, -1] = 0.5
    shape = (6, N_STEPS) if per_step else (6,)
    output = {"output": "sequence" if per_step else "vector"}
    task = draw(st.sampled_from(["squared_error", "poisson", "gaussian_nll", 2, 3, "labels"]))
    if task == "labels":
        y = rng.integers(0, 2, (*shape, 3))
        model = RNNClassifier(**output, **options)
    elif isinstance(task, int):
        y = np.arange(np.prod(shape)).reshape(shape) % task
        model = RNNClassifier(**output, **options)
    else:
        y = rng.uniform(size=(*shape, draw(st.integers(least, 7))))
        head = draw(st.sampled_from(["dense", None]))
        if head is None:
            n_features = y.shape[-1] * (2 if task == "gaussian_nll" else 1)
            sizes = options["hidden_layer_sizes"]
            options["hidden_layer_sizes"] = (
                [n_features] * depth if residual else [*sizes[:-1], n_features]
            )
        model = RNNRegressor(loss=task, head=head, **output, **options)
    model.fit(X, y)
    weights = {
        name: array + 0.2 * rng.normal(size=array.shape) for name, array in model.weights_.items()
    }
    return model.set_weights(weights), X


def rows_of(model, X, dtype, per_step):
    """Predictions of the core for weights of float32, at each step or of whole sequences."""
    fitted = model._model
    core = _core.Network(**{**fitted.architecture, "dtype": dtype})
    values = X.reshape(-1) if X.dtype.kind == "i" else X.reshape(-1, X.shape[-1]).astype(dtype)
    outputs, _ = core.forward(
        fitted.parameters.astype(np.float32).astype(dtype),
        values.astype(np.int32) if X.dtype.kind == "i" else values,
        np.arange(len(X) + 1) * N_STEPS,
        per_step=per_step,
    )
    method = "predict_proba" if isinstance(model, RNNClassifier) else "predict"
    return fitted.finishes()[method](outputs)


def error(got, expected):
    return np.abs(got - expected).max() / np.abs(expected).max()


def check(model, X, got, per_step):
    """Within 1e-6, or where float32 costs the core a good part of that, a few times as much.

    Logits may be large, and exponentials of them; C has two roundings where the core has one.
    """
    exact = rows_of(model, X, "float64", per_step)
    of_core = error(rows_of(model, X, "float32", per_step), exact)
    assert error(got.reshape(exact.shape), exact) < max(1e-6, 5 * of_core)


@settings(max_examples=settings.default.max_examples // 2)
@given(case=models(), level=st.sampled_from(["-O0", "-O1", "-O2", "-O3"]))
def test_steps_and_whole_sequences(case, level):
    model, X = case
    compiled, per_step = Compiled(model, level), model._model.targets.per_step
    check(model, X, np.stack([compiled.steps(x) for x in X]), True)
    n_rows = N_STEPS if per_step else 1
    check(model, X, np.stack([compiled.predict(x, N_STEPS, n_rows) for x in X]), per_step)


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(30, 8, 2)).astype(np.float32)


def fitted(estimator, X, y):
    estimator.set_params(max_iter=100, learning_rate_init=0.01, random_state=0)
    return estimator.fit(X, y)


@pytest.mark.parametrize("n_gates", [1, 3, 4])
@pytest.mark.parametrize("classes", [None, ["a", "b"]])
def test_estimators_that_came_in(n_gates, classes, X):
    weights = {name: array / 2 for name, array in torch_weights(n_gates).items()}
    model = elman.from_torch(weights, output="sequence", classes=classes)
    compiled, X = Compiled(model), X[:, :N_STEPS]
    check(model, X, np.stack([compiled.steps(x) for x in X]), True)


@pytest.mark.parametrize("cell", ["simple", "gru", "lstm", "min_gru", "min_lstm"])
def test_predictions_of_trained_models(cell, X):
    model = fitted(RNNRegressor(cell=cell, hidden_layer_sizes=(20, 20)), X, X[:, :, 0].sum(axis=1))
    compiled = Compiled(model)
    got = [compiled.predict(x, 8, 1)[0, 0] for x in X]
    assert error(np.array(got), model.predict(X)) < 1e-6


def test_a_vector_is_fed_at_every_step(X):
    model = fitted(RNNRegressor(input="vector"), X[:, 0], X)
    got = [Compiled(model).predict(X[3, 0], 11, 11)]
    assert error(np.array(got), model.predict(X[3:4, 0], n_timesteps=11)) < 1e-6


def test_saturated_gates_and_values_that_are_not_there(X):
    """What is large stays finite, NaN stays NaN."""
    model = fitted(RNNRegressor(cell="lstm"), X, X[:, :, :1])
    compiled = Compiled(model)
    huge = np.float32(1e30) * np.sign(X[0])
    assert error(compiled.steps(huge), model.predict(huge[None])[0]) < 1e-6
    assert np.isnan(compiled.steps(np.full((1, 2), np.nan))).all()


def test_tokens_that_are_not_there_are_the_unknown_one():
    tokens = np.random.default_rng(0).integers(0, 9, size=(30, 8))
    model = fitted(RNNRegressor(input="tokens", n_tokens=9), tokens, tokens.sum(axis=1) / 9.0)
    compiled = Compiled(model)
    outside = np.array([2, 9, -1, 2**31 - 1])
    np.testing.assert_array_equal(compiled.steps(outside), compiled.steps([2, 0, 0, 0]))


PROGRAM = """
#include <stdio.h>
#include "first.h"
#include "second.h"
int main(void)
{
    static const float x[2] = {0.5f, -1.0f};
    float p[FIRST_N_OUTPUTS], y[SECOND_N_OUTPUTS];
    first_state first;
    second_state second;
    first_init(&first);
    second_init(&second);
    first_step(&first, x, p);
    second_step(&second, x, y);
    printf("%d %.9g\\n", first_label(p), y[0]);
    return 0;
}
"""


def write_two(X, folder):
    labels = np.array(["*/ no end", "/* \u00e9", "c"])[np.arange(30) % 3]
    classifier = fitted(RNNClassifier(cell="simple"), X, labels)
    regressor = fitted(RNNRegressor(cell="lstm"), X, X[:, :, :1])
    elman.to_c(classifier, folder / "first.h", prefix="first")
    elman.to_c(regressor, str(folder / "second.h"), prefix="second")
    (folder / "main.c").write_text(PROGRAM)
    return classifier, regressor


@pytest.mark.parametrize("compiler", ["gcc", "g++"])
def test_a_program_of_two_models(compiler, X, tmp_path):
    """Prefixes keep them apart, labels stay within their comment; C++ takes them too."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    classifier, regressor = write_two(X, tmp_path)
    standard = STRICT if compiler == "gcc" else ["-std=c++17", "-x", "c++", *STRICT[1:]]
    command = [compiler, *standard, "-O3", "main.c", "-o", "main", "-lm"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    label, y = subprocess.check_output([tmp_path / "main"], text=True).split()
    x = np.array([[[0.5, -1.0]]], np.float32)
    assert classifier.classes_[int(label)] == classifier.predict(x)[0]
    assert error(np.float32(y), regressor.predict(x)[0, 0]) < 1e-6


@pytest.mark.skipif(ARM_GCC is None, reason="arm-none-eabi-gcc is not installed")
def test_it_builds_for_a_microcontroller(X, tmp_path):
    """A Cortex-M4 with its unit for float32; nothing asks for memory or for float64."""
    write_two(X, tmp_path)
    target = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
    warnings = [*STRICT, "-Wdouble-promotion", "-Wconversion", "-Wno-unused"]
    source = PROGRAM.replace("#include <stdio.h>", "").replace('printf("%d %.9g\\n", ', "(void)(")
    source = source.replace("first_label(p), y[0]", "first_label(p) + (int)y[0]")
    (tmp_path / "main.c").write_text(source)
    command = [ARM_GCC, *target, *warnings, "-Os", "-c", "main.c", "-o", "main.o"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    symbols = subprocess.check_output(["arm-none-eabi-nm", "-u", tmp_path / "main.o"], text=True)
    assert set(symbols.split()) - {"U"} <= {"memcpy", "memset", "expf", "sqrtf"}


@pytest.mark.parametrize("prefix", ["", "1st", "a b", "a-b", "é", None, 3])
def test_prefixes_that_are_no_names(prefix, X, tmp_path):
    model = fitted(RNNRegressor(), X, X[:, 0, 0])
    with pytest.raises(ValueError, match=r"elman.to_c: prefix got .*, expected a name of letters"):
        elman.to_c(model, tmp_path / "model.h", prefix=prefix)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written(X, tmp_path):
    path = tmp_path / "model.h"
    with pytest.raises(NotFittedError):
        elman.to_c(RNNRegressor(), path)
    with pytest.raises(TypeError, match=r"elman.to_c: model got .*, expected a fitted RNNReg"):
        elman.to_c(object(), path)
    with pytest.raises(ValueError, match=r"model got bidirectional layers, expected layers of one"):
        elman.to_c(fitted(RNNRegressor(bidirectional=True), X, X[:, 0, 0]), path)
    steps = [sparse.csr_array(np.abs(x)) for x in X]
    with pytest.raises(ValueError, match=r"model got sparse matrices of features as input"):
        elman.to_c(fitted(RNNRegressor(input="tokens"), steps, X[:, 0, 0]), path)
    model = fitted(RNNRegressor(), X.astype(np.float64), X[:, 0, 0])
    weights = model.weights_
    weights["head.b"][...] = 1e39
    with pytest.raises(ValueError, match=r"model got weights too large for float32"):
        elman.to_c(model.set_weights(weights), path)
    assert not path.exists()
