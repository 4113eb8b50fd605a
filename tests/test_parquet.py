"""Sequences of Parquet files: long tables and lists, wherever row groups and files end."""

import datetime
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from elman import RNNRegressor
from elman.data import ParquetSequences
from parquet_files import (
    COLUMNS,
    IDS,
    LABEL,
    LAST,
    LENGTHS,
    N_STEPS,
    OFFSETS,
    SUM,
    WEIGHT,
    A,
    B,
    N,
    X,
    cut,
    source_of,
    write,
    write_lists,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
MODEL = RNNRegressor(hidden_layer_sizes=2, max_iter=1, random_state=0)
TIME = COLUMNS["time"]


def fit(source, **options):
    return RNNRegressor(hidden_layer_sizes=2, max_iter=1, random_state=0, **options).fit(source)


def assert_same(answer, other):
    assert len(answer) == len(other)
    for one, two in zip(answer, other, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("row_group_size", [2, 7, 90, 10_000])
def test_sequences_go_on_over_row_groups(tmp_path, row_group_size):
    path = write(tmp_path / "x.parquet", row_group_size)
    read, y = source_of(path).read()
    assert_same(read, X)
    assert_same(y, cut(SUM))
    blocks = list(source_of(path).blocks())
    firsts = OFFSETS[:-1] // row_group_size
    assert [len(part) for part, _ in blocks] == np.unique(firsts, return_counts=True)[1].tolist()


def test_sequences_go_on_over_files_in_the_order_of_their_names(tmp_path):
    for folder in (tmp_path / "b", tmp_path / "_log"):
        folder.mkdir()
    middle = N_STEPS // 2 + 1
    for name, part in (("a.parquet", slice(middle)), ("b/c.parquet", slice(middle, None))):
        table = pa.table({column: values[part] for column, values in COLUMNS.items()})
        pq.write_table(table, tmp_path / name, row_group_size=100)
    (tmp_path / "_log" / "d.parquet").write_text("no data")
    (tmp_path / "read me.txt").write_text("no data")
    assert_same(source_of(tmp_path).read()[0], X)
    for files in (
        [str(tmp_path / "a.parquet"), tmp_path / "b"],
        f"{tmp_path}/**/[abc].parquet",
        [tmp_path / "a.par*", tmp_path / "b" / "?.parquet"],
    ):
        assert_same(source_of(files).read()[0], X)
    with pytest.raises(ValueError, match="in which there is no file"):
        source_of(tmp_path / "d*.parquet")


@pytest.mark.parametrize(
    "ids",
    [
        np.repeat(np.arange(N), LENGTHS),
        pa.array(IDS).dictionary_encode(),
        pa.array(np.repeat([datetime.date(2020, 1, 1 + i % 28) for i in range(N)], LENGTHS)),
        np.repeat(np.arange(N) % 2 == 0, LENGTHS),
    ],
    ids=["integers", "dictionary", "dates", "booleans"],
)
def test_ids_may_be_of_any_type_that_is_compared(tmp_path, ids):
    path = write(tmp_path / "x.parquet", id=ids)
    if len(pa.array(ids).unique()) == N:
        assert_same(source_of(path).read()[0], X)
    else:
        with pytest.raises(ValueError, match="again at row"):
            source_of(path).read()


@pytest.mark.parametrize(
    "times",
    [
        TIME.astype("datetime64[h]").astype("datetime64[ns]"),
        TIME / 7,
        pa.array(TIME, pa.duration("s")),
    ],
    ids=["datetimes", "floats", "durations"],
)
def test_times_ascend_within_a_sequence(tmp_path, times):
    path = write(tmp_path / "x.parquet", time=times)
    assert_same(source_of(path).read()[0], X)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (pa.float16(), np.float32),
        (pa.float32(), np.float32),
        (pa.float64(), np.float64),
        (pa.int8(), np.float64),
        (pa.uint64(), np.float64),
        (pa.bool_(), np.float64),
        (pa.decimal128(12, 3), np.float64),
    ],
    ids=str,
)
def test_channels_are_numbers_of_any_type(tmp_path, kind, dtype):
    values = np.abs(np.round(A[:40]))
    column = pa.array(values).cast(pa.float64()).cast(kind)
    table = pa.table({"id": np.arange(40) // 10, "v": column})
    pq.write_table(table, tmp_path / "x.parquet")
    read, _ = ParquetSequences(tmp_path / "x.parquet", id="id", channels="v").read()
    assert {x.dtype for x in read} == {np.dtype(dtype)}
    expected = values != 0 if pa.types.is_boolean(kind) else values
    np.testing.assert_array_equal(np.concatenate(read)[:, 0], expected)


def test_a_null_is_a_value_that_is_missing(tmp_path):
    column = pa.array(np.where(np.arange(N_STEPS) == 133, np.nan, A), from_pandas=True)
    path = write(tmp_path / "x.parquet", a=column)
    message = r"column 'a' got nan at row 43 of row group 1 of '.*x.parquet', expected finite"
    with pytest.raises(ValueError, match=message):
        fit(source_of(path))
    holes = np.array(A)
    holes[133] = np.nan
    model = fit(source_of(path, window=100), missing="mask")
    other = RNNRegressor(**model.get_params()).fit(cut(np.column_stack([holes, B])), cut(SUM))
    assert model.loss_curve_ == other.loss_curve_
    integers = pa.array([None if i == 133 else i for i in range(N_STEPS)])
    path = write(tmp_path / "y.parquet", a=integers)
    assert np.isnan(np.concatenate(source_of(path).read()[0])[:, 0]).sum() == 1


def swapped(column, i, j):
    column = np.array(column)
    column[[i, j]] = column[[j, i]]
    return column


def with_null(column, row):
    return pa.array([None if i == row else value for i, value in enumerate(column.tolist())])


# By name: columns of the table that are other ones, options of the source, what is raised.
WRONG = {
    "an id comes back": (
        {"id": np.where(np.arange(N_STEPS) >= N_STEPS - 3, IDS[0], IDS)},
        {},
        ValueError,
        r"column 'id' got 'sensor \d+' again at row \d+ of row group \d+ of '.*', expected rows of"
        " one id after one another: sort by id and time",
    ),
    "time goes back": (
        {"time": swapped(TIME, OFFSETS[7] + 100, OFFSETS[7] + 101)},
        {},
        ValueError,
        r"column 'time' got 101 and then 100 at row \d+ of row group \d+ .*, expected ascending"
        r" times of 'sensor \d+'",
    ),
    "time stands still": (
        {"time": np.zeros(N_STEPS, int)},
        {},
        ValueError,
        "got 0 and then 0 at row 1 of row group 0",
    ),
    "times of text": ({"time": IDS}, {}, ValueError, "and then sensor"),
    "no id": ({"id": with_null(IDS, 95)}, {}, ValueError, "'id' got null at row 5 of row group 1"),
    "no time": ({"time": with_null(TIME, 3)}, {}, ValueError, "'time' got null at row 3"),
    "no target": ({"sum": with_null(SUM, 91)}, {}, ValueError, "'sum' got null at row 1 of row g"),
    "a target that is not finite": (
        {"sum": np.where(np.arange(N_STEPS) == 91, np.inf, SUM)},
        {},
        ValueError,
        "'sum' got inf at row 1 of row group 1 of '.*', expected finite values",
    ),
    "a value that is not finite": (
        {"b": np.where(np.arange(N_STEPS) == 91, -np.inf, B)},
        {},
        ValueError,
        "'b' got -inf at row 1 of row group 1 of '.*', expected finite values",
    ),
    "a negative weight": (
        {"weight": np.where(np.arange(N_STEPS) == 91, -2.5, WEIGHT)},
        {"sample_weight": "weight"},
        ValueError,
        "'weight' got -2.5 at row 1 of row group 1 of '.*', expected weights of at least 0",
    ),
    "weights of zero": (
        {"weight": np.zeros(N_STEPS)},
        {"sample_weight": "weight"},
        ValueError,
        "weights that are all zero",
    ),
    "weights of text": ({}, {"sample_weight": "label"}, TypeError, "'label' got values of dtype"),
    "a channel of text": ({}, {"channels": "label"}, TypeError, "'label' got a column of type str"),
    "an id of floats": ({}, {"id": "a", "time": None}, TypeError, "id got 'a' of type double"),
    "lists with an id": (
        {"a": pa.array([[1.0]] * N_STEPS)},
        {},
        TypeError,
        "channels got 'a' of type list.*, expected columns of numbers with id",
    ),
    "numbers without an id": (
        {},
        {"id": None, "time": None},
        TypeError,
        "channels got 'a' of type double, expected columns of lists without id",
    ),
    "no such channel": (
        {},
        {"channels": ["a", "c"]},
        ValueError,
        "channels got 'c', of which '.*' has 0 columns, expected one of .*'id'",
    ),
    "no such target": ({}, {"target": "c"}, ValueError, "target got 'c'"),
    "a channel twice": ({}, {"channels": ["a", "a"]}, ValueError, "expected each column once"),
    "no channels": ({}, {"channels": []}, TypeError, "channels got \\[\\], expected the name"),
    "an id that is no name": ({}, {"id": 3}, TypeError, "id got 3, expected the name of a column"),
    "weights without a target": (
        {},
        {"target": None, "sample_weight": "weight"},
        ValueError,
        "target got None, expected one with sample_weight",
    ),
    "labels that are text": ({}, {"target": "label"}, ValueError, "got dtype <U4, expected numb"),
    "no window": ({}, {"window": 0}, ValueError, "window got 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_with_its_place(tmp_path, case):
    columns, options, error, message = WRONG[case]
    path = write(tmp_path / "x.parquet", **columns)
    with pytest.raises(error, match=message):
        fit(source_of(path, **options))


def test_paths_are_checked(tmp_path):
    with pytest.raises(ValueError, match=r"in which there is no file, expected files that end in"):
        source_of(tmp_path)
    with pytest.raises(TypeError, match="path got a int, expected paths"):
        source_of(3)
    with pytest.raises(FileNotFoundError):
        source_of(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="which is no Parquet file"):
        source_of(tmp_path / "text.parquet")
    pq.write_table(pa.table(COLUMNS).slice(0, 0), tmp_path / "empty.parquet")
    with pytest.raises(ValueError, match="without any rows"):
        source_of(tmp_path / "empty.parquet")
    write(tmp_path / "one.parquet")
    write(tmp_path / "two.parquet", a=np.arange(N_STEPS))
    with pytest.raises(ValueError, match=r"'a', which is int64 in '.*two.parquet', exp"):
        source_of([tmp_path / "one.parquet", tmp_path / "two.parquet"])


def test_a_file_that_has_changed_is_refused(tmp_path):
    path = write(tmp_path / "x.parquet")
    source = source_of(path)
    model = fit(source)
    before = model.weights_
    write(path, a=A + 1)
    for call in (model.predict, model.fit, model.score):
        with pytest.raises(ValueError, match="which has changed since it was first read"):
            call(source)
    assert_same(model.weights_.values(), before.values())
    model.fit(source_of(path))
    path.unlink()
    with pytest.raises(OSError, match=r"row group 0 of '.*x.parquet', which cannot be read"):
        model.predict(source)


def test_a_file_that_is_damaged_is_told_with_its_row_group(tmp_path):
    path = write(tmp_path / "x.parquet", row_group_size=300)
    group = pq.read_metadata(path).row_group(2).column(2)
    with open(path, "r+b") as file:
        file.seek(group.dictionary_page_offset or group.data_page_offset)
        file.write(bytes(200))
    model = MODEL
    with pytest.raises(OSError, match=r"row group 2 of '.*x.parquet', which cannot be read \("):
        model.fit(source_of(path))


# Lists: a row is a sequence.

FORMS = {
    "a column for each channel": (["a", "b"], {}),
    "lists of a fixed size": (
        "both",
        {"both": pa.array([x.tolist() for x in X], pa.list_(pa.list_(pa.float64(), 2)))},
    ),
    "structs": (
        "both",
        {
            "both": pa.array(
                [[{"a": a, "b": float(b)} for a, b in x] for x in X],
                pa.list_(pa.struct({"a": pa.float64(), "b": pa.float64()})),
            )
        },
    ),
    "large lists": (
        ["a", "b"],
        {"a": pa.array([x[:, 0].tolist() for x in X], pa.large_list(pa.float64()))},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_lists_are_sequences(tmp_path, form):
    channels, columns = FORMS[form]
    path = write_lists(tmp_path / "x.parquet", **columns)
    source = ParquetSequences(path, channels=channels, target="sum")
    read, y = source.read()
    assert_same(read, X)
    assert_same(y, cut(SUM))
    np.testing.assert_array_equal([len(part) for part, _ in source.blocks()], [10] * 6)


@pytest.mark.parametrize("weight", [None, "weight", "last weight"])
def test_lists_give_the_bits_of_arrays(tmp_path, weight):
    path = write_lists(tmp_path / "x.parquet")
    weights = {None: None, "weight": cut(WEIGHT), "last weight": WEIGHT[LAST]}[weight]
    options = {"channels": ["a", "b"], "sample_weight": weight, "window": 100}
    model = fit(ParquetSequences(path, target="sum", **options))
    other = RNNRegressor(**model.get_params()).fit(X, cut(SUM), weights)
    assert model.loss_curve_ == other.loss_curve_
    assert_same(model.predict(ParquetSequences(path, channels=["a", "b"])), other.predict(X))
    if weight != "weight":
        model = fit(ParquetSequences(path, target="last sum", **options))
        other = RNNRegressor(**model.get_params()).fit(X, SUM[LAST], weights)
        assert model.loss_curve_ == other.loss_curve_
        assert model.predict(ParquetSequences(path, channels=["a", "b"])).shape == (N,)


def test_labels_of_lists(tmp_path):
    path = write_lists(tmp_path / "x.parquet")
    _, y = ParquetSequences(path, channels="a", target="last label").read()
    np.testing.assert_array_equal(y, LABEL[LAST])


def lists_with(row, value, column=A):
    lists = [part.tolist() for part in cut(column)]
    lists[row] = value
    return pa.array(lists)


WRONG_LISTS = {
    "a null": ({"a": lists_with(12, None)}, {}, "'a' got null at row 2 of row group 1"),
    "no steps": ({"a": lists_with(12, [])}, {}, "'a' got an empty list at row 2 of row group 1"),
    "other lengths": (
        {"b": lists_with(12, [0.0] * 31, B)},
        {},
        r"'b' got a list of 31 at row 2 of row group 1 of '.*', expected \d+, as in column 'a'",
    ),
    "a null in a list": (
        {"b": lists_with(12, [None] * int(LENGTHS[12]), B)},
        {},
        "'b' got nan at row 2 of row group 1",
    ),
    "a target that is too short": (
        {"sum": lists_with(12, [], SUM)},
        {"target": "sum"},
        "'sum' got a list of 0 at row 2 of row group 1",
    ),
    "lists and numbers": (
        {},
        {"target": ["sum", "last sum"]},
        "target got lists in .*, expected lists in all targets, or in none",
    ),
    "lists for each sequence": (
        {},
        {"target": "sum", "output": "vector"},
        "target got columns of lists, expected single values for output='vector'",
    ),
    "values for each step": (
        {},
        {"target": "last sum", "output": "sequence"},
        "target got columns of single values, expected lists for output='sequence'",
    ),
    "times": ({}, {"time": "sum"}, "time got 'sum', expected None without id"),
}


@pytest.mark.parametrize("case", WRONG_LISTS)
def test_what_is_wrong_in_lists_is_told_with_its_place(tmp_path, case):
    columns, options, message = WRONG_LISTS[case]
    path = write_lists(tmp_path / "x.parquet", **columns)
    output = {key: options[key] for key in ("output",) if key in options}
    options = {"target": "last sum", **options}
    options.pop("output", None)
    with pytest.raises(ValueError, match=message):
        fit(ParquetSequences(path, channels=["a", "b"], **options), **output)


def test_without_pyarrow_the_extra_is_named():
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from elman.data import ParquetSequences\n"
        "try: ParquetSequences('x.parquet', channels='a')\n"
        "except ImportError as error: print(error)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "ParquetSequences: it needs pyarrow: pip install 'elman[parquet]'\n"
