"""The encoder-decoder on values: a sequence in, a sequence of another length out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin

from elman._arrays import Array
from elman._callbacks import with_callbacks
from elman._exceptions import problem
from elman._model import Model
from elman._pairs import DecoderSteps, Outputs, Pairs, read_values, restore_values
from elman._parameters import BOOLEAN, Rule, one_of
from elman._regression import standard_units
from elman._seq2seq import SEQ2SEQ_RULES, BaseSeq2Seq, refuse_overflow, weighted
from elman._threads import effective_n_threads


@dataclass(frozen=True)
class ValuesTask:
    """Values that a decoder reads and puts out, in units of its own.

    Parameters
    ----------
    mean, scale : ndarray of shape (n_values,)
        Its units, in those of y.
    may_stop : bool
        Whether outputs differ in length: one output more then tells which step is the last.
    """

    mean: Array
    scale: Array
    may_stop: bool

    loss: ClassVar[str] = "squared"
    loss_parameter: ClassVar[float] = 1.0
    n_tokens: ClassVar[int] = 0

    @property
    def n_values(self) -> int:
        """Values at each step."""
        return len(self.mean)

    @property
    def n_outputs(self) -> int:
        """Outputs of the network at each step."""
        return self.n_values + self.may_stop

    def fold(self, network: Any, parameters: Array) -> Array:
        """Return the parameters: a decoder reads its own units."""
        return parameters.copy()

    def unfold(self, network: Any, parameters: Array) -> Array:
        """Undo `fold`."""
        return parameters.copy()

    def steps(
        self, outputs: Outputs, dtype: np.dtype[Any], caller: str, argument: str
    ) -> DecoderSteps:
        """Tell what the decoder reads and shall put out."""
        with np.errstate(over="ignore"):
            values = ((outputs.rows - self.mean) / self.scale).astype(dtype)
        if not np.isfinite(values).all():
            got = f"values too large for dtype {dtype}"
            raise ValueError(problem(caller, argument, got, f"values within {dtype}"))
        inputs = np.zeros_like(values)
        inputs[1:] = values[:-1]
        inputs[outputs.offsets[:-1]] = 0
        targets = np.zeros((len(values), self.n_outputs), dtype)
        targets[:, : self.n_values] = values
        if self.may_stop:
            targets[outputs.offsets[1:] - 1, -1] = 1
        return DecoderSteps(inputs, outputs.offsets, targets)

    def values(self, outputs: Array) -> Array:
        """Return outputs in the units of y."""
        return np.asarray(outputs * self.scale + self.mean, dtype=outputs.dtype)


class Seq2SeqRegressor(RegressorMixin, BaseSeq2Seq):
    """Encoder-decoder from sequences to sequences of numbers of another length.

    An encoder reads the source; from its final states a decoder starts, which reads at each step
    what it has put out one step before [1]_, and with attention a weighted mean of the encoder's
    outputs. The loss is the squared error of given outputs, half of it. Where outputs differ in
    length the network also learns when to stop.

    Parameters
    ----------
    cell : {"gru", "lstm", "simple", "min_gru", "min_lstm"}, default="gru"
        The recurrent cell, of encoder and decoder alike.
    hidden_layer_sizes : int or tuple of int, default=(64,)
        Units of each layer of the encoder, the first one reading the source.
    decoder_layer_sizes : int, tuple of int or None, default=None
        Units of each layer of the decoder; None is as in `hidden_layer_sizes`. Layer l starts from
        the final state of the encoder's layer l (or its last one), through a linear map where their
        widths differ.
    attention : {"dot", "general", "additive"} or None, default="general"
        What each step of the decoder reads of all steps of the source: a mean of the encoder's
        outputs, weighted by the softmax of their product with the decoder's state ("dot"), of that
        with a matrix between them ("general") [3]_, or of a layer of tanh units ("additive") [2]_.
        In each case it is the state after the step that attends. None sees nothing but the
        encoder's final states.
    activation : {"tanh", "relu", "identity"}, default="tanh"
        Activation function of the simple cell.
    reset_after : bool, default=True
        Whether the GRU's reset gate comes after the product with the recurrent weights.
    bidirectional : bool or sequence of bool, default=False
        Whether the encoder (each of its layers) reads in both directions.
    merge_mode : {"concat", "sum", "mean", "mul"}, default="concat"
        How the two directions of a layer become one output.
    residual : bool, default=False
        Whether every layer but the first adds its input to its output.
    layer_norm : bool, default=False
        Whether the sums of each gate are normalised over the units of their layer, at each step
        [5]_, before they are squashed; gains are in `weights_` as "layers.0.g_h".
    n_channels : int, default=1
        Channels of a time step where X is a table, a lag matrix.
    input : {"sequence", "vector"}, default="sequence"
        Whether a source is a sequence of numbers, or a vector that takes the place of the
        encoder's final states.
    missing : {"mask", "decay"} or None, default=None
        What NaN in X means, beside a tail that ends its sequence: see `RNNRegressor`.
    scale_targets : bool, default=True
        Whether the decoder works in standard units of each output.
    teacher_forcing : float or pair of float, default=1.0
        Probability with which a step of the decoder reads, in training, the true output of the step
        before, and not its own (scheduled sampling [4]_). Two numbers are those of the first and of
        the last of `max_iter` epochs, with a line between them.
    max_length : int or None, default=None
        Largest number of steps of an output; None is the longest of `fit`. Where all outputs of
        `fit` have one length, predictions have it too.
    solver : {"adam", "adamw", "nadam", "rmsprop", "sgd"}, default="adam"
        The optimizer.
    alpha : float, default=1e-4
        Strength of the L2 penalty on weight matrices; divided by the number of steps in the outputs
        of a mini-batch. With "adamw" it is the decoupled weight decay.
    batch_size : int or "auto", default="auto"
        Pairs in a mini-batch; "auto" is min(200, n_samples).
    learning_rate : {"constant", "invscaling", "adaptive", "cosine"}, default="constant"
        Schedule of the learning rate. "invscaling" divides by the number of updates to the
        power `power_t`; "adaptive" divides by 5 whenever two epochs in a row fail to improve
        by `tol`; "cosine" falls to zero over all updates of `max_iter` epochs after a linear
        warm-up.
    learning_rate_init : float, default=0.001
        The initial learning rate.
    power_t : float, default=0.5
        Exponent of "invscaling".
    warmup : float, default=0.1
        Share of all updates in which the learning rate of "cosine" rises.
    max_iter : int, default=200
        Largest number of epochs.
    shuffle : bool, default=True
        Whether to draw a new order of samples for each epoch.
    random_state : int, RandomState instance or None, default=None
        Draws the initial weights, the order of samples, the validation split, dropout and
        scheduled sampling.
    tol : float, default=1e-4
        Training ends when the loss (or the validation score) has failed to improve by `tol`
        for `n_iter_no_change` epochs in a row.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the fit before.
    momentum : float, default=0.9
        Momentum of "sgd".
    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.
    early_stopping : bool, default=False
        Whether to stop when the score on held-out pairs no longer improves; the best weights are
        kept. The score is R² of predictions.
    validation_fraction : float, default=0.1
        Share of samples (or groups) that early stopping holds out.
    validation_split : {"random", "last", "groups"}, default="random"
        Which: any, the last ones in the order of X, or all samples of some groups.
    n_iter_no_change : int or inf, default=10
        Number of epochs without improvement after which training ends.
    beta_1 : float, default=0.9
        Decay rate of the first moment of "adam", "adamw" and "nadam".
    beta_2 : float, default=0.999
        Decay rate of the second moment of "adam", "adamw", "nadam" and "rmsprop".
    epsilon : float, default=1e-8
        Added to denominators for numerical stability.
    clip_norm : float or None, default=None
        Largest norm of the gradient; None does not clip.
    dropout : float, default=0.0
        Share of what layers hand on that is dropped, between layers and before the outputs.
    recurrent_dropout : float, default=0.0
        Share of the state that is dropped, the same one at each step of a sequence.
    n_jobs : int or None, default=None
        Number of threads; None is every core that the process may use, or one within a joblib
        worker. Results do not depend on it.
    verbose : bool or int, default=False
        Whether to show progress: a bar if tqdm is installed, otherwise a line for each epoch.
    checkpoint : str, os.PathLike or None, default=None
        File in which `fit` writes how far it has come. If its process is killed, a `fit` with the
        same parameters and data goes on from there, and ends with the same bits as one that nobody
        killed. In a folder each fit has a file of its own, which suits a search over parameters.
        A file of another fit is an error unless that one is finished; then it is replaced. If the
        file cannot be written, `fit` ends with that error, and the file is as it was before.
    checkpoint_every : int, default=10
        Epochs between two writings. The last epoch is written too, and the file stays: the same
        `fit` again ends at once, unless `random_state` is None; then it begins anew.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of a table, otherwise of channels.
    n_iter_ : int
        Number of epochs of the last `fit`.
    t_ : int
        Number of samples seen in training.
    loss_ : float
        The loss of the last epoch.
    loss_curve_ : list of float
        The loss of each epoch.
    best_loss_ : float or None
        The smallest of them; None with early stopping.
    validation_scores_ : list of float or None
        With early stopping, the score on held-out pairs after each epoch.
    best_validation_score_ : float or None
        The best of them.
    weights_ : dict of ndarray
        Copies of the weights: those of the encoder and the decoder with the names that
        `RNNRegressor` has for them behind "encoder." and "decoder.", "bridge.layers.0.h.W" and so
        on where a state goes through a linear map, "attention.W_m", "attention.W_c", …, "head.W",
        "head.b". The decoder's are in standard units of y with
        ``scale_targets``.
    n_parameters_ : int
        Number of weights.
    n_timesteps_out_ : int
        Number of steps of the longest output of `fit`.

    See Also
    --------
    RNNRegressor : One output for a sequence, or one for each of its steps.
    Seq2SeqTranslator : The same for tokens.

    References
    ----------
    .. [1] Sutskever, I., Vinyals, O. and Le, Q. V. "Sequence to sequence learning with neural
       networks." NeurIPS 2014.
    .. [2] Bahdanau, D., Cho, K. and Bengio, Y. "Neural machine translation by jointly learning to
       align and translate." ICLR 2015.
    .. [3] Luong, M.-T., Pham, H. and Manning, C. D. "Effective approaches to attention-based neural
       machine translation." EMNLP 2015.
    .. [4] Bengio, S. et al. "Scheduled sampling for sequence prediction with recurrent neural
       networks." NeurIPS 2015.
    .. [5] Ba, J. L., Kiros, J. R. and Hinton, G. E. "Layer normalization." arXiv:1607.06450, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from elman import Seq2SeqRegressor
    >>> t = np.arange(30) + np.random.RandomState(0).uniform(0, 30, (300, 1))
    >>> waves = np.sin(t / 3)
    >>> X, y = waves[:, :20], waves[:, 20:]
    >>> model = Seq2SeqRegressor(
    ...     hidden_layer_sizes=(16,), learning_rate_init=0.01, max_iter=300, random_state=0
    ... )
    >>> model.fit(X, y).predict(X[:2]).shape
    (2, 10)
    >>> model.score(X, y) > 0.9
    True
    """

    _rules: ClassVar[dict[str, Rule]] = {
        **SEQ2SEQ_RULES,
        "input": one_of("sequence", "vector"),
        "scale_targets": BOOLEAN,
    }

    def __init__(
        self,
        *,
        cell: str = "gru",
        hidden_layer_sizes: Any = (64,),
        decoder_layer_sizes: Any = None,
        attention: str | None = "general",
        activation: str = "tanh",
        reset_after: bool = True,
        bidirectional: Any = False,
        merge_mode: str = "concat",
        residual: bool = False,
        layer_norm: bool = False,
        n_channels: int = 1,
        input: str = "sequence",
        missing: str | None = None,
        scale_targets: bool = True,
        teacher_forcing: Any = 1.0,
        max_length: int | None = None,
        solver: str = "adam",
        alpha: float = 1e-4,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        warmup: float = 0.1,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        validation_split: str = "random",
        n_iter_no_change: float = 10,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        clip_norm: float | None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        n_jobs: int | None = None,
        verbose: bool | int = False,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 10,
    ) -> None:
        self.cell = cell
        self.hidden_layer_sizes = hidden_layer_sizes
        self.decoder_layer_sizes = decoder_layer_sizes
        self.attention = attention
        self.activation = activation
        self.reset_after = reset_after
        self.bidirectional = bidirectional
        self.merge_mode = merge_mode
        self.residual = residual
        self.layer_norm = layer_norm
        self.n_channels = n_channels
        self.input = input
        self.missing = missing
        self.scale_targets = scale_targets
        self.teacher_forcing = teacher_forcing
        self.max_length = max_length
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.warmup = warmup
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.validation_split = validation_split
        self.n_iter_no_change = n_iter_no_change
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.clip_norm = clip_norm
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        groups: Any = None,
    ) -> Seq2SeqRegressor:
        """Train the encoder-decoder on pairs of sequences.

        Parameters
        ----------
        X : array-like, data frame or list of arrays
            Sources: an array of shape (n_samples, n_timesteps, n_channels), where a tail of NaN
            ends a sequence; a list of arrays of shape (n_timesteps_i, n_channels) or
            (n_timesteps_i,); or a table of shape (n_samples, n_timesteps * n_channels), time after
            time. With ``input="vector"``, a table of shape (n_samples, n_features).
        y : array-like or list of arrays
            Outputs: an array of shape (n_samples, n_timesteps_out) or
            (n_samples, n_timesteps_out, n_outputs), where a tail of NaN ends an output; or a list
            of arrays of shape (n_timesteps_out_i,) or (n_timesteps_out_i, n_outputs). One of shape
            (n_samples,) is outputs of one step.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of samples.
        X_val, y_val, sample_weight_val : array-like, default=None
            Data for early stopping, instead of a part of X and y.
        groups : array-like of shape (n_samples,), default=None
            Group of each sample, for ``validation_split="groups"``.

        Returns
        -------
        self : Seq2SeqRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X, y or a weight is not as it should be.
        DivergenceError
            If the loss stops being finite. Whatever is raised, the estimator stays as it was.
        """
        self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val), groups)
        return self

    def predict(self, X: Any) -> Any:
        """Predict outputs, each step from the one before.

        Parameters
        ----------
        X : array-like, data frame or list of arrays
            Sources in one of the forms of `fit`.

        Returns
        -------
        y : ndarray or list of ndarray
            Outputs in the form of the y of `fit`; a list where its outputs differed in length.

        Raises
        ------
        ValueError
            If X is not as it should be.
        NotFittedError
            Before `fit`.
        """
        model = self._fitted_model("predict")
        caller = f"{type(self).__name__}.predict"
        sources = self._read_sources(X, caller, model)
        n_threads = effective_n_threads(self.n_jobs, caller)
        values, lengths = self._generate(model, sources, n_threads, caller)
        refuse_overflow(values, caller)
        return restore_values(values, lengths, model.targets, is_ragged=model.task.may_stop)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute R² of predictions, over all steps of y.

        Parameters
        ----------
        X : array-like, data frame or list of arrays
            Sources in one of the forms of `fit`.
        y : array-like or list of arrays
            Outputs in one of the forms of `fit`. A prediction that has ended before goes on with
            its last step; what it has beyond the end of y does not count.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of samples.

        Returns
        -------
        r2 : float
            Coefficient of determination of the predictions, without the truth at any step,
            averaged over outputs.
        """
        model = self._fitted_model("score")
        caller = f"{type(self).__name__}.score"
        pairs, _ = self._read(X, y, caller, self._settings_of(model), model)
        pairs = weighted(pairs, sample_weight, caller, "sample_weight")
        n_threads = effective_n_threads(self.n_jobs, caller)
        return self._validation_score(model, pairs, n_threads, caller)

    def attention_weights(self, X: Any, y: Any = None) -> list[Array]:
        """Tell what each step of an output has read of each step of its source.

        Parameters
        ----------
        X : array-like, data frame or list of arrays
            Sources in one of the forms of `fit`.
        y : array-like or list of arrays, default=None
            Outputs; None is what `predict` says.

        Returns
        -------
        weights : list of ndarray of shape (n_timesteps_out_i, n_timesteps_i)
            Rows sum to one.

        Raises
        ------
        AttributeError
            With ``attention=None``.
        """
        model = self._fitted_model("attention_weights")
        caller = f"{type(self).__name__}.attention_weights"
        y = self.predict(X) if y is None else y
        pairs, _ = self._read(X, y, caller, self._settings_of(model), model)
        return self._attention_weights(model, pairs, caller)

    def _read(
        self,
        X: Any,
        y: Any,
        caller: str,
        settings: Mapping[str, Any],
        model: Model | None,
        suffix: str = "",
    ) -> tuple[Pairs, Any]:
        sources, inputs = self._reader(settings, caller, model).read_sequences(X, suffix)
        form = None if model is None else model.targets
        outputs = read_values(y, len(sources), caller, f"y{suffix}", form)
        return Pairs(sources, inputs, outputs, None), None

    def _read_alike(
        self,
        X: Any,
        y: Any,
        caller: str,
        settings: Mapping[str, Any],
        pairs: Pairs,
        vocabularies: Any,
    ) -> Pairs:
        reader = replace(self._reader(settings, caller, None), form=pairs.inputs)
        sources, inputs = reader.read_sequences(X, "_val")
        outputs = read_values(y, len(sources), caller, "y_val", pairs.outputs.form)
        return Pairs(sources, inputs, outputs, None)

    def _read_sources(self, X: Any, caller: str, model: Model) -> Any:
        reader = self._reader(self._settings_of(model), caller, model)
        return reader.read_sequences(X)[0]

    def _make_task(
        self, vocabularies: Any, pairs: Pairs, settings: Mapping[str, Any]
    ) -> ValuesTask:
        rows, lengths = pairs.outputs.rows, pairs.outputs.lengths
        weights = None if pairs.weights is None else np.repeat(pairs.weights, lengths)
        mean, scale = np.zeros(rows.shape[1]), np.ones(rows.shape[1])
        if settings["scale_targets"]:
            mean, scale = standard_units(rows, weights)
        return ValuesTask(mean, scale, len(np.unique(lengths)) > 1)

    def _generate(
        self, model: Any, sources: Any, n_threads: int, caller: str
    ) -> tuple[Array, Array]:
        n_steps = model.n_timesteps
        if model.task.may_stop and self.max_length is not None:
            n_steps = self.max_length
        values, lengths = model.decoding.generate(
            sources.values, sources.offsets, n_steps=n_steps, n_threads=n_threads
        )
        return model.task.values(values), lengths

    def _validation_score(self, model: Model, pairs: Pairs, n_threads: int, caller: str) -> float:
        from sklearn.metrics import r2_score

        values, lengths = self._generate(model, pairs.sources, n_threads, caller)
        wanted = pairs.outputs.lengths
        samples = np.repeat(np.arange(len(pairs)), wanted)
        steps = np.arange(len(samples)) - np.repeat(pairs.outputs.offsets[:-1], wanted)
        predicted = values[samples, np.minimum(steps, lengths[samples] - 1)]
        if not np.isfinite(predicted).all():
            return float("nan")
        weights = None if pairs.weights is None else np.repeat(pairs.weights, wanted)
        return float(r2_score(pairs.outputs.rows, predicted, sample_weight=weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _more_attributes(self, model: Model) -> dict[str, Any]:
        return {"n_timesteps_out_": model.n_timesteps}
