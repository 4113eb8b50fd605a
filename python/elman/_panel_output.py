"""Forecasts in the kind that y had."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from elman._panel import Panel
from elman._panel_rows import Floats

PREDICTION = "y_pred"


def give_back(
    panel: Panel,
    forecasts: Floats,
    labels: Sequence[str] | None = None,
    point: Floats | None = None,
) -> Any:
    """Give forecasts the kind of y, with the times after the end of each series.

    Parameters
    ----------
    panel : Panel
        The series that are forecast.
    forecasts : ndarray of shape (n_series, horizon) or (n_series, horizon, n_labels)
        The forecasts.
    labels : sequence of str, default=None
        What the last axis means, such as quantiles.
    point : ndarray of shape (n_series, horizon), default=None
        Forecasts that a long frame has in the column ``y_pred`` beside those with labels.

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
        return _wide(panel, forecasts, labels, index)
    import pandas as pd

    if labels is None:
        return pd.Series(forecasts[0], index, name=form.label)
    return pd.DataFrame(forecasts[0], index, pd.Index(labels))


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


def _wide(panel: Panel, forecasts: Floats, labels: Sequence[str] | None, index: Any) -> Any:
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
        columns = pd.MultiIndex.from_product([panel.names, labels], names=[form.label, None])
    if not form.has_time_column:
        return pd.DataFrame(table, index, columns)
    frame = pd.DataFrame(table, columns=columns)
    frame.insert(0, form.columns[1] if labels is None else (form.columns[1], ""), index)
    return frame


def _long(
    panel: Panel, forecasts: Floats, labels: Sequence[str] | None, point: Floats | None
) -> Any:
    form, horizon = panel.form, forecasts.shape[1]
    times = panel.future_times(horizon)
    columns: dict[str, Any] = {
        form.columns[0]: np.repeat(np.arange(len(panel)), horizon),
        form.columns[1]: times,
    }
    if labels is None:
        columns[PREDICTION] = forecasts.ravel()
    else:
        if point is not None:
            columns[PREDICTION] = point.ravel()
        columns |= {label: forecasts[..., i].ravel() for i, label in enumerate(labels)}
    if form.library == "polars":
        columns[form.columns[0]] = [name for name in panel.names for _ in range(horizon)]
        columns[form.columns[1]] = _polars_times(times)
        return _polars_frame(columns)
    import pandas as pd

    columns[form.columns[0]] = pd.Index(panel.names).take(columns[form.columns[0]])
    return pd.DataFrame(columns)


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
