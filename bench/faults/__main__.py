"""python -m bench.faults: the tests of model files at large counts, for as long as you give it.

Sections that are counted by time share the minutes; the others run through all there is. It ends at
the first broken promise. The loops themselves are those of ``tests/fault_loops.py``.
"""

import argparse
import collections
import os
import random
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("SKBUILD_EDITABLE_VERBOSE", "0")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import fault_loops
from model_files import MODELS, file_of

from bench.faults import disk

SMALL = ("scaler by sequence", "tokens of a set", "window")
FORGED = (
    *("regressor", "regressor of steps", "classifier of strings", "classifier of tokens"),
    *("encoder-decoder, ragged", "translator", "count ratios", "tokens with features", "scaler"),
    *("naive forecaster of months", "linear forecaster of hours", "recurrent forecaster"),
    *("recurrent forecaster of hours", "recurrent forecaster of months"),
    *("imputer", "imputer by BRITS", "imputer of hours"),
)
SLOWEST = 1.0
"""Seconds that reading a forged file may take."""


def main():
    arguments = parse()
    timed = [name for name in arguments.sections if name in TIMED]
    seconds = 60 * arguments.minutes / max(1, len(timed))
    for name in arguments.sections:
        start = time.perf_counter()
        result = TIMED[name](seconds, arguments.seed) if name in TIMED else WHOLE[name]()
        print(f"{name:12} {time.perf_counter() - start:7.0f} s  {result}", flush=True)


def parse():
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sections", type=lambda text: text.split(","), default=[*WHOLE, *TIMED])
    arguments = parser.parse_args()
    for name in arguments.sections:
        if name not in {**WHOLE, **TIMED}:
            parser.error(f"no section {name}; there are {', '.join({**WHOLE, **TIMED})}")
    return arguments


def truncations():
    """Every length of every file."""
    files = [file_of(make()) for make in MODELS.values()]
    counts = [fault_loops.count_refused(fault_loops.truncations(data), data) for data in files]
    return f"{sum(counts):,} lengths of {len(files)} files, all refused"


def single_bytes():
    """Every byte of small files times each of the 255 other values."""
    files = [file_of(MODELS[name]()) for name in SMALL]
    counts = [
        fault_loops.count_refused(fault_loops.single_bytes(data, range(1, 256)), data)
        for data in files
    ]
    assert counts == [255 * len(data) for data in files]
    return f"{sum(counts):,} changed bytes of {len(files)} files, all refused"


def blocks():
    """Every block of 4 KiB of large files, and of 64 bytes of small ones, zeroed or swapped."""
    n = 0
    for name, make in MODELS.items():
        data = file_of(make())
        n += fault_loops.count_refused(
            fault_loops.blocks(data, 64 if name in SMALL else 4096), data
        )
    return f"{n:,} files with swapped or zeroed blocks, all refused"


def mutants(seconds, seed):
    """Files with a right checksum and something else in them."""
    rng, end = random.Random(seed), time.perf_counter() + seconds
    files = {name: file_of(MODELS[name]()) for name in FORGED}
    results, slowest = collections.Counter(), 0.0
    while time.perf_counter() < end:
        name = rng.choice(FORGED)
        bad = fault_loops.mutant(files[name], rng)
        start = time.process_time()
        result, _ = fault_loops.try_mutant(bad, name)
        slowest = max(slowest, time.process_time() - start)
        assert slowest < SLOWEST, f"{slowest} s for a mutant of {name}"
        results[result] += 1
    counts = ", ".join(f"{n:,} {result}" for result, n in results.most_common())
    return f"{results.total():,} mutants: {counts}; slowest {slowest:.2f} s of CPU, no crash"


def kills(seconds, seed):
    """Processes that are killed while they save."""
    n, most, end = 0, 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        with tempfile.TemporaryDirectory() as folder:
            most = max(most, fault_loops.killed_saves(folder, 50, seed + n))
            n += 50
    return f"{n:,} kills while saving: each left the old file or the new one; {most} strays at most"


def fits(seconds, seed):
    """Fits that are killed until they end."""
    n, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        with tempfile.TemporaryDirectory() as folder:
            n += fault_loops.killed_fits(folder, 10, seed + n)
    return f"{n:,} kills of fits, each of which ended with the bits of a quiet one"


WHOLE = {
    "truncations": truncations,
    "bytes": single_bytes,
    "blocks": blocks,
    "calls": disk.failing_system_calls,
    "full": disk.full_disks,
}
TIMED = {"mutants": mutants, "kills": kills, "fits": fits}

if __name__ == "__main__":
    main()
