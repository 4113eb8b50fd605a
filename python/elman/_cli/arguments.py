"""What may follow ``python -m elman``."""

from __future__ import annotations

import argparse
import math
import re
from itertools import pairwise
from typing import Any, NoReturn

from elman._cli.errors import USAGE, CommandError

MODELS = ("rnn", "linear", "naive")
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}

_EPILOG = """\
FILE is CSV (UTF-8, with a header) or Parquet; - is stdin, or stdout for --out. The file tells
whether commas, semicolons or tabs are between cells, and whether decimals have commas; what comes
out is written in the same way. Empty cells, NA, NaN, null and - are missing. With --covariates,
rows after the last known target hold what is known of the time to come.

exit codes: 0 done, 1 failed, 2 wrong call, 3 bad data, 4 output exists, 130 interrupted"""


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message} (see {self.prog} --help)", USAGE)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options of a call; CommandError if they are wrong."""
    parser = _Parser(
        prog="python -m elman",
        description="Forecast, impute and evaluate time series in a file.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, description in {
        "forecast": "forecast what comes after the end of the table",
        "impute": "fill the missing cells of the table",
        "evaluate": "forecast from the past of the table, and compare with the naive forecast",
        "info": "tell versions, or what a file is taken for",
    }.items():
        command = commands.add_parser(
            name,
            help=description,
            description=f"{description[0].upper()}{description[1:]}.",
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        _add_options(command, name)
    options = parser.parse_args(arguments)
    for name in ("out", "plot", "force", "horizon"):
        vars(options).setdefault(name, None)
    return options


def _add_options(parser: argparse.ArgumentParser, command: str) -> None:
    is_info = command == "info"
    parser.add_argument("file", metavar="FILE", nargs="?" if is_info else None)
    add = parser.add_argument
    add("--time", metavar="NAME", help="column of times (default: ds, or the first of dates)")
    add("--target", metavar="NAMES", type=_names, help="columns to take (default: y, or all)")
    add("--id", metavar="NAME", help="column that names the series (default: unique_id)")
    add("--season", metavar="N[,M]", type=_seasons, help="rows of a season (default: by times)")
    add("--limit-mem", metavar="SIZE", type=_size, help="memory that may be taken, such as 512M")
    if is_info:
        return
    add("--seed", metavar="N", type=_whole(0), help="seed of the random numbers")
    add("--jobs", metavar="N", type=int, help="threads (default: all)")
    if command != "impute":
        _add_forecasts(parser, command)
    add("--out", metavar="PATH", default=None if command == "evaluate" else "-",
        help="where to write the table (default: %(default)s)")  # fmt: skip
    add("--force", action="store_true", help="write over outputs that exist")
    add("--quiet", action="store_true", help="no progress bar")


def _add_forecasts(parser: argparse.ArgumentParser, command: str) -> None:
    add = parser.add_argument
    add("--horizon", metavar="N", type=_whole(1), required=True, help="rows to forecast")
    add("--covariates", metavar="NAMES", type=_names, default=[],
        help="columns that are known ahead")  # fmt: skip
    add("--past", metavar="NAMES", type=_names, default=[],
        help="columns that are known until now")  # fmt: skip
    add("--model", metavar="NAME", default="rnn",
        help="rnn, linear, naive, or a file that elman.save wrote (default: rnn)")  # fmt: skip
    add("--coverage", metavar="SHARE", type=_share, help="of the intervals (default: 0.9)")
    add("--quantiles", metavar="Q,R", type=_shares, help="quantiles to forecast")
    if command == "forecast":
        add("--plot", metavar="PATH", help="where to draw a picture")
    else:
        add("--windows", metavar="N", type=_whole(1), default=5, help="forecasts of each series")
        add("--step", metavar="N", type=_whole(1), help="rows between them (default: horizon)")
        add("--refit", action="store_true", help="fit anew for each of them")


def _names(text: str) -> list[str]:
    names = text.split(",")
    if len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"{text!r} names a column twice")
    return names


def _whole(least: int) -> Any:
    def parse_whole(text: str) -> int:
        if not re.fullmatch(r"[+-]?\d+", text, re.ASCII) or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no integer of at least {least}")
        return int(text)

    return parse_whole


def _seasons(text: str) -> tuple[int, ...]:
    return tuple(_whole(1)(part) for part in text.split(","))


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number between 0 and 1")
    return share


def _shares(text: str) -> list[float]:
    shares = [_share(part) for part in text.split(",")]
    if any(later <= before for before, later in pairwise(shares)):
        raise argparse.ArgumentTypeError(f"{text!r} does not ascend")
    return shares


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)([KMG]?)B?", text.upper(), re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 512M or 2G")
    return int(match[1]) * UNITS[match[2]]
