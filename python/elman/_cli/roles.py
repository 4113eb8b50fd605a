"""What each column of a table is: times, ids, targets, covariates."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from elman._cli.errors import DATA, USAGE, CommandError, shown
from elman._cli.table import Table
from elman._panel_form import COLUMNS

ID, TIME, TARGET = COLUMNS


@dataclass(frozen=True)
class Roles:
    """What the columns of a table are.

    Parameters
    ----------
    time, id : str or None
        The columns of times and of ids.
    targets : list of str
        Columns of numbers: the series, or with ids the one column of all of them.
    """

    time: str | None
    id: str | None
    targets: list[str]


def tell_roles(table: Table, options: argparse.Namespace) -> Roles:
    """Tell roles from the options, and from names and cells where those say nothing."""
    covariates = [*getattr(options, "covariates", []), *getattr(options, "past", [])]
    for option, names in {
        "--time": [options.time] if options.time is not None else [],
        "--id": [options.id] if options.id is not None else [],
        "--target": options.target or [],
        "--covariates": getattr(options, "covariates", []),
        "--past": getattr(options, "past", []),
    }.items():
        table.check_names(names, option)
    identity = options.id or (ID if ID in table.names else None)
    time = options.time or _time_column(table)
    taken = [name for name in (time, identity, *covariates) if name is not None]
    twice = [name for i, name in enumerate(taken) if name in taken[:i]]
    twice += [name for name in options.target or [] if name in taken]
    if twice:
        raise CommandError(f"column {twice[0]!r} in two roles", USAGE)
    return Roles(time, identity, options.target or _targets(table, taken))


def _time_column(table: Table) -> str | None:
    """Return ``ds``, or the first column that is all dates."""
    if TIME in table.names:
        return TIME
    for name in table.names:
        if table.is_dates(name):
            return name
    return None


def _targets(table: Table, taken: list[str]) -> list[str]:
    """Return ``y``, or every other column of numbers."""
    if TARGET in table.names and TARGET not in taken:
        return [TARGET]
    names = [name for name in table.names if name not in taken and table.is_numeric(name)]
    if not names:
        raise CommandError(f"{shown(table.path)}: no column of numbers, expected a target", DATA)
    return names


@dataclass(frozen=True)
class LongTable:
    """A table as frames of the columns ``unique_id``, ``ds`` and others.

    Parameters
    ----------
    y : DataFrame
        The targets, in the column ``y``.
    X, future : DataFrame or None
        Covariates at the times of y, and after them.
    id_name, time_name : str
        What the file calls ids and times.
    """

    y: Any
    X: Any
    future: Any
    id_name: str
    time_name: str


def read_long(table: Table, roles: Roles, covariates: list[str]) -> LongTable:
    """Read the series of a table, one below the other.

    With covariates, the rows of a series after its last known target are what is known of the time
    to come.
    """
    import pandas as pd

    if roles.id is not None and len(roles.targets) > 1:
        raise CommandError(f"--target: {len(roles.targets)} columns, expected one with --id", USAGE)
    columns = {name: table.texts(name) for name in covariates}
    parts = []
    for target in roles.targets:
        part = pd.DataFrame({TARGET: table.numbers(target), **columns})
        part.insert(0, ID, target if roles.id is None else table.frame[roles.id])
        parts.append(part)
    whole = pd.concat(parts, ignore_index=True)
    if roles.time is None:
        whole.insert(1, TIME, whole.groupby(ID, sort=False).cumcount())
    else:
        times = table.times(roles.time)
        whole.insert(1, TIME, pd.concat([pd.Series(times)] * len(parts), ignore_index=True))
    keys = [ID, TIME]
    y, X, future = whole[[*keys, TARGET]], None, None
    if covariates:
        is_known = whole[TARGET].notna()
        is_past = is_known[::-1].groupby(whole[ID]).cummax()[::-1]
        y = y[is_past]
        X, future = (whole.loc[rows, [*keys, *covariates]] for rows in (is_past, ~is_past))
    id_name = roles.id or ID
    return LongTable(y, X, future, id_name, roles.time or "step")
