"""Forecasts of one series or many by recurrent networks."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any, ClassVar

import numpy as np

from elman import _core
from elman._calendar import CALENDAR_FEATURES, Integers
from elman._callbacks import progress
from elman._estimator import LARGEST_SEED, generator
from elman._exceptions import problem
from elman._forecast.candidates import CANDIDATES
from elman._forecast.fit import LOSSES, check_values, fit_models, origin_step
from elman._forecast.history import neighbours
from elman._forecast.model import ForecastModel
from elman._forecast.plan import Plan
from elman._forecast.series import SeriesReader
from elman._forecast.window import CENTRES, SCALES
from elman._forecasting import FORECASTER_RULES, BaseForecaster, check_long_enough, check_quantiles
from elman._network import summary
from elman._panel import Panel
from elman._panel_form import PanelForm
from elman._panel_rows import Floats
from elman._parameters import BOOLEAN, COUNT, RULES, Rule, one_of, or_none
from elman._threads import effective_n_threads


def _or_auto(rule: Rule) -> Rule:
    def passes(value: Any) -> bool:
        return (isinstance(value, str) and value == "auto") or rule.passes(value)

    return Rule(passes, f"'auto', {rule.expected}")


def _are_names(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)


def _are_candidates(value: Any) -> bool:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)):
        return False
    return all(
        item in CANDIDATES
        if isinstance(item, str)
        else isinstance(item, tuple)
        and len(item) == 2
        and item[0] in CANDIDATES
        and COUNT.passes(item[1])
        for item in items
    )


def _are_levels(value: Any) -> bool:
    try:
        check_quantiles(value, "")
    except ValueError:
        return False
    return True


_NAMES = or_none(Rule(_are_names, "a list of names"))
_FORECASTER_RULES: dict[str, Rule] = {
    **FORECASTER_RULES,
    **{
        name: RULES[name]
        for name in (
            "cell",
            "hidden_layer_sizes",
            "activation",
            "dropout",
            "huber_delta",
            "alpha",
            "learning_rate_init",
            "warmup",
            "clip_norm",
            "early_stopping",
            "validation_fraction",
            "random_state",
            "n_jobs",
            "verbose",
        )
    },
    "window": _or_auto(COUNT),
    "strategy": one_of("direct", "recursive", "seq2seq", "parallel"),
    "segment_length": _or_auto(COUNT),
    "transform": or_none(one_of("auto", "log", "log1p")),
    "centre": or_none(one_of("auto", *CENTRES)),
    "scale": or_none(one_of("auto", *SCALES)),
    "candidates": or_none(
        _or_auto(Rule(_are_candidates, f"names among {CANDIDATES}, or pairs of one and its season"))
    ),
    "calendar": or_none(
        Rule(
            lambda value: _are_names(value) and all(name in CALENDAR_FEATURES for name in value),
            f"names among {CALENDAR_FEATURES}",
        )
    ),
    "known_covariates": _NAMES,
    "past_covariates": _NAMES,
    "static_covariates": _NAMES,
    "series_identity": BOOLEAN,
    "input_layer_size": or_none(COUNT),
    "head_layer_size": or_none(COUNT),
    "strategy_panel": one_of("global", "local"),
    "loss": one_of(*LOSSES),
    "quantiles": Rule(_are_levels, "numbers between 0 and 1, ascending, each of them once"),
    "solver": one_of("adam", "adamw", "nadam", "rmsprop", "sgd"),
    "n_estimators": COUNT,
    "n_updates": _or_auto(COUNT),
    "batch_size": COUNT,
    "origin_step": _or_auto(COUNT),
    "series_weights": one_of("auto", "uniform", "proportional"),
}


class RNNForecaster(BaseForecaster):
    """Forecast series by recurrent networks that read windows of their past.

    A network reads the last ``window`` values of a series in units of that window, a segment at
    a time, and corrects a mixture of simple forecasts that it weighs itself [1]_ [2]_. One
    network serves all series of a panel; the forecast is the median of ``n_estimators`` networks.
    What "auto" stands for is told by the series: their lengths, their seasons, whether the season
    or the last value says more about what comes.

    Parameters
    ----------
    horizon : int, default=1
        Times to forecast.
    window : int or "auto", default="auto"
        Values that a forecast is made from. "auto": four seasons, two of the longest where there
        are several, and at least two horizons, as far as the series are long enough, but five
        seasons of a few short series; a series that is shorter is read as if it had begun with its
        first value. Of a number no series may be shorter.
    strategy : {"direct", "recursive", "seq2seq", "parallel"}, default="direct"
        "direct": the state after the window tells the whole horizon. "recursive": it tells the
        next segment, from which the following one is forecast. "seq2seq": the recurrence goes on
        over the segments of the horizon, reading their positions and the covariates known there.
        "parallel": it takes one step for each of them, all from the state after the window, so
        that no segment builds on the one before [2]_.
    season_length : int, tuple of int, or "auto", default="auto"
        Seasons, in times. "auto": what the frequency of dates suggests, none without dates.
    segment_length : int or "auto", default="auto"
        Values that the network reads at one step. "auto": a season, or part of a long one.
    transform : {"auto", "log", "log1p"} or None, default="auto"
        What is done to values first. "auto": "log" where all are positive and vary by half; to
        it a value that comes later and is not positive is missing.
    centre : {"auto", "mean", "median", "season", "last"} or None, default="auto"
        What is taken off a window: its mean or median, the mean of its last season, or its last
        value. "auto": the mean where candidates know the season, except for a few short series,
        and without candidates where the horizon is longer than the longest season; otherwise the
        last value.
    scale : {"auto", "standard", "mean_absolute", "robust", "difference", "seasonal_difference"} \
