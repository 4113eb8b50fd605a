"""Work on several threads at once: nobody waits for the others where one fails, or for Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

SECONDS_OF_A_WAIT = 0.05

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def on_threads(
    work: Callable[[_Item, Callable[[], bool]], _Result],
    items: Iterable[_Item],
    n_threads: int,
    count: Callable[[], None] = lambda: None,
) -> list[_Result]:
    """Call ``work(item, is_over)`` for each item, several at once.

    Parameters
    ----------
    work : callable
        Gets an item and a function that tells whether its result is still wanted.
    items : iterable
        What there is to do.
    n_threads : int
        How many threads do it.
    count : callable
        Called after each item, in order.

    Returns
    -------
    results : list
        In the order of the items.
    """
    is_over = threading.Event()
    pool = ThreadPoolExecutor(n_threads)
    results = []
    try:
        for future in [pool.submit(work, item, is_over.is_set) for item in items]:
            while not future.done():
                # Not for ever: a signal that comes just before a wait begins does not end it.
                wait([future], timeout=SECONDS_OF_A_WAIT)
            results.append(future.result())
            count()
        return results
    finally:
        is_over.set()
        pool.shutdown(wait=False, cancel_futures=True)
