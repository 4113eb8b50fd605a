"""From N days of prices predict, at each of them, the price of the next day.

Windows of 50 daily closing prices of four stocks and an index go in; out comes a price for each of
the next days, the last of them tomorrow's. It is compared with the naive forecast, that tomorrow's
price is today's, which is hard to beat: the question is whether the network comes close to it
without having been told. Run it as ``python examples/prices.py``; it takes about ten seconds on
two cores. The prices are downloaded, or read from the folder that the environment variable
ELMAN_DATA names.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
from elman import RNNRegressor
from elman.datasets import fetch_stock_prices
from sklearn.exceptions import ConvergenceWarning

warnings.filterwarnings("ignore", category=ConvergenceWarning)

N_DAYS = 50
TEST_SHARE = 0.2


def windows(prices):
    """Windows of all series, (n_windows, N_DAYS + 1, 1), each divided by its first price."""
    cut = np.lib.stride_tricks.sliding_window_view(prices, N_DAYS + 1, axis=0)
    cut = cut.reshape(-1, N_DAYS + 1)
    return (cut / cut[:, :1])[:, :, None]


def main():
    prices = fetch_stock_prices()
    n_test = int(TEST_SHARE * len(prices.data))
    past, future = windows(prices.data[:-n_test]), windows(prices.data[-n_test:])
    print(f"{', '.join(prices.feature_names)}: {len(past)} windows before, {len(future)} after")

    # A step's input is the change since the day before, its target that of the next day.
    past_changes, future_changes = np.diff(past, axis=1), np.diff(future, axis=1)
    model = RNNRegressor(
        cell="gru",
        hidden_layer_sizes=16,
        max_iter=10,
        learning_rate="cosine",
        learning_rate_init=0.003,
        dropout=0.2,
        random_state=0,
    )
    start = time.perf_counter()
    model.fit(past_changes[:, :-1], past_changes[:, 1:])
    seconds = time.perf_counter() - start

    predicted = future[:, 1:-1] + model.predict(future_changes[:, :-1])
    actual, today = future[:, 2:], future[:, 1:-1]
    print(f"\n{'root mean squared error, % of the price':<44}{'every day':>10}{'tomorrow':>10}")
    for name, forecast in (("naive: as today", today), (f"GRU(16), {seconds:.1f} s", predicted)):
        error = 100 * (forecast / actual - 1)
        every_day, tomorrow = (np.sqrt(np.mean(e**2)) for e in (error, error[:, -1]))
        print(f"{name:<44}{every_day:>10.4f}{tomorrow:>10.4f}")


if __name__ == "__main__":
    main()
