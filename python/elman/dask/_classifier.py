"""The recurrent classifier on a cluster."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from elman._base import BaseRNN
from elman._classification import (
    ClassificationTask,
    check_has_classes,
    class_factors,
    classification_task,
)
from elman._classifier import RNNClassifier
from elman._exceptions import problem
from elman._parameters import Rule
from elman._split import Samples
from elman.dask import _partitions as partition
from elman.dask._fit import CLUSTER_RULES, ClusterFit
from elman.dask._lazily import is_lazy
from elman.dask._shards import ShardedData


class DaskRNNClassifier(ClusterFit, RNNClassifier):
    """Recurrent neural network for classification, trained on the workers of a dask cluster.

    What `DaskRNNRegressor` is to `RNNRegressor`, this is to `RNNClassifier`.

    Parameters
    ----------
    n_shards : int, default=8
        In how many shards the sequences lie. It belongs to the model as ``random_state`` does:
        other numbers round sums otherwise. No more workers than that have something to do.
    sync_every : int, default=1
        Mini-batches that each shard makes by itself before the weights, and the moments of the
        solver, are averaged over the shards. With 1 there is one network, and gradients are
        summed instead.
    id, time : str, default=None
        Columns of a dask data frame in long form, which has a row for each step: that which tells
        the sequences apart, and that which orders their steps. All other columns are channels,
        but for those that are named as y or as weights. Without ``id`` a row is a sample, as of a
        pandas data frame.
    **parameters : dict
        Every parameter of `RNNClassifier`, with its meaning and its default. ``n_jobs`` are the
        threads of a task on a worker: None is as many as the worker has. ``solver="lbfgs"`` and
        ``embedding="cooccurrence"`` are not for clusters.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels; beside them there is all that a fitted `RNNClassifier` has.

    See Also
    --------
    elman.RNNClassifier : On one machine.
    DaskRNNRegressor : For numbers; there is told what is promised.
    """

    _local_class: ClassVar[type[BaseRNN]] = RNNClassifier
    _rules: ClassVar[dict[str, Rule]] = {**RNNClassifier._rules, **CLUSTER_RULES}

    def predict(
        self,
        X: Any,
        initial_state: dict[str, Any] | None = None,
        return_state: bool = False,
        n_timesteps: int | None = None,
    ) -> Any:
        """Predict labels; of a dask collection when they are asked for.

        Parameters
        ----------
        X : dask collection, list of futures, array-like, or list of arrays
            Sequences in one of the forms of `fit`.
        initial_state, return_state : object
            As of `RNNClassifier.predict`; not for collections.
        n_timesteps : int, default=None
            Length of the output with ``input="vector"``; by default as in `fit`.

        Returns
        -------
        y : dask array, bag or data frame, list of futures, or ndarray
            In the kind of X, as of `DaskRNNRegressor.predict`.
        """
        options: dict[str, Any] = {
            "initial_state": initial_state,
            "return_state": return_state,
            "n_timesteps": n_timesteps,
        }
        if is_lazy(X):
            return self._lazily("predict", X, **options)
        return super().predict(X, **options)

    def predict_proba(self, X: Any) -> Any:
        """Predict probabilities of classes; of a dask collection when they are asked for.

        Parameters
        ----------
        X : dask collection, list of futures, array-like, or list of arrays
            Sequences in one of the forms of `fit`.

        Returns
        -------
        p : dask array, bag or data frame, list of futures, or ndarray
            Probabilities in the order of `classes_`, in the kind of X.
        """
        return self._lazily("predict_proba", X) if is_lazy(X) else super().predict_proba(X)

    def predict_log_proba(self, X: Any) -> Any:
        """Predict logarithms of probabilities; of a dask collection when they are asked for.

        Parameters
        ----------
        X : dask collection, list of futures, array-like, or list of arrays
            Sequences in one of the forms of `fit`.

        Returns
        -------
        log_p : dask array, bag or data frame, list of futures, or ndarray
            Logarithms, in the form of `predict_proba`.
        """
        if is_lazy(X):
            return self._lazily("predict_log_proba", X)
        return super().predict_log_proba(X)

    def _make_task(
        self, data: Any, settings: dict[str, Any], caller: str, classes: Any, training: Samples
    ) -> ClassificationTask:
        if caller.endswith(".partial_fit") and classes is None:
            expected = "all classes in the first call of partial_fit"
            raise ValueError(problem(caller, "classes", "None", expected))
        distinct = np.concatenate(data.ask(partition.distinct_rows))
        return classification_task(distinct, caller, classes)

    def _class_factors(
        self, data: ShardedData, samples: Samples, task: Any, settings: Any, caller: str
    ) -> NDArray[np.float64] | None:
        class_weight = settings["class_weight"]
        if class_weight is None:
            return None
        check_has_classes(class_weight, task, caller)
        if class_weight == "balanced" and caller.endswith(".partial_fit"):
            expected = "None or a dict: partial_fit does not see how often a class comes"
            raise ValueError(problem(caller, "class_weight", "'balanced'", expected))
        counts = data.ask_of(samples, partition.counts_of_classes, task, caller)
        return class_factors(class_weight, task, np.sum(counts, axis=0), caller)
