"""The cluster that a fit runs on: who is there, what lies where, and what goes wrong."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import dask
from distributed import Client, get_client
from distributed.client import CancelledError
from distributed.comm import CommClosedError
from distributed.scheduler import KilledWorker

from elman._exceptions import problem

LOST = (KilledWorker, CancelledError, CommClosedError, OSError, asyncio.TimeoutError)
"""What dask raises where a machine has failed, though not that alone."""
ATTEMPTS = 5
PATIENCE = 1.0
"""Seconds after which a wait looks whether the scheduler is still there."""


class SchedulerLostError(ConnectionError):
    """The scheduler of a cluster does not answer any more."""


class MachineLostError(RuntimeError):
    """A worker has gone, and with it what dask could not compute again by itself."""


class Cluster:
    """A connection to a scheduler, as one fit uses it.

    Parameters
    ----------
    caller : str
        Class and method, for messages.
    """

    def __init__(self, caller: str) -> None:
        self.caller = caller
        self.client = _client(caller)
        self.name = uuid4().hex[:12]
        self._address = self.client.scheduler.address if self.client.scheduler else "?"
        self._n_keys = 0

    def workers(self) -> list[str]:
        """Addresses of the workers there are; waits until there is one."""
        while True:
            try:
                found = sorted(self.client.scheduler_info(n_workers=-1)["workers"])
            except LOST as error:
                raise self._lost() from error
            if found:
                return found
            self._look()
            time.sleep(PATIENCE / 10)

    def submit(self, function: Callable[..., Any], *args: Any, worker: str | None = None) -> Any:
        """Call a function on a worker, or on another one if that is not there any more.

        Its arguments may be futures, or lists of them. A task's own key, so that no answer of
        another one is taken for its own.
        """
        self._n_keys += 1
        return self.client.submit(
            function,
            *args,
            key=f"elman-{function.__name__}-{self.name}-{self._n_keys}",
            workers=None if worker is None else [worker],
            allow_other_workers=worker is not None,
            pure=False,
        )

    def wait(self, future: Any) -> Any:
        """Return what a task gives, or raise what it raises.

        Raises
        ------
        SchedulerLostError
            If the scheduler has gone meanwhile.
        MachineLostError
            If a worker has, and dask could not make up for it.
        """
        is_over = threading.Event()
        future.add_done_callback(lambda _: is_over.set())
        while not is_over.wait(PATIENCE) and future.status != "lost":
            self._look()
        try:
            return future.result()
        except LOST as error:
            self._look()
            if future.status == "error" and not isinstance(error, KilledWorker):
                raise
            raise MachineLostError(f"{type(error).__name__}: {error}") from error

    def ask(
        self, question: Callable[..., Any], values: Sequence[Any], *arguments: Any
    ) -> list[Any]:
        """Call a function of each of some futures, and return what it gives, in order."""

        def answers() -> list[Any]:
            asked = [self.submit(question, value, *arguments) for value in values]
            return [self.wait(future) for future in asked]

        found: list[Any] = self.again(answers)
        return found

    def ask_each(
        self,
        question: Callable[..., Any],
        values: Sequence[Any],
        each: Sequence[Any],
        *arguments: Any,
    ) -> list[Any]:
        """Call a function of each of some futures and of what goes with it."""

        def answers() -> list[Any]:
            asked = [
                self.submit(question, value, its_own, *arguments)
                for value, its_own in zip(values, each, strict=True)
            ]
            return [self.wait(future) for future in asked]

        found: list[Any] = self.again(answers)
        return found

    def again(self, function: Callable[[], Any]) -> Any:
        """Call a function that submits and waits; again where machines have failed meanwhile."""
        for _ in range(ATTEMPTS - 1):
            try:
                return function()
            except MachineLostError:
                continue
        try:
            return function()
        except MachineLostError as error:
            got = f"{ATTEMPTS} failures in a row ({error})"
            expected = (
                "workers that stay and have memory enough, and data that dask can compute again: "
                "what was scattered to a lost worker it cannot"
            )
            raise RuntimeError(problem(self.caller, "cluster", got, expected)) from error

    def _look(self) -> None:
        """Raise SchedulerLostError unless the scheduler is there."""
        if self.client.status != "running":
            raise self._lost()

    def _lost(self) -> SchedulerLostError:
        expected = (
            "a running one: start it and its workers again, connect a Client, and call fit again; "
            "with checkpoint=... it goes on behind the last epoch that was written"
        )
        got = f"no answer from {self._address}"
        return SchedulerLostError(problem(self.caller, "scheduler", got, expected))


def let_go(caller: str) -> None:
    """Wait until dask has heard of all that nobody holds any more.

    It would otherwise meet keys of the user's collections in two graphs at once, of which it may
    have fused one and not the other.
    """
    client = _client(caller)
    if client.status == "running":
        client.sync(asyncio.sleep, 0)


def _client(caller: str) -> Client:
    """Return the current client, or that of the worker whose task this is."""
    try:
        client = get_client()
    except ValueError as error:
        expected = (
            "one: client = distributed.Client('tcp://scheduler:8786') connects to a cluster, "
            "Client() starts one on this machine"
        )
        raise ValueError(problem(caller, "client", "none", expected)) from error
    if client.asynchronous:
        raise ValueError(problem(caller, "client", "an asynchronous one", "a synchronous one"))
    return client


def is_collection(data: Any) -> bool:
    """Whether something is a dask collection."""
    return bool(dask.is_dask_collection(data))
