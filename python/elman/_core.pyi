"""The compiled core: arrays in, arrays out.

Every array is C-contiguous and of the network's dtype unless told otherwise. A ragged
batch is ``(values, offsets)``: ``values`` (n_total_steps, n_channels) holds the
sequences one after another, ``offsets`` (n_sequences + 1,) of int64 tells where each
begins, as Arrow lays out lists. Of a network with an embedding, ``values`` is an array of
int32 (n_total_steps,), one token a step, or ``(first, ids, values)`` as in CSR: step i has
the tokens ids[first[i]:first[i + 1]], times their values. Every entry point checks ranks,
shapes and offsets again and raises ValueError, whatever the caller did before.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float32] | NDArray[np.float64]
Steps = Real | NDArray[np.int32] | tuple[NDArray[np.int64], NDArray[np.int32], Real]

class Diverged(ValueError):
    """Raised by `Trainer` at the first non-finite loss or gradient.

    ``args`` is (message, batch, learning_rate, gradient_norm); nothing has been
    written to the parameters by the update that diverged.
    """

class Network:
    """A stack of recurrent layers and a dense head; holds shapes, never weights.

    Parameters are one flat array of the network's dtype, cut by `parameters`.
    """

    def __init__(
        self,
        *,
        dtype: str,  # "float32", "float64"
        cell: str,  # "simple", "gru", "lstm", "min_gru", "min_lstm"
        activation: str,  # of the simple cell: "tanh", "relu", "identity"
        reset_after: bool,  # of the GRU
        hidden_layer_sizes: Sequence[int],
        bidirectional: Sequence[bool],  # one for each layer
        n_channels: int,
        n_outputs: int,  # ignored without a head
        head: bool,  # False: the last layer's states are the outputs
        n_tokens: int = 0,  # of an embedding of n_channels columns; 0: steps are numbers
        merge_mode: str = "concat",  # of two directions: "concat", "sum", "mean", "mul"
        residual: bool = False,  # each layer but the first adds its input to its output
        missing: str = "none",  # "mask": steps with NaN hand on the states; "decay": GRU-D
        layer_norm: bool = False,  # of each gate's sums, over the units of its layer
        input_layer: int = 0,  # units of relu(x W + b) of a step before the first layer
        head_layer: int = 0,  # units of relu(v W + b) before the head's outputs
        head_inputs: bool = False,  # the head reads the step's inputs beside the states
        branch_step: int = 0,  # steps from this one on all start from the states before it
    ) -> None: ...
    @property
    def dtype(self) -> str: ...
    @property
    def n_channels(self) -> int: ...
    @property
    def n_tokens(self) -> int: ...
    @property
    def n_outputs(self) -> int: ...
    @property
    def n_parameters(self) -> int: ...
    @property
    def parameters(self) -> list[tuple[str, tuple[int, ...], int]]:
        """(name, shape, offset in the flat array) of each parameter, in order.

        With tokens "embedding" (n_tokens, n_channels); with missing="decay" "decay.mean",
        "decay.w_x", "decay.b_x" (n_channels,), "decay.W_h" (n_channels, n_units) and
        "decay.b_h" (n_units,), and 2 n_channels inputs; "layers.0.W_xh"
        (n_inputs, n_gates * n_units), "layers.0.W_hh" (n_units, n_gates * n_units) unless
        the cell is "min_gru" or "min_lstm",
        "layers.0.b_h" (n_gates * n_units,), for the
        reset-after GRU "layers.0.b_hn" (n_units,), with layer_norm "layers.0.g_h" and "g_hn" of
        the same shapes as the biases, for a bidirectional layer the same
        under "layers.0.reverse."; "head.W" (n_features, n_outputs), "head.b".

        With input_layer "input.W" (n_inputs, input_layer) and "input.b" stand before the layers,
        whose inputs are as many. With head_inputs n_features are more by n_inputs, what the
        input layer or else the first one reads (of a sequence: of its last step), and with
        head_layer it is "head.0.W" (n_features, head_layer) and "head.0.b" before "head.W"
        (head_layer, n_outputs).
        """
    @property
    def states(self) -> list[tuple[str, int, int]]:
        """(name, width, offset within a row) of each state.

        "layers.0.h", for the LSTM "layers.0.c", and "layers.0.reverse.h", …; with
        missing="decay" then "decay.last", the last value of each channel, and "decay.since", the
        steps from it to the next one.
        """
    @property
    def state_size(self) -> int:
        """Width of a row of states: the sum over `states`."""
    def initialize(self, seed: int) -> Real:
        """Glorot-uniform W_xh, head and input layer, orthogonal W_hh, zero biases, LSTM b_f = 1.

        The embedding is normal with a standard deviation of 0.1.
        """
    def forward(
        self,
        parameters: Real,
        values: Steps,
        offsets: NDArray[np.int64],
        *,
        per_step: bool,  # True: (n_total_steps, n_outputs); False: (n_sequences, ...)
        initial_state: Real | None = None,  # (n_sequences, state_size); None is the start
        n_threads: int = 1,
    ) -> tuple[Real, Real]:
        """(outputs, final_state): the head's linear outputs, in the caller's order."""
    def input_gradient(
        self,
        parameters: Real,
        values: Steps,
        offsets: NDArray[np.int64],
        doutputs: Real,  # dL/d(outputs), as of `forward`
        *,
        per_step: bool,
        n_threads: int = 1,
    ) -> Real:
        """dL/d(inputs), (n_total_steps, n_channels), through all steps of each sequence.

        Of tokens it is that of what the embedding makes of them. A missing value has none; with
        "decay" one that is there has that of all the values that it stands in for.
        """

class Predictor:
    """A network with weights that are packed once, for many calls.

    An embedding is read where it is: its part of ``parameters`` must not be changed. Any number
    of threads may call it at a time.
    """

    def __init__(
        self,
        network: Network,
        parameters: Real,
        *,
        per_step: bool,  # True: (n_total_steps, n_outputs); False: (n_sequences, ...)
        n_threads: int = 1,
        storage: str = "full",  # of the layers' matrices in float32: "float16", "int8"
    ) -> None: ...
    @property
    def n_bytes(self) -> int:
        """Bytes that the layers' matrices take."""
    def forward(
        self,
        values: Steps,
        offsets: NDArray[np.int64],
        *,
        initial_state: Real | None = None,  # (n_sequences, state_size); None is the start
    ) -> tuple[Real, Real]:
        """(outputs, final_state), as of `Network.forward`."""
    def __call__(self, X: Real | NDArray[np.int32]) -> Real:
        """Outputs for (n_timesteps, n_channels) or (n_samples, n_timesteps, n_channels).

        Tokens have no axis of channels. Raises ValueError for another shape or dtype, NaN or
        infinity, a token out of range.
        """

