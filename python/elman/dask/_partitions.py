"""What a partition or a shard of the data is, and what can be asked of it, where it lies.

Everything here runs on a worker, on the `Data` of some sequences, and answers in a few numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from elman import _core
from elman._arrays import Array, check_finite, is_dataframe
from elman._classification import ClassificationTask, check_labels, class_counts
from elman._data import Data, Reader
from elman._exceptions import problem
from elman._moments import mean_and_deviation
from elman._regression import read_numbers
from elman._safetensors import Source
from elman._sequences import InputForm, offsets_of
from elman._targets import TargetForm
from elman._weights import as_they_are
from elman.dask._long import LongForm
from elman.dask._steps import Numbers, SequenceShard, threads_of_worker

Floats = NDArray[np.float64]
TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Description:
    """What must be known of a partition, before its sequences have a place in the whole.

    Parameters
    ----------
    number : int
        The partition's.
    inputs : InputForm
        How its X looks.
    targets : TargetForm
        How its y looks.
    n_sequences, n_timesteps : int
        How many they are, and the longest.
    is_list : bool
        Whether they came as a list.
    has_weights : bool
        Whether weights came with them.
    names : ndarray or None
        Of sequences in long form, what tells them apart.
    """

    number: int
    inputs: InputForm
    targets: TargetForm
    n_sequences: int
    n_timesteps: int
    is_list: bool
    has_weights: bool
    names: Array | None


@dataclass(frozen=True)
class Partition:
    """A partition that was read.

    Parameters
    ----------
    data : Data
        Its sequences.
    description : Description
        What is known of them.
    """

    data: Data
    description: Description


@dataclass(frozen=True)
class Moments:
    """Mean and deviation of the columns of some rows.

    Parameters
    ----------
    weight : ndarray of shape (n_columns,)
        Sum of the weights.
    mean, deviation : ndarray of shape (n_columns,)
        In units of the largest value.
    largest : ndarray of shape (n_columns,)
        The largest absolute value.
    """

    weight: Floats
    mean: Floats
    deviation: Floats
    largest: Floats

    def __add__(self, other: Moments) -> Moments:
        """Put rows together, as Chan, Golub and LeVeque (1983) do."""
        weight, largest = self.weight + other.weight, np.maximum(self.largest, other.largest)
        share = np.divide(other.weight, weight, out=np.zeros_like(weight), where=weight > 0)
        mine, theirs = self.largest / largest, other.largest / largest
        apart = other.mean * theirs - self.mean * mine
        within = (1 - share) * (self.deviation * mine) ** 2 + share * (
            other.deviation * theirs
        ) ** 2
        return Moments(
            weight,
            self.mean * mine + apart * share,
            np.sqrt(within + apart**2 * share * (1 - share)),
            largest,
        )


def read(
    reader: Reader, form: LongForm | None, number: int, X: Any, y: Any, sample_weight: Any
) -> Partition | None:
    """Read a partition, None where it is empty; what is wrong with it is told with its number."""
    X = listed(X)
    if is_empty(X):
        return None
    try:
        names = channels = None
        if form is not None:
            channels = np.array(form.channels(X), dtype=object)
            X, y, sample_weight, names = form.cut(X, y, sample_weight, reader)
        data = reader.read_arrays(X, listed(y), listed(sample_weight))
        if channels is not None and reader.form is None:
            data = replace(data, inputs=replace(data.inputs, feature_names=channels))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{error}, in partition {number}") from error
    sequences = data.sequences
    description = Description(
        number,
        data.inputs,
        data.targets,
        len(sequences),
        sequences.n_timesteps,
        sequences.is_list,
        data.weights is not None,
        names,
    )
    return Partition(data, description)


def listed(items: Any) -> Any:
    """Return what a bag gives as a list."""
    is_whole = items is None or hasattr(items, "__array__") or is_dataframe(items)
    return items if is_whole or isinstance(items, (str, float)) else list(items)


def is_empty(X: Any) -> bool:
    """Whether nothing is in a partition, as a filter or a shuffle may leave it."""
    return hasattr(X, "__len__") and len(X) == 0


def describe(partition: Partition | None) -> Description | None:
    """Tell what is known of a partition."""
    return None if partition is None else partition.description


def cut(partition: Partition, begin: int, end: int) -> Data:
    """Return some of its sequences."""
    if (begin, end) == (0, partition.description.n_sequences):
        return partition.data
    return partition.data.take(np.arange(begin, end))


def join(pieces: Sequence[Data], inputs: InputForm, targets: TargetForm, longest: int) -> Data:
    """Put sequences one after another, in the form of the whole."""
    first = pieces[0]
    sequences = replace(
        first.sequences,
        array=_joined([_steps(piece) for piece in pieces]),
        offsets=offsets_of(np.concatenate([piece.sequences.lengths for piece in pieces])),
        dtype=first.sequences.dtype if inputs.n_tokens else inputs.dtype,
        n_timesteps=longest,
    )
    rows = _joined([piece.rows for piece in pieces])
    weights = None if first.weights is None else _joined([piece.weights for piece in pieces])
    return Data(sequences, inputs, rows, targets, weights)


def _steps(data: Data) -> Any:
    """Return the steps of sequences, a row for each."""
    array, offsets = data.sequences.array, data.sequences.offsets
    if sparse.issparse(array) or array.ndim == 2:
        return array[offsets[0] : offsets[-1]]
    return array.reshape(-1, array.shape[2])


def _joined(arrays: Sequence[Any]) -> Any:
    if len(arrays) == 1:
        return arrays[0]
    if sparse.issparse(arrays[0]):
        return sparse.vstack(arrays, format="csr")
    return np.concatenate(arrays)


def take(data: Data, samples: Numbers) -> Data:
    """Only these sequences."""
    return data.take(samples)


def shard_of(data: Data, task: Any, factors: Floats | None, caller: str) -> SequenceShard:
    """Return sequences as they are trained on; ``factors`` are weights of classes."""
    if factors is not None:
        data = data.times(
            lambda rows: factors[task.encode(rows, np.dtype(np.int64), caller, "y")[:, 0]]
        )
    weights, dtype = data.weights, data.inputs.dtype
    if (
        weights is not None and as_they_are(weights, dtype) is None
    ):  # shards would weigh differently
        got = f"weights from {weights[weights > 0].min():g} to {weights.max():g}"
        raise ValueError(problem(caller, "sample_weight", got, f"weights within {dtype}"))
    return SequenceShard(data.examples(np.arange(len(data)), task, caller))


def lengths(data: Data) -> Numbers:
    """Return the number of steps of each sequence."""
    return data.sequences.lengths


def weighted(data: Data) -> Numbers:
    """Tell the sequences of which not every weight is zero."""
    return data.weighted_samples()


def weighted_members(shard: SequenceShard) -> Numbers:
    """Tell the sequences of which not every weight is zero, as they are trained on."""
    examples = shard.examples
    if examples.weights is None:
        return examples.order
    if not examples.per_step:
        return np.flatnonzero(examples.weights)
    return np.flatnonzero(np.add.reduceat(examples.weights != 0, examples.offsets[:-1]))


def target_moments(data: Data, samples: Numbers, caller: str) -> Moments:
    """Compute moments of the targets of some sequences."""
    rows = data.rows_of(samples)
    values = read_numbers(data.rows, caller, "y")[rows]
    return moments(values, None if data.weights is None else data.weights[rows])


def channel_moments(data: Data, samples: Numbers) -> Moments:
    """Compute moments of what is not NaN in each channel of some sequences."""
    values = data.sequences.take(samples).values.astype(np.float64)
    columns = [moments(column[~np.isnan(column), None], None) for column in values.T]
    parts = zip(*((m.weight, m.mean, m.deviation, m.largest) for m in columns), strict=True)
    return Moments(*(np.concatenate(part) for part in parts))


def moments(rows: Floats, weights: Floats | None) -> Moments:
    """Compute moments of columns that have weights in common."""
    n = rows.shape[1]
    total = float(len(rows) if weights is None else weights.sum())
    if not total > 0.0:
        return Moments(np.zeros(n), np.zeros(n), np.zeros(n), np.full(n, TINY))
    return Moments(np.full(n, total), *mean_and_deviation([(rows, weights)]))


def distinct_rows(data: Data) -> Array:
    """Return the labels that there are; of several labels a row one row, once they are checked."""
    rows = data.rows
    if rows.shape[1] > 1:
        check_labels(rows, data.sequences.caller, "y")
        return rows[:1]
    check_finite(rows[:, 0], data.sequences.caller, "y")
    return np.unique(rows[:, 0])[:, None]


def labels_of(data: Data) -> Array:
    """One label for each sequence."""
    return data.rows[:, 0]


def counts_of_classes(
    data: Data, samples: Numbers, task: ClassificationTask, caller: str
) -> Floats:
    """How often each class comes in some sequences, or its weight."""
    rows = data.rows_of(samples)
    numbers = task.encode(data.rows[rows], np.dtype(np.int64), caller, "y")[:, 0]
    return class_counts(task, numbers, None if data.weights is None else data.weights[rows])


def counts_of_tokens(data: Data, samples: Numbers, n_tokens: int) -> Numbers:
    """How often each token comes in some sequences."""
    sequences: Any = data.sequences.take(samples)
    return np.bincount(sequences.step_matrix(n_tokens).indices, minlength=n_tokens)


def rows_and_weights(data: Data) -> tuple[Array, Floats | None]:
    """Return the targets, and their weights."""
    return data.rows, data.weights


def checksum(data: Data) -> str:
    """Return a checksum of everything in it."""
    from elman._files import digest

    return digest(data.contents(), Source(data.sequences.caller, "shard"))


def predicted(
    data: Data, architecture: dict[str, Any], parameters: Array, task: Any
) -> tuple[Array, bool]:
    """Predictions, a row for each row of the targets, and whether the outputs are finite."""
    outputs, _ = _core.Network(**architecture).forward(
        np.require(parameters, requirements=["C", "A"]),
        data.sequences.values,
        data.sequences.offsets,
        per_step=data.targets.per_step,
        n_threads=threads_of_worker(),
    )
    return task.predict(outputs), bool(np.isfinite(outputs).all())
