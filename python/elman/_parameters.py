"""What the parameters of an estimator may be; looked at when it is fitted, not before."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from elman._exceptions import abbreviated, problem
from elman._network import layer_sizes
from elman._regression import LOSSES

try:
    from sklearn.utils._param_validation import InvalidParameterError
except ImportError:

    class InvalidParameterError(ValueError, TypeError):  # type: ignore[no-redef]
        """A parameter of an estimator is of a wrong type or out of range."""


class Rule(NamedTuple):
    """A test of a value, and the words for what passes it."""

    passes: Callable[[Any], bool]
    expected: str


class Options(Rule):
    """A rule that only some names pass; later versions may know more of them."""

    __slots__ = ()


def _is_integer(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, (bool, np.bool_))


def _is_number(value: Any) -> bool:
    is_real = isinstance(value, Real) and not isinstance(value, (bool, np.bool_))
    return bool(is_real and math.isfinite(value))


def _is_boolean(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


def _is_sequence_of(passes: Callable[[Any], bool], value: Any) -> bool:
    if not isinstance(value, (list, tuple, np.ndarray)) or np.ndim(value) != 1:
        return False
    return len(value) > 0 and all(passes(item) for item in value)


def _is_size(value: Any) -> bool:
    return _is_integer(value) and value >= 1


def _is_random_state(value: Any) -> bool:
    if _is_integer(value):  # to make a generator of it takes a tenth of a millisecond
        return bool(0 <= value < 2**32)
    try:
        check_random_state(value)
    except ValueError:
        return False
    return True


def one_of(*options: str) -> Rule:
    """One of some strings."""
    return Options(
        lambda value: isinstance(value, str) and value in options,
        f"one of {', '.join(map(repr, options))}",
    )


def number(low: float, high: float = math.inf, brackets: str = "[)") -> Rule:
    """Return a rule for a finite number within bounds; a round bracket leaves its bound out."""

    def passes(value: Any) -> bool:
        above = low < value if brackets[0] == "(" else low <= value
        below = value < high if brackets[1] == ")" else value <= high
        return bool(above and below)

    bounds = f"{brackets[0]}{low:g}, {high:g}{brackets[1]}"
    return Rule(lambda value: _is_number(value) and passes(value), f"a number in {bounds}")


def or_none(rule: Rule) -> Rule:
    """None, or what passes the rule."""
    return type(rule)(lambda value: value is None or rule.passes(value), f"None or {rule.expected}")


COUNT = Rule(_is_size, "an integer of at least 1")
BOOLEAN = Rule(_is_boolean, "True or False")
PROBABILITY = number(0, 1)

# Recurrent dropout stands between a state and the weights that it is multiplied with.
CELLS_WITHOUT_RECURRENT_WEIGHTS = ("min_gru", "min_lstm")

RULES: dict[str, Rule] = {
    "cell": one_of("simple", "gru", "lstm", "min_gru", "min_lstm"),
    "hidden_layer_sizes": Rule(
        lambda value: _is_size(value) or _is_sequence_of(_is_size, value),
        "an integer of at least 1, or a sequence of them",
    ),
    "activation": one_of("tanh", "relu", "identity"),
    "reset_after": BOOLEAN,
    "bidirectional": Rule(
        lambda value: _is_boolean(value) or _is_sequence_of(_is_boolean, value),
        "True, False, or one of them for each layer",
    ),
    "merge_mode": one_of("concat", "sum", "mean", "mul"),
    "residual": BOOLEAN,
    "layer_norm": BOOLEAN,
    "head": Rule(lambda value: value is None or value == "dense", "'dense' or None"),
    "n_channels": COUNT,
    "input": one_of("sequence", "vector", "tokens"),
    "n_tokens": or_none(COUNT),
    "embedding_dim": or_none(COUNT),
    "embedding": Rule(
        lambda value: (
            value is None
            or (value == "cooccurrence" if isinstance(value, str) else np.ndim(value) == 2)
        ),
        "None, 'cooccurrence' or an array of two dimensions",
    ),
    "token_dropout": Rule(
        lambda value: (
            value == "rare"
            if isinstance(value, str)
            else PROBABILITY.passes(value) or np.ndim(value) == 1
        ),
        "a number in [0, 1), 'rare' or an array of one dimension",
    ),
    "embedding_dropout": PROBABILITY,
    "missing": or_none(one_of("mask", "decay")),
    "output": one_of("auto", "vector", "sequence"),
    "loss": one_of(*LOSSES),
    "huber_delta": number(0, brackets="()"),
    "quantile": number(0, 1, "()"),
    "scale_targets": BOOLEAN,
    "class_weight": Rule(
        lambda value: value is None or value == "balanced" or isinstance(value, Mapping),
        "None, 'balanced' or a dict",
    ),
    "solver": one_of("adam", "adamw", "nadam", "rmsprop", "sgd", "lbfgs"),
    "alpha": number(0),
    "batch_size": Rule(
        lambda value: (isinstance(value, str) and value == "auto") or _is_size(value),
        "'auto' or an integer of at least 1",
    ),
    "learning_rate": one_of("constant", "invscaling", "adaptive", "cosine"),
    "learning_rate_init": number(0, brackets="()"),
    "power_t": number(0),
    "warmup": PROBABILITY,
    "max_iter": COUNT,
    "shuffle": BOOLEAN,
    "random_state": Rule(_is_random_state, "None, an integer or a numpy RandomState"),
    "tol": number(0),
    "warm_start": BOOLEAN,
    "momentum": number(0, 1, "[]"),
    "nesterovs_momentum": BOOLEAN,
    "beta_1": PROBABILITY,
    "beta_2": PROBABILITY,
    "epsilon": number(0, brackets="()"),
    "clip_norm": or_none(number(0, brackets="()")),
    "dropout": PROBABILITY,
    "recurrent_dropout": PROBABILITY,
    "bptt_steps": or_none(COUNT),
    "bptt_memory": one_of("full", "checkpoint"),
    "loss_steps": or_none(COUNT),
    "early_stopping": BOOLEAN,
    "validation_fraction": number(0, 1, "()"),
    "validation_split": one_of("random", "last", "groups"),
    "n_iter_no_change": Rule(
        lambda value: _is_size(value) or (isinstance(value, Real) and value == math.inf),
        "an integer of at least 1, or infinity",
    ),
    "n_jobs": Rule(
        lambda value: value is None or (_is_integer(value) and value != 0),
        "None or an integer other than 0",
    ),
    "verbose": Rule(
        lambda value: _is_boolean(value) or (_is_integer(value) and value >= 0),
        "True, False or an integer of at least 0",
    ),
    "checkpoint": or_none(
        Rule(lambda value: isinstance(value, (str, os.PathLike)), "a path of a file or folder")
    ),
    "checkpoint_every": COUNT,
}

CLASSIFIER_LOSS = one_of("log_loss")


def check_parameters(parameters: Mapping[str, Any], caller: str, rules: Mapping[str, Rule]) -> None:
    """Raise `InvalidParameterError` at the first parameter that is not what it may be.

    Parameters
    ----------
    parameters : dict
        Values by name.
    caller : str
        Class and method, for the message.
    rules : dict of Rule
        Rules by name.

    Raises
    ------
    InvalidParameterError
        Both a ValueError and a TypeError; it names the parameter, what came and what is wanted.
    """
    for name, value in parameters.items():
        rule = rules[name]
        if not rule.passes(value):
            raise InvalidParameterError(problem(caller, name, abbreviated(value), rule.expected))


def check_network_parameters(parameters: Mapping[str, Any], caller: str) -> None:
    """Raise `InvalidParameterError` where parameters of a network do not go together.

    Parameters
    ----------
    parameters : dict
        Values by name, each of which passes its own rule.
    caller : str
        Class and method, for the message.

    Raises
    ------
    InvalidParameterError
        As of `check_parameters`.
    """
    directions, n_layers = (
        parameters["bidirectional"],
        len(layer_sizes(parameters["hidden_layer_sizes"])),
    )
    if not _is_boolean(directions) and len(directions) != n_layers:
        got = f"{len(directions)} values"
        expected = f"{n_layers}, one for each layer"
        raise InvalidParameterError(problem(caller, "bidirectional", got, expected))
    if parameters["bptt_memory"] == "checkpoint" and np.any(directions):
        expected = "'full' with a bidirectional layer, whose reverse half starts at the end"
        raise InvalidParameterError(problem(caller, "bptt_memory", "'checkpoint'", expected))
    if (
        parameters["recurrent_dropout"] > 0
        and parameters["cell"] in CELLS_WITHOUT_RECURRENT_WEIGHTS
    ):
        got = abbreviated(parameters["recurrent_dropout"])
        expected = f"0 with cell={parameters['cell']!r}, which has no recurrent weights"
        raise InvalidParameterError(problem(caller, "recurrent_dropout", got, expected))
    if parameters.get("checkpoint") is not None and parameters["solver"] == "lbfgs":
        got = abbreviated(parameters["checkpoint"])
        expected = "None with solver='lbfgs', of which nothing can be kept between iterations"
        raise InvalidParameterError(problem(caller, "checkpoint", got, expected))
    if parameters["missing"] is not None and parameters["input"] != "sequence":
        got = repr(parameters["missing"])
        expected = f"None with input={parameters['input']!r}"
        raise InvalidParameterError(problem(caller, "missing", got, expected))
    if parameters["missing"] == "decay" and np.ravel(directions)[0]:
        expected = "None or 'mask' with a first layer of two directions"
        raise InvalidParameterError(problem(caller, "missing", "'decay'", expected))
    if parameters["input"] == "vector" and parameters["output"] == "vector":
        expected = "'auto' or 'sequence' with input='vector'"
        raise InvalidParameterError(problem(caller, "output", "'vector'", expected))
