"""What forecasters promise under bad input, case by case.

A case is what is wrong, the method that sees it, the exception, and what its message says. The good
data are daily sales y of two shops, "north" and "south", as a long frame, and prices and weather X;
``change`` makes the bad call of them.
"""

import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

N_TIMES, HORIZON, WINDOW = 40, 4, 10
COVARIATES = ["price", "sky"]


def sales(n_times=N_TIMES, start="2020-01-01"):
    days = pd.date_range(start, periods=n_times)
    steps = np.arange(n_times)
    return pd.concat(
        [
            pd.DataFrame({"unique_id": name, "ds": days, "y": level + np.sin(steps) + steps % 7})
            for name, level in (("north", 20.0), ("south", 90.0))
        ],
        ignore_index=True,
    )


def weather(n_times=N_TIMES, start="2020-01-01"):
    frame = sales(n_times, start)
    sky = np.where(np.arange(len(frame)) % 3 == 0, "blue", "grey")
    return frame[["unique_id", "ds"]].assign(price=frame["y"] / 10, sky=sky)


LATER = "2020-02-10"  # the day after the last one of y


@dataclass(frozen=True)
class ForecastCase:
    number: int
    what: str
    method: str
    change: dict  # arguments of the call that are bad, by name
    error: type
    message: str
    forecasters: tuple = ("naive", "linear", "rnn")
    parameters: dict = field(default_factory=dict)

    @property
    def pattern(self):
        return rf"^\w+Forecaster\.{self.method}: (?s:.*){self.message}"


def good_arguments(method):
    if method in ("fit", "backtest"):
        return {"y": sales(), "X": weather()}
    if method == "update":
        return {"y": sales(HORIZON, LATER), "X": weather(HORIZON, LATER)}
    if method == "score":
        return {"y": sales(HORIZON, LATER), "X": weather(HORIZON, LATER)}
    ahead = {"X": weather(HORIZON, LATER)}
    return {"n": 3, **ahead} if method == "sample" else ahead


def _with_history(y):
    """A new history, and covariates for it and for what comes after."""
    return {"y": y, "X": weather(N_TIMES + HORIZON)}


def bad_horizon(what, horizon, expected="an integer from 1 to 1000000"):
    message = f"horizon got .*, expected {expected}"
    for method in ("predict", "predict_interval", "predict_quantiles", "sample", "backtest"):
        yield ForecastCase(66, what, method, {"horizon": horizon}, ValueError, message)
    yield ForecastCase(66, what, "fit", {}, ValueError, message, parameters={"horizon": horizon})


HORIZON_CASES = [
    case
    for what, horizon in {
        "0": 0, "-1": -1, "1.5": 1.5, "a billion": 10**9, "True": True, "text": "day",
    }.items()
    for case in bad_horizon(what, horizon)
]  # fmt: skip


def shorter(frame, n_times, name="south"):
    place = frame.groupby("unique_id").cumcount()
    return frame[(frame["unique_id"] != name) | (place < n_times)].reset_index(drop=True)


LENGTH_CASES = [
    ForecastCase(
        67,
        "a series shorter than the window",
        "fit",
        {"y": shorter(sales(), 5), "X": shorter(weather(), 5)},
        ValueError,
        rf"y got 5 values in series 'south', expected at least {WINDOW}",
    ),
    ForecastCase(
        67,
        "a history shorter than the window",
        "predict",
        {"y": sales(6), "X": weather(6 + HORIZON)},
        ValueError,
        rf"y got 6 values in series 'north', expected at least {WINDOW}",
    ),
    ForecastCase(
        67,
        "series shorter than the windows of a backtest",
        "backtest",
        {"n_windows": 20},
        ValueError,
        r"y got 40 values in series 'north', expected at least \d+",
    ),
]

AHEAD = "the columns price, sky in 4 rows after the end of y, 2020-02-10 to 2020-02-13"


def missing_future(what, X, message):
    for method in ("predict", "predict_interval", "predict_quantiles"):
        yield ForecastCase(68, what, method, {"X": X}, ValueError, message, ("linear",))


FUTURE_CASES = [
    *missing_future("no covariates to come", None, f"X got None, expected {AHEAD}"),
    *missing_future(
        "covariates of 3 days to come",
        weather(3, LATER),
        f"X got 3 rows for series 'north', expected {AHEAD}",
    ),
    *missing_future(
        "covariates of one shop to come",
        weather(HORIZON, LATER).query("unique_id == 'north'"),
        f"X got 0 rows for series 'south', expected {AHEAD}",
    ),
    *missing_future(
        "covariates of the past", weather(), f"X got 0 rows for series 'north', expected {AHEAD}"
    ),
    *missing_future(
        "a column too few",
        weather(HORIZON, LATER).drop(columns="price"),
        f"X got no columns price, expected {AHEAD}",
    ),
    ForecastCase(
        68,
        "covariates that end with a new history",
        "predict",
        {"y": sales(), "X": weather()},
        ValueError,
        f"X got 0 rows for series 'north', expected {AHEAD}",
        ("linear",),
    ),
    ForecastCase(
        68,
        "covariates that end before y",
        "fit",
        {"X": weather(N_TIMES - 1)},
        ValueError,
        "X got no row at 2020-02-09 for series 'north', expected a row for each of y",
    ),
    ForecastCase(
        68,
        "no covariates where fit had some",
        "update",
        {"X": None},
        ValueError,
        r"X got None, expected the columns \['price', 'sky'\], as in fit",
    ),
]


