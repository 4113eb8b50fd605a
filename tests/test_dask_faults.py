"""Workers that die, come late or are slow, a scheduler that dies: what is learned is the same."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("distributed")

import dask.array as da
from clusters import SMALL, cluster_of, in_epoch, kill, process_ids, restore, same_bits, sequences
from distributed import Client
from elman.dask import DaskRNNRegressor, SchedulerLostError
from sklearn.base import clone

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("default:::distributed"),
]
X, Y = sequences()
DATA = [da.from_array(array, chunks=(25, *array.shape[1:])) for array in (X, Y)]
MODEL = DaskRNNRegressor(**{**SMALL, "max_iter": 5})


@pytest.fixture(scope="module")
def client():
    with cluster_of(2) as client:
        yield client


@pytest.fixture(scope="module")
def expected(client):
    """What nothing has happened to."""
    return {k: clone(MODEL).set_params(sync_every=k).fit(*DATA) for k in (1, 3)}


@pytest.mark.parametrize("sync_every", [1, 3])
def test_a_worker_that_is_killed_changes_nothing(client, expected, sync_every):
    victim = process_ids(client)[0]
    with in_epoch(2, lambda: kill(victim)):
        model = clone(MODEL).set_params(sync_every=sync_every).fit(*DATA)
    assert same_bits(model, expected[sync_every])
    assert victim not in process_ids(client)
    restore(client, 2)


def test_to_wait_long_is_no_failure(client, expected, monkeypatch):
    monkeypatch.setattr("elman.dask._cluster.PATIENCE", 1e-4)
    monkeypatch.setattr("elman.dask._cluster.ATTEMPTS", 1)
    assert same_bits(clone(MODEL).fit(*DATA), expected[1])


def test_a_late_worker_has_work_and_changes_nothing(client, expected):
    def worked():
        from elman.dask import _steps

        return hasattr(_steps._kept, "name")

    def join():
        restore(client, 3)

    before = set(client.scheduler_info()["workers"])
    with in_epoch(2, join):
        model = clone(MODEL).fit(*DATA)
    assert same_bits(model, expected[1])
    late = list(set(client.scheduler_info()["workers"]) - before)
    assert len(late) == 1
    assert same_bits(clone(MODEL).fit(*DATA), expected[1])
    # Threads keep their trainers, so the worker tells from one of its own whether it had one.
    assert client.submit(worked, workers=late, pure=False).result()


def test_a_slow_worker_changes_nothing(client, expected):
    victim = process_ids(client)[0]

    def sleep():
        os.kill(victim, signal.SIGSTOP)
        time.sleep(0.5)
        os.kill(victim, signal.SIGCONT)

    with in_epoch(2, sleep, wait=0.0):
        model = clone(MODEL).fit(*DATA)
    assert same_bits(model, expected[1])


def test_one_worker_gives_the_bits_of_many(client, expected):
    restore(client, 1)
    for k in (1, 3):
        assert same_bits(clone(MODEL).set_params(sync_every=k).fit(*DATA), expected[k])


def start(*arguments):
    """A process of a command of dask, as it is written in the documentation."""
    return subprocess.Popen(
        [os.path.join(os.path.dirname(sys.executable), "dask"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def scheduler():
    """A scheduler, and where it is found."""
    process = start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    for line in process.stdout:
        found = re.search(r"Scheduler at:\s+(tcp://\S+)", line)
        if found:
            return process, found[1]
    raise AssertionError("no scheduler")


def worker(address):
    """A worker without a nanny."""
    return start("worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard")


def test_a_scheduler_that_dies_is_told_of_and_the_fit_goes_on_with_another(expected, tmp_path):
    model = clone(MODEL).set_params(checkpoint=tmp_path / "fit.safetensors", checkpoint_every=1)
    processes = []
    try:
        first, address = scheduler()
        processes += [first, worker(address)]
        with Client(address, timeout=30, set_as_default=True) as client:
            client.wait_for_workers(1, timeout=60)
            with (
                in_epoch(3, lambda: kill(first.pid), wait=0.0),
                pytest.raises(SchedulerLostError, match=rf"no answer from {address}.*checkpoint"),
            ):
                model.fit(*DATA)
            client.close(timeout=1)
        written = (tmp_path / "fit.safetensors").stat().st_mtime_ns
        second, address = scheduler()
        processes += [second, worker(address), worker(address)]
        with Client(address, timeout=30, set_as_default=True) as client:
            client.wait_for_workers(2, timeout=60)
            with in_epoch(3, lambda: kill(processes[-1].pid)):
                model.fit(*DATA)
        assert written < (tmp_path / "fit.safetensors").stat().st_mtime_ns
        assert model.n_iter_ == 5
        assert same_bits(model, expected[1])
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()


def test_data_that_only_a_lost_worker_had_is_told_of(client):
    held = [client.scatter(np.ascontiguousarray(X[:40])), client.scatter(X[40:])]
    targets = [client.scatter(Y[:40]), client.scatter(Y[40:])]
    victims = process_ids(client)

    def lose():
        for victim in victims:
            kill(victim)

    with in_epoch(2, lose), pytest.raises(RuntimeError, match=r"cluster got 5 failures in a row"):
        clone(MODEL).fit(held, targets)
