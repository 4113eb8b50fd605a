"""The command line: forecasts, filled gaps and backtests of a table in a file."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from elman._cli.arguments import parse
from elman._cli.errors import BROKEN_PIPE, DATA, FAILED, INTERRUPTED, USAGE, CommandError, shown
from elman._exceptions import DivergenceError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, default=None
        What follows ``python -m elman``; None is what the process was called with.

    Returns
    -------
    code : int
        0 if all went well; 1 if the computation failed, 2 for a wrong call, 3 for bad data, 4 if
        an output exists, 130 after Ctrl-C. Whatever went wrong is told in one line on stderr.
    """
    try:
        return _run(sys.argv[1:] if arguments is None else list(arguments))
    except SystemExit as end:  # of argparse, after --help
        return int(end.code or 0)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read has gone; Python would complain when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except CommandError as error:
        return _fail(str(error), error.code)
    except MemoryError:
        return _fail("out of memory", FAILED)


def _run(arguments: list[str]) -> int:
    options = parse(arguments)
    if options.limit_mem is not None:
        _limit_memory(options.limit_mem)
    from elman._cli import commands

    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        warnings.simplefilter("default")
        try:
            getattr(commands, options.command)(options)
        except ImportError as error:
            raise CommandError(str(error), USAGE) from error
        except (ArithmeticError, DivergenceError) as error:
            raise CommandError(str(error), FAILED) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            name = shown(os.fsdecode(error.filename)) if error.filename else "elman"
            raise CommandError(f"{name}: {error.strerror or error}", FAILED) from error
        except (ValueError, TypeError) as error:
            is_parameter = isinstance(error, ValueError) and isinstance(error, TypeError)
            code = USAGE if is_parameter else DATA
            place = f"{shown(options.file or '-')}: "
            raise CommandError(place + str(error).removeprefix(place), code) from error
    return 0


def _limit_memory(n_bytes: int) -> None:
    """Let the process take only so much memory beside what it has taken already."""
    try:
        import resource
    except ImportError as error:
        raise CommandError("--limit-mem: not on this system", USAGE) from error
    import pandas  # noqa: F401  (what is needed anyway is no part of the limit)
    import sklearn.linear_model  # noqa: F401

    taken = 0
    if os.path.exists("/proc/self/statm"):
        with open("/proc/self/statm", encoding="ascii") as file:
            taken = int(file.read().split()[0]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = taken + n_bytes
    resource.setrlimit(
        resource.RLIMIT_AS, (limit if most == resource.RLIM_INFINITY else min(limit, most), most)
    )


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    print(_line(f"elman: warning: {message}"), file=sys.stderr)


def _fail(message: str, code: int) -> int:
    print(_line(f"elman: error: {message}"), file=sys.stderr)
    return code


def _line(text: str) -> str:
    return " ".join(text.split())
