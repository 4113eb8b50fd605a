"""Files that are there whole or not at all, whatever happens while they are written.

A file is written under another name beside its place, made durable, and then given its name in one
step; whoever reads sees the old file or the new one. The process holds a lock on what it writes, so
that a later one can tell what a dead process has left behind from what a living one is at.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import Any

import numpy as np

from elman._exceptions import problem
from elman._network import physical_memory
from elman._safetensors import BLOCK, Bytes, Source, blocks, check_start

try:
    import fcntl
except ImportError:  # Windows, where nobody can remove what another has open
    fcntl = None  # type: ignore[assignment]

_CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0)
_NO_WAITING = getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_MODE_OF_NEW = 0o666
_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP)
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def checked_path(path: Any, caller: str) -> str:
    """Return a path as a string; TypeError or ValueError if it cannot be one."""
    try:
        name = os.fsdecode(path)
    except TypeError as error:
        got = f"a {type(path).__name__}"
        raise TypeError(problem(caller, "path", got, "a string or os.PathLike")) from error
    if "\0" in name:
        raise ValueError(problem(caller, "path", repr(name), "a path without NUL"))
    return name


@contextmanager
def _errors_of(path: str) -> Iterator[None]:
    """Let errors of the system name the path that was asked for, and nothing else."""
    try:
        yield
    except OSError as error:
        code = error.errno or errno.EIO
        raise OSError(code, os.strerror(code), path) from error


def write_file(path: Any, pieces: list[Any], caller: str) -> None:
    """Write a file, or leave everything as it was.

    Parameters
    ----------
    path : str or os.PathLike
        Its name. A symbolic link stays one: what it points to is replaced.
    pieces : list of bytes or ndarray of uint8
        Its bytes, one after another.
    caller : str
        For messages.

    Raises
    ------
    OSError
        If the system cannot do it; it names the path. What was there before is there still, unless
        it was the very last step that failed, that of making the new name durable.
    ValueError
        If something that is no file has the name.
    """
    name = checked_path(path, caller)
    with _errors_of(name):
        target, mode = _place_of(name, caller)
        folder, base = os.path.split(target)
        with _opened(folder) as directory:
            prefix = f".elman-{sha256(os.fsencode(base)).hexdigest()[:16]}-"
            _sweep(folder, prefix)
            with _temporary(folder, prefix, mode) as file:
                _write(file, pieces, mode)
                os.replace(file.path, target)
            _make_name_durable(directory)


def _place_of(name: str, caller: str) -> tuple[str, int | None]:
    """Where the file shall be, and the permissions of the one that is there."""
    if not os.path.basename(name):
        raise OSError(errno.EISDIR if name else errno.ENOENT, "")
    try:
        status = os.lstat(name)
    except FileNotFoundError:
        folder, base = os.path.split(name)
        return os.path.join(os.path.realpath(folder), base), None
    if stat.S_ISLNK(status.st_mode):
        status = os.stat(name)
    if stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EISDIR, "")
    if not stat.S_ISREG(status.st_mode):
        got = f"{name!r}, {_KINDS.get(stat.S_IFMT(status.st_mode), 'no file')}"
        raise ValueError(problem(caller, "path", got, "not a regular file's name, or a free one"))
    return os.path.realpath(name), stat.S_IMODE(status.st_mode)


@contextmanager
def _opened(folder: str) -> Iterator[int | None]:
    """Open the folder, before anything is changed, so as to make a name in it durable later."""
    if fcntl is None:
        yield None
        return
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield directory
    finally:
        with suppress(OSError):
            os.close(directory)


def _make_name_durable(directory: int | None) -> None:
    if directory is None:
        return
    try:
        os.fsync(directory)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


class _File:
    """Descriptors of a file that is being written: one to write, one that holds the lock.

    Closing the first tells of errors, and must come before the file gets its name; the lock must go
    on until it has it.
    """

    def __init__(self, path: str, mode: int | None) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _CLOSE_ON_EXEC | _BINARY
        self.path, self._open = path, []
        self._open.append(os.open(path, flags, _MODE_OF_NEW if mode is None else mode))
        try:
            self._open.append(os.dup(self.descriptor))
        except BaseException:
            self.remove()
            raise

    @property
    def descriptor(self) -> int:
        """What is written to."""
        return self._open[0]

    def lock(self) -> bool:
        """Lock the file; false if a sweeper was there first, and is removing it."""
        if fcntl is None:
            return True
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks, on which nobody sweeps either
            return True
        return os.fstat(self.descriptor).st_nlink > 0

    def close(self) -> None:
        """Close what is written to."""
        os.close(self._open.pop(0))

    def unlock(self) -> None:
        """Close everything."""
        while self._open:
            with suppress(OSError):
                self.close()

    def remove(self) -> None:
        """Close everything, and remove the file."""
        self.unlock()
        with suppress(OSError):
            os.unlink(self.path)


@contextmanager
def _temporary(folder: str, prefix: str, mode: int | None) -> Iterator[_File]:
    """Make a file that is locked; remove it if anything goes wrong."""
    while True:
        file = _File(os.path.join(folder, f"{prefix}{os.urandom(8).hex()}.tmp"), mode)
        try:
            if file.lock():
                yield file
                return
        except BaseException:
            file.remove()
            raise
        finally:
            file.unlock()


def _sweep(folder: str, prefix: str) -> None:
    """Remove what dead processes have left behind; what cannot be removed stays."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and entry.is_file(follow_symlinks=False):
                _remove_if_abandoned(entry.path)


