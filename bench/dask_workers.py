"""An epoch on 1, 2 and 4 workers of a dask cluster, and what it costs.

python -m bench.dask_workers

Workers are processes of this machine with one thread each. Of a mini-batch's time it is told how
much the busiest worker and the update compute. What is left is talk, to which is fitted

    a + b W + bytes / B,    bytes = 2 (W - 1) 4 P

for W workers and P weights. On W machines of their own a mini-batch that takes one of them c takes

    t = c / W + a + b W + 8 P (W - 1) / B,    which is least for W = sqrt(c / (b + 8 P / B)).
"""

import argparse
import collections
import os
import time
import warnings

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster, get_task_stream
from elman import RNNRegressor
from elman.dask import DaskRNNRegressor
from elman.dask._training import ClusterTrainer
from elman.datasets import generate_time_series
from scipy.optimize import nnls
from sklearn.exceptions import ConvergenceWarning

NETWORKS = [(20, 20), (64,), (128,), (256,), (512,)]
WORKERS = (1, 2, 4)
N_STEPS, BATCH_SIZE, N_BATCHES = 20, 256, 4
FLOAT = 4


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.dask_workers")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--sync-every", type=int, nargs="*", default=[1, 4, 16])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(f"{len(os.sched_getaffinity(0))} cores; {N_STEPS} steps, mini-batches of {BATCH_SIZE}")
    rows = []
    for n_workers in WORKERS:
        with cluster_of(n_workers) as client:
            for network in NETWORKS:
                rows.append(measure(client, network, n_workers, arguments.epochs))
                print(text(rows[-1]), flush=True)
    fitted(rows)
    with cluster_of(2) as client:
        for k in arguments.sync_every:
            print(averaging(client, k), flush=True)


class cluster_of:
    """A client of so many workers."""

    def __init__(self, n_workers):
        self.cluster = LocalCluster(
            n_workers=n_workers, threads_per_worker=1, dashboard_address=":0"
        )
        self.client = Client(self.cluster)

    def __enter__(self):
        self.client.wait_for_workers(1)
        return self.client

    def __exit__(self, *_):
        self.client.close()
        self.cluster.close()


def data(n):
    """Sequences and what follows each."""
    series = generate_time_series(n, N_STEPS + 1, random_state=0)
    return series[:, :N_STEPS], series[:, N_STEPS, 0]


def timed(fit):
    """Seconds of each epoch of a fit."""
    run, seconds = ClusterTrainer.run, []

    def observed(self, *given):
        begin = time.perf_counter()
        try:
            return run(self, *given)
        finally:
            seconds.append(time.perf_counter() - begin)

    ClusterTrainer.run = observed
    try:
        fit()
    finally:
        ClusterTrainer.run = run
    return seconds


def measure(client, network, n_workers, n_epochs):
    X, y = data(N_BATCHES * BATCH_SIZE)
    options = {
        "hidden_layer_sizes": network,
        "batch_size": BATCH_SIZE,
        "max_iter": n_epochs,
        "tol": 0,
        "n_iter_no_change": 1000,
        "random_state": 0,
    }
    arrays = [da.from_array(array, chunks=(256, *array.shape[1:])) for array in (X, y)]
    model = DaskRNNRegressor(**options)
    before = sum(client.run(bytes_sent).values())
    with get_task_stream(client=client) as stream:
        seconds = timed(lambda: model.fit(*arrays))
    sent = sum(client.run(bytes_sent).values()) - before
    n = N_BATCHES * n_epochs
    computing = computed(stream.data) / n
    return {
        "network": network,
        "n_parameters": model.n_parameters_,
        "n_workers": n_workers,
        "epoch": min(seconds),
        "computing": computing,
        "talk": max(0.0, sum(seconds) / n - computing),
        "local": alone(RNNRegressor(n_jobs=1, **options), X, y) if n_workers == 1 else None,
        "sent": sent / n,
    }


