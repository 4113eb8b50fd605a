"""Gaps of ETTh1 filled, beside published figures: ``python -m bench.imputation [row …]``.

The protocol of TSI-Bench (Du et al., 2024): fourteen months to learn from, five for validation,
five for the test; columns standardised by the first part; windows of 48 hours that begin at
midnight and do not overlap. Values are removed from every part, from the first for good, and what
counts is the mean absolute error on those removed from the part that is filled. The imputer learns
from the windows laid end to end, with their dates, and fills each window by itself. Every start has
gaps of its own, which the simple fills see too.

Settings were chosen on the validation part: ``--validation``, with ``--change cell=lstm`` for what
another setting is worth there, and ``--without mixture`` for what a part is.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from elman import RNNImputer
from elman.datasets import fetch_ett

from bench.forecasting import setting
from bench.imputation_parts import WITHOUT

WINDOW = 48
BORDERS = ("2016-07-01", "2017-09-01", "2018-02-01", "2018-07-01")
PARTS = ("training", "validation", "test")
RUN = 36
BLOCK_STEPS, BLOCK_COLUMNS = 6, 6
COVERED = 0.72
"""Values in blocks over all, each as often as a block has it: blocks overlap, half is removed."""


def standardised_parts(dates: np.ndarray, data: np.ndarray) -> dict[str, np.ndarray]:
    """Cut three parts by date into windows, (n_windows, 48, 7), in units of the whole first one."""
    borders = np.searchsorted(dates, np.array(BORDERS, "datetime64[h]"))
    first = data[: borders[1]]
    data = ((data - first.mean(axis=0)) / first.std(axis=0)).astype(np.float32)
    parts = {}
    for name, begin, end in zip(PARTS, borders[:-1], borders[1:], strict=True):
        n_windows = (end - begin) // WINDOW
        parts[name] = data[begin : begin + n_windows * WINDOW].reshape(n_windows, WINDOW, -1)
    return parts


def points(share: float, shape: tuple[int, ...], rng: np.random.RandomState) -> np.ndarray:
    """Remove each value with this probability."""
    return rng.random_sample(shape) < share


def runs(shape: tuple[int, ...], rng: np.random.RandomState) -> np.ndarray:
    """Remove half of all values: 36 steps in a row of two in three columns of windows."""
    n_windows, n_steps, n_columns = shape
    is_removed = np.zeros((n_windows * n_columns, n_steps), bool)
    hit = rng.permutation(len(is_removed))[: round(len(is_removed) * 0.5 * n_steps / RUN)]
    starts = rng.randint(n_steps - RUN + 1, size=len(hit))
    is_removed[hit[:, None], starts[:, None] + np.arange(RUN)] = True
    return is_removed.reshape(n_windows, n_columns, n_steps).transpose(0, 2, 1)


def blocks(shape: tuple[int, ...], rng: np.random.RandomState) -> np.ndarray:
    """Remove half of all values: blocks of 6 steps and 6 columns anywhere, which may overlap."""
    n_windows, n_steps, n_columns = shape
    n_blocks = round(COVERED * np.prod(shape) / (BLOCK_STEPS * BLOCK_COLUMNS))
    window = rng.randint(n_windows, size=n_blocks)
    step = rng.randint(n_steps - BLOCK_STEPS + 1, size=n_blocks)
    column = rng.randint(n_columns - BLOCK_COLUMNS + 1, size=n_blocks)
    is_removed = np.zeros(shape, bool)
    for w, s, c in zip(window, step, column, strict=True):
        is_removed[w, s : s + BLOCK_STEPS, c : c + BLOCK_COLUMNS] = True
    return is_removed


ROWS: dict[str, Callable[..., np.ndarray]] = {
    "points-10": partial(points, 0.1),
    "points-50": partial(points, 0.5),
    "runs": runs,
    "blocks": blocks,
}


def simple_fills(windows: np.ndarray, mean: np.ndarray) -> dict[str, np.ndarray]:
    """Fill each window by itself, with the mean where a column has nothing observed."""
    filled: dict[str, list[np.ndarray]] = {"mean": [], "last": [], "linear": []}
    for window in windows:
        frame = pd.DataFrame(window)
        filled["mean"].append(frame.fillna(pd.Series(mean)).to_numpy())
        filled["last"].append(frame.ffill().bfill().fillna(pd.Series(mean)).to_numpy())
        linear = frame.interpolate(limit_direction="both").fillna(pd.Series(mean))
        filled["linear"].append(linear.to_numpy())
    return {name: np.stack(of_windows) for name, of_windows in filled.items()}


@dataclass(frozen=True)
class Result:
    """Mean absolute errors of the imputer and of simple fills, and seconds of the fit."""

    elman: float
    mean: float
    last: float
    linear: float
    squared: float
    seconds: float
    gaps: dict[str, Any]


def measured(row: str, part: str, seed: int, changes: dict[str, Any]) -> Result:
    """Remove values, learn from the first part, and fill another one."""
    ett = fetch_ett()
    windows = standardised_parts(ett.dates, ett.data)
    rng = np.random.RandomState(seed)
    is_removed = {name: ROWS[row](windows[name].shape, rng) for name in PARTS}
    gappy = {name: np.where(is_removed[name], np.nan, windows[name]) for name in PARTS}
    past = gappy["training"].reshape(-1, windows["training"].shape[-1])
    frame = pd.DataFrame(past, pd.DatetimeIndex(ett.dates[: len(past)]), ett.feature_names)
    settings = {"layout": "series", "window": WINDOW, "random_state": seed, **changes}
    start = time.perf_counter()
    imputer = RNNImputer(**settings).fit(frame)
    seconds = time.perf_counter() - start
    fills = simple_fills(gappy[part], np.nanmean(past, axis=0))
    fills["elman"] = imputer.transform(gappy[part])
    truth, where = windows[part], is_removed[part]
    errors = {name: float(np.abs(fill - truth)[where].mean()) for name, fill in fills.items()}
    squared = float(np.square(fills["elman"] - truth)[where].mean())
    return Result(**errors, squared=squared, seconds=seconds, gaps=imputer.gaps_)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("rows", nargs="*", metavar="row", help=", ".join(ROWS))
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--validation", action="store_true", help="the part before the test")
    parser.add_argument("--method", default="mixture", help="mixture or brits")
    parser.add_argument("--change", type=setting, action="append", default=[], metavar="name=value")
    parser.add_argument("--without", choices=WITHOUT, help="a part of the method to leave out")
    parser.add_argument("--out", help="a JSON file")
    arguments = parser.parse_args()
    part = "validation" if arguments.validation else "test"
    changes = {"method": arguments.method, **dict(arguments.change)}
    print(f"{part:10}{'mean':>8}{'last':>8}{'linear':>8}{'elman':>8}  of each start", flush=True)
    found = {}
    for row in arguments.rows or ROWS:
        with WITHOUT[arguments.without]() if arguments.without else nullcontext():
            results = [measured(row, part, seed, changes) for seed in range(arguments.starts)]
        line = f"{row:10}"
        for name in ("mean", "last", "linear", "elman"):
            line += f"{np.mean([getattr(result, name) for result in results]):8.3f}"
        line += "  " + " ".join(f"{result.elman:.4f}" for result in results)
        print(f"{line}  {np.mean([result.seconds for result in results]):.0f} s a fit", flush=True)
        found[row] = [asdict(result) for result in results]
    if arguments.out:
        with open(arguments.out, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)


if __name__ == "__main__":
    main()
