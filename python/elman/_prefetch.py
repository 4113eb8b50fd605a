"""Reading ahead: one thread reads the next item while the one before is worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@contextmanager
def reader_thread() -> Iterator[ThreadPoolExecutor]:
    """Make a thread that reads. However the block ends, the thread has ended before.

    One serves a whole fit: starting a thread costs time, and Ctrl-C at that moment would leave a
    thread that nobody waits for.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="elman-reader") as thread:
        yield thread


def prefetched(
    thread: ThreadPoolExecutor, read: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Iterator[_Result]:
    """Yield ``read(item)`` for each item, which is one item ahead in the thread.

    An error in the thread is raised where its result was waited for.
    """
    futures = (thread.submit(read, item) for item in items)
    ahead: Future[_Result] | None = next(futures, None)
    while ahead is not None:
        result = ahead.result()
        # Only now is the next one begun: there are never more than two.
        ahead = next(futures, None)
        yield result
