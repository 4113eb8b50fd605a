"""Arrays as a source: of a file that is mapped into memory, above all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array, as_array, float_dtype
from elman._arrow import has_lists
from elman._data import Data, Reader
from elman._exceptions import abbreviated, problem
from elman._parameters import COUNT
from elman._sequences import InputForm, Sequences, list_items, offsets_of, read_sequences
from elman._source import NO_TARGETS, Blocks, Source, as_in_fit
from elman._targets import read_targets
from elman._weights import read_weights


class ArraySequences(Source):
    """Sequences of an array or a list, which are read in blocks.

    An array may be larger than memory if it is mapped from a file, as by ``numpy.load(path,
    mmap_mode="r")``, and so may lists of Arrow, of a file that ``pyarrow.memory_map`` has
    opened: a block is checked, converted and cut where its sequences end only when it is
    needed. For arrays in memory, this tells what a fit on another source of the same blocks gives,
    to the bit.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_timesteps, n_channels), list of arrays or Arrow lists
        Sequences in one of those forms of `fit`.
    y : array-like or list of arrays, default=None
        Targets in one of the forms of `fit`; not needed for `predict`.
    sample_weight : array-like or list of arrays, default=None
        Weights of samples or time steps.
    block : int or array-like of shape (n_blocks,), default=1000
        Number of sequences of a block, or of each block.
    window : int, default=4
        Number of blocks that are mixed at a time: an epoch goes through the blocks in an order
        that is drawn, and through the sequences of ``window`` of them at a time in another one.

    See Also
    --------
    ParquetSequences : Sequences of Parquet files.

    Examples
    --------
    >>> import numpy as np
    >>> from elman import RNNRegressor
    >>> from elman.data import ArraySequences
    >>> X = np.random.RandomState(0).randn(300, 8, 2)
    >>> y = X[:, :, 0].sum(axis=1)
    >>> source = ArraySequences(X, y, block=50, window=2)
    >>> model = RNNRegressor(learning_rate_init=0.01, max_iter=100, random_state=0).fit(source)
    >>> model.predict(source).shape
    (300,)
    >>> model.score(source) > 0.9
    True
    """

    def __init__(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        block: Any = 1000,
        window: int = 4,
    ) -> None:
        super().__init__(window)
        self._X: Any
        self._dtype: Any
        caller = type(self).__name__
        items = None if has_lists(X) else list_items(X, caller, "X")
        if has_lists(X):
            self._X, self._dtype = X, None
        elif items is None:
            self._X = as_array(X, caller, "X")
            self._dtype = float_dtype(self._X)
            if self._X.ndim != 3 or 0 in self._X.shape:
                got = f"an array of shape {self._X.shape}"
                expected = "(n_samples, n_timesteps, n_channels), at least 1 of each, or a list"
                raise ValueError(problem(caller, "X", got, expected))
        else:
            self._X = [as_array(item, caller, f"X[{i}]") for i, item in enumerate(items)]
            self._dtype = float_dtype(*self._X)
        self._y = y
        self._sample_weight = sample_weight
        self._borders = _borders(block, len(self._X), caller)

    def _open(self, reader: Reader, argument: str) -> Blocks:
        """Look how long all sequences are, and read the targets."""
        found = ArrayBlocks(
            reader,
            argument,
            self._form(reader, argument),
            NO_TARGETS,
            np.zeros(len(self._X), dtype=np.int64),
            self._borders,
            self._X.shape[1] if isinstance(self._X, np.ndarray) else 0,
            not isinstance(self._X, np.ndarray),
            self._X,
            np.empty((len(self._X), 0)),
            None,
        )
        lengths = np.concatenate([found.sequences_of(block).lengths for block in range(len(found))])
        n_timesteps = int(max(found.n_timesteps, lengths.max()))
        found = replace(found, lengths=lengths, n_timesteps=n_timesteps)
        if self._y is None:
            return found
        caller, suffix, outline = reader.caller, argument.removeprefix("X"), found.outline()
        rows, form = read_targets(self._y, outline, caller, reader.output, f"y{suffix}")
        name = f"sample_weight{suffix}"
        weights = read_weights(
            self._sample_weight, outline, caller, per_step=form.per_step, argument=name
        )
        return replace(found, targets=form, rows=rows, weights=weights)

    def _form(self, reader: Reader, argument: str) -> InputForm:
        """Return the form in which the sequences are read, as the first of them tells."""
        first = self._X[:1]
        _, form = read_sequences(first, reader.caller, None, argument=argument, may_miss=True)
        shape = f"({len(self._X)}, …, {form.n_channels})"
        form = replace(form, dtype=self._dtype or form.dtype, shape=shape)
        return as_in_fit(form, reader, argument)


@dataclass(frozen=True)
class ArrayBlocks(Blocks):
    """An array or a list that was opened.

    Parameters
    ----------
    X : ndarray or list of ndarray
        The sequences.
    rows : ndarray of shape (n_rows, n_outputs)
        The targets.
    weights : ndarray of shape (n_rows,), or None
        Their weights.
    """

    X: Any
    rows: Array
    weights: NDArray[np.float64] | None

    def sequences_of(self, block: int) -> Sequences:
        """Read the sequences of a block."""
        start, stop = self.borders[block : block + 2]
        sequences, _ = read_sequences(
            self.X[start:stop],
            self.reader.caller,
            None,
            form=self.inputs,
            argument=f"{self.argument}[{start}:{stop}]",
            may_miss=self.reader.may_miss,
        )
        return sequences

    def read(self, block: int, *, with_values: bool = True, into: Array | None = None) -> Data:
        """Read a block, or all of it but the values."""
        outline = self.outline(block)
        sequences = outline
        if with_values:
            sequences = replace(outline, array=self.sequences_of(block).values)
        start, stop = self.borders[block : block + 2]
        if self.targets.per_step:
            start, stop = self.lengths[:start].sum(), self.lengths[:stop].sum()
        weights = None if self.weights is None else self.weights[start:stop]
        counted = self.counted(weights, outline)
        return Data(sequences, self.inputs, self.rows[start:stop], self.targets, counted)

    def contents(self) -> dict[str, Any]:
        """Return checksums of the blocks of X, and the rest as it is."""
        checksums = [
            hashlib.blake2b(self.sequences_of(block).values.data, digest_size=32).hexdigest()
            for block in range(len(self))
        ]
        return {
            "X": (checksums, self.lengths, self.inputs),
            "y": (self.rows, self.targets),
            "sample_weight": self.weights,
        }


def _borders(block: Any, n_samples: int, caller: str) -> NDArray[np.int64]:
    """Where blocks begin that have this number of samples, or these numbers."""
    if COUNT.passes(block):
        return np.append(np.arange(0, n_samples, block), n_samples)
    sizes = np.asarray(block)
    is_list = sizes.ndim == 1 and sizes.dtype.kind in "iu" and (sizes > 0).all()
    if not is_list or sizes.sum() != n_samples:
        expected = f"an integer of at least 1, or integers whose sum is the {n_samples} samples"
        raise ValueError(problem(caller, "block", abbreviated(block), expected))
    return offsets_of(sizes.astype(np.int64))
