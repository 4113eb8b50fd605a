"""Series come in many kinds, and forecasts go out in the same."""

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from elman._calendar import CALENDAR_FEATURES, Frequency, calendar_features
from elman._covariates import read_future
from elman._panel import join, read_history, read_panel
from elman._panel_output import give_back

NAN = np.nan


def read(y, X=None, static=None, **options):
    return read_panel(y, X, static, caller="Forecaster.fit", **options)


def series_of(panel):
    return {
        name: panel.values[panel.offsets[i] : panel.offsets[i + 1]].tolist()
        for i, name in enumerate(panel.names)
    }


def long_frame():
    return pd.DataFrame(
        {
            "unique_id": ["b", "b", "a", "b", "a"],
            "ds": pd.to_datetime(
                ["2020-01-01", "2020-01-02", "2020-01-01", "2020-01-04", "2020-01-02"]
            ),
            "y": [1.0, 2.0, 4.0, 3.0, NAN],
        }
    )


def test_an_array_of_one_dimension_is_one_series():
    panel = read([1, 2, 3])
    assert panel.values.dtype == np.float64
    assert series_of(panel) == {0: [1, 2, 3]}
    assert panel.form.frequency.season_lengths() == (1,)


def test_columns_of_an_array_are_series():
    assert series_of(read(np.array([[1, 4], [2, 5], [3, 6]]))) == {0: [1, 2, 3], 1: [4, 5, 6]}


def test_arrays_of_a_list_are_series_of_their_own_lengths():
    panel = read([np.array([1.0, 2, 3]), np.array([4.0])])
    assert series_of(panel) == {0: [1, 2, 3], 1: [4]}
    assert panel.offsets.tolist() == [0, 3, 4]


def test_a_series_begins_with_its_first_value_and_ends_with_its_last_row():
    y = np.array([[1, NAN], [NAN, NAN], [3, 4], [NAN, NAN]])
    panel = read(y)
    np.testing.assert_equal(series_of(panel), {0: [1, NAN, 3, NAN], 1: [4, NAN]})
    assert panel.times().tolist() == [0, 1, 2, 3, 2, 3]


def test_a_later_piece_may_begin_with_a_missing_value():
    form = read([1.0, 2.0]).form
    np.testing.assert_equal(read([NAN, 2.0], form=form, goes_on=True).values, [NAN, 2.0])


def test_series_of_a_long_frame_have_their_own_times():
    panel = read(long_frame())
    np.testing.assert_equal(series_of(panel), {"b": [1, 2, NAN, 3], "a": [4, NAN]})
    assert panel.future_times(1).tolist() == list(pd.to_datetime(["2020-01-05", "2020-01-03"]))


def test_names_of_the_columns_may_be_others():
    frame = long_frame().set_axis(["shop", "day", "sold"], axis=1)
    panel = read(frame, columns=("shop", "day", "sold"))
    assert panel.names == ("b", "a")
    assert list(give_back(panel, np.zeros((2, 1))).columns) == ["shop", "day", "y_pred"]


def test_polars_and_pandas_are_the_same():
    ours, theirs = read(long_frame()), read(pl.from_pandas(long_frame()))
    np.testing.assert_equal(series_of(ours), series_of(theirs))
    assert ours.times().equals(theirs.times())


# Times.

