"""What every forecaster shares: how series come in, how forecasts go out, and their intervals."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state

from elman._adaptive import rolling_errors
from elman._backtest import actual_values, backtest_table, forecasts_of, origins
from elman._baselines import naive_scale
from elman._calendar import Integers, import_pandas
from elman._callbacks import exclusively
from elman._conformal import Calibration, calibrate
from elman._covariates import read_future
from elman._estimator import LARGEST_SEED
from elman._exceptions import abbreviated, not_fitted, problem
from elman._forecast_stream import ForecastStream
from elman._panel import Panel, join, read_history, read_panel
from elman._panel_form import PanelForm
from elman._panel_output import give_back, give_back_paths
from elman._panel_rows import Floats
from elman._parameters import COUNT, RULES, Rule, check_parameters
from elman._pickles import CheckedPickleMixin
from elman._report import INTERVAL

LONGEST_HORIZON = 10**6


def _is_season(value: Any) -> bool:
    if isinstance(value, str):
        return value == "auto"
    if isinstance(value, tuple):
        return len(value) > 0 and all(COUNT.passes(item) for item in value)
    return COUNT.passes(value)


def _are_columns(value: Any) -> bool:
    is_pair = isinstance(value, (tuple, list)) and len(value) == 3
    return is_pair and all(isinstance(name, str) for name in value) and len(set(value)) == 3


FORECASTER_RULES: dict[str, Rule] = {
    "horizon": Rule(
        lambda value: COUNT.passes(value) and value <= LONGEST_HORIZON,
        f"an integer from 1 to {LONGEST_HORIZON}",
    ),
    "season_length": Rule(_is_season, "'auto', an integer of at least 1, or a tuple of them"),
    "columns": Rule(_are_columns, "three different names, of ids, times and values"),
}


_BACKTEST_RULES: dict[str, Rule] = {
    "horizon": FORECASTER_RULES["horizon"],
    "step": COUNT,
    "n_windows": COUNT,
    "refit": Rule(
        lambda value: isinstance(value, (bool, np.bool_)) or COUNT.passes(value),
        "True, False or an integer of at least 1",
    ),
}


_SAMPLE_RULES: dict[str, Rule] = {"n": COUNT, "random_state": RULES["random_state"]}


class BaseForecaster(CheckedPickleMixin, BaseEstimator):
    """Read series, check them, hand them to a model, and give forecasts back in their kind.

    A forecaster below it has the parameters ``horizon``, ``season_length`` and ``columns``, and
    provides `_fit_panel` and `_forecast`; the other methods that begin with an underscore have
    answers here that it may replace.
    """

    _rules: ClassVar[dict[str, Rule]] = FORECASTER_RULES
    _doc_link_module = "elman"

    # What a forecaster tells.

    def _fit_panel(self, panel: Panel, caller: str) -> dict[str, Any]:
        """Fit the model, change nothing of the estimator, and return its attributes by name."""
        raise NotImplementedError

    def _forecast(self, panel: Panel, horizon: int, future: Floats | None) -> Floats:
        """Forecast what comes after the end of each series of a panel, (n_series, horizon).

        ``future`` is (n_series, horizon, n_covariates), NaN in columns that `_future_columns` does
        not name. A forecast depends on nothing but its own series.
        """
        raise NotImplementedError

    def _has_quantiles(self) -> bool:
        """Whether there is `_forecast_quantiles`; otherwise quantiles are told by residuals."""
        return False

    def _forecast_quantiles(
        self, panel: Panel, horizon: int, future: Floats | None, levels: Floats
    ) -> tuple[Floats, Floats]:
        """Forecast as `_forecast` does, and quantiles (n_series, horizon, n_levels).

        Levels are (n_levels,), or (n_series, horizon, n_levels) where each value has its own.
        """
        raise NotImplementedError

    def _future_columns(self, form: PanelForm) -> tuple[str, ...]:
        """Columns of X that must be known in the future."""
        return () if form.covariates is None else form.covariates.names

    def _shortest(self) -> int:
        """Tell how many values a series must have for the fitted model to forecast it."""
        return 1

    def _least_training(self, panel: Panel) -> int:
        """Tell how many values a series must have for a fit, before there is one."""
        return 2

    def _origin_step(self) -> int:
        """Tell how many times lie between the origins from which the fitted model has learned."""
        return 1

    def _is_fitted_for_each_error(self, are_few: bool) -> bool:
        """Whether a clone of the fitted forecaster is fitted at every origin of an error.

        Otherwise it is fitted at the first of them, to a shorter past than the one that counts.
        """
        return False

    def _context(self, panel: Panel, series: Integers, stops: Integers) -> Integers | None:
        """Values before some points of series that a forecast depends on; None is all of them."""
        return None

    def _carried(self, panel: Panel) -> Panel:
        """Tell within series what forecasts read of the times before their context."""
        return panel

    def _tail(self, panel: Panel) -> Panel:
        """Cut off what the forecasts of series do not depend on, however they go on."""
        every = np.arange(len(panel))
        context = self._context(panel, every, panel.lengths)
        if context is None:
            return panel
        return self._carried(panel).cut(every, panel.lengths, np.maximum(context, self._shortest()))

    def _longest_horizon(self) -> int | None:
        """Tell how many steps the fitted model can forecast; None is any number."""
        return None

    # What a user calls.

    def fit(self, y: Any, X: Any = None, static: Any = None) -> BaseForecaster:
        """Fit the model to series.

        Parameters
        ----------
        y : array-like, list of arrays, Series or frame
            An array of shape (n_times,) or (n_times, n_series); a list of arrays of shape
            (n_times_i,); a pandas Series; a frame with a column for each series (wide), whose
            index or column ``ds`` tells the times; or a frame with the columns ``unique_id``,
            ``ds`` and ``y`` (long). NaN is missing, as is a time that is absent from a regular
            grid.
        X : array-like, list of arrays or frame, default=None
            Covariates at the times of y: an array (n_times, n_covariates) or a frame that all
            series share, row by row or by its times; a list with one for each series; or a long
            frame with ``unique_id`` and ``ds``. Text, categories and truth values are allowed.
        static : array-like or frame of shape (n_series, n_static), default=None
            What holds for a series at all times; a frame tells the series in its index or in its
            column ``unique_id``.

        Returns
        -------
        self : BaseForecaster
            The fitted forecaster.

        Raises
        ------
        ValueError
            If a parameter or the data are not as they should be. The forecaster then stays as it
            was.
        """
        caller = f"{type(self).__name__}.fit"
        with exclusively(self, caller):
            check_parameters(self.get_params(deep=False), caller, self._rules)
            self._fit(read_panel(y, X, static, caller=caller, columns=tuple(self.columns)), caller)
        return self

    def predict(self, horizon: int | None = None, X: Any = None, y: Any = None) -> Any:
        """Forecast what comes after the end of y, in the kind of y.

        Parameters
        ----------
        horizon : int, default=None
            Number of times; None is that of the constructor.
        X : object, default=None
            Covariates at the times to come. With ``y``, at its times and those to come.
        y : object, default=None
            A history to go on from, of the kind of y in `fit`, instead of the one of `fit`. The
            model is not fitted again.

        Returns
        -------
        forecasts : ndarray, list of ndarray, Series or frame
            (horizon,) or (horizon, n_series) for arrays, a list of (horizon,) for a list, and
            Series and frames with the times to come for those. A long frame has ``y_pred``.

        Raises
        ------
        NotFittedError
            If the forecaster is not fitted.
        ValueError
            If an argument is not as it should be.
        """
        caller = f"{type(self).__name__}.predict"
        panel, horizon, future = self._read_call(horizon, X, y, caller)
        return give_back(panel, self._forecast(panel, horizon, future))

    def predict_quantiles(
        self,
        quantiles: Any = (0.1, 0.5, 0.9),
        horizon: int | None = None,
        X: Any = None,
        y: Any = None,
    ) -> Any:
        """Forecast quantiles of what comes after the end of y.

        A forecaster without quantiles of its own puts as much on either side of its forecasts as
        they were off on the last part of the training data, for each step of the horizon and in
        units of how much each series changed of late: split conformal prediction [1]_. For that a
        clone is fitted to the part before, once; or at each origin of an error, where short series
        have few of them and it is quick. The futures of a few errors overlap, so that intervals
        are wider: by the fewer independent errors that tell as much, and never narrower than a
        step before. Errors are those of forecasts from origins such as the model learned
        from: where these are in phase with the end of the series, only those.

        Between errors lies a straight line, so that the next error, if it is like them, is within
        an interval with its probability on average, and a little more often where errors are the
        rarer the larger they are. When `update` lets the history go on, the errors that have
        become known by that take the places of the oldest: intervals go with the times [2]_. A
        new history ``y`` has those of the forecaster's own.

        Parameters
        ----------
        quantiles : float or array-like of shape (n_quantiles,), default=(0.1, 0.5, 0.9)
            Levels between 0 and 1, ascending.
        horizon, X, y : object, default=None
            As in `predict`.

        Returns
        -------
        forecasts : ndarray, list of ndarray, or frame
            As of `predict`, with a last axis of quantiles; a Series becomes a frame with a column
            for each, a wide frame has them as second level of its columns, and a long frame as
            columns, such as "0.1", beside ``y_pred``. Quantiles never cross.

        References
        ----------
        .. [1] Vovk, V., Gammerman, A. and Shafer, G. "Algorithmic Learning in a Random World."
           Springer, 2005.
        .. [2] Barber, R. F. et al. "Conformal prediction beyond exchangeability." The Annals of
           Statistics 51(2), 2023.
        """
        caller = f"{type(self).__name__}.predict_quantiles"
        levels = check_quantiles(quantiles, caller)
        labels = [f"{level:g}" for level in levels]
        return self._labelled(levels, labels, horizon, X, y, caller)

    def predict_interval(
        self, coverage: float = 0.9, horizon: int | None = None, X: Any = None, y: Any = None
    ) -> Any:
        """Forecast an interval in which what comes lies with some probability.

        Parameters
        ----------
        coverage : float, default=0.9
            The probability.
        horizon, X, y : object, default=None
            As in `predict`.

        Returns
        -------
        intervals : ndarray, list of ndarray, or frame
            As of `predict_quantiles`, with "lower" and "upper".
        """
        caller = f"{type(self).__name__}.predict_interval"
        levels = interval_levels(coverage, caller)
        return self._labelled(levels, ["lower", "upper"], horizon, X, y, caller)

    def sample(
        self,
        n: int,
        horizon: int | None = None,
        X: Any = None,
        y: Any = None,
        random_state: Any = None,
    ) -> Any:
        """Draw paths that what comes after the end of y may take.

        At each step they are distributed as `predict_quantiles` tells. Over the steps of a path
        they keep together as the errors of the forecaster did on the last part of the training
        data: each path takes the ranks that the errors from one origin had among those of their
        steps [1]_ [2]_. For that a clone is fitted to the part before, once, as for the
        intervals of a forecaster without quantiles of its own. So sums, largest values or times
        of a path may be read off, which quantiles of single steps do not tell. Paths of different
        series are independent.

        Parameters
        ----------
        n : int
            Number of paths.
        horizon, X, y : object, default=None
            As in `predict`.
        random_state : int, RandomState or None, default=None
            Draws. With an int the paths are the same each time, and those of a series do not
            depend on the series beside it.

        Returns
        -------
        paths : ndarray, list of ndarray, or frame
            (n, horizon) or (n, horizon, n_series) for arrays, a list of (n, horizon) for a list.
            For a Series a frame with a column for each path, the level of columns named "sample";
            for a wide frame these are the second level of its columns; for a long frame a
            long one: a row for each time of each path, with its number in the column ``sample``
            and its value in ``y_pred``.

        Raises
        ------
        NotFittedError
            If the forecaster is not fitted.
        ValueError
            If an argument is not as it should be, or the training series are too short to hold a
            part of them back.

        References
        ----------
        .. [1] Clark, M. et al. "The Schaake shuffle: A method for reconstructing space-time
           variability in forecasted precipitation and temperature fields." Journal of
           Hydrometeorology 5(1), 2004.
        .. [2] Schefzik, R., Thorarinsdottir, T. L. and Gneiting, T. "Uncertainty quantification in
           complex simulation models using ensemble copula coupling." Statistical Science 28(4),
           2013.

        Examples
        --------
        >>> import numpy as np
        >>> from elman import NaiveForecaster
        >>> y = np.random.RandomState(0).normal(size=200).cumsum()
        >>> model = NaiveForecaster(horizon=12).fit(y)
        >>> paths = model.sample(1000, random_state=0)
        >>> paths.shape
        (1000, 12)
        >>> bool(0.3 < (paths.max(axis=1) > y[-1] + 2).mean() < 0.7)
        True
        """
        caller = f"{type(self).__name__}.sample"
        check_parameters({"n": n, "random_state": random_state}, caller, _SAMPLE_RULES)
        panel, horizon, future = self._read_call(horizon, X, y, caller)
        calibration = self._calibration(horizon, caller)
        seed = int(check_random_state(random_state).randint(LARGEST_SEED))
        generators = [np.random.RandomState([seed, number]) for number in panel.series]
        levels = np.stack([calibration.draw_levels(n, generator) for generator in generators])
        _, paths = self._with_quantiles(panel, horizon, future, levels, caller)
        return give_back_paths(panel, paths)

    def update(self, y: Any, X: Any = None) -> BaseForecaster:
        """Let the history go on, so that the next forecasts begin after it; nothing is fitted.

        What forecasts since the fit would have been off by counts for the next intervals, see
        `predict_quantiles`.

        Parameters
        ----------
        y : object
            What came after the end of y, of the kind of y in `fit`. Times that were left out in
            between are missing; of a long frame some series may be absent.
        X : object, default=None
            Covariates at its times.

        Returns
        -------
        self : BaseForecaster
            The forecaster.

        Raises
        ------
        ValueError
            If an argument is not as it should be. The forecaster then stays as it was.
        """
        caller = f"{type(self).__name__}.update"
        self._panel = self._joined(y, X, caller)
        return self

    def stream(self, horizon: int | None = None, X: Any = None, y: Any = None) -> ForecastStream:
        """Open a stream, which takes one value of each series at a time and forecasts after it.

        Parameters
        ----------
        horizon : int, default=None
            Number of times that are forecast; None is that of the constructor.
        X : object, default=None
            Covariates at the times of ``y``.
        y : object, default=None
            A history to go on from, of the kind of y in `fit`, instead of the one of `fit`.

        Returns
        -------
        stream : ForecastStream
            Its ``step`` takes the values that have come and returns what `predict` gives for the
            history with them; its ``state`` can be read and replaced.

        Raises
        ------
        NotFittedError
            If the forecaster is not fitted.
        ValueError
            If an argument is not as it should be.
        """
        caller = f"{type(self).__name__}.stream"
        panel = self._fitted_panel(caller)
        horizon = self._checked_horizon(self.horizon if horizon is None else horizon, caller)
        if y is not None:
            panel = self._with_static(read_panel(y, X, caller=caller, form=panel.form), caller)
        elif X is not None:
            raise ValueError(problem(caller, "X", f"a {type(X).__name__}", "None without a y"))
        return ForecastStream(self._compact(), horizon, panel)

    def score(self, y: Any, X: Any = None) -> float:
        """Tell how good the forecasts of what came after the end of y are.

        What came is forecast a horizon at a time, each time from all that came before.

        Parameters
        ----------
        y : object
            What came after the end of the history, as of `update`.
        X : object, default=None
            Covariates at its times.

        Returns
        -------
        score : float
            Minus the mean absolute scaled error, in units of the seasonal naive forecast's error
            on the history, averaged over series: the higher the better, and 0 is the best.

        Raises
        ------
        ValueError
            If an argument is not as it should be, or no series has an error to compare with.
        """
        caller = f"{type(self).__name__}.score"
        before = self._fitted_panel(caller)
        panel, horizon = self._joined(y, X, caller), self.horizon
        n_windows = -(-(panel.lengths - before.lengths) // horizon)
        last = before.lengths + (n_windows - 1) * horizon
        series, stops = origins(last, n_windows, horizon)
        errors = np.abs(
            actual_values(panel, series, stops, horizon)
            - forecasts_of(self, panel, series, stops, horizon)
        )
        season = self.season_lengths_[0]
        scale = naive_scale(panel, np.arange(len(panel)), before.lengths, season)
        scaled = errors / np.where(scale > 0, scale, np.nan)[series, None]
        is_known = ~np.isnan(scaled)
        counts = np.bincount(series, is_known.sum(axis=1))
        if not counts.any():
            got = "no known value in a series that had changed before"
            raise ValueError(problem(caller, "y", got, "some"))
        totals = np.bincount(series, np.where(is_known, scaled, 0.0).sum(axis=1))
        return -float((totals[counts > 0] / counts[counts > 0]).mean())

    def backtest(
        self,
        y: Any,
        X: Any = None,
        static: Any = None,
        *,
        horizon: int | None = None,
        step: int | None = None,
        n_windows: int = 5,
        refit: bool | int = False,
        coverage: float | None = None,
        quantiles: Any = None,
    ) -> Any:
        """Forecast series from several points of their past, as if nothing after it were known.

        A clone is fitted; the forecaster itself stays as it is. Intervals are those that `fit`,
        `predict_interval`, `update` with what came until the next point, `predict_interval` and so
        on would have given.

        Parameters
        ----------
        y, X, static : object
            The data, as of `fit`.
        horizon : int, default=None
            Number of times of a forecast; None is that of the constructor.
        step : int, default=None
            Times from one point to the next; None is the horizon.
        n_windows : int, default=5
            Points of each series; the last forecast ends with the series.
        refit : bool or int, default=False
            Whether a clone is fitted at each point, to what is before it, or, with an integer, at
            every so many; otherwise only at the first.
        coverage : float, default=None
            Asks for intervals with this probability.
        quantiles : float or array-like of shape (n_quantiles,), default=None
            Asks for quantiles.

        Returns
        -------
        table : DataFrame
            A row for each step of each forecast: ``unique_id``, ``cutoff`` (the last time that was
            known), ``ds``, ``step``, ``y``, ``y_pred``, ``y_naive``, ``y_seasonal_naive`` where
            there is a season, ``scale`` (the denominator of the MASE), and on request ``lower``,
            ``upper`` and quantiles such as "0.1". `elman.metrics.backtest_report` sums it up.

        Raises
        ------
        ImportError
            If pandas, of the extra "pandas", is not installed.
        ValueError
            If an argument is not as it should be, or the series are too short.
        """
        caller = f"{type(self).__name__}.backtest"
        check_parameters(self.get_params(deep=False), caller, self._rules)
        import_pandas(caller)
        sizes = {"horizon": self.horizon if horizon is None else horizon}
        sizes |= {"step": sizes["horizon"] if step is None else step, "n_windows": n_windows}
        check_parameters(sizes | {"refit": refit}, caller, _BACKTEST_RULES)
        levels, labels = _asked_levels(coverage, quantiles, caller)
        panel = read_panel(y, X, static, caller=caller, columns=tuple(self.columns))
        forecaster = clone(self).set_params(horizon=sizes["horizon"])
        sizes["refit"] = int(refit)
        return backtest_table(forecaster, panel, **sizes, asked=(levels, labels), caller=caller)

    # What these are made of.

    def _fit(self, panel: Panel, caller: str) -> BaseForecaster:
        """Fit to a panel, and commit only if that succeeds."""
        return self._with_history(panel, self._fit_panel(panel, caller))

    def _with_history(self, panel: Panel, attributes: dict[str, Any]) -> BaseForecaster:
        """Commit what was fitted, and the history from which forecasts go on."""
        attributes |= {"_panel": panel, "_training_lengths": panel.lengths, "_calibrations": {}}
        attributes |= {"season_lengths_": self._season_lengths(panel.form), **self._told_of(panel)}
        for name in vars(self).get("_fitted_names", ()):
            self.__dict__.pop(name, None)
        self.__dict__.update(attributes, _fitted_names=tuple(sorted(attributes)))
        return self

    def _told_of(self, panel: Panel) -> dict[str, Any]:
        """Attributes that the history of a fitted forecaster tells."""
        columns = panel.form.covariates
        told: dict[str, Any] = {"n_series_": len(panel)}
        if columns is not None:
            told["n_features_in_"] = len(columns)
            if columns.is_named:
                told["feature_names_in_"] = np.array(columns.names, dtype=object)
        return told

    def _season_lengths(self, form: PanelForm) -> tuple[int, ...]:
        """Seasons in steps, the one that counts most first: the parameter's, or the frequency's."""
        season = self.season_length
        if isinstance(season, str):
            return form.frequency.season_lengths()
        return tuple(map(int, season)) if isinstance(season, tuple) else (int(season),)

    def __sklearn_is_fitted__(self) -> bool:
        return "_panel" in vars(self)

    def _fitted_panel(self, caller: str) -> Panel:
        if not self.__sklearn_is_fitted__():
            raise not_fitted(caller, "history")
        panel: Panel = self._panel
        return panel

    def _read_call(
        self, horizon: Any, X: Any, y: Any, caller: str
    ) -> tuple[Panel, int, Floats | None]:
        """Return the history, the horizon and the covariates to come of a call."""
        panel = self._fitted_panel(caller)
        horizon = self._checked_horizon(self.horizon if horizon is None else horizon, caller)
        needed = self._future_columns(panel.form)
        if y is None:
            return panel, horizon, read_future(X, panel, horizon, caller, needed)
        history, future = read_history(y, X, horizon, caller=caller, form=panel.form, needed=needed)
        return self._with_static(history, caller), horizon, future

    def _with_static(self, history: Panel, caller: str) -> Panel:
        """Return a history that is long enough, with what holds for its series at all times."""
        check_long_enough(history, self._shortest(), "the window", caller)
        static = self._panel.static
        return history if static is None else replace(history, static=static[history.series])

    def _compact(self) -> BaseForecaster:
        """Return the forecaster as it is now, whatever becomes of it, with a short history."""
        compact: BaseForecaster = object.__new__(type(self))
        compact.__dict__.update(vars(self), _calibrations={})
        panel, kept = self._panel, self._tail(self._panel).lengths
        # A panel begins with values, so back to the last one that is known.
        places = np.where(np.isnan(panel.values), 0, np.arange(len(panel.values)))
        first = np.maximum.accumulate(places)[panel.offsets[1:] - kept]
        every, lengths = np.arange(len(panel)), panel.offsets[1:] - first
        compact._panel = panel.cut(every, panel.lengths, lengths)
        compact._training_lengths = np.minimum(self._training_lengths, lengths)
        return compact

    def _checked_horizon(self, horizon: Any, caller: str) -> int:
        check_parameters({"horizon": horizon}, caller, FORECASTER_RULES)
        longest = self._longest_horizon()
        if longest is not None and horizon > longest:
            expected = f"at most {longest}, the horizon of fit"
            raise ValueError(problem(caller, "horizon", horizon, expected))
        return int(horizon)

    def _labelled(
        self, levels: Floats, labels: list[str], horizon: Any, X: Any, y: Any, caller: str
    ) -> Any:
        panel, horizon, future = self._read_call(horizon, X, y, caller)
        point, quantiles = self._with_quantiles(panel, horizon, future, levels, caller)
        return give_back(panel, quantiles, labels, point)

    def _with_quantiles(
        self, panel: Panel, horizon: int, future: Floats | None, levels: Floats, caller: str
    ) -> tuple[Floats, Floats]:
        """Forecast, and quantiles as of `_forecast_quantiles`, the forecaster's own if it has any.

        Otherwise they are the forecasts with the quantiles of their errors.
        """
        if self._has_quantiles():
            point, quantiles = self._forecast_quantiles(panel, horizon, future, levels)
            return point, np.sort(quantiles, axis=2) if levels.ndim == 1 else quantiles
        point = self._forecast(panel, horizon, future)
        elapsed = (self._panel.lengths - self._training_lengths)[panel.series]
        at = panel, np.arange(len(panel)), panel.lengths
        return point, self._quantiles_of_errors(self._panel, elapsed, at, point, levels, caller)

    def _quantiles_of_errors(
        self,
        history: Panel,
        elapsed: Integers,
        at: tuple[Panel, Integers, Integers],
        point: Floats,
        levels: Floats,
        caller: str,
    ) -> Floats:
        """Quantiles around forecasts, of the errors that are known some times after the fit.

        ``history`` are the series of the fit and what came after them; ``at`` are a panel and the
        points of its series from which was forecast, as of `Calibration.quantiles`.
        """
        calibration, bounds = self._calibration(point.shape[1], caller), None
        if calibration.ages is not None and (elapsed > 0).any():
            errors = rolling_errors(self, calibration, history, int(elapsed.max()))
            bounds = partial(errors.bounds, elapsed)
        return calibration.quantiles(*at, point, levels, caller, bounds)

    def _calibration(self, horizon: int, caller: str) -> Calibration:
        """Errors on the last part of the training data, of a model fitted to what is before."""
        known: dict[int, Calibration] = self._calibrations
        if horizon not in known:
            training = self._panel.cut(np.arange(len(self._panel)), self._training_lengths)
            known[horizon] = calibrate(self, training, horizon, caller)
        return known[horizon]

    def _joined(self, y: Any, X: Any, caller: str) -> Panel:
        """Return the history with what came after it."""
        panel = self._fitted_panel(caller)
        later = read_panel(y, X, caller=caller, form=panel.form, goes_on=True)
        return join(panel, later, caller)


def _asked_levels(
    coverage: Any, quantiles: Any, caller: str
) -> tuple[Floats | None, list[list[str]]]:
    """Levels of quantiles that a backtest is asked for, ascending, and the names of each."""
    names: dict[float, list[str]] = {}
    if quantiles is not None:
        for level in check_quantiles(quantiles, caller):
            names.setdefault(float(level), []).append(f"{level:g}")
    if coverage is not None:
        for level, name in zip(interval_levels(coverage, caller), INTERVAL, strict=True):
            names.setdefault(float(level), []).append(name)
    levels = sorted(names)
    return (np.array(levels) if levels else None), [names[level] for level in levels]


def check_long_enough(panel: Panel, n_values: int, why: str, caller: str) -> None:
    """Raise ValueError where a series is shorter than it must be."""
    short = np.flatnonzero(panel.lengths < n_values)
    if len(short):
        i = int(short[0])
        got = f"{panel.lengths[i]} values in series {panel.names[i]!r}"
        raise ValueError(problem(caller, "y", got, f"at least {n_values}, {why}"))


def check_quantiles(quantiles: Any, caller: str) -> Floats:
    """Return quantiles as an array; ValueError unless they ascend between 0 and 1."""
    expected = "numbers between 0 and 1, ascending, each of them once"
    try:
        levels = np.atleast_1d(np.asarray(quantiles, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise ValueError(problem(caller, "quantiles", abbreviated(quantiles), expected)) from error
    is_ascending = levels.ndim == 1 and len(levels) > 0 and bool((np.diff(levels) > 0).all())
    if not is_ascending or not ((levels > 0) & (levels < 1)).all():
        raise ValueError(problem(caller, "quantiles", abbreviated(quantiles), expected))
    return levels


def interval_levels(coverage: Any, caller: str) -> Floats:
    """Return the two quantiles between which the middle of a distribution lies."""
    is_number = isinstance(coverage, Real) and not isinstance(coverage, bool)
    if not is_number or not 0 < coverage < 1:
        got, expected = abbreviated(coverage), "a number between 0 and 1"
        raise ValueError(problem(caller, "coverage", got, expected))
    return np.array([(1 - coverage) / 2, (1 + coverage) / 2])
