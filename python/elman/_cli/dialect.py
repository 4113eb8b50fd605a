"""How a CSV is written: its encoding, what is between its cells, and its decimal mark."""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass
from itertools import islice
from typing import Any

SEPARATORS = (",", ";", "\t", "|")
N_SAMPLED = 20  # rows that tell the separator
SPACES = " '\u00a0\u202f\u2019"  # between thousands
# The first thousands are no zeros: 0,125 is less than one.
POINT = re.compile(rf"[+-]?[1-9]\d{{0,2}}([,{SPACES}]\d{{3}})+(\.\d+)?")
COMMA = re.compile(rf"[+-]?([1-9]\d{{0,2}}([.{SPACES}]\d{{3}})+(,\d+)?|\d+(,\d+)?([eE][+-]?\d+)?)")


@dataclass(frozen=True)
class Dialect:
    """How a CSV is written.

    Parameters
    ----------
    separator : str
        What is between two cells.
    decimal : str
        What is between a number's whole and its fraction.
    """

    separator: str = ","
    decimal: str = "."


def decoded(contents: bytes) -> str:
    """Return a file's text; UnicodeDecodeError if it is neither UTF-8 nor marked as UTF-16."""
    is_marked = contents.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return contents.decode("utf-16" if is_marked else "utf-8-sig")


def tell_separator(text: str) -> str:
    """Return what separates the header and splits the rows below it as often; else a comma.

    Of several it is what splits most often, and of two that split as often not the comma, which
    numbers and names of columns may have.
    """
    cells = {separator: _numbers_of_cells(text, separator) for separator in SEPARATORS}
    splits = [separator for separator in SEPARATORS if cells[separator][0] > 1]
    even = [separator for separator in splits if len(set(cells[separator])) == 1]
    return max(even or splits or [","], key=lambda mark: (cells[mark][0], mark != ","))


def _numbers_of_cells(text: str, separator: str) -> list[int]:
    """Count the cells of each row of the beginning, as far as it can be read."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    counts = []
    try:
        for cells in islice(reader, N_SAMPLED):
            if cells:
                counts.append(len(cells))
    except csv.Error:
        pass  # what is wrong is told when the table is read
    return counts or [0]


def has_decimal_commas(cells: Any) -> bool:
    """Whether all cells are numbers as 1.234,5 is one, and some have a comma."""
    return bool(len(cells) and cells.str.fullmatch(COMMA).all() and cells.str.contains(",").any())


def plain_numbers(cells: Any, decimal: str) -> Any:
    """Return cells with the marks of thousands left out, and with decimal points."""
    is_grouped = cells.str.fullmatch(COMMA if decimal == "," else POINT, na=False).astype(bool)
    marks = f"[.{SPACES}]" if decimal == "," else f"[,{SPACES}]"
    plain = cells.str.replace(marks, "", regex=True).str.replace(",", ".")
    return cells.where(~is_grouped, plain)