FREQUENCIES = {
    "hours": (pd.date_range("2020-01-01", periods=80, freq="h"), (24, 168)),
    "half hours": (pd.date_range("2020-01-01", periods=80, freq="30min"), (48, 336)),
    "quarters of hours": (pd.date_range("2020-01-01", periods=80, freq="15min"), (96, 672)),
    "minutes": (pd.date_range("2020-01-01", periods=80, freq="min"), (60, 1440)),
    "seconds": (pd.date_range("2020-01-01", periods=80, freq="s"), (60, 3600)),
    "days": (pd.date_range("2020-01-01", periods=80, freq="D"), (7,)),
    "business days": (pd.date_range("2020-01-01", periods=80, freq="B"), (5,)),
    "weeks": (pd.date_range("2020-01-01", periods=80, freq="W"), (52,)),
    "months": (pd.date_range("2020-01-01", periods=80, freq="MS"), (12,)),
    "ends of months": (pd.date_range("2020-01-31", periods=80, freq="ME"), (12,)),
    "the 15th": (pd.date_range("2020-01-15", periods=80, freq=pd.DateOffset(months=1)), (12,)),
    "quarters": (pd.date_range("2020-02-01", periods=80, freq="QS-FEB"), (4,)),
    "years": (pd.date_range("1920-01-01", periods=80, freq="YS"), (1,)),
    "local days": (pd.date_range("2020-01-01", periods=80, tz="Europe/Berlin"), (7,)),
    "local hours": (
        pd.date_range("2020-03-28", periods=80, freq="h", tz="Europe/Berlin"),
        (24, 168),
    ),
    "periods of a month": (pd.period_range("2020-01", periods=80, freq="M"), (12,)),
    "periods of a quarter": (pd.period_range("2020Q1", periods=80, freq="Q"), (4,)),
    "periods of a day": (pd.period_range("2020-01-01", periods=80, freq="D"), (7,)),
    "years as integers": (pd.Index(np.arange(1920, 2000)), (1,)),
    "every second integer": (pd.RangeIndex(0, 160, 2), (1,)),
}


@pytest.mark.parametrize("name", FREQUENCIES)
def test_the_index_tells_frequency_and_season(name):
    """Without a `freq` of its own, with times left out of it, and on to the future."""
    index, seasons = FREQUENCIES[name]
    absent = [20, 41, 42]
    panel = read(pd.Series(np.arange(70.0), index[:70]).drop(index[absent]))
    expected = np.arange(70.0)
    expected[absent] = NAN
    np.testing.assert_equal(panel.values, expected)
    assert panel.form.frequency.season_lengths() == seasons
    assert pd.Index(panel.times()).equals(pd.Index(index[:70]))
    assert pd.Index(panel.future_times(10)).equals(pd.Index(index[70:]))


def test_an_hour_that_a_clock_skips_is_none():
    index = pd.date_range("2020-03-28", periods=72, freq="h", tz="Europe/Berlin")
    assert not np.isnan(read(pd.Series(np.arange(72.0), index)).values).any()


