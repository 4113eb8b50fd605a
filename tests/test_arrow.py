"""Arrow lists are sequences; arrays that are mapped from a file are not copied."""

import numpy as np
import pyarrow as pa
import pytest
from elman import RNNClassifier, RNNRegressor
from elman._arrays import is_finite, is_mapped
from elman._sequences import read_sequences
from elman.data import ArraySequences

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
CALLER = "RNNRegressor.fit"
SETTINGS = {"hidden_layer_sizes": 3, "max_iter": 3, "random_state": 0}
RNG = np.random.RandomState(0)
LENGTHS = RNG.randint(1, 9, 20)
OFFSETS = np.concatenate([[0], LENGTHS.cumsum()])
VALUES = RNG.randn(OFFSETS[-1], 2)
X = np.split(VALUES, OFFSETS[1:-1])
Y = np.array([x.sum() for x in X])


def lists(values, kind=pa.ListArray, offsets=OFFSETS):
    integers = pa.int64() if kind is pa.LargeListArray else pa.int32()
    return kind.from_arrays(pa.array(offsets, integers), values)


ONE = lists(pa.array(VALUES[:, 0]))
PAIRS = lists(pa.FixedSizeListArray.from_arrays(pa.array(VALUES.ravel()), 2))
STRUCTS = lists(pa.StructArray.from_arrays([pa.array(v) for v in VALUES.T], ["a", "b"]))
COLUMNS = {"a": ONE, "b": lists(pa.array(VALUES[:, 1]))}

# By name: Arrow, and its sequences as arrays.
FORMS = {
    "lists": (ONE, [x[:, :1] for x in X]),
    "large lists": (lists(pa.array(VALUES[:, 0]), pa.LargeListArray), [x[:, :1] for x in X]),
    "lists of pairs": (PAIRS, X),
    "structs": (STRUCTS, X),
    "a table": (pa.table(COLUMNS), X),
    "a record batch": (pa.record_batch(COLUMNS), X),
    "chunks": (pa.chunked_array([PAIRS[:7], PAIRS[7:7], PAIRS[7:]]), X),
    "a slice": (PAIRS.slice(3, 9), X[3:12]),
    "a slice of structs": (STRUCTS.slice(3, 9), X[3:12]),
    "a slice of a table": (pa.table(COLUMNS).slice(5), X[5:]),
    "lists of one size": (
        pa.FixedSizeListArray.from_arrays(pa.array(np.arange(12.0)), 3)[1:],
        list(np.arange(12.0).reshape(4, 3, 1)[1:]),
    ),
    "float32": (lists(pa.array(VALUES[:, 0].astype("f4"))), [x[:, :1].astype("f4") for x in X]),
    "integers": (pa.array([[1, 2], [3]]), [np.array([[1.0], [2]]), np.array([[3.0]])]),
}


@pytest.mark.parametrize("form", FORMS)
def test_lists_are_sequences(form):
    data, expected = FORMS[form]
    sequences, found = read_sequences(data, CALLER, None)
    np.testing.assert_array_equal(sequences.values, np.concatenate(expected))
    np.testing.assert_array_equal(sequences.lengths, [len(x) for x in expected])
    assert found.dtype == expected[0].dtype
    assert sequences.is_list
    again, _ = read_sequences(expected, CALLER, None, form=found)
    np.testing.assert_array_equal(again.values, sequences.values)


@pytest.mark.parametrize("data", [ONE, PAIRS, PAIRS.slice(3, 9), pa.chunked_array([ONE])])
def test_values_are_not_copied(data):
    sequences, _ = read_sequences(data, CALLER, None)
    array = data.chunk(0) if isinstance(data, pa.ChunkedArray) else data
    inner = array.flatten()
    inner = inner.flatten() if pa.types.is_fixed_size_list(inner.type) else inner
    assert np.shares_memory(sequences.values, inner.to_numpy())


@pytest.mark.parametrize("form", ["lists of pairs", "a table", "chunks"])
def test_a_fit_on_arrow_has_the_bits_of_one_on_arrays(form):
    data, expected = FORMS[form]
    other = RNNRegressor(**SETTINGS).fit(expected, Y)
    for y in (pa.array(Y), pa.chunked_array([Y[:3], Y[3:]]), Y):
        model = RNNRegressor(**SETTINGS).fit(data, y)
        assert model.loss_curve_ == other.loss_curve_
        np.testing.assert_array_equal(model.predict(data), other.predict(expected))
    source = ArraySequences(data, Y, block=6, window=9)
    assert RNNRegressor(**SETTINGS).fit(source).loss_curve_ == other.loss_curve_
    np.testing.assert_array_equal(model.predict(source), other.predict(expected))


def test_targets_for_steps_and_labels_may_be_arrow():
    model = RNNRegressor(**SETTINGS).fit(ONE, ONE)
    other = RNNRegressor(**SETTINGS).fit([x[:, 0] for x in X], [x[:, 0] for x in X])
    assert model.loss_curve_ == other.loss_curve_
    labels = np.where(Y > 0, "up", "down")
    model = RNNClassifier(**SETTINGS).fit(PAIRS, pa.array(labels))
    assert set(model.predict(PAIRS)) <= {"up", "down"}
    assert model.loss_curve_ == RNNClassifier(**SETTINGS).fit(X, labels).loss_curve_


