"""How panels of series, their calendar and their forecasters are kept in a model file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np

from elman._exceptions import abbreviated
from elman._kinds import (
    DICT,
    FLAG,
    TEXT,
    EstimatorKind,
    array,
    dataclass_kind,
    expect,
    instance,
    integer,
    may_miss,
    tuple_of,
)
from elman._parameters import Rule, one_of, or_none
from elman._plain import Kind, MayMiss, Mismatch

MOST_STEPS_APART = 10**6
"""Between first times of series, where a step is a day or longer: more than people have counted."""

_INTEGER_STEP = re.compile("[1-9][0-9]{0,17}")
_ZONE = re.compile(r"(?!dateutil/)[A-Za-z][\w+-]*(:[0-9]{2})?(/[A-Za-z][\w+-]*){0,3}", re.ASCII)
UNITS = ("s", "ms", "us", "ns")
is_zone = Rule(
    lambda value: bool(_ZONE.fullmatch(value)),
    "the name of a time zone, such as 'Europe/Berlin' or 'UTC+02:00'",
)


def frequency() -> Kind:
    """Return the kind of a step between times."""
    from elman._calendar import Frequency

    def check(frequency: Any) -> None:
        code, zone = frequency.code, frequency.zone
        if frequency.kind == "integer":
            if not _INTEGER_STEP.fullmatch(code):
                raise Mismatch("code", repr(code), "an integer of at least 1")
        elif not frequency.is_forward():
            raise Mismatch("code", abbreviated(code), "a step of pandas that goes on")
        if zone is not None and frequency.kind != "date":
            raise Mismatch("zone", abbreviated(zone), "None, but of dates")

    return dataclass_kind(
        Frequency,
        check=check,
        kind=one_of("integer", "date", "period"),
        code=TEXT,
        zone=or_none(is_zone),
    )


def columns() -> Kind:
    """Return the kind of columns of X."""
    from elman._panel_form import Columns

    def check(columns: Any) -> None:
        _check_distinct("names", columns.names)
        for name, categories in columns.categories.items():
            if name not in columns.names or type(categories) is not tuple:
                raise Mismatch("categories", abbreviated(name), "tuples by the names of columns")
            _check_distinct("categories", categories)

    return dataclass_kind(
        Columns, check=check, names=tuple_of(TEXT), categories=DICT, is_named=FLAG
    )


def _check_distinct(part: str, values: tuple[Any, ...]) -> None:
    if len(set(values)) != len(values):
        raise Mismatch(part, abbreviated(values), "each of them once")


def panel_form() -> Kind:
    """Return the kind of what is remembered of y."""
    from elman._calendar import Frequency
    from elman._panel_form import Columns, PanelForm

    def check(form: Any) -> None:
        _check_distinct("names", form.names)
        is_frame = form.layout in ("wide", "long")
        libraries = ("pandas", "polars") if is_frame else ("pandas",)
        if form.layout in ("array", "list"):
            libraries = ("numpy",)
            expect("frequency", form.frequency, Frequency("integer", "1"))
            expect("names", form.names, tuple(range(len(form.names))))
        if form.library not in libraries:
            raise Mismatch("library", form.library, f"that of {form.layout!r}")
        if (form.is_flat or form.layout == "series") and len(form.names) != 1:
            raise Mismatch("names", f"{len(form.names)} of them", "one")
        if (form.is_flat and form.layout != "array") or (
            form.has_time_column and form.layout != "wide"
        ):
            raise Mismatch("layout", repr(form.layout), "what goes with the rest")

    is_name = Rule(lambda value: hash(value) is not None, "a name")
    return dataclass_kind(
        PanelForm,
        check=check,
        layout=one_of("array", "list", "series", "wide", "long"),
        names=tuple_of(is_name),
        frequency=instance(Frequency),
        library=one_of("numpy", "pandas", "polars"),
        columns=Rule(lambda v: tuple_of(TEXT).passes(v) and len(v) == 3, "a tuple of 3 names"),
        is_flat=FLAG,
        has_time_column=FLAG,
        index_name=is_name,
        label=is_name,
        covariates=or_none(instance(Columns)),
        static=or_none(instance(Columns)),
    )


def panel() -> Kind:
    """Return the kind of a panel; its times are integers, of a unit where they are dates."""
    from elman._calendar import integers_of
    from elman._panel import Panel
    from elman._panel_form import PanelForm

    def take(panel: Any) -> dict[str, Any]:
        values = {field.name: getattr(panel, field.name) for field in fields(panel)}
        for name in ("values", "covariates", "static"):
            values[name] = None if values[name] is None else MayMiss(values[name])
        starts = integers_of(panel.starts)
        unit = panel.starts.unit if panel.form.frequency.kind == "date" else None
        _check_zone(panel.starts, starts, unit, panel.form.frequency)
        return {**values, "starts": starts, "unit": unit}

    def make(values: dict[str, Any]) -> Any:
        for name in ("values", "covariates", "static"):
            values[name] = None if values[name] is None else values[name].values
        values["starts"] = _times(values["starts"], values.pop("unit"), values["form"].frequency)
        panel = Panel(**values)
        _check_panel(panel)
        return panel

    rules = {
        "values": may_miss("float64"),
        "offsets": array("int64"),
        "starts": array("int64"),
        "unit": or_none(one_of(*UNITS)),
        "series": array("int64"),
        "form": instance(PanelForm),
        "covariates": or_none(may_miss("float64", n_axes=2)),
        "static": or_none(may_miss("float64", n_axes=2)),
    }
    return Kind(Panel, rules, take, make)


def _check_zone(starts: Any, numbers: Any, unit: str | None, frequency: Any) -> None:
    """Raise `Mismatch` for a time zone that its name does not tell."""
    if frequency.zone is None:
        return
    is_name = is_zone.passes(frequency.zone)
    again = frequency.times_of(numbers, unit) if is_name else None
    if again is None or not (again.tz_localize(None) == starts.tz_localize(None)).all():
        raise Mismatch("form.frequency.zone", repr(frequency.zone), is_zone.expected)


def _times(numbers: Any, unit: str | None, frequency: Any) -> Any:
    """Make times of integers, as those of the frequency are."""
    if (unit is None) == (frequency.kind == "date"):
        raise Mismatch("unit", repr(unit), "that of dates, and only of them")
    times = frequency.times_of(numbers, unit)
    if getattr(times, "hasnans", False):
        raise Mismatch("starts", "no time", "a time for each series")
    if len(times) and frequency.steps_between(times) > MOST_STEPS_APART:
        raise Mismatch("starts", "times that are far apart", f"{MOST_STEPS_APART} steps at most")
    return times


def _check_panel(panel: Any) -> None:
    """Raise `Mismatch` where arrays of a panel do not go together."""
    offsets, n_values, form = panel.offsets, len(panel.values), panel.form
    n_series = len(form.names)
    if len(offsets) != n_series + 1 or not n_series or (offsets[0], offsets[-1]) != (0, n_values):
        raise Mismatch("offsets", abbreviated(offsets), f"those of {n_series} series")
    if (panel.lengths < 1).any() or np.isnan(panel.values[offsets[:-1]]).any():
        raise Mismatch("offsets", abbreviated(offsets), "series that begin with a value")
    expect("starts", len(panel.starts), n_series)
    if not np.array_equal(panel.series, np.arange(n_series)):
        raise Mismatch("series", abbreviated(panel.series), "numbers in order")
    for name, n_rows in (("covariates", n_values), ("static", n_series)):
        _check_columns(name, getattr(panel, name), getattr(form, name), n_rows)
    if form.layout in ("array", "series", "wide"):
        ends = panel.future_times(1)
        if not (ends == ends[0]).all():
            raise Mismatch("starts", "series that end apart", f"one end of {form.layout!r}")


def _check_columns(name: str, rows: Any, columns: Any, n_rows: int) -> None:
    if (rows is None) != (columns is None):
        raise Mismatch(name, "rows or their columns alone", "both or none of them")
    if rows is None:
        return
    expect(name, rows.shape, (n_rows, len(columns)))
    for column, values in zip(columns.names, rows.T, strict=True):
        known = values[~np.isnan(values)]
        n_categories = len(columns.categories.get(column, ()))
        if column in columns.categories and not np.isin(known, np.arange(n_categories)).all():
            raise Mismatch(f"{name}.{column}", "other numbers", f"{n_categories} categories")


def calibration() -> Kind:
    """Return the kind of errors of forecasts; files from before lack what is optional."""
    from elman._conformal import Calibration

    flags = ("units_of_late", "interpolates", "are_few")

    def make(values: dict[str, Any]) -> Any:
        paths, ages = values["paths"].values, values.get("ages")
        if not paths.size or np.isnan(paths).all(axis=0).any():
            raise Mismatch("paths", f"shape {paths.shape}", "an error at every step")
        if ages is not None and (len(ages) != len(paths) or (ages < 1).any()):
            raise Mismatch("ages", abbreviated(ages), f"{len(paths)} integers of at least 1")
        told = {name: values.get(name, False) for name in flags}
        if told["are_few"] and ages is None:
            raise Mismatch("ages", "None", "those of a few errors")
        return Calibration(paths, values["season_length"], **told, ages=ages)

    def take(value: Any) -> dict[str, Any]:
        values = {field.name: getattr(value, field.name) for field in fields(value)}
        return {**values, "paths": MayMiss(value.paths)}

    rules = {
        "paths": may_miss("float64", n_axes=2),
        "season_length": integer(1),
        **dict.fromkeys(flags, FLAG),
        "ages": or_none(array("int64")),
    }
    return Kind(Calibration, rules, take, make, optional=frozenset({*flags, "ages"}))


def forecaster_kind(
    cls: Any,
    state: dict[str, Rule],
    attributes: dict[str, str],
    derived: Callable[[Any], dict[str, Any]] = lambda estimator: {},
    check: Callable[[dict[str, Any]], None] = lambda state: None,
) -> EstimatorKind:
    """Return how a forecaster is kept: its history, errors, seasons, and what is its own.

    Parameters
    ----------
    cls : type
        The forecaster.
    state, attributes, derived, check : object
        As of `EstimatorKind`, of what this class adds.
    """
    from elman._panel import Panel

    shared = {
        "panel": "_panel",
        "training_lengths": "_training_lengths",
        "calibrations": "_calibrations",
        "season_lengths": "season_lengths_",
    }
    attributes = {**shared, **attributes}

    def check_all(state: dict[str, Any]) -> None:
        _check_history(state)
        check(state)

    def derived_all(estimator: Any) -> dict[str, Any]:
        told = {**estimator._told_of(estimator._panel), **derived(estimator)}
        return {**told, "_fitted_names": tuple(sorted({*attributes.values(), *told}))}

    rules = {
        "panel": instance(Panel),
        "training_lengths": array("int64"),
        "calibrations": DICT,
        "season_lengths": tuple_of(integer(1)),
        **state,
    }
    return EstimatorKind(cls, cls._rules, rules, attributes, derived_all, check_all)


def _check_history(state: dict[str, Any]) -> None:
    from elman._conformal import Calibration

    lengths, trained = state["panel"].lengths, state["training_lengths"]
    expect("training_lengths", trained.shape, lengths.shape)
    if (trained < 1).any() or (trained > lengths).any():
        raise Mismatch("training_lengths", abbreviated(trained), "parts of the history")
    if not state["season_lengths"]:
        raise Mismatch("season_lengths", "()", "at least one")
    for horizon, calibration in state["calibrations"].items():
        if type(horizon) is not int or type(calibration) is not Calibration:
            raise Mismatch("calibrations", abbreviated(horizon), "errors by horizon")
        expect("calibrations", calibration.paths.shape[1], horizon)
