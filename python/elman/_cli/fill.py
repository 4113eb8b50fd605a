"""Missing cells of a table, filled; the others stay as they are, to the character."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray

import elman
from elman._calendar import OFF_GRID, Integers, read_times, tell_frequency
from elman._cli.errors import DATA, CommandError, shown
from elman._cli.roles import Roles, rows_in_time
from elman._cli.table import Table

EXACT = 2**53  # up to which floats are every integer


def fill_table(table: Table, roles: Roles, options: argparse.Namespace, *, verbose: bool) -> Any:
    """Return the cells of a table, the missing ones of its targets filled.

    Parameters
    ----------
    table : Table
        The table.
    roles : Roles
        What its columns are.
    options : Namespace
        Season, seed and threads.
    verbose : bool
        Whether to show a progress bar.

    Returns
    -------
    frame : DataFrame
        The table. Absent times are taken into account, and not added.
    """
    values = np.column_stack([table.numbers(name) for name in roles.targets])
    is_missing = np.isnan(values)
    empty = np.flatnonzero(is_missing.all(axis=0))
    if len(empty):
        name = roles.targets[int(empty[0])]
        raise CommandError(f"{shown(table.path)}: no value in column {name!r}", DATA)
    frame = table.frame.copy()
    if not is_missing.any():
        return frame
    parts = _rows_of_series(table, roles)
    positions, season = _positions(table, roles, parts)
    if options.season is not None:
        season = options.season[0] if options.season[0] > 1 else None
    grids = []
    for rows, places in zip(parts, positions, strict=True):
        grid = np.full((places[-1] + 1, values.shape[1]), np.nan)
        grid[places] = values[rows]
        grids.append(grid)
    imputer = elman.RNNImputer(
        layout="series" if len(grids) == 1 else "sequences",
        season_length=season,
        random_state=options.seed,
        n_jobs=options.jobs,
        verbose=verbose,
    )
    filled = imputer.fit_transform(grids[0] if len(grids) == 1 else grids)
    for rows, places, grid in zip(
        parts, positions, [filled] if len(grids) == 1 else filled, strict=True
    ):
        values[rows] = np.where(is_missing[rows], grid[places], values[rows])
    for i, name in enumerate(roles.targets):
        rows = np.flatnonzero(is_missing[:, i])
        if not len(rows):
            continue
        if table.is_text(name):
            cells = frame[name].to_numpy(dtype=object).copy()
            texts = [repr(float(number)) for number in values[rows, i]]
            cells[rows] = [text.replace(".", table.decimal(name)) for text in texts]
            frame[name] = cells
        else:
            frame[name] = _filled(frame[name], values[:, i], rows)
    return frame


def _filled(column: Any, numbers: NDArray[np.float64], rows: Any) -> Any:
    """Return a column of Parquet with some rows of its numbers, or all where it takes no floats."""
    import pandas as pd

    if column.dtype.kind in "iu" and not column.dropna().between(-EXACT, EXACT).all():
        numbers = np.rint(numbers)  # floats would cost the other cells digits
    elif column.dtype.kind != "f":
        return numbers
    column = column.copy()
    column.iloc[rows] = pd.Series(numbers[rows]).astype(column.dtype).array
    return column


def _rows_of_series(table: Table, roles: Roles) -> list[Integers]:
    """Rows of each series, in the order of their times."""
    order = rows_in_time(table, roles)
    if roles.id is None:
        return [order]
    import pandas as pd

    codes, _ = pd.factorize(table.frame[roles.id].astype(object))
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)


def _positions(table: Table, roles: Roles, parts: list[Integers]) -> tuple[list[Integers], Any]:
    """Place of each row on the grid of times of its series, and the season that they tell."""
    if roles.time is None:
        return [np.arange(len(rows)) for rows in parts], "auto"
    caller = shown(table.path)
    times = read_times(table.times(roles.time), caller, roles.time)
    positions = []
    frequency = tell_frequency(times[max(parts, key=len)], caller, roles.time)
    for rows in parts:
        own = times[rows]
        places = frequency.positions(own, own[np.zeros(len(rows), dtype=np.int64)])
        if (places == OFF_GRID).any():
            row = int(rows[np.argmax(places == OFF_GRID)])
            table.fail(row, roles.time, f"off the grid of {frequency}")
        positions.append(places)
    seasons = frequency.season_lengths()
    return positions, "auto" if seasons == (1,) else seasons[0]
