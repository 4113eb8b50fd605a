"""The recurrent regressor."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin

from elman._base import BaseRNN, stochastic_only
from elman._callbacks import with_callbacks
from elman._exceptions import problem
from elman._moments import standard_units
from elman._regression import RegressionTask, read_numbers
from elman._split import Samples
from elman._stream import Stream
from elman._targets import restore

if TYPE_CHECKING:
    from elman._blocks import AnyData


class RNNRegressor(MultiOutputMixin, RegressorMixin, BaseRNN):
    """Recurrent neural network for regression on sequences.

    Predicts one target, or several, for each sequence or for each of its time steps.

    Parameters
    ----------
    cell : {"gru", "lstm", "simple", "min_gru", "min_lstm"}, default="gru"
        The recurrent cell: gated recurrent unit [1]_, long short-term memory [2]_, the simple
        cell of Elman [3]_, or the minimal forms of the first two [4]_, whose gates look at the
        input alone: they have no W_hh.
    hidden_layer_sizes : int or array-like of shape (n_layers,), default=(32,)
        Number of units of each recurrent layer.
    activation : {"tanh", "relu", "identity"}, default="tanh"
        Activation function of the simple cell.
    reset_after : bool, default=True
        Whether the reset gate of the GRU acts after the recurrent product.
    bidirectional : bool or sequence of bool, default=False
        Whether a layer also reads backwards in time; one value, or one for each layer.
    merge_mode : {"concat", "sum", "mean", "mul"}, default="concat"
        How the states of a bidirectional layer's two directions become one vector.
    residual : bool, default=False
        Whether each layer after the first adds its input to its output [7]_; then all layers
        need outputs of one width.
    layer_norm : bool, default=False
        Whether the sums of each gate are normalised over the units of their layer, at each step
        [9]_, before they are squashed; gains are in `weights_` as "layers.0.g_h".
    head : {"dense", None}, default="dense"
        A dense layer after the recurrent ones. Without one the states of the last layer are
        the outputs.
    n_channels : int, default=1
        Channels of a time step when X is a table of shape
        (n_samples, n_timesteps * n_channels).
    input : {"sequence", "vector", "tokens"}, default="sequence"
        Whether X holds sequences of numbers; one vector of shape (n_features,) for each sample,
        which is fed at every step of the output; or sequences of tokens, which an embedding
        turns into numbers.
    n_tokens : int or None, default=None
        With ``input="tokens"``, the number of tokens: they count from 0, the unknown one. None
        is told by X.
    embedding_dim : int or None, default=None
        Columns of the embedding; None is those of `embedding`, otherwise 64.
    embedding : array-like of shape (n_tokens, embedding_dim), "cooccurrence" or None, default=None
        What the embedding starts from: numbers of your own, vectors of the tokens that stand
        near each other in X [5]_, or small random numbers.
    token_dropout : float, "rare" or array-like of shape (n_tokens,), default=0.0
        Probability with which a step's tokens are dropped in training [6]_: "rare" is
        0.5 / (0.5 + n) for a token that occurs n times, an array tells it for each token. A
        dropped token turns into token 0, which is how unknown ones are learned; of several
        features of a step, dropped ones are left out.
    embedding_dropout : float, default=0.0
        Share of the embedding's outputs that is dropped.
    missing : {"mask", "decay"} or None, default=None
        What NaN in X means, beside a tail that ends its sequence: None refuses it; "mask" skips
        the input of a step that has any, so that every layer's state goes on as it is; "decay"
        [8]_ replaces a missing value by the last one of its channel, which fades towards the
        channel's mean the longer it has been missing, as does the state of the first layer, and
        tells the network which values are there. "decay" needs a first layer of one direction.
    output : {"auto", "vector", "sequence"}, default="auto"
        Whether a y of two dimensions has shape (n_samples, n_outputs) or, for "sequence",
        (n_samples, n_timesteps). A list of arrays as long as the sequences, or a y of three
        dimensions, is always a target for each step.
    loss : {"squared_error", "absolute_error", "huber", "quantile", "poisson", "gaussian_nll"}, \
            default="squared_error"
        The loss. "quantile" predicts the quantile `quantile`; "poisson" the mean of a count,
        with a logarithmic link; "gaussian_nll" a mean and a standard deviation.
    huber_delta : float, default=1.0
        Where the loss "huber" turns from squared to absolute; in standard deviations of y when
        `scale_targets` applies.
    quantile : float, default=0.5
        Level of the loss "quantile".
    scale_targets : bool, default=True
        Whether the network is trained on standardised targets. Their mean and standard
        deviation are folded into the head afterwards, so that predictions and `weights_` are in
        the units of y. Has no effect on "poisson" nor without a head.
    solver : {"adam", "adamw", "nadam", "rmsprop", "sgd", "lbfgs"}, default="adam"
        The optimizer; "lbfgs" minimises the loss of all samples at once.
    alpha : float, default=1e-4
        Strength of the L2 penalty on weight matrices; divided by the number of samples of a
        mini-batch, or of steps where each has a target, a sample of weight two counting as two.
        With "adamw" it is the decoupled weight decay.
    batch_size : int or "auto", default="auto"
        Sequences in a mini-batch; "auto" is min(200, n_samples).
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
        Draws the initial weights, the order of samples, the validation split and dropout.
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
        Whether to stop when the score on held-out samples no longer improves; the best weights
        are kept. Has no effect on "lbfgs".
    validation_fraction : float, default=0.1
        Share of samples (or groups) that early stopping holds out.
    validation_split : {"random", "last", "groups"}, default="random"
        Which: any, the last ones in the order of X, or all samples of some groups. Windows cut
        from one series overlap, so that only the latter two keep them apart.
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
        Share of a layer's inputs that is dropped between layers. With "lbfgs", which compares
        losses of the same network, nothing is dropped, of states and embeddings neither.
    recurrent_dropout : float, default=0.0
        Share of the state that is dropped, the same one at each step of a sequence.
    bptt_steps : int or None, default=None
        Steps after which backpropagation through time is cut; None never cuts.
    bptt_memory : {"full", "checkpoint"}, default="full"
        What backpropagation through time keeps of T steps: everything, or with "checkpoint" the
        states between segments of sqrt(T) steps, and one segment at a time computed again. That
        takes the memory of some 2 sqrt(T) steps and about 1.3 times as long, and gives the same
        bits. For layers of one direction.
    loss_steps : int or None, default=None
        Number of steps at the end of each sequence that count; None counts all.
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
        file cannot be written, `fit` ends with that error, and the file is as it was before. Not
        for "lbfgs", nor for `partial_fit`.
    checkpoint_every : int, default=10
        Epochs between two writings. The last epoch is written too, and the file stays: the same
        `fit` again ends at once, unless `random_state` is None; then it begins anew.

    Attributes
    ----------
    n_outputs_ : int
        Number of targets.
    n_features_in_ : int
        Number of columns of a table, otherwise of channels.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, when X was a data frame.
    n_channels_in_ : int
        Number of channels of a time step.
    n_iter_ : int
        Number of epochs of the last `fit`.
    t_ : int
        Number of samples seen in training.
    loss_ : float or None
        The loss of the last epoch; in squared standard deviations of y, say, when `scale_targets`
        applies. None of imported weights that have not been trained further.
    loss_curve_ : list of float
        The loss of each epoch.
    best_loss_ : float or None
        The smallest of them; None with early stopping, or where there is none.
    validation_scores_ : list of float or None
        With early stopping, the score on held-out samples after each epoch: R².
    best_validation_score_ : float or None
        The best of them.
    weights_ : dict of ndarray
        Copies of the weights: "layers.0.W_xh" of shape (n_inputs, n_gates * n_units),
        "layers.0.W_hh", "layers.0.b_h", …, "head.W", "head.b". Gates stand in the order
        r, z, n for GRU and i, f, g, o for LSTM; "layers.0.b_hn" is the recurrent bias of the
        reset-after GRU, and "layers.0.reverse.W_xh" belongs to the second direction.
    embedding_ : ndarray of shape (n_tokens, embedding_dim)
        A copy of the embedding, with ``input="tokens"``; also ``weights_["embedding"]``.
    n_parameters_ : int
        Number of weights.
    out_activation_ : str
        Name of the function between outputs and predictions.

    See Also
    --------
    RNNClassifier : The same for classes.

    References
    ----------
    .. [1] Cho, K. et al. "Learning phrase representations using RNN encoder-decoder for
       statistical machine translation." EMNLP 2014.
    .. [2] Hochreiter, S. and Schmidhuber, J. "Long short-term memory." Neural Computation 9(8),
       1997.
    .. [3] Elman, J. L. "Finding structure in time." Cognitive Science 14(2), 1990.
    .. [4] Feng, L. et al. "Were RNNs all we needed?" arXiv:2410.01201, 2024.
    .. [5] Levy, O., Goldberg, Y. and Dagan, I. "Improving distributional similarity with lessons
       learned from word embeddings." TACL 3, 2015.
    .. [6] Iyyer, M. et al. "Deep unordered composition rivals syntactic methods for text
       classification." ACL 2015.
    .. [7] He, K. et al. "Deep residual learning for image recognition." CVPR 2016.
    .. [8] Che, Z. et al. "Recurrent neural networks for multivariate time series with missing
       values." Scientific Reports 8, 2018.
    .. [9] Ba, J. L., Kiros, J. R. and Hinton, G. E. "Layer normalization." arXiv:1607.06450, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from elman import RNNRegressor
    >>> X = np.random.RandomState(0).randn(100, 8, 2)
    >>> y = X[:, :, 0].sum(axis=1)
    >>> model = RNNRegressor(learning_rate_init=0.01, max_iter=500, random_state=0).fit(X, y)
    >>> model.predict(X[:3]).shape
    (3,)
    >>> model.score(X, y) > 0.9
    True

    Sequences of different lengths are a list, and a target at each step is a list too.

    >>> X = [x[: 3 + i % 5] for i, x in enumerate(X)]
    >>> y = [x[:, 0].cumsum() for x in X]
    >>> model = RNNRegressor(learning_rate_init=0.01, max_iter=500, random_state=0).fit(X, y)
    >>> [len(predicted) for predicted in model.predict(X[:3])]
    [3, 4, 5]
    """

    def __init__(
        self,
        *,
        cell: str = "gru",
        hidden_layer_sizes: Any = (32,),
        activation: str = "tanh",
        reset_after: bool = True,
        bidirectional: Any = False,
        merge_mode: str = "concat",
        residual: bool = False,
        layer_norm: bool = False,
        head: str | None = "dense",
        n_channels: int = 1,
        input: str = "sequence",
        n_tokens: int | None = None,
        embedding_dim: int | None = None,
        embedding: Any = None,
        token_dropout: Any = 0.0,
        embedding_dropout: float = 0.0,
        missing: str | None = None,
        output: str = "auto",
        loss: str = "squared_error",
        huber_delta: float = 1.0,
        quantile: float = 0.5,
        scale_targets: bool = True,
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
        bptt_steps: int | None = None,
        bptt_memory: str = "full",
        loss_steps: int | None = None,
        n_jobs: int | None = None,
        verbose: bool | int = False,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 10,
    ) -> None:
        self.cell = cell
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.reset_after = reset_after
        self.bidirectional = bidirectional
        self.merge_mode = merge_mode
        self.residual = residual
        self.layer_norm = layer_norm
        self.head = head
        self.n_channels = n_channels
        self.input = input
        self.n_tokens = n_tokens
        self.embedding_dim = embedding_dim
        self.embedding = embedding
        self.token_dropout = token_dropout
        self.embedding_dropout = embedding_dropout
        self.missing = missing
        self.output = output
        self.loss = loss
        self.huber_delta = huber_delta
        self.quantile = quantile
        self.scale_targets = scale_targets
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
        self.bptt_steps = bptt_steps
        self.bptt_memory = bptt_memory
        self.loss_steps = loss_steps
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        groups: Any = None,
    ) -> RNNRegressor:
        """Train the network on sequences and targets.

        Parameters
        ----------
        X : array-like, data frame or list of arrays
            Sequences: an array of shape (n_samples, n_timesteps, n_channels), where a tail of
            NaN ends a sequence; a list of arrays of shape (n_timesteps_i, n_channels) or
            (n_timesteps_i,); or a table of shape (n_samples, n_timesteps * n_channels), time
            after time. With ``input="vector"``, a table of shape (n_samples, n_features); with
            ``input="tokens"`` a list of arrays of token numbers, a table of them, or a list of
            sparse matrices of shape (n_timesteps_i, n_features), the features of each step. Arrow
            lists are sequences, too. Of data larger than memory, a source of `elman.data`, which
            brings its y and weights.
        y : array-like or list of arrays, default=None
            Targets of shape (n_samples,) or (n_samples, n_outputs); for a target at each step
            (n_samples, n_timesteps, n_outputs), a list of arrays of the sequences' lengths, or
            (n_samples, n_timesteps) with ``output="sequence"``.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_timesteps), or list \
                of arrays, default=None
            Weights of samples or, where there is a target for each step, of steps.
        X_val, y_val, sample_weight_val : array-like, default=None
            Data for early stopping, instead of a part of X and y. X_val may be a source.
        groups : array-like of shape (n_samples,), default=None
            Group of each sample, for ``validation_split="groups"``.

        Returns
        -------
        self : RNNRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X, y or a weight is not as it should be.
        DivergenceError
            If the loss stops being finite. Whatever is raised, the estimator stays as it was.
        """
        validation = (X_val, y_val, sample_weight_val)
        self._fit("fit", X, y, sample_weight, validation, groups)
        return self

    @stochastic_only
    @with_callbacks
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> RNNRegressor:
        """Train for one epoch, going on from where the network is.

        Parameters
        ----------
        X : array-like, data frame or list of arrays
            Sequences: an array of shape (n_samples, n_timesteps, n_channels), where a tail of
            NaN ends a sequence; a list of arrays of shape (n_timesteps_i, n_channels) or
            (n_timesteps_i,); or a table of shape (n_samples, n_timesteps * n_channels), time
            after time. With ``input="vector"``, a table of shape (n_samples, n_features); with
            ``input="tokens"`` a list of arrays of token numbers, a table of them, or a list of
            sparse matrices of shape (n_timesteps_i, n_features), the features of each step. Arrow
            lists are sequences, too. Of data larger than memory, a source of `elman.data`, which
            brings its y and weights.
        y : array-like or list of arrays, default=None
            Targets of shape (n_samples,) or (n_samples, n_outputs); for a target at each step
            (n_samples, n_timesteps, n_outputs), a list of arrays of the sequences' lengths, or
            (n_samples, n_timesteps) with ``output="sequence"``.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_timesteps), or list \
                of arrays, default=None
            Weights of samples or, where there is a target for each step, of steps.

        Returns
        -------
        self : RNNRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X, y or a weight is not as it should be.
        DivergenceError
            If the loss stops being finite. Whatever is raised, the estimator stays as it was.
        """
        self._fit("partial_fit", X, y, sample_weight)
        return self

    def predict(
        self,
        X: Any,
        initial_state: dict[str, Any] | None = None,
        return_state: bool = False,
        n_timesteps: int | None = None,
        return_std: bool = False,
    ) -> Any:
        """Predict targets.

        Parameters
        ----------
        X : array-like, data frame or list of arrays
            Sequences in one of the forms of `fit`.
        initial_state : dict of array-like of shape (n_samples, n_units), default=None
            States before the first step, by name as ``return_state`` gives them; by default
            zero. With ``missing="decay"`` the last values of each channel and the steps since
            they came are states too.
        return_state : bool, default=False
            Whether to return the states after the last step too.
        n_timesteps : int, default=None
            Length of the output with ``input="vector"``; by default as in `fit`.
        return_std : bool, default=False
            Whether to return predicted standard deviations too; needs
            ``loss="gaussian_nll"``.

        Returns
        -------
        y : ndarray or list of ndarray
            Predictions in the form of the y of `fit`.
        std : ndarray or list of ndarray
            Standard deviations in the same form; only with ``return_std``.
        state : dict of ndarray
            Final states; only with ``return_state``.
        """
        model = self._fitted_model("predict")
        if return_std and model.task.name != "gaussian_nll":
            expected = "False unless loss='gaussian_nll'"
            raise ValueError(problem("RNNRegressor.predict", "return_std", "True", expected))
        outputs, sequences, states = self._outputs(model, "predict", X, initial_state, n_timesteps)
        results = [restore(model.task.predict(outputs), model.targets, sequences)]
        if return_std:
            results.append(restore(model.task.deviation(outputs), model.targets, sequences))
        if return_state:
            results.append(model.states(states))
        return results[0] if len(results) == 1 else tuple(results)

    def stream(self, n_streams: int = 1) -> Stream:
        """Open streams, which take one time step at a time and keep the state.

        Parameters
        ----------
        n_streams : int, default=1
            How many sequences go on side by side, each from the start.

        Returns
        -------
        stream : Stream
            Its ``step`` takes the values of one time step of each stream and returns what
            `predict` gives for the last step of the sequences so far; its ``state`` can be read
            and replaced, streams can be reset, dropped and added.

        Raises
        ------
        ValueError
            If a layer is bidirectional: it has to know the end of a sequence.
        """
        return self._stream(n_streams, "predict")

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Compute the coefficient of determination R² of predictions.

        Parameters
        ----------
        X : array-like, data frame or list of arrays
            Sequences in one of the forms of `fit`.
        y : array-like or list of arrays, default=None
            Targets in one of the forms of `fit`.
        sample_weight : array-like or list of arrays, default=None
            Weights of samples or time steps.

        Returns
        -------
        score : float
            R², averaged over targets; over all time steps where there is a target for each.
        """
        return self._score(X, y, sample_weight)

    def _make_task(
        self, data: AnyData, settings: dict[str, Any], caller: str, classes: Any, training: Samples
    ) -> RegressionTask:
        n_targets = data.targets.n_outputs
        mean, scale = np.zeros(n_targets), np.ones(n_targets)
        name = settings["loss"]
        if settings["scale_targets"] and settings["head"] is not None and name != "poisson":
            numbers = data.target_parts(training, lambda rows: read_numbers(rows, caller, "y"))
            mean, scale = standard_units(numbers)
        return RegressionTask(name, _loss_parameter(settings), mean, scale)

    def _continue_task(self, task: Any, caller: str, classes: Any) -> Any:
        settings = self.get_params(deep=False)
        name = settings["loss"]
        if name != task.name and {name, task.name} & {"poisson", "gaussian_nll"}:
            expected = f"{task.name!r}, as before: outputs of the other mean something else"
            raise ValueError(problem(caller, "loss", repr(name), expected))
        return replace(task, name=name, loss_parameter=_loss_parameter(settings))


def _loss_parameter(settings: dict[str, Any]) -> float:
    parameter = {"huber": "huber_delta", "quantile": "quantile"}.get(settings["loss"])
    return float(settings[parameter]) if parameter else 1.0