def test_holidays_of_business_days_are_missing():
    index = pd.bdate_range("2021-12-01", "2022-01-31").drop(pd.Timestamp("2021-12-24"))
    panel = read(pd.Series(np.ones(len(index)), index))
    assert panel.form.frequency.code == "B"
    assert panel.times()[np.isnan(panel.values)].tolist() == [pd.Timestamp("2021-12-24")]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (pd.Series([1.0, 2, 3], pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-02"])),
         r"2020-01-02 before 2020-01-02 in rows 1 and 2"),
        (long_frame().iloc[[1, 0, 2, 3, 4]],
         r"y\['ds'\] got 2020-01-02 before 2020-01-01 in rows 0 and 1 of series 'b'"),
        (pd.Series([1.0, 2], [pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02", tz="UTC")]),
         r"2020-01-01 00:00:00 and 2020-01-02 00:00:00\+00:00 in rows 0 and 1, .*utc=True"),
        (pd.Series([1.0, 2], ["2020-01-01 00:00+01:00", "2020-01-02 00:00+02:00"]),
         "in rows 0 and 1, expected times of one time zone"),
        (pd.Series(np.ones(4), pd.to_datetime(["2020-01-01 00:00", "2020-01-01 01:00",
                                               "2020-01-01 02:00", "2020-01-01 02:30"])),
         "01-01 02:00:00 and 2020-01-01 02:30:00, expected times on the grid of frequency 'h'"),
        (pd.Series(np.ones(3), pd.to_datetime(["1900-01-01 00:00", "1900-01-01 01:00",
                                               "2020-01-01 00:00"])),
         "3 values at 1051897 times of frequency 'h'"),
        (pd.Series([1.0, 2], pd.to_datetime(["2020-01-01", None])), "no time in row 1"),
        (pd.Series([1.0, 2], ["2020-01-01", "2020-13-01"]), "'2020-13-01' in row 1"),
        (pd.Series([1.0], pd.to_datetime(["2020-01-01"])), "1 time, expected at least 2"),
    ],
)  # fmt: skip
def test_times_that_are_wrong_are_named(y, message):
    with pytest.raises(ValueError, match=message):
        read(y)


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (None, ValueError, "y got None"),
        ("abc", ValueError, "y got a str"),
        (np.zeros(0), ValueError, r"y got shape \(0,\)"),
        (np.zeros((2, 3, 4)), ValueError, r"y got shape \(2, 3, 4\)"),
        ([np.zeros(3), np.zeros((3, 2))], ValueError, r"y\[1\] got shape \(3, 2\)"),
        ([[1.0, 2.0], [1.0, np.inf]], ValueError, "y got infinity in row 1 of series 1"),
        ([[1.0, NAN], [2.0, NAN]], ValueError, "no value in series 1"),
        (pd.Series([1.0, 2.0], [0.5, 1.5]), TypeError, "times of dtype float64"),
        (pd.DataFrame({"a": ["1", "x"]}), ValueError, r"y\['a'\] got 'x' in row 1"),
        (pd.DataFrame({"day": ["2020-01-01", "2020-01-02"], "a": 1}), ValueError,
         r"'2020-01-01' in row 0, expected numbers; times stand in the index"),
        (pd.DataFrame({"day": pd.to_datetime(["2020-01-01", "2020-01-02"]), "a": 1}), ValueError,
         r"y\['day'\] got dtype datetime64.*, expected numbers; times stand in the index"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "the column 'a' more than once"),
        (pd.DataFrame({"unique_id": []}), ValueError, "a frame without rows"),
        (long_frame().drop(columns="y"), ValueError, "no column 'y'"),
        (long_frame().assign(price=1), ValueError, r"further columns \['price'\].*as X"),
        (long_frame().assign(unique_id=["b", None, "a", "b", "a"]), ValueError, "no id in row 1"),
    ],
)  # fmt: skip
def test_what_is_no_panel_is_refused(y, error, message):
    with pytest.raises(error, match=f"^Forecaster.fit: (?s:.*){message}"):
        read(y)


# A later y.


@pytest.mark.parametrize(
    ("later", "message"),
    [
        ([1.0, 2.0], r"an array of shape \(n_times,\), expected a long pandas frame, as in fit"),
        (long_frame().assign(unique_id=list("cdefg")), "unknown series 'c', 'd', 'e', 'f', 'g', e"),
        (pd.concat([long_frame().assign(unique_id=f"x{i}") for i in range(7)]).iloc[::5],
         "'x0', 'x1', 'x2', 'x3', 'x4' and 2 more"),
        (long_frame().assign(ds=[1, 2, 1, 4, 2]), "integer times, expected date times, as in fit"),
        (long_frame().assign(ds=lambda f: f.ds.dt.tz_localize("UTC")), "zone UTC, expected None"),
        (pd.DataFrame({"unique_id": "a", "ds": pd.date_range("2020-01-01", periods=3, freq="7D"),
                       "y": 1.0}),
         "2020-01-01 and then 2020-01-08, expected times that are apart by frequency '1D'"),
    ],
)  # fmt: skip
def test_a_later_panel_must_be_as_in_fit(later, message):
    form = read(long_frame()).form
    with pytest.raises(ValueError, match=message):
        read(later, form=form)


def test_a_later_long_frame_may_have_some_of_the_series():
    form = read(long_frame()).form
    panel = read(long_frame().query("unique_id == 'a'"), form=form)
    assert panel.names == ("a",)
    assert panel.series.tolist() == [1]


def test_columns_of_a_later_wide_frame_are_found_by_name():
    index = pd.date_range("2020-01-01", periods=3)
    frame = pd.DataFrame({"a": [1.0, 2, 3], "b": [4.0, 5, 6]}, index)
    form = read(frame).form
    assert series_of(read(frame[["b", "a"]], form=form)) == {"a": [1, 2, 3], "b": [4, 5, 6]}
    with pytest.raises(ValueError, match=r"no column \['b'\], expected every series of fit"):
        read(frame[["a"]], form=form)


