"""The encoder-decoder on tokens: a sequence in, a sequence of tokens out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array
from elman._callbacks import with_callbacks
from elman._exceptions import problem
from elman._model import Model
from elman._pairs import DecoderSteps, Outputs, Pairs
from elman._parameters import COUNT, RULES, Rule, number, one_of
from elman._seq2seq import SEQ2SEQ_RULES, BaseSeq2Seq, refuse_overflow, weighted
from elman._sequences import InputForm, Sequences, shape_text
from elman._targets import TargetForm
from elman._threads import effective_n_threads
from elman._tokens import TokenSequences
from elman._vocabulary import TokenLists, Vocabulary, read_token_lists, vocabulary


@dataclass(frozen=True)
class TokensTask:
    """Tokens that a decoder reads and puts out.

    Parameters
    ----------
    source : Vocabulary or None
        The tokens of sources, if they are tokens.
    target : Vocabulary
        The tokens of outputs; the output behind them ends a sequence. The decoder reads one more
        than the number of a token, and 0 before the first step.
    """

    source: Vocabulary | None
    target: Vocabulary

    loss: ClassVar[str] = "multiclass"
    loss_parameter: ClassVar[float] = 1.0
    n_values: ClassVar[int] = 0

    @property
    def stop(self) -> int:
        """The number of the stop token."""
        return len(self.target)

    @property
    def n_tokens(self) -> int:
        """Tokens that the decoder reads."""
        return self.stop + 1

    @property
    def n_outputs(self) -> int:
        """Outputs of the network at each step."""
        return self.stop + 1

    def fold(self, network: Any, parameters: Array) -> Array:
        """Return the parameters: tokens have no units."""
        return parameters.copy()

    def unfold(self, network: Any, parameters: Array) -> Array:
        """Undo `fold`."""
        return parameters.copy()

    def steps(
        self, outputs: Outputs, dtype: np.dtype[Any], caller: str, argument: str
    ) -> DecoderSteps:
        """Tell what the decoder reads, the start first, and puts out, the stop token last."""
        n = len(outputs)
        offsets = outputs.offsets + np.arange(n + 1)
        is_stop = np.zeros(int(offsets[-1]), bool)
        is_stop[offsets[1:] - 1] = True
        targets = np.full(len(is_stop), self.stop)
        targets[~is_stop] = outputs.rows[:, 0]
        inputs = np.roll(targets + 1, 1).astype(np.int32)
        inputs[offsets[:-1]] = 0
        return DecoderSteps(inputs, offsets, targets[:, None].astype(dtype))


class Seq2SeqTranslator(BaseSeq2Seq):
    r"""Encoder-decoder from sequences to sequences of tokens.

    An encoder reads the source; from its final states a decoder starts, which reads at each step
    the token that it has put out one step before [1]_, and with attention a weighted mean of the
    encoder's outputs, until it puts out a stop token. Vocabularies are learned in `fit`, from
    sequences of strings or integers as they are. The loss is the cross-entropy of the tokens of
    given outputs.

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
        [6]_, before they are squashed; gains are in `weights_` as "layers.0.g_h".
    n_channels : int, default=1
        Channels of a time step where X is a table of numbers, a lag matrix.
    input : {"tokens", "sequence", "vector"}, default="tokens"
        Whether a source is a sequence of tokens, a sequence of numbers, or a vector that takes the
        place of the encoder's final states.
    embedding_dim : int or None, default=None
        Columns of the embeddings of tokens, of sources and outputs; None is 64.
    token_dropout : float, default=0.0
        Probability with which a token of a source turns into the unknown one in training, which is
        how tokens that `fit` has not seen are learned.
    target_token_dropout : float, default=0.0
        The same for the tokens that the decoder reads; a dropped one turns into what stands before
        the first step.
    embedding_dropout : float, default=0.0
        Share of the embeddings' outputs that is dropped.
    missing : {"mask", "decay"} or None, default=None
        What NaN in an X of numbers means: see `RNNRegressor`.
    beam_width : int, default=1
        Number of beginnings of an output that `predict` keeps side by side; 1 takes the likeliest
        token at each step. May be set after `fit`.
    length_penalty : float, default=0.0
        Finished outputs y of a beam are compared by log p(y | x) divided by
        ((5 + n) / 6) ** length_penalty [5]_, where n is their length with the stop token. May be
        set after `fit`.
    teacher_forcing : float or pair of float, default=1.0
        Probability with which a step of the decoder reads, in training, the true output of the step
        before, and not its own (scheduled sampling [4]_). Two numbers are those of the first and of
        the last of `max_iter` epochs, with a line between them.
    max_length : int or None, default=None
        Largest number of tokens of an output, the stop token not counted; None is twice the longest
        of `fit`. May be set after `fit`.
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
        kept. The score is the mean
        logarithm of the probability of a token of theirs.
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
    source_tokens_ : ndarray of shape (n_tokens,)
        The tokens of sources, sorted, with ``input="tokens"``; their vectors are rows 1 and up of
        ``weights_["encoder.embedding"]``, whose row 0 is that of unknown ones.
    target_tokens_ : ndarray of shape (n_tokens,)
        The tokens of outputs, sorted.
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
        "head.b".
    n_parameters_ : int
        Number of weights.

    See Also
    --------
    RNNClassifier : One label for a sequence, or one for each of its steps.
    Seq2SeqRegressor : The same for numbers.

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
    .. [5] Wu, Y. et al. "Google's neural machine translation system." arXiv:1609.08144, 2016.
    .. [6] Ba, J. L., Kiros, J. R. and Hinton, G. E. "Layer normalization." arXiv:1607.06450, 2016.

    Examples
    --------
    Words spelled backwards:

    >>> from elman import Seq2SeqTranslator
    >>> words = ["stop", "live", "drawer", "evil", "part", "tuba", "devil", "pals"]
    >>> model = Seq2SeqTranslator(learning_rate_init=0.01, max_iter=100, random_state=0)
    >>> model.fit(words, [word[::-1] for word in words]).predict(["part", "pals"])
    ['trap', 'slap']
    """

    _rules: ClassVar[dict[str, Rule]] = {
        **SEQ2SEQ_RULES,
        "input": one_of("tokens", "sequence", "vector"),
        "embedding_dim": RULES["embedding_dim"],
        "token_dropout": number(0, 1),
        "target_token_dropout": number(0, 1),
        "embedding_dropout": RULES["embedding_dropout"],
        "beam_width": COUNT,
        "length_penalty": number(0),
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
        input: str = "tokens",
        embedding_dim: int | None = None,
        token_dropout: float = 0.0,
        target_token_dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        missing: str | None = None,
        beam_width: int = 1,
        length_penalty: float = 0.0,
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
        self.embedding_dim = embedding_dim
        self.token_dropout = token_dropout
        self.target_token_dropout = target_token_dropout
        self.embedding_dropout = embedding_dropout
        self.missing = missing
        self.beam_width = beam_width
        self.length_penalty = length_penalty
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
    ) -> Seq2SeqTranslator:
        """Train the encoder-decoder on pairs of sequences.

        Parameters
        ----------
        X : list of sequences of tokens, array-like or list of arrays
            Sources: strings, or lists or arrays of strings or integers; a string is a sequence of
            its characters. With ``input="sequence"`` or ``"vector"`` numbers, as `RNNRegressor`
            takes them.
        y : list of sequences of tokens
            Outputs: strings, or lists or arrays of strings or integers; they may be empty.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of samples.
        X_val, y_val, sample_weight_val : array-like, default=None
            Data for early stopping, instead of a part of X and y.
        groups : array-like of shape (n_samples,), default=None
            Group of each sample, for ``validation_split="groups"``.

        Returns
        -------
        self : Seq2SeqTranslator
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

    def predict(self, X: Any) -> list[Any]:
        """Predict the outputs that beam search finds likeliest.

        Parameters
        ----------
        X : list of sequences of tokens, array-like or list of arrays
            Sources in one of the forms of `fit`. What `fit` has not seen is unknown.

        Returns
        -------
        y : list
            Outputs in the form of the y of `fit`: strings, lists or arrays.

        Raises
        ------
        ValueError
            If X is not as it should be, the network overflows on it, or `beam_width` is larger than
            the vocabulary.
        NotFittedError
            Before `fit`.
        """
        model = self._fitted_model("predict")
        caller = f"{type(self).__name__}.predict"
        sources = self._read_sources(X, caller, model)
        numbers, offsets = self._translate(model, sources, caller)
        answers: list[Any] = model.task.target.sequences(numbers, offsets)
        return answers

    def predict_log_proba(self, X: Any, y: Any) -> NDArray[np.float64]:
        """Tell how likely given outputs are.

        Parameters
        ----------
        X : list of sequences of tokens, array-like or list of arrays
            Sources in one of the forms of `fit`.
        y : list of sequences of tokens
            Outputs, of tokens that `fit` has seen.

        Returns
        -------
        log_p : ndarray of shape (n_samples,)
            log p(y | x), with the stop token at the end.

        Raises
        ------
        ValueError
            If X or y is not as it should be, or the network overflows on them.
        NotFittedError
            Before `fit`.
        """
        model = self._fitted_model("predict_log_proba")
        caller = f"{type(self).__name__}.predict_log_proba"
        pairs, _ = self._read(X, y, caller, self._settings_of(model), model)
        n_threads = effective_n_threads(self.n_jobs, caller)
        log_p, _ = self._evaluate(model, pairs, n_threads, caller)
        refuse_overflow(log_p, caller)
        return log_p

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute the share of predictions that are right in every token.

        Parameters
        ----------
        X : list of sequences of tokens, array-like or list of arrays
            Sources in one of the forms of `fit`.
        y : list of sequences of tokens
            Outputs. One with a token that `fit` has not seen is never right.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of samples.

        Returns
        -------
        accuracy : float
            Share of outputs that are right from the first token to the last, between 0 and 1.
        """
        model = self._fitted_model("score")
        caller = f"{type(self).__name__}.score"
        sources = self._read_sources(X, caller, model)
        lists = _read_outputs(y, len(sources), caller, "y")
        wanted = model.task.target.numbers(lists, caller, "y")
        empty = Outputs(wanted[:, None], lists.offsets, model.targets)
        pairs = weighted(
            Pairs(sources, model.inputs, empty, None), sample_weight, caller, "sample_weight"
        )
        numbers, offsets = self._translate(model, sources, caller)
        is_right = _are_equal(numbers, offsets, wanted, lists.offsets)
        return float(np.average(is_right, weights=pairs.weights))

    def attention_weights(self, X: Any, y: Any = None) -> list[Array]:
        """Tell what each token of an output has read of each step of its source.

        Parameters
        ----------
        X : list of sequences of tokens, array-like or list of arrays
            Sources in one of the forms of `fit`.
        y : list of sequences of tokens, default=None
            Outputs; None is what `predict` says.

        Returns
        -------
        weights : list of ndarray of shape (n_tokens_i + 1, n_timesteps_i)
            A row for each token and one for the stop token; rows sum to one.

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
        source, target = (model.task.source, model.task.target) if model else (None, None)
        if settings["input"] == "tokens":
            lists = read_token_lists(X, caller, f"X{suffix}", may_be_empty=False)
            source = source or vocabulary(lists)
            sources, inputs = _token_sources(lists, source, caller, f"X{suffix}")
        else:
            sources, inputs = self._reader(settings, caller, model).read_sequences(X, suffix)
        lists = _read_outputs(y, len(sources), caller, f"y{suffix}")
        target = target or vocabulary(lists)
        outputs = _known_outputs(lists, target, caller, f"y{suffix}")
        return Pairs(sources, inputs, outputs, None), (source, target)

    def _read_alike(
        self,
        X: Any,
        y: Any,
        caller: str,
        settings: Mapping[str, Any],
        pairs: Pairs,
        vocabularies: Any,
    ) -> Pairs:
        source, target = vocabularies
        if source is not None:
            lists = read_token_lists(X, caller, "X_val", may_be_empty=False)
            sources, inputs = _token_sources(lists, source, caller, "X_val")
        else:
            reader = replace(self._reader(settings, caller, None), form=pairs.inputs)
            sources, inputs = reader.read_sequences(X, "_val")
        lists = _read_outputs(y, len(sources), caller, "y_val")
        return Pairs(sources, inputs, _known_outputs(lists, target, caller, "y_val"), None)

    def _read_sources(self, X: Any, caller: str, model: Model) -> Any:
        if model.task.source is not None:
            lists = read_token_lists(X, caller, "X", may_be_empty=False)
            return _token_sources(lists, model.task.source, caller, "X")[0]
        reader = self._reader(self._settings_of(model), caller, model)
        return reader.read_sequences(X)[0]

    def _make_task(
        self, vocabularies: Any, pairs: Pairs, settings: Mapping[str, Any]
    ) -> TokensTask:
        return TokensTask(*vocabularies)

    def _translate(
        self, model: Any, sources: Any, caller: str
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        for name in ("beam_width", "length_penalty", "max_length"):
            rule, value = self._rules[name], getattr(self, name)
            if not rule.passes(value):
                raise ValueError(problem(caller, name, repr(value), rule.expected))
        if self.beam_width > model.task.n_outputs:
            got = repr(self.beam_width)
            expected = f"at most {model.task.n_outputs}, the tokens of outputs and the stop token"
            raise ValueError(problem(caller, "beam_width", got, expected))
        max_length = self.max_length
        if max_length is None:
            max_length = 2 * max(1, model.n_timesteps)
        numbers, offsets, scores = model.decoding.translate(
            sources.values,
            sources.offsets,
            stop=model.task.stop,
            max_length=int(max_length),
            beam_width=int(self.beam_width),
            length_penalty=float(self.length_penalty),
            n_threads=effective_n_threads(self.n_jobs, caller),
        )
        refuse_overflow(scores, caller)
        return numbers, offsets

    def _validation_score(self, model: Model, pairs: Pairs, n_threads: int, caller: str) -> float:
        log_p, steps = self._evaluate(model, pairs, n_threads, caller)
        weights = np.ones(len(log_p)) if pairs.weights is None else pairs.weights
        return float(weights @ log_p / (weights @ np.diff(steps.offsets)))

    def _more_attributes(self, model: Model) -> dict[str, Any]:
        attributes = {"target_tokens_": model.task.target.tokens.copy()}
        if model.task.source is not None:
            attributes["source_tokens_"] = model.task.source.tokens.copy()
        return attributes

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def _token_sources(
    lists: TokenLists, source: Vocabulary, caller: str, argument: str
) -> tuple[Sequences, InputForm]:
    """Numbers of the tokens, from 1; 0 is the unknown one."""
    numbers = source.numbers(lists, caller, argument) + 1
    steps, lengths = numbers.astype(np.int32)[:, None], lists.lengths
    sequences = TokenSequences(
        steps, lists.offsets, steps.dtype, int(lengths.max()), True, caller, argument
    )
    shape = shape_text(len(lists), lengths, 1)
    n_tokens = len(source) + 1
    form = InputForm("tokens", 1, 1, np.dtype(np.float32), shape, n_tokens=n_tokens)
    return sequences, form


def _read_outputs(y: Any, n_samples: int, caller: str, argument: str) -> TokenLists:
    if y is None:
        raise ValueError(problem(caller, argument, "None", "a list of sequences of tokens"))
    lists = read_token_lists(y, caller, argument, may_be_empty=True)
    if len(lists) != n_samples:
        got = f"{len(lists)} samples"
        raise ValueError(problem(caller, argument, got, f"{n_samples}, as in X"))
    return lists


def _known_outputs(lists: TokenLists, target: Vocabulary, caller: str, argument: str) -> Outputs:
    numbers = target.known_numbers(lists, caller, argument)
    form = TargetForm(True, True, False, 1)
    return Outputs(numbers[:, None], lists.offsets, form)


def _are_equal(
    numbers: Array, offsets: NDArray[np.int64], others: Array, other_offsets: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether sequences are the same, one by one."""
    lengths = np.diff(offsets)
    is_equal = lengths == np.diff(other_offsets)
    samples = np.repeat(np.arange(len(lengths)), lengths)
    steps = np.arange(len(samples)) - np.repeat(offsets[:-1], lengths)
    kept = is_equal[samples]
    is_same = numbers[kept] == others[(other_offsets[:-1][samples] + steps)[kept]]
    wrong = samples[kept][~is_same]
    is_equal[wrong] = False
    return np.asarray(is_equal)