class Stream:
    """One step at a time, of streams side by side; several threads take turns.

    Raises ValueError for a network with a layer of two directions.
    """

    def __init__(self, predictor: Predictor, *, n_streams: int = 1) -> None: ...
    @property
    def n_streams(self) -> int: ...
    @property
    def step(self) -> Callable[..., Real | None]:
        """A function of x and, by place, out: outputs (n_streams, n_outputs) of the next step.

        They are ``out`` itself, or a new array where it is None. x is (n_streams, n_channels),
        tokens (n_streams,) or (first, ids, values). What it leaves out of one stream, the first
        axis, is left out of the outputs too; one channel needs no axis, and x may be a number
        then. None, with nothing done, where x or ``out`` is not C-contiguous, of another dtype or
        shape, or not finite: what to say is the caller's.
        """
    @property
    def states(self) -> Real:
        """A copy, (n_streams, state_size); assign to replace."""
    @states.setter
    def states(self, value: Real) -> None: ...
    def reset(self, streams: NDArray[np.int64]) -> None: ...
    def keep(self, streams: NDArray[np.int64]) -> None:
        """Stream i becomes what streams[i] was; others end."""
    def add(self, n: int) -> int:
        """Begin n streams behind the others; returns the number of the first."""

class Seq2Seq:
    """An encoder and a decoder, attention between them, a dense head; holds shapes only.

    Sources are sequences as the encoder takes them, or without one vectors: values
    (n_sequences, n_channels) and offsets that count them. Parameters are those of the encoder
    behind "encoder.", of the decoder behind "decoder."; "bridge.layers.0.h.W", ".b" and so on of
    each state of the decoder that does not start from a state of its own width;
    "attention.W_m" (memory, units) unless it is "dot", "attention.b_m", "W_q" (units, units)
    and "v" if it is "additive", "attention.W_c" (memory + units, units), "attention.b_c";
    "head.W", "head.b".
    """

    def __init__(
        self,
        *,
        encoder: Network | None,  # without a head; None: sources are vectors
        n_channels: int,  # of those vectors
        decoder: Network,  # without a head, of one direction; of the encoder's dtype and cell
        attention: str,  # "none", "dot", "general", "additive"
        n_outputs: int,
    ) -> None: ...
    @property
    def dtype(self) -> str: ...
    @property
    def n_parameters(self) -> int: ...
    @property
    def n_outputs(self) -> int: ...
    @property
    def parameters(self) -> list[tuple[str, tuple[int, ...], int]]: ...
    def initialize(self, seed: int) -> Real:
        """Both networks as `Network.initialize`; matrices between them and v Glorot-uniform."""