def test_one_time_is_enough_later():
    index = pd.date_range("2020-01-01", periods=4)
    form = read(pd.Series(np.ones(4), index)).form
    assert (
        read(pd.Series([1.0], index[-1:]), form=form).future_times(1)[0] == index[-1] + index.freq
    )


def test_what_comes_later_is_joined():
    panel = read(long_frame())
    later = pd.DataFrame(
        {"unique_id": ["b", "b"], "ds": pd.to_datetime(["2020-01-06", "2020-01-07"]), "y": [7, 8]}
    )
    joined = join(panel, read(later, form=panel.form, goes_on=True), "Forecaster.update")
    np.testing.assert_equal(series_of(joined), {"b": [1, 2, NAN, 3, NAN, 7, 8], "a": [4, NAN]})
    with pytest.raises(ValueError, match="y got a beginning at 2020-01-01 for series 'b'"):
        join(panel, panel, "Forecaster.update")


def test_pieces_are_cut_at_once():
    panel = read([np.arange(5.0), np.arange(10.0, 14.0)])
    pieces = panel.cut(np.array([0, 1, 0]), np.array([2, 4, 5]), 3)
    assert [part.tolist() for part in np.split(pieces.values, pieces.offsets[1:-1])] == [
        [0, 1], [11, 12, 13], [2, 3, 4],
    ]  # fmt: skip
    assert pieces.names == (0, 1, 0)
    assert pieces.starts.tolist() == [0, 1, 2]


# Covariates.

DAYS = pd.date_range("2020-01-01", periods=4)


def weather(index):
    return pd.DataFrame(
        {
            "sun": np.arange(len(index)) * 1.0,
            "sky": pd.Categorical(["grey", "blue"] * 9)[: len(index)],
        },
        index,
    )


def test_numbers_stay_and_categories_become_codes():
    X = weather(DAYS).assign(open=[True, False, True, True], wind=["n", None, "s", "e"])
    panel = read(pd.Series(np.ones(4), DAYS), X)
    columns = panel.form.covariates
    assert columns.names == ("sun", "sky", "open", "wind")
    assert columns.categories == {
        "sky": ("blue", "grey"), "open": (False, True), "wind": ("e", "n", "s"),
    }  # fmt: skip
    np.testing.assert_equal(
        panel.covariates,
        [[0, 1, 1, 1], [1, 0, 0, NAN], [2, 1, 1, 2], [3, 0, 1, 0]],
    )
    assert columns.indices(["wind", "sun"], "Forecaster.fit", "past_covariates") == [3, 0]
    with pytest.raises(ValueError, match=r"past_covariates got \['rain'\]"):
        columns.indices(["rain"], "Forecaster.fit", "past_covariates")


KINDS = {
    "array": (np.arange(4.0), np.arange(8).reshape(4, 2)),
    "array of one column": (np.arange(4.0), np.arange(4)),
    "array, of text": (np.arange(4.0), np.array([["a", "b"]] * 4)),
    "columns, a list": (np.ones((4, 2)), [np.zeros((4, 1)), np.ones((4, 1))]),
    "list": ([np.ones(4), np.ones(2)], [np.zeros((4, 2)), np.ones((2, 2))]),
    "series, by its times": (pd.Series(np.ones(4), DAYS), weather(DAYS)),
    "series, row by row": (pd.Series(np.ones(4), DAYS), np.zeros((4, 1))),
    "wide, shared": (pd.DataFrame(np.ones((4, 2)), DAYS), weather(DAYS)),
    "wide, shared, from earlier on": (
        pd.DataFrame(np.ones((2, 2)), DAYS[2:]), weather(DAYS)),
    "wide, a late start": (
        pd.DataFrame({"a": np.ones(4), "b": [NAN, NAN, 1, 1]}, DAYS), weather(DAYS)),
    "long": (long_frame(), long_frame().assign(y=lambda f: np.arange(5.0))),
    "long, in another order": (
        long_frame(), long_frame().assign(y=lambda f: np.arange(5.0)).iloc[[2, 0, 4, 1, 3]]),
    "long, shared": (
        long_frame(), weather(DAYS).rename_axis("ds").reset_index()),
    "long, row by row": (long_frame(), np.arange(5.0)),
    "polars": (
        pl.from_pandas(long_frame()), pl.from_pandas(long_frame().assign(y=3))),
}  # fmt: skip

