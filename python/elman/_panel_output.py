"""Forecasts in the kind that y had."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from elman._panel import Panel
from elman._panel_rows import Floats

PREDICTION, PATH = "y_pred", "sample"


def give_back(
    panel: Panel,
    forecasts: Floats,
    labels: Sequence[Any] | None = None,
    point: Floats | None = None,
    axis_name: str | None = None,
) -> Any:
    """Give forecasts the kind of y, with the times after the end of each series.

    Parameters
    ----------
    panel : Panel
        The series that are forecast.
    forecasts : ndarray of shape (n_series, horizon) or (n_series, horizon, n_labels)
        The forecasts.
    labels : sequence, default=None
        What the last axis means, such as quantiles.
    point : ndarray of shape (n_series, horizon), default=None
        Forecasts that a long frame has in the column ``y_pred`` beside those with labels.
    axis_name : str, default=None
        What the labels are, as a name of their level of columns.

    Returns
    -------
    forecasts : ndarray, list of ndarray, Series or frame
        An array of shape (horizon,) or (horizon, n_series), a list of arrays of shape
        (horizon,), a Series, a wide or a long frame. Labels are a last axis of arrays, the columns
        that a Series becomes, the second level of the columns of a wide frame, or columns of a
        long one.
    """
    form = panel.form
    if form.layout == "array":
        return forecasts[0] if form.is_flat else np.swapaxes(forecasts, 0, 1)
    if form.layout == "list":
        return list(forecasts)
    if form.layout == "long":
        return _long(panel, forecasts, labels, point)
    index = _index(panel, forecasts.shape[1])
    if form.layout == "wide":
        return _wide(panel, forecasts, labels, index, axis_name)
    import pandas as pd

    if labels is None:
        return pd.Series(forecasts[0], index, name=form.label)
    return pd.DataFrame(forecasts[0], index, pd.Index(labels, name=axis_name))


def give_back_paths(panel: Panel, paths: Floats) -> Any:
    """Give sample paths the kind of y, with the times after the end of each series.

    Parameters
    ----------
    panel : Panel
        The series that are forecast.
    paths : ndarray of shape (n_series, horizon, n_paths)
        The paths.

    Returns
    -------
    paths : ndarray, list of ndarray, or frame
        Arrays have the paths as their first axis. A column for each path of a Series, and of each
        series of a wide frame; a long frame has a row for each time of each path.
    """
    form, n_paths = panel.form, paths.shape[2]
    if form.layout == "array":
        return np.moveaxis(give_back(panel, paths), -1, 0)
    if form.layout == "list":
        return [of_series.T for of_series in paths]
    if form.layout != "long":
        return give_back(panel, paths, range(n_paths), axis_name=PATH)
    n_series, horizon = paths.shape[:2]
    numbers = np.tile(np.arange(n_paths).repeat(horizon), n_series)
    columns = {PATH: numbers, PREDICTION: paths.swapaxes(1, 2).ravel()}
    return _long_frame(panel, horizon, columns, n_paths)


def _index(panel: Panel, horizon: int) -> Any:
    """Return the times after series that end together, as an index that knows its step."""
    import pandas as pd

    form = panel.form
    times = panel.cut(np.array([0]), panel.lengths[:1]).future_times(horizon)
    if form.frequency.kind == "integer":
        step = int(form.frequency.code)
        first = int(times[0])
        return pd.RangeIndex(first, first + step * horizon, step, name=form.index_name)
    if form.frequency.kind == "date":
        times = form.frequency.with_step(times)
    return times.rename(form.index_name)


def _wide(
    panel: Panel,
    forecasts: Floats,
    labels: Sequence[Any] | None,
    index: Any,
    axis_name: str | None,
) -> Any:
    import pandas as pd

    form = panel.form
    table = np.moveaxis(forecasts, 0, 1).reshape(forecasts.shape[1], -1)
    if form.library == "polars":
        names = [str(name) for name in panel.names]
        if labels is not None:
            names = [f"{name}_{label}" for name in names for label in labels]
        columns = {form.columns[1]: _polars_times(index), **dict(zip(names, table.T, strict=True))}
        return _polars_frame(columns)
    columns = pd.Index(panel.names, name=form.label)
    if labels is not None:
        columns = pd.MultiIndex.from_product([panel.names, labels], names=[form.label, axis_name])
    if not form.has_time_column:
        return pd.DataFrame(table, index, columns)
    frame = pd.DataFrame(table, columns=columns)
    frame.insert(0, form.columns[1] if labels is None else (form.columns[1], ""), index)
    return frame


def _long(
    panel: Panel, forecasts: Floats, labels: Sequence[Any] | None, point: Floats | None
) -> Any:
    columns: dict[str, Any] = {}
    if labels is None:
        columns[PREDICTION] = forecasts.ravel()
    else:
        if point is not None:
            columns[PREDICTION] = point.ravel()
        columns |= {label: forecasts[..., i].ravel() for i, label in enumerate(labels)}
    return _long_frame(panel, forecasts.shape[1], columns)


def _long_frame(panel: Panel, horizon: int, columns: dict[str, Any], n_repeats: int = 1) -> Any:
    """Put ids and times beside columns that go through the times of each series some times."""
    id_name, time_name = panel.form.columns[:2]
    series = np.repeat(np.arange(len(panel)), n_repeats * horizon)
    steps = np.tile(np.arange(horizon), len(panel) * n_repeats)
    times = panel.future_times(horizon)[series * horizon + steps]
    if panel.form.library == "polars":
        names = panel.names
        ids = [names[i] for i in series.tolist()]
        return _polars_frame({id_name: ids, time_name: _polars_times(times), **columns})
    import pandas as pd

    ids = pd.Index(panel.names).take(series)
    return pd.DataFrame({id_name: ids, time_name: times, **columns})


def _polars_frame(columns: dict[str, Any]) -> Any:
    import polars as pl

    return pl.DataFrame(columns)


def _polars_times(times: Any) -> Any:
    import polars as pl

    if not hasattr(times, "unit"):
        return np.asarray(times)
    if times.tz is None:
        is_date = times.unit == "s"  # which polars has no datetimes in
        return pl.Series(times.to_numpy().astype("datetime64[D]") if is_date else times.to_numpy())
    column = pl.Series(times.tz_convert("UTC").tz_localize(None).to_numpy())
    return column.dt.replace_time_zone("UTC").dt.convert_time_zone(str(times.tz))
