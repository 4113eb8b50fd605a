"""Sequences in Parquet files, long or a row each, read a few row groups at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array
from elman._data import Data, Reader
from elman._exceptions import abbreviated, problem
from elman._list_table import ListTable
from elman._long_table import LongTable
from elman._parquet_files import ParquetFiles
from elman._sequences import InputForm, shape_text
from elman._source import NO_TARGETS, Blocks, Source, as_in_fit
from elman._tables import Columns, Found, Request, SequenceTable
from elman._targets import TargetForm


class ParquetSequences(Source):
    """Sequences of Parquet files, which are read a few row groups at a time.

    In a long table a row is a time step: rows with one id follow one another, in the order of
    time, and are a sequence. It may go on in the next row group, and in the next file. Without an
    id a row is a sequence, and its channels are lists. Nothing but the lengths of the sequences
    and, where there is one target for each, the targets is kept in memory; see `memory`.

    Parameters
    ----------
    path : str, os.PathLike or list of them
        Files, one after another; a folder: its files that end in ``.parquet``, in the order of
        their names; or a pattern such as ``"2024-*.parquet"``, in that order too.
    channels : str or list of str
        Columns of numbers, or without ``id`` of lists of numbers, or of lists of steps of several
        numbers: lists of a fixed size, or structs. A null is NaN.
    id : str, default=None
        Column that tells which sequence a row belongs to.
    time : str, default=None
        Column of times; they must ascend within a sequence.
    target : str or list of str, default=None
        Column with the target, or several. In a long table there is one for each step; an
        estimator with ``output="vector"`` takes that of the last step of each sequence. Without
        ``id`` a column of lists has one for each step, another one for each sequence.
    sample_weight : str, default=None
        Column of weights, which are taken as the targets are.
    window : int, default=4
        Number of blocks that are mixed at a time. A block is the sequences that begin in one row
        group. An epoch goes through the blocks in an order that is drawn, and through the
        sequences of ``window`` of them at a time in another one.

    Raises
    ------
    ImportError
        Without pyarrow, which is in the extra ``elman[parquet]``.

    See Also
    --------
    ArraySequences : Sequences of an array, of one that is mapped from a file above all.

    Notes
    -----
    The ids and times are read once, when the sequences are first needed: each id must come in one
    run of rows. A file that has changed since is refused. Errors name the file, the row group and
    the row, counted from the start of its group.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np, pyarrow as pa, pyarrow.parquet as pq
    >>> from elman import RNNRegressor
    >>> from elman.data import ParquetSequences
    >>> values = np.random.RandomState(0).randn(200, 10)
    >>> table = pa.table({
    ...     "sensor": np.repeat(np.arange(200), 10),
    ...     "hour": np.tile(np.arange(10), 200),
    ...     "value": values.ravel(),
    ...     "total": values.cumsum(axis=1).ravel(),
    ... })
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "sensors.parquet")
    ...     pq.write_table(table, path, row_group_size=500)
    ...     source = ParquetSequences(
    ...         path, id="sensor", time="hour", channels="value", target="total", window=2
    ...     )
    ...     model = RNNRegressor(output="vector", learning_rate_init=0.01, random_state=0)
    ...     score = model.fit(source).score(source)
    >>> score > 0.9
    True
    """

    def __init__(
        self,
        path: Any,
        *,
        channels: Any,
        id: str | None = None,
        time: str | None = None,
        target: Any = None,
        sample_weight: str | None = None,
        window: int = 4,
    ) -> None:
        super().__init__(window)
        caller = type(self).__name__
        columns = Columns(
            _names(channels, "channels", caller),
            id,
            time,
            [] if target is None else _names(target, "target", caller),
            isinstance(target, (list, tuple)),
            sample_weight,
        )
        if sample_weight is not None and target is None:
            raise ValueError(problem(caller, "target", "None", "one with sample_weight"))
        files = ParquetFiles(path, caller)
        for argument, name in (("id", id), ("time", time), ("sample_weight", sample_weight)):
            if name is not None:
                files.types(_names(name, argument, caller), argument, caller)
        files.types(columns.targets, "target", caller)
        kind: Any = ListTable if id is None else LongTable
        self._table: SequenceTable = kind(files, columns, caller)
        self._lengths: NDArray[np.int64] | None = None
        self._kept: dict[int, Found] = {}

    def _open(self, reader: Reader, argument: str) -> Blocks:
        """Look where all sequences begin."""
        table = self._table
        if self._lengths is None:
            self._lengths = table.lengths(reader.caller)
        lengths, columns = self._lengths, table.columns
        starts = table.starts(lengths)
        targets = NO_TARGETS
        if columns.targets:
            is_per_step = table.is_per_step(reader.output, reader.caller)
            n_targets = len(columns.targets)
            targets = TargetForm(is_per_step, is_per_step, columns.has_output_axis, n_targets)
        shape = shape_text(len(lengths), lengths, table.n_channels)
        form = InputForm("sequences", table.n_channels, table.n_channels, table.dtype, shape)
        return ParquetBlocks(
            reader,
            argument,
            as_in_fit(form, reader, argument),
            targets,
            lengths,
            np.unique(np.searchsorted(starts[:-1], table.files.borders)),
            int(lengths.max()),
            True,
            table,
            starts,
            {} if targets.per_step else self._kept,
        )


@dataclass(frozen=True)
class ParquetBlocks(Blocks):
    """Parquet files that were opened.

    Parameters
    ----------
    table : SequenceTable
        What reads their rows.
    starts : ndarray of int64
        The row in which each sequence begins, and the number of rows.
    kept : dict
        Targets of blocks, where there is one for each sequence.
    """

    table: SequenceTable
    starts: NDArray[np.int64]
    kept: dict[int, Found]

    def read(self, block: int, *, with_values: bool = True, into: Array | None = None) -> Data:
        """Read a block, or all of it but the values."""
        first, last = self.borders[block : block + 2]
        is_told = self.targets.n_outputs > 0 and block not in self.kept
        request = Request(
            with_values,
            is_told,
            self.targets.per_step,
            self.reader.may_miss,
            self.reader.caller,
            into,
        )
        found = Found(None, None, None)
        if with_values or is_told:
            rows = slice(int(self.starts[first]), int(self.starts[last]))
            found = self.table.read(rows.start, rows.stop, self.lengths_of(block), request)
        told = self.kept.get(block, found)
        if is_told and not self.targets.per_step:
            self.kept[block] = replace(found, values=None)
        outline = self.outline(block)
        sequences = outline if found.values is None else replace(outline, array=found.values)
        rows_of_y = np.empty((last - first, 0)) if told.rows is None else told.rows
        weights = self.counted(told.weights, outline)
        return Data(sequences, self.inputs, rows_of_y, self.targets, weights)

    def contents(self) -> dict[str, Any]:
        """Return checksums of the files' footers, their sizes and when they were last changed."""
        columns = self.table.columns
        names = (columns.channels, columns.id, columns.time)
        return {
            "X": (self.table.files.fingerprint(), names, self.inputs),
            "y": (columns.targets, self.targets),
            "sample_weight": columns.weight,
        }


def _names(given: Any, argument: str, caller: str) -> list[str]:
    names = list(given) if isinstance(given, (list, tuple)) else [given]
    if not names or not all(isinstance(name, str) for name in names):
        expected = "the name of a column, or names"
        raise TypeError(problem(caller, argument, abbreviated(given), expected))
    if len(set(names)) < len(names):
        raise ValueError(problem(caller, argument, abbreviated(given), "each column once"))
    return names