EXPECTED = {
    "array": [[0, 1], [2, 3], [4, 5], [6, 7]],
    "array of one column": [[0], [1], [2], [3]],
    "array, of text": [[0, 0]] * 4,
    "columns, a list": [[0]] * 4 + [[1]] * 4,
    "list": [[0, 0]] * 4 + [[1, 1]] * 2,
    "series, by its times": [[0, 1], [1, 0], [2, 1], [3, 0]],
    "series, row by row": [[0]] * 4,
    "wide, shared": [[0, 1], [1, 0], [2, 1], [3, 0]] * 2,
    "wide, shared, from earlier on": [[2, 1], [3, 0]] * 2,
    "wide, a late start": [[0, 1], [1, 0], [2, 1], [3, 0], [2, 1], [3, 0]],
    "long": [[0], [1], [NAN], [3], [2], [4]],
    "long, in another order": [[0], [1], [NAN], [3], [2], [4]],
    "long, shared": [[0, 1], [1, 0], [2, 1], [3, 0], [0, 1], [1, 0]],
    "long, row by row": [[0], [1], [NAN], [3], [2], [4]],
    "polars": [[3], [3], [NAN], [3], [3], [3]],
}


@pytest.mark.parametrize("kind", KINDS)
def test_covariates_are_aligned_with_values(kind):
    np.testing.assert_equal(read(*KINDS[kind]).covariates, EXPECTED[kind])


@pytest.mark.parametrize(
    ("y", "X", "error", "message"),
    [
        (np.ones(4), np.ones((3, 1)), ValueError, "X got 3 rows, expected 4, as in y"),
        (np.ones(4), np.ones((6, 1)), ValueError, "X got 6 rows, expected 4, as in y"),
        (np.ones((4, 2)), [np.ones((4, 1))], ValueError, "a list of 1 arrays, expected 2"),
        ([np.ones(4), np.ones(3)], np.ones((4, 1)), ValueError, "an array, expected a list"),
        ([np.ones(4), np.ones(3)], [np.ones((4, 1))] * 2, ValueError, r"X\[1\] got 4 rows"),
        (pd.Series(np.ones(4), DAYS), weather(DAYS[:3]), ValueError, "no row at 2020-01-04"),
        (pd.Series(np.ones(3), DAYS[:3]), weather(DAYS), ValueError,
         "a row at 2020-01-04, after the end of y, expected no more times"),
        (pd.Series(np.ones(4), DAYS), weather(DAYS.tz_localize("UTC")), ValueError,
         "date times of the zone UTC, expected date times of the zone None"),
        (pd.Series(np.ones(4), DAYS), weather(DAYS[[0, 1, 1, 2]]), ValueError,
         "X got 2020-01-02 before 2020-01-02 in rows 1 and 2"),
        (long_frame(), long_frame().assign(unique_id="z").head(1), ValueError, "series 'z'"),
        (long_frame(), [np.ones(3), np.ones(2)], ValueError, "a list, expected a frame"),
        (np.ones(2), [[1.0], [np.inf]], ValueError, "X got 1 value of infinity"),
        (np.ones(2), pd.DataFrame({"a": pd.to_datetime(["2020", "2021"])}), TypeError,
         r"X\['a'\] got dtype datetime64"),
        (np.ones(2), pd.DataFrame([[1, 2]] * 2, columns=["a", "a"]), ValueError, "more than once"),
    ],
)  # fmt: skip
def test_covariates_that_do_not_fit_are_refused(y, X, error, message):
    with pytest.raises(error, match=message):
        read(y, X)


