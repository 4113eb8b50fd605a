"""What counts as a panel of series: y in any of its forms becomes ``(values, offsets)``.

The forms are

- an array of shape (n_times,) or (n_times, n_series), or a list of arrays of different lengths;
- a pandas Series, or a frame with a column for each series (wide), whose index tells the times,
  or whose column ``ds`` does;
- a frame with the columns ``unique_id``, ``ds`` and ``y`` (long), in which each series has its
  own times; frames may be those of pandas or of polars.

Below this module there is only one: ``values`` holds the series one after another, each on the
regular grid of the panel's frequency, and series i is ``values[offsets[i]:offsets[i + 1]]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elman._calendar import OFF_GRID, Integers, show
from elman._covariates import read_covariates, read_past_and_future, read_static
from elman._exceptions import problem
from elman._panel_form import COLUMNS, PanelForm
from elman._panel_rows import Floats, Rows, read_rows
from elman._sequences import offsets_of, step_rows

MOST_FILLED = 100  # times the values that came; more gap than that is a wrong frequency


@dataclass(frozen=True)
class Panel:
    """Series, one after another, each on a regular grid of times.

    Parameters
    ----------
    values : ndarray of shape (n_total_times,)
        The values; NaN is not known. The first one of each series is known.
    offsets : ndarray of shape (n_series + 1,) of int64
        Where each series begins, and where the last one ends.
    starts : DatetimeIndex, PeriodIndex or ndarray of shape (n_series,)
        The first time of each series.
    series : ndarray of shape (n_series,) of int64
        The number of each series among those of `fit`, ``form.names``.
    form : PanelForm
        How y came.
    covariates : ndarray of shape (n_total_times, n_covariates) or None
        X, aligned with the values; categories are codes, NaN is not known.
    static : ndarray of shape (n_series, n_static) or None
        What holds for a series at all its times.
    """

    values: Floats
    offsets: Integers
    starts: Any
    series: Integers
    form: PanelForm
    covariates: Floats | None = None
    static: Floats | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Integers:
        """Number of times of each series."""
        return np.diff(self.offsets)

    @property
    def names(self) -> tuple[Any, ...]:
        """Ids of the series."""
        return tuple(self.form.names[i] for i in self.series)

    def times(self) -> Any:
        """Return the time of each value."""
        return self._times(self.lengths, np.zeros_like(self.lengths))

    def future_times(self, horizon: int) -> Any:
        """Return the times after the end of each series, (n_series * horizon,)."""
        return self._times(np.full(len(self), horizon), self.lengths)

    def _times(self, counts: Integers, first: Integers) -> Any:
        rows = np.repeat(np.arange(len(self)), counts)
        within = np.arange(len(rows)) - np.repeat(offsets_of(counts)[:-1], counts)
        return self.form.frequency.shift(self.starts[rows], within + first[rows])

    def cut(
        self, series: Integers, stops: Integers, n_times: int | Integers | None = None
    ) -> Panel:
        """Pieces of series: the last ``n_times`` values before the stops, or all of them.

        Parameters
        ----------
        series : ndarray of shape (n_pieces,)
            Which series of this panel each piece comes from.
        stops : ndarray of shape (n_pieces,)
            Values of that series that lie before the end of the piece.
        n_times : int, ndarray of shape (n_pieces,) or None
            Length of the longest piece, or of each where there are as many values.

        Returns
        -------
        panel : Panel
            The pieces, as series.
        """
        first = np.zeros_like(stops) if n_times is None else np.maximum(stops - n_times, 0)
        rows = _rows_between(self.offsets[series] + first, self.offsets[series] + stops)
        return replace(
            self,
            values=self.values[rows],
            offsets=offsets_of(stops - first),
            starts=self.form.frequency.shift(self.starts[series], first),
            series=self.series[series],
            covariates=None if self.covariates is None else self.covariates[rows],
            static=None if self.static is None else self.static[series],
        )


def read_panel(
    y: Any,
    X: Any = None,
    static: Any = None,
    *,
    caller: str,
    form: PanelForm | None = None,
    columns: tuple[str, str, str] = COLUMNS,
    goes_on: bool = False,
) -> Panel:
    """Read y, X and `static` in any of their forms.

    Parameters
    ----------
    y : array-like, list of arrays, Series or frame
        The series.
    X : object, default=None
        Covariates at the times of y, in one of the forms of `read_covariates`.
    static : object, default=None
        What holds for a series at all times, as of `read_static`; in `fit` only.
    caller : str
        Class and method, for messages.
    form : PanelForm or None
        How y looked in `fit`; None in `fit` itself.
    columns : tuple of str
        Names of the columns of ids, times and values, when y is a frame.
    goes_on : bool
        Whether y goes on where series ended, so that NaN at its start is missing. Otherwise a
        series begins with its first value.

    Returns
    -------
    panel : Panel
        The series, X and `static` among it.

    Raises
    ------
    ValueError
        If y is not as it should be: times that do not rise or lie off the grid, series without
        a value, ids, a kind or a frequency other than in `fit`.
    """
    panel, given, lengths = _read_values(y, caller, form, columns, goes_on)
    covariates, table = read_covariates(X, panel, given, lengths, caller, is_fit=form is None)
    panel = replace(panel, covariates=covariates)
    if form is not None:
        return panel
    static_rows, static_columns = read_static(static, panel.form, caller)
    form = replace(panel.form, covariates=table, static=static_columns)
    return replace(panel, form=form, static=static_rows)


def read_history(
    y: Any, X: Any, horizon: int, *, caller: str, form: PanelForm, needed: Sequence[str]
) -> tuple[Panel, Floats | None]:
    """Read a history to forecast from, and X at its times and at those after it.

    Parameters
    ----------
    y, X : object
        As of `read_panel`; X goes on for ``horizon`` times after y.
    horizon : int
        Number of times after y.
    caller : str
        Class and method, for messages.
    form : PanelForm
        How y looked in `fit`.
    needed : sequence of str
        Columns of X that must be known after y.

    Returns
    -------
    panel : Panel
        The history.
    future : ndarray of shape (n_series, horizon, n_covariates) or None
        X after it, as of `read_future`.
    """
    panel, given, lengths = _read_values(y, caller, form, form.columns, False)
    covariates, future = read_past_and_future(X, panel, given, lengths, horizon, caller, needed)
    return replace(panel, covariates=covariates), future


def join(panel: Panel, later: Panel, caller: str) -> Panel:
    """Let series go on.

    Parameters
    ----------
    panel : Panel
        Series.
    later : Panel
        What comes after them, of all or of some; NaN fills times in between.
    caller : str
        Class and method, for messages.

    Returns
    -------
    panel : Panel
        The longer series.

    Raises
    ------
    ValueError
        If a series does not begin after the end of the one before.
    """
    series = np.arange(len(panel))  # of a stream, where one may stand more than once
    if not np.array_equal(later.series, panel.series):
        place = np.empty(len(panel.form.names), dtype=np.int64)
        place[panel.series] = series
        series = place[later.series]
    gaps = _gaps(panel, later, series, caller)
    lengths = panel.lengths.copy()
    lengths[series] += gaps + later.lengths
    offsets = offsets_of(lengths)
    old = _rows_between(offsets[:-1], offsets[:-1] + panel.lengths)
    new = _rows_between(offsets[1:][series] - later.lengths, offsets[1:][series])

    def joined(before: Floats, after: Floats) -> Floats:
        whole = np.full((offsets[-1], *before.shape[1:]), np.nan)
        whole[old], whole[new] = before, after
        return whole

    covariates = None
    if panel.covariates is not None and later.covariates is not None:
        covariates = joined(panel.covariates, later.covariates)
    values = joined(panel.values, later.values)
    return replace(panel, values=values, offsets=offsets, covariates=covariates)


def _rows_between(first: Integers, last: Integers) -> Integers:
    """Rows of some pieces, one after another."""
    return step_rows(np.column_stack([first, last]).ravel(), 2 * np.arange(len(first)))


def _gaps(panel: Panel, later: Panel, series: Integers, caller: str) -> Integers:
    """Count the times between the end of each series and what comes later."""
    if panel.form.library == "numpy":
        return np.zeros(len(later), dtype=np.int64)
    ends = panel.future_times(1)[series]
    gaps = panel.form.frequency.positions(later.starts, ends)
    wrong = np.flatnonzero((gaps < 0) | (gaps == OFF_GRID))
    if len(wrong):
        i = int(wrong[0])
        of_series = f" for series {later.names[i]!r}" if len(panel) > 1 else ""
        got = f"a beginning at {show(later.starts[i])}{of_series}"
        raise ValueError(problem(caller, "y", got, f"{show(ends[i])}, where y ended"))
    if gaps.sum() > MOST_FILLED * len(later.values) + 10_000:
        got = f"a beginning {gaps.max()} times after the end of y"
        raise ValueError(problem(caller, "y", got, "one that is nearer to it"))
    return gaps


def _read_values(
    y: Any, caller: str, form: PanelForm | None, columns: tuple[str, str, str], goes_on: bool
) -> tuple[Panel, Integers, Integers]:
    """Read y alone; return the row of y of each value, and the rows of each series, too."""
    rows = read_rows(y, caller, form, columns)
    infinite = np.flatnonzero(np.isinf(rows.values))
    if len(infinite):
        series = int(np.searchsorted(rows.offsets, infinite[0], side="right")) - 1
        name, row = rows.form.names[rows.series[series]], int(infinite[0] - rows.offsets[series])
        got = f"infinity in row {row} of series {name!r}"
        raise ValueError(problem(caller, "y", got, "finite values, or NaN"))
    panel, given = _on_grid(rows, caller, goes_on)
    return panel, given, np.diff(rows.offsets)


def _on_grid(rows: Rows, caller: str, goes_on: bool) -> tuple[Panel, Integers]:
    """Put values on the grid: NaN at times that are absent, nothing before the first value.

    Returned with the panel is the row that each of its values was given in, or -1.
    """
    lengths = rows.positions[rows.offsets[1:] - 1] + 1
    if lengths.sum() > MOST_FILLED * len(rows.values) + 10_000:
        got = f"{len(rows.values)} values at {lengths.sum()} times of {rows.form.frequency}"
        raise ValueError(problem(caller, "y", got, "times of which more are there"))
    series_of = np.repeat(np.arange(len(lengths)), np.diff(rows.offsets))
    is_known = ~np.isnan(rows.values)
    n_known = np.add.reduceat(is_known, rows.offsets[:-1], dtype=np.int64)
    if (n_known == 0).any() and not goes_on:
        name = rows.form.names[rows.series[int(np.argmax(n_known == 0))]]
        raise ValueError(problem(caller, "y", f"no value in series {name!r}", "at least one"))
    first = np.zeros_like(lengths)
    if not goes_on:
        places = np.flatnonzero(is_known)
        first = rows.positions[places[np.searchsorted(places, rows.offsets[:-1])]]
    is_kept = rows.positions >= first[series_of]
    offsets = offsets_of(lengths - first)
    target = (offsets[:-1] - first)[series_of] + rows.positions
    values = np.full(offsets[-1], np.nan)
    given = np.full(offsets[-1], -1, dtype=np.int64)
    values[target[is_kept]] = rows.values[is_kept]
    given[target[is_kept]] = rows.given[is_kept]
    starts = rows.form.frequency.shift(rows.starts, first)
    return Panel(values, offsets, starts, rows.series, rows.form), given
