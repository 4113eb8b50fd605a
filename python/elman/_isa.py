"""Which of the compiled cores runs here: there is one for each instruction set."""

from __future__ import annotations

import importlib.util
import os

from elman import _cpu

NAMES = ("baseline", "avx2", "avx512", "neon")


def available() -> list[str]:
    """Instruction sets that were built and that this machine can run, the slowest first."""
    return [isa for isa in _cpu.usable_isas() if _is_built(isa)]


def choose() -> str:
    """Name the instruction set to use: the fastest, or what ``ELMAN_ISA`` asks for.

    Raises
    ------
    ImportError
        If ``ELMAN_ISA`` names no instruction set, or one that was not built or that this
        machine cannot run; or if none can be used at all.
    """
    wanted = os.environ.get("ELMAN_ISA")
    if wanted:
        return _checked(wanted)
    isas = available()
    if not isas:
        raise ImportError(
            "elman: no compiled core can be used: this machine runs "
            f"{', '.join(_cpu.usable_isas())}, installed are {_listed(_built())}"
        )
    return isas[-1]


def _checked(wanted: str) -> str:
    if wanted not in NAMES:
        raise ImportError(f"ELMAN_ISA: got {wanted!r}, expected one of {', '.join(NAMES)}")
    if not _is_built(wanted):
        raise ImportError(
            f"ELMAN_ISA: got {wanted!r}, which is not installed; expected {_listed(_built())}"
        )
    if wanted not in _cpu.usable_isas():
        raise ImportError(
            f"ELMAN_ISA: got {wanted!r}, which this machine cannot run; "
            f"expected {_listed(available())}"
        )
    return wanted


def _is_built(isa: str) -> bool:
    return importlib.util.find_spec(f"elman._core_{isa}") is not None


def _built() -> list[str]:
    return [isa for isa in NAMES if _is_built(isa)]


def _listed(isas: list[str]) -> str:
    return ", ".join(isas) if isas else "none"
