"""Long tables: a row is a time step, and rows of one id after another are a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array
from elman._arrow import is_list, number_dtype, numbers, whole
from elman._exceptions import abbreviated, problem
from elman._parquet_files import ParquetFiles
from elman._sequences import offsets_of
from elman._tables import Columns, Found, Place, Request, SequenceTable, check_numbers, complete

Rows = NDArray[np.int64]


class LongTable(SequenceTable):
    """Sequences in rows that are time steps."""

    def __init__(self, files: ParquetFiles, columns: Columns, caller: str) -> None:
        super().__init__(files, columns)
        kinds = files.types(columns.channels, "channels", caller)
        for name, kind in zip(columns.channels, kinds, strict=True):
            if is_list(kind):
                got = f"{name!r} of type {kind}"
                raise TypeError(problem(caller, "channels", got, "columns of numbers with id"))
        (kind,) = files.types([str(columns.id)], "id", caller)
        if str(kind) in ("float", "double", "halffloat"):
            expected = "integers, text or dates"
            raise TypeError(problem(caller, "id", f"{columns.id!r} of type {kind}", expected))
        self.dtype = np.result_type(*map(number_dtype, kinds))
        self.n_channels = len(kinds)

    def lengths(self, caller: str) -> Rows:
        """Look how long the runs of ids are.

        Raises
        ------
        ValueError
            If an id comes back after another one, time does not go on within a sequence, or there
            is a null among them.
        """
        names = [name for name in (self.columns.id, self.columns.time) if name is not None]
        starts: list[Rows] = []
        ids: list[Any] = []
        before: list[Any] = []
        for group, first, batch in self.files.read(0, int(self.files.borders[-1]), names, caller):
            place = self.place(group, first)
            arrays = [complete(batch[name], name, place, caller) for name in names]
            is_new = _is_new(arrays[0], *before[:1])
            if len(arrays) > 1:
                self._check_time(arrays, before, is_new, place, caller)
            starts.append(np.flatnonzero(is_new))
            ids.append(arrays[0].take(starts[-1]))
            starts[-1] += self.files.borders[group] + first
            before = [array[-1:] for array in arrays]
        found = np.concatenate(starts)
        self._check_once(ids, found, caller)
        return np.diff(found, append=self.files.borders[-1])

    def starts(self, lengths: Rows) -> Rows:
        """Return the row in which each sequence begins, and the number of rows."""
        return offsets_of(lengths)

    def is_per_step(self, output: str, caller: str) -> bool:
        """Whether there is a target for each step, where the estimator's ``output`` is this."""
        return output != "vector"

    def read(self, start: int, stop: int, lengths: Rows, request: Request) -> Found:
        """Read rows, in which sequences of these lengths are whole."""
        columns, caller = self.columns, request.caller
        values = self.room(stop - start, request)
        rows, weights, n_read = [], [], 0
        for group, first, batch in self.files.read(start, stop, self.names(request), caller):
            if values is not None:
                self._fill(values[n_read : n_read + len(batch)], group, first, batch, request)
                n_read += len(batch)
            if request.targets:
                place = self.place(group, first)
                parts = [self.told(batch[name], name, place, caller) for name in columns.told]
                if columns.weight is not None:
                    weights.append(parts.pop())
                rows.append(np.stack(parts, axis=1))
        # A sequence has the target of its last step.
        counted = slice(None) if request.per_step else offsets_of(lengths)[1:] - 1
        return Found(
            values,
            np.concatenate(rows)[counted] if rows else None,
            np.concatenate(weights)[counted] if weights else None,
        )

    def _fill(self, values: Array, group: int, first: int, batch: Any, request: Request) -> None:
        for channel, name in enumerate(self.columns.channels):
            what = f"column {name!r}"
            values[:, channel] = numbers(batch[name], request.caller, what)
            check_numbers(
                values[:, channel],
                what,
                self.place(group, first),
                request.caller,
                may_miss=request.may_miss,
            )

    def _check_time(
        self,
        arrays: list[Any],
        before: list[Any],
        is_new: NDArray[np.bool_],
        place: Place,
        caller: str,
    ) -> None:
        """Raise ValueError where a time is not after the one before it in its sequence."""
        import pyarrow as pa
        import pyarrow.compute as pc

        what = f"column {self.columns.time!r}"
        times = pa.concat_arrays([before[1] if before else arrays[1][:1], arrays[1]])
        try:
            goes_on = pc.less(times[:-1], times[1:]).to_numpy(zero_copy_only=False)
        except pa.ArrowNotImplementedError as error:
            got = f"values of type {times.type}"
            raise TypeError(problem(caller, what, got, "times or numbers")) from error
        stays = np.flatnonzero(~is_new & ~goes_on.astype(bool))
        if len(stays):
            row = int(stays[0])
            got = f"{times[row].as_py()} and then {times[row + 1].as_py()} at {place(row)}"
            expected = f"ascending times of {arrays[0][row].as_py()!r}: sort by id and time"
            raise ValueError(problem(caller, what, got, expected))

    def _check_once(self, ids: list[Any], starts: Rows, caller: str) -> None:
        """Raise ValueError where an id comes back."""
        import pyarrow as pa
        import pyarrow.compute as pc

        every = pa.chunked_array(ids)
        if pc.count_distinct(every).as_py() == len(every):
            return
        codes = whole(every).dictionary_encode().indices.to_numpy(zero_copy_only=False)
        is_again = np.ones(len(codes), dtype=bool)
        is_again[np.unique(codes, return_index=True)[1]] = False
        sequence = int(np.argmax(is_again))
        place = self.files.place(*self.files.group_of(int(starts[sequence])))
        got = f"{abbreviated(every[sequence].as_py())} again at {place}"
        expected = "rows of one id after one another: sort by id and time"
        raise ValueError(problem(caller, f"column {self.columns.id!r}", got, expected))


def _is_new(ids: Any, before: Any = None) -> NDArray[np.bool_]:
    """Whether each id is another one than that of the row before."""
    import pyarrow.compute as pc

    is_first_new = before is None or pc.not_equal(before, ids[:1]).to_pylist()[0]
    others = pc.not_equal(ids[:-1], ids[1:]).to_numpy(zero_copy_only=False)
    return np.append(is_first_new, others).astype(bool)
