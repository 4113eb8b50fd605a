"""Tables in files: CSV, whose cells are remembered with their places, and Parquet."""

from __future__ import annotations

import csv
import io
import re
import sys
import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._calendar import import_pandas
from elman._cli.dialect import (
    COMMA,
    Dialect,
    decoded,
    has_decimal_commas,
    plain_numbers,
    tell_separator,
)
from elman._cli.errors import DATA, USAGE, CommandError, shown
from elman._panel_form import COLUMNS

MISSING = frozenset(
    ["", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "null", "NULL", "None", "-", "?", "."]
)
TIME = COLUMNS[1]
DATES = ("datetime64", "datetime", "date", "period")  # as pandas calls their kinds
MOST_COLUMNS = 10_000
MOST_CHARACTERS = 2**20  # of a cell
DAY_AND_MONTH = r"(\d{1,2})[-/.](\d{1,2})(?:[-/.]\d{4}|[/.]\d{2})\b"  # in whichever order
FIRST_YEAR = 1000  # what is before it has been made of a day or an hour
DAY_AND_NAME = r"(0?[1-9]|[12]\d|3[01])[- ][^\W\d]{3,}[- ]\d{2}\b"  # 31-Dec-24
EIGHT_DIGITS = r"(19|20)\d{6}|2100\d{4}"  # a year, a month and a day
_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DAY = rf"(?:\d{{1,2}}|{_MONTH})[-/. ]+(?:\d{{1,2}}|{_MONTH})(?:[-/. ]+\d{{1,2}})?"
_HOUR = r"\d{1,2}:\d\d\S*"
NO_YEAR = rf"(?i){_DAY}(?:\s+{_HOUR})?|{_HOUR}"  # May-24, 31-12-24, 12:00
MONTHS = 12  # of a year
MOSTLY = 0.9  # share of a column's cells that are dates, from which on the others are mistakes


