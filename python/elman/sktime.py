"""The forecasters in sktime: an adapter, for its pipelines, its tuning and its evaluation."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone

from elman._calendar import Integers
from elman._exceptions import problem
from elman._forecaster import RNNForecaster
from elman._forecasting import BaseForecaster as Forecaster
from elman._naive import NaiveForecaster

try:
    import pandas as pd
    from sktime.forecasting.base import BaseForecaster
except ImportError as error:
    raise ImportError("elman.sktime: it needs sktime: pip install 'elman[sktime]'") from error


class SktimeForecaster(BaseForecaster):
    """A forecaster as sktime has them.

    The columns of y are series of one model, each of which is forecast from its own past. The
    horizon is that of `fit`: the largest step of ``fh``, and steps that ``fh`` leaves out are
    forecast, too, and not given back; X must be known for them. There are no forecasts
    within the training data.

    Parameters
    ----------
    forecaster : BaseForecaster, default=None
        The forecaster of elman that a clone is fitted of, with the horizon that ``fh`` asks for;
        None is an `RNNForecaster`.

    Attributes
    ----------
    forecaster_ : BaseForecaster
        The fitted clone.

    See Also
    --------
    elman.RNNForecaster : The networks.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from elman import NaiveForecaster
    >>> from elman.sktime import SktimeForecaster
    >>> y = pd.Series(np.arange(8.0), pd.period_range("2020-01", periods=8, freq="M"))
    >>> model = SktimeForecaster(NaiveForecaster(strategy="drift")).fit(y, fh=[1, 3])
    >>> model.predict()
    2020-09     8.0
    2020-11    10.0
    Freq: M, dtype: float64
    """

    _tags: ClassVar[dict[str, Any]] = {
        "authors": "elman developers",
        "maintainers": "elman developers",
        "y_inner_mtype": "pd.DataFrame",
        "X_inner_mtype": "pd.DataFrame",
        "requires-fh-in-fit": True,
        "X-y-must-have-same-index": True,
        "capability:multivariate": True,
        "capability:exogenous": True,
        "capability:categorical_in_X": True,
        "capability:non_contiguous_X": False,
        "capability:missing_values": True,
        "capability:insample": False,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "capability:update": True,
    }

    # The adapter keeps the data itself, so that updates go on without this.
    _config: ClassVar[dict[str, Any]] = {"remember_data": False}

    def __init__(self, forecaster: Forecaster | None = None) -> None:
        self.forecaster = forecaster
        super().__init__()
        self._y = self._X = None  # which sktime fills if it is told to remember the data

    def _fit(self, y: Any, X: Any, fh: Any) -> SktimeForecaster:
        forecaster = RNNForecaster() if self.forecaster is None else clone(self.forecaster)
        horizon = int(self._steps(fh, "fit").max())
        self.forecaster_ = forecaster.set_params(horizon=horizon).fit(y, X)
        self._history, self._covariates = y, X
        return self

    def _update(self, y: Any, X: Any = None, update_params: bool = True) -> SktimeForecaster:
        history = _joined(self._history, y)
        covariates = None if self._covariates is None else _joined(self._covariates, X)
        if update_params:
            return self._fit(history, covariates, self.fh)
        self._history, self._covariates = history, covariates
        return self

    def _predict(self, fh: Any, X: Any) -> Any:
        steps, arguments = self._call(fh, X, "predict")
        forecasts = np.asarray(self.forecaster_.predict(**arguments))
        return pd.DataFrame(forecasts[steps - 1], self._index(fh), self._history.columns)

    def _predict_quantiles(self, fh: Any, X: Any, alpha: Any) -> Any:
        steps, arguments = self._call(fh, X, "predict_quantiles")
        levels = np.unique(alpha)
        forecasts = np.asarray(self.forecaster_.predict_quantiles(levels, **arguments))
        forecasts = forecasts.reshape(len(forecasts), -1, len(levels))[steps - 1]
        table = forecasts[:, :, np.searchsorted(levels, alpha)].reshape(len(steps), -1)
        columns = pd.MultiIndex.from_product([self._get_varnames(), alpha])
        return pd.DataFrame(table, self._index(fh), columns)

    def _call(self, fh: Any, X: Any, method: str) -> tuple[Integers, dict[str, Any]]:
        """Return the steps that are asked for, and the arguments of the forecaster's method."""
        steps = self._steps(fh, method)
        horizon = int(steps.max())
        covariates = None
        if self._covariates is not None and X is not None:
            ahead = X[X.index > self._history.index[-1]].iloc[:horizon]
            covariates = _joined(self._covariates, ahead)
        return steps, {"horizon": horizon, "y": self._history, "X": covariates}

    def _steps(self, fh: Any, method: str) -> Integers:
        """Return the steps after the end of the history."""
        steps = np.asarray(fh.to_relative(self.cutoff).to_numpy(), dtype=np.int64)
        if (steps < 1).any():
            caller = f"{type(self).__name__}.{method}"
            expected = "steps after the end of y"
            raise NotImplementedError(problem(caller, "fh", f"step {steps.min()}", expected))
        return steps

    def _index(self, fh: Any) -> Any:
        return fh.to_absolute_index(self.cutoff)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return parameters with which sktime tests the class: what is fitted in no time.

        Parameters
        ----------
        parameter_set : str, default="default"
            Not looked at.

        Returns
        -------
        parameters : list of dict
            Arguments of the constructor.
        """
        network = RNNForecaster(
            hidden_layer_sizes=(4,), n_updates=5, n_estimators=1, loss="quantile", random_state=0
        )
        return [{"forecaster": network}, {"forecaster": NaiveForecaster(strategy="drift")}]


def _joined(before: Any, after: Any) -> Any:
    """Let a frame go on; rows at times that it had, and has again, are the later ones."""
    if after is None:
        return before
    both = pd.concat([before, after])
    return both[~both.index.duplicated(keep="last")].sort_index()