or None, default="auto"
        What a window is divided by: its standard deviation, mean absolute value, interquartile
        range, mean absolute change, or that over a season. "auto": "standard", and None for
        logarithms of short series.
    candidates : "auto", str, sequence of str or (str, int), or None, default="auto"
        Simple forecasts that are mixed, with their seasons: "last", "mean", "drift", "seasonal",
        "seasonal_mean", "seasonal_pair", "seasonal_last", "seasonal_level", "seasonal_trend",
        "seasonal_drift", "seasonal_damped" whose growth slows down, and "seasonal_similar": seasons
        ago when covariates were as they will be.
        "auto": those of each season that beats the last value on the training data, and of a few
        short series those that grow. Of a few short series the mixture begins with what each
        candidate was worth so far, as far ahead as its weight is for, named ones too. With one the
        network corrects it, with None it forecasts from the centre of the window.
    calendar : sequence of str, default=None
        What is read of the dates, at past and future times: of "hour", "dayofweek", "day",
        "month", "quarter", "weekofyear", "dayofyear" sine and cosine, "is_weekend".
    known_covariates, past_covariates, static_covariates : sequence of str, default=None
        Columns of X that are known for the times to forecast (those that are not named elsewhere),
        that are known for past times only, and whose first value holds for a series at any time.
        Columns that came without names are called x0, x1 and so on.
    series_identity : bool, default=False
        Whether the network is told which series it reads.
    strategy_panel : {"global", "local"}, default="global"
        Whether one model serves all series, or each has its own, as if it were the only one:
        plan, networks and, with an integer as `random_state`, what is drawn. Small networks are
        then trained side by side in the registers, as by `fit_many`: those with at most 8 units a
        layer, and somewhat larger ones where `batch_size` is small; of any cell, loss, solver,
        strategy and candidates, but without `input_layer_size`, `head_layer_size`, `dropout` or
        `early_stopping`. Others are trained side by side on the threads, with the same bits.
    cell : {"simple", "gru", "lstm", "min_gru", "min_lstm"}, default="gru"
        The recurrent cell.
    hidden_layer_sizes : int or sequence of int, default=(64,)
        Units of each layer.
    activation : {"tanh", "relu", "identity"}, default="tanh"
        Of the simple cell.
    input_layer_size : int or None, default=None
        Units of a dense layer with ReLU through which a segment goes before the recurrence, as in
        SegRNN [2]_; None has none.
    head_layer_size : int or None, default=None
        Units of a dense layer with ReLU between states and forecasts. It reads what the network
        reads at that step, too, covariates of the times to forecast among it; None has none.
    dropout : float, default=0.0
        Share of a layer's outputs that is left out in each update.
    loss : {"absolute_error", "squared_error", "huber", "quantile", "gaussian_nll", \
"student_t_nll", "poisson", "negative_binomial_nll"}, default="absolute_error"
        What is minimised, in units of the window. "quantile" and those of distributions make
        `predict_quantiles` the network's own; with "poisson" and "negative_binomial_nll" y are
        counts.
    huber_delta : float, default=1.0
        Where the loss "huber" turns from squares to absolute values.
    quantiles : sequence of float, default=(0.05, 0.25, 0.5, 0.75, 0.95)
        Levels of the loss "quantile". The outermost ones stand in for what lies beyond them, in
        intervals and in the paths of `sample`.
    n_estimators : int, default=3
        Networks whose median is the forecast, each from a start of its own.
    n_updates : int or "auto", default="auto"
        Mini-batches that each of them is trained on. "auto": 600, fewer where the series hold
        fewer than a thousand windows, and where they hold fewer than a hundred as many as do not
        overlap: the forecasts then stay close to the mixture of the candidates.
    batch_size : int, default=128
        Windows in a mini-batch, drawn anew for each.
    solver : {"adam", "adamw", "nadam", "rmsprop", "sgd"}, default="adam"
        The optimiser.
    alpha : float, default=0.0
        Penalty of squared weights, or with "adamw" their decay.
    learning_rate_init : float, default=0.002
        The rate after the warm-up, from which it falls to zero along half a cosine.
    warmup : float, default=0.08
        Share of the updates in which the rate rises.
    clip_norm : float or None, default=1.0
        Largest norm of a gradient.
    origin_step : int or "auto", default="auto"
        Origins of training windows lie whole multiples of it before the end of a series. "auto":
        the shortest season that is mixed, where there are origins enough, otherwise 1.
    series_weights : {"auto", "uniform", "proportional"}, default="auto"
        Whether each series, or each of its windows, is drawn alike. "auto": series, where none is
        more than three times as long as the median.
    early_stopping : bool, default=False
        Whether the last part of each series is held out, and the weights are kept with which its
        forecasts were best.
    validation_fraction : float, default=0.1
        That part.
    random_state : int, RandomState or None, default=None
        Draws the starts and the windows.
    n_jobs : int or None, default=None
        Threads; networks are trained side by side. The forecasts are the same to the bit.
    columns : tuple of str, default=("unique_id", "ds", "y")
        Columns of a long frame: which series, when, and the value.
    verbose : bool or int, default=False
        Whether to show progress.

    Attributes
    ----------
    n_series_ : int
        Number of series.
    season_lengths_ : tuple of int
        Seasons, in times.
    plan_ : dict
        What "auto" turned out to be.
    loss_curve_ : list of ndarray
        Of each network the mean loss of every twenty updates.
    validation_curve_ : list of ndarray or None
        With early stopping, at the same times, the mean absolute error of the forecasts that were
        held out, in units of the windows.
    n_parameters_ : int
        Parameters of each network.

    See Also
    --------
    NaiveForecaster : What any model has to beat.
    LinearForecaster : Ridge regression on the same windows.

    References
    ----------
    .. [1] Smyl, S. "A hybrid method of exponential smoothing and recurrent neural networks for time
       series forecasting." International Journal of Forecasting 36(1), 2020.
    .. [2] Lin, S. et al. "SegRNN: Segment recurrent neural network for long-term time series
       forecasting." arXiv:2308.11200, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from elman import RNNForecaster
    >>> t = np.arange(300)
    >>> y = 10 + np.sin(2 * np.pi * t / 12) + 0.01 * t
    >>> model = RNNForecaster(horizon=12, season_length=12, n_updates=100, random_state=0)
    >>> model.fit(y).predict().shape
    (12,)
    """

    _rules: ClassVar[dict[str, Rule]] = _FORECASTER_RULES

    def __init__(
        self,
        horizon: int = 1,
        window: Any = "auto",
        strategy: str = "direct",
        *,
        season_length: Any = "auto",
        segment_length: Any = "auto",
        transform: str | None = "auto",
        centre: str | None = "auto",
        scale: str | None = "auto",
        candidates: Any = "auto",
        calendar: Sequence[str] | None = None,
        known_covariates: Sequence[str] | None = None,
        past_covariates: Sequence[str] | None = None,
        static_covariates: Sequence[str] | None = None,
        series_identity: bool = False,
        strategy_panel: str = "global",
        cell: str = "gru",
        hidden_layer_sizes: Any = (64,),
        activation: str = "tanh",
        input_layer_size: int | None = None,
        head_layer_size: int | None = None,
        dropout: float = 0.0,
        loss: str = "absolute_error",
        huber_delta: float = 1.0,
        quantiles: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
        n_estimators: int = 3,
        n_updates: Any = "auto",
        batch_size: int = 128,
        solver: str = "adam",
        alpha: float = 0.0,
        learning_rate_init: float = 0.002,
        warmup: float = 0.08,
        clip_norm: float | None = 1.0,
        origin_step: Any = "auto",
        series_weights: str = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        random_state: Any = None,
        n_jobs: int | None = None,
        columns: tuple[str, str, str] = ("unique_id", "ds", "y"),
        verbose: Any = False,
    ) -> None:
        self.horizon = horizon
        self.window = window
        self.strategy = strategy
        self.season_length = season_length
        self.segment_length = segment_length
        self.transform = transform
        self.centre = centre
        self.scale = scale
        self.candidates = candidates
        self.calendar = calendar
        self.known_covariates = known_covariates
        self.past_covariates = past_covariates
        self.static_covariates = static_covariates
        self.series_identity = series_identity
        self.strategy_panel = strategy_panel
        self.cell = cell
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.input_layer_size = input_layer_size
        self.head_layer_size = head_layer_size
        self.dropout = dropout
        self.loss = loss
        self.huber_delta = huber_delta
        self.quantiles = quantiles
        self.n_estimators = n_estimators
        self.n_updates = n_updates
        self.batch_size = batch_size
        self.solver = solver
        self.alpha = alpha
        self.learning_rate_init = learning_rate_init
        self.warmup = warmup
        self.clip_norm = clip_norm
        self.origin_step = origin_step
        self.series_weights = series_weights
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.columns = columns
        self.verbose = verbose

    def _reader(self, caller: str) -> SeriesReader:
        return SeriesReader(
            tuple(self.past_covariates or ()),
            tuple(self.static_covariates or ()),
            tuple(self.calendar or ()),
            caller,
        )

    def _fit_panel(self, panel: Panel, caller: str) -> dict[str, Any]:
        reader = self._reader(caller)
        reader.check(panel.form, tuple(self.known_covariates or ()))
        settings = {
            name: int(value) if isinstance(value, np.integer) else value
            for name, value in self.get_params(deep=False).items()
        }
        settings["quantiles"] = tuple(map(float, self.quantiles))
        settings["season_lengths"] = self._season_lengths(panel.form)
        random_state = generator(self.random_state, None, False)
        n_threads = effective_n_threads(self.n_jobs, caller)
        if self.window != "auto":
            check_long_enough(panel, self.window, "the window", caller)
        panels = [panel]
        if self.strategy_panel == "local":
            panels = [panel.cut(np.array([i]), panel.lengths[[i]]) for i in range(len(panel))]
        seeds = random_state.randint(LARGEST_SEED, size=(len(panels), self.n_estimators))
        if isinstance(self.random_state, Integral):  # each series draws what it would alone
            seeds[:] = seeds[0]
        with progress(self.verbose, type(self).__name__, "update") as show:

            def report(n_updates: int, loss: float) -> None:
                show(n_updates, f"loss {loss:.6g}")

            each = (reader.read(part) for part in panels)
            models = fit_models(each, settings, caller, seeds, n_threads, report)
        if isinstance(self.random_state, np.random.RandomState):
            self.random_state.set_state(random_state.get_state())
        shortest = settings["window"]
        if shortest == "auto":
            shortest = max(model.plan.least_length for model in models)
        return {
            "_models": models,
            "_reader_of_fit": replace(reader, caller=""),
            "_shortest_series": shortest,
            **self._told_of_models(models),
        }

    @staticmethod
    def _told_of_models(models: tuple[ForecastModel, ...]) -> dict[str, Any]:
        """Attributes that the networks tell."""
        members = [member for model in models for member in model.members]
        validations = [np.array(member.validation_curve) for member in members]
        return {
            "plan_": models[0].plan.summary(),
            "loss_curve_": [np.array(member.loss_curve) for member in members],
            "validation_curve_": validations if validations[0].size else None,
            "n_parameters_": int(members[0].parameters.size),
        }

    def _forecast(self, panel: Panel, horizon: int, future: Floats | None) -> Floats:
        return self._of_networks(panel, horizon, future, None)[0]

    def _forecast_quantiles(
        self, panel: Panel, horizon: int, future: Floats | None, levels: Floats
    ) -> tuple[Floats, Floats]:
        known = self._models[0].plan.levels
        beyond = known and max(known[0] - levels.min(), levels.max() - known[-1]) > 1e-9
        if levels.ndim == 1 and beyond:
            caller = f"{type(self).__name__}.predict_quantiles"
            got = f"levels from {levels.min():g} to {levels.max():g}"
            expected = f"some from {known[0]:g} to {known[-1]:g}, as in the fit: these stand in"
            warnings.warn(problem(caller, "quantiles", got, expected), UserWarning, stacklevel=7)
        point, quantiles = self._of_networks(panel, horizon, future, levels)
        assert quantiles is not None
        return point, quantiles

    def _of_networks(
        self, panel: Panel, horizon: int, future: Floats | None, levels: Floats | None
    ) -> tuple[Floats, Floats | None]:
        """Forecasts, and quantiles where they are asked for, each series' own model's."""
        caller = f"{type(self).__name__}.predict"
        models: tuple[ForecastModel, ...] = self._models
        n_threads = effective_n_threads(self.n_jobs, caller)
        reader: SeriesReader = self._reader_of_fit
        if len(models) == 1:
            plan = models[0].plan
            series = reader.read(self._transformable(panel, plan, caller), horizon, future)
            return models[0].forecast(series, horizon, levels, n_threads)
        point = np.empty((len(panel), horizon))
        quantiles = None if levels is None else np.empty((*point.shape, levels.shape[-1]))
        for i in np.unique(panel.series):
            which = np.flatnonzero(panel.series == i)
            model = models[int(np.searchsorted(self._panel.series, i))]  # of fit, maybe not all
            part, plan = panel.cut(which, panel.lengths[which]), model.plan
            part = self._transformable(part, plan, caller)
            ahead = None if future is None else future[which]
            of_part = levels if levels is None or levels.ndim == 1 else levels[which]
            series = reader.read(part, horizon, ahead)
            point[which], of_levels = model.forecast(series, horizon, of_part, n_threads)
            if quantiles is not None and of_levels is not None:
                quantiles[which] = of_levels
        return point, quantiles

    def _transformable(self, panel: Panel, plan: Plan, caller: str) -> Panel:
        """Check values; those that a logarithm of our own choice cannot take are missing to it."""
        panel = replace(panel, values=self._known_to((plan,), panel.values))
        check_values(panel.values, plan.transform, plan.loss, caller)
        return panel

    def _known_to(self, plans: Sequence[Plan], values: Floats) -> Floats:
        """Values, without those that a logarithm of our own choice in any of the plans lacks."""
        if self.transform == "auto" and any(plan.transform == "log" for plan in plans):
            return np.where(values > 0.0, values, np.nan)
        return values

    def _has_quantiles(self) -> bool:
        return bool(self._models[0].plan.distribution.has_quantiles)

    def _future_columns(self, form: PanelForm) -> tuple[str, ...]:
        reader: SeriesReader = vars(self).get("_reader_of_fit") or self._reader("")
        return reader.known(form)

    def _shortest(self) -> int:
        shortest: int = self._shortest_series
        return shortest

    def _least_training(self, panel: Panel) -> int:
        least = int(self.horizon) + (2 if self.window == "auto" else int(self.window))
        return max(least, self._values_of_named(panel))

    def _values_of_named(self, panel: Panel) -> int:
        """Values without which named candidates have no season: a typical series holds two."""
        named = () if self.candidates in (None, "auto") else self.candidates
        seasons = [m for m in self._season_lengths(panel.form) if m > 1]
        twice = 2 * min(seasons, default=0)
        pairs = [
            (item, twice) if isinstance(item, str) else item
            for item in ([named] if isinstance(named, str) else named)
        ]
        return max((n for name, n in pairs if name.startswith("seasonal")), default=0)

    def _origin_step(self) -> int:
        models: tuple[ForecastModel, ...] = self._models
        lengths: Integers = self._training_lengths
        each = [lengths] if len(models) == 1 else lengths[:, None]
        settings = self.get_params(deep=False)
        return max(
            origin_step(model.plan, own, settings) for model, own in zip(models, each, strict=True)
        )

    def _is_fitted_for_each_error(self, are_few: bool) -> bool:
        """Of a few short series: they are fitted at once, and a year more tells them much."""
        models: tuple[ForecastModel, ...] = self._models
        is_quick = len(models) == 1 and self.n_updates == "auto" and not self._has_quantiles()
        return is_quick and bool(models[0].plan.prior)

    def _longest_window(self) -> int:
        models: tuple[ForecastModel, ...] = self._models
        return max(model.plan.window for model in models)

    def _context(self, panel: Panel, series: Integers, stops: Integers) -> Integers:
        """Return the longest window, and more where the last value that is known is before it."""
        models: tuple[ForecastModel, ...] = self._models
        before, _ = neighbours(self._known_to([model.plan for model in models], panel.values))
        last = before[panel.offsets[series] + stops - 1]
        age = np.where(last < panel.offsets[series], 0, panel.offsets[series] + stops - last)
        return np.maximum(age, self._longest_window())

    def _tail(self, panel: Panel) -> Panel:
        tail, n_kept = super()._tail(panel), self._longest_window() + 1
        is_longer = tail.lengths > max(n_kept, self._shortest())
        if not is_longer.any():
            return tail
        # Of what is before a window nothing counts but the last value, if that knows none.
        last = tail.values[tail.offsets[:-1][is_longer]]
        lengths = np.where(is_longer, n_kept, tail.lengths)
        tail = tail.cut(np.arange(len(tail)), tail.lengths, lengths)
        tail.values[tail.offsets[:-1][is_longer]] = last
        return tail

    def _carried(self, panel: Panel) -> Panel:
        static = self._reader_of_fit.static
        if panel.covariates is None or not static:
            return panel
        # What holds at all times is read at the first one.
        assert panel.form.covariates is not None
        columns = np.array([panel.form.covariates.names.index(name) for name in static])
        first = panel.covariates[np.ix_(panel.offsets[:-1], columns)]
        covariates = panel.covariates.copy()
        covariates[:, columns] = np.repeat(first, panel.lengths, axis=0)
        return replace(panel, covariates=covariates)

    def summary(self) -> str:
        """Tell the size of a network.

        Returns
        -------
        table : str
            Name, shape and number of each parameter, and the total.
        """
        self._fitted_panel(f"{type(self).__name__}.summary")
        return summary(_core.Network(**self._models[0].architecture))
