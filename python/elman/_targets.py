"""y in any of its forms as rows, one for each sequence or time step, and rows as y again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array, to_numpy
from elman._exceptions import problem
from elman._sequences import Sequences, list_items, valid_lengths


@dataclass(frozen=True)
class TargetForm:
    """How the y of `fit` looked; predictions look the same.

    Parameters
    ----------
    per_step : bool
        Whether there is a target for each time step.
    is_list : bool
        Whether y was a list with an array for each sequence.
    has_output_axis : bool
        Whether the last axis counts outputs; otherwise there is one output and no axis for it.
    n_outputs : int
        Number of outputs.
    """

    per_step: bool
    is_list: bool
    has_output_axis: bool
    n_outputs: int


def read_targets(
    y: Any, sequences: Sequences, caller: str, output: str = "auto", argument: str = "y"
) -> tuple[Array, TargetForm]:
    """Read y in any of its forms.

    Parameters
    ----------
    y : array-like or list of arrays
        The targets, of any dtype.
    sequences : Sequences
        What they belong to.
    caller : str
        Class and method, for messages.
    output : {"auto", "vector", "sequence"}
        Whether a two-dimensional y is (n_samples, n_outputs) or (n_samples, n_timesteps).
    argument : str
        What y is called, for messages.

    Returns
    -------
    rows : ndarray of shape (n_samples, n_outputs) or (n_total_steps, n_outputs)
        The targets, of y's own dtype.
    form : TargetForm
        How y looked.
    """
    require_targets(y, caller, argument)
    items = list_items(y, caller, argument)
    if items is not None:
        arrays = [to_numpy(item, caller, f"{argument}[{i}]") for i, item in enumerate(items)]
        _check_count(len(arrays), sequences, caller, argument)
        if _is_per_step(arrays, sequences, output):
            return _read_list(arrays, sequences, caller, argument)
        y = _stack(arrays, sequences, caller, argument)
    return _read_array(_dense(y, caller, argument), sequences, caller, output, argument)


def require_targets(y: Any, caller: str, argument: str) -> None:
    """Raise ValueError where there is no y, in scikit-learn's words."""
    if y is None:
        name = caller.split(".")[0]
        fragment = f"This {name} estimator requires y to be passed, but the target y is None"
        raise ValueError(problem(caller, argument, f"None ({fragment})", "an array of targets"))


def _dense(y: Any, caller: str, argument: str) -> Array:
    if hasattr(y, "toarray"):
        got = f"a sparse {type(y).__name__}"
        raise TypeError(problem(caller, argument, got, "dense data: call .toarray()"))
    if isinstance(y, (dict, set, str, bytes)) or hasattr(y, "__next__"):
        raise TypeError(problem(caller, argument, f"a {type(y).__name__}", "an array of targets"))
    if np.ma.isMaskedArray(y) and np.ma.getmaskarray(y).any():
        raise ValueError(problem(caller, argument, "masked values", "none: drop their samples"))
    return to_numpy(y, caller, argument)


def _read_array(
    y: Array, sequences: Sequences, caller: str, output: str, argument: str
) -> tuple[Array, TargetForm]:
    n_timesteps = sequences.n_timesteps
    if y.ndim in (1, 2, 3):
        _check_count(len(y), sequences, caller, argument)
    wants_steps = output == "sequence"
    if y.ndim == 3 and output != "vector":
        if y.shape[1] != n_timesteps or y.shape[2] == 0:
            _refuse_shape(y, sequences, caller, argument, wants_steps)
        form = TargetForm(True, False, True, y.shape[2])
        return _steps(y, sequences, caller, argument), form
    if y.ndim == 2 and wants_steps:
        if y.shape[1] != n_timesteps:
            _refuse_shape(y, sequences, caller, argument, wants_steps)
        form = TargetForm(True, False, False, 1)
        return _steps(y[:, :, None], sequences, caller, argument), form
    if y.ndim not in (1, 2) or wants_steps or y.shape[-1] == 0:
        _refuse_shape(y, sequences, caller, argument, wants_steps)
    form = TargetForm(False, False, y.ndim == 2, y.shape[1] if y.ndim == 2 else 1)
    return y.reshape(len(y), form.n_outputs), form


