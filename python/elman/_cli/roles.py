"""What each column of a table is: times, ids, targets, covariates."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._calendar import integers_of, read_times
from elman._cli.dialect import Dialect
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
    for option in ("--covariates", "--past"):
        for name in getattr(options, option.removeprefix("--"), []):
            if name in COLUMNS:
                what = f"{name!r}, expected a column of another name"
                why = f"{', '.join(COLUMNS)} are those of the forecast series"
                raise CommandError(f"{option}: {what}: {why}", USAGE)
    return Roles(time, identity, options.target or _targets(table, taken))


def _time_column(table: Table) -> str | None:
    """Return ``ds``, the first column that is all dates, or a first one that counts."""
    if TIME in table.names:
        return TIME
    for name in table.names:
        if table.is_dates(name):
            return name
    for name in table.names:
        table.check_most_are_dates(name)
    first = table.names[0]
    return first if first and len(table.names) > 1 and table.counts(first) else None


def _targets(table: Table, taken: list[str]) -> list[str]:
    """Return ``y``, or every other column of numbers that do not just count the rows."""
    if TARGET in table.names and TARGET not in taken:
        return [TARGET]
    others = [name for name in table.names if name not in taken]
    names = [name for name in others if table.is_measured(name)]
    if not names:
        for name in others:
            table.check_most_are_numbers(name)
        raise CommandError(f"{shown(table.path)}: no column of numbers, expected a target", DATA)
    return [name for name in names if not table.counts(name)] or names


def rows_in_time(table: Table, roles: Roles) -> NDArray[np.intp]:
    """Return the order of rows in which each series stands by itself, with times that rise.

    Raises
    ------
    CommandError
        If a series has a time twice.
    """
    import pandas as pd

    n_rows = len(table.frame)
    codes = np.zeros(n_rows, dtype=np.int64)
    if roles.id is not None:
        codes = pd.factorize(table.frame[roles.id].astype(object))[0]
    times = np.arange(n_rows)
    if roles.time is not None:
        caller = shown(table.path)
        times = integers_of(read_times(table.times(roles.time), caller, roles.time))
        twice = np.flatnonzero(pd.DataFrame({"code": codes, "time": times}).duplicated())
        if len(twice):
            what = f"there a second time{_hint_of_ids(table, roles, times)}"
            table.fail(int(twice[0]), roles.time, what)
    return np.lexsort((times, codes))


def _hint_of_ids(table: Table, roles: Roles, times: Any) -> str:
    """Name a column of text that makes several series of a table whose times come twice."""
    import pandas as pd

    taken = (roles.time, *roles.targets)
    texts = [name for name in table.names if name not in taken and not table.is_numeric(name)]
    for name in texts if roles.id is None else ():
        if not pd.DataFrame({"id": table.frame[name], "time": times}).duplicated().any():
            return f"; with --id {name} the rows of each {name} are a series"
    return " in its series" if roles.id else ""


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
    dialect : Dialect
        How the file is written.
    """

    y: Any
    X: Any
    future: Any
    id_name: str
    time_name: str
    dialect: Dialect


def read_long(table: Table, roles: Roles, covariates: list[str]) -> LongTable:
    """Read the series of a table, one below the other.

    With covariates, the rows of a series after its last known target are what is known of the time
    to come.
    """
    import pandas as pd

    if roles.id is not None and len(roles.targets) > 1:
        got = ", ".join(roles.targets[:5]) + (", …" if len(roles.targets) > 5 else "")
        raise CommandError(f"--target: {got}, expected one of them with --id", USAGE)
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
    order = rows_in_time(table, roles)
    steps = np.arange(len(roles.targets))[:, None] * len(order)
    whole = whole.iloc[(steps + order).ravel()].reset_index(drop=True)
    keys = [ID, TIME]
    y, X, future = whole[[*keys, TARGET]], None, None
    if covariates:
        is_known = whole[TARGET].notna()
        is_past = is_known[::-1].groupby(whole[ID]).cummax()[::-1]
        y = y[is_past]
        X, future = (whole.loc[rows, [*keys, *covariates]] for rows in (is_past, ~is_past))
    id_name = roles.id or ID
    return LongTable(y, X, future, id_name, roles.time or "step", table.dialect)
