"""Train recurrent networks on scikit-learn's digits and on generated time series.

Run it as ``python examples/quickstart.py``; it takes about a minute on two cores.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import numpy as np
from elman import RNNClassifier, RNNRegressor
from elman.datasets import generate_time_series
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import train_test_split

EPOCHS = 20
TRAINING = {"batch_size": 32, "max_iter": EPOCHS, "random_state": 0, "verbose": True}

# The number of epochs is chosen here, so that it was reached is no news.
warnings.filterwarnings("ignore", category=ConvergenceWarning)


def timed_fit(title, model, X, y):
    """Fit, and tell how many seconds it took."""
    print(f"\n{title}: {EPOCHS} epochs on {len(X)} sequences", flush=True)
    start = time.perf_counter()
    model.fit(X, y)
    return time.perf_counter() - start


def print_table(title, measure, rows):
    """Print rows of (model, parameters, seconds, score)."""
    print(f"\n{title}\n\n{'model':<20}{'parameters':>12}{'seconds':>10}{measure:>20}")
    for name, parameters, seconds, score in rows:
        print(f"{name:<20}{parameters:>12}{seconds:>10.1f}{score:>20.4f}")
    print(flush=True)


def digits():
    """Classify 8 x 8 images of digits, read row by row: 8 steps of 8 channels."""
    images, labels = load_digits(return_X_y=True)
    X = (images / 16).astype(np.float32).reshape(-1, 8, 8)
    X_train, X_test, y_train, y_test = train_test_split(
        X, labels, test_size=0.25, stratify=labels, random_state=0
    )

    linear = LogisticRegression(max_iter=1000)
    start = time.perf_counter()
    linear.fit(X_train.reshape(-1, 64), y_train)
    seconds = time.perf_counter() - start
    rows = [("linear", 650, seconds, linear.score(X_test.reshape(-1, 64), y_test))]

    for name, cell in (("SimpleRNN (64)", "simple"), ("GRU (64)", "gru"), ("LSTM (64)", "lstm")):
        model = RNNClassifier(
            cell=cell, hidden_layer_sizes=(64,), learning_rate_init=0.005, **TRAINING
        )
        seconds = timed_fit(f"digits, {name}", model, X_train, y_train)
        rows.append((name, model.n_parameters_, seconds, model.score(X_test, y_test)))
    return rows


def mean_squared_error(y, prediction):
    return float(np.mean((y - prediction) ** 2))


def time_series():
    """Forecast the 51st value of each series from the 50 before."""
    series = generate_time_series(10_000, 51, random_state=0)
    X, y = series[:, :50], series[:, 50, 0]
    X_train, X_valid, X_test = X[:7000], X[7000:9000], X[9000:]
    y_train, y_valid, y_test = y[:7000], y[7000:9000], y[9000:]

    rows = [("naive", 0, 0.0, mean_squared_error(y_valid, X_valid[:, -1, 0]))]
    linear = LinearRegression()
    start = time.perf_counter()
    linear.fit(X_train[:, :, 0], y_train)
    seconds = time.perf_counter() - start
    rows.append(
        ("linear", 51, seconds, mean_squared_error(y_valid, linear.predict(X_valid[:, :, 0])))
    )

    models = {
        "SimpleRNN(1)": RNNRegressor(cell="simple", hidden_layer_sizes=(1,), head=None, **TRAINING),
        "deep RNN (20, 20)": RNNRegressor(cell="simple", hidden_layer_sizes=(20, 20), **TRAINING),
        "GRU (20, 20)": RNNRegressor(cell="gru", hidden_layer_sizes=(20, 20), **TRAINING),
        "LSTM (20, 20)": RNNRegressor(cell="lstm", hidden_layer_sizes=(20, 20), **TRAINING),
    }
    for name, model in models.items():
        seconds = timed_fit(f"time series, {name}", model, X_train, y_train)
        error = mean_squared_error(y_valid, model.predict(X_valid))
        rows.append((name, model.n_parameters_, seconds, error))

    best = min((row for row in rows if row[0] in models), key=lambda row: row[3])[0]
    return rows, best, (X_test, y_test, models[best].predict(X_test))


def plot(rows, best, X, y, prediction):
    """Draw the table and three forecasts; return where, or None without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return None
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (errors, forecasts) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    errors.barh([row[0] for row in rows], [row[3] for row in rows])
    errors.invert_yaxis()
    errors.set(xlabel="validation error", title="The 51st value after 50")
    for i in range(3):
        color = f"C{i}"
        forecasts.plot(X[i, :, 0], color=color)
        forecasts.plot(50, y[i], "o", color=color, label="what came" if i == 0 else None)
        forecasts.plot(50, prediction[i], "kx", label="forecast" if i == 0 else None)
    forecasts.set(xlabel="step", title=f"Forecasts of {best}")
    forecasts.legend()
    path = Path("quickstart.png").resolve()
    figure.savefig(path, dpi=120)
    return path


def main():
    digits_rows = digits()
    series_rows, best, (X_test, y_test, prediction) = time_series()
    print_table("Digits: 8 steps of 8 channels", "test accuracy", digits_rows)
    print_table("Time series: the 51st value after 50", "validation error", series_rows)
    error = mean_squared_error(y_test, prediction)
    print(f"On the 1000 series kept for the end, {best} errs by {error:.4f}.")
    path = plot(series_rows, best, X_test, y_test, prediction)
    print(f"Plot: {path}" if path else "No plot: matplotlib is not installed.")


if __name__ == "__main__":
    main()
