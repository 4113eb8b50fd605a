"""X in any of its forms becomes the same values and offsets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
from elman import RNNRegressor
from elman._sequences import InputForm, read_sequences

CALLER = "RNNRegressor.fit"


def read(X, **options):
    return read_sequences(X, CALLER, RNNRegressor(), **options)


@pytest.fixture
def X(rng):
    return rng.normal(size=(6, 5, 3))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def assert_same(sequences, X):
    values = sequences.values
    assert values.flags.c_contiguous
    assert values.flags.aligned
    assert values.dtype.isnative
    np.testing.assert_array_equal(values, X.reshape(-1, X.shape[2]))
    np.testing.assert_array_equal(sequences.offsets, np.arange(len(X) + 1) * X.shape[1])


def unaligned(X):
    buffer = b"x" + np.ascontiguousarray(X).tobytes()
    return np.frombuffer(buffer, np.uint8)[1:].view(X.dtype).reshape(X.shape)


def interleaved(X):
    wide = np.zeros((*X.shape, 2))
    wide[..., 1] = X
    return wide[..., 1]


class Subclass(np.ndarray):
    pass


LAYOUTS = {
    "plain": lambda X: X,
    "fortran": np.asfortranarray,
    "strided": interleaved,
    "negative strides": lambda X: np.ascontiguousarray(X[:, ::-1])[:, ::-1],
    "big-endian": lambda X: X.astype(">f8"),
    "unaligned": unaligned,
    "long double": lambda X: X.astype(np.longdouble),
    "objects": lambda X: X.astype(object),
    "subclass": lambda X: X.view(Subclass),
    "unmasked": np.ma.array,
    "list of arrays": list,
    "nested lists": lambda X: X.tolist(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_layouts_are_the_same_as_a_plain_array(X, layout):
    sequences, form = read(LAYOUTS[layout](X))
    assert_same(sequences, X)
    assert (form.layout, form.n_channels, form.dtype) == ("sequences", 3, np.float64)


def test_plain_array_is_not_copied(X):
    assert np.shares_memory(read(X)[0].values, X)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_read_only_memmap_is_not_copied(tmp_path, X, dtype):
    X.astype(dtype).tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", dtype=dtype, mode="r", shape=X.shape)
    sequences, form = read(mapped)
    assert np.shares_memory(sequences.values, mapped)
    assert form.dtype == dtype


def test_broadcast_array_is_copied_block_by_block():
    X = np.broadcast_to(np.float64(1), (40, 1000, 1000))
    sequences, _ = read(X)
    blocks = list(sequences.blocks())
    assert len(blocks) > 1
    assert sum(len(offsets) - 1 for _, offsets, _ in blocks) == 40
    assert all(values.nbytes <= 2**26 for values, _, _ in blocks)


@pytest.mark.parametrize(
    ("given", "computed"),
    [
        ("float16", "float32"),
        ("float32", "float32"),
        ("float64", "float64"),
        ("int8", "float64"),
        ("uint64", "float64"),
        ("bool", "float64"),
    ],
)
def test_dtype_of_the_computation(given, computed):
    X = np.ones((2, 3, 1), dtype=given)
    sequences, form = read(X)
    assert form.dtype == computed
    assert sequences.values.dtype == computed


def test_later_x_is_cast_to_the_dtype_of_fit(X):
    _, form = read(X.astype(np.float32))
    sequences, _ = read(X, form=form)
    np.testing.assert_array_equal(sequences.values, X.reshape(-1, 3).astype(np.float32))


def test_large_integers_in_float32_warn_once(X):
    _, form = read(X.astype(np.float32))
    with pytest.warns(UserWarning, match=r"2\*\*24") as warned:
        _ = read((X * 1e9).astype(np.int64), form=form)[0].values
    assert len(warned) == 1


def test_table_is_read_time_after_time(X):
    sequences, form = read(X.reshape(6, 15), n_channels=3)
    assert_same(sequences, X)
    assert (form.layout, form.n_features, form.n_channels) == ("table", 15, 3)


def knows_names(table):
    """Before 1.8 scikit-learn asked the interchange protocol, which polars 2 has given up."""
    is_asked = tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 8)
    return isinstance(table, pd.DataFrame) or not is_asked or hasattr(table, "__dataframe__")


@pytest.mark.parametrize("make", [pl.from_pandas, pa.Table.from_pandas, lambda df: df])
def test_data_frames_are_tables_with_names(X, make):
    columns = [f"x{i}" for i in range(15)]
    table = make(pd.DataFrame(X.reshape(6, 15), columns=columns))
    sequences, form = read(table, n_channels=3)
    assert_same(sequences, X)
    if knows_names(table):
        assert list(form.feature_names) == columns
    else:
        assert form.feature_names is None


def test_chunked_arrow_table():
    parts = [pa.table({"a": [1.0, 2.0], "b": [3.0, 4.0]}), pa.table({"a": [5.0], "b": [6.0]})]
    sequences, _ = read(pa.concat_tables(parts))
    np.testing.assert_array_equal(sequences.values.ravel(), [1, 3, 2, 4, 5, 6])


@pytest.mark.parametrize("container", [list, tuple, lambda items: np.array(items, dtype=object)])
@pytest.mark.parametrize("n_channels", [None, 1, 3])
def test_ragged_lists(rng, container, n_channels):
    shape = () if n_channels is None else (n_channels,)
    items = [rng.normal(size=(n, *shape)) for n in (4, 1, 7)]
    sequences, form = read(container(items))
    np.testing.assert_array_equal(sequences.offsets, [0, 4, 5, 12])
    np.testing.assert_array_equal(
        sequences.values, np.concatenate(items).reshape(12, n_channels or 1)
    )
    assert form.n_features == (n_channels or 1)


def test_list_is_float32_only_if_every_item_is():
    items = [np.ones((2, 1), np.float32), np.ones((3, 1), np.float16)]
    assert read(items)[1].dtype == np.float32
    assert read([*items, np.ones((1, 1))])[1].dtype == np.float64


def test_one_dimensional_list_of_equal_lengths_stays_what_fit_had(rng):
    _, form = read([rng.normal(size=n) for n in (3, 4)])
    sequences, _ = read([[1.0, 2.0], [3.0, 4.0]], form=form)
    np.testing.assert_array_equal(sequences.offsets, [0, 2, 4])
    assert sequences.values.shape == (4, 1)


def test_nan_tail_ends_a_sequence(X):
    padded = X.copy()
    padded[0, 3:] = np.nan
    padded[4, 1:] = np.nan
    sequences, _ = read(padded)
    items = [X[0, :3], *X[1:4], X[4, :1], X[5]]
    np.testing.assert_array_equal(sequences.lengths, [3, 5, 5, 5, 1, 5])
    np.testing.assert_array_equal(sequences.values, np.concatenate(items))


def test_take_and_blocks_agree_with_the_whole(rng):
    items = [rng.normal(size=(n, 2)) for n in (4, 1, 7, 3)]
    sequences, _ = read(items)
    part = sequences.take(np.array([3, 0]))
    np.testing.assert_array_equal(part.values, np.concatenate([items[3], items[0]]))
    np.testing.assert_array_equal(part.offsets, [0, 3, 7])


def with_value(X, index, value):
    X = X.copy()
    X[index] = value
    return X


ONES = np.ones((4, 3, 2))
REFUSED = {
    "None": (None, ValueError, "got None"),
    "scalar": (3.0, ValueError, "0-D"),
    "text": ("abc", ValueError, "str"),
    "one dimension": (np.ones(4), ValueError, "Reshape your data"),
    "four dimensions": (np.ones((4, 3, 2, 1)), ValueError, r"4-D array of shape \(4, 3, 2, 1\)"),
    "no samples": (ONES[:0], ValueError, r"0 sample\(s\)"),
    "no steps": (ONES[:, :0], ValueError, r"0 time steps at samples \[0, 1, 2, 3\]"),
    "no channels": (ONES[:, :, :0], ValueError, r"0 feature\(s\) \(shape=\(4, 3, 0\)\)"),
    "empty items": ([ONES[0], ONES[1][:0]], ValueError, r"0 time steps at samples \[1\]"),
    "NaN": (with_value(ONES, (2, 0, 1), np.nan), ValueError, r"sample 2, step 0, channel 1"),
    "NaN in a list": (
        [ONES[0], with_value(ONES[1], (0, 1), np.nan)],
        ValueError,
        r"X\[1\] got 1 value of NaN, the first at \(step 0, channel 1\)",
    ),
    "only NaN": (with_value(ONES, 3, np.nan), ValueError, r"0 time steps at samples \[3\]"),
    "infinity": (with_value(ONES, (1, 1, 1), np.inf), ValueError, "infinity.*sample 1, step 1"),
    "complex": (ONES * 1j, ValueError, "Complex data not supported"),
    "dates": (ONES.astype("M8[s]"), TypeError, "datetime64"),
    "bytes": (ONES.astype("S3"), TypeError, "S3"),
    "words": (np.full((2, 2), "a", dtype=object), ValueError, "could not convert"),
    "generator": ((row for row in ONES), TypeError, "generator"),
    "dict": ({"a": 1}, TypeError, "dict"),
    "matrix": (np.asmatrix(np.ones((2, 2))), TypeError, "matrix"),
    "masked": (np.ma.array(np.ones((2, 2)), mask=np.eye(2)), ValueError, "2 masked values"),
    "other channels": ([ONES[0], np.ones((3, 5))], ValueError, r"X\[1\] got shape \(3, 5\)"),
    "other rank": ([ONES[0], np.ones(3)], ValueError, r"X\[1\] got shape \(3,\)"),
    "twice the same name": (
        pd.DataFrame(np.ones((2, 2)), columns=["a", "a"]),
        ValueError,
        "'a' more than once",
    ),
    "categories": (pd.DataFrame({"a": pd.Categorical(["u", "v"])}), TypeError, "categor"),
    "nulls": (pl.DataFrame({"a": [1.0, None]}), ValueError, "NaN"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_sequence_is_refused(case):
    X, error, message = REFUSED[case]
    with pytest.raises(error, match=message) as raised:
        read(X)
    assert str(raised.value).startswith(f"{CALLER}: X")


def test_array_on_another_device_is_refused_with_advice():
    class OnDevice:
        def cpu(self):
            raise AssertionError

        def __len__(self):
            return 3

        def __array__(self, *args, **kwargs):
            raise TypeError("cannot convert")

    with pytest.raises(TypeError, match=r"RNNRegressor.fit: X .*\.cpu\(\)"):
        read(OnDevice())


def test_values_beyond_float32_are_refused(X):
    _, form = read(X.astype(np.float32))
    with pytest.raises(ValueError, match="too large for dtype float32"):
        read(with_value(X, (0, 0, 0), 1e300), form=form)


def test_columns_must_be_whole_time_steps(X):
    with pytest.raises(ValueError, match="15 columns, expected a multiple of n_channels=2"):
        read(X.reshape(6, 15), n_channels=2)


@pytest.mark.parametrize("layout", ["table", "sequences"])
def test_another_kind_of_x_than_in_fit_is_refused_with_both_shapes(X, layout):
    form = InputForm(layout, 15, 15, np.dtype(float), "(6, 15)")
    other = X if layout == "table" else X.reshape(6, 15)
    with pytest.raises(ValueError, match=r"shape \(6, .* there X had \(6, 15\)"):
        read(other, form=form)


def test_another_number_of_channels_than_in_fit_is_refused(X):
    _, form = read(X)
    message = "X has 2 features, but RNNRegressor is expecting 3 features as input"
    for other in (X[:, :, :2], [x[:, :2] for x in X]):
        with pytest.raises(ValueError, match=message):
            read(other, form=form)
