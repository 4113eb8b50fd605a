"""How trained networks, and where their training stands, are kept in a model file."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from elman._exceptions import abbreviated
from elman._kinds import DICT, FLAG, array, expect, instance, integer, list_of
from elman._parameters import RULES, Rule, number, one_of, or_none
from elman._plain import Joined, Kind, Mismatch, check_fields

_ARCHITECTURE: dict[str, Rule] = {
    "dtype": one_of("float32", "float64"),
    "cell": RULES["cell"],
    "activation": RULES["activation"],
    "reset_after": FLAG,
    "hidden_layer_sizes": list_of(integer(1, 2**24)),
    "bidirectional": list_of(FLAG),
    "n_channels": integer(1),
    "n_outputs": integer(1),
    "head": FLAG,
    "n_tokens": integer(0, 2**31 - 1),
    "merge_mode": RULES["merge_mode"],
    "residual": FLAG,
    "layer_norm": FLAG,
    "missing": one_of("none", "mask", "decay"),
}

_WITH_MORE_LAYERS: dict[str, Rule] = {
    **_ARCHITECTURE,
    "input_layer": integer(0, 2**24),
    "head_layer": integer(0, 2**24),
    "head_inputs": FLAG,
    "branch_step": integer(0),
}
_WITH_DEFAULTS = (
    frozenset(("n_tokens", "merge_mode", "residual", "missing", "layer_norm"))
    | _WITH_MORE_LAYERS.keys() - _ARCHITECTURE.keys()
)

_SEQ2SEQ_ARCHITECTURE: dict[str, Rule] = {
    "encoder": or_none(DICT),
    "n_channels": integer(1),
    "decoder": DICT,
    "attention": one_of("none", "dot", "general", "additive"),
    "n_outputs": integer(1),
}


def _least_parameters(architecture: Mapping[str, Any]) -> int:
    """Parameters that a network has at least, reckoned without an end to integers."""
    beside = [[architecture.get(name, 0)] for name in ("input_layer", "head_layer")]
    first, last = (layer if layer[0] else [] for layer in beside)
    widths = [architecture["n_channels"], *first, *architecture["hidden_layer_sizes"], *last]
    if architecture["head"]:
        widths.append(architecture["n_outputs"])
    between = sum(a * b for a, b in itertools.pairwise(widths))
    return int(between + architecture.get("n_tokens", 0) * architecture["n_channels"])


def _parts_of(architecture: dict[str, Any], is_seq2seq: bool) -> list[dict[str, Any]]:
    """Check the names and types of an architecture; return the networks in it."""
    if not is_seq2seq:
        check_fields(architecture, _ARCHITECTURE, "architecture")
        return [architecture]
    check_fields(architecture, _SEQ2SEQ_ARCHITECTURE, "architecture")
    sides = [side for side in ("encoder", "decoder") if architecture[side] is not None]
    for side in sides:
        check_fields(architecture[side], _ARCHITECTURE, f"architecture.{side}")
    return [architecture[side] for side in sides]


def _network(cls: Any, architecture: dict[str, Any], n_parameters: int, is_seq2seq: bool) -> Any:
    """Make the network, once it is sure that it is no larger than its parameters."""
    least = [_least_parameters(part) for part in _parts_of(architecture, is_seq2seq)]
    if is_seq2seq:
        least.append(architecture["n_outputs"])
        if architecture["encoder"] is None:
            least.append(architecture["n_channels"])
    return _made(lambda: cls._network_of(architecture), sum(least), n_parameters)


def _made(make: Callable[[], Any], least: int, n_parameters: int) -> Any:
    if least > n_parameters:
        got = f"sizes for {least} parameters or more"
        raise Mismatch("architecture", got, f"those of the {n_parameters} in weights")
    try:
        return make()
    except (TypeError, ValueError, RuntimeError) as error:
        got = f"what makes no network ({error})"
        raise Mismatch("architecture", got, "sizes that go together") from error


def network_beside(architecture: dict[str, Any], make: Callable[[], Any], weights: Joined) -> Any:
    """Make the networks of one architecture, whose defaults may be left out, for some weights.

    Parameters
    ----------
    architecture : dict
        Arguments of `_core.Network`.
    make : callable
        Makes what has all of the weights: that network, or several of it.
    weights : Joined
        Parameters by name.

    Returns
    -------
    network : object
        What was made; `Mismatch` if it does not go with the weights.
    """
    check_fields(architecture, _WITH_MORE_LAYERS, "architecture", _WITH_DEFAULTS)
    network = _made(make, _least_parameters(architecture), weights.flat.size)
    _check_weights(network, weights)
    return network


def network_of_rows(architecture: dict[str, Any], make: Callable[[], Any], rows: Any) -> Any:
    """Make the network of which each row of an array has the parameters, or raise `Mismatch`."""
    check_fields(architecture, _ARCHITECTURE, "architecture")
    network = _made(make, _least_parameters(architecture), rows.shape[1])
    expect("weights", (rows.shape[1], rows.dtype.name), (network.n_parameters, network.dtype))
    return network


def _check_weights(network: Any, weights: Joined) -> None:
    wanted = {name: tuple(shape) for name, shape, _ in network.parameters}
    for name in [*wanted, *weights.shapes]:
        got, expected = weights.shapes.get(name, "none"), wanted.get(name, "none")
        if got != expected:
            raise Mismatch(f"weights.{name}", f"shape {got}", f"shape {expected}")
    if list(weights.shapes) != list(wanted):
        raise Mismatch("weights", "another order", abbreviated(list(wanted)))
    if weights.flat.dtype != network.dtype:
        raise Mismatch("weights", f"dtype {weights.flat.dtype}", f"dtype {network.dtype}")


def named_weights(network: Any, parameters: Any) -> Joined:
    """Return parameters by name, as they are kept."""
    return Joined(parameters, {name: tuple(shape) for name, shape, _ in network.parameters})


def _model_kind(cls: Any, tasks: tuple[type, ...], check: Callable[[Any], None]) -> Kind:
    from elman._sequences import InputForm
    from elman._targets import TargetForm
    from elman._training import TrainingState

    is_seq2seq = cls.__name__ == "Seq2SeqModel"

    def take(model: Any) -> dict[str, Any]:
        return {
            "architecture": model.architecture,
            "weights": named_weights(model.network(), model.parameters),
            "inputs": model.inputs,
            "targets": model.targets,
            "task": model.task,
            "training": model.compact_training(),
            "n_timesteps": model.n_timesteps,
        }

    def make(values: dict[str, Any]) -> Any:
        weights = values.pop("weights")
        network = _network(cls, values["architecture"], weights.flat.size, is_seq2seq)
        _check_weights(network, weights)
        check_training(values["training"], network)
        model = cls(parameters=weights.flat, **values)
        check(model)
        return model

    rules = {
        "architecture": DICT,
        "weights": instance(Joined),
        "inputs": instance(InputForm),
        "targets": instance(TargetForm),
        "task": instance(*tasks),
        "training": instance(TrainingState),
        "n_timesteps": integer(1, 2**31 - 1),
    }
    return Kind(cls, rules, take, make)


def check_training(training: Any, network: Any) -> None:
    """Compare the arrays of a training state with the network."""
    n, dtype = network.n_parameters, network.dtype
    if training.parameters.size and training.parameters.shape != (n,):
        got = f"shape {training.parameters.shape}"
        raise Mismatch("training.parameters", got, f"shape ({n},)")
    arrays = {"parameters": training.parameters}
    if training.solver_state is not None:
        arrays["moments"] = training.solver_state["moments"]
        if arrays["moments"].shape not in ((1, n), (2, n)):
            got = f"shape {arrays['moments'].shape}"
            raise Mismatch("training.moments", got, f"shape (1, {n}) or (2, {n})")
    for name, values in arrays.items():
        if values.dtype != dtype:
            raise Mismatch(f"training.{name}", f"dtype {values.dtype}", f"dtype {dtype}")


def model() -> Kind:
    """Return the kind of a recurrent network."""
    from elman._classification import ClassificationTask
    from elman._model import Model
    from elman._regression import RegressionTask

    def check(model: Any) -> None:
        architecture, inputs, task = model.architecture, model.inputs, model.task
        expect("inputs.dtype", inputs.dtype.name, architecture["dtype"])
        expect("inputs.n_tokens", inputs.n_tokens, architecture["n_tokens"])
        if not inputs.n_tokens:
            expect("inputs.n_channels", inputs.n_channels, architecture["n_channels"])
        expect("task.n_outputs", task.n_outputs, model.network().n_outputs)
        expect("architecture.n_outputs", architecture["n_outputs"], task.n_outputs)
        if isinstance(task, RegressionTask):
            n_targets = len(task.mean)
        else:
            n_targets = len(task.classes) if task.kind == "multilabel" else 1
        expect("targets.n_outputs", model.targets.n_outputs, n_targets)

    return _model_kind(Model, (RegressionTask, ClassificationTask), check)


def seq2seq_model() -> Kind:
    """Return the kind of an encoder-decoder."""
    from elman._seq2seq import Seq2SeqModel
    from elman._seq2seq_regressor import ValuesTask
    from elman._seq2seq_translator import TokensTask

    def check(model: Any) -> None:
        architecture, inputs, task = model.architecture, model.inputs, model.task
        encoder, decoder = architecture["encoder"], architecture["decoder"]
        expect("inputs.dtype", inputs.dtype.name, decoder["dtype"])
        expect("inputs.n_channels", inputs.n_channels, architecture["n_channels"])
        if (encoder is None) != (inputs.layout == "vector"):
            expected = "'vector' without an encoder, and only then"
            raise Mismatch("inputs.layout", repr(inputs.layout), expected)
        if encoder is not None:
            expect("inputs.n_tokens", inputs.n_tokens, encoder["n_tokens"])
        if encoder is not None and not inputs.n_tokens:
            expect("inputs.n_channels", inputs.n_channels, encoder["n_channels"])
        expect("task.n_outputs", task.n_outputs, architecture["n_outputs"])
        expect("task.n_tokens", task.n_tokens, decoder["n_tokens"])
        if isinstance(task, ValuesTask):
            expect("task.n_values", task.n_values, decoder["n_channels"])
            expect("targets.n_outputs", model.targets.n_outputs, task.n_values)
        else:
            n_tokens = 0 if task.source is None else len(task.source) + 1
            expect("task.source", n_tokens, inputs.n_tokens)
            expect("targets.n_outputs", model.targets.n_outputs, 1)

    return _model_kind(Seq2SeqModel, (ValuesTask, TokensTask), check)


def training_state() -> Kind:
    """Return the kind of a state of training."""
    from elman._training import TrainingState

    def take(state: Any) -> dict[str, Any]:
        values = {field.name: getattr(state, field.name) for field in fields(state)}
        solver_state = values.pop("solver_state") or {"n_updates": None, "moments": None}
        for name in ("loss_curve", "validation_scores"):
            values[name] = np.array(values[name], dtype=np.float64)
        return {**values, **solver_state}

    def make(values: dict[str, Any]) -> Any:
        solver_state = {name: values.pop(name) for name in ("n_updates", "moments")}
        if (solver_state["n_updates"] is None) != (solver_state["moments"] is None):
            raise Mismatch("moments", "n_updates or moments alone", "both or none of them")
        for name in ("loss_curve", "validation_scores"):
            values[name] = tuple(values[name].tolist())
        counts = {"n_iter": values["n_iter"], "t": values["t"], "losses": len(values["loss_curve"])}
        if 0 in counts.values() and any(counts.values()):  # imported weights: none has been trained
            raise Mismatch("n_iter", abbreviated(counts), "all zero or none of them")
        has_state = solver_state["moments"] is not None
        return TrainingState(**values, solver_state=solver_state if has_state else None)

    rules = {
        "parameters": array("f"),
        "random_state": instance(np.random.RandomState),
        "dropout_seed": integer(0),
        "n_updates": or_none(integer(0, 2**53)),
        "moments": or_none(array("f", n_axes=2)),
        "learning_rate": or_none(number(0, brackets="()")),
        "n_iter": integer(0),
        "t": integer(0),
        "loss_curve": array("float64"),
        "validation_scores": array("float64"),
        "best_loss": Rule(lambda v: type(v) is float and not math.isnan(v), "a number"),
        "best_score": Rule(lambda v: type(v) is float and not math.isnan(v), "a number"),
        "n_no_change": integer(0),
    }
    return Kind(TrainingState, rules, take, make)
