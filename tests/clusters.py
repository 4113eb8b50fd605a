"""Clusters of processes on this machine, and what tests do to them."""

import os
import signal
import threading
import time
from contextlib import contextmanager

import numpy as np
from distributed import Client, LocalCluster
from elman.dask._training import ClusterTrainer

SMALL = {
    "hidden_layer_sizes": 5,
    "batch_size": 32,
    "max_iter": 3,
    "tol": 0,
    "n_iter_no_change": 100,
    "random_state": 0,
    "dropout": 0.1,
}


@contextmanager
def cluster_of(n_workers, **options):
    """A client of workers in processes of their own."""
    with (
        LocalCluster(
            n_workers=n_workers, threads_per_worker=1, dashboard_address=":0", **options
        ) as cluster,
        Client(cluster, timeout=30) as client,
    ):
        yield client


def sequences(n=90, n_steps=12, n_channels=2, seed=0):
    """Sequences of one length, and a target for each."""
    X = np.random.RandomState(seed).normal(size=(n, n_steps, n_channels)).astype("f4")
    return X, X[:, :, 0].sum(axis=1) + 5.0


def ragged(n=60, seed=0):
    """Sequences of several lengths, a target for each, and targets for their steps."""
    rng = np.random.RandomState(seed)
    X = [rng.normal(size=(2 + 3 * i % 7, 2)).astype("f4") for i in range(n)]
    return X, np.array([x.sum() for x in X]), [x[:, 0].cumsum() for x in X]


def weights_of(model):
    """All weights, to be compared bit by bit."""
    return np.concatenate([array.ravel() for array in model.weights_.values()])


def same_bits(one, another):
    """Whether two models, and how they came to be, are the same to the bit."""
    return (
        np.array_equal(weights_of(one), weights_of(another))
        and one.loss_curve_ == another.loss_curve_
        and one.validation_scores_ == another.validation_scores_
    )


@contextmanager
def in_epoch(number, action, wait=0.05):
    """Let something happen while the mini-batches of an epoch are on the cluster."""
    run, epochs, threads = ClusterTrainer.run, [], []

    def observed(self, *arguments):
        epochs.append(None)
        if len(epochs) == number:
            threads.append(threading.Timer(wait, action))
            threads[0].start()
        return run(self, *arguments)

    ClusterTrainer.run = observed
    try:
        yield
    finally:
        ClusterTrainer.run = run
        for thread in threads:
            thread.join()


def kill(process):
    """kill -9."""
    os.kill(process, signal.SIGKILL)


def restore(client, n_workers, patience=60):
    """Wait until there are as many workers again; a cluster gives up those that are slow to."""
    end = time.monotonic() + patience
    while len(client.scheduler_info(n_workers=-1)["workers"]) != n_workers:
        assert time.monotonic() < end, f"there are no {n_workers} workers"
        client.cluster.scale(n_workers)
        time.sleep(0.1)


def process_ids(client):
    """Process of each worker."""
    return list(client.run(os.getpid, on_error="ignore").values())
