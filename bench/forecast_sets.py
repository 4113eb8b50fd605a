"""The sets of public data that `bench.forecasting` forecasts, each on its two parts.

A set is a function of the part that is forecast ("validation", on which settings are chosen and
which comes before the other, or "test"), the seed, changes of settings, and whether intervals are
asked for. Two sets have too short a test part to count what intervals cover: for that they have a
third one, "backtest", which is longer and ends with the test part.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from elman import NaiveForecaster, RNNForecaster
from elman._backtest import forecasts_of
from elman._panel import read_panel
from elman.datasets import (
    fetch_bike_sharing,
    fetch_ett,
    fetch_m4,
    fetch_mta_ridership,
    fetch_stock_prices,
    load_air_passengers,
)
from elman.metrics import mean_absolute_scaled_error, overall_weighted_average

LARGE = {"hidden_layer_sizes": 128, "n_updates": 1200}
ETT = {
    "season_length": (24, 168),
    "centre": "last",
    "scale": None,
    "candidates": None,
    "hidden_layer_sizes": 128,
    "series_identity": True,
    "origin_step": 1,
    "batch_size": 224,
    "early_stopping": True,
    "validation_fraction": 0.25,
}
BIKE = {
    "strategy": "seq2seq",
    "segment_length": 1,
    "window": 168,
    "calendar": ["hour", "dayofweek"],
    "hidden_layer_sizes": 96,
    "head_layer_size": 64,
    "dropout": 0.3,
    "n_updates": 400,
    "batch_size": 64,
    "learning_rate_init": 0.004,
}
AIR = {
    "season_length": 12,
    "candidates": ["last", "seasonal", "seasonal_last", "seasonal_drift", "seasonal_damped"],
    "scale": "difference",
    "hidden_layer_sizes": 16,
}
WEATHER = ["holiday", "workingday", "weathersit", "temp", "hum", "windspeed"]
ONCE = 366
LEVELS = np.array([0.05, 0.95])


@dataclass(frozen=True)
class Result:
    """The measure of a set, that of the naive forecast, and what was covered, where asked for."""

    measure: str
    value: float
    naive: float
    seconds: float
    coverage: float | None = field(default=None)


@dataclass(frozen=True)
class Forecasts:
    """Forecasts (n_points, horizon) of points of series, what came, and what was covered."""

    point: np.ndarray
    truth: np.ndarray
    coverage: float | None


def fitted(model: RNNForecaster, y: Any, X: Any = None) -> float:
    """Fit, and return the seconds that the processor worked."""
    start = time.process_time()
    model.fit(y, X)
    return time.process_time() - start


def forecasts_from(
    model: RNNForecaster, y: Any, X: Any, stops: np.ndarray, with_coverage: bool
) -> Forecasts:
    """Forecast every series of an array or frame from each of some points."""
    panel = read_panel(y, X, caller="bench", form=model._panel.form)
    series = np.tile(np.arange(len(panel)), len(stops))
    at = np.repeat(stops, len(panel))
    rows = panel.offsets[series][:, None] + at[:, None] + np.arange(model.horizon)
    truth = panel.values[rows]
    levels = LEVELS if with_coverage else None
    found = forecasts_of(model, panel, series, at, model.horizon, levels, "bench")
    if not with_coverage:
        return Forecasts(found, truth, None)
    point, interval = found
    inside = (interval[..., 0] <= truth) & (truth <= interval[..., 1])
    return Forecasts(point, truth, float(np.mean(inside)))


def m4(group: str, part: str, seed: int, changes: dict, with_coverage: bool) -> Result:
    """Test: the organisers' one. Validation: the last horizon of each training series."""
    series = fetch_m4(group)
    horizon = series.test.shape[1]
    train, truth = list(series.train), np.asarray(series.test)
    if part == "validation":
        truth = np.stack([y[-horizon:] for y in train])
        train = [y[:-horizon] for y in train]
    is_hourly = group == "hourly"
    settings = LARGE if is_hourly else {**LARGE, "n_updates": 800, "batch_size": 256}
    settings = {"season_length": (24, 168) if is_hourly else 52, **settings, **changes}
    model = RNNForecaster(horizon, random_state=seed, **settings)
    seconds = fitted(model, train)
    m = 24 if is_hourly else 1
    naive = NaiveForecaster(horizon, strategy="seasonal", season_length=m).fit(train)
    owa = [
        overall_weighted_average(list(truth), forecaster.predict(), y_train=train, season_length=m)
        for forecaster in (model, naive)
    ]
    coverage = None
    if with_coverage:
        lower, upper = np.moveaxis(np.stack(model.predict_interval(0.9)), 2, 0)
        coverage = float(np.mean((lower <= truth) & (truth <= upper)))
    return Result("OWA", *owa, seconds, coverage)


