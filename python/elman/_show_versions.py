"""What runs here: versions, instruction sets, threads, platform."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from joblib import cpu_count

from elman import _isa

REQUIRED = ("elman", "numpy", "scipy", "scikit-learn", "joblib")
OPTIONAL = ("matplotlib", "tqdm", "pandas", "polars", "pyarrow", "onnx")


def show_versions() -> None:
    """Print what a report of a problem should tell.

    Versions of Python, elman, what it needs and what it can use; the instruction set that the
    compiled core was chosen for and those that it could have been; the number of threads; the
    platform.

    Examples
    --------
    >>> import elman
    >>> elman.show_versions()  # doctest: +ELLIPSIS
    elman: ...
    """
    for name, value in _report().items():
        print(f"{name}: {value}")


def _report() -> dict[str, str]:
    return {
        **{name: _version(name) for name in REQUIRED},
        "python": sys.version.replace("\n", " "),
        "instruction set": _isa.choose(),
        "instruction sets available": ", ".join(_isa.available()),
        "threads": str(cpu_count()),
        **{
            name: os.environ[name]
            for name in ("ELMAN_ISA", "ELMAN_NUM_THREADS")
            if name in os.environ
        },
        "platform": platform.platform(),
        **{name: _version(name) for name in OPTIONAL},
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
