"""What "auto" means for the series at hand.

The rules look at lengths, seasons and values of the series that are trained on, at nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elman._forecast.history import Floats, Integers

LEAST_WINDOW = 48
LONGEST_SEGMENT = 31
SEGMENTS_WITHOUT_SEASON = 8
LEAST_RATIO_FOR_LOG = 1.5
FEWEST_WINDOWS = 100
SEASONS_OF_A_SHORT_SERIES = 5
FEWEST_ORIGINS_IN_PHASE = 1000
LARGEST_SPREAD_OF_LENGTHS = 3.0
TRIED_ORIGINS = 8
LEAST_SHARE_OF_WINDOW = 0.4
FEWEST_UPDATES, MOST_UPDATES = 150, 600


def transform_of(values: Floats, offsets: Integers) -> str | None:
    """Return "log" where every value is positive and a typical series varies by more than half."""
    if not np.nanmin(values) > 0.0:
        return None
    largest = np.maximum.reduceat(np.nan_to_num(values, nan=-np.inf), offsets[:-1])
    least = np.minimum.reduceat(np.nan_to_num(values, nan=np.inf), offsets[:-1])
    return "log" if np.median(largest / least) > LEAST_RATIO_FOR_LOG else None


def unit_of(values: Floats) -> float:
    """Return the mean size of values; 1 if they are all zero, or missing."""
    sizes = np.abs(values[~np.isnan(values)])
    return float(sizes.mean()) if sizes.any() else 1.0


def seasons_in(lengths: Integers, season_lengths: Sequence[int]) -> tuple[int, ...]:
    """Seasons of which a typical series holds two, the shortest first."""
    typical = np.median(lengths)
    return tuple(m for m in sorted(set(season_lengths)) if 1 < m <= typical / 2)


def is_seasonal(values: Floats, offsets: Integers, horizon: int, m: int) -> bool:
    """Whether the value one season ago forecasts better than the last one, in a typical series.

    Both forecast the horizon from some origins near the end of each series; every series counts
    alike.
    """
    back = horizon + np.arange(TRIED_ORIGINS) * min(horizon, m)
    origins = offsets[1:, None] - back
    series, number = np.nonzero(origins - m >= offsets[:-1, None])
    if len(series) == 0:
        return False
    at = origins[series, number, None]
    steps = np.arange(horizon)
    truth = values[at + steps]
    errors = np.abs(truth - np.stack([values[at - m + steps % m], values[at - 1] + 0.0 * truth]))
    is_known = ~np.isnan(errors).any(axis=0)
    known = np.where(is_known, errors, 0.0).sum(axis=2)
    sums = np.stack([np.bincount(series, row, len(offsets) - 1) for row in known])
    total = sums.sum(axis=0)
    shares = sums[0][total > 0.0] / total[total > 0.0]
    return bool(len(shares) > 0 and np.mean(shares) < 0.5)


def segment_of(season_lengths: Sequence[int]) -> int:
    """Return the shortest season, or its largest part of at most a month; 1 without a season."""
    if not season_lengths:
        return 1
    m = season_lengths[0]
    return max(part for part in range(1, min(m, LONGEST_SEGMENT) + 1) if m % part == 0)


def window_of(lengths: Integers, horizon: int, season_lengths: Sequence[int], unit: int) -> int:
    """Return four seasons, or two of the longest one where there are several, in whole units.

    A typical series has to keep a season of origins behind the first window.
    """
    longest = max(season_lengths, default=1)
    wanted = max((2 if len(season_lengths) > 1 else 4) * longest, 2 * horizon, LEAST_WINDOW)
    room = int(np.median(lengths)) - horizon - longest
    window = min(-(-wanted // unit), max(room, 0) // unit) * unit
    least = 2 * longest if np.median(lengths) > 2 * longest + horizon else longest
    return max(window, -(-least // unit) * unit)


def are_few(lengths: Integers, window: int, horizon: int) -> bool:
    """Whether the series hold so few windows that a network learns little from them."""
    n_windows = np.maximum(lengths - least_past(lengths, window, horizon) - horizon + 1, 0).sum()
    return bool(n_windows < FEWEST_WINDOWS)


def long_window_of(lengths: Integers, season_lengths: Sequence[int], unit: int) -> int:
    """Return five seasons, or as much as a typical series holds, in whole units."""
    wanted = SEASONS_OF_A_SHORT_SERIES * max(season_lengths)
    return min(-(-wanted // unit), int(np.median(lengths)) // unit) * unit


def groups_of(horizon: int, season_lengths: Sequence[int]) -> int:
    """Return two for each whole season of the horizon, and at least two."""
    return 2 * max(1, horizon // max(season_lengths))


def centre_of(horizon: int, season_lengths: Sequence[int]) -> str:
    """Return "last", and "mean" for horizons that are longer than the longest season."""
    return "mean" if season_lengths and horizon > max(season_lengths) else "last"


def phase_of(lengths: Integers, horizon: int, window: int, season_lengths: Sequence[int]) -> int:
    """Return the shortest season where there are enough origins in phase with the end, else 1."""
    if not season_lengths:
        return 1
    m = season_lengths[0]
    n_origins = np.maximum(lengths - window - horizon, 0) // m + 1
    return m if n_origins.sum() >= FEWEST_ORIGINS_IN_PHASE else 1


def is_uniform(lengths: Integers) -> bool:
    """Whether series are of similar length, so that each may be drawn alike."""
    return bool(lengths.max() <= LARGEST_SPREAD_OF_LENGTHS * np.median(lengths))


def least_past(lengths: Integers, window: int, horizon: int) -> int:
    """Return the values before an origin of training: a window, or less if many are short."""
    if np.quantile(lengths, 0.25) >= window + horizon:
        return window
    shortest = max(1, int(lengths.max()) - horizon)
    return min(int(np.ceil(LEAST_SHARE_OF_WINDOW * window)), shortest)


def updates_for(n_origins: int) -> int:
    """Return 600 updates, and fewer where there are fewer than a thousand windows to learn from."""
    return int(np.clip(MOST_UPDATES * np.sqrt(n_origins / 1000.0), FEWEST_UPDATES, MOST_UPDATES))


def updates_for_few(n_origins: int, n_values: int) -> int:
    """Return an update for each window of so many values that overlaps with no other one."""
    return max(1, n_origins // n_values)
