"""What the estimators on a cluster share: a fit whose data and mini-batches are the workers'."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array
from elman._base import BaseRNN, settings_of
from elman._data import Reader
from elman._estimator import warn_of_batch_size
from elman._exceptions import DivergenceError, problem
from elman._model import Model
from elman._parameters import COUNT, RULES, Rule, or_none
from elman._split import Samples
from elman._tokens import dropout_of_rare, given_token_dropout
from elman._training import Examples, Training
from elman.dask import _partitions as partition
from elman.dask import _shards as shards
from elman.dask._cluster import Cluster, let_go
from elman.dask._collections import partitions
from elman.dask._lazily import is_lazy, lazily
from elman.dask._shards import Placement, ShardedData
from elman.dask._steps import Recipe, State
from elman.dask._training import ClusterTrainer, ClusterTraining

_NAME = or_none(Rule(lambda value: isinstance(value, str), "the name of a column"))

CLUSTER_RULES: dict[str, Rule] = {
    "n_shards": COUNT,
    "sync_every": COUNT,
    "id": _NAME,
    "time": _NAME,
}
"""Rules of the parameters that estimators on a cluster have beside those of their class."""


class ClusterFit(BaseRNN):
    """Reads, trains and predicts on a cluster; the class beside it tells what is predicted."""

    _rules: ClassVar[dict[str, Rule]] = {**RULES, **CLUSTER_RULES}
    _local_class: ClassVar[type[BaseRNN]]

    def __init__(
        self,
        *,
        n_shards: int = 8,
        sync_every: int = 1,
        id: str | None = None,
        time: str | None = None,
        **parameters: Any,
    ) -> None:
        super().__init__(**parameters)
        self.n_shards = n_shards
        self.sync_every = sync_every
        self.id = id
        self.time = time

    @classmethod
    @functools.cache
    def _get_param_names(cls) -> list[str]:
        return sorted([*cls._local_class._get_param_names(), *CLUSTER_RULES])

    def to_local(self) -> Any:
        """Return the fitted estimator without the cluster: what `elman.save` writes.

        Returns
        -------
        model : RNNRegressor or RNNClassifier
            It predicts the same bits.
        """
        model = self._fitted_model("to_local")
        parameters = self.get_params(deep=False)
        local = self._local_class(
            **{name: value for name, value in parameters.items() if name not in CLUSTER_RULES}
        )
        local._commit(model, None)
        return local

    def _fit(self, method: str, *arguments: Any, **more: Any) -> BaseRNN:
        fitted = super()._fit(method, *arguments, **more)
        let_go(f"{type(self).__name__}.{method}")
        return fitted

    # Reading.

    def _read(self, reader: Reader, X: Any, y: Any, sample_weight: Any, suffix: str = "") -> Any:
        settings = self.get_params(deep=False)
        caller = reader.caller
        self._refuse_what_is_not_for_clusters(settings, caller)
        cluster = Cluster(caller)
        names = (settings["id"], settings["time"])
        n_shards = settings["n_shards"]
        parts = partitions(X, y, sample_weight, names, n_shards, caller)
        holder: Any = object.__new__(self._local_class)
        holder.__dict__.update(reader.names.__dict__)
        return shards.read(cluster, parts, replace(reader, names=holder), n_shards)

    @staticmethod
    def _refuse_what_is_not_for_clusters(settings: dict[str, Any], caller: str) -> None:
        if settings["solver"] == "lbfgs":
            expected = "a solver of mini-batches on a cluster"
            raise ValueError(problem(caller, "solver", "'lbfgs'", expected))
        if isinstance(settings["embedding"], str):
            got, expected = repr(settings["embedding"]), "an array or None on a cluster"
            raise ValueError(problem(caller, "embedding", got, expected))
        if settings["time"] is not None and settings["id"] is None:
            got = repr(settings["time"])
            raise ValueError(problem(caller, "time", got, "None without id"))

    # Training.

    def _class_factors(
        self, data: ShardedData, samples: Samples, task: Any, settings: Any, caller: str
    ) -> NDArray[np.float64] | None:
        """Weight of each class, where there is one."""
        return None

    def _training(
        self,
        data: Any,
        samples: Samples,
        held_out: Any,
        model: Model,
        settings: dict[str, Any],
        caller: str,
        is_partial: bool,
    ) -> Training:
        """Bring data and settings into the form of the workers."""
        task, cluster = model.task, data.cluster
        factors = self._class_factors(data, samples, task, settings, caller)
        arguments = (task, factors, caller)
        futures = [cluster.submit(partition.shard_of, d, *arguments) for d in data.futures]
        order = np.arange(len(data.sequences))
        if data.has_weights or factors is not None:
            weighted = replace(data, futures=futures).ask(partition.weighted_members)
            order = data.numbered(weighted)
        order = np.intersect1d(samples, order, assume_unique=True)
        if len(order) == 0:
            got = "weights that are all zero together with class_weight"
            raise ValueError(problem(caller, "sample_weight", got, "a positive one"))
        warn_of_batch_size(settings["batch_size"], len(order), caller)
        n_jobs, every = settings["n_jobs"], settings["sync_every"]

        def make_trainer(options: dict[str, Any], state: State) -> ClusterTrainer:
            recipe = Recipe(cluster.name, model.architecture, options, len(futures), n_jobs)
            return ClusterTrainer(Placement(cluster, futures), recipe, state, every)

        nothing = np.empty(0, dtype=np.int64)
        return ClusterTraining(
            model.network(),
            model.training,
            Examples(nothing, nothing, nothing, None, order, data.targets.per_step),
            settings,
            task,
            1,
            caller,
            None if held_out is None else _scorer(model, held_out, caller),
            is_partial,
            self._token_dropout(data, order, settings),
            make_trainer=make_trainer,
            data=data,
        )

    @staticmethod
    def _token_dropout(data: ShardedData, order: Samples, settings: dict[str, Any]) -> Any:
        if settings["input"] != "tokens":
            return 0.0
        share, n_tokens = settings["token_dropout"], data.inputs.n_tokens
        if not isinstance(share, str):
            return given_token_dropout(share, n_tokens, data.caller)
        counts = np.sum(data.ask_of(order, partition.counts_of_tokens, n_tokens), axis=0)
        return dropout_of_rare(counts)

    # Predicting.

    def _lazily(self, method: str, X: Any, **options: Any) -> Any:
        """Return predictions of a collection, which are made when they are asked for."""
        self._fitted_model(method)
        form = (self.id, self.time) if self.id is not None else None
        return lazily(self.to_local(), method, X, options, form, f"{type(self).__name__}.{method}")

    def _score(self, X: Any, y: Any, sample_weight: Any) -> float:
        if not is_lazy(X):
            return super()._score(X, y, sample_weight)
        model = self._fitted_model("score")
        caller = f"{type(self).__name__}.score"
        reader = self._reader(settings_of(model), caller, model)
        score = float(_scorer(model, self._read(reader, X, y, sample_weight), caller)(None))
        let_go(caller)
        return score


def _scorer(model: Model, data: ShardedData, caller: str) -> Callable[[Array | None], float]:
    """Return a function that scores the model, or other parameters of it, on data."""
    found = data.ask(partition.rows_and_weights)
    rows = np.concatenate([rows for rows, _ in found])
    weights = np.concatenate([weights for _, weights in found]) if data.has_weights else None

    def score(parameters: Array | None) -> float:
        folded = model.parameters
        if parameters is not None:
            folded = model.task.fold(model.network(), parameters)
        arguments = (model.architecture, folded, model.task)
        found = data.ask(partition.predicted, *arguments)
        if parameters is not None and not all(is_finite for _, is_finite in found):
            got = "predictions on the validation data that are not finite"
            raise DivergenceError(
                problem(caller, "learning_rate_init", got, "finite values: lower it")
            )
        predicted = np.concatenate([predicted for predicted, _ in found])
        return float(model.task.score(rows, predicted, weights))

    return score
