"""The C header of a fitted estimator: how large it is, and how long a step of it takes.

RTNeural (Chowdhury, 2021), whose networks are C++ templates that the compiler unrolls, publishes
real-time factors: how many times as many steps a second a core makes as a signal of 48 kHz has
samples. So that is printed beside the microseconds.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import elman
import numpy as np

from bench.streaming import fitted

PROGRAM = Path(__file__).resolve().parents[1] / "examples" / "c_export" / "main.c"
FLAGS = {"-O2": ["-O2"], "-O3, native": ["-O3", "-march=native"]}
SIZES = [("simple", 2, 20), ("gru", 1, 8), ("gru", 2, 20), ("lstm", 1, 16), ("lstm", 2, 20)]
SAMPLES_A_SECOND = 48000


def measure(n_rounds):
    """Rows of bytes and microseconds, a cell, size and compiler's flags each."""
    if shutil.which("cc") is None:
        return
    for cell, n_layers, n_units in SIZES:
        model = fitted(cell, n_layers, n_units)
        with tempfile.TemporaryDirectory() as folder:
            header = Path(folder, "model.h")
            elman.to_c(model, header)
            for name, flags in FLAGS.items():
                program = compiled(folder, flags)
                runs = [run(program) for _ in range(n_rounds)]
                us = float(np.median([us for _, us in runs]))
                yield {
                    "network": f"{cell} {n_layers} x {n_units}",
                    "flags": name,
                    "n_weights": int(model.n_parameters_),
                    "header_bytes": header.stat().st_size,
                    "state_bytes": runs[0][0],
                    "us": us,
                    "real_time_factor": 1e6 / us / SAMPLES_A_SECOND,
                }


def compiled(folder, flags):
    """A program that reads model.h of the folder and times a million steps."""
    shutil.copy(PROGRAM, folder)
    program = Path(folder, "program")
    subprocess.run(
        ["cc", "-std=c99", *flags, "main.c", "-o", program, "-lm"], cwd=folder, check=True
    )
    return program


def run(program):
    """Bytes of a state, and microseconds of a step."""
    told = subprocess.run([program], input="", text=True, capture_output=True, check=True).stderr
    n_bytes, us = re.match(r"(\d+) bytes of state, ([\d.]+) us", told).groups()
    return int(n_bytes), float(us)


def text(row):
    """One line."""
    return (
        f"{row['network']:<13}{row['n_weights']:6} weights  cc {row['flags']:<12} header "
        f"{row['header_bytes'] / 1000:6.1f} kB, state {row['state_bytes']:4} bytes, "
        f"{row['us']:5.2f} us a step: {row['real_time_factor']:.0f} x a signal of 48 kHz"
    )
