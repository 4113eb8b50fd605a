"""Forecasts of public data beside published figures: ``python -m bench.forecasting [set …]``.

Settings were chosen on what comes before the test part (the last horizon of each M4 series,
rows 8640 to 11520 of ETTh1, earlier origins of the others); the test part is measured once for each
start. ``--starts`` tells how many, ``--coverage`` asks for 90 % intervals, too.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from elman import NaiveForecaster, RNNForecaster
from elman._backtest import forecasts_of
from elman._panel import read_panel
from elman.datasets import (
    fetch_bike_sharing,
    fetch_ett,
    fetch_m4,
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
    "n_updates": 800,
    "batch_size": 64,
    "learning_rate_init": 0.004,
}
WEATHER = ["holiday", "workingday", "weathersit", "temp", "hum", "windspeed"]


@dataclass(frozen=True)
class Result:
    """The measure of a set, that of the naive forecast, and what was covered, where asked for."""

    measure: str
    value: float
    naive: float
    seconds: float
    coverage: float | None = field(default=None)


def covered(model: RNNForecaster, truth: np.ndarray, is_asked: bool) -> float | None:
    if not is_asked:
        return None
    interval = np.asarray(model.predict_interval(0.9), dtype=float)
    if interval.ndim == 2 and truth.ndim == 2:  # a wide frame: lower, upper of each series
        interval = interval.reshape(len(truth), -1, 2)
    return float(np.mean((interval[..., 0] <= truth) & (truth <= interval[..., 1])))


def m4(group: str, seed: int, coverage: bool) -> Result:
    series = fetch_m4(group)
    is_hourly = group == "hourly"
    parameters = LARGE if is_hourly else {**LARGE, "n_updates": 800, "batch_size": 256}
    season = (24, 168) if is_hourly else 52
    start = time.perf_counter()
    model = RNNForecaster(
        series.test.shape[1], season_length=season, random_state=seed, **parameters
    ).fit(series.train)
    seconds = time.perf_counter() - start
    m = 24 if is_hourly else 1
    naive = NaiveForecaster(series.test.shape[1], strategy="seasonal", season_length=m)
    owa = [
        overall_weighted_average(
            list(series.test), forecaster.predict(), y_train=series.train, season_length=m
        )
        for forecaster in (model, naive.fit(series.train))
    ]
    return Result("OWA", *owa, seconds, covered(model, series.test, coverage))


def ett(horizon: int, seed: int, coverage: bool) -> Result:
    data = np.asarray(fetch_ett().data, dtype=float)[:14400]
    data = (data - data[:8640].mean(axis=0)) / data[:8640].std(axis=0)
    shape = {"window": 336, "segment_length": 24, "dropout": 0.2, "n_updates": 480}
    if horizon > 24:
        shape = {"window": 720, "segment_length": 48, "dropout": 0.5, "n_updates": 640}
    start = time.perf_counter()
    model = RNNForecaster(horizon, random_state=seed, **ETT, **shape).fit(data[:11520])
    seconds = time.perf_counter() - start
    panel = read_panel(data, caller="bench", form=model._panel.form)
    errors, naive, n = 0.0, 0.0, 0
    for origin in range(11520, 14400 - horizon + 1, 96):
        stops = np.arange(origin, min(origin + 96, 14400 - horizon + 1))
        series = np.tile(np.arange(7), len(stops))
        at = np.repeat(stops, 7)
        truth = data[at[:, None] + np.arange(horizon), series[:, None]]
        day = data[at[:, None] - 24 + np.arange(horizon) % 24, series[:, None]]
        forecast = forecasts_of(model, panel, series, at, horizon)
        errors += np.sum((forecast - truth) ** 2)
        naive += np.sum((day - truth) ** 2)
        n += truth.size
    return Result("MSE", errors / n, naive / n, seconds)


def air(horizon: int, seed: int, coverage: bool) -> Result:
    y = load_air_passengers().data
    start = time.perf_counter()
    model = RNNForecaster(horizon, season_length=12, random_state=seed).fit(y[:-horizon])
    seconds = time.perf_counter() - start
    naive = NaiveForecaster(horizon, strategy="seasonal", season_length=12).fit(y[:-horizon])
    mase = [
        mean_absolute_scaled_error(
            y[-horizon:], forecaster.predict(), y_train=y[:-horizon], season_length=12
        )
        for forecaster in (model, naive)
    ]
    return Result("MASE", *mase, seconds, covered(model, y[-horizon:], coverage))


def bike(seed: int, coverage: bool) -> Result:
    rentals = fetch_bike_sharing()
    index = pd.DatetimeIndex(rentals.dates)
    y = pd.Series(rentals.target, index=index).asfreq("h").fillna(0.0)
    X = pd.DataFrame(rentals.data, index=index, columns=rentals.feature_names)[WEATHER]
    X = X.asfreq("h").ffill()
    n = int((y.index < "2012-11-01").sum())
    start = time.perf_counter()
    model = RNNForecaster(24, random_state=seed, **BIKE).fit(y.iloc[:n], X.iloc[:n])
    seconds = time.perf_counter() - start
    panel = read_panel(y, X, caller="bench", form=model._panel.form)
    stops = np.arange(n, len(y) - 23, 24)
    forecasts = forecasts_of(model, panel, np.zeros(len(stops), dtype=np.int64), stops, 24)
    truth = np.stack([y.to_numpy()[stop : stop + 24] for stop in stops])
    day = np.stack([y.to_numpy()[stop - 24 : stop] for stop in stops])
    mae = [float(np.mean(np.abs(f - truth))) for f in (forecasts, day)]
    return Result("MAE", *mae, seconds)


def stocks(seed: int, coverage: bool) -> Result:
    prices = fetch_stock_prices()
    y = np.asarray(prices.data, dtype=float)
    n = 1844
    start = time.perf_counter()
    model = RNNForecaster(1, random_state=seed).fit(y[:n])
    seconds = time.perf_counter() - start
    panel = read_panel(y, caller="bench", form=model._panel.form)
    stops = np.repeat(np.arange(n, len(y)), y.shape[1])
    series = np.tile(np.arange(y.shape[1]), len(y) - n)
    truth = y[stops, series].reshape(-1, y.shape[1])
    last = y[stops - 1, series].reshape(-1, y.shape[1])
    forecast = forecasts_of(model, panel, series, stops, 1).reshape(-1, y.shape[1])
    rmse = [np.sqrt(np.mean((f - truth) ** 2, axis=0)) for f in (forecast, last)]
    return Result("RMSE / persistence", float(np.mean(rmse[0] / rmse[1])), 1.0, seconds)


SETS = {
    "m4-hourly": lambda *a: m4("hourly", *a),
    "m4-weekly": lambda *a: m4("weekly", *a),
    **{f"etth1-{h}": lambda *a, h=h: ett(h, *a) for h in (24, 96, 192, 336, 720)},
    **{f"air-{h}": lambda *a, h=h: air(h, *a) for h in (12, 24, 36)},
    "bike": bike,
    "stocks": stocks,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sets", nargs="*", metavar="set", help=", ".join(SETS))
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--coverage", action="store_true")
    parser.add_argument("--out", help="a JSON file")
    arguments = parser.parse_args()
    found = {}
    for name in arguments.sets or SETS:
        results = [SETS[name](seed, arguments.coverage) for seed in range(arguments.starts)]
        values = np.array([result.value for result in results])
        seconds = np.mean([result.seconds for result in results])
        line = f"{name:10} {results[0].measure} {values.mean():.4f} ({values.min():.4f} to "
        line += f"{values.max():.4f})  naive {results[0].naive:.4f}  {seconds:.1f} s a fit"
        if results[0].coverage is not None:
            line += f"  covered {np.mean([result.coverage for result in results]):.3f}"
        print(line, flush=True)
        found[name] = [vars(result) for result in results]
    if arguments.out:
        with open(arguments.out, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)


if __name__ == "__main__":
    main()
