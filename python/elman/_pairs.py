"""Pairs of a source and an output of a length of its own, as an encoder-decoder trains on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array, as_array
from elman._exceptions import problem
from elman._regression import read_numbers
from elman._sequences import (
    InputForm,
    Sequences,
    check_lengths,
    list_items,
    offsets_of,
    step_rows,
    valid_lengths,
)
from elman._targets import TargetForm, require_targets
from elman._weights import Weights


@dataclass(frozen=True)
class Outputs:
    """Outputs of one or more steps, one after another.

    Parameters
    ----------
    rows : ndarray of shape (n_total_steps, n_outputs)
        Values, or numbers of tokens.
    offsets : ndarray of shape (n_samples + 1,) of int64
        Where each output begins.
    form : TargetForm
        How y looked.
    """

    rows: Array
    offsets: NDArray[np.int64]
    form: TargetForm

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of steps of each output."""
        return np.diff(self.offsets)

    def rows_of(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows that belong to these samples."""
        return step_rows(self.offsets, samples)

    def take(self, samples: NDArray[np.int64]) -> Outputs:
        """Only these samples."""
        offsets = offsets_of(self.lengths[samples])
        return replace(self, rows=self.rows[self.rows_of(samples)], offsets=offsets)


@dataclass(frozen=True)
class Pairs:
    """X, y and weights of one call, read.

    Parameters
    ----------
    sources : Sequences
        X.
    inputs : InputForm
        How X looked.
    outputs : Outputs
        y.
    weights : ndarray of shape (n_samples,), or None
        Weights of the samples.
    """

    sources: Sequences
    inputs: InputForm
    outputs: Outputs
    weights: Weights | None

    def __len__(self) -> int:
        return len(self.sources)

    def contents(self) -> dict[str, Any]:
        """Everything in it, by the names of what it was read from."""
        return {
            "X": (self.sources.values, self.sources.offsets, self.inputs),
            "y": (self.outputs.rows, self.outputs.offsets, self.outputs.form),
            "sample_weight": self.weights,
        }

    def take(self, samples: NDArray[np.int64]) -> Pairs:
        """Only these samples."""
        weights = None if self.weights is None else self.weights[samples]
        return replace(
            self,
            sources=self.sources.take(samples),
            outputs=self.outputs.take(samples),
            weights=weights,
        )

    def weighted_samples(self) -> NDArray[np.int64]:
        """Return samples whose weight is not zero."""
        if self.weights is None:
            return np.arange(len(self))
        return np.flatnonzero(self.weights)


@dataclass(frozen=True)
class DecoderSteps:
    """What a decoder reads and shall put out at each step, as `_core.Seq2Seq` takes it.

    Parameters
    ----------
    inputs : ndarray of shape (n_total_steps,) of int32, or (n_total_steps, n_values)
        What stands one step before; the start token, or zeros, before the first step.
    offsets : ndarray of int64
        Where each output begins.
    targets : ndarray of shape (n_total_steps, n_targets)
        What each step shall put out.
    """

    inputs: Array
    offsets: NDArray[np.int64]
    targets: Array


def read_values(
    y: Any, n_samples: int, caller: str, argument: str, form: TargetForm | None = None
) -> Outputs:
    """Read outputs of numbers.

    Parameters
    ----------
    y : array-like of shape (n_samples,), (n_samples, n_timesteps) or \
            (n_samples, n_timesteps, n_outputs), or list of arrays
        The outputs; of three dimensions a tail of NaN ends an output early.
    n_samples : int
        How many there must be.
    caller, argument : str
        Where they came from, for messages.
    form : TargetForm or None
        How the y of `fit` looked.

    Returns
    -------
    outputs : Outputs
        The outputs, in float64.
    """
    require_targets(y, caller, argument)
    items = list_items(y, caller, argument, is_sequence_list=form is not None and form.is_list)
    outputs = _from_array(y, caller, argument) if items is None else _join(items, caller, argument)
    if len(outputs) != n_samples:
        got = f"{len(outputs)} samples"
        raise ValueError(problem(caller, argument, got, f"{n_samples}, as in X"))
    check_lengths(outputs.lengths, caller, argument)
    if form is not None and outputs.form.n_outputs != form.n_outputs:
        got = f"{outputs.form.n_outputs} outputs at each step"
        raise ValueError(problem(caller, argument, got, f"{form.n_outputs}, as in fit"))
    return replace(outputs, rows=read_numbers(outputs.rows, caller, argument))


def _from_array(y: Any, caller: str, argument: str) -> Outputs:
    array = as_array(y, caller, argument)
    if array.ndim not in (1, 2, 3) or array.shape[-1] == 0:
        expected = "(n_samples, n_timesteps) or (n_samples, n_timesteps, n_outputs)"
        raise ValueError(problem(caller, argument, f"shape {array.shape}", expected))
    n_outputs = array.shape[2] if array.ndim == 3 else 1
    form = TargetForm(array.ndim > 1, False, array.ndim == 3, n_outputs)
    steps = array.reshape(len(array), -1, n_outputs)
    lengths = np.full(len(steps), steps.shape[1], dtype=np.int64)
    if array.ndim == 3 and array.dtype.kind == "f" and np.isnan(steps).any():
        lengths = valid_lengths(steps)
    is_step = np.arange(steps.shape[1]) < lengths[:, None]
    return Outputs(steps[is_step], offsets_of(lengths), form)


def _join(items: list[Any], caller: str, argument: str) -> Outputs:
    arrays = [as_array(item, caller, f"{argument}[{i}]") for i, item in enumerate(items)]
    first = arrays[0]
    for i, array in enumerate(arrays):
        if array.ndim not in (1, 2) or array.shape[1:] != first.shape[1:]:
            wanted = "(n_timesteps,)" if first.ndim == 1 else f"(n_timesteps, {first.shape[-1]})"
            got = f"shape {array.shape}"
            raise ValueError(problem(caller, f"{argument}[{i}]", got, wanted))
    n_outputs = first.shape[1] if first.ndim == 2 else 1
    lengths = np.array([len(array) for array in arrays], dtype=np.int64)
    rows = np.concatenate([array.reshape(len(array), n_outputs) for array in arrays])
    return Outputs(rows, offsets_of(lengths), TargetForm(True, True, first.ndim == 2, n_outputs))


def restore_values(
    values: Array, lengths: NDArray[np.int64], form: TargetForm, *, is_ragged: bool
) -> Any:
    """Give values, (n_samples, n_timesteps, n_outputs), the form that y had."""
    if not form.has_output_axis:
        values = values[:, :, 0]
    if not form.per_step:
        return values[:, 0]
    if form.is_list or is_ragged:
        return [array[:length] for array, length in zip(values, lengths, strict=True)]
    return values
