"""Importing this refuses sub-interpreters: NumPy and scikit-learn do not support them either."""

from __future__ import annotations

import importlib


def refuse_subinterpreter() -> None:
    """Raise ImportError in any but the main interpreter; a compiled module might hang there."""
    for name in ("_interpreters", "_xxsubinterpreters"):
        try:
            interpreters = importlib.import_module(name)
        except ImportError:
            continue
        if interpreters.get_current() != interpreters.get_main():
            raise ImportError(
                "elman got imported in a sub-interpreter, expected Python's main interpreter: "
                "NumPy and scikit-learn do not support others; use processes or threads"
            )
        return


refuse_subinterpreter()
