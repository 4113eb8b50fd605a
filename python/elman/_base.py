"""What a recurrent regressor and a recurrent classifier share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.metaestimators import available_if

from elman._arrays import Array, is_finite
from elman._callbacks import FitObserver, exclusively
from elman._data import INPUT_OF_LAYOUT, Data, FactorsOf, Reader
from elman._estimator import (
    LARGEST_SEED,
    BaseNetworkEstimator,
    check_architecture,
    generator,
    warn_of_batch_size,
)
from elman._exceptions import DivergenceError, abbreviated, problem
from elman._model import Model
from elman._network import architecture, build, named_parameters
from elman._parameters import RULES, Rule, check_network_parameters, check_parameters
from elman._sequences import Sequences
from elman._source import Source, check_source
from elman._split import Samples
from elman._stream import Stream, open_stream
from elman._targets import TargetForm
from elman._threads import effective_n_threads
from elman._tokens import (
    check_token_parameters,
    embedding_width,
    initial_embedding,
    known_n_tokens,
    token_dropout,
)
from elman._training import Training, TrainingState, fresh

if TYPE_CHECKING:
    from elman._blocks import AnyData

_Method = TypeVar("_Method", bound=Callable[..., Any])


class BaseRNN(BaseNetworkEstimator):
    """Fit, continue and carry a recurrent network; what its outputs mean is told below it."""

    _rules: ClassVar[dict[str, Rule]] = RULES

    def _make_task(
        self, data: AnyData, settings: dict[str, Any], caller: str, classes: Any, training: Samples
    ) -> Any:
        """Tell what the outputs mean; what is estimated for it, from training samples only."""
        raise NotImplementedError

    def _target_form(self, form: TargetForm, caller: str) -> TargetForm:
        return form

    def _continue_task(self, task: Any, caller: str, classes: Any) -> Any:
        return task

    def _class_weights(
        self, data: AnyData, samples: Samples, task: Any, settings: dict[str, Any], caller: str
    ) -> FactorsOf | None:
        return None

    def _fit(
        self,
        method: str,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        validation: tuple[Any, Any, Any] = (None, None, None),
        groups: Any = None,
        classes: Any = None,
    ) -> BaseRNN:
        caller = f"{type(self).__name__}.{method}"
        with exclusively(self, caller):
            settings = self.get_params(deep=False)
            check_parameters(settings, caller, self._rules)
            check_network_parameters(settings, caller)
            check_token_parameters(settings, caller)
            is_partial = method == "partial_fit"
            _check_validation(settings, validation, is_partial, caller)
            before = vars(self).get("_model") if is_partial or settings["warm_start"] else None
            reader = self._reader(settings, caller, before)
            check_source(X, y, sample_weight, settings, caller)
            data = self._read(reader, X, y, sample_weight)
            data = replace(data, targets=self._target_form(data.targets, caller))
            rng = generator(settings["random_state"], before, is_partial)
            checkpoint = self._checkpoint(settings, caller, before, data, groups=groups)
            if checkpoint is not None:
                rng = checkpoint.begin(rng)
            training, held_out = self._hold_out(data, reader, validation, groups, settings, rng)
            task = (
                self._continue_task(before.task, caller, classes)
                if before
                else self._make_task(data, settings, caller, classes, training)
            )
            model = _start(data, training, task, settings, caller, before, rng, is_partial)
            run = self._training(data, training, held_out, model, settings, caller, is_partial)
            if checkpoint is not None:
                checkpoint.attach(run, held_out)
            metadata = {"sample_weight": sample_weight}
            observer = FitObserver(self, settings["max_iter"], X, y, metadata)
            model = self._run(run, model, settings, observer)
            self._commit(model, settings["random_state"])
            observer.end(self._attributes(model))
        return self

    def _read(self, reader: Reader, X: Any, y: Any, sample_weight: Any, suffix: str = "") -> Any:
        """Read what a fit was given; wherever it lies, it answers as `Data` does."""
        return reader.read(X, y, sample_weight, suffix)

    def _reader(self, settings: dict[str, Any], caller: str, model: Model | None) -> Reader:
        output = settings["output"]
        if model is not None:
            output = "sequence" if model.targets.per_step else "vector"
        return Reader(
            caller,
            self._names(model),
            settings["n_channels"],
            settings["input"],
            output,
            settings["loss_steps"],
            model.inputs if model else None,
            None if model else known_n_tokens(settings),
            settings["missing"] is not None,
        )

    def _hold_out(
        self,
        data: AnyData,
        reader: Reader,
        validation: tuple[Any, Any, Any],
        groups: Any,
        settings: dict[str, Any],
        rng: np.random.RandomState,
    ) -> tuple[Samples, AnyData | None]:
        """Return samples to train on, and the data that early stopping looks at."""
        samples = np.arange(len(data))
        if not settings["early_stopping"] or settings["solver"] == "lbfgs":
            return samples, None
        if validation[0] is not None:
            output = "sequence" if data.targets.per_step else "vector"
            reader = replace(reader, form=data.inputs, output=output)
            check_source(*validation, settings, reader.caller, suffix="_val")
            return samples, self._read(reader, *validation, suffix="_val")
        kind, fraction = settings["validation_split"], settings["validation_fraction"]
        training, held_out = data.split(
            kind, fraction, rng, reader.caller, groups, stratified=is_classifier(self)
        )
        weighted = data.weighted_samples()
        for part, name in ((training, "training"), (held_out, "validation")):
            if not np.isin(part, weighted, assume_unique=True).any():
                got = f"weights that are all zero in the {name} split"
                expected = "a positive one in it"
                raise ValueError(problem(reader.caller, "sample_weight", got, expected))
        return training, data.take(held_out)

    def _training(
        self,
        data: AnyData,
        samples: Samples,
        held_out: AnyData | None,
        model: Model,
        settings: dict[str, Any],
        caller: str,
        is_partial: bool,
    ) -> Training:
        """Bring data and settings into the form of the core."""
        task, dtype = model.task, model.inputs.dtype
        factors_of = self._class_weights(data, samples, task, settings, caller)
        if factors_of is not None:
            data = data.times(factors_of)
        order = np.intersect1d(samples, data.weighted_samples(), assume_unique=True)
        if len(order) == 0:
            got = "weights that are all zero together with class_weight"
            raise ValueError(problem(caller, "sample_weight", got, "a positive one"))
        if settings["solver"] == "lbfgs" and len(order) < len(data):
            data, order = data.take(order), np.arange(len(order))
        warn_of_batch_size(settings["batch_size"], len(order), caller)
        n_threads = effective_n_threads(settings["n_jobs"], caller)
        dropout: Any = 0.0
        if settings["input"] == "tokens" and isinstance(data, Data):
            dropout = token_dropout(settings, data.sequences, order, data.inputs.n_tokens, caller)
        validate = None
        if held_out is not None:
            for rows, _ in held_out.target_parts(np.arange(len(held_out))):
                task.encode(rows, dtype, caller, "y_val")
            validate = _scorer(model, held_out, n_threads, caller)
        training: Training = data.training(
            model.network(),
            model.training,
            data.examples(order, task, caller),
            settings,
            task,
            n_threads,
            caller,
            validate,
            is_partial,
            dropout,
        )
        return training

    def _attributes(self, model: Model) -> dict[str, Any]:
        return {
            **super()._attributes(model),
            "n_channels_in_": model.inputs.n_channels,
            "n_outputs_": model.targets.n_outputs,
            "out_activation_": model.task.out_activation,
        }

    @property
    def embedding_(self) -> Array:
        """A copy of the embedding, (n_tokens, embedding_dim), with ``input="tokens"``."""
        model: Model | None = vars(self).get("_model")
        if model is None or not model.inputs.n_tokens:
            when = "before fit" if model is None else "without input='tokens'"
            raise AttributeError(f"{type(self).__name__} has no attribute 'embedding_' {when}")
        return model.weights()["embedding"]

    def _outputs(
        self,
        model: Model,
        method: str,
        X: Any,
        initial_state: Any = None,
        n_timesteps: int | None = None,
    ) -> tuple[Array, Sequences, Array]:
        """Return outputs in the units of y, what they belong to, and the final states."""
        caller = f"{type(self).__name__}.{method}"
        sequences = self._read_X(model, caller, X, n_timesteps)
        n_threads = effective_n_threads(self.n_jobs, caller)
        outputs, states = model.forward(sequences, caller, initial_state, n_threads)
        if not is_finite(outputs):
            got = "sequences on which the network overflows"
            raise ValueError(problem(caller, "X", got, "outputs that are finite"))
        return outputs, sequences, states

    def _read_X(
        self, model: Model, caller: str, X: Any, n_timesteps: int | None = None, names: Any = None
    ) -> Sequences:
        """Read X as the model takes it; ``names`` holds feature names in another's name."""
        settings = settings_of(model)
        check_source(X, None, None, settings, caller)
        reader = self._reader(settings, caller, model)
        if names is not None:
            reader = replace(reader, names=names)
        if isinstance(X, Source):
            sequences = X._sequences(reader)
        else:
            sequences, _ = reader.read_sequences(X)
        if n_timesteps is not None:
            _check_n_timesteps(n_timesteps, reader.is_vector, caller)
        if reader.is_vector:
            lengths = np.full(len(sequences), n_timesteps or model.n_timesteps, dtype=np.int64)
            sequences = sequences.repeated(lengths)
        return sequences

    def _stream(self, n_streams: Any, method: str) -> Stream:
        caller = f"{type(self).__name__}.stream"
        model = self._fitted_model("stream")
        n_threads = effective_n_threads(self.n_jobs, caller)
        return open_stream(model, method, n_streams, n_threads, caller)

    def _score(self, X: Any, y: Any, sample_weight: Any) -> float:
        model = self._fitted_model("score")
        caller = f"{type(self).__name__}.score"
        settings = settings_of(model)
        check_source(X, y, sample_weight, settings, caller)
        data = self._reader(settings, caller, model).read(X, y, sample_weight)
        if data.targets.n_outputs != model.targets.n_outputs:
            got, expected = f"{data.targets.n_outputs} columns", f"{model.targets.n_outputs}"
            raise ValueError(problem(caller, "y", got, f"{expected}, as in fit"))
        return _scorer(model, data, effective_n_threads(self.n_jobs, caller), caller)(None)


