"""Forecasts of public data beside published figures: ``python -m bench.forecasting [set …]``.

Settings were chosen on what comes before the test part (``--validation``, and ``--change
dropout=0.5`` for what another setting is worth there); the test part is measured once for each
start. ``--starts`` tells how many, ``--first`` the seed of the first one, and ``--coverage`` asks
for 90 % intervals, too. Seconds are those that the processor worked on a fit.
"""

from __future__ import annotations

import argparse
import ast
import json
from typing import Any

import numpy as np

from bench.forecast_sets import SETS


def setting(text: str) -> tuple[str, Any]:
    """Read ``name=value``, where the value is a literal of Python or else a string."""
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sets", nargs="*", metavar="set", help=", ".join(SETS))
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the seed of the first start")
    part = parser.add_mutually_exclusive_group()
    for name, text in (
        ("validation", "the part before the test"),
        ("backtest", "more than the test, for intervals"),
    ):
        part.add_argument(f"--{name}", dest="part", action="store_const", const=name, help=text)
    parser.set_defaults(part="test")
    parser.add_argument("--change", type=setting, action="append", default=[], metavar="name=value")
    parser.add_argument("--coverage", action="store_true")
    parser.add_argument("--out", help="a JSON file")
    arguments = parser.parse_args()
    changes = dict(arguments.change)
    found = {}
    for name in arguments.sets or SETS:
        results = [
            SETS[name](arguments.part, arguments.first + start, changes, arguments.coverage)
            for start in range(arguments.starts)
        ]
        values = np.array([result.value for result in results])
        seconds = np.mean([result.seconds for result in results])
        line = f"{name:10} {results[0].measure} {values.mean():.4f} ({values.min():.4f} to "
        line += f"{values.max():.4f})  naive {results[0].naive:.4f}  {seconds:.1f} s a fit"
        if results[0].coverage is not None:
            line += f"  covered {np.mean([result.coverage for result in results]):.3f}"
        print(line, flush=True)
        found[name] = [vars(result) for result in results]
    if arguments.out:
        with open(arguments.out, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)


if __name__ == "__main__":
    main()
