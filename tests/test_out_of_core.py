"""Data that is read block by block gives what it gives in memory, in a memory that is stated."""

import itertools
import os
import pickle
import signal
import subprocess
import sys
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from elman import RNNClassifier, RNNRegressor
from elman._block_training import BlockExamples
from elman._moments import N_ROWS, channel_means, mean, pieces, standard_units
from elman._prefetch import prefetched, reader_thread
from elman.data import ArraySequences
from parquet_files import LABEL, LAST, SUM, WEIGHT, N, X, cut, source_of, write

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SETTINGS = {"hidden_layer_sizes": 4, "max_iter": 3, "batch_size": 8, "random_state": 0}
CUBE = np.random.RandomState(1).randn(53, 7, 2)

# By name: estimator, its parameters, target column, targets and weights in memory.
FITS = {
    "a number a sequence": (RNNRegressor, {"output": "vector"}, "sum", SUM[LAST], WEIGHT[LAST]),
    "a number a step": (RNNRegressor, {}, "sum", cut(SUM), cut(WEIGHT)),
    "a class a sequence": (
        RNNClassifier,
        {"output": "vector", "class_weight": "balanced"},
        "label",
        LABEL[LAST],
        WEIGHT[LAST],
    ),
    "a class a step": (
        RNNClassifier,
        {"class_weight": "balanced"},
        "label",
        cut(LABEL),
        cut(WEIGHT),
    ),
    "two numbers": (
        RNNRegressor,
        {"output": "vector", "learning_rate": "cosine"},
        ["sum", "a"],
        np.column_stack([SUM[LAST], np.concatenate(X)[LAST, 0]]),
        WEIGHT[LAST],
    ),
    "the last steps": (
        RNNRegressor,
        {"loss_steps": 2, "dropout": 0.2, "hidden_layer_sizes": (3, 2)},
        "sum",
        cut(SUM),
        cut(WEIGHT),
    ),
    "held out at the end": (
        RNNRegressor,
        {"output": "vector", "early_stopping": True, "validation_split": "last"},
        "sum",
        SUM[LAST],
        WEIGHT[LAST],
    ),
    "means of channels": (RNNRegressor, {"missing": "decay"}, "sum", cut(SUM), cut(WEIGHT)),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write(tmp_path_factory.mktemp("long") / "table.parquet")


def block_sizes(source, output="auto"):
    return [len(X) for X, _ in source.blocks(output)]


def assert_same_fit(model, other):
    assert model.loss_curve_ == other.loss_curve_
    assert model.validation_scores_ == other.validation_scores_
    for name, weights in model.weights_.items():
        np.testing.assert_array_equal(weights, other.weights_[name], name)


def assert_same(answer, other):
    assert len(answer) == len(other)
    for one, two in zip(answer, other, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("name", FITS)
def test_one_window_gives_the_bits_of_a_fit_in_memory(path, name, is_weighted):
    cls, own, target, y, weight = FITS[name]
    source = source_of(
        path, target=target, sample_weight="weight" if is_weighted else None, window=1000
    )
    weight = weight if is_weighted else None
    model = cls(**{**SETTINGS, **own}).fit(source)
    other = cls(**{**SETTINGS, **own}).fit(X, y, weight)
    assert_same_fit(model, other)
    assert_same(model.predict(source), other.predict(X))
    assert model.score(source) == other.score(X, y, weight)


@pytest.mark.parametrize("name", FITS)
def test_the_same_blocks_give_the_same_bits_wherever_they_are(path, name):
    cls, own, target, y, weight = FITS[name]
    source = source_of(path, target=target, sample_weight="weight", window=3)
    sizes = block_sizes(source, own.get("output", "auto"))
    assert len(sizes) > 6
    in_memory = ArraySequences(X, y, weight, block=sizes, window=3)
    model = cls(**{**SETTINGS, **own}).fit(source)
    assert_same_fit(model, cls(**{**SETTINGS, **own}).fit(in_memory))
    one_window = cls(**{**SETTINGS, **own}).fit(X, y, weight)
    assert model.loss_curve_ != one_window.loss_curve_


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_bits_do_not_depend_on_threads(path, n_jobs):
    model = RNNRegressor(**SETTINGS, n_jobs=n_jobs).fit(source_of(path, window=2))
    assert_same_fit(model, RNNRegressor(**SETTINGS).fit(source_of(path, window=2)))


def test_what_is_read_into_memory_is_what_was_written(path):
    read, y = source_of(path).read()
    assert_same(read, X)
    assert_same(y, cut(SUM))
    read, y = source_of(path, target="label").read("vector")
    np.testing.assert_array_equal(y, LABEL[LAST])
    parts = list(source_of(path, target=None).blocks())
    assert all(y is None for _, y in parts)
    assert_same([x for part, _ in parts for x in part], X)


def test_an_epoch_takes_each_sequence_once(path, monkeypatch):
    seen = []
    real = BlockExamples.read

    def read(self, window):
        examples = real(self, window)
        seen.append([tuple(examples.values[i]) for i in examples.offsets[examples.order]])
        return examples

    monkeypatch.setattr(BlockExamples, "read", read)
    RNNRegressor(**{**SETTINGS, "max_iter": 2}).fit(source_of(path, window=2))
    n = len(seen) // 2
    epochs = [[first for window in part for first in window] for part in (seen[:n], seen[n:])]
    firsts = sorted(tuple(x[0]) for x in X)
    assert [sorted(epoch) for epoch in epochs] == [firsts, firsts]
    assert epochs[0] != epochs[1]


def test_without_shuffling_the_order_is_that_of_the_file(path):
    options = {**SETTINGS, "shuffle": False, "batch_size": 1}
    model = RNNRegressor(**options).fit(source_of(path, window=2))
    # Mini-batches of one sequence do not see where windows end.
    other = RNNRegressor(**options).fit(X, cut(SUM))
    for name, weights in model.weights_.items():
        np.testing.assert_array_equal(weights, other.weights_[name])


def test_partial_fit_goes_on(path):
    source = source_of(path, target="label", window=2)
    model = RNNClassifier(**SETTINGS)
    for _ in range(3):
        model.partial_fit(source, classes=["down", "up"])
    assert model.t_ == 3 * N
    sizes = block_sizes(source)
    other = RNNClassifier(**SETTINGS)
    in_memory = ArraySequences(X, cut(LABEL), block=sizes, window=2)
    for _ in range(3):
        other.partial_fit(in_memory, classes=["down", "up"])
    assert_same_fit(model, other)


def test_probabilities_and_states_are_read_block_by_block(path):
    source = source_of(path, target="label")
    model = RNNClassifier(**SETTINGS, output="vector").fit(source)
    np.testing.assert_array_equal(model.predict_proba(source), model.predict_proba(X))
    _, states = model.predict(X, return_state=True)
    answer, found = model.predict(source, initial_state=states, return_state=True)
    expected, also = model.predict(X, initial_state=states, return_state=True)
    np.testing.assert_array_equal(answer, expected)
    for name, state in also.items():
        np.testing.assert_array_equal(found[name], state)


def test_whole_blocks_are_held_out_at_random(path):
    source = source_of(path, window=2)
    options = {**SETTINGS, "early_stopping": True, "validation_fraction": 0.3}
    model = RNNRegressor(**options).fit(source)
    sizes = block_sizes(source)
    rng = np.random.RandomState(0)
    held_out = rng.permutation(len(sizes))[: int(np.ceil(0.3 * len(sizes)))]
    assert model.t_ == 3 * (N - sum(sizes[i] for i in held_out))
    assert len(model.validation_scores_) == 3


@pytest.mark.parametrize("is_source", [True, False])
def test_validation_data_may_be_a_source_or_arrays(path, is_source):
    options = {**SETTINGS, "early_stopping": True}
    source = source_of(path, window=100)
    validation = (source, None) if is_source else (X[:9], cut(SUM)[:9])
    model = RNNRegressor(**options).fit(source, X_val=validation[0], y_val=validation[1])
    known = (X, cut(SUM)) if is_source else validation
    other = RNNRegressor(**options).fit(X, cut(SUM), X_val=known[0], y_val=known[1])
    assert_same_fit(model, other)


def test_arrays_that_end_in_nan_or_have_another_dtype_are_converted_by_blocks():
    cube = CUBE.copy()
    cube[::3, 4:] = np.nan
    y = CUBE.sum(axis=(1, 2))
    model = RNNRegressor(**SETTINGS).fit(ArraySequences(cube, y, block=10, window=9))
    assert_same_fit(model, RNNRegressor(**SETTINGS).fit(cube, y))
    whole = (100 * CUBE).astype(np.int16)
    model = RNNRegressor(**SETTINGS).fit(ArraySequences(whole, y, block=10, window=9))
    assert_same_fit(model, RNNRegressor(**SETTINGS).fit(whole, y))
    steps = CUBE.cumsum(axis=1)
    model = RNNRegressor(**SETTINGS).fit(ArraySequences(cube, steps, block=10, window=9))
    assert_same_fit(model, RNNRegressor(**SETTINGS).fit(cube, steps))
    assert model.predict(ArraySequences(cube)).shape == steps.shape


def test_a_fit_that_was_interrupted_goes_on_from_its_checkpoint(path, tmp_path):
    settings = {**SETTINGS, "max_iter": 6, "checkpoint_every": 1}
    whole = RNNRegressor(**settings).fit(source_of(path, window=2))
    model = RNNRegressor(**settings, checkpoint=tmp_path / "fit.safetensors")
    fit_until(20, model, source_of(path, window=2))
    assert_same_fit(model.fit(source_of(path, window=2)), whole)


class Killed(Exception):
    pass


def fit_until(n_windows, model, source):
    """Fit, and end in an exception when that many windows have been read."""
    real, n_read = BlockExamples.read, itertools.count(1)

    def read(self, window):
        if next(n_read) > n_windows:
            raise Killed
        return real(self, window)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BlockExamples, "read", read)
        with pytest.raises(Killed):
            model.fit(source)


def test_a_checkpoint_is_of_one_file(path, tmp_path):
    model = RNNRegressor(**SETTINGS, checkpoint=tmp_path / "fit", checkpoint_every=1)
    fit_until(8, model, source_of(path, window=2))
    other = write(tmp_path / "other.parquet", sum=2 * SUM)
    with pytest.raises(ValueError, match=r"checkpoint got .* of a fit with another X"):
        model.fit(source_of(other, window=2))


# What may go wrong.


def reader_threads():
    return [t for t in threading.enumerate() if t.name.startswith("elman-reader")]


def test_ctrl_c_leaves_the_estimator_as_it_was_and_no_thread(path):
    model = RNNRegressor(**SETTINGS).fit(source_of(path))
    before = model.weights_
    model.set_params(max_iter=100_000, tol=0.0, n_iter_no_change=np.inf)
    timer = threading.Timer(0.3, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(source_of(path, window=1))
    assert_same(model.weights_.values(), before.values())
    assert not reader_threads()


def test_an_error_of_the_reader_is_raised_where_the_fit_was_called(path, monkeypatch):
    real = BlockExamples.read

    def read(self, window):
        assert threading.current_thread() in reader_threads()
        if 3 in window:
            raise OSError("the disk is gone")
        return real(self, window)

    monkeypatch.setattr(BlockExamples, "read", read)
    model = RNNRegressor(**SETTINGS)
    with pytest.raises(OSError, match="the disk is gone"):
        model.fit(source_of(path, window=1))
    assert not hasattr(model, "weights_")
    assert not reader_threads()


def test_a_divergence_tells_the_mini_batch_of_the_epoch(path):
    model = RNNRegressor(
        **{**SETTINGS, "batch_size": 1},
        cell="simple",
        activation="identity",
        solver="sgd",
        learning_rate_init=1e6,
        shuffle=False,
        output="vector",
    )
    with pytest.raises(ValueError, match="in epoch 1, batch") as of_memory:
        model.fit(X, SUM[LAST])
    with pytest.raises(ValueError, match="in epoch 1, batch") as of_file:
        model.fit(source_of(path, window=1))
    assert of_file.value.batch == of_memory.value.batch
    assert not reader_threads()


def test_a_generator_ahead_never_holds_more_than_two():
    n_alive, most = [0], [0]

    class Item:
        def __init__(self, number):
            self.number = number
            n_alive[0] += 1
            most[0] = max(most[0], n_alive[0])

        def __del__(self):
            n_alive[0] -= 1

    slow = threading.Event()
    with reader_thread() as thread:
        items = prefetched(thread, Item, range(20))
        numbers = []
        for item in items:
            slow.wait(0.002)
            numbers.append(item.number)
    assert numbers == list(range(20))
    assert most[0] <= 3  # one is let go of while the next but one begins


REFUSED = {
    "a target twice": ({}, lambda s: ((s, SUM[LAST]), {}), "y got a ndarray, expected None"),
    "weights twice": (
        {},
        lambda s: ((s, None, np.ones(N)), {}),
        "sample_weight got a ndarray, expected None",
    ),
    "all at once": ({"solver": "lbfgs"}, lambda s: ((s,), {}), "solver got 'lbfgs'"),
    "vectors": ({"input": "vector"}, lambda s: ((s,), {}), "input got 'vector'"),
    "tokens": ({"input": "tokens"}, lambda s: ((s,), {}), "input got 'tokens'"),
    "groups": (
        {"early_stopping": True, "validation_split": "groups"},
        lambda s: ((s,), {"groups": np.arange(N)}),
        "validation_split got 'groups'",
    ),
    "too few blocks": (
        {"early_stopping": True, "validation_fraction": 0.99},
        lambda s: ((s,), {}),
        "validation_fraction got 0.99, which holds out",
    ),
    "one sequence held out": (
        {"early_stopping": True, "validation_fraction": 0.01},
        lambda s: ((ArraySequences(X, SUM[LAST], block=1),), {}),
        "validation_fraction got 0.01, which holds out 1 of 60 blocks",
    ),
    "validation targets twice": (
        {"early_stopping": True},
        lambda s: ((X, cut(SUM)), {"X_val": s, "y_val": cut(SUM)}),
        "y_val got a list, expected None",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_go_together_is_refused(path, case):
    own, arguments, message = REFUSED[case]
    given, named = arguments(source_of(path))
    model = RNNRegressor(**{**SETTINGS, **own})
    with pytest.raises(ValueError, match=message):
        model.fit(*given, **named)
    assert not hasattr(model, "weights_")


def test_a_source_without_targets_only_predicts(path):
    model = RNNRegressor(**SETTINGS).fit(source_of(path))
    bare = source_of(path, target=None)
    assert_same(model.predict(bare), model.predict(X))
    with pytest.raises(ValueError, match="X got a ParquetSequences without targets"):
        model.fit(bare)
    with pytest.raises(ValueError, match="ArraySequences without targets"):
        model.score(ArraySequences(X))


def test_later_sources_look_as_the_first(path):
    model = RNNRegressor(**SETTINGS).fit(source_of(path))
    with pytest.raises(ValueError, match="has 1 features, but RNNRegressor is expecting 2"):
        model.predict(source_of(path, channels="a"))
    model = RNNRegressor(**SETTINGS, n_channels=2).fit(CUBE.reshape(53, -1), CUBE[:, 0, 0])
    with pytest.raises(ValueError, match="expected 2-D rows"):
        model.predict(source_of(path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "ArraySequences: window got 0, expected an integer of at least 1"),
        ({"block": 0}, "ArraySequences: block got 0"),
        ({"block": [3, 4]}, "expected .* integers whose sum is the 53 samples"),
    ],
)
def test_blocks_and_windows_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        ArraySequences(CUBE, **options)


def test_a_value_that_is_missing_is_told_with_its_block():
    cube = CUBE.copy()
    cube[25, 2, 1] = np.nan
    source = ArraySequences(cube, CUBE[:, 0, 0], block=10)
    with pytest.raises(ValueError, match=r"X\[20:30\] got 1 value of NaN.*sample 5, step 2"):
        RNNRegressor(**SETTINGS).fit(source)


def test_other_estimators_say_that_they_want_arrays(path):
    from elman import Seq2SeqRegressor

    with pytest.raises(TypeError, match="X got a ParquetSequences"):
        Seq2SeqRegressor().fit(source_of(path), cut(SUM))


def test_a_source_can_be_pickled(path):
    source = source_of(path)
    source.read()
    again = pickle.loads(pickle.dumps(source))
    assert_same(again.read()[0], X)


# Sums do not depend on where the rows were cut.


@pytest.mark.parametrize("is_weighted", [False, True])
def test_means_do_not_depend_on_the_parts(is_weighted):
    rng = np.random.RandomState(0)
    n = 2 * N_ROWS + 1234
    rows = rng.standard_normal((n, 2)) * [1, 1e6] + [5, 0]
    weights = rng.uniform(size=n) * (rng.uniform(size=n) > 0.3) if is_weighted else None
    cuts = [0, 0, 7, 1000, N_ROWS + 3, N_ROWS + 4, n - 1, n]
    parts = [
        (rows[i:j], None if weights is None else weights[i:j]) for i, j in itertools.pairwise(cuts)
    ]
    assert [len(r) for r, _ in pieces(parts)] == [N_ROWS, N_ROWS, 1234]
    for function in (mean, standard_units):
        np.testing.assert_array_equal(function(parts), function([(rows, weights)]))
    expected = np.average(rows, axis=0, weights=weights)
    np.testing.assert_allclose(mean(parts), expected, rtol=1e-12)
    holes = np.where(rng.uniform(size=rows.shape) < 0.1, np.nan, rows)
    found = channel_means(((holes[i:j], None) for i, j in itertools.pairwise(cuts)), "fit")
    np.testing.assert_array_equal(found, channel_means([(holes, None)], "fit"))
    np.testing.assert_allclose(found, np.nanmean(holes, axis=0), rtol=1e-12)


def test_few_rows_have_the_bits_of_numpy_s_mean():
    rng = np.random.RandomState(0)
    rows, weights = rng.standard_normal((1000, 3)), rng.uniform(size=1000)
    np.testing.assert_array_equal(mean([(rows, None)]), np.average(rows, axis=0))
    expected = np.average(rows, axis=0, weights=weights)
    np.testing.assert_array_equal(mean([(rows, weights)]), expected)


# Memory.

TRAIN = """
import sys, threading, warnings
import numpy as np
import pyarrow.parquet
from elman import RNNRegressor
from elman.data import ArraySequences, ParquetSequences

warnings.simplefilter("ignore")
kind, path = sys.argv[1:]

def memory():
    with open("/proc/self/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))

few = np.zeros((50, 64, 8), np.float32)
model = RNNRegressor(hidden_layer_sizes=1, max_iter=1, random_state=0, n_jobs=1)
model.fit(few, np.arange(50.0))
if kind == "parquet":
    columns = [f"x{i}" for i in range(8)]
    source = ParquetSequences(path, id="id", channels=columns, target="x0", window=2)
    model.set_params(output="vector")
    X, y, stated = source, None, source.memory
else:
    X = np.load(path, mmap_mode="r")
    y, stated = np.zeros(len(X)), 0
    if kind == "other dtype":
        X, y = ArraySequences(X, y, block=len(X) // 16, window=2), None
        stated = X.memory
before, peak, is_over = memory(), [0], threading.Event()

def watch():
    while not is_over.wait(0.002):
        peak[0] = max(peak[0], memory())

thread = threading.Thread(target=watch)
thread.start()
model.fit(X, y)
model.predict(X)
is_over.set()
thread.join()
print(stated, peak[0] - before)
"""


def write_steps(path, n_bytes, dtype):
    """A file with noise of 8 channels, in sequences of 64 steps, 16 times the same ones."""
    n = n_bytes // (64 * 8 * np.dtype(dtype).itemsize) // 16
    noise = np.random.default_rng(0).normal(scale=9, size=(n, 64, 8)).astype(dtype)
    noise = np.tile(noise, (16, 1, 1))
    if path.suffix == ".npy":
        np.save(path, noise)
        return path
    columns = {f"x{i}": noise[:, :, i].ravel() for i in range(8)}
    table = pa.table({"id": np.repeat(np.arange(16 * n, dtype=np.int32), 64), **columns})
    pq.write_table(table, path, row_group_size=64 * n, use_dictionary=False)
    return path


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    ("kind", "name", "dtype", "n_bytes"),
    [
        ("parquet", "steps.parquet", np.float32, 96_000_000),
        ("memmap", "steps.npy", np.float32, 96_000_000),
        ("other dtype", "steps.npy", np.int16, 24_000_000),
    ],
)
def test_memory_is_that_which_is_stated(tmp_path, kind, name, dtype, n_bytes):
    path = write_steps(tmp_path / name, n_bytes, dtype)
    out = subprocess.run(
        [sys.executable, "-c", TRAIN, kind, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    stated, grown = map(int, out.stdout.split())
    in_network = n_bytes * (4 if kind == "other dtype" else 1)  # int16 becomes float64
    assert stated < 0.4 * in_network
    assert grown < stated + 50e6
