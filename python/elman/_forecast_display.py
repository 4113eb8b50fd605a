"""A picture of a forecast: what came before it, its intervals, and what came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from elman._exceptions import abbreviated, problem
from elman._forecasting import BaseForecaster, interval_levels
from elman._panel import Panel, read_panel
from elman._panel_rows import Floats
from elman._parameters import COUNT, check_parameters, or_none
from elman._plot import BLACK, BLUE, ORANGE, axes_to_draw_on, legend_below

LIGHTEST, DARKEST = 0.18, 0.36  # opacity of the widest interval, and of the narrowest


class ForecastDisplay:
    """A forecast of one series, with its history, a fan of intervals, and what came.

    It is made by `from_estimator` or `from_predictions`; what it is given is kept in attributes
    of the same names.

    Parameters
    ----------
    history_times : ndarray of shape (n_history,)
        Times of the history: dates or numbers.
    history : ndarray of shape (n_history,)
        The values; NaN is missing.
    times : ndarray of shape (horizon,)
        Times of the forecast.
    forecast : ndarray of shape (horizon,)
        The forecast.
    intervals : dict of ndarray of shape (horizon, 2), default=None
        By their coverage, the lower and upper ends of intervals.
    actual : ndarray of shape (horizon,), default=None
        What came; NaN is not known.
    series_name : object, default=None
        The series.
    estimator_name : str, default=None
        The forecaster.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is drawn.
    figure_ : matplotlib Figure
        The figure.
    line_history_, line_forecast_, line_actual_ : matplotlib Line2D
        The lines; ``line_actual_`` is None where nothing that came is known. The forecast begins at
        the last value of the history, as do the intervals and what came.
    fan_ : dict of matplotlib collection
        The intervals by their coverage.

    See Also
    --------
    LossCurveDisplay : The loss in the course of a training.

    Examples
    --------
    >>> from elman import ForecastDisplay, LinearForecaster
    >>> from elman.datasets import load_air_passengers
    >>> passengers = load_air_passengers().data
    >>> model = LinearForecaster(horizon=12, season_length=12).fit(passengers[:-12])
    >>> display = ForecastDisplay.from_estimator(model, coverage=0.8, actual=passengers[-12:])
    >>> list(display.intervals)
    [0.8]
    """

    def __init__(
        self,
        *,
        history_times: Any,
        history: Any,
        times: Any,
        forecast: Any,
        intervals: Mapping[float, Any] | None = None,
        actual: Any = None,
        series_name: Any = None,
        estimator_name: str | None = None,
    ) -> None:
        self.history_times = history_times
        self.history = history
        self.times = times
        self.forecast = forecast
        self.intervals = intervals
        self.actual = actual
        self.series_name = series_name
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        forecaster: BaseForecaster,
        y: Any = None,
        X: Any = None,
        horizon: int | None = None,
        *,
        coverage: float | Sequence[float] | None = (0.5, 0.9),
        actual: Any = None,
        series: Any = None,
        n_history: int | None = None,
        ax: Any = None,
    ) -> ForecastDisplay:
        """Forecast a series and draw it.

        Parameters
        ----------
        forecaster : BaseForecaster
            A fitted forecaster.
        y, X, horizon : object, default=None
            As of its `predict`.
        coverage : float, sequence of float or None, default=(0.5, 0.9)
            Probabilities of the intervals; None draws none.
        actual : object, default=None
            What came after the history, of the kind of y in `fit`.
        series : object, default=None
            Id of the series: of an array or a list its number. None is the first one.
        n_history : int, default=None
            Values of the history to draw; None is four horizons, and two seasons at least.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ForecastDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib, of the extra "plot", is not installed.
        NotFittedError
            If the forecaster is not fitted.
        ValueError
            If an argument is not as it should be.
        """
        caller = f"{cls.__name__}.from_estimator"
        check_parameters({"n_history": n_history}, caller, {"n_history": or_none(COUNT)})
        pairs = {c: interval_levels(c, caller) for c in _coverages(coverage)}
        panel, horizon, future = forecaster._read_call(horizon, X, y, caller)
        place = _place(panel, series, caller)
        part = panel.cut(np.array([place]), panel.lengths[[place]])
        ahead = None if future is None else future[[place]]
        intervals = {}
        if pairs:
            levels = np.unique(list(pairs.values()))
            forecast, of_levels = forecaster._with_quantiles(part, horizon, ahead, levels, caller)
            quantiles = of_levels[0]
            intervals = {c: quantiles[:, np.searchsorted(levels, p)] for c, p in pairs.items()}
        else:
            forecast = forecaster._forecast(part, horizon, ahead)
        if n_history is None:
            n_history = max(4 * horizon, 2 * max(forecaster.season_lengths_))
        return cls(
            **_drawn(part, horizon, n_history),
            forecast=forecast[0],
            intervals=intervals,
            actual=_read_actual(actual, part, horizon, caller),
            estimator_name=type(forecaster).__name__,
        ).plot(ax)

    @classmethod
    def from_predictions(
        cls,
        y: Any,
        forecast: Any,
        *,
        intervals: Mapping[float, Any] | None = None,
        actual: Any = None,
        n_history: int | None = None,
        name: str | None = None,
        ax: Any = None,
    ) -> ForecastDisplay:
        """Draw a forecast of one series that was made before.

        Parameters
        ----------
        y : array-like of shape (n_times,) or Series
            The history.
        forecast : array-like of shape (horizon,) or Series
            What `predict` said.
        intervals : dict of array-like of shape (horizon, 2), default=None
            What `predict_interval` said, by the coverage.
        actual : array-like of shape (n_actual,) or Series, default=None
            What came after the history.
        n_history : int, default=None
            Values of the history to draw; None is four horizons.
        name : str, default=None
            The forecaster, for the title.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ForecastDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib, of the extra "plot", is not installed.
        ValueError
            If an argument is not as it should be.
        """
        caller = f"{cls.__name__}.from_predictions"
        check_parameters({"n_history": n_history}, caller, {"n_history": or_none(COUNT)})
        panel = read_panel(y, caller=caller)
        if len(panel) > 1:
            raise ValueError(problem(caller, "y", f"{len(panel)} series", "one"))
        horizon = np.size(forecast)
        values = _checked(forecast, (horizon,), "forecast", caller)
        later = _aligned(forecast, "forecast", panel, horizon, caller)
        if np.isnan(later).any():
            expected = "one that begins after the end of y and has a value at each time"
            raise ValueError(problem(caller, "forecast", "other times", expected))
        ends = {
            coverage: _checked(interval, (horizon, 2), "intervals", caller)
            for coverage, interval in (intervals or {}).items()
        }
        return cls(
            **_drawn(panel, horizon, n_history or 4 * horizon),
            forecast=values,
            intervals=ends,
            actual=_read_actual(actual, panel, horizon, caller),
            estimator_name=name,
        ).plot(ax)

    def plot(self, ax: Any = None, *, name: str | None = None) -> ForecastDisplay:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        name : str, default=None
            The title; None is what ``estimator_name`` and ``series_name`` say.

        Returns
        -------
        self : ForecastDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib, of the extra "plot", is not installed.
        """
        self.ax_ = ax = axes_to_draw_on(ax, f"{type(self).__name__}.plot")
        self.figure_ = ax.figure
        joint = slice(-1, None) if np.isfinite(self.history[-1]) else slice(0, 0)
        times = np.concatenate([self.history_times[joint], self.times])

        def after_history(values: Any) -> Any:
            return np.concatenate([self.history[joint], values])

        # A line of one point is not seen.
        look = {"marker": "o" if len(times) == 1 else None, "lw": 1.8}
        self.line_history_ = ax.plot(
            self.history_times, self.history, color=BLACK, lw=1.2, label="History"
        )[0]
        self.fan_ = {}
        fan = sorted((self.intervals or {}).items(), reverse=True)
        for opacity, (coverage, ends) in zip(
            np.linspace(LIGHTEST, DARKEST, len(fan)), fan, strict=True
        ):
            lower, upper = map(after_history, np.transpose(ends))
            label = f"{100 * coverage:g} % interval"
            self.fan_[coverage] = ax.fill_between(
                times, lower, upper, color=BLUE, alpha=opacity, lw=0, label=label
            )
        self.line_forecast_ = ax.plot(
            times, after_history(self.forecast), color=BLUE, label="Forecast", **look
        )[0]
        self.line_actual_ = None
        if self.actual is not None:
            came = after_history(self.actual)
            look = {**look, "lw": 1.4, "ls": "--"}
            self.line_actual_ = ax.plot(times, came, color=ORANGE, label="Actual", **look)[0]
        self._label(ax, name)
        return self

    def _label(self, ax: Any, name: str | None) -> None:
        if np.issubdtype(np.asarray(self.times).dtype, np.datetime64):
            from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

            locator = AutoDateLocator(maxticks=8)
            ax.xaxis.set_major_locator(locator)
            ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        else:
            ax.set_xlabel("Time")
            ax.xaxis.get_major_locator().set_params(integer=True)
        if name is None:
            names = (self.estimator_name, self.series_name)
            name = ": ".join(str(part) for part in names if part is not None)
        ax.set_title(name)
        ax.set_ylabel("Value")
        legend_below(ax, ncols=3)