def computed(tasks):
    """Seconds that the busiest worker differentiates, and that updates take."""
    of_workers, updates = collections.Counter(), 0.0
    for task in tasks:
        spans = [s for s in task["startstops"] if s["action"] == "compute"]
        seconds = sum(span["stop"] - span["start"] for span in spans)
        if "-differentiate-" in str(task["key"]):
            of_workers[task["worker"]] += seconds
        elif "-update-" in str(task["key"]):
            updates += seconds
    return max(of_workers.values()) + updates


def alone(model, X, y):
    """Seconds of the fastest epoch without a cluster."""
    model.set_params(max_iter=1, warm_start=True)
    seconds = []
    for _ in range(4):
        begin = time.perf_counter()
        model.fit(X, y)
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def bytes_sent(dask_worker):
    """Bytes that a worker has sent to others, and at the end of an epoch to the client."""
    return dask_worker.transfer_outgoing_bytes_total


def text(row):
    local = "" if row["local"] is None else f" (RNNRegressor {1e3 * row['local']:.0f})"
    return (
        f"{row['network']!s:<9}{row['n_parameters']:8,} weights {row['n_workers']} workers  "
        f"epoch {1e3 * row['epoch']:6.0f} ms{local}; "
        f"a mini-batch: computing {1e3 * row['computing']:7.1f} ms, talk "
        f"{1e3 * row['talk']:6.1f} ms, {row['sent'] / 1e6:6.2f} MB"
    )


def fitted(rows):
    """Fit the model of the talk, and print it, how far off it is, and what it says of more."""
    design = np.array(
        [
            [1, row["n_workers"], 2 * (row["n_workers"] - 1) * FLOAT * row["n_parameters"] / 1e9]
            for row in rows
        ]
    )
    times = np.array([row["talk"] + row["computing"] for row in rows])
    talk = np.array([row["talk"] for row in rows])
    # Relative errors count: otherwise the slowest network would tell everything.
    (a, b, per_gigabyte), _ = nnls(design / times[:, None], talk / times)
    off = np.abs(design @ (a, b, per_gigabyte) - talk) / times
    print(f"latency {1e3 * a:.1f} + {1e3 * b:.1f} W ms, ", end="")
    print(f"{1 / per_gigabyte if per_gigabyte else np.inf:.2f} GB/s, ", end="")
    print(f"off by {100 * np.median(off):.0f}% in the middle, {100 * off.max():.0f}% at most")
    for row in rows[: len(NETWORKS)]:
        for factor in (1, 16):
            c, size = factor * row["computing"], row["n_parameters"]
            cost = per_gigabyte / 1e9 * 2 * FLOAT * size
            best = max(1.0, np.sqrt(c / (b + cost)))
            gain = c / (c / best + a + b * best + cost * (best - 1))
            print(
                f"{row['network']!s:<9} mini-batches of {factor * BATCH_SIZE:5}: "
                f"{1e3 * c:8.1f} ms on one, up to {best:4.1f} machines, {gain:4.1f} times as fast"
            )


def averaging(client, k):
    """What averages every k mini-batches are worth, beside sums of gradients."""
    X, y = data(5120)
    test, X, truth, y = X[:1024], X[1024:], y[:1024], y[1024:]
    arrays = [da.from_array(array, chunks=(1024, *array.shape[1:])) for array in (X, y)]
    model = DaskRNNRegressor(
        sync_every=k,
        hidden_layer_sizes=(20, 20),
        batch_size=128,
        max_iter=10,
        tol=0,
        n_iter_no_change=1000,
        random_state=0,
    )
    seconds = timed(lambda: model.fit(*arrays))
    return (
        f"sync_every={k:<3} epoch {1e3 * min(seconds):6.0f} ms, after 10: loss "
        f"{model.loss_curve_[-1]:.4f}, R² on the test part {model.score(test, truth):.4f}"
    )


if __name__ == "__main__":
    main()
