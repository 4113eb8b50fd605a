"""Predictions of dask collections, which are made when somebody asks for them."""

from __future__ import annotations

from typing import Any

import dask
import numpy as np
from distributed import get_client

from elman._arrays import Array
from elman._exceptions import problem
from elman._model import Model
from elman.dask._cluster import is_collection
from elman.dask._collections import Collection, collection, is_remote
from elman.dask._long import LongForm
from elman.dask._partitions import is_empty, listed


def is_lazy(X: Any) -> bool:
    """Whether something is a dask collection, or a list of futures or delayed values."""
    is_list = isinstance(X, (list, tuple)) and len(X) > 0
    return is_collection(X) or is_remote(X) or (is_list and all(map(is_remote, X)))


def lazily(
    model: Any,
    method: str,
    X: Any,
    options: dict[str, Any],
    names: tuple[str, str | None] | None,
    caller: str,
) -> Any:
    """Return what a method of a model gives for each partition, as a collection.

    Parameters
    ----------
    model : estimator
        A fitted estimator without a cluster.
    method : str
        A method that takes X.
    X : dask collection, or list of futures or delayed values
        The sequences.
    options : dict
        Further arguments of the method.
    names : tuple of (id, time), or None
        Columns of a frame in long form.
    caller : str
        Class and method, for messages.

    Returns
    -------
    y : dask array, bag, data frame or series, or list of futures or delayed values
        A partition for each of X's; of a list of futures it is begun at once.
    """
    given = {name: value for name, value in options.items() if value not in (None, False)}
    for name, value in given.items():
        if name != "n_timesteps":
            expected = "nothing with a dask collection: call it for each partition"
            raise ValueError(problem(caller, name, repr(value), expected))
    if model.n_jobs is None:
        model.set_params(n_jobs=1)  # a worker's threads have a partition each
    parts = collection(X, 1, caller, "X")
    fitted: Model = model._model
    if names is not None and parts.kind == "frame":
        return _long_frame(model, method, parts, LongForm(*names), given)
    if parts.kind == "futures":
        client = get_client()
        shared = client.submit(_itself, model, pure=False)
        return [client.submit(_call, shared, method, part, given) for part in parts.parts]
    shared = dask.delayed(model, traverse=False)
    results = [dask.delayed(_call)(shared, method, part, given) for part in parts.parts]
    if parts.kind == "delayed":
        return results
    if parts.kind == "bag" or fitted.targets.is_list:
        from dask import bag

        return bag.from_delayed([dask.delayed(list)(result) for result in results])
    return _array(parts, results, fitted, method, given)


def _itself(model: Any) -> Any:
    return model


def _call(model: Any, method: str, X: Any, options: dict[str, Any]) -> Any:
    X = listed(X)
    if not is_empty(X):
        return getattr(model, method)(X, **options)
    fitted: Model = model._model
    dtype, tail = _form(fitted, method)
    if isinstance(X, list) or not fitted.targets.per_step:
        return np.empty((0, *tail), dtype)
    return np.empty((0, _n_timesteps(fitted, X, options), *tail), dtype)


def _array(
    parts: Collection, results: list[Any], model: Model, method: str, options: dict[str, Any]
) -> Any:
    """Put the predictions of an array or a table together."""
    from dask import array

    dtype, tail = _form(model, method)
    if model.targets.per_step:
        tail = (_n_timesteps(model, parts.whole, options), *tail)
    sizes = parts.sizes or (np.nan,) * len(results)
    return array.concatenate(
        [
            array.from_delayed(result, (size, *tail), dtype)
            for result, size in zip(results, sizes, strict=True)
        ],
        allow_unknown_chunksizes=True,
    )


def _n_timesteps(model: Model, X: Any, options: dict[str, Any]) -> int:
    """Return the steps of the predictions of an array or a table."""
    if model.inputs.layout == "vector":
        return int(options.get("n_timesteps", model.n_timesteps))
    return int(X.shape[1]) // (model.inputs.n_channels if model.inputs.layout == "table" else 1)


def _form(model: Model, method: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return dtype and last axes of what a method gives for one row of the targets."""
    task, targets = model.task, model.targets
    if method != "predict":
        return model.inputs.dtype, (len(task.classes),)
    tail = (targets.n_outputs,) if targets.has_output_axis else ()
    if not hasattr(task, "classes"):
        return model.inputs.dtype, tail
    return (np.dtype(np.int64) if task.kind == "multilabel" else task.classes.dtype), tail


def _long_frame(
    model: Any, method: str, parts: Collection, form: LongForm, options: dict[str, Any]
) -> Any:
    """Return the predictions of a frame in long form: a row for each sequence, or each step."""
    import pandas as pd
    from dask import dataframe

    dtype, _ = _form(model._model, method)
    labels = _labels(model._model, method)
    meta = parts.whole._meta
    if form.id not in meta.columns:
        meta = meta.reset_index()
    aside = [form.id] if form.time is None else [form.id, form.time]
    columns = {label: pd.Series(np.empty(0, dtype)) for label in labels}
    empty = pd.DataFrame(columns).set_index(meta[form.id].iloc[:0])
    if model._model.targets.per_step:
        empty = meta[aside].iloc[:0].assign(**columns)
    answer = dask.delayed(_long_partition, traverse=False)
    shared = dask.delayed(model, traverse=False)
    results = [answer(shared, method, part, form, labels, options) for part in parts.parts]
    return dataframe.from_delayed(results, meta=empty, verify_meta=False)


def _labels(model: Model, method: str) -> list[str]:
    """Names of the columns of predictions."""
    if method != "predict":
        return [str(label) for label in model.task.classes]
    n = model.targets.n_outputs
    return [f"y_pred_{i}" for i in range(n)] if model.targets.has_output_axis else ["y_pred"]


def _long_partition(
    model: Any,
    method: str,
    frame: Any,
    form: LongForm,
    labels: list[str],
    options: dict[str, Any],
) -> Any:
    import pandas as pd

    caller = f"{type(model).__name__}.{method}"
    frame, first, names = form.order(frame, caller)
    fitted: Model = model._model
    rows: list[Array] = []
    if len(names):
        X = form.sequences(frame, first, fitted.inputs.feature_names, caller)
        rows = list(getattr(model, method)(X, **options))
    dtype, _ = _form(fitted, method)
    if not fitted.targets.per_step:
        values = np.reshape(np.asarray(rows, dtype), (len(names), len(labels)))
        return pd.DataFrame(values, pd.Index(names, name=form.id), labels)
    values = np.concatenate(
        [np.reshape(row, (-1, len(labels))) for row in rows] or [np.empty((0, len(labels)), dtype)]
    )
    aside = [form.id] if form.time is None else [form.id, form.time]
    return frame[aside].assign(**{label: values[:, i] for i, label in enumerate(labels)})