def ett(horizon: int, part: str, seed: int, changes: dict, with_coverage: bool) -> Result:
    """Rows to 8640, 11520 and 14400; the second part chooses the best weights for both."""
    data = np.asarray(fetch_ett().data, dtype=float)[:14400]
    data = (data - data[:8640].mean(axis=0)) / data[:8640].std(axis=0)
    shape = {"window": 336, "segment_length": 24, "dropout": 0.2, "n_updates": 480}
    if horizon > 24:
        shape = {"window": 720, "segment_length": 48, "dropout": 0.5, "n_updates": 640}
        shape["input_layer_size"] = 128
        shape["centre"] = "auto"  # the last value for 96 hours, the mean for more
    if horizon > 96:
        shape |= {"window": 1440, "loss": "squared_error", "n_updates": 240}
    model = RNNForecaster(horizon, random_state=seed, **{**ETT, **shape, **changes})
    seconds = fitted(model, data[:11520])
    first, end, step = (8640, 11520, 3) if part == "validation" else (11520, 14400, 1)
    errors, naive, inside, n = 0.0, 0.0, [], 0
    every = np.arange(first, end - horizon + 1, step)
    for stops in np.split(every, np.arange(96, len(every), 96)):
        found = forecasts_from(model, data, None, stops, with_coverage)
        at = np.repeat(stops, 7)[:, None] - 24 + np.arange(horizon) % 24
        day = data[at, np.tile(np.arange(7), len(stops))[:, None]]
        errors += np.sum((found.point - found.truth) ** 2)
        naive += np.sum((day - found.truth) ** 2)
        n += found.truth.size
        inside.append(found.coverage)
    coverage = float(np.mean(inside)) if with_coverage else None
    return Result("MSE", errors / n, naive / n, seconds, coverage)


def air(horizon: int, part: str, seed: int, changes: dict, with_coverage: bool) -> Result:
    """Test: the last months. Validation: six origins whose forecasts end 36 months before.

    Backtest: from that of the test back by half years, as long as there are the nine errors
    before an origin that 90 % need, the first one behind two years.
    """
    y = load_air_passengers().data
    last = len(y) - horizon - (36 if part == "validation" else 0)
    least = horizon + max(horizon + 2, 24) + 9 if part == "backtest" else 43
    stops = np.arange(last, least - 1, -6)[: {"test": 1, "validation": 6, "backtest": None}[part]]
    scores, seconds, inside = [], [], []
    for stop in stops:
        model = RNNForecaster(horizon, random_state=seed, **{**AIR, **changes})
        seconds.append(fitted(model, y[:stop]))
        naive = NaiveForecaster(horizon, strategy="seasonal", season_length=12).fit(y[:stop])
        truth = y[stop : stop + horizon]
        scores.append(
            [
                mean_absolute_scaled_error(
                    truth, forecaster.predict(), y_train=y[:stop], season_length=12
                )
                for forecaster in (model, naive)
            ]
        )
        if with_coverage:
            lower, upper = model.predict_interval(0.9).T
            inside.append((lower <= truth) & (truth <= upper))
    coverage = float(np.mean(inside)) if with_coverage else None
    return Result("MASE", *np.mean(scores, axis=0), float(np.mean(seconds)), coverage)


