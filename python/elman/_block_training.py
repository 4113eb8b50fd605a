"""Epochs over data that is read block by block.

An epoch draws the order of the blocks, takes a window of them at a time, and draws the order of
the sequences within it; mini-batches end where their window ends. Where all blocks are one window,
all that is as in memory. A thread reads the next window while one is trained on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from elman import _core
from elman._arrays import Array
from elman._exceptions import problem
from elman._prefetch import prefetched, reader_thread
from elman._sequences import offsets_of
from elman._training import AfterEpoch, Examples, Training, TrainingState
from elman._weights import Weights, as_they_are

if TYPE_CHECKING:
    from elman._blocks import BlockData

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class BlockExamples:
    """What is trained on, window by window.

    Parameters
    ----------
    data : BlockData
        Where it is read from.
    task : RegressionTask or ClassificationTask
        Encodes the targets.
    caller : str
        Class and method, for messages.
    """

    data: BlockData
    task: Any
    caller: str

    @property
    def order(self) -> Numbers:
        """Numbers of the sequences that are trained on."""
        return self.data.samples

    def windows(self, random_state: np.random.RandomState | None) -> list[Numbers]:
        """Blocks of each window; a generator draws their order where there are several windows."""
        blocks, size = self.data.numbers, self.data.window
        if random_state is not None and len(blocks) > size:
            blocks = random_state.permutation(blocks)
        return [blocks[i : i + size] for i in range(0, len(blocks), size)]

    def n_samples(self, window: Numbers) -> int:
        """Sequences of a window that are trained on."""
        return sum(len(self.data.local(block)) for block in window)

    def read(self, window: Numbers) -> Examples:
        """Read a window."""
        lengths = [self.data.blocks.lengths_of(block) for block in window]
        stops = np.cumsum([part.sum() for part in lengths])
        values = np.empty((stops[-1], self.data.inputs.n_channels), self.data.inputs.dtype)

        def put(block: int, n_steps: int, stop: int) -> tuple[Array, Weights | None]:
            """Read a block into its place; only what belongs to y outlives the call."""
            place = values[stop - n_steps : stop]
            part = self.data.read(block, into=place)
            if not np.may_share_memory(part.sequences.array, place):
                place[...] = part.sequences.values
            targets = self.task.encode(part.rows, values.dtype, self.caller, "y")
            return targets, part.weights

        n_steps = np.diff(stops, prepend=0)
        told = [put(*place) for place in zip(window, n_steps, stops, strict=True)]
        weights = [weights for _, weights in told if weights is not None]
        firsts = offsets_of(np.array([len(part) for part in lengths]))
        order = [self.data.local(b) + first for b, first in zip(window, firsts, strict=False)]
        return Examples(
            values,
            offsets_of(np.concatenate(lengths)),
            np.concatenate([targets for targets, _ in told]),
            self._cast(np.concatenate(weights)) if weights else None,
            np.concatenate(order),
            self.data.targets.per_step,
        )

    def _cast(self, weights: Weights) -> NDArray[Any]:
        dtype = self.data.inputs.dtype
        result = as_they_are(weights, dtype)
        if result is None:  # windows would weigh differently
            expected = f"weights within {dtype}, and so their sum"
            raise ValueError(problem(self.caller, "sample_weight", f"{weights.max():g}", expected))
        return result


class BlockTraining(Training):
    """A fit on data that is read block by block."""

    examples: Any
    _thread: ThreadPoolExecutor

    def run(self, before_epoch: Callable[[], None], after_epoch: AfterEpoch) -> TrainingState:
        """Train, with one thread that reads."""
        with reader_thread() as self._thread:
            return super().run(before_epoch, after_epoch)

    @property
    def _n_batches(self) -> int:
        windows = self.examples.windows(None)
        return sum(self._batches_of(self.examples.n_samples(window)) for window in windows)

    def _batches_of(self, n_samples: int) -> int:
        return math.ceil(n_samples / self._batch_size)

    def _pass(self, trainer: Any, random_state: np.random.RandomState, epoch: int) -> float:
        is_shuffled = self.settings["shuffle"]
        losses, weights, n_batches = [], [], 0
        windows = self.examples.windows(random_state if is_shuffled else None)
        for window in prefetched(self._thread, self.examples.read, windows):
            order = window.order
            if is_shuffled:
                order = order[random_state.permutation(len(order))]
            try:
                losses.append(self._train_on(window, trainer, order))
            except _core.Diverged as error:
                what, batch, *more = error.args
                raise _core.Diverged(what, batch + n_batches, *more) from error
            weights.append(_weight(window))
            n_batches += self._batches_of(len(order))
        total = sum(weights)
        return math.fsum(w / total * loss for w, loss in zip(weights, losses, strict=True))


def _weight(examples: Examples) -> float:
    """Weigh a window in the mean of the losses."""
    offsets, order, weights = examples.offsets, examples.order, examples.weights
    if not examples.per_step:
        return float(len(order) if weights is None else weights[order].sum())
    sums = np.diff(offsets) if weights is None else np.add.reduceat(weights, offsets[:-1])
    return float(sums[order].sum())
