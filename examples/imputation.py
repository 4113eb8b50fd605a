"""Fill the gaps of a power transformer's records, beside simple fills.

Two years of hours of seven sensors, in which we make gaps as sensors and their logger do: single
values, stretches of one sensor, and stretches of all of them. The imputer learns from what is left;
what was removed tells how good it is, beside the mean, the last value and linear interpolation. Run
it as ``python examples/imputation.py``; it takes about a minute on one core, and saves a picture as
imputation.png (``pip install "elman[data,plot]"``). The records are downloaded, or read from the
folder that the environment variable ELMAN_DATA names.
"""

from __future__ import annotations

import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from elman import ImputationDisplay, RNNImputer
from elman.datasets import fetch_ett

SHOWN = slice("2017-03-06", "2017-03-19")


def with_gaps(records, rng):
    """Remove a twentieth of single values, and stretches of 6 to 48 hours."""
    is_removed = rng.random(records.shape) < 0.05
    n_hours, n_sensors = records.shape
    for start in rng.integers(n_hours, size=600):
        sensor = rng.integers(n_sensors + 1)  # the last number stands for the logger
        sensors = slice(None) if sensor == n_sensors else sensor
        is_removed[start : start + rng.integers(6, 49), sensors] = True
    return records.mask(is_removed), is_removed


def main():
    ett = fetch_ett()
    records = pd.DataFrame(ett.data, pd.DatetimeIndex(ett.dates), ett.feature_names)
    records = records.astype("float32")
    gappy, is_removed = with_gaps(records, np.random.default_rng(0))
    print(f"{len(records)} hours of {', '.join(records)}: {is_removed.mean():.0%} removed")

    start = time.perf_counter()
    imputer = RNNImputer(layout="series", random_state=0).fit(gappy)
    seconds = time.perf_counter() - start
    shapes = [f"{imputer.gaps_[shape]:.0%} {shape}" for shape in ("points", "runs", "blocks")]
    print(f"told by the gaps: {', '.join(shapes)}, a season of {imputer.season_length_} hours")

    fills = {
        "mean": gappy.fillna(gappy.mean()),
        "last value": gappy.ffill().bfill(),
        "linear interpolation": gappy.interpolate(limit_direction="both"),
        f"RNNImputer, {seconds:.0f} s": imputer.transform(gappy),
    }
    print(f"\n{'mean absolute error, in standard deviations':<44}{'all':>8}{'OT':>8}")
    for name, filled in fills.items():
        errors = ((filled - records) / records.std()).abs().to_numpy()
        oil = errors[:, -1][is_removed[:, -1]].mean()
        print(f"{name:<44}{errors[is_removed].mean():>8.3f}{oil:>8.3f}")

    _, axes = plt.subplots(2, figsize=(10, 6.5), layout="constrained", sharex=True)
    for sensor, ax in zip(("HUFL", "OT"), axes, strict=True):
        ImputationDisplay.from_estimator(
            imputer, gappy.loc[SHOWN], channel=sensor, actual=records.loc[SHOWN], ax=ax
        )
    plt.savefig("imputation.png", dpi=120)


if __name__ == "__main__":
    main()
