"""Ridge regression from the window to the horizon: what a network has to beat."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.linear_model import Ridge

from elman._backtest import actual_values, future_covariates, origins
from elman._baselines import filled, with_same_fills
from elman._calendar import Integers
from elman._exceptions import problem
from elman._forecasting import FORECASTER_RULES, BaseForecaster, check_long_enough
from elman._panel import Panel
from elman._panel_form import COLUMNS, Columns
from elman._panel_rows import Floats
from elman._parameters import COUNT, Rule, number

MOST_ELEMENTS = 2**24  # of the matrix of windows: more of them are thinned out
LARGEST = 20.0  # a target in standard deviations: a few beyond would decide everything


class LinearForecaster(BaseForecaster):
    """Linear forecasts from the last values, by ridge regression, one model over all series.

    The last value is taken off the window and off what is to be forecast, and both are divided by
    the window's standard deviation: as the network NLinear [1]_ does, but solved at once. All
    steps of the horizon are forecast directly. The covariates of a step are regressors
    beside the window.

    Parameters
    ----------
    horizon : int, default=1
        Number of times that `predict` forecasts, at most.
    window : int or "auto", default="auto"
        Values from which a forecast is made. "auto" is two of the longest season, or four
        horizons without one, as far as the series are long enough.
    alpha : float, default=1.0
        Strength of the penalty.
    season_length : int, tuple of int or "auto", default="auto"
        Times of a season, or of several. "auto" is told by the frequency of the index. What is
        missing is filled with the value a season before.
    columns : tuple of str, default=("unique_id", "ds", "y")
        Names of the columns of ids, times and values, when y is a frame.

    Attributes
    ----------
    window_ : int
        The window.
    coef_ : ndarray of shape (horizon, window + n_regressors)
        For each step of the horizon the weights of the window and of the step's covariates; a
        column of categories is a regressor for each of them.
    intercept_ : ndarray of shape (horizon,)
        Constants.
    n_series_ : int
        Number of series.
    season_lengths_ : tuple of int
        The seasons.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, when X was a frame.

    References
    ----------
    .. [1] Zeng, A., Chen, M., Zhang, L. and Xu, Q. "Are transformers effective for time series
       forecasting?" AAAI 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from elman import LinearForecaster
    >>> y = np.sin(np.arange(60) / 3)
    >>> forecasts = LinearForecaster(horizon=6, window=12, alpha=1e-6).fit(y[:54]).predict()
    >>> bool(np.abs(forecasts - y[54:]).max() < 1e-3)
    True
    """

    _rules: ClassVar[dict[str, Rule]] = {
        **FORECASTER_RULES,
        "window": Rule(
            lambda value: value == "auto" if isinstance(value, str) else COUNT.passes(value),
            "'auto' or an integer of at least 1",
        ),
        "alpha": number(0),
    }

    def __init__(
        self,
        horizon: int = 1,
        *,
        window: Any = "auto",
        alpha: float = 1.0,
        season_length: Any = "auto",
        columns: tuple[str, str, str] = COLUMNS,
    ) -> None:
        self.horizon = horizon
        self.window = window
        self.alpha = alpha
        self.season_length = season_length
        self.columns = columns

    def _fit_panel(self, panel: Panel, caller: str) -> dict[str, Any]:
        window = self._window(panel)
        check_long_enough(panel, window, "the window", caller)
        series, stops = _training_origins(panel, window, self.horizon)
        targets = actual_values(panel, series, stops, self.horizon)
        is_complete = ~np.isnan(targets).any(axis=1)
        if not is_complete.any():
            longest = int(panel.lengths.max())
            got = f"{longest} values in the longest series"
            expected = f"a window of {window} and a horizon of {self.horizon}, known, somewhere"
            raise ValueError(problem(caller, "y", got, expected))
        series, stops = series[is_complete], stops[is_complete]
        windows = _windows(panel, series, stops, window, self._season(panel))
        unit = _unit(windows)
        inputs, last, scale = _standardised(windows, unit)
        targets = np.clip((targets[is_complete] - last) / scale, -LARGEST, LARGEST)
        future = future_covariates(panel, series, stops, self.horizon)
        scaling = replace(_scaling(future, panel.form.covariates), scale_of_constants=unit)
        regressors = _regressors(future, scaling)
        coef, intercept = _solve(inputs, regressors, targets, self.alpha)
        return {"window_": window, "coef_": coef, "intercept_": intercept, "_scaling": scaling}

    def _forecast(self, panel: Panel, horizon: int, future: Floats | None) -> Floats:
        every, window = np.arange(len(panel)), self.window_
        windows = _windows(panel, every, panel.lengths, window, self._season(panel))
        inputs, last, scale = _standardised(windows, self._scaling.scale_of_constants)
        coef = self.coef_[:horizon]
        # Not a product of matrices, whose rounding depends on how many rows there are.
        outputs = np.einsum("nf,hf->nh", inputs, coef[:, :window]) + self.intercept_[:horizon]
        regressors = _regressors(future, self._scaling)
        if regressors is not None:
            outputs += np.einsum("nhf,hf->nh", regressors, coef[:, window:])
        return np.asarray(outputs * scale + last)

    def _season(self, panel: Panel) -> int:
        return max(self._season_lengths(panel.form))

    def _window(self, panel: Panel) -> int:
        """Return the parameter, or what it is for these series."""
        if not isinstance(self.window, str):
            return int(self.window)
        season = self._season(panel)
        wanted = 2 * season if season > 1 else 4 * self.horizon
        possible = min(panel.lengths.min(), (panel.lengths.max() - self.horizon) // 2)
        return int(np.clip(wanted, 1, max(possible, 1)))

    def _least_training(self, panel: Panel) -> int:
        window = 1 if isinstance(self.window, str) else self.window
        return int(window + self.horizon)

    def _is_fitted_for_each_error(self, are_few: bool) -> bool:
        return are_few

    def _shortest(self) -> int:
        return int(self.window_)

    def _context(self, panel: Panel, series: Integers, stops: Integers) -> Integers:
        return np.full(len(stops), self.window_)

    def _carried(self, panel: Panel) -> Panel:
        return replace(panel, values=filled(panel, self._season(panel)))

    def _tail(self, panel: Panel) -> Panel:
        return with_same_fills(panel, self.window_, self._season(panel))

    def _longest_horizon(self) -> int:
        return len(self.intercept_)


def _training_origins(panel: Panel, window: int, horizon: int) -> tuple[Integers, Integers]:
    """Every point with a window before it and a horizon after it, thinned where they are many."""
    counts = np.maximum(panel.lengths - window - horizon + 1, 0)
    series, stops = origins(panel.lengths - horizon, counts, step=1)
    thinning = -(-len(series) * (window + horizon) // MOST_ELEMENTS)
    return series[:: max(thinning, 1)], stops[:: max(thinning, 1)]


def _windows(panel: Panel, series: Integers, stops: Integers, window: int, season: int) -> Floats:
    """Cut windows (n, window), without holes."""
    values = filled(panel, season)
    return np.asarray(sliding_window_view(values, window)[panel.offsets[series] + stops - window])


def _spread(windows: Floats) -> Floats:
    """Return standard deviations as a column; zero of what is constant but for rounding."""
    spread = windows.std(axis=1, keepdims=True)
    return np.where(spread <= 1e-9 * np.abs(windows[:, -1:]), 0.0, spread)


def _unit(windows: Floats) -> float:
    """Return the mean of the standard deviations that are not zero; 1 without any."""
    spread = _spread(windows)
    return float(np.mean(spread[spread > 0.0])) if (spread > 0.0).any() else 1.0


def _standardised(windows: Floats, unit: float) -> tuple[Floats, Floats, Floats]:
    """Take off the last value and divide by the standard deviation, or a unit where that is zero.

    Returned are the windows, the last values and what they are divided by, both as columns.
    """
    last, spread = windows[:, -1:], _spread(windows)
    scale = np.where(spread == 0.0, unit, spread)
    return (windows - last) / scale, last, scale


def _solve(
    inputs: Floats, regressors: Floats | None, targets: Floats, alpha: float
) -> tuple[Floats, Floats]:
    """Regress each step of the horizon on the window and on the covariates of that step."""
    if regressors is None:
        ridge = Ridge(alpha=alpha).fit(inputs, targets)
        shape = (targets.shape[1], -1)
        # In the order of a file, on which the rounding of sums depends.
        coef = np.ascontiguousarray(ridge.coef_.reshape(shape))
        return coef, np.broadcast_to(ridge.intercept_, shape[:1])
    of_steps = [
        Ridge(alpha=alpha).fit(np.hstack([inputs, regressors[:, step]]), target)
        for step, target in enumerate(targets.T)
    ]
    intercept = np.array([ridge.intercept_ for ridge in of_steps])
    return np.array([ridge.coef_ for ridge in of_steps]), intercept


@dataclass(frozen=True)
class Scaling:
    """How columns of covariates become regressors: centre and scale, or number of categories.

    Parameters
    ----------
    center, scale : ndarray of shape (n_columns,)
        Of numbers.
    n_categories : tuple of int
        Of each column; 0 of numbers.
    scale_of_constants : float, default=1.0
        The standard deviation that windows are taken to have that are constant.
    """

    center: Floats
    scale: Floats
    n_categories: tuple[int, ...]
    scale_of_constants: float = 1.0

    @property
    def n_regressors(self) -> int:
        """Number of regressors at each step."""
        return sum(max(n, 1) for n in self.n_categories)


def _scaling(future: Floats | None, columns: Columns | None) -> Scaling:
    if future is None or columns is None:
        return Scaling(np.zeros(0), np.ones(0), ())
    flat = future.reshape(-1, future.shape[2])
    is_known = ~np.isnan(flat)
    count = np.maximum(is_known.sum(axis=0), 1)
    center = np.where(is_known, flat, 0.0).sum(axis=0) / count
    scale = np.sqrt((np.where(is_known, flat - center, 0.0) ** 2).sum(axis=0) / count)
    scale[scale <= 1e-9 * np.abs(center)] = 1.0
    numbers = tuple(len(columns.categories.get(name, ())) for name in columns.names)
    return Scaling(center, scale, numbers)


def _regressors(future: Floats | None, scaling: Scaling) -> Floats | None:
    """Standardise numbers, spread categories; what is missing says nothing, by a zero."""
    if future is None:
        return None
    parts = []
    for i, n_categories in enumerate(scaling.n_categories):
        column = future[..., i]
        if n_categories:
            parts += [column == code for code in range(n_categories)]
        else:
            parts.append(np.nan_to_num((column - scaling.center[i]) / scaling.scale[i]))
    return np.stack(parts, axis=-1).astype(np.float64)
