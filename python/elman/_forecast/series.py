"""A panel as the networks take it: numbers only, the calendar among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman._calendar import calendar_features
from elman._exceptions import problem
from elman._forecast.history import Floats, History, Integers, neighbours, transformed
from elman._panel import Panel
from elman._panel_form import Columns, PanelForm


@dataclass(frozen=True)
class Series:
    """Series as they came, and what is known beside them.

    Parameters
    ----------
    values : ndarray of shape (n_total_times,)
        In the units of y; NaN where nothing is known.
    offsets : ndarray of int64 of shape (n_series + 1,)
        Where each series begins.
    covariates, past : ndarray of shape (n_total_times, n)
        Columns that are known ahead, and those that are not.
    static : ndarray of shape (n_series, n)
        What holds for a series at any time.
    identities : ndarray of int64 of shape (n_series,)
        Numbers of the series among those of `fit`.
    """

    values: Floats
    offsets: Integers
    covariates: Floats
    past: Floats
    static: Floats
    identities: Integers

    @property
    def lengths(self) -> Integers:
        """Times of each series."""
        return np.diff(self.offsets)

    def extended(self, n: int) -> Series:
        """Return the series with n times behind each of which nothing is known."""
        empty = np.full((len(self.static), n), np.nan)
        values, offsets = _longer(self.values, self.offsets, empty)
        covariates, past = (
            _longer(rows, self.offsets, np.repeat(empty[:, :, None], rows.shape[1], axis=2))[0]
            for rows in (self.covariates, self.past)
        )
        return Series(values, offsets, covariates, past, self.static, self.identities)

    def history(self, transform: str | None) -> History:
        """Return the series on the scale on which the networks see them."""
        z = transformed(self.values, transform)
        return History(
            z,
            *neighbours(z),
            self.offsets,
            self.covariates,
            self.past,
            self.static,
            self.identities,
        )


@dataclass(frozen=True)
class SeriesReader:
    """Which columns of X are known when, and what of the calendar is read.

    Parameters
    ----------
    past, static : tuple of str
        Columns that are known up to now only, and those that hold for a series at any time.
    calendar : tuple of str
        Names as of `calendar_features`.
    caller : str
        Class and method, for messages.
    """

    past: tuple[str, ...]
    static: tuple[str, ...]
    calendar: tuple[str, ...]
    caller: str

    def known(self, form: PanelForm) -> tuple[str, ...]:
        """Columns of X that must be known ahead."""
        if form.covariates is None:
            return ()
        elsewhere = {*self.past, *self.static}
        return tuple(name for name in form.covariates.names if name not in elsewhere)

    def check(self, form: PanelForm, known: tuple[str, ...]) -> None:
        """Raise ValueError for a column that X does not have, or that is named twice."""
        columns = form.covariates or Columns((), {}, False)
        named = {"known_covariates": known, "past_covariates": self.past}
        seen: set[str] = set()
        for argument, names in {**named, "static_covariates": self.static}.items():
            columns.indices(names, self.caller, argument)
            twice = seen.intersection(names)
            if twice:
                got = f"{sorted(twice)}, which are named elsewhere too"
                raise ValueError(problem(self.caller, argument, got, "columns of their own"))
            seen.update(names)

    def read(self, panel: Panel, horizon: int = 0, future: Floats | None = None) -> Series:
        """Make numbers of a panel and of ``horizon`` unknown times behind each series."""
        form, n = panel.form, len(panel)
        values, offsets = _longer(panel.values, panel.offsets, np.full((n, horizon), np.nan))
        known = past = np.empty((len(values), 0))
        static = np.empty((n, 0))
        if panel.covariates is not None and form.covariates is not None:
            if future is None:
                future = np.full((n, horizon, panel.covariates.shape[1]), np.nan)
            rows, _ = _longer(panel.covariates, panel.offsets, future)
            known = _numbers(rows, form.covariates, self.known(form))
            past = _numbers(rows, form.covariates, self.past)
            static = _numbers(panel.covariates[panel.offsets[:-1]], form.covariates, self.static)
        if panel.static is not None and form.static is not None:
            given = _numbers(panel.static, form.static, form.static.names)
            static = np.concatenate([static, given], axis=1)
        if self.calendar:
            n_calendar, _ = calendar_features(panel.times(), self.calendar, self.caller)
            later = np.empty((n, 0, n_calendar.shape[1]))
            if horizon:
                later, _ = calendar_features(
                    panel.future_times(horizon), self.calendar, self.caller
                )
                later = later.reshape(n, horizon, -1)
            rows, _ = _longer(n_calendar, panel.offsets, later)
            known = np.concatenate([known, rows], axis=1)
        return Series(values, offsets, known, past, static, panel.series)


def _longer(rows: Floats, offsets: Integers, more: Floats) -> tuple[Floats, Integers]:
    """Rows of series with more of them, (n_series, n, …), behind each."""
    n_series, n = more.shape[:2]
    shift = n * np.arange(n_series + 1)
    longer = np.empty((len(rows) + n * n_series, *rows.shape[1:]))
    longer[np.arange(len(rows)) + np.repeat(shift[:-1], np.diff(offsets))] = rows
    new = offsets + shift
    longer[(new[1:, None] - n + np.arange(n)).ravel()] = more.reshape(n_series * n, *rows.shape[1:])
    return longer, new


def _numbers(rows: Floats, columns: Columns, names: Sequence[str]) -> Floats:
    """Columns by name; of categories a column each, 0 or 1."""
    parts = [np.empty((len(rows), 0))]
    for name in names:
        column = rows[:, columns.names.index(name)]
        categories: Mapping[str, Any] = columns.categories
        if name in categories:
            parts.append((column[:, None] == np.arange(len(categories[name]))).astype(float))
        else:
            parts.append(column[:, None])
    return np.concatenate(parts, axis=1)
