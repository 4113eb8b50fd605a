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
from elman._callbacks import FitObserver, exclusively, progress, report_of, with_callbacks
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

MOST_WINDOWS, MOST_MINI_BATCHES = 64, 900
"""Of a mini-batch and of a fit, where there are as many windows in X as a mini-batch takes."""
FEWEST_WINDOWS, FEWEST_MINI_BATCHES = 16, 300

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


_COUNT_OR_AUTO = Rule(lambda value: _is_auto_or(value, COUNT), f"'auto' or {COUNT.expected}")
_SHARED = [
    "cell",
    "hidden_layer_sizes",
    "bidirectional",
    "n_channels",
    "alpha",
    "learning_rate_init",
    "clip_norm",
    "dropout",
    "n_jobs",
    "random_state",
    "verbose",
]


class RNNImputer(OneToOneFeatureMixin, TransformerMixin, BaseNetworkEstimator):
    """Fill gaps in series with a recurrent network that reads them in both directions.

    It is trained on values that are there: in every mini-batch some of them are hidden anew, in the
    shapes that gaps have, and to fill them is what the network learns. It reads, for each
    channel, what is observed, the linear interpolation of it, and how far away the observed values
    are; it mixes simple fills (linear interpolation, the last value, the next, those a
    season before and after) by weights that it learns for each place, and adds a correction.

    Observed values come back as they are, to the bit. What is filled in depends on nothing but
    the values of its own series that lie within `window` steps. Channels are scaled inside.

    Parameters
    ----------
    cell : {"simple", "gru", "lstm", "min_gru", "min_lstm"}, default="gru"
        Kind of recurrent unit.
    hidden_layer_sizes : int or sequence of int, default=(64,)
        Units of each recurrent layer (in each direction). With ``method="mixture"`` a layer of as
        many rectified units as the last of them stands between it and the outputs.
    bidirectional : bool or sequence of bool, default=True
        Whether layers read in both directions; ``method="brits"`` always does.
    method : {"mixture", "brits"}, default="mixture"
        "mixture" is what is said above. "brits" is the scheme of BRITS [1]_ as far as it goes with
        networks that do not read their own estimates: a network in each direction of time, whose
        states and inputs decay over gaps as in GRU-D [2]_, estimates each value from what
        it has read before it; where nothing is observed the two are trained to agree; their mean is
        corrected by how far it is off in other channels at the same step.
    window : int or "auto", default="auto"
        Steps that the network sees at once. Longer series are cut into windows: in training
        they begin anywhere, in `transform` they overlap by half, and estimates are averaged with
        weights that fall off towards the ends of a window. "auto" is all of the longest series if
        it has at most 96 steps, and otherwise two seasons, or twice as much as nine in ten gaps
        take, but between 48 and 256.
    season_length : int, "auto" or None, default="auto"
        Steps of a season. With one, values a season before and after are among the simple fills,
        and the network is told where each step stands in the season; series without dates all
        begin at the same point of it. "auto" is what the dates of a frame tell (a day of hours,
        a week of days, a year of months), and None without dates.
    gaps : {"auto", "points", "runs", "blocks"} or dict, default="auto"
        Shapes in which values are hidden for training: points are single values, a run is a
        stretch of one channel, a block a stretch of several. "auto" tells the shares of the
        three, and sizes, by the gaps of X, and takes equal shares if there are fewer than
        30; the name of a shape takes mostly that one. A dict tells shares by the keys "points",
        "runs" and "blocks", and sizes, a number or the least and the largest, by "length" (steps
        of runs and blocks) and "width" (channels of blocks); what it leaves out is told by X.
    layout : {"sequences", "series"}, default="sequences"
        What a table is: many sequences, one in each row, or one long series, a time in
        each row.
    n_channels : int, default=1
        Channels of a time step in a table of sequences.
    missing_values : float, default=nan
        What stands for a missing value.
    alpha : float, default=1e-4
        Decoupled weight decay.
    batch_size : int or "auto", default="auto"
        Windows in a mini-batch. "auto": 64, and as many as X holds end to end where it holds
        fewer, but at least 16.
    learning_rate_init : float, default=0.006
        The largest learning rate: it rises in the first thirtieth of all mini-batches, then falls
        to zero along half a cosine.
    clip_norm : float or None, default=1.0
        Largest norm of a gradient; larger ones are scaled down to it.
    dropout : float, default=0.0
        Share of the outputs of each recurrent layer that is dropped in training.
    max_iter : int or "auto", default="auto"
        Number of mini-batches. "auto": 900, and fewer where X holds fewer than 64 windows end to
        end, by the root of their number, but at least 300. The weights that are kept are an
        average over the last ones.
    random_state : int, RandomState instance or None, default=None
        Draws the initial weights, windows, and what is hidden in them.
    n_jobs : int or None, default=None
        Number of threads; None means all cores. Results do not depend on it.
    verbose : bool or int, default=False
        Whether to show progress.

    Attributes
    ----------
    window_ : int
        Steps that are seen at once.
    season_length_ : int or None
        Steps of a season.
    gaps_ : dict
        In what shapes values were hidden, in the form of `gaps`.
    n_channels_in_ : int
        Number of channels.
    n_features_in_ : int
        Number of columns of a table of sequences, otherwise of channels.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, when X was a data frame.
    n_iter_ : int
        Number of mini-batches.
    loss_ : float
        Mean absolute error of the last mini-batch, in standard deviations of the channels.
    loss_curve_ : list of float
        That of each.
    best_loss_ : float
        The smallest of them.
    n_parameters_ : int
        Number of weights.
    weights_ : dict of ndarray
        Copies of the weights by name; they speak of scaled values.

    See Also
    --------
    ImputationDisplay : Draws gaps and what they were filled with.
    sklearn.impute.SimpleImputer : Fills columns of a table with a statistic of each.

    Notes
    -----
    A tail of NaN is a gap here, not the end of a sequence: give series of different lengths as a
    list. Where a window has nothing observed of a channel, the simple fills are the channel's
    mean in `fit`, and the network corrects it by the other channels and the season.

    Standard deviations are told by the errors on hidden values: how they grow with the distance to
    observed values on both sides and with the disagreement of simple fills, and by which channels
    are observed beside them; fitted on windows of X in `fit`, such that about 68 and 95 % of the
    errors lie within one and two of them. They are too small for series that behave otherwise.

    References
    ----------
    .. [1] Cao, W. et al. "BRITS: Bidirectional recurrent imputation for time series." NeurIPS
       2018.
    .. [2] Che, Z. et al. "Recurrent neural networks for multivariate time series with missing
       values." Scientific Reports 8 (2018).

    Examples
    --------
    >>> import numpy as np
    >>> from elman import RNNImputer
    >>> X = np.sin(np.arange(400).reshape(50, 8))
    >>> X[::3, 2:5] = np.nan
    >>> imputer = RNNImputer(hidden_layer_sizes=16, max_iter=200, random_state=0)
    >>> filled = imputer.fit_transform(X)
    >>> print(np.abs(filled - np.sin(np.arange(400).reshape(50, 8))).max() < 0.5)
    True
    """

    _rules: ClassVar[dict[str, Rule]] = {
        **{name: RULES[name] for name in _SHARED},
        "method": one_of(*METHODS),
        "window": _COUNT_OR_AUTO,
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
        "batch_size": _COUNT_OR_AUTO,
        "max_iter": _COUNT_OR_AUTO,
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
        batch_size: int | str = "auto",
        learning_rate_init: float = 0.006,
        clip_norm: float | None = 1.0,
        dropout: float = 0.0,
        max_iter: int | str = "auto",
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
            settings |= _effort(len(series.values) // model.window, settings)
            n_threads = effective_n_threads(settings["n_jobs"], caller)
            training = ImputationTraining(model, series, settings, n_threads, caller)
            observer = FitObserver(self, settings["max_iter"], X, y, {})
            fitted: Any = self._observed(training, settings, observer)
            self._commit(fitted, settings["random_state"])
            observer.end(self._attributes(fitted))
        return self

    def _observed(
        self, training: ImputationTraining, settings: dict[str, Any], observer: FitObserver
    ) -> ImputationModel:
        name = type(self).__name__
        with progress(settings["verbose"], name, "mini-batch", settings["max_iter"]) as show:

            def after_update(model: Any) -> bool:
                show(1, report_of(model.training))
                return observer.end_epoch(lambda: self._attributes(model))

            return training.run(observer.begin_epoch, after_update)

    def stream(self, n_streams: int = 1) -> Any:
        """Refuse: gaps are filled from both sides, so there are no single steps.

        Raises
        ------
        ValueError
            Always.
        """
        got = "an imputer, which looks at what comes after a gap as well as before it"
        expected = "RNNRegressor or RNNClassifier, with missing='mask' or 'decay'"
        raise ValueError(problem(f"{type(self).__name__}.stream", "model", got, expected))

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

    def _read(self, X: Any, settings: dict[str, Any], caller: str, model: Any) -> GappySeries:
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
    is_empty = np.asarray(np.isnan(series.values).all(axis=0))
    if is_empty.all():
        got = "no value at all: every one is missing"
        raise ValueError(problem(caller, "X", got, "observed values in every channel"))
    if is_empty.any():
        empty = np.flatnonzero(is_empty)
        names = series.form.feature_names
        if names is None or len(names) != len(is_empty):
            names = np.arange(len(is_empty))
        which = names[empty].tolist()
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
    season = None if season is None else int(season)
    is_missing = np.isnan(series.values)
    window = settings["window"]
    if isinstance(window, str):
        window = _told_window(is_missing, series, season or 0)
    window = min(int(window), int(series.lengths.max()))
    n_channels = int(series.form.n_channels)
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


def _effort(n_windows: int, settings: dict[str, Any]) -> dict[str, int]:
    """Return how many windows a mini-batch has, and how many of these there are."""
    share = math.sqrt(min(n_windows / MOST_WINDOWS, 1.0))
    told = {
        "batch_size": min(max(n_windows, FEWEST_WINDOWS), MOST_WINDOWS),
        "max_iter": max(round(share * MOST_MINI_BATCHES), FEWEST_MINI_BATCHES),
    }
    return {
        name: value if isinstance(settings[name], str) else int(settings[name])
        for name, value in told.items()
    }


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
    """Return steps that show a network two seasons, and twice as much as most gaps hide."""
    longest = int(series.lengths.max())
    if longest <= LARGEST_WHOLE:
        return longest
    lengths = gap_lengths(is_missing, series.offsets)
    most = int(np.quantile(lengths, 0.9)) if len(lengths) else 0
    return min(max(LEAST_WINDOW, 2 * season, 2 * most), LARGEST_WINDOW)
