"""Forecasts without a model, which every model has to beat."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from elman._baselines import filled_forward, naive_forecast, with_same_fills
from elman._forecasting import FORECASTER_RULES, BaseForecaster, check_long_enough
from elman._panel import Panel
from elman._panel_form import COLUMNS
from elman._panel_rows import Floats
from elman._parameters import Rule, one_of


class NaiveForecaster(BaseForecaster):
    """Repeat what was: the last value, the mean, the drift, or the last season.

    Parameters
    ----------
    horizon : int, default=1
        Number of times that `predict` forecasts.
    strategy : {"last", "mean", "drift", "seasonal", "seasonal_drift"}, default="last"
        What is taken for what comes: the last value; the mean of all values; the line from the
        first value through the last one; the last season; or the last season, moved on by the
        mean difference between seasons.
    season_length : int, tuple of int or "auto", default="auto"
        Times of a season, of several the first. "auto" is told by the frequency of the index: 24
        for hours, 7 for days, 12 for months, …; 1 where there are no dates.
    columns : tuple of str, default=("unique_id", "ds", "y")
        Names of the columns of ids, times and values, when y is a frame.

    Attributes
    ----------
    n_series_ : int
        Number of series.
    season_lengths_ : tuple of int
        The seasons.
    n_features_in_ : int
        Number of columns of X, which is not looked at.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, when X was a frame.

    See Also
    --------
    LinearForecaster : Ridge regression on the window.

    Examples
    --------
    >>> from elman import NaiveForecaster
    >>> model = NaiveForecaster(horizon=3, strategy="seasonal", season_length=2)
    >>> model.fit([1.0, 5.0, 2.0, 6.0]).predict()
    array([2., 6., 2.])
    """

    _rules: ClassVar[dict[str, Rule]] = {
        **FORECASTER_RULES,
        "strategy": one_of("last", "mean", "drift", "seasonal", "seasonal_drift"),
    }

    def __init__(
        self,
        horizon: int = 1,
        *,
        strategy: str = "last",
        season_length: Any = "auto",
        columns: tuple[str, str, str] = COLUMNS,
    ) -> None:
        self.horizon = horizon
        self.strategy = strategy
        self.season_length = season_length
        self.columns = columns

    def _fit_panel(self, panel: Panel, caller: str) -> dict[str, Any]:
        check_long_enough(panel, self._least_training(panel), "the season", caller)
        return {}

    def _least_training(self, panel: Panel) -> int:
        seasons = {"seasonal": 1, "seasonal_drift": 2}.get(self.strategy, 0)
        return max(1, seasons * self._season_lengths(panel.form)[0])

    def _shortest(self) -> int:
        return self._least_training(self._panel)

    def _future_columns(self, form: Any) -> tuple[str, ...]:
        return ()

    def _tail(self, panel: Panel) -> Panel:
        if self.strategy not in ("last", "seasonal"):
            return panel  # means and lines are those of all values
        season = self._season_lengths(panel.form)[0] if self.strategy == "seasonal" else 1
        return with_same_fills(panel, season, season)

    def _forecast(self, panel: Panel, horizon: int, future: Floats | None) -> Floats:
        season = self._season_lengths(panel.form)[0] if "seasonal" in self.strategy else 1
        every, steps = np.arange(len(panel)), np.arange(horizon)
        if self.strategy == "mean":
            return np.repeat(_means(panel.values, panel)[:, None], horizon, axis=1)
        forecasts = naive_forecast(panel, every, panel.lengths, horizon, season)
        if self.strategy == "drift":
            slope, age = _line(panel)
            forecasts = forecasts + slope[:, None] * (steps + 1 + age[:, None])
        if self.strategy == "seasonal_drift":
            growth = np.full(len(panel.values), np.nan)
            growth[season:] = panel.values[season:] - panel.values[:-season]
            within = np.arange(len(growth)) - np.repeat(panel.offsets[:-1], panel.lengths)
            growth[within < season] = np.nan
            per_season = np.nan_to_num(_means(growth, panel))
            forecasts = forecasts + per_season[:, None] * (1 + steps // season)
        return forecasts


def _means(values: Floats, panel: Panel) -> Floats:
    """Mean of what is known of each series; NaN where nothing is."""
    is_known = ~np.isnan(values)
    totals = np.add.reduceat(np.where(is_known, values, 0.0), panel.offsets[:-1])
    counts = np.add.reduceat(is_known, panel.offsets[:-1], dtype=np.int64)
    return np.asarray(np.where(counts > 0, totals / np.maximum(counts, 1), np.nan))


def _line(panel: Panel) -> tuple[Floats, Floats]:
    """Slope from the first known value to the last one, and how many times ago that was."""
    within = np.arange(len(panel.values)) - np.repeat(panel.offsets[:-1], panel.lengths)
    known = np.where(np.isnan(panel.values), 0, within)
    last = np.maximum.reduceat(known, panel.offsets[:-1])  # the first value is always known
    rise = filled_forward(panel)[panel.offsets[1:] - 1] - panel.values[panel.offsets[:-1]]
    return np.asarray(rise / np.maximum(last, 1)), np.asarray(panel.lengths - 1.0 - last)
