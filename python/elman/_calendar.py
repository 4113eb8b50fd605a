"""Times of series: how far apart they are, which come next, which season they tell.

Times are a pandas index, of dates or of periods, or an array of integers where a series has no
dates. pandas is imported where dates are: arrays do without it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array
from elman._exceptions import abbreviated, problem

Integers = NDArray[np.int64]

OFF_GRID = np.iinfo(np.int64).min
_DAY, _WEEK, _YEAR = 86_400.0, 604_800.0, 31_557_600.0  # seconds

CALENDAR_FEATURES = (
    "hour",
    "dayofweek",
    "day",
    "month",
    "quarter",
    "weekofyear",
    "dayofyear",
    "is_weekend",
)


def import_pandas(caller: str) -> Any:
    """Return pandas, or raise an ImportError that names the extra."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            f"{caller}: data frames and dates need pandas: pip install 'elman[pandas]'"
        ) from error
    return pandas


@dataclass(frozen=True)
class Frequency:
    """The step from one time of a series to the next.

    Parameters
    ----------
    kind : {"integer", "date", "period"}
        What times are.
    code : str
        The step: an integer, or an alias of pandas, or "months=3" for the same day of months
        that are three apart.
    zone : str or None
        The time zone of dates.
    """

    kind: str
    code: str
    zone: str | None = None

    def shift(self, times: Any, steps: Integers) -> Any:
        """Move times by some steps, each by its own number of them."""
        if self.kind == "integer":
            return times + steps * int(self.code)
        import pandas as pd

        offset = _offset(self.code)
        if self.kind == "period":
            ordinals = times.asi8 + steps * offset.n
            return pd.PeriodIndex.from_ordinals(ordinals, freq=times.freq)
        if _is_fixed(offset):
            step = pd.Timedelta(offset)
            _check_reach(int(steps.max(initial=0)) * step.value)
            return (times + pd.to_timedelta(steps * step.value, unit="ns")).as_unit(times.unit)
        low, high = times.min(), times.max()
        n_times = len(_grid(low, offset, end=high)) + int(steps.max(initial=0))
        grid = _grid(low, offset, periods=n_times)
        return grid[grid.get_indexer(times) + steps].as_unit(times.unit)

    def with_step(self, times: Any) -> Any:
        """Dates in a row, as an index that knows their step."""
        import pandas as pd

        index = pd.DatetimeIndex(times)
        with suppress(ValueError):  # where clocks change at midnight no step leads to a day
            index.freq = _offset(self.code)
        return index

    def positions(self, times: Any, starts: Any) -> Integers:
        """Count steps from a start to a time, each with its own; OFF_GRID between two steps."""
        if not len(times):
            return np.zeros(0, dtype=np.int64)
        if self.kind == "date":
            return self._date_positions(times, starts)
        step = int(self.code) if self.kind == "integer" else _offset(self.code).n
        distance = integers_of(times) - integers_of(starts)
        return np.where(distance % step == 0, distance // step, OFF_GRID)

    def _date_positions(self, times: Any, starts: Any) -> Integers:
        offset = _offset(self.code)
        if _is_fixed(offset):
            import pandas as pd

            step = pd.Timedelta(offset)
            distance = times - starts
            on_grid = np.asarray(distance % step == pd.Timedelta(0))
            return np.where(on_grid, np.asarray(distance // step), OFF_GRID).astype(np.int64)
        first, last = min(starts.min(), times.min()), max(starts.max(), times.max())
        grid = _grid(first, offset, end=last)
        places, begins = grid.get_indexer(times), grid.get_indexer(starts)
        on_grid = (places >= 0) & (begins >= 0)
        return np.where(on_grid, places - begins, OFF_GRID).astype(np.int64)

    @property
    def offset(self) -> Any:
        """The step of dates and periods, as pandas has it."""
        return _offset(self.code)

    def is_forward(self) -> bool:
        """Whether a step of dates or periods leads to later ones; ValueError if pandas has none."""
        import pandas as pd

        time = pd.Timestamp("2000-01-01")
        return bool(time + self.offset > time)

    def times_of(self, numbers: Integers, unit: str | None) -> Any:
        """Make times of the integers that `integers_of` tells, dates of their unit."""
        if self.kind == "integer":
            return numbers
        import pandas as pd

        if self.kind == "period":
            return pd.PeriodIndex.from_ordinals(numbers, freq=_offset(self.code))
        times = pd.DatetimeIndex(numbers.view(f"M8[{unit}]"))
        return times if self.zone is None else times.tz_localize("UTC").tz_convert(self.zone)

    def steps_between(self, times: Any) -> float:
        """Tell about how many steps lie between the first of some times and the last.

        0 where they are counted without a list of those between.
        """
        if self.kind != "date" or _is_fixed(_offset(self.code)):
            return 0.0
        return float((times.max() - times.min()).total_seconds() / _seconds(self.code))

    def season_lengths(self) -> tuple[int, ...]:
        """Seasons that times so far apart usually have, in steps, the shortest first.

        A day and a week for hours and for parts of them down to five minutes, an hour and a day
        below that; a week for days and business days; a year for what is longer. (1,) where
        there is none.
        """
        if self.kind == "integer":
            return (1,)
        seconds = _seconds(self.code)
        cycles: tuple[float, ...]
        if seconds < 60:
            cycles = (60.0, 3600.0)
        elif seconds < 300:
            cycles = (3600.0, _DAY)
        elif seconds < _DAY:
            cycles = (_DAY, _WEEK)
        else:
            cycles = (_WEEK,) if seconds < _WEEK else (_YEAR,)
        seasons = [cycle / seconds for cycle in cycles]
        whole = [round(season) for season in seasons if abs(round(season) / season - 1) < 5e-3]
        return tuple(season for season in whole if season > 1) or (1,)

    def __str__(self) -> str:
        return f"a step of {self.code}" if self.kind == "integer" else f"frequency {self.code!r}"


def _grid(start: Any, offset: Any, *, end: Any = None, periods: int | None = None) -> Any:
    """Dates in a row as clocks show them.

    Of an hour that is left out its end, and of one that is there twice the first: where clocks
    change at midnight, it is there that a day begins.
    """
    import pandas as pd

    end = None if end is None else end.tz_localize(None)
    wall = pd.date_range(start.tz_localize(None), end, periods=periods, freq=offset)
    if start.tz is None:
        return wall
    is_first = np.ones(len(wall), dtype=bool)
    return wall.tz_localize(start.tz, nonexistent="shift_forward", ambiguous=is_first)


@lru_cache(maxsize=64)
def _offset(code: str) -> Any:
    import pandas as pd

    if code.startswith("months="):
        return pd.DateOffset(months=int(code.removeprefix("months=")))
    with warnings.catch_warnings():
        # Names that pandas has given others since a file was written.
        warnings.simplefilter("ignore", FutureWarning)
        return pd.tseries.frequencies.to_offset(code)


def _is_fixed(offset: Any) -> bool:
    """Whether a step always takes equally long; a day does not where clocks are changed."""
    import pandas as pd

    return isinstance(offset, pd.offsets.Tick) and not isinstance(offset, pd.offsets.Day)


def _seconds(code: str) -> float:
    """Seconds that a step takes, on average."""
    import pandas as pd

    n_steps = 60
    times = pd.date_range("2001-01-01", periods=n_steps + 1, freq=_offset(code))
    return float((times[-1] - times[0]).total_seconds() / n_steps)


def _check_reach(nanoseconds: int) -> None:
    if nanoseconds > np.iinfo(np.int64).max:
        raise OverflowError("times beyond the calendar")


def integers_of(times: Any) -> Integers:
    """Return times as integers that are in the same order."""
    return np.asarray(getattr(times, "asi8", times), dtype=np.int64)


def read_times(data: Any, caller: str, argument: str) -> Any:
    """Return times as a DatetimeIndex, a PeriodIndex or an array of int64."""
    pd = import_pandas(caller)
    index = pd.Index(data)
    if index.hasnans:
        row = int(np.flatnonzero(index.isna())[0])
        raise ValueError(problem(caller, argument, f"no time in row {row}", "a time in every row"))
    if isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex)):
        return index
    if index.dtype.kind in "iu":
        return index.to_numpy(dtype=np.int64)
    if index.inferred_type in ("string", "datetime", "date", "mixed"):
        return _parsed(index, caller, argument)
    got = f"times of dtype {index.dtype}"
    raise TypeError(problem(caller, argument, got, "dates, periods or integers"))


def _parsed(index: Any, caller: str, argument: str) -> Any:
    import pandas as pd

    try:
        with warnings.catch_warnings():
            # Of mixed time zones pandas 2 warns, which pandas 3 refuses.
            warnings.simplefilter("error", FutureWarning)
            return pd.DatetimeIndex(pd.to_datetime(index))
    except (ValueError, TypeError, FutureWarning) as error:
        _check_time_zones(index, caller, argument)
        rows = np.flatnonzero(pd.to_datetime(index, errors="coerce", utc=True).isna())
        got = f"{abbreviated(index[rows[0]])} in row {rows[0]}" if len(rows) else str(error)
        raise ValueError(problem(caller, argument, got, "dates in one format")) from error


def _check_time_zones(index: Any, caller: str, argument: str) -> None:
    import pandas as pd

    before: Any = None
    for row, value in enumerate(index):
        try:
            time: Any = pd.Timestamp(value)
        except (ValueError, TypeError):
            return
        if row and time.utcoffset() != before.utcoffset():
            got = f"{index[row - 1]} and {index[row]} in rows {row - 1} and {row}"
            expected = "times of one time zone: convert with pandas.to_datetime(..., utc=True)"
            raise ValueError(problem(caller, argument, got, expected))
        before = time


def concatenated(first: Any, second: Any) -> Any:
    """Join times of one kind."""
    if isinstance(first, np.ndarray):
        return np.concatenate([first, second])
    return first.append(second)


def earliest(times: Any) -> Any:
    """Return the first of some times, as times."""
    place = int(np.argmin(integers_of(times)))
    return times[place : place + 1]


def check_order(times: Any, offsets: Integers, names: Sequence[Any], caller: str, arg: str) -> None:
    """Raise ValueError at the first pair of times of a series that does not rise."""
    falls = np.diff(integers_of(times)) <= 0
    falls[offsets[1:-1] - 1] = False  # from one series to the next
    rows = np.flatnonzero(falls)
    if len(rows):
        row = int(rows[0])
        series = int(np.searchsorted(offsets, row, side="right")) - 1
        of_series = f" of series {names[series]!r}" if len(names) > 1 else ""
        pair = f"{show(times[row])} before {show(times[row + 1])}"
        row -= int(offsets[series])
        got = f"{pair} in rows {row} and {row + 1}{of_series}"
        raise ValueError(problem(caller, arg, got, "times that rise, each of them once"))


def show(time: Any) -> str:
    """Write a time as people do."""
    return str(time).removesuffix(" 00:00:00")


def tell_frequency(times: Any, caller: str, argument: str) -> Frequency:
    """Tell the step between the times of one series, which rise.

    Raises
    ------
    ValueError
        If there are fewer than two times, and no index that knows its own step.
    """
    kind = kind_of(times)
    if kind == "period":
        return Frequency(kind, str(times.freq.freqstr))
    own = getattr(times, "freq", None)
    if own is not None and _code(own) is not None:
        return Frequency(kind, str(_code(own)), zone_of(times))
    if len(times) < 2:
        got = f"{len(times)} time"
        raise ValueError(problem(caller, argument, got, "at least 2, which tell their frequency"))
    if kind == "integer":
        return Frequency(kind, str(_most_frequent(np.diff(times))))
    return Frequency(kind, _inferred(times) or _by_differences(times), zone_of(times))


def kind_of(times: Any) -> str:
    """Tell what times are: "integer", "date" or "period"."""
    if isinstance(times, np.ndarray):
        return "integer"
    return "period" if type(times).__name__ == "PeriodIndex" else "date"


def zone_of(times: Any) -> str | None:
    """Name of the time zone of dates that have one."""
    zone = getattr(times, "tz", None)
    return None if zone is None else str(zone)


def _code(offset: Any) -> str | None:
    """Return the text from which an offset can be made again, if there is one."""
    try:
        return str(offset.freqstr) if _offset(offset.freqstr) == offset else None
    except ValueError:
        months = getattr(offset, "kwds", {})
        return f"months={months['months'] * offset.n}" if set(months) == {"months"} else None


def _inferred(times: Any) -> str | None:
    import pandas as pd

    with warnings.catch_warnings():  # pandas 4 will return an offset
        warnings.simplefilter("ignore")
        frequency = pd.infer_freq(times) if len(times) > 2 else None
    return None if frequency is None else str(getattr(frequency, "freqstr", frequency))


def _by_differences(times: Any) -> str:
    """Tell the step of times with gaps: the most frequent one, in months where days tell so."""
    import pandas as pd

    wall = times.tz_localize(None)
    step = pd.Timedelta(_most_frequent(np.diff(wall.asi8)), unit=wall.unit)
    if step >= pd.Timedelta(days=28) and len(set(wall.time)) == 1:
        months = _most_frequent(np.diff(np.asarray(wall.year) * 12 + np.asarray(wall.month)))
        if months and wall.is_month_end.all():
            return str(pd.offsets.MonthEnd(months).freqstr)
        if months and (wall.day == 1).all():
            return str(pd.offsets.MonthBegin(months).freqstr)
        if months and (wall.day == wall.day[0]).all():
            return f"months={months}"
    is_long = wall[-1] - wall[0] > pd.Timedelta(days=7)
    if step == pd.Timedelta(days=1) and is_long and (wall.day_of_week < 5).all():
        return "B"
    if step % pd.Timedelta(days=1) == pd.Timedelta(0):
        return f"{step.days}D"
    return str(pd.tseries.frequencies.to_offset(step).freqstr)


def _most_frequent(values: Array) -> int:
    distinct, counts = np.unique(values, return_counts=True)
    return int(distinct[np.argmax(counts)])


def calendar_features(
    times: Any, names: Sequence[str], caller: str
) -> tuple[NDArray[np.float64], list[str]]:
    """Tell what the calendar says of times: each name as sine and cosine of its cycle.

    Parameters
    ----------
    times : DatetimeIndex, PeriodIndex or ndarray of int64
        The times.
    names : sequence of str
        Of `CALENDAR_FEATURES`; "is_weekend" becomes 0 or 1.
    caller : str
        Class and method, for messages.

    Returns
    -------
    features : ndarray of shape (n_times, n_features)
        The features.
    feature_names : list of str
        Their names, such as "hour_sin".

    Raises
    ------
    ValueError
        If a name is unknown, or the times are no dates.
    """
    for name in names:
        if name not in CALENDAR_FEATURES:
            expected = f"names among {', '.join(CALENDAR_FEATURES)}"
            raise ValueError(problem(caller, "calendar", abbreviated(name), expected))
    if names and kind_of(times) == "integer":
        got = f"{list(names)}, and a y without dates"
        raise ValueError(problem(caller, "calendar", got, "none for such a y"))
    columns, feature_names = [], []
    for name in names:
        if name == "is_weekend":
            columns.append(np.asarray(times.day_of_week >= 5, dtype=np.float64))
            feature_names.append(name)
            continue
        angle = 2 * np.pi * _phase(times, name)
        columns += [np.sin(angle), np.cos(angle)]
        feature_names += [f"{name}_sin", f"{name}_cos"]
    features = np.column_stack(columns) if columns else np.zeros((len(times), 0))
    return features, feature_names


def _phase(times: Any, name: str) -> NDArray[np.float64]:
    """How much of a cycle has passed."""
    if name == "hour":
        return np.asarray(times.hour + times.minute / 60, dtype=np.float64) / 24
    if name == "weekofyear":
        dates = times.to_timestamp() if kind_of(times) == "period" else times
        return np.asarray(dates.isocalendar().week, dtype=np.float64) / 53 - 1 / 53
    if name == "day":
        return np.asarray((times.day - 1) / times.days_in_month, dtype=np.float64)
    attribute = {"dayofweek": "day_of_week", "dayofyear": "day_of_year"}.get(name, name)
    value = np.asarray(getattr(times, attribute), dtype=np.float64)
    if name == "dayofyear":
        return (value - 1) / np.where(times.is_leap_year, 366, 365)
    cycle = {"dayofweek": 7, "month": 12, "quarter": 4}[name]
    return (value - (name != "dayofweek")) / cycle
