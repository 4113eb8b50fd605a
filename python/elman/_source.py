"""A source of sequences: data that is read in blocks, whenever it is needed.

What a user makes is a `Source`; a call of an estimator opens it, and finds `Blocks` behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array
from elman._exceptions import abbreviated, problem
from elman._parameters import COUNT
from elman._sequences import InputForm, Sequences, check_form, offsets_of
from elman._targets import TargetForm, restore
from elman._weights import only_last_steps

if TYPE_CHECKING:
    from elman._data import Data, Reader

NO_TARGETS = TargetForm(False, False, True, 0)


class Source:
    """Sequences with their targets, which are read block by block.

    Parameters
    ----------
    window : int
        Number of blocks that are mixed at a time.
    """

    def __init__(self, window: int) -> None:
        if not COUNT.passes(window):
            got = abbreviated(window)
            raise ValueError(problem(type(self).__name__, "window", got, COUNT.expected))
        self.window = int(window)

    def _open(self, reader: Reader, argument: str) -> Blocks:
        """Look what there is, for a call that reads it so."""
        raise NotImplementedError

    def _sequences(self, reader: Reader) -> Sequences:
        """Return the sequences alone, for a call that reads them so."""
        from elman._blocks import BlockSequences

        found = replace(self._open(reader, "X"), targets=NO_TARGETS)
        return BlockSequences(**vars(found.outline()), source=found)

    @property
    def memory(self) -> int:
        """Bytes of sequences that `fit` holds at most: two windows, and a block as it is read.

        Beside them there are some 60 bytes for each sequence, a target for each that has one, the
        pages that are just decoded, about 2 MB for each column, and the network.
        """
        found = self._open(_plain_reader(self, "memory", "auto"), "X")
        ends = offsets_of(found.lengths)[found.borders]
        steps = np.sort(np.diff(ends))[::-1]
        held = 2 * steps[: self.window].sum() + steps[0]
        n_numbers = found.inputs.n_channels + found.targets.n_outputs * found.targets.per_step
        return int(held) * n_numbers * found.inputs.dtype.itemsize

    def blocks(self, output: str = "auto") -> Iterator[tuple[Any, Any]]:
        """Read block by block what `fit` would read.

        Parameters
        ----------
        output : {"auto", "vector", "sequence"}, default="auto"
            The estimator's parameter of that name, which tells how targets are read.

        Yields
        ------
        X : list of ndarray of shape (n_timesteps_i, n_channels), or ndarray
            The sequences of a block.
        y : ndarray, list of ndarray or None
            Their targets.
        """
        found = self._open(_plain_reader(self, "blocks", output), "X")
        for block in range(len(found)):
            yield _as_arrays([found.read(block)])

    def read(self, output: str = "auto") -> tuple[Any, Any]:
        """Read all of it into memory, as `blocks` does.

        Parameters
        ----------
        output : {"auto", "vector", "sequence"}, default="auto"
            The estimator's parameter of that name, which tells how targets are read.

        Returns
        -------
        X : list of ndarray of shape (n_timesteps_i, n_channels), or ndarray
            The sequences.
        y : ndarray, list of ndarray or None
            Their targets.
        """
        found = self._open(_plain_reader(self, "read", output), "X")
        return _as_arrays([found.read(block) for block in range(len(found))])


@dataclass(frozen=True)
class Blocks:
    """A source that was opened: what it holds, and how to read it.

    Parameters
    ----------
    reader : Reader
        How X and y are read.
    argument : str
        What the source is called, for messages.
    inputs : InputForm
        How X looks.
    targets : TargetForm
        How y looks.
    lengths : ndarray of int64
        Steps of each sequence.
    borders : ndarray of int64
        The first sequence of each block, and the number of all.
    n_timesteps : int
        Steps of the longest sequence, or of the axis of time.
    is_list : bool
        Whether predictions for steps are a list.
    """

    reader: Reader
    argument: str
    inputs: InputForm
    targets: TargetForm
    lengths: NDArray[np.int64]
    borders: NDArray[np.int64]
    n_timesteps: int
    is_list: bool

    def __len__(self) -> int:
        return len(self.borders) - 1

    def lengths_of(self, block: int) -> NDArray[np.int64]:
        """Return the steps of the sequences of a block."""
        return self.lengths[self.borders[block] : self.borders[block + 1]]

    def outline(self, block: int | None = None) -> Sequences:
        """Sequences of a block, or all, without their values."""
        lengths = self.lengths if block is None else self.lengths_of(block)
        nothing = np.empty((0, self.inputs.n_channels), self.inputs.dtype)
        return self.sequences(nothing, lengths)

    def sequences(self, values: Array, lengths: NDArray[np.int64]) -> Sequences:
        """Values as sequences of these lengths."""
        return Sequences(
            values,
            offsets_of(lengths),
            self.inputs.dtype,
            self.n_timesteps,
            self.is_list,
            self.reader.caller,
            self.argument,
        )

    def read(self, block: int, *, with_values: bool = True, into: Array | None = None) -> Data:
        """Read a block, or all of it but the values; ``into`` is where they may be put."""
        raise NotImplementedError

    def contents(self) -> dict[str, Any]:
        """Return what tells whether it is the same as in an earlier process, by name."""
        raise NotImplementedError

    def counted(self, weights: NDArray[np.float64] | None, outline: Sequences) -> Any:
        """Weights of the rows of y under the estimator's ``loss_steps``."""
        n_steps = self.reader.loss_steps
        return weights if n_steps is None else only_last_steps(weights, outline, n_steps)


def as_in_fit(found: InputForm, reader: Reader, argument: str) -> InputForm:
    """Return the form in which a source is read: its own, or that of an earlier X."""
    if reader.form is None:
        return found
    check_form(found, reader.form, reader.caller, argument)
    return reader.form


def check_source(
    X: Any,
    y: Any,
    sample_weight: Any,
    settings: Mapping[str, Any],
    caller: str,
    suffix: str = "",
) -> None:
    """Raise ValueError where a source does not go together with what else is given."""
    if not isinstance(X, Source):
        return
    name = type(X).__name__
    for argument, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            got, expected = f"a {type(value).__name__}", f"None: {name} brings its own"
            raise ValueError(problem(caller, f"{argument}{suffix}", got, expected))
    if settings.get("solver") == "lbfgs":
        expected = f"a solver of mini-batches for {name}: 'lbfgs' needs all data at once"
        raise ValueError(problem(caller, "solver", "'lbfgs'", expected))
    if settings["input"] != "sequence":
        expected = f"'sequence' for {name}"
        raise ValueError(problem(caller, "input", repr(settings["input"]), expected))


def _plain_reader(source: Source, method: str, output: str) -> Reader:
    from elman._data import Reader

    caller = f"{type(source).__name__}.{method}"
    return Reader(caller, None, 1, "sequence", output, may_miss=True)


def _as_arrays(parts: list[Data]) -> tuple[Any, Any]:
    """X and y in the forms that `fit` takes."""
    lengths = np.concatenate([part.sequences.lengths for part in parts])
    values = np.concatenate([part.sequences.values for part in parts])
    first = parts[0]
    all_ = replace(first.sequences, array=values, offsets=offsets_of(lengths))
    X = restore(values, TargetForm(True, False, True, values.shape[1]), all_)
    if not first.targets.n_outputs:
        return X, None
    return X, restore(np.concatenate([part.rows for part in parts]), first.targets, all_)
