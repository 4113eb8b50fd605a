"""How classes are told to be kept in a model file: what of them, and what that may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

import numpy as np

from elman._arrays import Array
from elman._exceptions import abbreviated
from elman._parameters import Rule
from elman._plain import Kind, MayMiss, Mismatch, check_fields

LARGEST_INTEGER = 2**63 - 1


def instance(cls: type, *others: type) -> Rule:
    """Return a rule for objects of some classes."""
    classes = (cls, *others)
    return Rule(
        lambda value: type(value) in classes, " or ".join(f"a {cls.__name__}" for cls in classes)
    )


def integer(low: int, high: int = LARGEST_INTEGER) -> Rule:
    """Return a rule for an int from ``low`` to ``high``."""
    return Rule(
        lambda value: type(value) is int and low <= value <= high, f"an integer in [{low}, {high}]"
    )


def array(*dtypes: str, n_axes: int = 1) -> Rule:
    """Return a rule for an array of some rank, its dtype one of these names or of these kinds."""

    def passes(value: Any) -> bool:
        if not isinstance(value, np.ndarray) or value.ndim != n_axes:
            return False
        return value.dtype.name in dtypes or value.dtype.kind in dtypes

    return Rule(passes, f"an array of {n_axes} axes, its dtype among {', '.join(dtypes)}")


def list_of(rule: Rule) -> Rule:
    """Return a rule for a list, not empty, of what passes another rule."""
    return Rule(
        lambda value: type(value) is list and len(value) > 0 and all(map(rule.passes, value)),
        f"a list of which each is {rule.expected}",
    )


def tuple_of(rule: Rule) -> Rule:
    """Return a rule for a tuple of what passes another rule."""
    return Rule(
        lambda value: type(value) is tuple and all(map(rule.passes, value)),
        f"a tuple of which each is {rule.expected}",
    )


def may_miss(*dtypes: str, n_axes: int = 1) -> Rule:
    """Return a rule for such an array as of `array`, in which NaN is what is missing."""
    rule = array(*dtypes, n_axes=n_axes)
    return Rule(lambda value: type(value) is MayMiss and rule.passes(value.values), rule.expected)


TEXT = instance(str)
DICT = instance(dict)
FLAG = instance(bool)
OUTPUT = Rule(
    lambda value: (
        isinstance(value, dict)
        and list(value) == ["transform"]
        and value["transform"] in ("default", "pandas", "polars")
    ),
    "a kind of table for transform",
)
LABELS = ("b", "i", "u", "f", "m", "M", "U", "O")


def dataclass_kind(cls: type, *, check: Callable[[Any], None] | None = None, **rules: Rule) -> Kind:
    """Return the kind of a dataclass.

    Parameters
    ----------
    cls : type
        The dataclass.
    check : callable, default=None
        Takes an object, and raises `Mismatch` if its fields do not go together.
    **rules : Rule
        What each field may be. Those with a default may be missing in old files.
    """

    def make(values: dict[str, Any]) -> Any:
        value = cls(**values)
        if check is not None:
            check(value)
        return value

    has_default = {
        field.name
        for field in fields(cls)
        if field.default is not MISSING or field.default_factory is not MISSING
    }
    return Kind(
        cls,
        rules,
        lambda value: {name: getattr(value, name) for name in rules},
        make,
        frozenset(has_default),
    )


@dataclass(frozen=True)
class EstimatorKind:
    """How an estimator is kept: its parameters, and attributes that its fit has left behind.

    Parameters
    ----------
    cls : type
        Its class.
    parameters : dict of Rule
        What its parameters may be.
    state : dict of Rule
        What the attributes may be, by the names that they have in a file.
    attributes : dict of str
        The names that they have in the estimator; of the first one, which is there after any fit,
        it is told whether it is fitted.
    derived : callable, default=None
        From an estimator with these attributes to a dict of all others.
    check : callable, default=None
        Takes the state, and raises `Mismatch` where it does not go together.
    """

    cls: type
    parameters: Mapping[str, Rule]
    state: Mapping[str, Rule]
    attributes: Mapping[str, str]
    derived: Callable[[Any], dict[str, Any]] | None = None
    check: Callable[[dict[str, Any]], None] | None = None

    def is_fitted(self, estimator: Any) -> bool:
        """Whether there is a state to keep."""
        return next(iter(self.attributes.values())) in vars(estimator)

    def take_state(self, estimator: Any) -> dict[str, Any]:
        """Return what is kept of a fitted estimator beside its parameters."""
        attributes = vars(estimator)
        return {name: attributes.get(attribute) for name, attribute in self.attributes.items()}

    def put_state(self, estimator: Any, state: dict[str, Any]) -> None:
        """Make an estimator a fitted one; `Mismatch` if the state is not as it should be."""
        check_fields(state, self.state)
        if self.check is not None:
            self.check(state)
        attributes = {self.attributes[name]: value for name, value in state.items()}
        estimator.__dict__.update({k: v for k, v in attributes.items() if v is not None})
        estimator.__dict__.update(self._derived(estimator))

    def state_attributes(self, estimator: Any) -> set[str]:
        """Names of all attributes that `put_state` sets."""
        return {*self.attributes.values(), *self._derived(estimator)}

    def _derived(self, estimator: Any) -> dict[str, Any]:
        return {} if self.derived is None else self.derived(estimator)

    def kind(self) -> Kind:
        """Return it as any other class."""
        cls: Any = self.cls
        rules = {name: self.parameters[name] for name in cls._get_param_names()}

        def take(estimator: Any) -> dict[str, Any]:
            parameters = estimator.get_params(deep=False)
            check_fields(parameters, rules, "parameters")
            return {"parameters": parameters, **self.take_state(estimator)}

        def make(values: dict[str, Any]) -> Any:
            parameters = values.pop("parameters")
            check_fields(parameters, rules, "parameters", frozenset(rules))
            estimator = cls(**parameters)
            self.put_state(estimator, values)
            return estimator

        return Kind(self.cls, {"parameters": DICT, **self.state}, take, make)


def expect(part: str, got: Any, expected: Any) -> None:
    """Raise `Mismatch` unless two values are equal."""
    if got != expected:
        raise Mismatch(part, abbreviated(got), abbreviated(expected))


def check_sorted(part: str, values: Array) -> None:
    """Raise `Mismatch` unless values are sorted, each once."""
    try:
        is_sorted = bool(np.all(values[:-1] < values[1:]))
    except TypeError:
        is_sorted = False
    if not is_sorted:
        raise Mismatch(part, abbreviated(values), "distinct values in order")
