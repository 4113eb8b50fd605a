"""X, y and weights of one call, read together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array, to_numpy
from elman._exceptions import abbreviated, problem
from elman._sequences import InputForm, Sequences, list_items, read_sequences
from elman._targets import TargetForm, read_targets
from elman._tokens import TokenReader
from elman._weights import only_last_steps, read_weights

INPUT_OF_LAYOUT = {"vector": "vector", "tokens": "tokens", "features": "tokens"}
"""The parameter `input` with which an X of some layouts is read; of others "sequence"."""


@dataclass(frozen=True)
class Data:
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

    def rows_of(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
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

    def take(self, samples: NDArray[np.int64]) -> Data:
        """Only these samples."""
        rows = self.rows_of(samples)
        weights = None if self.weights is None else self.weights[rows]
        return replace(
            self, sequences=self.sequences.take(samples), rows=self.rows[rows], weights=weights
        )

    def mean_target(self, samples: NDArray[np.int64]) -> Array:
        """Weighted mean of the targets of these samples."""
        rows = self.rows_of(samples)
        weights = None if self.weights is None else self.weights[rows]
        mean: Array = np.average(self.rows[rows].astype(np.float64), axis=0, weights=weights)
        return mean

    def channel_means(self, samples: NDArray[np.int64], caller: str) -> Array:
        """Means of what is not NaN in these samples, from which missing values fade."""
        return channel_means(self.sequences.take(samples).values, caller)

    def times(self, factors: NDArray[np.float64]) -> Data:
        """Weights times a factor for each row."""
        return replace(self, weights=factors if self.weights is None else self.weights * factors)

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

    def read(self, X: Any, y: Any, sample_weight: Any, suffix: str = "") -> Data:
        """Read X, y and weights, whose names in messages end in ``suffix``."""
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
                got = f"{self.loss_steps}, and a y without targets for each step"
                raise ValueError(problem(self.caller, "loss_steps", got, "None for such a y"))
            weights = only_last_steps(weights, sequences, self.loss_steps)
            if not weights.any():
                got = f"weights that are all zero in the last loss_steps={self.loss_steps} steps"
                raise ValueError(problem(self.caller, "sample_weight", got, "a positive one"))
        return Data(sequences, inputs, rows, targets, weights)

    def read_sequences(self, X: Any, suffix: str = "") -> tuple[Sequences, InputForm]:
        """Read X alone."""
        if self.input == "tokens":
            return TokenReader(self.caller, f"X{suffix}", self.n_tokens, self.form).read(X)
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


def channel_means(values: Array, caller: str) -> Array:
    """Means of what is not NaN, from which missing values fade; ValueError where nothing is."""
    empty = np.flatnonzero(np.isnan(values).all(axis=0))
    if len(empty):
        got = f"no value at all in the channels {abbreviated(empty.tolist())}"
        raise ValueError(problem(caller, "X", got, "at least one, which tells their mean"))
    return np.asarray(np.nanmean(values, axis=0, dtype=np.float64))