def _scorer(
    model: Model, data: AnyData, n_threads: int, caller: str
) -> Callable[[Array | None], float]:
    """Return a function that scores the model, or other parameters of it, on data."""

    def score(parameters: Array | None) -> float:
        current = model
        if parameters is not None:
            current = model.with_training(replace(model.training, parameters=parameters))
        outputs, rows, weights = _answers(current, data, caller, n_threads)
        if parameters is not None and not np.isfinite(outputs).all():
            got = "predictions on the validation data that are not finite"
            raise DivergenceError(
                problem(caller, "learning_rate_init", got, "finite values: lower it")
            )
        return float(current.task.score(rows, current.task.predict(outputs), weights))

    return score


def _answers(
    model: Model, data: AnyData, caller: str, n_threads: int
) -> tuple[Array, Array, Array | None]:
    """Compute outputs; return them with their rows of y and weights."""
    answers = [
        (model.forward(part.sequences, caller, n_threads=n_threads)[0], part.rows, part.weights)
        for part in data.parts()
    ]
    outputs, rows, weights = zip(*answers, strict=True)
    if len(answers) == 1:
        return answers[0]
    is_weighted = weights[0] is not None
    return (
        np.concatenate(outputs),
        np.concatenate(rows),
        np.concatenate(weights) if is_weighted else None,
    )


