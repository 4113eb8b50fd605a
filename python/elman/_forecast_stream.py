"""Series that go on one time after another, with a forecast after each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from numbers import Number
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array, as_array, cast, check_finite
from elman._calendar import OFF_GRID, Integers, integers_of
from elman._covariates import read_past_and_future
from elman._exceptions import abbreviated, problem
from elman._panel import Panel, join, read_panel
from elman._panel_rows import Floats, is_series
from elman._sequences import offsets_of
from elman._stream import numbers_of

if TYPE_CHECKING:
    from elman._forecasting import BaseForecaster

STEP = "ForecastStream.step"


class ForecastStream:
    """What the ``stream()`` of a forecaster returns: one value of each series in, forecasts out.

    The forecasts have the bits of ``predict(y=history)``, where the history is that from which the
    stream began and all values since. Only the end of it is kept: what a forecast depends on.
    Several threads may use a stream: they take turns, step by step. A later `fit` or `update` of
    the forecaster does not change it.

    Examples
    --------
    >>> import numpy as np
    >>> from elman import LinearForecaster
    >>> y = np.sin(np.arange(100) / 3)
    >>> model = LinearForecaster(horizon=6, window=12).fit(y[:60])
    >>> stream = model.stream()
    >>> for y_t in y[60:]:
    ...     forecast = stream.step(y_t)
    >>> bool((forecast == model.predict(y=y)).all())
    True
    >>> stream.state["y"].shape
    (1, 14)
    >>> stream.add(y[:40])
    array([1])
    >>> stream.step([0.5, 0.25]).shape
    (6, 2)
    >>> stream.drop(0)
    >>> stream.n_series
    1
    """

    def __init__(self, forecaster: BaseForecaster, horizon: int, panel: Panel) -> None:
        self._forecaster, self._horizon = forecaster, horizon
        self._panel = self._start = forecaster._tail(panel)
        self._lock = Lock()

    def step(self, y_t: Any, X: Any = None, out: Array | None = None) -> Array:
        """Let each series go on by one time, and forecast what comes after it.

        Parameters
        ----------
        y_t : array-like of shape (n_series,), or a number
            The values, in the order of the series in `fit`; of one series also a number. A pandas
            Series tells by its index which series of a frame a value is for. NaN is missing.
        X : object, default=None
            Covariates, where the forecaster has any, in a form that `predict` takes: a row of this
            time and, where some have to be known ahead, ``horizon`` rows of the times after it.
        out : ndarray of float64 of shape (horizon, n_series), default=None
            Where the forecasts go; if y_t is a number of shape (horizon,). By default they are a
            new array.

        Returns
        -------
        forecasts : ndarray of shape (horizon, n_series), or (horizon,)
            Whatever y was in `fit`, an array; without the last axis if y_t is a number. ``out``
            itself if it is given.

        Raises
        ------
        ValueError
            If an argument does not fit; the state is as it was.
        """
        with self._lock:
            values, is_number = self._read(y_t)
            self._check_out(out, is_number)
            panel = self._panel
            n_series, layout = len(panel), panel.form.layout
            later = replace(
                panel,
                values=values,
                offsets=np.arange(n_series + 1),
                starts=panel.future_times(1),
                covariates=None,
            )
            needed = self._forecaster._future_columns(panel.form)
            if isinstance(X, np.ndarray) and X.ndim == 1 and not needed:
                X = X[None]
            is_row_each = layout in ("list", "long")
            given = np.arange(n_series) if is_row_each else np.zeros(n_series, dtype=np.int64)
            covariates, future = read_past_and_future(
                X, later, given, later.lengths, self._horizon, STEP, needed
            )
            joined = join(panel, replace(later, covariates=covariates), STEP)
            tail = self._forecaster._tail(joined)
            forecasts = self._forecaster._forecast(tail, self._horizon, future)
            self._panel = tail
        result = forecasts[0] if is_number else np.ascontiguousarray(forecasts.T)
        if out is None:
            return result
        out[...] = result
        return out

    @property
    def n_series(self) -> int:
        """Number of series."""
        return len(self._panel)

    @property
    def horizon(self) -> int:
        """Number of times that are forecast."""
        return self._horizon

    @property
    def state(self) -> dict[str, Array]:
        """Copies of what is kept of the history, by name, a row for each series.

        ``y`` (n_series, n_times) ends with the last values; of a series of fewer times only the
        last ``lengths`` count. ``starts`` are the times of the first of them, as integers. ``X``
        (n_series, n_times, n_covariates) are the covariates, if there are any, categories as
        numbers. Assign to replace: such a dict, or None for the start.
        """
        return _state_of(self._panel)

    @state.setter
    def state(self, value: Any) -> None:
        panel = self._start if value is None else self._panel_of(value)
        with self._lock:
            self._panel = panel

    def reset(self, which: Any = None) -> None:
        """Let series go back to the history from which they began.

        Parameters
        ----------
        which : int, array-like of int or bool, slice or None, default=None
            Their numbers, a mask, or None for all.

        Raises
        ------
        ValueError
            If there is no such series.
        """
        with self._lock:
            every = slice(None) if which is None else which
            back = numbers_of(every, self.n_series, "ForecastStream.reset", "series")
            n = self.n_series
            chosen = np.arange(n)
            chosen[back] += n
            self._panel = _pick(_both(self._panel, self._start), chosen)

    def drop(self, which: Any) -> None:
        """End series; those behind them move up.

        Parameters
        ----------
        which : int, array-like of int or bool, or slice
            Their numbers, or a mask.

        Raises
        ------
        ValueError
            If there is no such series.
        """
        with self._lock:
            n = self.n_series
            dropped = numbers_of(which, n, "ForecastStream.drop", "series")
            kept = np.setdiff1d(np.arange(n), dropped)
            self._panel, self._start = _pick(self._panel, kept), _pick(self._start, kept)

    def add(self, y: Any, X: Any = None) -> NDArray[np.int64]:
        """Begin series, behind the others.

        Parameters
        ----------
        y : object
            Histories from which they go on, as `predict` of the forecaster takes them.
        X : object, default=None
            Covariates at the times of ``y``.

        Returns
        -------
        numbers : ndarray of shape (n_added,)
            Which they are.

        Raises
        ------
        ValueError
            If an argument is not as it should be.
        """
        caller, model = "ForecastStream.add", self._forecaster
        panel = read_panel(y, X, caller=caller, form=self._start.form)
        added = model._tail(model._with_static(panel, caller))
        with self._lock:
            n_before = self.n_series
            self._panel, self._start = _both(self._panel, added), _both(self._start, added)
        return np.arange(n_before, n_before + len(added))

    def _read(self, y_t: Any) -> tuple[Floats, bool]:
        """Return the values as an array (n_series,), and whether they are a number."""
        n_series, form = self.n_series, self._panel.form
        if is_series(y_t) and form.layout in ("wide", "long"):
            names = self._panel.names
            if len(set(names)) < n_series:
                expected = "an array: some series go on in more than one way"
                raise ValueError(problem(STEP, "y_t", "a Series", expected))
            if len(y_t) != n_series or set(y_t.index) != set(names):
                got = f"a Series of {abbreviated(list(y_t.index))}"
                raise ValueError(problem(STEP, "y_t", got, f"one of {abbreviated(list(names))}"))
            y_t = y_t[list(names)]
        if isinstance(y_t, (Number, np.generic)):
            y_t = np.asarray(y_t)
        y_t = as_array(y_t, STEP, "y_t")
        if y_t.shape != (n_series,) and not (n_series == 1 and y_t.shape == ()):
            expected = f"({n_series},)" + (" or a number" if n_series == 1 else "")
            raise ValueError(problem(STEP, "y_t", f"shape {y_t.shape}", expected))
        values = cast(y_t.reshape(n_series), np.dtype(np.float64), STEP, "y_t")
        check_finite(values, STEP, "y_t", ("series",), may_miss=True)
        return values, y_t.ndim == 0

    def _check_out(self, out: Any, is_number: bool) -> None:
        if out is None:
            return
        shape = (self._horizon,) if is_number else (self._horizon, self.n_series)
        is_one = isinstance(out, np.ndarray)
        if not (is_one and out.shape == shape and out.dtype == np.float64 and out.flags.writeable):
            got = f"{out.dtype} of shape {out.shape}" if is_one else f"a {type(out).__name__}"
            expected = f"an array of float64 to write to, of shape {shape}"
            raise ValueError(problem(STEP, "out", got, expected))

    def _panel_of(self, state: Any) -> Panel:
        """Undo `_state_of`, or say what is wrong with a state."""
        start, caller = self._start, "ForecastStream.state"
        arrays = _checked_state(state, _state_of(start), caller)
        lengths, shape = arrays["lengths"], arrays["y"].shape
        least = self._forecaster._shortest()
        if (lengths < least).any() or (lengths > shape[1]).any():
            expected = f"from {least} to {shape[1]}, which y has"
            raise ValueError(problem(caller, "lengths", abbreviated(lengths), expected))
        panel = _with_state(start, arrays, getattr(start.starts, "unit", None))
        frequency, starts = start.form.frequency, panel.starts
        is_off = getattr(starts, "hasnans", False)
        if is_off or (frequency.positions(starts, start.starts) == OFF_GRID).any():
            got, expected = abbreviated(arrays["starts"]), f"times on the grid of {frequency}"
            raise ValueError(problem(caller, "starts", got, expected))
        return panel

    def __reduce__(self) -> tuple[Any, ...]:
        start = self._start
        unit = getattr(start.starts, "unit", None)
        told = (self._forecaster, self._horizon, start.series, unit)
        return _restored, (*told, _state_of(start), self.state)

    def __repr__(self) -> str:
        return f"ForecastStream(n_series={self.n_series}, horizon={self._horizon})"


def _pick(panel: Panel, chosen: Integers) -> Panel:
    """Return some of the series."""
    return panel.cut(chosen, panel.lengths[chosen])


def _both(panel: Panel, other: Panel) -> Panel:
    """Return the series of one panel, behind them those of another."""

    def joined(of_one: Any, of_other: Any) -> Any:
        if of_one is None:
            return None
        is_index = hasattr(of_one, "append")
        return of_one.append(of_other) if is_index else np.concatenate([of_one, of_other])

    return replace(
        panel,
        values=joined(panel.values, other.values),
        offsets=offsets_of(np.concatenate([panel.lengths, other.lengths])),
        starts=joined(panel.starts, other.starts),
        series=joined(panel.series, other.series),
        covariates=joined(panel.covariates, other.covariates),
        static=joined(panel.static, other.static),
    )


def _is_there(lengths: Array, n_times: int) -> Array:
    """Which entries of arrays (n_series, n_times) are of times of the series."""
    return np.asarray(np.arange(n_times) >= n_times - lengths[:, None])


def _state_of(panel: Panel) -> dict[str, Array]:
    lengths = panel.lengths
    is_there = _is_there(lengths, int(lengths.max()))
    y = np.full(is_there.shape, np.nan)
    y[is_there] = panel.values
    state = {"y": y, "lengths": lengths, "starts": np.array(integers_of(panel.starts), np.int64)}
    if panel.covariates is not None:
        state["X"] = np.full((*is_there.shape, panel.covariates.shape[1]), np.nan)
        state["X"][is_there] = panel.covariates
    return state


def _with_state(panel: Panel, state: Mapping[str, Array], unit: str | None) -> Panel:
    """Undo `_state_of`: the same series with another history."""
    is_there = _is_there(state["lengths"], state["y"].shape[1])
    return replace(
        panel,
        values=state["y"][is_there],
        offsets=offsets_of(state["lengths"]),
        starts=panel.form.frequency.times_of(state["starts"], unit),
        covariates=state["X"][is_there] if "X" in state else None,
    )


def _checked_state(state: Any, like: Mapping[str, Array], caller: str) -> dict[str, Array]:
    """Return copies of the arrays of a state; ValueError unless it has names, kinds and shapes."""
    if not isinstance(state, Mapping) or set(state) != set(like):
        is_dict = isinstance(state, Mapping)
        got = f"the names {sorted(map(str, state))}" if is_dict else f"a {type(state).__name__}"
        raise ValueError(problem(caller, "state", got, f"a dict of {sorted(like)}"))
    arrays = {name: np.array(state[name]) for name in like}
    n_times = arrays["y"].shape[1:2]
    for name, array in arrays.items():
        model = like[name]
        shape = model.shape[:1] if model.ndim == 1 else (len(model), *n_times, *model.shape[2:])
        if array.shape != shape or array.dtype != model.dtype or array.size == 0:
            got = f"{array.dtype} of shape {array.shape}"
            raise ValueError(problem(caller, name, got, f"{model.dtype} of shape {shape}"))
        check_finite(array, caller, name, may_miss=True)
    return arrays


def _restored(
    forecaster: BaseForecaster,
    horizon: int,
    series: Array,
    unit: str | None,
    start: dict[str, Array],
    state: dict[str, Array],
) -> ForecastStream:
    fitted = forecaster._panel
    static = None if fitted.static is None else fitted.static[series]
    like = replace(fitted, series=series, static=static)
    panel = _with_state(like, start, unit)
    stream = ForecastStream(forecaster, horizon, panel)
    stream.state = state
    return stream
