"""What is told of a fit while it runs: progress, and scikit-learn's callbacks (1.9 and later)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from elman._training import TrainingState

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as _with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for scikit-learn's where that version has none."""

    def _with_callbacks(method: Any) -> Any:
        return method


_Method = TypeVar("_Method", bound=Callable[..., Any])

__all__ = [
    "CallbackSupportMixin",
    "FitObserver",
    "exclusively",
    "progress",
    "report_of",
    "with_callbacks",
]

_threads = threading.local()


def with_callbacks(method: _Method) -> _Method:
    """Tear callbacks down after a method, however it ends."""
    managed: _Method = _with_callbacks(method)
    return managed


@contextmanager
def exclusively(estimator: Any, caller: str) -> Iterator[None]:
    """Refuse to fit an estimator from within its own fit, in the same thread."""
    busy: set[int] = _threads.__dict__.setdefault("busy", set())
    if id(estimator) in busy:
        raise RuntimeError(f"{caller}: already fitting this estimator in this thread")
    try:
        busy.add(id(estimator))
        yield
    finally:
        busy.discard(id(estimator))


@contextmanager
def progress(
    verbose: Any, name: str, unit: str, total: int | None = None, n_done: int = 0
) -> Iterator[Callable[[int, str], None]]:
    """Yield a function that is told how many more are done, and how it goes, by any thread.

    It moves a bar, or writes lines without tqdm.
    """
    if not verbose:
        yield lambda n, report: None
        return
    lock, of_total = threading.Lock(), "" if total is None else f"/{total}"
    try:
        from tqdm import tqdm
    except ImportError:

        def write(n: int, report: str) -> None:
            nonlocal n_done
            with lock:
                n_done += n
                print(f"{name}: {unit} {n_done}{of_total}, {report}")

        yield write
        return
    with tqdm(total=total, initial=n_done, desc=name, unit=unit) as bar:

        def show(n: int, report: str) -> None:
            with lock:
                bar.set_postfix_str(report, refresh=False)
                bar.update(n)

        yield show


def report_of(state: TrainingState) -> str:
    """Say how a training goes."""
    report = f"loss {state.loss_curve[-1]:.6g}"
    if state.validation_scores:
        report += f", validation score {state.validation_scores[-1]:.6g}"
    return report


class FitObserver:
    """Calls the callbacks that an estimator was given, if it was given any.

    Parameters
    ----------
    estimator : estimator
        What is fitted.
    max_iter : int
        Number of epochs at most.
    X, y : object
        The data, as they came.
    metadata : dict
        What else came, such as weights.
    """

    def __init__(
        self, estimator: Any, max_iter: int, X: Any, y: Any, metadata: dict[str, Any]
    ) -> None:
        self._about: dict[str, Any] = {
            "estimator": estimator,
            "X": X,
            "y": y,
            "metadata": {name: value for name, value in metadata.items() if value is not None},
        }
        self._context: Any = None
        self._epoch: Any = None
        if getattr(estimator, "_skl_callbacks", None):
            self._context = estimator._init_callback_context(max_subtasks=max_iter)
            self._context.call_on_fit_task_begin(**self._about)

    def begin_epoch(self) -> None:
        """Tell that an epoch begins."""
        if self._context is not None:
            self._epoch = self._context.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(**self._about)

    def end_epoch(self, attributes: Callable[[], dict[str, Any]]) -> bool:
        """Tell that an epoch ended, and what the estimator would be now; true means stop."""
        if self._context is None:
            return False
        return bool(
            self._epoch.call_on_fit_task_end(**self._about, reconstruction_attributes=attributes)
        )

    def end(self, attributes: dict[str, Any]) -> None:
        """Tell that the fit ended."""
        if self._context is not None:
            self._context.call_on_fit_task_end(**self._about, reconstruction_attributes=attributes)
