"""Training on a Parquet file that is larger than memory is meant to be.

    python -m bench.out_of_core --folder /tmp --gigabytes 4

makes the file if it is not there, trains one epoch for each window in a process of its own, and
prints its peak memory beside that of an epoch of the same network on a small array, how long the
network waited for the thread that reads, and what that took of the processors' time.
"""

import argparse
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning

N_CHANNELS, N_TIMESTEPS, GROUP_ROWS = 8, 100, 2**20
BYTES_PER_ROW = 4 * (N_CHANNELS + 1) + 8  # float32 channels and target, 32-bit id and time
OPTIONS = {"hidden_layer_sizes": (16,), "max_iter": 1, "tol": 0.0, "random_state": 0}


def make(path, gigabytes):
    """Write sequences of noise, whose target is a fading sum of the first channel."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    n_groups = max(1, round(gigabytes * 1e9 / (BYTES_PER_ROW * GROUP_ROWS)))
    writer, start = None, 0
    for group in range(n_groups):
        rng = np.random.default_rng(group)
        values = rng.normal(size=(GROUP_ROWS, N_CHANNELS)).astype(np.float32)
        rows = np.arange(start, start + GROUP_ROWS)
        table = pa.table(
            {
                "id": (rows // N_TIMESTEPS).astype(np.int32),
                "time": (rows % N_TIMESTEPS).astype(np.int32),
                **{f"x{i}": column for i, column in enumerate(values.T)},
                "y": values[:, 0] + np.roll(values[:, 1], 1),
            }
        )
        # Noise does not get smaller, so that the file is as large as what is in it.
        options = {"compression": "none", "use_dictionary": False}
        writer = writer or pq.ParquetWriter(path, table.schema, **options)
        writer.write_table(table, row_group_size=GROUP_ROWS)
        start += GROUP_ROWS
    writer.close()


def memory_mb():
    """Anonymous memory of this process: pages of files can be dropped at any time."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024


class Peak:
    """The most memory while something ran."""

    def __enter__(self):
        self.mb, self._is_over = memory_mb(), threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._is_over.set()
        self._thread.join()

    def _watch(self):
        while not self._is_over.wait(0.005):
            self.mb = max(self.mb, memory_mb())


def train(path, window, output, n_jobs):
    """Train an epoch, and print what it took."""
    import pyarrow.parquet  # noqa: F401  (its own memory is none of the data's)
    from elman import RNNRegressor, _prefetch
    from elman._block_training import BlockExamples
    from elman.data import ParquetSequences

    model = RNNRegressor(**OPTIONS, output=output, n_jobs=n_jobs)
    few = np.random.default_rng(0).normal(size=(400, N_TIMESTEPS, N_CHANNELS)).astype(np.float32)
    with Peak() as alone, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(few, few[:, :, :1] if output == "sequence" else few[:, -1, 0])
    source = ParquetSequences(
        path,
        id="id",
        time="time",
        channels=[f"x{i}" for i in range(N_CHANNELS)],
        target="y",
        window=window,
    )
    waits = Timer(_prefetch.Future, "result", time.perf_counter)
    reads = Timer(BlockExamples, "read", time.thread_time)
    start, start_cpu = time.perf_counter(), time.process_time()
    with Peak() as peak, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        stated = source.memory
        looked = time.perf_counter() - start
        model.fit(source)
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    n_steps = model.t_ * N_TIMESTEPS
    print(f"file {Path(path).stat().st_size / 1e9:.2f} GB, {n_steps:,} steps, window {window}")
    print(f"an epoch {seconds:.1f} s, {n_steps / seconds / 1e6:.1f} million steps a second")
    print(f"of it the look at the ids {looked:.1f} s, waiting for the reader {waits.seconds:.1f} s")
    print(f"time of processors {cpu:.1f} s, of it the reader {reads.seconds:.1f} s")
    print(f"memory {alone.mb:.0f} MB with a small array, at most {peak.mb:.0f} MB with the file:")
    print(f"{peak.mb - alone.mb:.0f} MB more; stated are {stated / 2**20:.0f} MB of sequences")


class Timer:
    """Adds up what a method takes from now on."""

    def __init__(self, owner, name, clock):
        self.seconds, real = 0.0, getattr(owner, name)

        def timed(*arguments):
            start = clock()
            try:
                return real(*arguments)
            finally:
                self.seconds += clock() - start

        setattr(owner, name, timed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default=".")
    parser.add_argument("--gigabytes", type=float, default=4.0)
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--output", default="sequence", choices=["sequence", "vector"])
    parser.add_argument("--n-jobs", type=int)
    parser.add_argument("--train", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(options.train, options.windows[0], options.output, options.n_jobs)
        return
    path = Path(options.folder) / f"out_of_core_{options.gigabytes:g}.parquet"
    if not path.exists():
        make(path, options.gigabytes)
    for window in options.windows:
        arguments = ["--train", str(path), "--windows", str(window), "--output", options.output]
        if options.n_jobs:
            arguments += ["--n-jobs", str(options.n_jobs)]
        subprocess.run([sys.executable, "-m", "bench.out_of_core", *arguments], check=True)


if __name__ == "__main__":
    main()
