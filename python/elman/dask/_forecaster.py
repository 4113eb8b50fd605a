"""The forecaster on a cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import dask
import numpy as np
from sklearn.base import BaseEstimator

from elman._callbacks import exclusively, progress
from elman._estimator import LARGEST_SEED, generator
from elman._exceptions import not_fitted, problem
from elman._forecast.fit import origins_of, training_of
from elman._forecast.model import ForecastModel
from elman._forecaster import RNNForecaster
from elman._panel_form import PanelForm
from elman._parameters import COUNT, Rule, check_parameters
from elman.dask import _series as part
from elman.dask._cluster import Cluster, let_go
from elman.dask._collections import Collection, check_as_many, collection
from elman.dask._course import ClusterCourse, ShardedSeries, nothing, plan_of, read
from elman.dask._partitions import is_empty, listed


class DaskRNNForecaster(RNNForecaster):
    """Forecaster of many series, trained on the workers of a dask cluster.

    One network, or an ensemble of them, learns from the series of all partitions, which stay on
    the workers: what `RNNForecaster` is with ``strategy_panel="global"``. The mini-batches are
    those that it draws from the same ``random_state``; gradients are summed up as
    `DaskRNNRegressor` does.

    Parameters
    ----------
    horizon : int, default=1
        Number of times to forecast.
    window : int or "auto", default="auto"
        Number of past values that a forecast looks at.
    strategy : {"direct", "recursive", "seq2seq", "parallel"}, default="direct"
        As of `RNNForecaster`.
    n_shards : int, default=8
        In how many shards the series lie. It belongs to the model as ``random_state`` does: other
        numbers round sums otherwise. No more workers than that have something to do.
    sync_every : int, default=1
        Mini-batches that each shard makes by itself before the weights, and the moments of the
        solver, are averaged over the shards. With 1 gradients are summed instead.
    **parameters : dict
        Every other parameter of `RNNForecaster`, with its meaning and its default. What "auto"
        means is told by up to 1000 series, evenly spaced. ``series_identity`` and
        ``strategy_panel="local"`` are not for clusters.

    Attributes
    ----------
    n_series_ : int
        Number of series.
    plan_, loss_curve_, validation_curve_, n_parameters_, season_lengths_ : object
        As of `RNNForecaster`.

    See Also
    --------
    elman.RNNForecaster : On one machine.
    DaskRNNRegressor : There is told what is promised.
    """

    _rules: ClassVar[dict[str, Rule]] = {
        **RNNForecaster._rules,
        "n_shards": COUNT,
        "sync_every": COUNT,
    }

    def __init__(
        self,
        horizon: int = 1,
        window: Any = "auto",
        strategy: str = "direct",
        *,
        n_shards: int = 8,
        sync_every: int = 1,
        **parameters: Any,
    ) -> None:
        super().__init__(horizon, window, strategy, **parameters)
        self.n_shards = n_shards
        self.sync_every = sync_every

    @classmethod
    def _get_param_names(cls) -> list[str]:
        return sorted([*RNNForecaster._get_param_names(), "n_shards", "sync_every"])

    def fit(self, y: Any, X: Any = None, static: Any = None) -> DaskRNNForecaster:
        """Fit the networks to series.

        Parameters
        ----------
        y : dask data frame or bag, or list of futures or delayed values
            A frame in long form, with the columns ``unique_id``, ``ds`` and ``y``, each series in
            one partition; a bag of series (n_times_i,); or partitions, each in a form that
            `RNNForecaster` takes.
        X : dask data frame or bag, or list of futures or delayed values, default=None
            Covariates at the times of y, in as many partitions, each with those of its series.
            They are numbers; ``static_covariates`` names those that hold at all times.
        static : None
            Not for clusters.

        Returns
        -------
        self : DaskRNNForecaster
            The fitted forecaster.

        Raises
        ------
        ValueError
            If a parameter or the data are not as they should be; the forecaster then stays as it
            was.
        """
        caller = f"{type(self).__name__}.fit"
        with exclusively(self, caller):
            settings = self.get_params(deep=False)
            check_parameters(settings, caller, self._rules)
            _refuse_what_is_not_for_clusters(settings, static, caller)
            self.__dict__.update(self._fit_parts(_partitions(y, X, self.n_shards, caller), caller))
        let_go(caller)
        return self

    def _fit_parts(
        self, parts: tuple[Collection, Collection | None], caller: str
    ) -> dict[str, Any]:
        """Fit to partitions, change nothing of the estimator, and return its attributes."""
        settings, reader = self.get_params(deep=False), self._reader(caller)
        series = read(Cluster(caller), parts, reader, settings)
        model, random_state = self._train(series, settings, caller)
        if isinstance(self.random_state, np.random.RandomState):
            self.random_state.set_state(random_state.get_state())
        shortest = settings["window"]
        if shortest == "auto":
            shortest = model.plan.least_length
        found = {
            "_models": (model,),
            "_reader_of_fit": replace(reader, caller=""),
            "_shortest_series": shortest,
            **self._told_of_models((model,)),
        }
        return {
            "_found": found,
            "_form": series.form,
            "_parts": parts,
            "n_series_": len(series.lengths),
            "season_lengths_": self._season_lengths(series.form),
            **found,
        }

    def _train(
        self, series: ShardedSeries, settings: dict[str, Any], caller: str
    ) -> tuple[ForecastModel, np.random.RandomState]:
        settings["quantiles"] = tuple(map(float, self.quantiles))
        settings["season_lengths"] = self._season_lengths(series.form)
        random_state = generator(self.random_state, None, False)
        plan = plan_of(series, settings, caller)
        origins, held_out, n_beyond = origins_of(plan, series.lengths, settings, caller)
        arguments = (plan, n_beyond, caller)
        cluster = series.cluster
        futures = [cluster.submit(part.shard_of, s, *arguments) for s in series.futures]
        shards = replace(series, futures=futures)
        training = training_of(plan, origins, settings, caller)
        rest = (shards, n_beyond, settings["sync_every"], settings["n_jobs"])
        course = ClusterCourse(plan, *training, nothing(), origins, held_out, caller, *rest)
        with progress(self.verbose, type(self).__name__, "update") as show:

            def report(n_updates: int, loss: float) -> None:
                show(n_updates, f"loss {loss:.6g}")

            seeds = random_state.randint(LARGEST_SEED, size=settings["n_estimators"])
            members = tuple(course.run(int(seed), 1, report) for seed in seeds)
        return ForecastModel(plan, course.architecture, members), random_state

    def to_local(self, y: Any, X: Any = None) -> RNNForecaster:
        """Return a forecaster without the cluster, which goes on from a history.

        Parameters
        ----------
        y, X : object
            Series and their covariates in a form that `RNNForecaster.fit` takes.

        Returns
        -------
        forecaster : RNNForecaster
            With everything that a fitted one can do; `elman.save` writes it.
        """
        self._check_fitted("to_local")
        parameters = self.get_params(deep=False)
        for name in ("n_shards", "sync_every"):
            del parameters[name]
        return _with_history(parameters, self._found, y, X)

    def predict(self, horizon: int | None = None, X: Any = None, y: Any = None) -> Any:
        """Forecast what comes after the end of y, when it is asked for.

        Parameters
        ----------
        horizon : int, default=None
            Number of times; None is that of the constructor.
        X : dask collection, default=None
            Covariates at the times to come, in partitions as those of y. With ``y``, at its times
            and those to come.
        y : dask collection, default=None
            A history to go on from, instead of the one of `fit`.

        Returns
        -------
        forecasts : dask data frame or bag, or list of delayed values
            In the kind of y: a frame in long form has ``y_pred``.
        """
        return self._lazily("predict", (), horizon, X, y)

    def predict_quantiles(
        self,
        quantiles: Any = (0.1, 0.5, 0.9),
        horizon: int | None = None,
        X: Any = None,
        y: Any = None,
    ) -> Any:
        """Forecast quantiles of what comes after the end of y, when they are asked for.

        Parameters
        ----------
        quantiles : float or array-like of shape (n_quantiles,), default=(0.1, 0.5, 0.9)
            Levels between 0 and 1, ascending.
        horizon, X, y : object, default=None
            As in `predict`.

        Returns
        -------
        forecasts : dask data frame or bag, or list of delayed values
            As of `predict`, with a column or a last axis of quantiles.

        Raises
        ------
        ValueError
            If the loss tells no quantiles: what `RNNForecaster` does then, to fit again without
            the last part of the series, it does not do on a cluster.
        """
        return self._lazily("predict_quantiles", (quantiles,), horizon, X, y)

    def predict_interval(
        self, coverage: float = 0.9, horizon: int | None = None, X: Any = None, y: Any = None
    ) -> Any:
        """Forecast an interval in which what comes lies with some probability, lazily.

        Parameters
        ----------
        coverage : float, default=0.9
            The probability.
        horizon, X, y : object, default=None
            As in `predict`.

        Returns
        -------
        intervals : dask data frame or bag, or list of delayed values
            As of `predict_quantiles`, with "lower" and "upper".
        """
        return self._lazily("predict_interval", (coverage,), horizon, X, y)

    def _lazily(self, method: str, levels: tuple[Any, ...], horizon: Any, X: Any, y: Any) -> Any:
        self._check_fitted(method)
        caller = f"{type(self).__name__}.{method}"
        horizon = self._checked_horizon(self.horizon if horizon is None else horizon, caller)
        if method != "predict" and not self._models[0].plan.distribution.has_quantiles:
            expected = "one that tells quantiles, such as 'quantile', on a cluster"
            raise ValueError(problem(caller, "loss", repr(self.loss), expected))
        known, later = self._parts
        if y is not None:
            known, later = _partitions(y, None, 1, caller)
        ahead = None if X is None else collection(X, 1, caller, "X")
        if ahead is not None:
            check_as_many(ahead, known, caller, "X", "y")
        parameters = self.get_params(deep=False)
        for name in ("n_shards", "sync_every"):
            del parameters[name]
        if parameters["n_jobs"] is None:
            parameters["n_jobs"] = 1  # a worker's threads have a partition each
        shared = dask.delayed((parameters, self._found, self._form), traverse=False)
        call = dask.delayed(_forecast)
        nothing = [None] * len(known.parts)
        results = [
            call(shared, method, levels, horizon, of_y, of_X, of_future, y is not None)
            for of_y, of_X, of_future in zip(
                known.parts,
                nothing if later is None else later.parts,
                nothing if ahead is None else ahead.parts,
                strict=True,
            )
        ]
        return self._put_together(known, results, method, levels)

    def _put_together(
        self, known: Collection, results: list[Any], method: str, levels: tuple[Any, ...]
    ) -> Any:
        if known.kind == "bag":
            from dask import bag

            return bag.from_delayed([dask.delayed(list)(result) for result in results])
        if known.kind != "frame":
            return results
        import pandas as pd
        from dask import dataframe

        id_column, time_column, _ = self.columns
        meta = known.whole._meta
        columns = {name: meta[name].iloc[:0] for name in (id_column, time_column)}
        labels = ["y_pred"]
        if method == "predict_quantiles":
            labels += [f"{level:g}" for level in np.atleast_1d(levels[0])]
        elif method == "predict_interval":
            labels += ["lower", "upper"]
        empty = pd.DataFrame({**columns, **dict.fromkeys(labels, pd.Series(dtype=float))})
        return dataframe.from_delayed(results, meta=empty, verify_meta=False)

    def _check_fitted(self, method: str) -> None:
        if "_found" not in vars(self):
            raise not_fitted(f"{type(self).__name__}.{method}", "networks")

    def __sklearn_is_fitted__(self) -> bool:
        return "_found" in vars(self)

    # A pickle goes the way of all estimators: it holds partitions, which no model file does.

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = BaseEstimator.__getstate__(self)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        BaseEstimator.__setstate__(self, state)

    def _fitted_panel(self, caller: str) -> Any:
        self._check_fitted(caller.split(".")[-1])
        raise AttributeError(
            f"{caller}: the series lie on the workers, expected to_local(y), which goes on from a "
            "history that is here"
        )


def _refuse_what_is_not_for_clusters(settings: dict[str, Any], static: Any, caller: str) -> None:
    if settings["series_identity"]:
        raise ValueError(problem(caller, "series_identity", "True", "False on a cluster"))
    if settings["strategy_panel"] != "global":
        got = repr(settings["strategy_panel"])
        expected = "'global' on a cluster; of local ones, fit an RNNForecaster in each partition"
        raise ValueError(problem(caller, "strategy_panel", got, expected))
    if static is not None:
        got = f"a {type(static).__name__}"
        expected = "None on a cluster: columns of X that static_covariates names"
        raise ValueError(problem(caller, "static", got, expected))


def _partitions(y: Any, X: Any, n_parts: int, caller: str) -> tuple[Collection, Collection | None]:
    series = collection(y, n_parts, caller, "y")
    if series.kind == "array":
        expected = "a dask data frame in long form, a bag of series, or a list of partitions"
        raise ValueError(problem(caller, "y", "a dask array", expected))
    if X is None:
        return series, None
    covariates = collection(X, n_parts, caller, "X")
    check_as_many(covariates, series, caller, "X", "y")
    return series, covariates


def _with_history(
    parameters: dict[str, Any], found: dict[str, Any], y: Any, X: Any
) -> RNNForecaster:
    forecaster = RNNForecaster(**parameters)
    panel = part.panel_of(y, X, tuple(parameters["columns"]), "RNNForecaster.fit")
    forecaster._with_history(panel, dict(found))
    return forecaster


def _forecast(
    shared: tuple[dict[str, Any], dict[str, Any], PanelForm],
    method: str,
    levels: tuple[Any, ...],
    horizon: int,
    y: Any,
    X: Any,
    future: Any,
    is_new: bool,
) -> Any:
    """Forecast the series of a partition."""
    parameters, found, form = shared
    y = listed(y)
    if is_empty(y):
        return y if isinstance(y, list) else y.rename(columns={parameters["columns"][2]: "y_pred"})
    forecaster = _with_history(parameters, found, y, X)
    if not is_new or future is None:
        return getattr(forecaster, method)(*levels, horizon=horizon, X=future)
    panel = forecaster._panel
    forecaster._panel = replace(panel, form=replace(panel.form, covariates=form.covariates))
    return getattr(forecaster, method)(*levels, horizon=horizon, X=future, y=y)
