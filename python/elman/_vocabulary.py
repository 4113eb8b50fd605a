"""Sequences of tokens by name, and the numbers that a network knows them by.

A sequence is a list or an array of tokens, strings or integers; a string stands for its
characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array, position
from elman._exceptions import abbreviated, problem
from elman._sequences import offsets_of

UNKNOWN = -1
"""The number of a token that a vocabulary does not have."""


@dataclass(frozen=True)
class TokenLists:
    """Sequences of tokens, one after another.

    Parameters
    ----------
    tokens : ndarray of shape (n_total_steps,)
        The tokens, of strings or integers.
    offsets : ndarray of shape (n_samples + 1,) of int64
        Where each sequence begins.
    kind : {"text", "list", "array"}
        What a sequence was: a string, a list or an array.
    """

    tokens: Array
    offsets: NDArray[np.int64]
    kind: str

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of tokens of each sequence."""
        return np.diff(self.offsets)


def read_token_lists(data: Any, caller: str, argument: str, *, may_be_empty: bool) -> TokenLists:
    """Read sequences of tokens by name.

    Parameters
    ----------
    data : sequence of sequences
        A list, an object array or a table of tokens, or strings.
    caller, argument : str
        Where they came from, for messages.
    may_be_empty : bool
        Whether a sequence may have no token.

    Returns
    -------
    lists : TokenLists
        The sequences.
    """
    expected = "a list of sequences of tokens: strings, or lists of strings or integers"
    if isinstance(data, (str, bytes)) or not _has_items(data):
        got = "one string" if isinstance(data, str) else f"a {type(data).__name__}"
        raise ValueError(problem(caller, argument, got, expected))
    items = list(data)
    if not items:
        raise ValueError(problem(caller, argument, "0 sample(s)", "a minimum of 1"))
    arrays = [_tokens_of(item, i, caller, argument) for i, item in enumerate(items)]
    lengths = np.array([len(array) for array in arrays], dtype=np.int64)
    if not may_be_empty and not lengths.all():
        empty = np.flatnonzero(lengths == 0)[:5].tolist()
        got = f"0 tokens at samples {empty}"
        raise ValueError(problem(caller, argument, got, "at least 1 in each sequence"))
    kinds = {array.dtype.kind for array in arrays if len(array)}
    if len(kinds) > 1:
        raise ValueError(problem(caller, argument, "strings and integers together", "one of them"))
    full = [array for array in arrays if len(array)]
    tokens = np.concatenate(full) if full else np.array([], dtype=np.int64)
    first = items[0]
    kind = "text" if isinstance(first, str) else "array" if hasattr(first, "dtype") else "list"
    return TokenLists(tokens, offsets_of(lengths), kind)


def _has_items(data: Any) -> bool:
    return isinstance(data, Sequence) or (hasattr(data, "__array__") and np.ndim(data) > 0)


def _tokens_of(item: Any, i: int, caller: str, argument: str) -> Array:
    name = f"{argument}[{i}]"
    if isinstance(item, str):
        return np.array(list(item), dtype=str)
    expected = "a string, or strings or integers in one dimension"
    if not _has_items(item):
        raise ValueError(problem(caller, name, f"a {type(item).__name__}", expected))
    array = np.asarray(item)
    if array.ndim != 1:
        raise ValueError(problem(caller, name, f"shape {array.shape}", expected))
    if array.dtype == object and len(array):
        array = np.array(array.tolist())
    if array.dtype.kind == "U" or not len(array):
        return array.astype(str) if array.dtype.kind == "U" else array[:0]
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    raise ValueError(problem(caller, name, f"dtype {array.dtype}", expected))


@dataclass(frozen=True)
class Vocabulary:
    """Tokens, sorted; the number of a token is its place.

    Parameters
    ----------
    tokens : ndarray of shape (n_tokens,)
        Strings or integers.
    kind : {"text", "list", "array"}
        What sequences of them look like.
    """

    tokens: Array
    kind: str

    def __len__(self) -> int:
        return len(self.tokens)

    def numbers(self, lists: TokenLists, caller: str, argument: str) -> NDArray[np.int64]:
        """Return the number of each token, or `UNKNOWN`."""
        tokens = lists.tokens
        if len(tokens) and len(self) and tokens.dtype.kind != self.tokens.dtype.kind:
            words = {"U": "strings", "i": "integers"}
            got = words[tokens.dtype.kind]
            expected = f"{words[self.tokens.dtype.kind]}, as in fit"
            raise ValueError(problem(caller, argument, got, expected))
        if not len(self):
            return np.full(len(tokens), UNKNOWN)
        places = np.minimum(np.searchsorted(self.tokens, tokens), len(self) - 1)
        return np.where(self.tokens[places] == tokens, places, UNKNOWN).astype(np.int64)

    def known_numbers(self, lists: TokenLists, caller: str, argument: str) -> NDArray[np.int64]:
        """Return the number of each token, or raise ValueError for one that is unknown."""
        numbers = self.numbers(lists, caller, argument)
        unknown = np.flatnonzero(numbers == UNKNOWN)
        if len(unknown):
            i = int(unknown[0])
            sample = int(np.searchsorted(lists.offsets, i, side="right")) - 1
            place = position((sample, i - int(lists.offsets[sample])), ("sample", "step"))
            got = f"the token {lists.tokens[i].item()!r} at {place}"
            known = abbreviated(self.tokens.tolist())
            raise ValueError(problem(caller, argument, got, f"tokens of the y of fit: {known}"))
        return numbers

    def sequences(self, numbers: NDArray[Any], offsets: NDArray[np.int64]) -> list[Any]:
        """Return sequences of tokens, in the form that they had in `fit`."""
        parts = np.split(self.tokens[numbers], offsets[1:-1])
        if self.kind == "text":
            return ["".join(part) for part in parts]
        return parts if self.kind == "array" else [part.tolist() for part in parts]


def vocabulary(lists: TokenLists) -> Vocabulary:
    """Return the tokens that occur, sorted."""
    return Vocabulary(np.unique(lists.tokens), lists.kind)
