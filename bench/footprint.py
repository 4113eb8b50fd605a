"""What elman and its peers weigh: import time, size on disk, memory of a training.

Each import and each training runs in a process of its own.
"""

import importlib.metadata
import importlib.util
import io
import os
import statistics
import subprocess
import sys
import zipfile

# Import name and the distributions that it cannot do without beside NumPy.
PACKAGES = {
    "elman": ["elman"],
    "torch": ["torch"],
    "jax": ["jax", "jaxlib"],
    "keras": ["keras"],
    "onnxruntime": ["onnxruntime"],
}
# cell, layers, units, channels, steps, batch
TRAININGS = [
    ("lstm", 1, 256, 16, 500, 64),
    ("gru", 1, 256, 16, 500, 64),
    ("simple", 2, 256, 16, 500, 64),
    ("lstm", 2, 64, 8, 1000, 64),
]
IMPORT = """
import sys, time
import sklearn.base
start = time.perf_counter()
import {package}
print(1e3 * (time.perf_counter() - start))
"""
# A small training first, so that libraries that are loaded late do not count.
TRAIN = """
import sys
from bench.peers import {module} as peers
from bench.peers.elman_peer import initial_weights
from bench.workloads import Workload

def peak_kb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

def peer(n_timesteps, batch_size):
    workload = Workload("", {cell!r}, {n_layers}, {n_units}, {n_channels}, n_timesteps, batch_size)
    return getattr(peers, {peer!r})(workload, initial_weights(workload), n_threads=1)

peer(4, 2).train(1)
large = peer({n_timesteps}, {batch_size})
before = peak_kb()
large.train(2)
print((peak_kb() - before) / 1024)
"""


def import_times(n_rounds):
    """Milliseconds that an import takes beyond sklearn.base; medians, taken in turn."""
    packages = [name for name in PACKAGES if importlib.util.find_spec(name)]
    times = {name: [] for name in packages}
    for _ in range(n_rounds):
        for name in packages:
            times[name].append(output_of(IMPORT.format(package=name)))
    return {name: statistics.median(values) for name, values in times.items()}


def sizes():
    """Megabytes on disk, and of a wheel: the same files compressed."""
    found = {}
    for name, distributions in PACKAGES.items():
        try:
            files = [
                file
                for distribution in distributions
                for file in importlib.metadata.distribution(distribution).files or []
                if "__pycache__" not in str(file) and file.locate().is_file()
            ]
        except importlib.metadata.PackageNotFoundError:
            continue
        found[name] = {"on_disk": sum(file.locate().stat().st_size for file in files) / 1e6}
        if name == "elman":
            found[name]["wheel"] = compressed_size(files) / 1e6
    return found


def compressed_size(files):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as wheel:
        for file in files:
            wheel.write(file.locate(), str(file))
    return archive.tell()


def training_memory():
    """Megabytes at the peak of a training beyond those before it: elman, and PyTorch."""
    if not os.path.exists("/proc/self/status"):
        return
    peers = {"elman": ("elman_peer", "ElmanPeer")}
    if importlib.util.find_spec("torch"):
        peers["torch"] = ("torch_peer", "Peer")
    names = ("cell", "n_layers", "n_units", "n_channels", "n_timesteps", "batch_size")
    for training in TRAININGS:
        shape = dict(zip(names, training, strict=True))
        yield {
            **shape,
            "megabytes": {
                name: output_of(TRAIN.format(module=module, peer=peer, **shape))
                for name, (module, peer) in peers.items()
            },
        }


def output_of(code):
    """The number that a Python process prints last."""
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
    )
    return float(done.stdout.split()[-1])
