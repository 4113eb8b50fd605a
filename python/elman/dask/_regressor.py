"""The recurrent regressor on a cluster."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from elman._base import BaseRNN
from elman._moments import unit_of
from elman._regression import RegressionTask
from elman._regressor import RNNRegressor
from elman._split import Samples
from elman.dask._fit import ClusterFit
from elman.dask._lazily import is_lazy


class DaskRNNRegressor(ClusterFit, RNNRegressor):
    """Recurrent neural network for regression, trained on the workers of a dask cluster.

    X and y are dask collections, whose sequences stay on the workers. The mini-batches are those
    that `RNNRegressor` draws from the same ``random_state``; their gradients are computed in a
    fixed number of shards and summed up in a fixed order [1]_, so that a fit gives the same bits
    for any number of workers, whether they die, come late or are slow. It needs
    `distributed.Client`, of the extra "dask".

    Parameters
    ----------
    n_shards : int, default=8
        In how many shards the sequences lie. It belongs to the model as ``random_state`` does:
        other numbers round sums otherwise. No more workers than that have something to do.
    sync_every : int, default=1
        Mini-batches that each shard makes by itself before the weights, and the moments of the
        solver, are averaged over the shards [2]_. With 1 there is one network, and gradients are
        summed instead.
    id, time : str, default=None
        Columns of a dask data frame in long form, which has a row for each step: that which tells
        the sequences apart, and that which orders their steps. All other columns are channels,
        but for those that are named as y or as weights. Without ``id`` a row is a sample, as of a
        pandas data frame.
    **parameters : dict
        Every parameter of `RNNRegressor`, with its meaning and its default. ``n_jobs`` are the
        threads of a task on a worker: None is as many as the worker has. ``solver="lbfgs"`` and
        ``embedding="cooccurrence"`` are not for clusters.

    Attributes
    ----------
    weights_ : dict of ndarray
        The weights by name; beside it there is all that a fitted `RNNRegressor` has.

    See Also
    --------
    elman.RNNRegressor : On one machine.

    References
    ----------
    .. [1] Chen, J. et al. "Revisiting distributed synchronous SGD." arXiv:1604.00981, 2016.
    .. [2] Stich, S. "Local SGD converges fast and communicates little." ICLR, 2019.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from elman.dask import DaskRNNRegressor
    >>> from elman.datasets import generate_time_series
    >>> client = Client(processes=False, n_workers=1, dashboard_address=":0")
    >>> series = da.from_array(generate_time_series(200, 21, random_state=0), chunks=(50, -1, -1))
    >>> model = DaskRNNRegressor(tol=0.1, n_iter_no_change=2, random_state=0)
    >>> model = model.fit(series[:, :20], series[:, 20, 0])
    >>> model.predict(series[:, :20]).compute().shape
    (200,)
    >>> client.close()
    """

    _local_class: ClassVar[type[BaseRNN]] = RNNRegressor

    def predict(
        self,
        X: Any,
        initial_state: dict[str, Any] | None = None,
        return_state: bool = False,
        n_timesteps: int | None = None,
        return_std: bool = False,
    ) -> Any:
        """Predict targets; of a dask collection when they are asked for.

        Parameters
        ----------
        X : dask collection, list of futures, array-like, or list of arrays
            Sequences in one of the forms of `fit`.
        initial_state, return_state, return_std : object
            As of `RNNRegressor.predict`; not for collections.
        n_timesteps : int, default=None
            Length of the output with ``input="vector"``; by default as in `fit`.

        Returns
        -------
        y : dask array, bag or data frame, list of futures, or ndarray
            An array for an array or a table; a bag for a bag; for a frame in long form a frame
            with a row for each sequence, or for each step where there are targets for each; a
            list of futures or delayed values for such a list. What is no collection is predicted
            at once, as by `RNNRegressor`.
        """
        options: dict[str, Any] = {
            "initial_state": initial_state,
            "return_state": return_state,
            "n_timesteps": n_timesteps,
            "return_std": return_std,
        }
        if is_lazy(X):
            return self._lazily("predict", X, **options)
        return super().predict(X, **options)

    def _make_task(
        self, data: Any, settings: dict[str, Any], caller: str, classes: Any, training: Samples
    ) -> RegressionTask:
        moments = data.target_moments(training)
        n, name = data.targets.n_outputs, settings["loss"]
        mean, scale = np.zeros(n), np.ones(n)
        if settings["scale_targets"] and settings["head"] is not None and name != "poisson":
            mean = moments.mean * moments.largest
            scale = unit_of(moments.deviation, moments.largest)
        parameter = {"huber": "huber_delta", "quantile": "quantile"}.get(name)
        return RegressionTask(name, settings[parameter] if parameter else 1.0, mean, scale)
