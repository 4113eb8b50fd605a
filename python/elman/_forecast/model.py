"""A fitted forecaster: a plan, and networks that agree on a forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman import _core
from elman._forecast.history import Floats, History, restored
from elman._forecast.network import Member, forward
from elman._forecast.plan import Plan
from elman._forecast.series import Series


@dataclass(frozen=True)
class ForecastModel:
    """What a fit leaves behind; it never changes.

    Parameters
    ----------
    plan : Plan
        What the networks read and put out.
    architecture : dict
        Arguments of `_core.Network`.
    members : tuple of Member
        Networks, of which a forecast is the median.
    """

    plan: Plan
    architecture: Mapping[str, Any]
    members: tuple[Member, ...]

    def forecast(
        self, series: Series, horizon: int, levels: Floats | None, n_threads: int
    ) -> tuple[Floats, Floats | None]:
        """Forecast the last ``horizon`` times of each series, whose values nobody knows yet.

        A horizon that is longer than that of the networks goes on from their own forecasts.

        Parameters
        ----------
        series : Series
            Series that end in the times to forecast, with their covariates.
        horizon : int
            How many these are.
        levels : ndarray of shape (n_levels,) or (n_series, horizon, n_levels), or None
            Quantiles that are wanted too.
        n_threads : int
            Never changes a bit.

        Returns
        -------
        forecasts : ndarray of shape (n_series, horizon)
            In the units of y; the median over the networks.
        quantiles : ndarray of shape (n_series, horizon, n_levels) or None
            That of each level.
        """
        history = series.history(self.plan.transform)
        network = _core.Network(**self.architecture)
        told = [
            self._of(member, network, history.writable(), horizon, levels, n_threads)
            for member in self.members
        ]
        point = np.median([point for point, _ in told], axis=0)
        quantiles = [quantiles for _, quantiles in told if quantiles is not None]
        return np.asarray(point), np.asarray(np.median(quantiles, axis=0)) if quantiles else None

    def _of(
        self,
        member: Member,
        network: Any,
        history: History,
        horizon: int,
        levels: Floats | None,
        n_threads: int,
    ) -> tuple[Floats, Floats | None]:
        """Forecasts of one network, which are written into the history where it reads on."""
        plan, told = self.plan, self.plan.distribution
        series = np.arange(history.n_series)
        points, quantiles = [], []
        for done in range(0, horizon, plan.horizon):
            origins = history.ends - horizon + done
            n = min(plan.horizon, horizon - done)
            window = plan.cut(history, series, origins)
            outputs = forward(network, member.parameters, plan, history, window, n_threads)
            outputs = outputs[:, :, :n]
            point = plan.in_units(window, told.point(outputs))
            history.write(origins, point)
            points.append(restored(point, plan.transform))
            if levels is not None:
                of_steps = levels if levels.ndim == 1 else levels[:, done : done + n]
                of_steps = plan.in_units(window, told.quantiles(outputs, of_steps))
                quantiles.append(restored(of_steps, plan.transform))
        point = np.concatenate(points, axis=1)
        return point, None if levels is None else np.concatenate(quantiles, axis=1)