def test_later_covariates_have_the_columns_of_fit():
    y = pd.Series(np.ones(4), DAYS)
    form = read(y, weather(DAYS)).form
    np.testing.assert_equal(read(y, weather(DAYS), form=form).covariates[:, 1], [1, 0, 1, 0])
    with pytest.raises(ValueError, match=r"X got None, expected the columns \['sun', 'sky'\]"):
        read(y, form=form)
    with pytest.raises(ValueError, match="feature names should match"):
        read(y, weather(DAYS).rename(columns={"sun": "rain"}), form=form)
    with pytest.raises(ValueError, match="feature names should match"):
        read(y, weather(DAYS)[["sky", "sun"]], form=form)
    with pytest.raises(ValueError, match="unknown categories 'a', 'b', 'c', 'd' in column 'sky'"):
        read(y, weather(DAYS).assign(sky=list("abcd")), form=form)
    with pytest.raises(ValueError, match="X got a ndarray, expected None, as in fit"):
        read(y, np.ones((4, 1)), form=read(y).form)


FUTURE = pd.date_range("2020-01-05", periods=3)


@pytest.mark.parametrize(
    ("kind", "X"),
    [
        ("array", np.arange(8, 14).reshape(3, 2)),
        ("array", np.arange(8, 20).reshape(6, 2)),
        ("wide, shared", weather(FUTURE)),
        ("wide, shared", weather(DAYS.union(FUTURE)).iloc[4:]),
        ("list", [np.zeros((3, 2)), np.ones((3, 2))]),
    ],
)
def test_covariates_to_come(kind, X):
    panel = read(*KINDS[kind])
    future = read_future(X, panel, 3, "Forecaster.predict")
    assert future.shape == (len(panel), 3, 2)
    first = X[0] if isinstance(X, list) else X
    expected = first if isinstance(first, np.ndarray) else first.assign(sky=first.sky == "grey")
    np.testing.assert_equal(future[0], np.asarray(expected, dtype=float)[:3])


def test_covariates_to_come_of_a_long_frame_follow_each_series():
    panel = read(long_frame(), long_frame().rename(columns={"y": "price"}).fillna(0.0))
    X = pd.DataFrame(
        {
            "unique_id": ["a", "a", "b", "b"],
            "ds": pd.to_datetime(["2020-01-03", "2020-01-04", "2020-01-05", "2020-01-06"]),
            "price": [1.0, 2.0, 3.0, 4.0],
        }
    )
    future = read_future(X, panel, 2, "Forecaster.predict")
    np.testing.assert_equal(future[..., 0], [[3, 4], [1, 2]])
    with pytest.raises(ValueError, match=r"1 rows for series 'a', expected the columns price in 2"):
        read_future(X.drop(1), panel, 2, "Forecaster.predict")


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (
            None,
            "None, expected the columns sun, sky in 3 rows after the end of y, 2020-01-05",
        ),
        (weather(FUTURE)[:2], "X got 2 rows, expected the columns sun, sky in 3 rows"),
        (weather(DAYS), "X got 0 rows, expected"),
        (weather(FUTURE)[["sky"]], "no columns sun, expected the columns sun, sky in 3 rows"),
        (weather(FUTURE).assign(sky=["blue", "grey", "pink"]), "unknown categories 'pink'"),
    ],
)
def test_covariates_to_come_that_are_missing_are_named(X, message):
    panel = read(pd.Series(np.ones(4), DAYS), weather(DAYS))
    with pytest.raises(ValueError, match=message):
        read_future(X, panel, 3, "Forecaster.predict")


def test_columns_that_are_not_needed_may_be_left_out():
    panel = read(pd.Series(np.ones(4), DAYS), weather(DAYS))
    future = read_future(weather(FUTURE)[["sun"]], panel, 3, "Forecaster.predict", ["sun"])
    np.testing.assert_equal(future[0], [[0, NAN], [1, NAN], [2, NAN]])
    assert np.isnan(read_future(None, panel, 3, "Forecaster.predict", [])).all()


