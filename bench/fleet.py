"""Many small networks in one call, beside `joblib.Parallel` over single fits.

``python -m bench.fleet`` fits a network of 8 units to each of 10,000 series of 100 points, whose
next value is predicted at every step. The loop gets some of them, and its time is scaled; both take
turns in one run, on all cores. In the end a few networks of both are compared to the bit. So is an
`RNNForecaster` with a model for each series, beside a loop.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable
from typing import Any

import elman
import joblib
import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

N_POINTS = 100
KINDS = {
    "gru, 20 epochs": {"cell": "gru", "max_iter": 20},
    "gru, 200 epochs": {"cell": "gru", "max_iter": 200},
    "simple, 20 epochs": {"cell": "simple", "max_iter": 20},
    "simple, 200 epochs": {"cell": "simple", "max_iter": 200},
    "lstm, 20 epochs": {"cell": "lstm", "max_iter": 20},
}

LOCAL: tuple[dict[str, Any], ...] = (
    {"hidden_layer_sizes": 4},
    {"hidden_layer_sizes": 8},
    {"hidden_layer_sizes": 8, "batch_size": 16},
    {"hidden_layer_sizes": 64},
)


def series(n: int) -> np.ndarray:
    """Noisy waves of different lengths."""
    generator = np.random.RandomState(0)
    t = np.arange(N_POINTS + 1)
    waves = np.sin(2 * np.pi * t / generator.uniform(8, 40, size=n)[:, None])
    return (waves + 0.1 * generator.randn(n, N_POINTS + 1)).astype(np.float32)


def fit_alone(estimator: Any, X: np.ndarray, y: np.ndarray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return clone(estimator).fit(X, y)


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = call()
    return time.perf_counter() - begin, result


def compare(name: str, n: int, n_of_loop: int, n_rounds: int) -> None:
    values = series(n)
    X, y = values[:, None, :-1, None], values[:, None, 1:, None]
    estimator = elman.RNNRegressor(
        hidden_layer_sizes=(8,), n_iter_no_change=math.inf, random_state=0, **KINDS[name]
    )
    times: dict[str, list[float]] = {"fleet": [], "loop": []}
    with joblib.Parallel(n_jobs=-1) as parallel, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        one = estimator.set_params(n_jobs=1)
        parallel(joblib.delayed(fit_alone)(one, X[i], y[i]) for i in range(128))
        for _ in range(n_rounds):
            taken, fleet = seconds(lambda: elman.fit_many(estimator, X, y, n_jobs=-1))
            times["fleet"].append(taken)
            taken, alone = seconds(
                lambda: parallel(
                    joblib.delayed(fit_alone)(one, X[i], y[i]) for i in range(n_of_loop)
                )
            )
            times["loop"].append(taken * n / n_of_loop)
        predicting, predicted = seconds(lambda: fleet.predict(X))
    for i in range(0, n_of_loop, n_of_loop // 8):
        assert np.array_equal(alone[i].predict(X[i]), predicted[i])
    ratio = np.median(np.array(times["loop"]) / np.array(times["fleet"]))
    print(
        f"{name:20} fit_many {np.median(times['fleet']):7.2f} s, "
        f"joblib over single fits {np.median(times['loop']):7.1f} s (of {n_of_loop}, scaled), "
        f"{ratio:5.1f} times as long; predict {predicting:.3f} s",
        flush=True,
    )


def compare_local(n: int, n_rounds: int, options: dict[str, Any]) -> None:
    """A panel with a model for each series, beside a loop of fits of one series."""
    values = list(series(n).astype(np.float64))
    forecaster = elman.RNNForecaster(
        horizon=12, strategy_panel="local", random_state=0, n_jobs=-1, **options
    )
    times: dict[str, list[float]] = {"panel": [], "loop": []}
    for _ in range(n_rounds):
        taken, panel = seconds(lambda: clone(forecaster).fit(values))
        times["panel"].append(taken)
        taken, alone = seconds(lambda: [clone(forecaster).fit(one) for one in values])
        times["loop"].append(taken)
    for one, forecast in zip(alone, panel.predict(), strict=True):
        assert np.array_equal(one.predict(), forecast)
    ratio = np.median(np.array(times["loop"]) / np.array(times["panel"]))
    named = ", ".join(f"{name}={value}" for name, value in options.items())
    print(
        f"RNNForecaster({named}), {n} series with models of their own "
        f"{np.median(times['panel']):.2f} s, "
        f"a loop {np.median(times['loop']):.2f} s, {ratio:.2f} times as long",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=10_000)
    parser.add_argument("--loop", type=int, default=1000, help="how many the loop fits")
    parser.add_argument("--series", type=int, default=30, help="of the panel with local models")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=KINDS)
    arguments = parser.parse_args()
    for name in arguments.kinds:
        compare(name, arguments.networks, arguments.loop, arguments.rounds)
    for options in LOCAL:
        compare_local(arguments.series, arguments.rounds, options)


if __name__ == "__main__":
    main()
