"""What is known of each value of a graph that is read.

The value that matters is a `Signal`: sequences on their way through recurrent layers, with its axes
by name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from elman._arrays import Array
from elman._imported import Layer


class RefusedError(ValueError):
    """Something that no estimator computes: what a node got, and what was expected."""

    def __init__(self, got: str, expected: str) -> None:
        super().__init__(got, expected)
        self.got, self.expected = got, expected


@dataclass(frozen=True)
class Constant:
    """Numbers or strings that are in the file."""

    array: Array


@dataclass(frozen=True)
class Sizes:
    """What depends on nothing but the sizes of inputs, and on lengths.

    Parameters
    ----------
    entries : tuple of str, int or None; or None
        Each of its numbers: the axis whose size it is, "direction*feature" for a product of two,
        the number itself, or None where nothing is known; None if not even their count is.
    is_given : bool
        Whether lengths have a part in it, or whatever else is given in one dimension.
    """

    entries: tuple[str | int | None, ...] | None = None
    is_given: bool = False


@dataclass(frozen=True)
class Zeros:
    """Nothing but zeros, in any shape."""


@dataclass(frozen=True)
class Unreadable:
    """What no estimator computes; it matters only if an output needs it.

    Parameters
    ----------
    where, got, expected : str
        Which node it is, what that got and what was expected.
    """

    where: str
    got: str
    expected: str


@dataclass(frozen=True)
class Signal:
    """Sequences on their way through the network.

    Parameters
    ----------
    axes : tuple of str
        "sample", "time", "direction", "feature", or "one" for an axis of size one; "0", "1" and "2"
        where nothing has told yet.
    is_tokens : bool
        Whether they may be numbers of tokens.
    embedding : ndarray or None
        Vectors of the tokens.
    layers : tuple of Layer
        Recurrent layers that they have gone through.
    modes : tuple of str or None
        How the directions of each layer were merged; None of one direction, and where that is still
        to come.
    part : int or None
        Which direction it is, where one of two has been picked.
    is_ragged : bool
        Whether sequences may end before the last step.
    kind : {"input", "steps", "last", "cell"}
        Whether it is states at each step, those at the end, or what an LSTM keeps in its cells.
    head : tuple or None
        W and b of the dense layer.
    out_activation : str
        What stands behind the outputs.
    has_output_axis : bool
        Whether one output still has an axis of its own.
    is_number : bool
        Whether it is the number of the likeliest class.
    labels : ndarray or None
        Labels that such a number has picked.
    """

    axes: tuple[str, ...]
    is_tokens: bool = False
    embedding: Array | None = None
    layers: tuple[Layer, ...] = ()
    modes: tuple[str | None, ...] = ()
    part: int | None = None
    is_ragged: bool = False
    kind: str = "input"
    head: tuple[Array, Array | None] | None = None
    out_activation: str = "identity"
    has_output_axis: bool = True
    is_number: bool = False
    labels: Array | None = None

    @property
    def n_directions(self) -> int:
        """Directions of the last layer that are still to be merged."""
        is_open = bool(self.layers) and self.modes[-1] is None and self.part is None
        return len(self.layers[-1].directions) if is_open else 1

    @property
    def is_whole(self) -> bool:
        """Whether it is what a layer hands on: one vector, of all of its directions."""
        return self.part is None and "direction" not in self.axes and self.kind != "cell"

    @property
    def n_features(self) -> int | None:
        """Size of the axis of features, if it is known."""
        if self.head is not None:
            return int(self.head[0].shape[1])
        if not self.layers:
            return None if self.embedding is None else int(self.embedding.shape[1])
        return self.layers[-1].n_units * (2 if self.modes[-1] == "concat" else 1)

    def merged(self, mode: str) -> Signal:
        """Both directions as one vector."""
        return replace(self, modes=(*self.modes[:-1], mode), part=None)

    def without(self, axis: int, *, keeps: bool = False) -> Signal:
        """One of its axes gone, or of size one."""
        rest = ("one",) if keeps else ()
        return replace(self, axes=self.axes[:axis] + rest + self.axes[axis + 1 :])

    def is_other_half_of(self, other: Value | None) -> bool:
        """Whether both are directions of the same layer."""
        return (
            isinstance(other, Signal)
            and {self.part, other.part} == {0, 1}
            and self.layers == other.layers
            and (self.kind, self.axes) == (other.kind, other.axes)
        )


@dataclass(frozen=True)
class StateStack:
    """Final states of several layers, one behind the other along the first axis."""

    states: tuple[Signal, ...]


Value = Constant | Sizes | Zeros | Unreadable | Signal | StateStack


@dataclass(frozen=True)
class Node:
    """One node of a graph.

    Parameters
    ----------
    operator : str
        What it computes.
    version : int
        Of the operators.
    attributes : dict
        Its attributes.
    inputs : list of Value or None
        What is known of its inputs; None is left out.
    n_outputs : int
        How many outputs it has.
    """

    operator: str
    version: int
    attributes: dict[str, Any]
    inputs: list[Value | None]
    n_outputs: int

    def __getitem__(self, i: int) -> Value | None:
        return self.inputs[i] if i < len(self.inputs) else None

    def signal(self, i: int = 0) -> Signal:
        """Return an input that is a `Signal`."""
        value = self[i]
        if not isinstance(value, Signal):
            got = "final states of several layers" if isinstance(value, StateStack) else "numbers"
            raise RefusedError(f"{got} as input {i}", "sequences or states of one layer")
        return value

    def integers(self, i: int, attribute: str) -> list[int] | None:
        """Integers from an input, or from the attribute that it was in older versions."""
        value = self[i]
        if value is None:
            given = self.attributes.get(attribute)
            return None if given is None else [int(item) for item in given]
        if not isinstance(value, Constant):
            raise RefusedError(f"{attribute} that are computed", "integers in the file")
        return [int(item) for item in value.array.ravel()]