@pytest.mark.parametrize("kind", ["array", "wide, shared", "list", "long, shared"])
def test_a_history_brings_its_covariates_and_those_to_come(kind):
    y, X = KINDS[kind]
    panel = read(y, X)
    if kind == "array":
        whole = np.vstack([X, X[:2] + 100])
    elif kind == "list":
        whole = [np.vstack([x, x[:2] + 100]) for x in X]
    else:
        index = DAYS.union(FUTURE)
        whole = (
            weather(index)
            if kind == "wide, shared"
            else weather(index).rename_axis("ds").reset_index()
        )
    history, future = read_history(
        y,
        whole,
        2,
        caller="Forecaster.predict",
        form=panel.form,
        needed=panel.form.covariates.names,
    )
    np.testing.assert_equal(history.covariates, panel.covariates)
    expected = {"array": [100, 102], "list": [100, 100], "wide, shared": [4, 5]}
    if kind in expected:
        np.testing.assert_equal(future[0, :, 0], expected[kind])
    else:
        np.testing.assert_equal(future[:, :, 0], [[4, 5], [2, 3]])


def test_static_covariates_are_found_by_the_id():
    static = pd.DataFrame({"size": [1.0, 2.0], "town": ["x", "y"]}, index=["a", "b"])
    for given in (static, static.rename_axis("unique_id").reset_index()):
        panel = read(long_frame(), static=given)
        np.testing.assert_equal(panel.static, [[2, 1], [1, 0]])
    assert panel.form.static.categories == {"town": ("x", "y")}
    with pytest.raises(ValueError, match=r"static got no row for \['b'\]"):
        read(long_frame(), static=static.loc[["a"]])
    with pytest.raises(ValueError, match="static got 3 rows, expected 2"):
        read(np.ones((4, 2)), static=np.ones((3, 1)))


# Back again.


def test_forecasts_are_given_back_in_the_kind_of_y():
    forecasts = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_equal(give_back(read(np.ones(3)), forecasts[:1]), [1, 2])
    np.testing.assert_equal(give_back(read(np.ones((3, 2))), forecasts), forecasts.T)
    for ours, expected in zip(
        give_back(read([np.ones(3), np.ones(2)]), forecasts), forecasts, strict=True
    ):
        np.testing.assert_equal(ours, expected)
    one = give_back(read(pd.Series(np.ones(4), DAYS, name="sold")), forecasts[:1])
    pd.testing.assert_series_equal(one, pd.Series([1.0, 2.0], FUTURE[:2], name="sold"))
    frame = pd.DataFrame(np.ones((4, 2)), DAYS.rename("day"), pd.Index(["a", "b"], name="shop"))
    wide = pd.DataFrame(forecasts.T, FUTURE[:2].rename("day"), frame.columns)
    pd.testing.assert_frame_equal(give_back(read(frame), forecasts), wide)
    long = give_back(read(long_frame()), forecasts)
    assert long.columns.tolist() == ["unique_id", "ds", "y_pred"]
    assert long.unique_id.tolist() == ["b", "b", "a", "a"]
    assert long.y_pred.tolist() == [1, 2, 3, 4]
    assert long.ds.dt.day.tolist() == [5, 6, 3, 4]


@pytest.mark.parametrize("index", [pd.RangeIndex(3), pd.Index([1949, 1950, 1951])])
def test_integers_go_on(index):
    future = give_back(read(pd.Series(np.ones(3), index)), np.ones((1, 2))).index
    assert future.tolist() == [index[-1] + 1, index[-1] + 2]


def test_periods_go_on():
    index = pd.period_range("2020Q3", periods=3, freq="Q")
    future = give_back(read(pd.Series(np.ones(3), index)), np.ones((1, 2))).index
    assert future.equals(pd.period_range("2021Q2", periods=2, freq="Q"))


