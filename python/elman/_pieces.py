"""Long series in pieces: what a network sees at once, cut anywhere or so that all is covered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array
from elman._fills import Rows
from elman._sequences import offsets_of


@dataclass(frozen=True)
class Pieces:
    """Stretches of series.

    Parameters
    ----------
    starts, lengths : ndarray of shape (n_pieces,)
        The first row of each piece, and its number of rows.
    """

    starts: Rows
    lengths: Rows

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def offsets(self) -> Rows:
        """Where each piece begins when they stand one after another."""
        return offsets_of(self.lengths)

    @property
    def rows(self) -> Rows:
        """Rows of the series that the pieces are made of, one piece after another."""
        offsets = self.offsets
        return np.repeat(self.starts - offsets[:-1], self.lengths) + np.arange(offsets[-1])

    def take(self, pieces: NDArray[np.int64] | slice) -> Pieces:
        """Return some of the pieces."""
        return Pieces(self.starts[pieces], self.lengths[pieces])

    @property
    def weights(self) -> Array:
        """Weight of each row of each piece: it falls off towards the ends of the piece."""
        offsets = self.offsets
        row = np.arange(offsets[-1])
        first, stop = (np.repeat(edge, self.lengths) for edge in (offsets[:-1], offsets[1:]))
        return np.minimum(row - first + 1, stop - row).astype(np.float64)


def covering_pieces(offsets: Rows, window: int) -> Pieces:
    """Cut series so that each row lies in the inner half of a piece, save at the ends of series.

    Parameters
    ----------
    offsets : ndarray of int64
        Where each series begins, and the end of the last.
    window : int
        Rows of a piece at most; a series that has no more is one piece.

    Returns
    -------
    pieces : Pieces
        They overlap by half, and by more at the end of a series.
    """
    lengths = np.diff(offsets)
    hop = max(1, window // 2)
    beyond = np.maximum(lengths - window, 0)
    n_pieces = 1 + -(-beyond // hop)
    number = np.arange(n_pieces.sum()) - np.repeat(offsets_of(n_pieces)[:-1], n_pieces)
    within = np.minimum(number * hop, np.repeat(beyond, n_pieces))
    starts = np.repeat(offsets[:-1], n_pieces) + within
    return Pieces(starts, np.repeat(np.minimum(lengths, window), n_pieces))


class PieceDraws:
    """Draws pieces that begin anywhere, long series as much more often as they are longer.

    Parameters
    ----------
    offsets : ndarray of int64
        Where each series begins, and the end of the last.
    window : int
        Rows of a piece at most.
    has_value : ndarray of shape (n_rows,)
        Whether a row has a value; every piece has such a row.
    random_state : RandomState
        Draws.
    """

    def __init__(
        self,
        offsets: Rows,
        window: int,
        has_value: NDArray[np.bool_],
        random_state: np.random.RandomState,
    ) -> None:
        self.random_state = random_state
        self._offsets, self._window = offsets, window
        self._rows = np.flatnonzero(has_value)
        # Where the rows with values of each series begin among all of them.
        self._row_offsets = np.searchsorted(self._rows, offsets)
        turns = np.where(np.diff(self._row_offsets) > 0, -(-np.diff(offsets) // window), 0)
        self._turns = np.repeat(np.arange(len(turns)), turns)
        self._queue = np.zeros(0, np.int64)

    def draw(self, n_pieces: int) -> Pieces:
        """Draw so many pieces; each series has its turns before any has more of them."""
        while len(self._queue) < n_pieces:
            self._queue = np.append(self._queue, self.random_state.permutation(self._turns))
        series, self._queue = self._queue[:n_pieces], self._queue[n_pieces:]
        row = self._rows[self._uniform(self._row_offsets[series], self._row_offsets[series + 1])]
        begin, end = self._offsets[series], self._offsets[series + 1]
        sizes = np.minimum(end - begin, self._window)
        starts = self._uniform(np.maximum(begin, row - sizes + 1), np.minimum(row, end - sizes) + 1)
        return Pieces(starts, sizes)

    def _uniform(self, low: Rows, high: Rows) -> Rows:
        """Draw integers from low on and below high."""
        share = self.random_state.random_sample(len(low))
        return low + (share * (high - low)).astype(np.int64)


def joined(estimates: Array, pieces: Pieces, n_rows: int) -> Array:
    """Join what was estimated for each piece: the mean where pieces overlap, by their weights.

    Parameters
    ----------
    estimates : ndarray of shape (n_rows_of_pieces, n_channels)
        Estimates, one piece after another.
    pieces : Pieces
        The pieces.
    n_rows : int
        Rows of the series.

    Returns
    -------
    joined : ndarray of shape (n_rows, n_channels)
        Zero in rows that are in no piece.
    """
    rows, weights = pieces.rows, pieces.weights
    total = np.zeros((n_rows, estimates.shape[1]))
    np.add.at(total, rows, weights[:, None] * estimates)
    weight = np.bincount(rows, weights, minlength=n_rows)
    return np.asarray(total / np.maximum(weight, 1)[:, None])
