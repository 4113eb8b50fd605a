"""Airline passengers by exponential smoothing and ARIMA: ``python -m bench.classical``.

What a target for a single series is worth depends on where its last months happen to go: this tells
what the textbook's models make of the same months. It needs ``pip install statsmodels``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numpy as np
from elman.datasets import load_air_passengers
from elman.metrics import mean_absolute_scaled_error

try:
    from statsmodels.tsa.holtwinters import ExponentialSmoothing
    from statsmodels.tsa.statespace.sarimax import SARIMAX
except ModuleNotFoundError as error:
    raise SystemExit(f"{error.name} is missing: pip install statsmodels") from error

HORIZONS = (12, 24, 36)
Forecast = Callable[[np.ndarray, int], np.ndarray]


def smoothed(trend: str, is_damped: bool, seasonal: str, y: np.ndarray, horizon: int) -> np.ndarray:
    """Holt and Winters: level, trend and season, of which the last two are added or multiply."""
    model = ExponentialSmoothing(
        y, trend=trend, damped_trend=is_damped, seasonal=seasonal, seasonal_periods=12
    )
    return model.fit().forecast(horizon)


def airline_model(y: np.ndarray, horizon: int) -> np.ndarray:
    """Box and Jenkins: (0, 1, 1) (0, 1, 1) of 12 months, of logarithms."""
    model = SARIMAX(np.log(y), order=(0, 1, 1), seasonal_order=(0, 1, 1, 12))
    return np.exp(model.fit(disp=0).forecast(horizon))


def models() -> Iterator[tuple[str, Forecast]]:
    for trend, is_damped, seasonal in product(("add", "mul"), (False, True), ("add", "mul")):
        name = f"trend {trend}{', damped' if is_damped else ''}, season {seasonal}"
        yield name, partial(smoothed, trend, is_damped, seasonal)
    yield "airline model", airline_model


def main() -> None:
    warnings.filterwarnings("ignore")
    y = load_air_passengers().data
    for name, forecast in models():
        errors = [
            mean_absolute_scaled_error(
                y[-horizon:],
                forecast(y[:-horizon], horizon),
                y_train=y[:-horizon],
                season_length=12,
            )
            for horizon in HORIZONS
        ]
        print(f"{name:30}", *(f"{error:.3f}" for error in errors))


if __name__ == "__main__":
    main()