def mta(part: str, seed: int, changes: dict, with_coverage: bool) -> Result:
    """Test: the last 28 days. Validation: the six times before them. Backtest: the last 13."""
    ridership = fetch_mta_ridership()
    y = pd.DataFrame(
        ridership.data,
        index=pd.DatetimeIndex(ridership.dates, freq="D"),
        columns=ridership.feature_names,
    )
    first, end = {"test": (1, 0), "validation": (7, 1), "backtest": (13, 0)}[part]
    stops = len(y) - 28 * np.arange(first, end, -1)
    model = RNNForecaster(28, random_state=seed, **changes)
    seconds = fitted(model, y.iloc[: stops[0]])
    found = forecasts_from(model, y, None, stops, with_coverage)
    values = y.to_numpy().T
    scale = np.stack([np.mean(np.abs(values[:, 7:s] - values[:, : s - 7]), axis=1) for s in stops])
    week = np.concatenate([np.tile(values[:, s - 7 : s], 4) for s in stops])
    mase = [
        float(np.mean(np.mean(np.abs(forecast - found.truth), axis=1) / scale.ravel()))
        for forecast in (found.point, week)
    ]
    return Result("MASE", *mase, seconds, found.coverage)


def bike(
    year: int, n_days: int, part: str, seed: int, changes: dict, with_coverage: bool
) -> Result:
    """Each day of two months from midnight, fitted anew after so many days.

    Test: the last two of 2012. Validation: the two before, and the last two of 2011.
    """
    rentals = fetch_bike_sharing()
    index = pd.DatetimeIndex(rentals.dates)
    y = pd.Series(rentals.target, index=index).asfreq("h").fillna(0.0)
    X = pd.DataFrame(rentals.data, index=index, columns=rentals.feature_names)[WEATHER]
    X = X.asfreq("h").ffill()
    day = np.where(X["workingday"] == 1, "working day", "day off")
    X["hour"] = [f"{hour} h of a {kind}" for hour, kind in zip(X.index.hour, day, strict=True)]
    first, end = f"{year}-11-01", f"{year + 1}"
    if part == "validation" and year == 2012:
        first, end = "2012-09-01", "2012-11-01"
    n, end = int((y.index < first).sum()), int((y.index < end).sum())
    parts, seconds = [], []
    stops = np.arange(n, end - 23, 24)
    for some in np.split(stops, np.arange(n_days, len(stops), n_days)):
        model = RNNForecaster(24, random_state=seed, **{**BIKE, **changes})
        seconds.append(fitted(model, y.iloc[: some[0]], X.iloc[: some[0]]))
        parts.append(forecasts_from(model, y, X, some, with_coverage))
    truth, point = (np.concatenate([getattr(p, a) for p in parts]) for a in ("truth", "point"))
    day = np.stack([y.to_numpy()[stop - 24 : stop] for stop in stops])
    mae = [float(np.mean(np.abs(f - truth))) for f in (point, day)]
    coverage = None
    if with_coverage:
        coverage = float(
            np.average([p.coverage for p in parts], weights=[len(p.point) for p in parts])
        )
    return Result("MAE", *mae, float(np.mean(seconds)), coverage)


def stocks(part: str, seed: int, changes: dict, with_coverage: bool) -> Result:
    """Test: the days after the first 1844. Validation: the last fifth before."""
    y = np.asarray(fetch_stock_prices().data, dtype=float)
    n, end = (1475, 1844) if part == "validation" else (1844, len(y))
    model = RNNForecaster(1, random_state=seed, **changes)
    seconds = fitted(model, y[:n])
    found = forecasts_from(model, y[:end], None, np.arange(n, end), with_coverage)
    forecast, truth = (a.reshape(-1, y.shape[1]) for a in (found.point, found.truth))
    rmse = [np.sqrt(np.mean((f - truth) ** 2, axis=0)) for f in (forecast, y[n - 1 : end - 1])]
    ratio = float(np.mean(rmse[0] / rmse[1]))
    return Result("RMSE / persistence", ratio, 1.0, seconds, found.coverage)


SETS: dict[str, Callable[[str, int, dict, bool], Result]] = {
    "m4-hourly": partial(m4, "hourly"),
    "m4-weekly": partial(m4, "weekly"),
    **{f"etth1-{h}": partial(ett, h) for h in (24, 96, 192, 336, 720)},
    **{f"air-{h}": partial(air, h) for h in (12, 24, 36)},
    "mta": mta,
    "bike": partial(bike, 2012, ONCE),
    "bike-2011": partial(bike, 2011, ONCE),
    "bike-fortnights": partial(bike, 2012, 14),
    "stocks": stocks,
}
