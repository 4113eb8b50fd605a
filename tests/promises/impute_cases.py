"""What an imputer promises under bad input, case by case, as `cases.py` does for the models."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from promises.cases import X_CASES, C, N, T

FORM = r"^RNNImputer\.(fit|transform): "
BOTH = ("fit", "transform")
OF_MODELS = {"fit": "fit", "predict": "transform"}
ABOUT_NAN = (7, 58)  # an imputer takes NaN, in whatever it comes


@dataclass(frozen=True)
class Case:
    number: int
    what: str
    X: Any
    error: type
    message: str
    methods: tuple = ("fit",)
    parameters: dict = field(default_factory=dict)
    has_form: bool = True

    @property
    def pattern(self):
        return (FORM if self.has_form else "") + f"(?s:.*){self.message}"


def good_X():
    X = np.random.default_rng(0).normal(size=(N, T, C))
    X[2, 1:3, 0] = np.nan
    return X


def good_series():
    return good_X().reshape(-1, C)


def of_models(case):
    methods = tuple(OF_MODELS[name] for name in case.methods if name in OF_MODELS)
    X = case.change["X"]
    return Case(case.number, case.what, X, case.error, case.message, methods, {}, case.has_form)


def with_values(X, **changes):
    X = X.copy()
    for index, value in changes.values():
        X[index] = value
    return X


def dated(times, periods=False):
    index = pd.PeriodIndex(times, freq="D") if periods else pd.DatetimeIndex(times)
    return pd.DataFrame({"a": np.arange(4.0), "b": [1.0, np.nan, 3.0, 4.0]}, index=index)


X_OF_IMPUTERS = [of_models(case) for case in X_CASES if case.number not in ABOUT_NAN]

NO_CHANNEL = with_values(good_X(), all=(np.s_[:, :, 1], np.nan))
SERIES = {"layout": "series"}

GAP_CASES = [
    Case(72, "all missing", np.full((N, T, C), np.nan), ValueError, "X got no value at all: every"),
    Case(72, "a channel missing", NO_CHANNEL, ValueError, r"X got no value .* channels \[1\]"),
    Case(
        72,
        "a column missing",
        pd.DataFrame({"a": [1.0, 2.0], "b": [np.nan, np.nan]}),
        ValueError,
        r"X got no value .* channels \['b'\]",
        parameters=SERIES,
    ),
    Case(
        74,
        "infinity",
        with_values(good_X(), one=((3, 1, 1), np.inf)),
        ValueError,
        r"X .*infinity.*\(sample 3, step 1, channel 1\)",
        BOTH,
    ),
    Case(
        74,
        "infinity in a list",
        [np.array([[1.0, 2.0], [np.nan, -np.inf]]), np.ones((3, C))],
        ValueError,
        r"X\[0\] .*infinity.*\(step 1, channel 1\)",
        BOTH,
    ),
    Case(
        74,
        "a marker that is no number",
        np.array([["1", "2"], ["?", "4"]] * 3, dtype=object),
        ValueError,
        "X .*could not convert",
    ),
    Case(
        74,
        "NaN beside another marker",
        good_X(),
        ValueError,
        r"X got 2 values of NaN.*\(sample 2, step 1, channel 0\)",
        parameters={"missing_values": -999},
    ),
    Case(
        58,
        "a column name twice",
        dated(pd.date_range("2000", periods=4)).rename(columns={"b": "a"}),
        ValueError,
        "the column name 'a' more than once",
        parameters=SERIES,
    ),
    Case(
        69,
        "times that fall",
        dated(["2000-01-01", "2000-01-03", "2000-01-02", "2000-01-04"]),
        ValueError,
        "the index of X got 2000-01-03 before 2000-01-02 in rows 1 and 2",
        BOTH,
        SERIES,
    ),
    Case(
        69,
        "a time twice",
        dated(["2000-01-01", "2000-01-02", "2000-01-02", "2000-01-04"]),
        ValueError,
        "the index of X got 2000-01-02 before 2000-01-02 in rows 1 and 2",
        BOTH,
        SERIES,
    ),
    Case(
        69,
        "no time",
        dated(["2000-01-01", None, "2000-01-02", "2000-01-04"]),
        ValueError,
        "the index of X got no time in row 1",
        BOTH,
        SERIES,
    ),
    Case(
        69,
        "a time between two steps",
        dated(["2000-01-01", "2000-01-02", "2000-01-03", "2000-01-04 06:00"]),
        ValueError,
        "the index of X got 2000-01-04 06:00:00 in row 3",
        BOTH,
        SERIES,
    ),
]


def bad_parameter(name, value, message):
    return Case(31, f"{name}={value!r}", good_X(), ValueError, message, parameters={name: value})


PARAMETER_CASES = [
    bad_parameter("cell", "transformer", "cell got 'transformer', expected one of 'simple'"),
    bad_parameter("hidden_layer_sizes", 0, "hidden_layer_sizes got 0"),
    bad_parameter("bidirectional", (True, False), "bidirectional got 2 values, expected 1"),
    bad_parameter("method", "saits", "method got 'saits', expected one of 'mixture', 'brits'"),
    bad_parameter("window", 0, "window got 0, expected 'auto' or an integer of at least 1"),
    bad_parameter("window", "long", "window got 'long'"),
    bad_parameter("season_length", 1, "season_length got 1, expected 'auto', None or an integer"),
    bad_parameter("season_length", "day", "season_length got 'day'"),
    bad_parameter("gaps", "holes", "gaps got 'holes', expected 'auto', one of 'points'"),
    bad_parameter("gaps", None, "gaps got None"),
    bad_parameter("gaps", {"holes": 1}, "gaps got the key 'holes', expected the keys points"),
    bad_parameter("gaps", {"runs": -1}, r"gaps\['runs'\] got -1, expected a share"),
    bad_parameter("gaps", {"runs": 0}, "gaps got shares that are all zero"),
    bad_parameter("gaps", {"length": (5, 2)}, r"gaps\['length'\] got \(5, 2\)"),
    bad_parameter("gaps", {"width": 0.5}, r"gaps\['width'\] got 0.5"),
    bad_parameter("layout", "wide", "layout got 'wide', expected one of 'sequences', 'series'"),
    bad_parameter("n_channels", 0, "n_channels got 0"),
    bad_parameter("missing_values", "NaN", "missing_values got 'NaN', expected a number or NaN"),
    bad_parameter("missing_values", np.inf, "missing_values got inf"),
    bad_parameter("alpha", -1.0, "alpha got -1.0"),
    bad_parameter("batch_size", 0, "batch_size got 0"),
    bad_parameter("learning_rate_init", 0, "learning_rate_init got 0"),
    bad_parameter("clip_norm", 0, "clip_norm got 0"),
    bad_parameter("dropout", 1.0, "dropout got 1.0"),
    bad_parameter("max_iter", 0, "max_iter got 0"),
    bad_parameter("random_state", "seed", "random_state got 'seed'"),
    bad_parameter("n_jobs", 0, "n_jobs got 0"),
    bad_parameter("verbose", "loud", "verbose got 'loud'"),
]

CASES = [*X_OF_IMPUTERS, *GAP_CASES, *PARAMETER_CASES]
