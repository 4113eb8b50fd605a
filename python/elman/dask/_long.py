"""Frames in long form: a row for each step, and columns that tell whose, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from elman._arrays import Array
from elman._data import Reader
from elman._exceptions import abbreviated, problem


@dataclass(frozen=True)
class LongForm:
    """What the columns of a frame are; those that are not named are channels.

    Parameters
    ----------
    id : str
        Tells the sequences apart: a column, or the index.
    time : str or None
        Orders the steps of a sequence; None leaves them as they stand.
    target : tuple of str
        Columns that are predicted.
    weight : str or None
        The column of weights.
    is_series : bool
        Whether the target was named by a string, and so has no axis of its own.
    """

    id: str
    time: str | None
    target: tuple[str, ...] = ()
    weight: str | None = None
    is_series: bool = True

    def order(self, frame: Any, caller: str) -> tuple[Any, Array, Array]:
        """Sort the rows; return them, where each sequence begins, and what tells them apart."""
        if self.id not in frame.columns and frame.index.name == self.id:
            frame = frame.reset_index()
        wanted = [self.id, *(() if self.time is None else (self.time,)), *self.target]
        wanted += [] if self.weight is None else [self.weight]
        missing = [name for name in wanted if name not in frame.columns]
        if missing:
            got = f"the columns {abbreviated(list(frame.columns))}"
            raise ValueError(problem(caller, "X", got, f"{missing} among them"))
        by = [self.id] if self.time is None else [self.id, self.time]
        frame = frame.sort_values(by, kind="stable")
        ids = frame[self.id].to_numpy()
        first = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]])[: len(ids)])
        return frame, first, ids[first]

    def channels(self, frame: Any) -> list[Any]:
        """Return the columns that are channels."""
        aside = {self.id, self.time, self.weight, *self.target}
        return [name for name in frame.columns if name not in aside]

    def sequences(
        self, frame: Any, first: Array, channels: Array | None, caller: str
    ) -> list[Array]:
        """Return the channels of each sequence, by default all that are not named otherwise."""
        names = self.channels(frame) if channels is None else list(channels)
        missing = [name for name in names if name not in frame.columns]
        if missing:
            expected = f"all the channels of fit: {abbreviated(names)}"
            raise ValueError(problem(caller, "X", f"no columns {missing}", expected))
        return list(np.split(frame[names].to_numpy(), first[1:]))

    def cut(
        self, frame: Any, y: Any, sample_weight: Any, reader: Reader
    ) -> tuple[Any, Any, Any, Array]:
        """Return X, y and weights as estimators take them, and what tells the sequences apart."""
        frame, first, names = self.order(frame, reader.caller)
        known = None if reader.form is None else reader.form.feature_names
        X = self.sequences(frame, first, known, reader.caller)
        if not self.target:
            return X, y, sample_weight, names
        columns = list(self.target)
        targets = frame[columns[0] if self.is_series else columns].to_numpy()
        weights = None if self.weight is None else frame[self.weight].to_numpy()
        if reader.output == "sequence":
            split = None if weights is None else list(np.split(weights, first[1:]))
            return X, list(np.split(targets, first[1:])), split, names
        self._check_constant(targets, first, names, reader.caller)
        return X, targets[first], None if weights is None else weights[first], names

    def _check_constant(self, targets: Array, first: Array, names: Array, caller: str) -> None:
        lengths = np.diff(np.append(first, len(targets)))
        differs: Array = np.not_equal(targets, np.repeat(targets[first], lengths, axis=0))
        varies = differs.reshape(len(targets), -1).any(axis=1)
        if varies.any():
            i = int(np.searchsorted(first, np.argmax(varies), side="right")) - 1
            got = f"{list(self.target)} that changes within sequence {names.tolist()[i]!r}"
            expected = "one value in each sequence, or output='sequence'"
            raise ValueError(problem(caller, "y", got, expected))
