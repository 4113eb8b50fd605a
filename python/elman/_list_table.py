"""Tables of lists: a row is a sequence, and its values are lists."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array
from elman._arrow import is_list, list_lengths, lists, n_numbers, number_dtype
from elman._exceptions import problem
from elman._parquet_files import ParquetFiles
from elman._tables import Columns, Found, Request, SequenceTable, check_numbers, complete

Rows = NDArray[np.int64]


class ListTable(SequenceTable):
    """Sequences in rows of lists."""

    def __init__(self, files: ParquetFiles, columns: Columns, caller: str) -> None:
        super().__init__(files, columns)
        kinds = files.types(columns.channels, "channels", caller)
        for name, kind in zip(columns.channels, kinds, strict=True):
            if not is_list(kind):
                got = f"{name!r} of type {kind}"
                raise TypeError(problem(caller, "channels", got, "columns of lists without id"))
        if columns.time is not None:
            raise ValueError(problem(caller, "time", repr(columns.time), "None without id"))
        self.dtype = np.result_type(*map(number_dtype, kinds))
        self.n_channels = sum(map(n_numbers, kinds))
        told = zip(columns.told, files.types(columns.told, "target", caller), strict=True)
        self._lists = {name for name, kind in told if is_list(kind)}
        if self._lists and not self._lists >= set(columns.targets):
            got = f"lists in {sorted(self._lists)} only of {columns.told}"
            raise ValueError(problem(caller, "target", got, "lists in all targets, or in none"))

    def lengths(self, caller: str) -> Rows:
        """Look how long the lists of the first channel are."""
        name = self.columns.channels[0]
        found = []
        for group, first, batch in self.files.read(0, int(self.files.borders[-1]), [name], caller):
            array = complete(batch[name], name, self.place(group, first), caller)
            lengths = list_lengths(array, caller, f"column {name!r}")
            if not lengths.all():
                got = f"an empty list at {self.files.place(group, first + int(np.argmin(lengths)))}"
                expected = "at least 1 step in each sequence"
                raise ValueError(problem(caller, f"column {name!r}", got, expected))
            found.append(lengths)
        return np.concatenate(found)

    def starts(self, lengths: Rows) -> Rows:
        """Return the row in which each sequence begins, and the number of rows."""
        return np.arange(len(lengths) + 1)

    def is_per_step(self, output: str, caller: str) -> bool:
        """Whether there is a target for each step, where the estimator's ``output`` is this."""
        is_per_step = bool(self._lists)
        wanted = {"vector": False, "sequence": True}.get(output, is_per_step)
        if wanted != is_per_step:
            got = f"columns of {'lists' if is_per_step else 'single values'}"
            expected = f"{'lists' if wanted else 'single values'} for output={output!r}"
            raise ValueError(problem(caller, "target", got, expected))
        return is_per_step

    def read(self, start: int, stop: int, lengths: Rows, request: Request) -> Found:
        """Read rows, in which sequences of these lengths are whole."""
        columns, names = self.columns, self.names(request)
        values = self.room(int(lengths.sum()), request)
        rows, weights, n_read, n_steps = [], [], 0, 0
        for group, first, batch in self.files.read(start, stop, names, request.caller):
            its_lengths = lengths[n_read : n_read + len(batch)]
            part = _Part(self, batch, group, first, its_lengths, request)
            if values is not None:
                part.fill(values[n_steps : n_steps + int(its_lengths.sum())])
            n_read, n_steps = n_read + len(batch), n_steps + int(its_lengths.sum())
            if request.targets:
                told = [part.told(name, name in self._lists) for name in columns.told]
                if columns.weight is not None:
                    weights.append(told.pop())
                rows.append(np.stack(told, axis=1))
        return Found(
            values,
            np.concatenate(rows) if rows else None,
            np.concatenate(weights) if weights else None,
        )


class _Part:
    """Rows of one record batch."""

    def __init__(
        self,
        parent: ListTable,
        batch: Any,
        group: int,
        first: int,
        lengths: Rows,
        request: Request,
    ) -> None:
        self._parent = parent
        self._batch = batch
        self._place = parent.place(group, first)
        self._lengths = lengths
        self._request = request

    def fill(self, values: Array) -> None:
        """Put the steps of all lists into an array, a column's channels after another's."""
        channel, caller, may_miss = 0, self._request.caller, self._request.may_miss
        for name in self._parent.columns.channels:
            what, array = f"column {name!r}", complete(self._batch[name], name, self._place, caller)
            lengths, steps = lists(array, caller, what)
            self._check_lengths(lengths, name)
            check_numbers(steps, what, self._place_of_step, caller, may_miss=may_miss)
            values[:, channel : channel + steps.shape[1]] = steps
            channel += steps.shape[1]

    def told(self, name: str, has_lists: bool) -> Array:
        """Return targets or weights, one for each step or sequence."""
        column, caller = self._batch[name], self._request.caller
        if not has_lists:
            values = self._parent.told(column, name, self._place, caller)
            return np.repeat(values, self._lengths) if self._request.per_step else values
        array = complete(column, name, self._place, caller)
        self._check_lengths(list_lengths(array, caller, f"column {name!r}"), name)
        return self._parent.told(array.flatten(), name, self._place_of_step, caller)

    def _check_lengths(self, lengths: Rows, name: str) -> None:
        others = np.flatnonzero(lengths != self._lengths)
        if len(others):
            row = int(others[0])
            got = f"a list of {lengths[row]} at {self._place(row)}"
            expected = f"{self._lengths[row]}, as in column {self._parent.columns.channels[0]!r}"
            raise ValueError(problem(self._request.caller, f"column {name!r}", got, expected))

    def _place_of_step(self, step: int) -> str:
        return self._place(int(np.searchsorted(np.cumsum(self._lengths), step, side="right")))
