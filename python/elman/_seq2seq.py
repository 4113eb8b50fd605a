"""What encoder-decoders on values and on tokens share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from elman import _core
from elman._arrays import Array
from elman._callbacks import FitObserver, exclusively
from elman._data import INPUT_OF_LAYOUT, Reader
from elman._estimator import (
    LARGEST_SEED,
    BaseNetworkEstimator,
    check_architecture,
    generator,
    warn_of_batch_size,
)
from elman._exceptions import DivergenceError, problem
from elman._model import Model
from elman._moments import channel_means
from elman._network import architecture, build_seq2seq, named_parameters
from elman._pairs import DecoderSteps, Pairs
from elman._parameters import (
    COUNT,
    RULES,
    Rule,
    check_network_parameters,
    check_parameters,
    number,
    one_of,
    or_none,
)
from elman._split import Samples, validation_split
from elman._threads import effective_n_threads
from elman._tokens import EMBEDDING_DIM
from elman._training import Examples, Training, TrainingState, fresh
from elman._weights import read_weights, representable

_SHARED = [
    "cell",
    "hidden_layer_sizes",
    "activation",
    "reset_after",
    "bidirectional",
    "merge_mode",
    "residual",
    "layer_norm",
    "n_channels",
    "missing",
    "alpha",
    "batch_size",
    "learning_rate",
    "learning_rate_init",
    "power_t",
    "warmup",
    "max_iter",
    "shuffle",
    "random_state",
    "tol",
    "warm_start",
    "momentum",
    "nesterovs_momentum",
    "early_stopping",
    "validation_fraction",
    "validation_split",
    "n_iter_no_change",
    "beta_1",
    "beta_2",
    "epsilon",
    "clip_norm",
    "dropout",
    "recurrent_dropout",
    "n_jobs",
    "verbose",
    "checkpoint",
    "checkpoint_every",
]


def _is_teacher_forcing(value: Any) -> bool:
    shares = value if isinstance(value, (list, tuple, np.ndarray)) else [value]
    is_share = number(0, 1, "[]").passes
    return np.ndim(value) <= 1 and len(shares) in (1, 2) and all(map(is_share, shares))


SEQ2SEQ_RULES: dict[str, Rule] = {
    **{name: RULES[name] for name in _SHARED},
    "decoder_layer_sizes": or_none(RULES["hidden_layer_sizes"]),
    "attention": or_none(one_of("dot", "general", "additive")),
    "solver": one_of("adam", "adamw", "nadam", "rmsprop", "sgd"),
    "teacher_forcing": Rule(
        _is_teacher_forcing, "a number in [0, 1], or two: of the first and of the last epoch"
    ),
    "max_length": or_none(COUNT),
}


@dataclass(frozen=True)
class Seq2SeqModel(Model):
    """A trained encoder-decoder; `architecture` holds what `network_of` takes."""

    @staticmethod
    def _network_of(architecture: dict[str, Any]) -> Any:
        return network_of(architecture)

    @cached_property
    def decoding(self) -> _core.Decoding:
        """The encoder-decoder with its weights packed, which all predictions share."""
        return _core.Decoding(self.network(), self.parameters)


def network_of(arguments: Mapping[str, Any]) -> _core.Seq2Seq:
    """Make the encoder-decoder that arguments of its parts describe."""
    encoder = arguments["encoder"]
    return _core.Seq2Seq(
        encoder=None if encoder is None else _core.Network(**encoder),
        n_channels=arguments["n_channels"],
        decoder=_core.Network(**arguments["decoder"]),
        attention=arguments["attention"],
        n_outputs=arguments["n_outputs"],
    )


@dataclass(frozen=True)
class PairExamples(Examples):
    """What an encoder-decoder is trained on; `targets` belong to the decoder's steps.

    Parameters
    ----------
    inputs, input_offsets : ndarray
        What the decoder reads.
    """

    inputs: Array
    input_offsets: NDArray[np.int64]


@dataclass
class PairTraining(Training):
    """A fit of an encoder-decoder."""

    def _trainer(self) -> Any:
        options = self.settings
        return self._ready(
            _core.Seq2SeqTrainer(
                self.network,
                self.state.parameters,
                **self._solver_options(),
                token_dropout=options.get("token_dropout", 0.0),
                target_token_dropout=options.get("target_token_dropout", 0.0),
            )
        )

    def _train(self, trainer: Any, order: NDArray[np.int64], epoch: int) -> float:
        data: Any = self.examples
        trainer.teacher_forcing = self._teacher_forcing(epoch)
        return float(
            trainer.epoch(
                data.values,
                data.offsets,
                data.inputs,
                data.input_offsets,
                data.targets,
                data.weights,
                order,
                batch_size=self._batch_size,
            )
        )

    def _teacher_forcing(self, epoch: int) -> float:
        """Share of given steps, on a line from the first epoch to the last."""
        shares = np.atleast_1d(self.settings["teacher_forcing"]).astype(float)
        return float(np.interp(epoch, [1, max(2, self.settings["max_iter"])], shares[[0, -1]]))


class BaseSeq2Seq(BaseNetworkEstimator):
    """Fit and keep an encoder-decoder; what it puts out is told below it."""

    _rules: ClassVar[dict[str, Rule]] = SEQ2SEQ_RULES

    def stream(self, n_streams: int = 1) -> Any:
        """Refuse: a decoder begins when its encoder has read all, so there are no single steps.

        Raises
        ------
        ValueError
            Always.
        """
        got = "an encoder-decoder, whose outputs begin when the whole sequence has been read"
        expected = "RNNRegressor or RNNClassifier, which have an output at each step"
        raise ValueError(problem(f"{type(self).__name__}.stream", "model", got, expected))

    def _read(
        self,
        X: Any,
        y: Any,
        caller: str,
        settings: Mapping[str, Any],
        model: Model | None,
        suffix: str = "",
    ) -> tuple[Pairs, Any]:
        """Read X and y; what of the task has to be known for that."""
        raise NotImplementedError

    def _read_sources(self, X: Any, caller: str, model: Model) -> Any:
        """Read X alone, as in `fit`."""
        raise NotImplementedError

    def _make_task(self, vocabularies: Any, pairs: Pairs, settings: Mapping[str, Any]) -> Any:
        """Tell what the outputs mean."""
        raise NotImplementedError

    def _validation_score(self, model: Model, pairs: Pairs, n_threads: int, caller: str) -> float:
        """Score held-out pairs."""
        raise NotImplementedError

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any],
        groups: Any,
    ) -> None:
        caller = f"{type(self).__name__}.fit"
        with exclusively(self, caller):
            settings = self.get_params(deep=False)
            check_parameters(settings, caller, self._rules)
            _check_together(settings, caller)
            _check_validation(settings, validation, caller)
            before = vars(self).get("_model") if settings["warm_start"] else None
            pairs, vocabularies = self._read(X, y, caller, settings, before)
            pairs = weighted(pairs, sample_weight, caller, "sample_weight")
            _check_max_length(pairs, settings["max_length"], caller)
            rng = generator(settings["random_state"], before, False)
            checkpoint = self._checkpoint(
                settings, caller, before, pairs, groups=groups, vocabularies=vocabularies
            )
            if checkpoint is not None:
                rng = checkpoint.begin(rng)
            training, held_out = self._hold_out(
                pairs, validation, groups, settings, rng, vocabularies, caller
            )
            task = (
                before.task
                if before
                else self._make_task(vocabularies, pairs.take(training), settings)
            )
            model = _start(pairs, training, task, settings, caller, before, rng)
            run = self._training(pairs, training, held_out, model, settings, caller)
            if checkpoint is not None:
                checkpoint.attach(run, held_out)
            observer = FitObserver(
                self, settings["max_iter"], X, y, {"sample_weight": sample_weight}
            )
            model = self._run(run, model, settings, observer)
            self._commit(model, settings["random_state"])
            observer.end(self._attributes(model))

    def _hold_out(
        self,
        pairs: Pairs,
        validation: tuple[Any, Any, Any],
        groups: Any,
        settings: Mapping[str, Any],
        rng: np.random.RandomState,
        vocabularies: Any,
        caller: str,
    ) -> tuple[Samples, Pairs | None]:
        """Return samples to train on, and the pairs that early stopping looks at."""
        samples = np.arange(len(pairs))
        if not settings["early_stopping"]:
            return samples, None
        X_val, y_val, weight_val = validation
        if X_val is not None:
            held_out = self._read_alike(X_val, y_val, caller, settings, pairs, vocabularies)
            return samples, weighted(held_out, weight_val, caller, "sample_weight_val")
        training, held_out_samples = validation_split(
            len(samples),
            settings["validation_split"],
            settings["validation_fraction"],
            rng,
            caller,
            groups=groups,
        )
        return training, pairs.take(held_out_samples)

    def _read_alike(
        self,
        X: Any,
        y: Any,
        caller: str,
        settings: Mapping[str, Any],
        pairs: Pairs,
        vocabularies: Any,
    ) -> Pairs:
        """Read validation data in the light of the training data."""
        raise NotImplementedError

    def _training(
        self,
        pairs: Pairs,
        samples: Samples,
        held_out: Pairs | None,
        model: Model,
        settings: dict[str, Any],
        caller: str,
    ) -> PairTraining:
        """Bring pairs and settings into the form of the core."""
        dtype = model.inputs.dtype
        order = np.intersect1d(samples, pairs.weighted_samples(), assume_unique=True)
        if len(order) == 0:
            got = "weights that are all zero in the training split"
            raise ValueError(problem(caller, "sample_weight", got, "a positive one"))
        warn_of_batch_size(settings["batch_size"], len(order), caller)
        n_threads = effective_n_threads(settings["n_jobs"], caller)
        steps = model.task.steps(pairs.outputs, dtype, caller, "y")
        examples = PairExamples(
            pairs.sources.values,
            pairs.sources.offsets,
            steps.targets,
            None if pairs.weights is None else representable(pairs.weights, dtype),
            order,
            True,
            steps.inputs,
            steps.offsets,
        )

        def validate(parameters: Array) -> float:
            assert held_out is not None
            current = model.with_training(replace(model.training, parameters=parameters))
            score = self._validation_score(current, held_out, n_threads, caller)
            if not np.isfinite(score):
                got = "predictions on the validation data that are not finite"
                expected = "finite values: lower it"
                raise DivergenceError(problem(caller, "learning_rate_init", got, expected))
            return score

        return PairTraining(
            model.network(),
            model.training,
            examples,
            settings,
            model.task,
            n_threads,
            caller,
            None if held_out is None else validate,
        )

    def _reader(self, settings: Mapping[str, Any], caller: str, model: Model | None) -> Reader:
        """How sources of numbers are read."""
        return Reader(
            caller,
            self._names(model),
            model.inputs.n_channels if model else settings["n_channels"],
            settings["input"],
            "auto",
            None,
            model.inputs if model else None,
            None,
            settings["missing"] is not None,
        )

    def _evaluate(
        self, model: Any, pairs: Pairs, n_threads: int, caller: str, *, with_shares: bool = False
    ) -> tuple[Array, DecoderSteps]:
        """Log-probabilities of given outputs, or instead their shares of attention."""
        steps = model.task.steps(pairs.outputs, model.inputs.dtype, caller, "y")
        log_p, _, shares = model.decoding.evaluate(
            pairs.sources.values,
            pairs.sources.offsets,
            steps.inputs,
            steps.offsets,
            None if with_shares else steps.targets,
            with_outputs=False,
            with_shares=with_shares,
            n_threads=n_threads,
        )
        return shares if with_shares else log_p, steps

    def _attention_weights(self, model: Model, pairs: Pairs, caller: str) -> list[Array]:
        if model.architecture["attention"] == "none":
            name = type(self).__name__
            raise AttributeError(f"{name} has no attention_weights with attention=None")
        n_threads = effective_n_threads(self.n_jobs, caller)
        shares, steps = self._evaluate(model, pairs, n_threads, caller, with_shares=True)
        n_out, n_in = np.diff(steps.offsets), pairs.sources.lengths
        parts = np.split(shares, np.cumsum(n_out * n_in)[:-1])
        return [
            part.reshape(shape)
            for part, shape in zip(parts, zip(n_out, n_in, strict=True), strict=True)
        ]

    @staticmethod
    def _settings_of(model: Model) -> dict[str, Any]:
        """Parameters that tell how X is read, as they were in `fit`."""
        encoder = model.architecture["encoder"]
        missing = None if encoder is None else encoder["missing"]
        return {
            "input": INPUT_OF_LAYOUT.get(model.inputs.layout, "sequence"),
            "missing": None if missing == "none" else missing,
        }


def _check_together(settings: Mapping[str, Any], caller: str) -> None:
    """Raise ValueError where parameters do not go together."""
    check_network_parameters({**settings, "bptt_memory": "full", "output": "auto"}, caller)
    if settings["input"] == "vector" and settings["attention"] is not None:
        got, expected = repr(settings["attention"]), "None with input='vector'"
        raise ValueError(problem(caller, "attention", got, f"{expected}: a vector has no steps"))
    if settings["input"] == "tokens" and settings["n_channels"] != 1:
        got = repr(settings["n_channels"])
        raise ValueError(problem(caller, "n_channels", got, "1 with input='tokens'"))


def _check_validation(
    settings: Mapping[str, Any], validation: tuple[Any, Any, Any], caller: str
) -> None:
    X_val, y_val, weight_val = validation
    if X_val is None and y_val is None and weight_val is None:
        return
    if X_val is None or y_val is None:
        missing = "X_val" if X_val is None else "y_val"
        raise ValueError(problem(caller, missing, "None", "X_val and y_val together"))
    if not settings["early_stopping"]:
        expected = "None without early_stopping=True"
        raise ValueError(problem(caller, "X_val", "data", expected))


def _check_max_length(pairs: Pairs, max_length: int | None, caller: str) -> None:
    longest = int(pairs.outputs.lengths.max())
    if max_length is not None and longest > max_length:
        i = int(pairs.outputs.lengths.argmax())
        got = f"{longest} steps at sample {i}"
        raise ValueError(problem(caller, "y", got, f"at most max_length={max_length}"))


def refuse_overflow(outputs: Array, caller: str) -> None:
    """Raise ValueError where the outputs of a sample are not finite."""
    is_finite = np.isfinite(outputs).all(axis=tuple(range(1, outputs.ndim)))
    if not is_finite.all():
        got = f"a source on which the network overflows (sample {np.argmin(is_finite)})"
        raise ValueError(problem(caller, "X", got, "outputs that are finite"))


def weighted(pairs: Pairs, sample_weight: Any, caller: str, argument: str) -> Pairs:
    weights = read_weights(sample_weight, pairs.sources, caller, per_step=False, argument=argument)
    return replace(pairs, weights=weights)


def _start(
    pairs: Pairs,
    samples: NDArray[np.int64],
    task: Any,
    settings: Mapping[str, Any],
    caller: str,
    before: Model | None,
    rng: np.random.RandomState,
) -> Model:
    """Make the model with which training begins."""
    inputs = before.inputs if before else pairs.inputs
    arguments = _architecture(settings, inputs, task)
    if before is not None:
        check_architecture(arguments, before.architecture, caller)
        training = fresh(replace(before.continued(), random_state=rng))
        longest = max(before.n_timesteps, int(pairs.outputs.lengths.max()))
        return replace(before, training=training, n_timesteps=longest)
    network = build_seq2seq(arguments, network_of, caller)
    parameters = network.initialize(int(rng.randint(LARGEST_SEED)))
    if inputs.layout != "tokens" and settings["missing"] == "decay":
        parameters = _with_means(network, parameters, pairs.take(samples), caller)
    training = TrainingState(parameters, rng, int(rng.randint(LARGEST_SEED)))
    longest = int(pairs.outputs.lengths.max())
    return Seq2SeqModel(arguments, parameters, inputs, pairs.outputs.form, task, training, longest)


def _with_means(network: Any, parameters: Array, pairs: Pairs, caller: str) -> Array:
    """Let values fade towards the means of their channels."""
    parameters = parameters.copy()
    means = named_parameters(network, parameters)["encoder.decay.mean"]
    weights = None if pairs.weights is None else np.repeat(pairs.weights, pairs.sources.lengths)
    means[...] = channel_means([(pairs.sources.values, weights)], caller)
    return parameters


def _architecture(settings: Mapping[str, Any], inputs: Any, task: Any) -> dict[str, Any]:
    """Arguments of `network_of`, from an estimator's parameters and its data."""
    parts = {**settings, "head": None}
    encoder = None
    width = settings.get("embedding_dim") or EMBEDDING_DIM
    if settings["input"] != "vector":
        n_channels = width if inputs.n_tokens else inputs.n_channels
        encoder = architecture(parts, inputs.dtype, n_channels, 1, inputs.n_tokens)
    sizes = settings["decoder_layer_sizes"] or settings["hidden_layer_sizes"]
    parts = {
        **parts,
        "hidden_layer_sizes": sizes,
        "bidirectional": False,
        "missing": None,
    }
    n_channels = width if task.n_tokens else task.n_values
    decoder = architecture(parts, inputs.dtype, n_channels, 1, task.n_tokens)
    return {
        "encoder": encoder,
        "n_channels": inputs.n_channels,
        "decoder": decoder,
        "attention": settings["attention"] or "none",
        "n_outputs": task.n_outputs,
    }
