"""Files that come to be whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from elman._cli.dialect import Dialect
from elman._cli.errors import EXISTS, FAILED, USAGE, CommandError, shown

Add = Callable[[str, Callable[[Any], None]], None]


@contextmanager
def outputs(paths: list[str | None], *, force: bool) -> Iterator[Add]:
    """Yield a function that writes a file: all get their names at the end, together.

    Parameters
    ----------
    paths : list of str or None
        What will be written; "-" is stdout, None is nothing.
    force : bool
        Whether files that exist may be written over.

    Raises
    ------
    CommandError
        At once, if a file exists, or there is no folder for it.
    """
    for path in paths:
        if path == "-" and sys.stdout is None:
            raise CommandError("<stdout>: closed", FAILED)
        if path is not None and path != "-":
            _check(path, force=force)
    written: dict[str, str] = {}

    def add(path: str, write: Callable[[Any], None]) -> None:
        if path == "-":
            write(sys.stdout.buffer)
            sys.stdout.flush()
            return
        folder, name = os.path.split(path)
        # The ending stays, by which a format may be told.
        beside = os.path.join(folder, f".{os.getpid()}.{name}")
        written[beside] = path
        with open(beside, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())

    try:
        yield add
        for beside, path in written.items():
            os.replace(beside, path)
    finally:
        for beside in written:
            if os.path.exists(beside):
                os.unlink(beside)


def _check(path: str, *, force: bool) -> None:
    if os.path.isdir(path):
        raise CommandError(f"{shown(path)}: is a folder", USAGE)
    if os.path.exists(path) and not force:
        raise CommandError(f"{shown(path)}: exists; --force writes over it", EXISTS)
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise CommandError(f"{shown(folder)}: no such folder", USAGE)
    if not os.access(folder, os.W_OK):
        raise CommandError(f"{shown(folder)}: not writable", USAGE)


def frame_writer(frame: Any, path: str, dialect: Dialect) -> Callable[[Any], None]:
    """Return a function that writes a frame to an open file, as Parquet if its name says so."""
    if path.endswith(".parquet"):
        return lambda file: frame.to_parquet(file, index=False)
    style = {"sep": dialect.separator, "decimal": dialect.decimal, "lineterminator": "\n"}
    return lambda file: file.write(frame.to_csv(index=False, **style).encode())