def _coverages(coverage: Any) -> list[Any]:
    if coverage is None:
        return []
    return list(coverage) if isinstance(coverage, (list, tuple, np.ndarray)) else [coverage]


def _place(panel: Panel, series: Any, caller: str) -> int:
    """Find a series by its id."""
    if series is None:
        return 0
    names = list(panel.names)
    if series not in names:
        expected = f"one of {abbreviated(names)}"
        raise ValueError(problem(caller, "series", abbreviated(series), expected))
    return names.index(series)


def _drawn(panel: Panel, horizon: int, n_history: int) -> dict[str, Any]:
    """Return the end of the history of a panel of one series, and all times, as `plot` has them."""
    form = panel.form
    is_named = form.layout == "series" or len(form.names) > 1 or form.layout in ("wide", "long")
    name = form.label if form.layout == "series" else panel.names[0]
    return {
        "history_times": _drawable(panel.times()[-n_history:]),
        "history": panel.values[-n_history:],
        "times": _drawable(panel.future_times(horizon)),
        "series_name": name if is_named else None,
    }


def _drawable(times: Any) -> Any:
    """Return times as matplotlib draws them: numbers, or dates on the clock of their place."""
    if hasattr(times, "to_timestamp"):
        times = times.to_timestamp()
    if getattr(times, "tz", None) is not None:
        times = times.tz_localize(None)
    return np.asarray(times)


