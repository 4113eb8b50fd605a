"""Reading ahead: one thread reads the next item while the one before is worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@contextmanager
def prefetched(
    read: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Iterator[Iterator[_Result]]:
    """Yield an iterator over ``read(item)``, which is one item ahead in a thread of its own.

    An error in the thread is raised where its result was waited for. However the block ends, the
    thread has ended before.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="elman-reader") as executor:
        yield _results(executor, read, items)


def _results(
    executor: ThreadPoolExecutor, read: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Iterator[_Result]:
    futures = (executor.submit(read, item) for item in items)
    ahead: Future[_Result] | None = next(futures, None)
    while ahead is not None:
        result = ahead.result()
        # Only now is the next one begun: there are never more than two.
        ahead = next(futures, None)
        yield result