def test_the_target_may_be_named():
    other = RNNRegressor(**SETTINGS).fit(X, Y)
    for data in (pa.table({**COLUMNS, "y": Y}), pa.record_batch({**COLUMNS, "y": pa.array(Y)})):
        model = RNNRegressor(**SETTINGS).fit(data, "y")
        assert model.loss_curve_ == other.loss_curve_
        assert model.score(data, "y") == other.score(X, Y)


def test_a_table_of_numbers_is_still_a_lag_matrix():
    table = pa.table({f"x{i}": column for i, column in enumerate(RNG.randn(4, 20))})
    model = RNNRegressor(**SETTINGS).fit(table, Y)
    assert list(model.feature_names_in_) == ["x0", "x1", "x2", "x3"]


WRONG = {
    "a null for a sequence": (pa.array([[1.0], None]), ValueError, r"null at the rows \[1\]"),
    "an empty list": (pa.array([[1.0], []]), ValueError, r"0 time steps at samples \[1\]"),
    "a null": (pa.array([[1.0, None]]), ValueError, "X got 1 value of NaN"),
    "text": (pa.array([["a"]]), TypeError, "X got a column of type string, expected numbers"),
    "lists of lists": (pa.array([[[1.0], [2.0, 3.0]]]), TypeError, "X got a column of type list"),
    "nothing": (pa.array([], pa.list_(pa.float64())), ValueError, r"0 sample\(s\)"),
    "a null for a step": (
        pa.array([[[1.0, 2.0], None]], pa.list_(pa.list_(pa.float64(), 2))),
        ValueError,
        "1 steps that are null",
    ),
    "other lengths": (
        pa.table({"a": [[1.0], [1.0, 2.0]], "b": [[1.0], [1.0]]}),
        ValueError,
        r"X\['b'\] got a list of 1 in row 1, expected 2, as in X\['a'\]",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told(case):
    data, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        RNNRegressor(**SETTINGS).fit(data, np.zeros(len(data)))


def test_a_null_is_nan_where_values_may_be_missing():
    sequences, _ = read_sequences(pa.array([[1.0, None], [2.0]]), CALLER, None, may_miss=True)
    np.testing.assert_array_equal(sequences.values.ravel(), [1.0, np.nan, 2.0])


def test_later_lists_have_the_channels_of_fit():
    model = RNNRegressor(**SETTINGS).fit(PAIRS, Y)
    with pytest.raises(ValueError, match="has 1 features, but RNNRegressor is expecting 2"):
        model.predict(ONE)


def test_lists_of_a_mapped_file_are_read_by_blocks(tmp_path):
    path = tmp_path / "lists.arrow"
    table = pa.table(COLUMNS)
    with pa.ipc.new_file(path, table.schema) as file:
        for start in range(0, 20, 6):
            file.write_table(table.slice(start, 6))
    with pa.memory_map(str(path)) as file:
        mapped = pa.ipc.open_file(file).read_all()
        source = ArraySequences(mapped, Y, block=[6, 6, 6, 2], window=2)
        model = RNNRegressor(**SETTINGS).fit(source)
    other = RNNRegressor(**SETTINGS).fit(ArraySequences(X, Y, block=6, window=2))
    assert model.loss_curve_ == other.loss_curve_


# Arrays that are mapped from files.


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "f2"])
def test_mapped_arrays_give_what_arrays_give(tmp_path, dtype):
    cube = (10 * RNG.randn(20, 6, 3)).astype(dtype)
    np.save(tmp_path / "x.npy", cube)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    sequences, found = read_sequences(mapped, CALLER, None)
    assert np.shares_memory(sequences.array, mapped)
    model = RNNRegressor(**SETTINGS).fit(mapped, Y)
    other = RNNRegressor(**SETTINGS).fit(cube, Y)
    assert model.loss_curve_ == other.loss_curve_
    np.testing.assert_array_equal(model.predict(mapped), other.predict(cube))
    assert found.dtype == (np.float32 if dtype in ("f4", "f2") else np.float64)


def test_views_of_mapped_arrays_are_mapped(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 3, 2)))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert is_mapped(mapped)
    assert is_mapped(np.asarray(mapped)[1:].reshape(-1))
    assert not is_mapped(np.array(mapped))
    assert not is_mapped(np.frombuffer(bytes(16)))


def test_what_is_not_finite_is_found_block_by_block(monkeypatch):
    monkeypatch.setattr("elman._arrays.BLOCK_ELEMENTS", 12)
    for shape in [(40,), (10, 4), (1, 40), (5, 4, 2), (), (0, 3)]:
        array = np.zeros(shape)
        assert is_finite(array)
        if array.size:
            array.flat[-1] = np.inf
            assert not is_finite(array)
    huge = np.full((10, 4), 1e308)
    assert is_finite(huge)  # though its sum is not
