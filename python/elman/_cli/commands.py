"""The commands, each of them read, compute, write."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from typing import Any

import elman
from elman._calendar import show
from elman._cli.arguments import MODELS
from elman._cli.errors import DATA, USAGE, CommandError, shown
from elman._cli.fill import fill_table
from elman._cli.output import frame_writer, outputs
from elman._cli.picture import picture
from elman._cli.roles import ID, TIME, LongTable, read_long, tell_roles
from elman._cli.table import read_table
from elman._panel import read_panel
from elman._panel_output import PREDICTION
from elman.metrics import backtest_report

COVERAGE = 0.9


def forecast(options: argparse.Namespace) -> None:
    """Write forecasts of what comes after the end of a table, and draw them."""
    with outputs([options.out, options.plot], force=options.force) as add:
        table, model = _read_series(options), _model(options)
        X = table.X
        if options.covariates and not len(table.future):
            what = "no rows after the last known target, which --covariates need; --past needs none"
            raise CommandError(f"{shown(options.file)}: {what}", DATA)
        if options.model in MODELS:
            model.fit(table.y, table.X)
            history = {"X": table.future}
        else:
            history = {"X": _joined(X, table.future), "y": table.y}
        history["horizon"] = options.horizon
        forecasts = model.predict(**history)
        coverage = options.coverage
        if coverage is None and options.quantiles is None:
            coverage = COVERAGE
        if coverage is not None:
            _add_interval(forecasts, model, history, coverage, must=options.coverage is not None)
        if options.quantiles is not None:
            quantiles = model.predict_quantiles(options.quantiles, **history)
            labels = [name for name in quantiles if name not in (ID, TIME, PREDICTION)]
            forecasts[labels] = quantiles[labels]
        names = list(forecasts[ID].unique())
        forecasts = forecasts.rename(columns={ID: table.id_name, TIME: table.time_name})
        if options.plot is not None:
            draw = picture(model, history, coverage or COVERAGE, options.plot, names)
            add(options.plot, draw)
        add(options.out, frame_writer(forecasts, options.out, table.dialect))


def impute(options: argparse.Namespace) -> None:
    """Write the table with its missing cells filled."""
    with outputs([options.out], force=options.force) as add:
        table = read_table(options.file)
        frame = fill_table(table, tell_roles(table, options), options, verbose=_verbose(options))
        add(options.out, frame_writer(frame, options.out, table.dialect))


def evaluate(options: argparse.Namespace) -> None:
    """Print a backtest beside the naive forecasts, and write its rows."""
    if options.model not in MODELS:
        message = f"--model: {shown(options.model)!r}, expected one of {', '.join(MODELS)}"
        raise CommandError(message, USAGE)
    with outputs([options.out], force=options.force) as add:
        table = _read_series(options)
        rows = _model(options).backtest(
            table.y,
            table.X,
            step=options.step,
            n_windows=options.windows,
            refit=options.refit,
            coverage=options.coverage or COVERAGE,
            quantiles=options.quantiles,
        )
        if options.out is not None:
            names = {ID: table.id_name, TIME: table.time_name}
            named = rows.rename(columns=names)
            add(options.out, frame_writer(named, options.out, table.dialect))
        if options.out != "-":
            print(backtest_report(rows))


def info(options: argparse.Namespace) -> None:
    """Print versions, or what a file is taken for."""
    if options.file is None:
        elman.show_versions()
        return
    table = read_table(options.file)
    roles = tell_roles(table, options)
    long = read_long(table, roles, [])
    panel = read_panel(long.y, caller=shown(options.file))
    frequency = panel.form.frequency
    seasons = options.season or frequency.season_lengths()
    times = panel.times()
    n_missing = int((panel.values != panel.values).sum())
    left_out = [n for n in table.names if n not in (roles.time, roles.id, *roles.targets)]
    lengths = sorted({int(panel.lengths.min()), int(panel.lengths.max())})
    for name, value in {
        "rows": len(table.frame),
        "columns": ", ".join(table.names),
        "times": f"{roles.time} ({frequency})" if roles.time else "rows, one after another",
        "first, last": f"{show(times.min())}, {show(times.max())}",
        "series": f"{len(panel)} ({', '.join(map(str, panel.names[:5]))}"
        + (", …)" if len(panel) > 5 else ")"),
        "length": " to ".join(map(str, lengths)),
        "missing": f"{n_missing} of {len(panel.values)} values",
        "season": " and ".join(map(str, seasons)) + (" steps" if seasons != (1,) else " (none)"),
        "left out": ", ".join(map(repr, left_out)),
    }.items():
        if value:
            print(f"{name}: {value}")


def _read_series(options: argparse.Namespace) -> LongTable:
    table = read_table(options.file)
    roles = tell_roles(table, options)
    long = read_long(table, roles, [*options.covariates, *options.past])
    if not len(long.y):
        raise CommandError(f"{shown(options.file)}: no known value in the target", DATA)
    return long


def _verbose(options: argparse.Namespace) -> bool:
    """Whether to show a progress bar: to a person, who has not asked for quiet."""
    is_seen = sys.stderr is not None and sys.stderr.isatty()
    return is_seen and not options.quiet and find_spec("tqdm") is not None


def _model(options: argparse.Namespace) -> Any:
    season = options.season or "auto"
    if options.model == "naive":
        return elman.NaiveForecaster(options.horizon, strategy="seasonal", season_length=season)
    if options.model == "linear":
        if options.past:
            raise CommandError("--past: not with --model linear, which knows none", USAGE)
        return elman.LinearForecaster(options.horizon, season_length=season)
    if options.model == "rnn":
        return elman.RNNForecaster(
            options.horizon,
            season_length=season,
            past_covariates=options.past or None,
            random_state=options.seed,
            n_jobs=options.jobs,
            verbose=_verbose(options),
        )
    if "." not in options.model and "/" not in options.model:
        message = f"--model: {options.model!r}, expected one of {', '.join(MODELS)} or a file"
        raise CommandError(message, USAGE)
    return elman.load(options.model)


def _joined(X: Any, future: Any) -> Any:
    """Covariates of a history and of the time after it."""
    import pandas as pd

    return None if X is None else pd.concat([X, future])


def _add_interval(
    forecasts: Any, model: Any, history: dict[str, Any], coverage: float, *, must: bool
) -> None:
    """Add the columns ``lower`` and ``upper``; without them if nobody asked and none can be."""
    try:
        interval = model.predict_interval(coverage, **history)
    except ValueError as error:
        if must:
            raise
        print(f"elman: warning: no intervals: {error}", file=sys.stderr)
        return
    forecasts["lower"], forecasts["upper"] = interval["lower"], interval["upper"]