def moved(frame, row, time):
    frame = frame.copy()
    times = frame["ds"].astype(object) if getattr(time, "tzinfo", None) else frame["ds"].copy()
    times[row] = time
    return frame.assign(ds=times)


def bad_times(what, change, message):
    """The same for fit, for a new history, and for what comes later."""
    yield ForecastCase(69, what, "fit", {"y": change(sales())}, ValueError, message)
    yield ForecastCase(69, what, "predict", _with_history(change(sales())), ValueError, message)
    later = {"y": change(sales(N_TIMES, LATER))}
    shifted = re.sub(r"2020-01-0\d", r"2020-02-\\d\\d", message)
    yield ForecastCase(69, what, "update", later, ValueError, shifted)


TIME_CASES = [
    *bad_times(
        "a time twice",
        lambda frame: moved(frame, 3, frame["ds"][2]),
        r"2020-01-03 before 2020-01-03 in rows 2 and 3 of series 'north', expected times that rise",
    ),
    *bad_times(
        "times that fall",
        lambda frame: frame.iloc[[0, 2, 1, *range(3, len(frame))]],
        r"2020-01-03 before 2020-01-02 in rows 1 and 2 of series 'north', expected times that rise",
    ),
    *bad_times(
        "times of several zones",
        lambda frame: moved(frame, 3, frame["ds"][3].tz_localize("UTC")),
        r"2020-01-03 00:00:00 and 2020-01-04 00:00:00\+00:00 in rows 2 and 3, expected .* one time",
    ),
    *bad_times(
        "a time between two others",
        lambda frame: moved(frame, 3, frame["ds"][3] + pd.Timedelta("6h")),
        r"2020-01-03 and 2020-01-04 06:00:00, expected times on the grid of frequency",
    ),
    ForecastCase(
        69,
        "a history of weeks where fit had days",
        "predict",
        _with_history(sales().assign(ds=lambda f: f["ds"].min() + 7 * (f["ds"] - f["ds"].min()))),
        ValueError,
        "2020-01-01 and then 2020-01-08, expected times .* apart by frequency 'D', as in fit",
    ),
    ForecastCase(
        69,
        "a history of another time zone",
        "predict",
        _with_history(sales().assign(ds=lambda frame: frame["ds"].dt.tz_localize("UTC"))),
        ValueError,
        "times of the zone UTC, expected None, as in fit",
    ),
    ForecastCase(
        69,
        "an update that overlaps",
        "update",
        {"y": sales(HORIZON, "2020-02-09"), "X": weather(HORIZON, "2020-02-09")},
        ValueError,
        "y got a beginning at 2020-02-09 for series 'north', expected 2020-02-10",
    ),
]


QUANTILES = {
    "0": [0, 0.5], "1": [0.5, 1], "below 0": [-0.1], "above 1": [90], "twice": [0.1, 0.1, 0.9],
    "unsorted": [0.9, 0.1], "none": [], "NaN": [np.nan], "text": "median",
    "of two dimensions": [[0.1, 0.9]],
}  # fmt: skip
QUANTILE_CASES = [
    ForecastCase(
        70,
        f"quantiles: {what}",
        method,
        {"quantiles": quantiles},
        ValueError,
        "quantiles got .*, expected numbers between 0 and 1, ascending",
    )
    for what, quantiles in QUANTILES.items()
    for method in ("predict_quantiles", "backtest")
] + [
    ForecastCase(
        70,
        f"coverage: {coverage}",
        method,
        {"coverage": coverage},
        ValueError,
        "coverage got .*, expected a number between 0 and 1",
    )
    for coverage in (0, 1, 90, -0.5, np.nan, "high", True)
    for method in ("predict_interval", "backtest")
]


def renamed(frame):
    """Seven shops that nobody knows."""
    shops = [f"shop {i}" for i in range(7)]
    return pd.concat(
        [frame.query("unique_id == 'north'").assign(unique_id=shop) for shop in shops],
        ignore_index=True,
    )


UNKNOWN = "y got the unknown series 'shop 0', .*'shop 4' and 2 more, expected series of fit"
UNKNOWN_CASES = [
    ForecastCase(
        71, "unknown series", "predict", _with_history(renamed(sales())), ValueError, UNKNOWN
    ),
    ForecastCase(
        71,
        "unknown series",
        "update",
        {"y": renamed(sales(HORIZON, LATER))},
        ValueError,
        UNKNOWN,
    ),
    ForecastCase(
        71, "unknown series", "score", {"y": renamed(sales(HORIZON, LATER))}, ValueError, UNKNOWN
    ),
    *[
        ForecastCase(
            71,
            "an unknown category",
            method,
            {argument: weather(HORIZON, LATER).assign(sky="pink")},
            ValueError,
            "X got the unknown categories 'pink' in column 'sky', expected those of fit",
            forecasters,
        )
        for method, argument, forecasters in (
            ("predict", "X", ("linear", "rnn")),
            ("update", "X", ("naive", "linear", "rnn")),
            ("score", "X", ("naive", "linear", "rnn")),
        )
    ],
    ForecastCase(
        71,
        "a history of another kind",
        "predict",
        {"y": np.arange(20.0)},
        ValueError,
        r"y got an array of shape \(n_times,\), expected a long pandas frame, as in fit",
    ),
]

CASES = HORIZON_CASES + LENGTH_CASES + FUTURE_CASES + TIME_CASES + QUANTILE_CASES + UNKNOWN_CASES