def _read_actual(actual: Any, panel: Panel, horizon: int, caller: str) -> Floats | None:
    return None if actual is None else _aligned(actual, "actual", panel, horizon, caller)


def _aligned(later: Any, argument: str, panel: Panel, horizon: int, caller: str) -> Floats:
    """Values at the times after the end of a panel of one series; NaN where there are none."""
    form = panel.form
    after = read_panel(later, caller=caller, form=form, goes_on=True)
    which = np.flatnonzero(after.series == panel.series[0])
    aligned = np.full(horizon, np.nan)
    if len(which) and form.library == "numpy":
        values = after.values[after.offsets[which[0]] : after.offsets[which[0] + 1]][:horizon]
        aligned[: len(values)] = values
    elif len(which):
        part = after.cut(which, after.lengths[which])
        times, end = part.times(), panel.future_times(1)
        places = form.frequency.positions(times, end.repeat(len(times)))
        is_ahead = (places >= 0) & (places < horizon)
        aligned[places[is_ahead]] = part.values[is_ahead]
    if np.isnan(aligned).all():
        expected = "some in the horizon after the end of the history"
        raise ValueError(problem(caller, argument, "no known value", expected))
    return aligned


def _checked(values: Any, shape: tuple[int, ...], argument: str, caller: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        got = f"an array of shape {array.shape}"
        raise ValueError(problem(caller, argument, got, f"finite numbers of shape {shape}"))
    return array