def stochastic_only(method: _Method) -> _Method:
    """Leave a method out where the solver is not one of mini-batches."""
    available: _Method = available_if(_is_stochastic)(method)
    return available


def _is_stochastic(estimator: Any) -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError(
            f"{type(estimator).__name__}.partial_fit: solver got 'lbfgs', expected a solver of "
            "mini-batches: partial_fit is only available with those"
        )
    return True


def settings_of(model: Model) -> dict[str, Any]:
    """Parameters that tell how X and y are read, as they were in `fit`."""
    return {
        "input": INPUT_OF_LAYOUT.get(model.inputs.layout, "sequence"),
        "output": "auto",
        "n_channels": model.inputs.n_channels,
        "missing": None
        if model.architecture["missing"] == "none"
        else model.architecture["missing"],
        "loss_steps": None,
    }


def _start(
    data: AnyData,
    samples: Samples,
    task: Any,
    settings: dict[str, Any],
    caller: str,
    before: Model | None,
    rng: np.random.RandomState,
    is_partial: bool,
) -> Model:
    """Make the model with which training begins."""
    inputs = before.inputs if before else data.inputs
    n_channels = embedding_width(settings) if inputs.n_tokens else inputs.n_channels
    arguments = architecture(
        settings, inputs.dtype, n_channels, task.n_outputs, n_tokens=inputs.n_tokens
    )
    if before is not None:
        check_architecture(arguments, before.architecture, caller)
        training = replace(before.continued(), random_state=rng)
        if not is_partial:
            training = fresh(training)
        n_timesteps = max(before.n_timesteps, data.n_timesteps)
        return replace(before, task=task, training=training, n_timesteps=n_timesteps)
    network = build(arguments, caller)
    seed = int(rng.randint(LARGEST_SEED))
    parameters = network.initialize(seed)
    for name, array in _told_by_data(data, samples, settings, seed, caller).items():
        named_parameters(network, parameters)[name][...] = array
    training = TrainingState(parameters, rng, int(rng.randint(LARGEST_SEED)))
    n_timesteps = data.n_timesteps
    model = Model(arguments, parameters, inputs, data.targets, task, training, n_timesteps)
    if task.out_activation == "exp":
        parameters = task.start(network, parameters, data.mean_target(samples, caller))
    return replace(model, training=replace(training, parameters=parameters))


