"""What ends a command, and the exit code that tells it."""

from __future__ import annotations

FAILED, USAGE, DATA, EXISTS, INTERRUPTED, BROKEN_PIPE = 1, 2, 3, 4, 130, 141


class CommandError(Exception):
    """A command cannot go on; its message is one line.

    Parameters
    ----------
    message : str
        What is wrong, and where.
    code : int
        The exit code.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def shown(path: str) -> str:
    """Return a path as it is, or quoted where it would not stay on its line."""
    if path == "-":
        return "<stdin>"
    return path if path.isprintable() else repr(path)
