"""What is shown of a training while it runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from elman._forecast.network import Report


@contextmanager
def progress(verbose: Any, name: str) -> Iterator[Report]:
    """Yield a function that is told of updates: it moves a bar, or writes lines without tqdm."""
    if not verbose:
        yield lambda n, loss: None
        return
    done, lock = 0, threading.Lock()
    try:
        from tqdm import tqdm
    except ImportError:

        def tell(n: int, loss: float) -> None:
            nonlocal done
            with lock:
                done += n
                print(f"{name}: update {done}, loss {loss:.6g}")

        yield tell
        return
    with tqdm(desc=name, unit="update") as bar:

        def show(n: int, loss: float) -> None:
            with lock:
                bar.set_postfix_str(f"loss {loss:.6g}", refresh=False)
                bar.update(n)

        yield show
