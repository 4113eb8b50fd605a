"""Parquet files, one after another, as one table of which rows are read when they are needed."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from elman._arrow import import_pyarrow
from elman._exceptions import abbreviated, problem
from elman._sequences import offsets_of

BUFFER = 2**18
BATCH_BYTES = 2**22


@dataclass(frozen=True)
class File:
    """A file as it was when it was first looked at.

    Parameters
    ----------
    path : str
        Where it is.
    size, changed : int
        Its bytes, and when it was last changed, in nanoseconds.
    metadata : pyarrow.parquet.FileMetaData
        Its footer.
    """

    path: str
    size: int
    changed: int
    metadata: Any

    def is_as_it_was(self) -> bool:
        """Whether nobody has written it since."""
        status = os.stat(self.path)
        return (status.st_size, status.st_mtime_ns) == (self.size, self.changed)


class ParquetFiles:
    """The row groups of files, numbered through, and their rows.

    Parameters
    ----------
    path : path of a file or folder, pattern, or list of them
        The files; of a folder those that end in ``.parquet``, in the order of their names.
    caller : str
        Who asks, for messages.
    """

    def __init__(self, path: Any, caller: str) -> None:
        import_pyarrow(caller)
        self.files = [_look_at(name, caller) for name in _paths(path, caller)]
        groups = [
            (number, group)
            for number, file in enumerate(self.files)
            for group in range(file.metadata.num_row_groups)
            if file.metadata.row_group(group).num_rows
        ]
        if not groups:
            raise ValueError(problem(caller, "path", f"{path!r} without any rows", "some"))
        self._groups = groups
        sizes = [self.files[i].metadata.row_group(group).num_rows for i, group in groups]
        self.borders = offsets_of(np.array(sizes, dtype=np.int64))

    def __len__(self) -> int:
        return len(self._groups)

    def types(self, columns: list[str], argument: str, caller: str) -> list[Any]:
        """Return the types of columns; ValueError where a file lacks one or has another type."""
        found: list[Any] = []
        for file in self.files:
            schema = file.metadata.schema.to_arrow_schema()
            for i, name in enumerate(columns):
                places = schema.get_all_field_indices(name)
                if len(places) != 1:
                    got = f"{name!r}, of which {file.path!r} has {len(places)} columns"
                    expected = f"one of {abbreviated(schema.names)}"
                    raise ValueError(problem(caller, argument, got, expected))
                kind = schema.field(places[0]).type
                if len(found) <= i:
                    found.append(kind)
                elif kind != found[i]:
                    got = f"{name!r}, which is {kind} in {file.path!r}"
                    expected = f"{found[i]}, as in {self.files[0].path!r}"
                    raise ValueError(problem(caller, argument, got, expected))
        return found

    def place(self, group: int, row: int | None = None) -> str:
        """Name a row group, or a row in it, for messages."""
        file, number = self._groups[group]
        where = "" if row is None else f"row {row} of "
        return f"{where}row group {number} of {self.files[file].path!r}"

    def group_of(self, row: int) -> tuple[int, int]:
        """Return the row group that a row is in, and its place there."""
        group = int(np.searchsorted(self.borders, row, side="right")) - 1
        return group, row - int(self.borders[group])

    def read(
        self, start: int, stop: int, columns: list[str], caller: str
    ) -> Iterator[tuple[int, int, Any]]:
        """Yield record batches with the rows from ``start`` to ``stop``.

        Before each comes the row group that it is of, and its first row there.

        Raises
        ------
        ValueError
            If a file has changed since it was first looked at.
        OSError
            If a row group cannot be read.
        """
        group, _ = self.group_of(start)
        while group < len(self) and self.borders[group] < stop:
            low, high = (int(border) for border in self.borders[group : group + 2])
            first, last = max(start - low, 0), min(stop, high) - low
            for row, batch in self._batches(group, last, columns, caller):
                skipped = max(first - row, 0)
                if skipped < len(batch):
                    yield group, row + skipped, batch.slice(skipped)
            group += 1

    def _batches(
        self, group: int, n_rows: int, columns: list[str], caller: str
    ) -> Iterator[tuple[int, Any]]:
        """Yield the first rows of a row group, a few at a time, which takes least memory."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        number, group_number = self._groups[group]
        found = self.files[number]
        whole_group = found.metadata.row_group(group_number)
        size = max(1, BATCH_BYTES * whole_group.num_rows // max(1, whole_group.total_byte_size))
        row = 0
        try:
            if not found.is_as_it_was():
                got = f"{found.path!r}, which has changed since it was first read"
                raise ValueError(problem(caller, "path", got, "files that stay as they are"))
            with pq.ParquetFile(found.path, metadata=found.metadata, buffer_size=BUFFER) as file:
                for batch in file.iter_batches(
                    min(size, n_rows), [group_number], columns, use_threads=False
                ):
                    yield row, batch.slice(0, n_rows - row)
                    row += len(batch)
                    if row >= n_rows:
                        return
        except (OSError, pa.ArrowException) as error:
            got = f"{self.place(group)}, which cannot be read ({error})"
            raise OSError(problem(caller, "path", got, "a whole file")) from error

    def fingerprint(self) -> list[tuple[str, int, int]]:
        """Return what tells whether files are the same, wherever they are."""
        return [
            (hashlib.blake2b(_footer(file), digest_size=32).hexdigest(), file.size, file.changed)
            for file in self.files
        ]


def _footer(file: File) -> bytes:
    """Return the end of a file, where its footer is."""
    with open(file.path, "rb") as stream:
        stream.seek(-min(file.size, file.metadata.serialized_size + 8), os.SEEK_END)
        return stream.read()


def _look_at(path: str, caller: str) -> File:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        status = os.stat(path)
        metadata = pq.read_metadata(path)
    except pa.ArrowInvalid as error:
        got = f"{path!r}, which is no Parquet file ({error})"
        raise ValueError(problem(caller, "path", got, "Parquet files")) from error
    return File(path, status.st_size, status.st_mtime_ns, metadata)


def _paths(path: Any, caller: str) -> list[str]:
    given = path if isinstance(path, (list, tuple)) else [path]
    found: list[str] = []
    for item in given:
        if not isinstance(item, (str, os.PathLike)):
            got = f"a {type(item).__name__}"
            raise TypeError(problem(caller, "path", got, "paths of files or folders"))
        name = os.fspath(item)
        is_pattern = glob.has_magic(name) and not os.path.exists(name)
        if is_pattern:
            found += sorted(glob.glob(name, recursive=True))
        else:
            found += _files_in(name) if os.path.isdir(name) else [name]
    if not found:
        got = f"{abbreviated(path)}, in which there is no file"
        raise ValueError(problem(caller, "path", got, "files that end in .parquet"))
    return found


def _files_in(folder: str) -> list[str]:
    """Return the Parquet files below a folder; names that begin with _ or . are no data."""
    base = Path(folder)
    return [
        str(path)
        for path in sorted(base.rglob("*.parquet"))
        if path.is_file()
        and not any(p.startswith(("_", ".")) for p in path.relative_to(base).parts)
    ]
