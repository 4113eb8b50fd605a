"""Gaps in series, filled by a recurrent network that reads them in both directions."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
from sklearn import get_config
from sklearn.base import OneToOneFeatureMixin, TransformerMixin

from elman._arrays import Array
from elman._brits import brits
from elman._callbacks import FitObserver, exclusively, progress, with_callbacks
from elman._estimator import LARGEST_SEED, BaseNetworkEstimator, generator
from elman._exceptions import abbreviated, problem
from elman._gappy import GappySeries, read_gappy
from elman._gaps import Bools, check_gaps, gap_lengths, gap_shapes
from elman._imputation import ImputationModel, ImputationTraining
from elman._mixture import mixture
from elman._parameters import (
    COUNT,
    RULES,
    Rule,
    check_network_parameters,
    check_parameters,
    one_of,
)
from elman._scaler import segment_statistics
from elman._threads import effective_n_threads
from elman._training import TrainingState

LEAST_WINDOW, LARGEST_WINDOW, LARGEST_WHOLE = 48, 256, 96
"""Steps of `window="auto"`: at least, at most, and of series that are one window as a whole."""

METHODS: dict[str, Any] = {"mixture": mixture, "brits": brits}

FIXED = {
    "activation": "tanh",
    "reset_after": True,
    "merge_mode": "concat",
    "residual": False,
    "layer_norm": False,
    "head": "dense",
    "missing": None,
    "input": "sequence",
    "output": "sequence",
    "recurrent_dropout": 0.0,
    "bptt_memory": "full",
}
"""What other estimators let their users choose of a network."""


def _is_auto_or(value: Any, rule: Rule) -> bool:
    return value == "auto" if isinstance(value, str) else rule.passes(value)


_SHARED = [
    "cell",
    "hidden_layer_sizes",
    "bidirectional",
    "n_channels",
    "alpha",
    "learning_rate_init",
    "clip_norm",
    "dropout",
    "max_iter",
    "n_jobs",
    "random_state",
    "verbose",
]


class RNNImputer(OneToOneFeatureMixin, TransformerMixin, BaseNetworkEstimator):
    """Fill gaps in series.

    ...
    """

    _rules: ClassVar[dict[str, Rule]] = {
        **{name: RULES[name] for name in _SHARED},
        "method": one_of(*METHODS),
        "window": Rule(lambda value: _is_auto_or(value, COUNT), f"'auto' or {COUNT.expected}"),
        "season_length": Rule(
            lambda value: value is None or (_is_auto_or(value, COUNT) and value != 1),
            "'auto', None or an integer of at least 2",
        ),
        "gaps": Rule(lambda value: True, ""),  # `check_gaps` tells more
        "layout": one_of("sequences", "series"),
        "missing_values": Rule(
            lambda value: isinstance(value, (int, float, np.number)) and not math.isinf(value),
            "a number or NaN",
        ),
        "batch_size": COUNT,
    }

    def __init__(
        self,
        *,
        cell: str = "gru",
        hidden_layer_sizes: Any = (64,),
        bidirectional: Any = True,
        method: str = "mixture",
        window: int | str = "auto",
        season_length: int | str | None = "auto",
        gaps: Any = "auto",
        layout: str = "sequences",
        n_channels: int = 1,
        missing_values: float = np.nan,
        alpha: float = 1e-4,
        batch_size: int = 64,
        learning_rate_init: float = 0.006,
        clip_norm: float | None = 1.0,
        dropout: float = 0.0,
        max_iter: int = 900,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.cell = cell
        self.hidden_layer_sizes = hidden_layer_sizes
        self.bidirectional = bidirectional
        self.method = method
        self.window = window
        self.season_length = season_length
        self.gaps = gaps
        self.layout = layout
        self.n_channels = n_channels
        self.missing_values = missing_values
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.clip_norm = clip_norm
        self.dropout = dropout
        self.max_iter = max_iter
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @with_callbacks
    def fit(self, X: Any, y: Any = None) -> RNNImputer:
        """Learn to fill gaps."""
        caller = f"{type(self).__name__}.fit"
        with exclusively(self, caller):
            settings = self.get_params(deep=False)
            self._check(settings, caller)
            series = self._read(X, settings, caller, None)
            _check_observed(series, caller)
            rng = generator(settings["random_state"], None, False)
            model = _start(series, settings, rng, caller)
            n_threads = effective_n_threads(settings["n_jobs"], caller)
            training = ImputationTraining(model, series, settings, n_threads, caller)
            observer = FitObserver(self, settings["max_iter"], X, y, {})
            model = self._observed(training, settings, observer)
            self._commit(model, settings["random_state"])
            observer.end(self._attributes(model))
        return self

    def _observed(
        self, training: ImputationTraining, settings: dict[str, Any], observer: FitObserver
    ) -> ImputationModel:
        name = type(self).__name__
        with progress(settings["verbose"], settings["max_iter"], name, "mini-batch") as show:

            def after_update(model: ImputationModel) -> bool:
                show(model.training)
                return observer.end_epoch(lambda: self._attributes(model))

            return training.run(observer.begin_epoch, after_update)

    def transform(self, X: Any, return_std: bool = False) -> Any:
        """Fill the gaps of series."""
        caller = f"{type(self).__name__}.transform"
        model: Any = self._fitted_model("transform")
        settings = self.get_params(deep=False)
        n_threads = effective_n_threads(self.n_jobs, caller)
        series = self._read(X, settings, caller, model)
        self._check_container(series, caller)
        estimates, std = model.fill(series, n_threads)
        filled = series.given_back(estimates)
        return (filled, series.given_back(std, is_std=True)) if return_std else filled

    def _check(self, settings: dict[str, Any], caller: str) -> None:
        check_parameters(settings, caller, self._rules)
        check_network_parameters({**FIXED, **settings}, caller)
        check_gaps(settings["gaps"], caller)

    def _read(
        self, X: Any, settings: dict[str, Any], caller: str, model: ImputationModel | None
    ) -> GappySeries:
        return read_gappy(
            X,
            caller,
            self._names(model),
            layout=settings["layout"],
            n_channels=model.inputs.n_channels if model else settings["n_channels"],
            missing_values=settings["missing_values"],
            form=model.inputs if model else None,
            calendar=model.calendar if model else None,
        )

    def _check_container(self, series: GappySeries, caller: str) -> None:
        """Refuse to put sequences of several dimensions into a table."""
        default = {"transform": get_config()["transform_output"]}
        container = vars(self).get("_sklearn_output_config", default).get("transform", "default")
        is_table = not isinstance(series.source, list) and np.ndim(series.source) == 2
        if container != "default" and not is_table:
            got = f"{series.form.shape}, and set_output(transform={container!r})"
            expected = "two dimensions, or set_output(transform='default')"
            raise ValueError(problem(caller, "X", got, expected))

    def _more_attributes(self, model: Any) -> dict[str, Any]:
        return {
            "n_channels_in_": model.inputs.n_channels,
            "window_": model.window,
            "season_length_": model.season_length,
            "gaps_": asdict(model.gaps),
        }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        missing_values = vars(self).get("missing_values", np.nan)
        tags.input_tags.allow_nan = bool(missing_values != missing_values)  # NaN
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _check_observed(series: GappySeries, caller: str) -> None:
    """Raise ValueError where a channel has nothing to learn from."""
    is_empty = np.isnan(series.values).all(axis=0)
    if is_empty.all():
        got = "no value at all: every one is missing"
        raise ValueError(problem(caller, "X", got, "observed values in every channel"))
    if is_empty.any():
        empty = np.flatnonzero(is_empty)
        names = series.form.feature_names
        is_named = names is not None and len(names) == len(is_empty)
        which = [str(names[i]) if is_named else int(i) for i in empty]
        got = f"no value at all in the channels {abbreviated(which)}"
        raise ValueError(problem(caller, "X", got, "observed values in every channel: drop those"))


def _start(
    series: GappySeries, settings: dict[str, Any], rng: np.random.RandomState, caller: str
) -> ImputationModel:
    """Make the model with which training begins."""
    center, scale = _statistics(series, caller)
    season = settings["season_length"]
    if isinstance(season, str):
        season = series.calendar.season_length if series.calendar else None
    is_missing = np.isnan(series.values)
    window = settings["window"]
    if isinstance(window, str):
        window = _told_window(is_missing, series, season or 0)
    window = min(int(window), int(series.lengths.max()))
    n_channels = series.form.n_channels
    make = METHODS[settings["method"]]
    method = make({**settings, **FIXED}, series.form.dtype, n_channels, season, caller)
    parameters = method.start(int(rng.randint(LARGEST_SEED)))
    return ImputationModel(
        method,
        parameters,
        series.form,
        series.calendar,
        window,
        season,
        gap_shapes(settings["gaps"], is_missing, series.offsets, window),
        center,
        scale,
        None,
        TrainingState(parameters, rng, int(rng.randint(LARGEST_SEED))),
    )


def _statistics(series: GappySeries, caller: str) -> tuple[Array, Array]:
    """Return mean and standard deviation of each channel."""
    whole = np.array([0, len(series.values)])
    with np.errstate(over="ignore", invalid="ignore"):
        center, scale = segment_statistics(series.values, whole, "standard")
    if not np.isfinite([center, scale]).all():
        got = "values whose variance is not finite"
        raise ValueError(problem(caller, "X", got, f"values within {series.form.dtype}"))
    return center[0], scale[0]


def _told_window(is_missing: Bools, series: GappySeries, season: int) -> int:
    """Steps that let a network see two seasons, and twice as much as most gaps hide."""
    longest = int(series.lengths.max())
    if longest <= LARGEST_WHOLE:
        return longest
    lengths = gap_lengths(is_missing, series.offsets)
    most = int(np.quantile(lengths, 0.9)) if len(lengths) else 0
    return min(max(LEAST_WINDOW, 2 * season, 2 * most), LARGEST_WINDOW)