def _steps(y: Array, sequences: Sequences, caller: str, argument: str) -> Array:
    """Rows of the time steps that are there; y may end in NaN where its sequence ended."""
    lengths = sequences.lengths
    if y.dtype.kind == "f" and np.isnan(y).any():
        shorter = np.flatnonzero(valid_lengths(y) < lengths)
        if len(shorter):
            i = int(shorter[0])
            got = f"NaN (Input y contains NaN) within the sequence of sample {i}"
            raise ValueError(problem(caller, argument, got, f"{lengths[i]} targets"))
    if sequences.is_regular:
        return y.reshape(-1, y.shape[2])
    rows: Array = y[np.arange(y.shape[1]) < lengths[:, None]]
    return rows


def _refuse_shape(
    y: Array, sequences: Sequences, caller: str, argument: str, wants_steps: bool
) -> None:
    n, n_timesteps = len(sequences), sequences.n_timesteps
    vector = f"({n},) or ({n}, n_outputs)"
    steps = f"({n}, {n_timesteps}, n_outputs) or a list of arrays of the sequences' lengths"
    if wants_steps:
        wanted = f"({n}, {n_timesteps}), {steps}"
    else:
        wanted = f"{vector}, or for a target at each step {steps}"
    raise ValueError(problem(caller, argument, f"shape {y.shape}", wanted))


def _check_count(n: int, sequences: Sequences, caller: str, argument: str) -> None:
    if n != len(sequences):
        expected = f"{len(sequences)}, as in {sequences.argument}"
        raise ValueError(problem(caller, argument, f"{n} samples", expected))


def _is_per_step(arrays: list[Array], sequences: Sequences, output: str) -> bool:
    if output != "auto":
        return output == "sequence"
    lengths = [array.shape[0] if array.ndim else 0 for array in arrays]
    is_ragged = len({array.shape for array in arrays}) > 1
    return is_ragged or arrays[0].ndim > 1 or lengths == sequences.lengths.tolist()


def _read_list(
    arrays: list[Array], sequences: Sequences, caller: str, argument: str
) -> tuple[Array, TargetForm]:
    first = arrays[0]
    for i, (array, length) in enumerate(zip(arrays, sequences.lengths, strict=True)):
        name = f"{argument}[{i}]"
        if array.ndim not in (1, 2) or array.shape[1:] != first.shape[1:]:
            wanted = f"({length},)" if first.ndim == 1 else f"({length}, {first.shape[-1]})"
            raise ValueError(problem(caller, name, f"shape {array.shape}", wanted))
        if len(array) != length:
            expected = f"{length}, as in {sequences.argument}[{i}]"
            raise ValueError(problem(caller, name, f"{len(array)} time steps", expected))
    form = TargetForm(True, True, first.ndim == 2, first.shape[1] if first.ndim == 2 else 1)
    return np.concatenate([array.reshape(len(array), -1) for array in arrays]), form


def _stack(arrays: list[Array], sequences: Sequences, caller: str, argument: str) -> Array:
    if len({array.shape for array in arrays}) == 1:
        return np.stack(arrays)
    i = next(i for i, array in enumerate(arrays) if array.shape != arrays[0].shape)
    expected = f"{arrays[0].shape}, as in {argument}[0]"
    raise ValueError(problem(caller, f"{argument}[{i}]", f"shape {arrays[i].shape}", expected))


def restore(
    rows: Array, form: TargetForm, sequences: Sequences, *, has_output_axis: bool | None = None
) -> Any:
    """Give rows the form that y had.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_outputs) or (n_total_steps, n_outputs)
        Predictions.
    form : TargetForm
        How the y of `fit` looked.
    sequences : Sequences
        What was predicted for.
    has_output_axis : bool or None
        Whether the last axis stays; by default as in ``form``.

    Returns
    -------
    y : ndarray or list of ndarray
        A list for targets at each step if the sequences or the y of `fit` were a list, and for
        labels of sequences that end early; steps after the end of a sequence are NaN.
    """
    keeps_axis = form.has_output_axis if has_output_axis is None else has_output_axis
    rows = rows if keeps_axis else rows[:, 0]
    if not form.per_step:
        return rows
    if form.is_list or sequences.is_list:
        return _split(rows, sequences)
    if sequences.is_regular:
        return rows.reshape(len(sequences), sequences.n_timesteps, *rows.shape[1:])
    if rows.dtype.kind != "f":
        return _split(rows, sequences)
    padded = np.full((len(sequences), sequences.n_timesteps, *rows.shape[1:]), np.nan, rows.dtype)
    padded[np.arange(sequences.n_timesteps) < sequences.lengths[:, None]] = rows
    return padded


def _split(rows: Array, sequences: Sequences) -> list[Array]:
    bounds: NDArray[np.int64] = sequences.offsets
    return [rows[bounds[i] : bounds[i + 1]] for i in range(len(sequences))]