def _told_by_data(
    data: AnyData, samples: Samples, settings: dict[str, Any], seed: int, caller: str
) -> dict[str, Array]:
    """Parameters that do not start at random."""
    if data.inputs.n_tokens and isinstance(data, Data):
        embedding = initial_embedding(
            settings, data.sequences, samples, data.inputs.n_tokens, seed, caller
        )
        return {} if embedding is None else {"embedding": embedding}
    if settings["missing"] == "decay":
        return {"decay.mean": data.channel_means(samples, caller)}
    return {}


def _check_validation(
    settings: dict[str, Any], validation: tuple[Any, Any, Any], is_partial: bool, caller: str
) -> None:
    if is_partial and settings["early_stopping"]:
        expected = "False: partial_fit does not support early_stopping=True"
        raise ValueError(problem(caller, "early_stopping", "True", expected))
    X_val, y_val, weight_val = validation
    if X_val is None and y_val is None and weight_val is None:
        return
    if X_val is None or (y_val is None and not isinstance(X_val, Source)):
        missing = "X_val" if X_val is None else "y_val"
        raise ValueError(problem(caller, missing, "None", "X_val and y_val together"))
    if not settings["early_stopping"] or settings["solver"] == "lbfgs":
        expected = "None without early_stopping=True and a solver of mini-batches"
        raise ValueError(problem(caller, "X_val", "data", expected))


def _check_n_timesteps(n_timesteps: Any, is_vector: bool, caller: str) -> None:
    if not is_vector:
        got, expected = repr(n_timesteps), "None: sequences tell their own lengths"
        raise ValueError(problem(caller, "n_timesteps", got, expected))
    is_integer = isinstance(n_timesteps, (int, np.integer)) and not isinstance(n_timesteps, bool)
    if not is_integer or n_timesteps < 1:
        got = abbreviated(n_timesteps)
        raise ValueError(problem(caller, "n_timesteps", got, "an integer of at least 1"))