class Decoding:
    """An encoder-decoder with weights that are packed once, for many calls.

    Embeddings are read where they are: their part of ``parameters`` must not be changed. Any
    number of threads may call it at a time.
    """

    def __init__(self, model: Seq2Seq, parameters: Real) -> None: ...
    def translate(
        self,
        values: Steps,
        offsets: NDArray[np.int64],
        *,
        stop: int,  # the output that ends an answer
        max_length: int,  # without it
        beam_width: int = 1,
        length_penalty: float = 0.0,
        n_threads: int = 1,
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]:
        """(ids, offsets, scores) of the answers, where ids are numbers of outputs.

        The decoder reads token 0 first, then 1 + the number of the output before.
        """
    def generate(
        self,
        values: Real,
        offsets: NDArray[np.int64],
        *,
        n_steps: int,
        n_threads: int = 1,
    ) -> tuple[Real, NDArray[np.int64]]:
        """(values, lengths): (n_sequences, n_steps, n_values), of which so many steps count.

        The decoder reads zeros first, then the outputs before. An output more than it reads is
        the logit of the step being the last.
        """
    def evaluate(
        self,
        values: Steps,
        offsets: NDArray[np.int64],
        inputs: Steps,  # what the decoder reads at each step
        input_offsets: NDArray[np.int64],
        targets: Real | None = None,  # (n_total_inputs, 1): numbers of outputs
        *,
        with_outputs: bool = True,
        with_shares: bool = True,
        n_threads: int = 1,
    ) -> tuple[NDArray[np.float64] | None, Real | None, Real | None]:
        """(log_p, outputs, shares) of given inputs.

        log_p (n_sequences,) is the sum of log p(target); shares, unless attention is "none",
        hold what each step reads of each step of the source, sequence by sequence. What nobody
        asks for is None.
        """

class Seq2SeqTrainer:
    """A `Trainer` of pairs; the loss is the mean over the steps of the outputs.

    "multiclass" is the loss of tokens. That of values is "squared", and with one output more
    than values "binary" is added for it.
    """

    def __init__(
        self,
        model: Seq2Seq,
        parameters: Real,
        *,
        loss: str,  # "multiclass", "squared"
        solver: str = "adam",
        learning_rate: float = 0.001,
        schedule: str = "constant",
        power_t: float = 0.5,
        warmup_steps: int = 0,
        total_steps: int = 0,
        alpha: float = 0.0,
        clip_norm: float | None = None,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        token_dropout: float = 0.0,  # of sources
        target_token_dropout: float = 0.0,  # of what the decoder reads
        teacher_forcing: float = 1.0,  # probability that a step reads what was given
        seed: int = 0,
        n_threads: int = 1,
    ) -> None: ...
    learning_rate: float
    teacher_forcing: float
    @property
    def parameters(self) -> Real:
        """A copy; assign to replace."""
    @parameters.setter
    def parameters(self, value: Real) -> None: ...
    @property
    def n_updates(self) -> int: ...
    @property
    def solver_state(self) -> dict[str, Any]:
        """As of `Trainer`."""
    @solver_state.setter
    def solver_state(self, value: dict[str, Any]) -> None: ...
    def epoch(
        self,
        values: Steps,
        offsets: NDArray[np.int64],
        inputs: Steps,
        input_offsets: NDArray[np.int64],
        targets: Real,  # (n_total_inputs, n_targets)
        weights: Real | None,  # (n_sequences,), >= 0; None is one
        order: NDArray[np.int64],
        *,
        batch_size: int,
    ) -> float:
        """As of `Trainer`."""
    def loss_and_gradient(
        self,
        values: Steps,
        offsets: NDArray[np.int64],
        inputs: Steps,
        input_offsets: NDArray[np.int64],
        targets: Real,
        weights: Real | None,
    ) -> tuple[float, Real]:
        """As of `Trainer`."""

def mix(
    outputs: Real,  # (n_rows, n_loss_outputs + n_groups * n_candidates)
    candidates: Real,  # (n_rows, n_candidates * n_targets), finite
    *,
    n_targets: int,
    n_levels: int = 1,  # of quantiles; 1 of every other loss
    n_groups: int = 1,
    sharpness: float = 1.0,
) -> Real:
    """(n_rows, n_loss_outputs): what a `Trainer` with candidates gives its loss to read.

    The first n_levels blocks of n_targets outputs, with the mixture of the candidates added.
    """