@dataclass(frozen=True)
class Table:
    """A table and where its cells are.

    Parameters
    ----------
    path : str
        The file's name, "-" for stdin.
    frame : DataFrame
        The cells: text as it stands in CSV, values of Parquet.
    lines : ndarray of shape (n_rows,) or None
        The line of CSV that each row begins in.
    dialect : Dialect
        How the CSV is written, and what is made of it is to be.
    """

    path: str
    frame: Any
    lines: NDArray[np.int64] | None
    dialect: Dialect = field(default_factory=Dialect)

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [str(name) for name in self.frame.columns]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column as floats, NaN where it is missing; CommandError at a bad cell."""
        import pandas as pd

        column = self.frame[name]
        is_missing = self._is_missing(name)
        if self.lines is not None:
            column = column.str.strip().where(~is_missing)
            column = plain_numbers(column, self.decimal(name))
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        bad = np.flatnonzero(~np.isfinite(numbers) & ~is_missing)
        if len(bad):
            self.fail(int(bad[0]), name, "not a number")
        return np.asarray(numbers)

    def decimal(self, name: str) -> str:
        """Return the decimal mark of a column."""
        if self.dialect.decimal == ".":
            return "."
        cells = self.frame[name].str.strip()[~self._is_missing(name)]
        return "," if cells.str.fullmatch(COMMA).all() else "."

    def is_numeric(self, name: str) -> bool:
        """Whether every cell of a column is a number or missing."""
        try:
            self.numbers(name)
        except CommandError:
            return False
        return True

    def counts(self, name: str) -> bool:
        """Whether a column is integers that rise by the same from row to row."""
        if not self.is_numeric(name):
            return False
        numbers = self.numbers(name)
        steps = np.diff(numbers)
        return bool((numbers % 1 == 0).all() and len(steps) and steps[0] > 0 and np.ptp(steps) == 0)

    def check_most_are_numbers(self, name: str) -> None:
        """Raise CommandError about the first cell that is no number if most others are."""
        if self.lines is not None:
            import pandas as pd

            cells = plain_numbers(self.frame[name].str.strip(), self.decimal(name))
            is_number = pd.to_numeric(cells, errors="coerce").notna()
            if is_number.mean() > 0.5:
                self.numbers(name)

    def is_dates(self, name: str) -> bool:
        """Whether a column is all dates."""
        if self._dates_of_digits(name) is not None:
            return True
        if not self.is_text(name):
            return self._kind(name) in DATES
        if self._is_missing(name).any() or self.is_numeric(name):
            return False
        if self.frame[name].str.strip().str.match(DAY_AND_MONTH).all():
            return True
        try:
            self.times(name)
        except CommandError:
            return False
        return True

    def is_text(self, name: str) -> bool:
        """Whether the cells of a column are text."""
        return self.lines is not None or self._kind(name) == "string"

    def is_measured(self, name: str) -> bool:
        """Whether a column is numbers that are neither dates nor yes and no."""
        is_other = self._kind(name) in (*DATES, "boolean", "timedelta", "timedelta64")
        return not is_other and self.is_numeric(name) and self._dates_of_digits(name) is None

    def _kind(self, name: str) -> str:
        """Return what pandas takes the cells of a column for."""
        import pandas as pd

        return str(pd.api.types.infer_dtype(self.frame[name], skipna=True))

    def times(self, name: str) -> Any:
        """Return a column as integers or dates; CommandError at a bad cell."""
        import pandas as pd

        column, missing = self.frame[name], np.flatnonzero(self._is_missing(name))
        if len(missing):
            self.fail(int(missing[0]), name, "not a time")
        dates = self._dates_of_digits(name)
        if dates is not None:
            return dates
        if not self.is_text(name):
            return column
        column = column.str.strip()
        if column.str.fullmatch(r"[+-]?\d{1,15}").all():
            return column.astype(np.int64)
        day_first = self._has_day_first(name, column)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of a format that has no name
                dates = pd.to_datetime(column, dayfirst=day_first)
        except (ValueError, TypeError) as error:
            bad = self._not_dates(name)
            self._check_years(name, column.str.fullmatch(NO_YEAR) & ~_say_day(column))
            if len(bad):
                self.fail(int(bad[0]), name, "not a time like those before it")
            raise CommandError(f"{shown(self.path)}: column {name!r}: {error}", DATA) from error
        self._check_years(name, _are_guessed(column, dates))
        return dates

    def _check_years(self, name: str, are_guessed: Any) -> None:
        """Raise CommandError about the first cell of which the year would be a guess."""
        rows = np.flatnonzero(are_guessed)
        if len(rows):
            self.fail(int(rows[0]), name, "without a year of four digits; write it as 2024-12-31")

    def _dates_of_digits(self, name: str) -> Any:
        """Return the dates of a column if each cell is one as 20240131 is; else None."""
        import pandas as pd

        if not self.is_text(name) and self.frame[name].dtype.kind not in "iu":
            return None
        digits = self.frame[name]
        if not re.fullmatch(EIGHT_DIGITS, str(digits.iloc[0]).strip()):
            return None  # in less time than all cells take
        digits = digits.astype(str).str.strip()
        if not digits.str.fullmatch(EIGHT_DIGITS).all():
            return None
        dates = pd.to_datetime(digits, format="%Y%m%d", errors="coerce")
        return None if dates.isna().any() else dates

    def check_most_are_dates(self, name: str) -> None:
        """Raise CommandError about the first cell that is no date if nearly all others are.

        Also about a column of dates that `times` refuses.
        """
        if self.is_text(name) and not self.is_numeric(name):
            if self.frame[name].str.strip().str.fullmatch(NO_YEAR, na=False).all():
                self.times(name)
            bad = self._not_dates(name)
            if 0 < len(bad) <= (1 - MOSTLY) * len(self.frame):
                self.fail(int(bad[0]), name, "not a date like the others")

    def _not_dates(self, name: str) -> NDArray[np.intp]:
        """Rows in which a column is no date."""
        import pandas as pd

        column = self.frame[name].str.strip()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return np.flatnonzero(pd.to_datetime(column, errors="coerce", utc=True).isna())

    def _has_day_first(self, name: str, column: Any) -> bool:
        """Tell 31/01/2024 from 01/31/2024; CommandError where all dates could be either."""
        numbers = column.str.extract("^" + DAY_AND_MONTH).astype(float)
        if numbers.isna().to_numpy().any() or (numbers[0] == numbers[1]).all():
            return False
        if column.str.contains(r"^\d+\.").all():
            return True  # nobody writes 12.31.2024
        day_first, month_first = (numbers > 12).any()
        n_dates = column.str.extract(f"^({DAY_AND_MONTH})")[0].nunique()
        if not day_first and not month_first and n_dates > MONTHS:
            # Of dates a month apart, what stays the same is the day.
            day_first, month_first = numbers.nunique() == 1
        if day_first == month_first:
            what = "a day of a month or a month's day; write it as 2024-12-31"
            self.fail(int(np.flatnonzero(numbers[0] != numbers[1])[0]), name, what)
        return bool(day_first)

    def texts(self, name: str) -> Any:
        """Return a column as text, None where it is missing; of numbers as floats."""
        if self.is_numeric(name):
            return self.numbers(name)
        column = self.frame[name].astype(object)
        return column.where(~self._is_missing(name), None)

    def missing(self, name: str) -> NDArray[np.bool_]:
        """Return which cells of a column are missing."""
        return np.asarray(self._is_missing(name))

    def _is_missing(self, name: str) -> Any:
        column = self.frame[name]
        if self.lines is None:
            return column.isna().to_numpy()
        return column.str.strip().isin(MISSING).to_numpy()

    def fail(self, row: int, name: str, what: str) -> None:
        """Raise CommandError about a cell."""
        line = row + 1 if self.lines is None else int(self.lines[row])
        column = self.names.index(name) + 1
        cell = str(self.frame[name].iloc[row])
        cell = cell if len(cell) <= 40 else f"{cell[:39]}…"
        place = f"{shown(self.path)}:{line}:{column}"
        raise CommandError(f"{place}: {cell!r} in column {name!r} is {what}", DATA)

    def check_names(self, names: list[str], option: str) -> None:
        """Raise CommandError for a name that no column has."""
        for name in names:
            if name not in self.names:
                listed = ", ".join(self.names[:10]) + (", …" if len(self.names) > 10 else "")
                message = f"{option}: no column {name!r} in {shown(self.path)}, which has {listed}"
                raise CommandError(message, USAGE)


def _are_guessed(cells: Any, dates: Any) -> NDArray[np.bool_]:
    """Tell which dates pandas made of cells that say no year, or not which number is the year."""
    if dates.dtype.kind != "M":
        return np.zeros(len(cells), dtype=bool)  # of several time zones, which are refused later
    years = dates.dt.year.fillna(0).astype(int)
    says_year = np.array([str(y) in cell for y, cell in zip(years, cells, strict=True)])
    return np.asarray((years < FIRST_YEAR) | ~(says_year | _say_day(cells)), dtype=bool)


def _say_day(cells: Any) -> NDArray[np.bool_]:
    """Tell which cells say a day by numbers whose order is told, or by a name."""
    says_day = cells.str.match(DAY_AND_MONTH) | cells.str.match(DAY_AND_NAME)
    return np.asarray(says_day, dtype=bool)


def read_table(path: str) -> Table:
    """Read a file of CSV or Parquet.

    Parameters
    ----------
    path : str
        Name of the file; "-" is stdin.

    Returns
    -------
    table : Table
        The table.

    Raises
    ------
    CommandError
        If there is no such file, or it is not such a table: with the line and the column where
        that is seen.
    """
    contents = _contents(path)
    if contents.startswith(b"PAR1"):
        return _read_parquet(path, contents)
    pd = import_pandas("python -m elman")
    text = _decoded(path, contents)
    separator = tell_separator(text)
    header, rows, lines = _read_csv(path, text, separator)
    frame = pd.DataFrame(rows, columns=pd.Index(header, dtype=object), dtype=object)
    table = Table(path, frame, np.array(lines, dtype=np.int64), Dialect(separator))
    columns = () if separator == "," else frame.columns
    if any(has_decimal_commas(frame[name].str.strip()[~table.missing(name)]) for name in columns):
        return replace(table, dialect=Dialect(separator, ","))
    return table


def _contents(path: str) -> bytes:
    try:
        if path == "-":
            if sys.stdin is None or sys.stdin.closed:
                raise CommandError("<stdin>:1:1: closed", DATA)
            return sys.stdin.buffer.read()
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        code = DATA if path == "-" else USAGE
        raise CommandError(f"{shown(path)}: {error.strerror or error}", code) from error


def _decoded(path: str, contents: bytes) -> str:
    try:
        text = decoded(contents)
    except UnicodeDecodeError as error:
        before = contents[: error.start]
        what = f"byte 0x{contents[error.start]:02x} is not UTF-8; save the file as UTF-8"
        _fail_at(path, before, b"\n", b",", what)
    if "\0" in text:
        _fail_at(path, text[: text.index("\0")], "\n", ",", "a NUL character")
    return text


def _fail_at(path: str, before: Any, newline: Any, comma: Any, what: str) -> None:
    """Raise CommandError at the end of a text."""
    line = before.count(newline) + 1
    column = before[before.rfind(newline) + 1 :].count(comma) + 1
    raise CommandError(f"{shown(path)}:{line}:{column}: {what}", DATA)


def _read_csv(path: str, text: str, separator: str) -> tuple[list[str], list[list[str]], list[int]]:
    """Return header, rows, and the line that each row begins in."""
    csv.field_size_limit(MOST_CHARACTERS)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    first, end = 0, 0
    try:
        for cells in reader:
            line, end = end + 1, reader.line_num
            if not cells and len(header) != 1:
                continue
            if not header:
                header, first = _checked_header(path, line, cells), line
                continue
            cells = cells or [""]
            if len(cells) != len(header):
                column = min(len(cells), len(header)) + 1
                what = f"{len(cells)} cells, expected {len(header)} as in the header, line {first}"
                raise CommandError(f"{shown(path)}:{line}:{column}: {what}", DATA)
            rows.append(cells)
            lines.append(line)
    except csv.Error as error:
        raise CommandError(f"{shown(path)}:{end + 1}:1: {error}", DATA) from error
    if not rows:
        what = "no rows after the header" if header else "empty"
        raise CommandError(f"{shown(path)}:{end + 1}:1: {what}", DATA)
    return header, rows, lines


def _checked_header(path: str, line: int, cells: list[str]) -> list[str]:
    if len(cells) > MOST_COLUMNS:
        what = f"{len(cells)} columns, expected at most {MOST_COLUMNS}"
        raise CommandError(f"{shown(path)}:{line}:{MOST_COLUMNS + 1}: {what}", DATA)
    names = [cell.strip() for cell in cells]
    seen: set[str] = set()
    for column, name in enumerate(names, 1):
        if name in seen:
            what = f"the column {name!r} a second time"
            raise CommandError(f"{shown(path)}:{line}:{column}: {what}", DATA)
        seen.add(name)
    if all(re.fullmatch(r"[-+.\deE]+", name) for name in names):
        what = f"{names[0]!r} looks like a number, expected a header"
        raise CommandError(f"{shown(path)}:{line}:1: {what}", DATA)
    return names


def _read_parquet(path: str, contents: bytes) -> Table:
    pd = import_pandas("python -m elman")
    try:
        frame = pd.read_parquet(io.BytesIO(contents))
    except ImportError as error:
        message = f"{shown(path)}: Parquet needs pyarrow: pip install pyarrow"
        raise CommandError(message, USAGE) from error
    except (OSError, ValueError) as error:
        raise CommandError(f"{shown(path)}: not Parquet: {error}", DATA) from error
    frame = _index_in_columns(frame)
    if not len(frame):
        raise CommandError(f"{shown(path)}: no rows", DATA)
    return Table(path, frame.set_axis([str(name) for name in frame.columns], axis=1), None)


def _index_in_columns(frame: Any) -> Any:
    """Make columns of what the index of a frame says, and number its rows."""
    import pandas as pd

    index = frame.index
    if index.nlevels == 1 and index.name is None and index.dtype.kind in "iuf":
        # Numbers of rows, in whatever order sorting and choosing has left them.
        return frame.reset_index(drop=True)
    levels = [index.get_level_values(i) for i in range(index.nlevels)]
    are_times = [isinstance(level, (pd.DatetimeIndex, pd.PeriodIndex)) for level in levels]
    names = [
        TIME if name is None and is_time and TIME not in frame.columns else name
        for name, is_time in zip(index.names, are_times, strict=True)
    ]
    return frame.set_axis(index.set_names(names), axis=0).reset_index()