def _remove_if_abandoned(path: str) -> None:
    with suppress(OSError):
        if fcntl is None:
            os.unlink(path)
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
        finally:
            os.close(descriptor)


def _write(file: _File, pieces: list[Any], mode: int | None) -> None:
    """Write everything and make it durable; the file is closed behind it."""
    for piece in pieces:
        for block in blocks(piece):
            while len(block):
                n_written = os.write(file.descriptor, block)
                if n_written == 0:
                    raise OSError(errno.EIO, "")
                block = block[n_written:]
    if mode is not None and hasattr(os, "fchmod"):
        os.fchmod(file.descriptor, mode)
    os.fsync(file.descriptor)
    file.close()


def read_file(path: Any, source: Source) -> Bytes:
    """Read a file once, whole.

    Parameters
    ----------
    path : str or os.PathLike
        Its name.
    source : Source
        The same, for messages.

    Returns
    -------
    data : ndarray of uint8
        Its bytes, read-only.

    Raises
    ------
    OSError
        If the system cannot do it.
    MemoryError
        If the file is larger than the machine's memory.
    ModelFileError
        If it does not begin as one of elman's files, or changes while it is read.
    """
    name = checked_path(path, source.caller)
    with _errors_of(name):
        descriptor = os.open(name, os.O_RDONLY | _CLOSE_ON_EXEC | _NO_WAITING | _BINARY)
        try:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise OSError(errno.EISDIR, "")
            if not stat.S_ISREG(status.st_mode):
                got = _KINDS.get(stat.S_IFMT(status.st_mode), "no file")
                raise source.corrupt(got, "a regular file")
            return _read(descriptor, status.st_size, source)
        finally:
            os.close(descriptor)


def _read(descriptor: int, size: int, source: Source) -> Bytes:
    start = os.read(descriptor, 16)
    check_start(start, size, source)
    if size > physical_memory():
        got = f"a file of {size} bytes"
        raise MemoryError(source.problem(got, f"at most the {physical_memory()} of memory"))
    data: Bytes = np.empty(size, dtype=np.uint8)
    n = len(start)
    data[:n] = np.frombuffer(start, dtype=np.uint8)
    while n < size and (n_read := _read_into(descriptor, data[n : n + BLOCK])):
        n += n_read
    if n < size or os.read(descriptor, 1):
        raise source.corrupt("a file that changed while it was read", "one that does not")
    data.flags.writeable = False
    return data


def _read_into(descriptor: int, block: Bytes) -> int:
    if hasattr(os, "readv"):
        return os.readv(descriptor, [block.data])
    piece = os.read(descriptor, len(block))
    block[: len(piece)] = np.frombuffer(piece, dtype=np.uint8)
    return len(piece)