def suits_fleet(network: Network) -> bool:
    """Whether `train_fleet` and `predict_fleet` take such networks.

    They have layers of one direction, and a head or none; no tokens, missing values, residuals,
    layer normalisation or other layers.
    """

def train_fleet(
    network: Network,
    parameters: Real,  # (n_networks, n_parameters)
    values: Real,
    offsets: NDArray[np.int64],
    first_sequence: NDArray[np.int64],  # (n_networks + 1,): network i has those up to the next's
    targets: Real,
    weights: Real | None,
    orders: tuple[
        NDArray[np.int32], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64] | None
    ],
    *,
    warmup_steps: NDArray[np.int64],
    total_steps: NDArray[np.int64],
    per_step: bool,
    batch_size: int,
    max_iter: int,
    tol: float,
    patience: float,  # epochs that may fail to improve the loss by tol
    adapting_divisor: float,  # of the learning rate when they have; 1 ends the training
    least_learning_rate: float,  # as does a rate that is not above this
    loss: str,
    loss_parameters: list[float],
    n_candidates: int = 0,
    n_groups: int = 1,
    sharpness: float = 1.0,
    solver: str,
    learning_rate: float,
    schedule: str,
    power_t: float,
    alpha: float,
    clip_norm: float | None,
    momentum: float,
    nesterovs_momentum: bool,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    bptt_steps: int,
    n_threads: int,
) -> dict[str, NDArray[Any]]:
    """Train many networks, each as `Trainer` would train it, to the bit.

    ``orders`` is (numbers, first, stride, n_drawn): in epoch e network i goes through its sequences
    in the order that stands at ``numbers[first[i] + e * stride[i]]``, counted from its first
    sequence. The mini-batches are `batch_size` of them, as far as there are so many. With n_drawn
    it goes through so many numbers in all, ``stride[i]`` in an epoch, and is over after them.

    Returns, with a row for each network, "parameters", "moments" (n_networks, n_moments,
    n_parameters), "learning_rate", "best_loss", "n_iter", "n_no_change", "is_over", "diverged_at"
    (the mini-batch of epoch n_iter + 1, or -1), "gradient_norm" there, "losses" (n_networks,
    max_iter), of which the first n_iter count.
    """

def predict_fleet(
    network: Network,
    parameters: Real,
    values: Real,
    offsets: NDArray[np.int64],
    first_sequence: NDArray[np.int64],
    *,
    per_step: bool,
    n_threads: int,
) -> Real:
    """(n_sequences or n_steps, n_outputs): what `Network.forward` gives for each network."""

