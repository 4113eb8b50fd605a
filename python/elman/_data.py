"""X, y and weights of one call, read together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array, to_numpy
from elman._arrow import target_apart
from elman._exceptions import problem
from elman._moments import channel_means, mean
from elman._regression import read_numbers
from elman._sequences import InputForm, Sequences, list_items, read_sequences
from elman._source import Source
from elman._split import Samples, validation_split
from elman._targets import TargetForm, read_targets
from elman._tokens import TokenList, TokenReader
from elman._training import Examples, Training
from elman._weights import only_last_steps, read_weights, representable

if TYPE_CHECKING:
    from elman._blocks import AnyData, BlockData

INPUT_OF_LAYOUT = {"vector": "vector", "tokens": "tokens", "features": "tokens"}
"""The parameter `input` with which an X of some layouts is read; of others "sequence"."""


FactorsOf = Callable[[Array], NDArray[np.float64]]
"""Factors for the weights of rows, told by the rows of y."""


class Parts(ABC):
    """Data whose targets and values come in parts, and what these tell."""

    @abstractmethod
    def target_parts(
        self, samples: Samples, read: Callable[[Array], Array] = np.asarray
    ) -> Iterable[tuple[Array, Any]]:
        """Rows of y of these samples, as ``read`` reads them, and weights; as often as wanted."""

    @abstractmethod
    def value_parts(self, samples: Samples) -> Iterable[tuple[Array, Any]]:
        """Time steps of these samples, and their weights."""

    def mean_target(self, samples: Samples, caller: str) -> Array:
        """Weighted mean of the targets of these samples."""
        return mean(self.target_parts(samples, lambda rows: read_numbers(rows, caller, "y")))

    def channel_means(self, samples: Samples, caller: str) -> Array:
        """Means of what is not NaN in these samples, from which missing values fade."""
        return channel_means(self.value_parts(samples), caller)


@dataclass(frozen=True)
class Data(Parts):
    """X, y and weights of one call, read.

    Parameters
    ----------
    sequences : Sequences
        X.
    inputs : InputForm
        How X looked.
    rows : ndarray of shape (n_rows, n_outputs)
        y.
    targets : TargetForm
        How y looked.
    weights : ndarray of shape (n_rows,), or None
        Weights of the rows.
    """

    sequences: Sequences
    inputs: InputForm
    rows: Array
    targets: TargetForm
    weights: NDArray[np.float64] | None
    training: ClassVar[type[Training]] = Training

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def n_timesteps(self) -> int:
        """Steps of the longest sequence."""
        return self.sequences.n_timesteps

    def rows_of(self, samples: Samples) -> Samples:
        """Rows of the targets that belong to these samples."""
        return self.sequences.step_rows(samples) if self.targets.per_step else samples

    @property
    def labels(self) -> Array | None:
        """One target for each sample, where there is just one."""
        is_single = not self.targets.per_step and self.targets.n_outputs == 1
        return self.rows[:, 0] if is_single else None

    def contents(self) -> dict[str, Any]:
        """Everything in it, by the names of what it was read from."""
        return {
            "X": (self.sequences.values, self.sequences.offsets, self.inputs),
            "y": (self.rows, self.targets),
            "sample_weight": self.weights,
        }

    def take(self, samples: Samples) -> Data:
        """Only these samples."""
        rows = self.rows_of(samples)
        weights = None if self.weights is None else self.weights[rows]
        return replace(
            self, sequences=self.sequences.take(samples), rows=self.rows[rows], weights=weights
        )

    def times(self, factors_of: FactorsOf) -> Data:
        """Weights times a factor for each row, told by the rows of y."""
        factors = factors_of(self.rows)
        return replace(self, weights=factors if self.weights is None else self.weights * factors)

    def distinct_rows(self) -> Array:
        """Rows of y among which all are that come."""
        return self.rows

    def parts(self) -> Iterable[Data]:
        """All of it, as much at a time as there is room for."""
        return (self,)

    def target_parts(
        self, samples: Samples, read: Callable[[Array], Array] = np.asarray
    ) -> Iterable[tuple[Array, Any]]:
        """Rows of y of these samples, as ``read`` reads them, and weights; as often as wanted."""
        rows = self.rows_of(samples)
        weights = None if self.weights is None else self.weights[rows]
        return [(read(self.rows)[rows], weights)]

    def value_parts(self, samples: Samples) -> Iterable[tuple[Array, Any]]:
        """Time steps of these samples, and their weights."""
        part = self if len(samples) == len(self) else self.take(samples)
        return [(part.sequences.values, part.step_weights)]

    @property
    def step_weights(self) -> Any:
        """Weights of all time steps, or None."""
        if self.weights is None or self.targets.per_step:
            return self.weights
        return np.repeat(self.weights, self.sequences.lengths)

    def split(
        self,
        kind: str,
        fraction: float,
        random_state: np.random.RandomState,
        caller: str,
        groups: Any = None,
        *,
        stratified: bool = False,
    ) -> tuple[Samples, Samples]:
        """Split samples into those trained on and those held out, as of `validation_split`."""
        stratify = self.labels if stratified else None
        return validation_split(
            len(self), kind, fraction, random_state, caller, groups=groups, stratify=stratify
        )

    def examples(self, samples: Samples, task: Any, caller: str) -> Examples:
        """Bring all into the form of the core, to train on these samples."""
        dtype = self.inputs.dtype
        return Examples(
            self.sequences.values,
            self.sequences.offsets,
            task.encode(self.rows, dtype, caller, "y"),
            None if self.weights is None else representable(self.weights, dtype),
            samples,
            self.targets.per_step,
        )

    def weighted_samples(self) -> NDArray[np.int64]:
        """Return samples of which not every weight is zero."""
        if self.weights is None:
            return np.arange(len(self.sequences))
        if not self.targets.per_step:
            return np.flatnonzero(self.weights)
        return np.flatnonzero(np.add.reduceat(self.weights != 0, self.sequences.offsets[:-1]))


@dataclass(frozen=True)
class Reader:
    """How X and y are to be read.

    Parameters
    ----------
    caller : str
        Class and method, for messages.
    names : estimator
        Holds ``feature_names_in_`` if a table with names was seen before.
    n_channels : int
        Channels of a time step of a table.
    input : {"sequence", "vector", "tokens"}
        Whether X holds sequences of numbers, a vector for each sequence, or tokens.
    output : {"auto", "vector", "sequence"}
        Whether a two-dimensional y is (n_samples, n_outputs) or (n_samples, n_timesteps).
    loss_steps : int or None
        Steps at the end of each sequence that have a weight.
    form : InputForm or None
        How an earlier X looked.
    n_tokens : int or None
        Number of tokens, if it is known.
    may_miss : bool
        Whether NaN in X is no error.
    """

    caller: str
    names: Any
    n_channels: int
    input: str
    output: str
    loss_steps: int | None = None
    form: InputForm | None = None
    n_tokens: int | None = None
    may_miss: bool = False

    @property
    def is_vector(self) -> bool:
        """Whether X holds a vector for each sequence."""
        return self.input == "vector"

    def read(self, X: Any, y: Any, sample_weight: Any, suffix: str = "") -> AnyData:
        """Read X, y and weights, whose names in messages end in ``suffix``."""
        if isinstance(X, Source):
            return self._opened(X, suffix)
        return self.read_arrays(X, y, sample_weight, suffix)

    def read_arrays(self, X: Any, y: Any, sample_weight: Any, suffix: str = "") -> Data:
        """Read what is in memory."""
        X, y = target_apart(X, y)
        sequences, inputs = self.read_sequences(X, suffix)
        output = self.output
        if self.is_vector:
            output = "sequence"
            if y is not None:
                lengths = _output_lengths(y, sequences, self.caller, f"y{suffix}")
                sequences = sequences.repeated(lengths)
        rows, targets = read_targets(y, sequences, self.caller, output, f"y{suffix}")
        weights = read_weights(
            sample_weight,
            sequences,
            self.caller,
            per_step=targets.per_step,
            argument=f"sample_weight{suffix}",
        )
        if self.loss_steps is not None:
            if not targets.per_step:
                self._refuse_loss_steps()
            weights = only_last_steps(weights, sequences, self.loss_steps)
            if not weights.any():
                got = f"weights that are all zero in the last loss_steps={self.loss_steps} steps"
                raise ValueError(problem(self.caller, "sample_weight", got, "a positive one"))
        return Data(sequences, inputs, rows, targets, weights)

    def _opened(self, source: Source, suffix: str) -> BlockData:
        """Look what is in a source, which has targets of its own."""
        from elman._blocks import BlockData

        blocks = source._open(self, f"X{suffix}")
        if not blocks.targets.n_outputs:
            got = f"a {type(source).__name__} without targets"
            raise ValueError(problem(self.caller, f"X{suffix}", got, "one with targets"))
        if self.loss_steps is not None and not blocks.targets.per_step:
            self._refuse_loss_steps()
        samples = np.arange(len(blocks.lengths))
        data = BlockData(blocks, blocks.targets, source.window, samples)
        if not any(weights is None or weights.any() for _, weights in data.target_parts(samples)):
            got, name = "weights that are all zero", f"sample_weight{suffix}"
            raise ValueError(problem(self.caller, name, got, "at least one positive weight"))
        return data

    def _refuse_loss_steps(self) -> None:
        got = f"{self.loss_steps}, and a y without targets for each step"
        raise ValueError(problem(self.caller, "loss_steps", got, "None for such a y"))

    def read_sequences(self, X: Any, suffix: str = "") -> tuple[Sequences, InputForm]:
        """Read X alone."""
        if self.input == "tokens":
            return TokenReader(self.caller, f"X{suffix}", self.n_tokens, self.form).read(X)
        if isinstance(X, TokenList):
            got = f"tokens of TokenSequencer with input={self.input!r}"
            raise ValueError(problem(self.caller, f"X{suffix}", got, "them with input='tokens'"))
        return read_sequences(
            X,
            self.caller,
            self.names,
            form=self.form,
            n_channels=self.n_channels,
            vectors=self.is_vector,
            argument=f"X{suffix}",
            may_miss=self.may_miss,
        )


def _output_lengths(y: Any, vectors: Sequences, caller: str, argument: str) -> NDArray[np.int64]:
    """Return the steps of each output, told by y where the inputs are vectors."""
    items = list_items(y, caller, argument)
    if items is None:
        array = to_numpy(y, caller, argument)
        if array.ndim not in (2, 3) or array.shape[1] == 0:
            n = len(vectors)
            expected = f"({n}, n_timesteps) or ({n}, n_timesteps, n_outputs) with input='vector'"
            raise ValueError(problem(caller, argument, f"shape {array.shape}", expected))
        items = [array[0]] * len(vectors) if len(array) == len(vectors) else list(array)
    if len(items) != len(vectors):
        expected = f"{len(vectors)}, as in {vectors.argument}"
        raise ValueError(problem(caller, argument, f"{len(items)} samples", expected))
    lengths = np.array([len(item) for item in items], dtype=np.int64)
    if not lengths.all():
        got = f"0 time steps at samples {np.flatnonzero(lengths == 0)[:5].tolist()}"
        raise ValueError(problem(caller, argument, got, "at least 1 in each sequence"))
    return lengths
