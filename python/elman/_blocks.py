"""Data that is read block by block: what a fit, a score or a prediction needs of a source."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array
from elman._block_training import BlockExamples, BlockTraining
from elman._data import Data, FactorsOf, Parts
from elman._exceptions import problem
from elman._prefetch import prefetched, reader_thread
from elman._sequences import InputForm, Sequences
from elman._source import Blocks
from elman._split import Samples, validation_split
from elman._targets import TargetForm
from elman._training import Training

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class BlockData(Parts):
    """X, y and weights of one call, of which only blocks are in memory.

    Parameters
    ----------
    blocks : Blocks
        Where they are read from.
    targets : TargetForm
        How y looks.
    window : int
        Number of blocks that are mixed at a time.
    samples : ndarray of int64
        Numbers of the sequences that belong to it, ascending.
    factors_of : callable or None
        Tells factors for the weights of rows.
    """

    blocks: Blocks
    targets: TargetForm
    window: int
    samples: Samples
    factors_of: FactorsOf | None = None
    training: ClassVar[type[Training]] = BlockTraining

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def inputs(self) -> InputForm:
        """How X looks."""
        return self.blocks.inputs

    @property
    def n_timesteps(self) -> int:
        """Steps of the longest sequence."""
        return self.blocks.n_timesteps

    @property
    def numbers(self) -> Numbers:
        """Blocks that hold any of its samples."""
        return np.flatnonzero(np.diff(np.searchsorted(self.samples, self.blocks.borders)))

    def local(self, block: int) -> Samples:
        """Its samples in a block, counted from the block's first."""
        start, stop = self.blocks.borders[block : block + 2]
        first, last = np.searchsorted(self.samples, (start, stop))
        local: Samples = self.samples[first:last] - start
        return local

    def read(self, block: int, *, with_values: bool = True, into: Array | None = None) -> Data:
        """Read a block with all of its samples, as `Blocks.read` does."""
        data = self.blocks.read(block, with_values=with_values, into=into)
        return data if self.factors_of is None else data.times(self.factors_of)

    def contents(self) -> dict[str, Any]:
        """Return what tells whether it is the same as in an earlier process, by name."""
        return {**self.blocks.contents(), "blocks": self.blocks.borders, "window": self.window}

    def take(self, samples: Samples) -> BlockData:
        """Only these samples of those that belong to it."""
        return replace(self, samples=self.samples[samples])

    def times(self, factors_of: FactorsOf) -> BlockData:
        """Weights times a factor for each row, told by the rows of y."""
        return replace(self, factors_of=factors_of)

    def distinct_rows(self) -> Array:
        """Rows of y among which all are that come, twice each."""
        found: Any = None
        for rows, _ in self.target_parts(np.arange(len(self))):
            rows = rows if found is None else np.concatenate([found, rows])
            found = np.unique(rows)[:, None] if rows.shape[1] == 1 else np.unique(rows, axis=0)
        # scikit-learn takes labels for numbers where most of them come once.
        return np.repeat(found, 2, axis=0)

    def weighted_samples(self) -> Samples:
        """Return samples of which not every weight is zero."""
        found = []
        for block in self.numbers:
            part = self.read(block, with_values=False)
            if part.weights is None:
                return self.samples
            weighted = np.intersect1d(self.local(block), part.weighted_samples())
            found.append(weighted + self.blocks.borders[block])
        return np.concatenate(found)

    def parts(self) -> Iterator[Data]:
        """Read its samples block by block, one block ahead."""

        def read(block: int) -> Data:
            data, local = self.read(block), self.local(block)
            return data if len(local) == len(data) else data.take(local)

        with reader_thread() as thread:
            yield from prefetched(thread, read, self.numbers)

    def target_parts(
        self, samples: Samples, read: Callable[[Array], Array] = np.asarray
    ) -> Iterable[tuple[Array, Any]]:
        """Rows of y of these samples, as ``read`` reads them, and weights; as often as wanted."""
        return _TargetParts(self.take(samples), read)

    def value_parts(self, samples: Samples) -> Iterator[tuple[Array, Any]]:
        """Time steps of these samples, and their weights."""
        for part in self.take(samples).parts():
            yield part.sequences.values, part.step_weights

    def split(
        self,
        kind: str,
        fraction: float,
        random_state: np.random.RandomState,
        caller: str,
        groups: Any = None,
        *,
        stratified: bool = False,
    ) -> tuple[Samples, Samples]:
        """Split samples into those trained on and those held out: the last ones, or any blocks."""
        if kind == "groups" or groups is not None:
            name = "validation_split" if kind == "groups" else "groups"
            got = repr(kind) if kind == "groups" else "an array"
            expected = "'random', which holds out whole blocks, or 'last', and no groups"
            raise ValueError(problem(caller, name, got, expected))
        if kind == "last":
            return validation_split(len(self), kind, fraction, random_state, caller)
        n_blocks = len(self.blocks)
        n_held_out = math.ceil(fraction * n_blocks)
        held_out = random_state.permutation(n_blocks)[:n_held_out]
        sizes = np.diff(self.blocks.borders)
        is_held_out = np.repeat(np.isin(np.arange(n_blocks), held_out), sizes)
        if n_held_out >= n_blocks or is_held_out.sum() < 2:
            got = f"{fraction:g}, which holds out {n_held_out} of {n_blocks} blocks"
            expected = "2 sequences or more, and blocks to train on; or 'last', or X_val"
            raise ValueError(problem(caller, "validation_fraction", got, expected))
        return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)

    def examples(self, samples: Samples, task: Any, caller: str) -> Any:
        """Tell how windows are brought into the form of the core, to train on these samples."""
        return BlockExamples(replace(self, samples=samples), task, caller)


AnyData = Data | BlockData


@dataclass(frozen=True)
class BlockSequences(Sequences):
    """Sequences of a source, of which only `blocks` has the values.

    Parameters
    ----------
    source : Blocks
        Where they are read from.
    """

    source: Blocks

    def blocks(self) -> Iterator[tuple[Array, Numbers, slice]]:
        """Values, offsets and samples, one block ahead."""
        borders = self.source.borders
        with reader_thread() as thread:
            parts = prefetched(thread, self.source.read, range(len(self.source)))
            for start, stop, part in zip(borders[:-1], borders[1:], parts, strict=True):
                yield part.sequences.values, part.sequences.offsets, slice(start, stop)


class _TargetParts:
    """Rows of y and their weights, read block by block each time that they are asked for."""

    def __init__(self, data: BlockData, read: Callable[[Array], Array]) -> None:
        self._data = data
        self._read = read

    def __iter__(self) -> Iterator[tuple[Array, Any]]:
        for block in self._data.numbers:
            part, local = self._data.read(block, with_values=False), self._data.local(block)
            if len(local) == len(part):
                yield self._read(part.rows), part.weights
            else:
                yield from part.target_parts(local, self._read)