class Trainer:
    """Parameters, solver state and options of one fit; an epoch is one call.

    The loss of a mini-batch is sum_i w_i l_i / sum_i w_i over its rows (sequences, or
    steps with ``per_step``), plus ``alpha / 2 * ||W||^2 / sum_i w_i`` over the weight
    matrices (not the biases). With "adamw" the decay is decoupled instead:
    W -= learning_rate * alpha * W. Of an embedding only the rows whose tokens are in the
    mini-batch count in the penalty, and are updated at all.

    Losses and what stands in a row of ``targets``:
    "squared"    (y - a)^2 / 2, mean over outputs
    "absolute"   |y - a|, mean over outputs
    "huber"      (y-a)^2 / 2 where |y-a| <= d, else d (|y-a| - d / 2); d = loss_parameter
    "quantile"   pinball of level q = loss_parameter, mean over outputs; of several levels
                 outputs are a block of n for each, for n targets
    "poisson"    exp(a) - y a, mean over outputs
    "gaussian"   outputs are k means, then k log standard deviations s, for k targets:
                 s + (y - mean)^2 exp(-2 s) / 2 + log(2 pi) / 2, mean over targets
    "student_t"  outputs are k locations, k log scales, k outputs d of 2 + log(1 + exp(d))
                 degrees of freedom: -log p(y), mean over targets
    "negative_binomial"  outputs are k log means mu, then k log dispersions alpha, for k counts
                 y >= 0 of variance mu + alpha mu^2: -log p(y), mean over targets
    "binary"     targets 0 or 1, one output a: log(1 + exp(a)) - y a
    "multilabel" the same for each output, summed
    "multiclass" targets (n, 1) of class numbers: logsumexp(a) - a[y]

    A NaN in the targets of another loss than the last three is not known: it adds nothing,
    and the mean is over the others (zero where there are none).

    With n_candidates the network's outputs are the loss's own, then n_groups * n_candidates
    scores, group by group; a row of targets is its n targets, then n numbers of each candidate,
    which must be finite. Target j is of group j * n_groups // n; the candidates' mean, weighted
    by softmax(sharpness * scores of the group), is added to the locations that the loss reads:
    to the first n outputs, of quantiles to each level's (where outputs are logarithms, so are
    candidates). `mix` does so for predictions.

    Solvers: "adam", "adamw", "nadam", "rmsprop", "sgd".
    """

    def __init__(
        self,
        network: Network,
        parameters: Real,
        *,
        loss: str,
        loss_parameter: float | NDArray[np.float64] = 1.0,  # an array of levels of quantiles
        n_candidates: int = 0,
        n_groups: int = 1,
        sharpness: float = 1.0,
        solver: str = "adam",
        learning_rate: float = 0.001,
        schedule: str = "constant",  # "constant", "invscaling", "cosine"
        power_t: float = 0.5,  # invscaling: learning_rate / (update + 1) ** power_t
        warmup_steps: int = 0,  # cosine: updates of linear warm-up
        total_steps: int = 0,  # cosine: updates until the rate is zero
        alpha: float = 0.0,
        clip_norm: float | None = None,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        parameter_average: float = 0.0,  # decay of `average` in (0, 1); 0 is none
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        token_dropout: float | NDArray[np.float64] = 0.0,  # of a step, or of each token
        bptt_steps: int = 0,  # 0: exact BPTT
        checkpoint: bool = False,  # tapes of sqrt(n_timesteps) steps, two passes forwards
        seed: int = 0,  # of the dropout masks
        n_threads: int = 1,
    ) -> None: ...
    learning_rate: float
    @property
    def parameters(self) -> Real:
        """A copy; assign to replace."""
    @parameters.setter
    def parameters(self, value: Real) -> None: ...
    @property
    def average(self) -> Real:
        """A copy of the fading average of the parameters over the updates.

        After update k = 0, 1, ...: average <- d average + (1 - d) parameters, with
        d = min(parameter_average, (k + 1) / (k + 10)). Raises ValueError where none is kept; an
        embedding cannot have one.
        """
    n_updates: int
    """Updates so far; together with ``seed`` it draws the dropout masks."""
    @property
    def solver_state(self) -> dict[str, Any]:
        """{"n_updates": int, "moments": (k, n_parameters)}; assign to go on from it.

        With an average also {"average": (n_parameters,)}.
        """
    @solver_state.setter
    def solver_state(self, value: dict[str, Any]) -> None: ...
    def epoch(
        self,
        values: Steps,
        offsets: NDArray[np.int64],
        targets: Real,  # (n_sequences or n_total_steps, n_targets)
        weights: Real | None,  # (n_sequences,) or (n_total_steps,), >= 0; None is one
        order: NDArray[np.int64],  # sequences in the order of training
        *,
        batch_size: int,
        per_step: bool,
    ) -> float:
        """One pass over ``order`` in mini-batches; the weighted mean of their losses.

        Raises `Diverged`, or KeyboardInterrupt within milliseconds of the signal.
        """
    def loss_and_gradient(
        self,
        values: Steps,
        offsets: NDArray[np.int64],
        targets: Real,
        weights: Real | None,
        *,
        per_step: bool,
    ) -> tuple[float, Real]:
        """Loss and exact gradient of all sequences as one mini-batch, penalty included.

        Dropout is applied as in the next update of `epoch`; nothing is changed.
        """
    def part(
        self,
        values: Steps,
        offsets: NDArray[np.int64],
        targets: Real,
        weights: Real | None,
        order: NDArray[np.int64],
        *,
        total_weight: float,
        per_step: bool,
    ) -> tuple[float, float, Real, NDArray[np.int64]]:
        """What the sequences in ``order`` add to a mini-batch whose weights sum to total_weight.

        Their share of its loss; their own weight; their share of its gradient, without penalty;
        and the tokens that they look up, of whose rows of the embedding there is a gradient.
        Nothing is changed.
        """
    def update(
        self, gradient: Real, loss: float, weight: float, tokens: NDArray[np.int64]
    ) -> float:
        """One update, as `epoch` makes it, by the sum of all parts of a mini-batch.

        Returns the loss with its penalty; raises `Diverged`. What `epoch` puts off of an
        embedding's updates is made up for at once, to the rounding.
        """

isa: str
"""The instruction set that was chosen: "baseline", "avx2", "avx512" or "neon"."""