def test_frames_of_polars_go_out_as_such():
    dates = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 1, 4), eager=True)
    wide = pl.DataFrame({"ds": dates, "a": [1.0, 2, 3, 4], "b": [1.0, 2, None, 4]})
    forecasts = np.array([[1.0, 2.0], [3.0, 4.0]])
    out = give_back(read(wide), forecasts)
    assert out.schema == wide.schema
    assert out["ds"].dt.day().to_list() == [5, 6]
    assert out["b"].to_list() == [3, 4]
    long = pl.from_pandas(long_frame()).with_columns(pl.col("ds").dt.replace_time_zone("UTC"))
    out = give_back(read(long), forecasts)
    assert out.schema["ds"] == long.schema["ds"]
    assert out["unique_id"].to_list() == ["b", "b", "a", "a"]


def test_several_numbers_for_a_time():
    forecasts, labels = np.arange(8.0).reshape(2, 2, 2), ["0.1", "0.9"]
    point = np.ones((2, 2))
    assert give_back(read(np.ones(3)), forecasts[:1], labels).shape == (2, 2)
    assert give_back(read(np.ones((3, 2))), forecasts, labels)[1].tolist() == [[2, 3], [6, 7]]
    assert give_back(read([np.ones(3)] * 2), forecasts, labels)[1].tolist() == [[4, 5], [6, 7]]
    series = pd.Series(np.ones(4), DAYS)
    assert give_back(read(series), forecasts[:1], labels)["0.9"].tolist() == [1, 3]
    wide = give_back(read(pd.DataFrame({"a": series, "b": series})), forecasts, labels)
    assert wide["b", "0.1"].tolist() == [4, 6]
    long = give_back(read(long_frame()), forecasts, labels, point)
    assert long.columns.tolist() == ["unique_id", "ds", "y_pred", "0.1", "0.9"]
    assert long["0.9"].tolist() == [1, 3, 5, 7]


# The calendar.


def test_each_feature_of_the_calendar_goes_once_around():
    times = pd.date_range("2021-01-01", "2022-12-31 23:00", freq="h")
    features, names = calendar_features(times, CALENDAR_FEATURES, "Forecaster.fit")
    assert len(names) == 2 * len(CALENDAR_FEATURES) - 1
    pairs = features[:, :14].reshape(len(times), 7, 2)
    np.testing.assert_allclose((pairs**2).sum(axis=2), 1)
    frame = pd.DataFrame(features, times, names)
    assert frame["is_weekend"].loc["2021-01-02":"2021-01-04"].groupby(
        lambda t: t.day
    ).mean().tolist() == [1, 1, 0]
    np.testing.assert_allclose(
        frame.loc["2021-01-01 06:00", ["hour_sin", "hour_cos"]], [1, 0], atol=1e-12
    )
    np.testing.assert_allclose(
        frame.loc["2021-04-15", ["month_sin", "month_cos"]].iloc[0], [1, 0], atol=1e-12
    )
    periods = pd.period_range("2021-01-01", "2022-12-31", freq="D")
    daily = frame[frame.index.hour == 0]
    np.testing.assert_allclose(
        calendar_features(periods, CALENDAR_FEATURES[1:], "Forecaster.fit")[0], daily.iloc[:, 2:]
    )


def test_a_calendar_needs_dates_and_known_names():
    with pytest.raises(ValueError, match="calendar got 'minute'"):
        calendar_features(DAYS, ["minute"], "Forecaster.fit")
    with pytest.raises(ValueError, match="a y without dates"):
        calendar_features(np.arange(3), ["hour"], "Forecaster.fit")


def test_a_frequency_is_told_in_words():
    assert str(Frequency("date", "h")) == "frequency 'h'"
    assert str(Frequency("integer", "2")) == "a step of 2"


def test_arrays_and_lists_do_without_pandas():
    code = (
        "import sys, numpy as np; sys.modules['pandas'] = None\n"
        "from elman import NaiveForecaster\n"
        "NaiveForecaster(2).fit([np.ones(4), np.ones(3)], [np.ones((4, 2)), np.ones((3, 2))])\n"
        "model = NaiveForecaster(2).fit(np.ones(40)); model.predict_interval(0.5)\n"
        "try: model.backtest(np.ones(40))\n"
        "except ImportError as error: assert 'elman[pandas]' in str(error)\n"
        "else: raise SystemExit('pandas was there')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
