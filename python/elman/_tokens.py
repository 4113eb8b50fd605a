"""Sequences whose steps are tokens, or hold several features by name, instead of numbers.

The forms are

- a list or object array of arrays of token numbers, (n_timesteps_i,) each, or a table of them of
  shape (n_samples, n_timesteps);
- a list of sparse matrices of shape (n_timesteps_i, n_features), a row of features for each step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from elman._arrays import Array, as_array, float_dtype, is_finite, position
from elman._exceptions import abbreviated, problem
from elman._sequences import (
    AXES,
    InputForm,
    Sequences,
    check_lengths,
    list_items,
    offsets_of,
    shape_text,
)
from elman._split import Samples

EMBEDDING_DIM = 64
LARGEST_N_TOKENS = 2**31 - 1
RARE = 0.5
"""A token that occurs n times is dropped with probability RARE / (RARE + n)."""

UNUSED = {
    "n_tokens": None,
    "embedding_dim": None,
    "embedding": None,
    "token_dropout": 0.0,
    "embedding_dropout": 0.0,
}
"""Parameters of an embedding, as they are where there is none."""

FeatureSteps = tuple[NDArray[np.int64], NDArray[np.int32], Array]


class TokenList(list[Any]):
    """What `TokenSequencer` makes: numbers of tokens, not to be taken for measurements."""


class TokenSequences(Sequences):
    """Sequences of one token a step: `array` has shape (n_total_steps, 1), of int32."""

    def step_matrix(self, n_tokens: int) -> sparse.csr_array:
        """One row for each step, with a one in the column of its token."""
        ids = self.array[:, 0]
        firsts = np.arange(len(ids) + 1)
        return sparse.csr_array((np.ones(len(ids)), ids, firsts), shape=(len(ids), n_tokens))

    def _rows(self, start: int, stop: int) -> Array:
        return np.ascontiguousarray(self.array[self.offsets[start] : self.offsets[stop], 0])


class FeatureSequences(Sequences):
    """Sequences of features: `array` is a CSR array with a row for each step."""

    def step_matrix(self, n_tokens: int) -> sparse.csr_array:
        """One row for each step, with the values of its features."""
        return self.array

    def blocks(self) -> Iterator[tuple[Any, NDArray[np.int64], slice]]:
        """Everything at once."""
        yield self._rows(0, len(self)), self.offsets, slice(0, len(self))

    def _rows(self, start: int, stop: int) -> FeatureSteps:  # type: ignore[override]
        matrix: Any = self.array
        steps = matrix[self.offsets[start] : self.offsets[stop]]
        return (
            steps.indptr.astype(np.int64),
            steps.indices.astype(np.int32),
            np.ascontiguousarray(steps.data, dtype=self.dtype),
        )


@dataclass(frozen=True)
class TokenReader:
    """How tokens are to be read.

    Parameters
    ----------
    caller, argument : str
        Class and method, and what the tokens are called there, for messages.
    n_tokens : int or None
        Number of tokens, counting the unknown one; None is told by the data.
    form : InputForm or None
        How an earlier X looked.
    """

    caller: str
    argument: str
    n_tokens: int | None
    form: InputForm | None

    def read(self, X: Any) -> tuple[Sequences, InputForm]:
        """Read X in any of its forms."""
        is_nested = isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1
        items = list(X) if is_nested or isinstance(X, (list, tuple)) else None
        if sparse.issparse(X):
            self._refuse(f"one sparse {type(X).__name__}", "a list of them, one for each sequence")
        if items and any(sparse.issparse(item) for item in items):
            return self._read_features(items)
        if items and any(isinstance(item, str) for item in items):
            self._refuse("texts", "numbers of tokens: put a TokenSequencer before the estimator")
        return self._read_tokens(X)

    def _refuse(self, got: str, expected: str) -> None:
        raise ValueError(problem(self.caller, self.argument, got, expected))

    def _check_layout(self, layout: str) -> None:
        words = {"tokens": "tokens", "features": "sparse matrices of features"}
        if self.form is not None and self.form.layout != layout:
            self._refuse(words[layout], f"{words[self.form.layout]}, as in fit")

    def _read_tokens(self, X: Any) -> tuple[Sequences, InputForm]:
        items = list_items(X, self.caller, self.argument, is_sequence_list=True)
        if items is None:
            array = as_array(X, self.caller, self.argument)
            if array.ndim == 3 and array.shape[2] == 1:
                array = array[:, :, 0]
            if array.ndim != 2 or len(array) == 0:
                self._refuse(
                    f"shape {array.shape}", "(n_samples, n_timesteps), or a list of arrays"
                )
            lengths = np.full(len(array), array.shape[1], dtype=np.int64)
        else:
            array, lengths = self._join(items)
        self._check_layout("tokens")
        check_lengths(lengths, self.caller, self.argument)
        offsets = offsets_of(lengths)
        ids = self._ids(array.ravel(), offsets)
        n_tokens = self.form.n_tokens if self.form else self.n_tokens
        if n_tokens is None:
            n_tokens = int(ids.max()) + 1
        self._check_range(ids, n_tokens, offsets)
        shape = shape_text(len(lengths), lengths, 1)
        form = self.form or InputForm(
            "tokens", 1, 1, np.dtype(np.float32), shape, n_tokens=n_tokens
        )
        steps = ids.astype(np.int32)[:, None]
        longest, is_list = int(lengths.max()), items is not None
        sequences = TokenSequences(
            steps, offsets, steps.dtype, longest, is_list, self.caller, self.argument
        )
        return sequences, form

    def _join(self, items: list[Any]) -> tuple[Array, NDArray[np.int64]]:
        arrays = []
        for i, item in enumerate(items):
            name = f"{self.argument}[{i}]"
            array = as_array(item, self.caller, name)
            if array.ndim == 2 and array.shape[1] == 1:
                array = array[:, 0]
            if array.ndim != 1:
                got = f"shape {array.shape}"
                raise ValueError(problem(self.caller, name, got, "(n_timesteps,)"))
            arrays.append(array)
        lengths = np.array([len(array) for array in arrays], dtype=np.int64)
        return np.concatenate(arrays), lengths

    def _ids(self, array: Array, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
        if array.dtype.kind in "iub":
            return array.astype(np.int64)
        is_whole = np.isfinite(array) & (array == np.floor(array))
        if not is_whole.all():
            i = int(np.argmin(is_whole))
            self._refuse(f"{array[i]} at {_place(i, offsets)}", "whole numbers of tokens")
        return np.clip(array, -1, LARGEST_N_TOKENS).astype(np.int64)

    def _check_range(
        self, ids: NDArray[np.int64], n_tokens: int, offsets: NDArray[np.int64]
    ) -> None:
        is_token = (ids >= 0) & (ids < n_tokens)
        if is_token.all():
            return
        i = int(np.argmin(is_token))
        expected = f"tokens from 0 to {n_tokens - 1} (n_tokens={n_tokens})"
        self._refuse(f"token {ids[i]} at {_place(i, offsets)}, out of range", expected)

    def _read_features(self, items: list[Any]) -> tuple[Sequences, InputForm]:
        matrices = [self._matrix(item, i) for i, item in enumerate(items)]
        self._check_layout("features")
        n_features = matrices[0].shape[1]
        wanted = self.form.n_tokens if self.form else self.n_tokens or n_features
        for i, matrix in enumerate(matrices):
            if matrix.shape[1] != wanted:
                got, expected = f"shape {matrix.shape}", f"(n_timesteps, {wanted})"
                raise ValueError(problem(self.caller, f"{self.argument}[{i}]", got, expected))
        lengths = np.array([matrix.shape[0] for matrix in matrices], dtype=np.int64)
        check_lengths(lengths, self.caller, self.argument)
        steps = sparse.vstack(matrices, format="csr")
        if not is_finite(steps.data):
            self._refuse("values that are not finite", "finite values")
        shape = shape_text(len(matrices), lengths, wanted)
        dtype = float_dtype(steps.data) if steps.dtype.kind == "f" else np.dtype(np.float32)
        form = self.form or InputForm("features", wanted, wanted, dtype, shape, n_tokens=wanted)
        sequences = FeatureSequences(
            steps,
            offsets_of(lengths),
            form.dtype,
            int(lengths.max()),
            True,
            self.caller,
            self.argument,
        )
        return sequences, form

    def _matrix(self, item: Any, i: int) -> sparse.csr_array:
        name = f"{self.argument}[{i}]"
        if not sparse.issparse(item) or item.ndim != 2:
            got = f"a {type(item).__name__}"
            expected = "a sparse matrix of shape (n_timesteps, n_features), as the others"
            raise TypeError(problem(self.caller, name, got, expected))
        if item.dtype.kind not in "fiub":
            raise TypeError(problem(self.caller, name, f"dtype {item.dtype}", "real numbers"))
        return sparse.csr_array(item)


def _place(i: int, offsets: NDArray[np.int64]) -> str:
    sample = int(np.searchsorted(offsets, i, side="right")) - 1
    return position((sample, i - int(offsets[sample])), AXES[:2])


def embedding_width(settings: Mapping[str, Any]) -> int:
    """Columns of the embedding that an estimator's parameters ask for."""
    given = settings["embedding"]
    if settings["embedding_dim"] is not None:
        return int(settings["embedding_dim"])
    return EMBEDDING_DIM if given is None or isinstance(given, str) else int(np.shape(given)[-1])


def initial_embedding(
    settings: Mapping[str, Any],
    sequences: Sequences,
    training: Samples,
    n_tokens: int,
    seed: int,
    caller: str,
) -> Array | None:
    """Return the embedding that training begins with, of shape (n_tokens, embedding_dim)."""
    given, width = settings["embedding"], embedding_width(settings)
    if given is None:
        return None
    if isinstance(given, str):
        from elman._cooccurrence import cooccurrence_embedding

        sequences = sequences.take(training)
        steps = sequences.step_matrix(n_tokens)  # type: ignore[attr-defined]
        return cooccurrence_embedding(steps, sequences.offsets, width, seed)
    array = as_array(given, caller, "embedding")
    if array.shape != (n_tokens, width):
        expected = f"shape (n_tokens, embedding_dim) = {(n_tokens, width)}"
        raise ValueError(problem(caller, "embedding", f"shape {array.shape}", expected))
    if not is_finite(array):
        raise ValueError(problem(caller, "embedding", "NaN or infinity", "finite values"))
    return array


def token_dropout(
    settings: Mapping[str, Any], sequences: Sequences, training: Samples, n_tokens: int, caller: str
) -> float | NDArray[np.float64]:
    """Probability with which any step's tokens, or each token, are dropped in training."""
    share = settings["token_dropout"]
    if isinstance(share, str):
        steps = sequences.take(training).step_matrix(n_tokens)  # type: ignore[attr-defined]
        return dropout_of_rare(np.bincount(steps.indices, minlength=n_tokens))
    return given_token_dropout(share, n_tokens, caller)


def dropout_of_rare(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Probability with which each token is dropped, by how often it comes."""
    return np.asarray(RARE / (RARE + np.maximum(counts, 1)))


def given_token_dropout(share: Any, n_tokens: int, caller: str) -> float | NDArray[np.float64]:
    """Read probabilities that a user gave."""
    if np.ndim(share) == 0:
        return float(share)
    shares = np.ascontiguousarray(as_array(share, caller, "token_dropout"), dtype=np.float64)
    if shares.shape != (n_tokens,):
        expected = f"shape (n_tokens,) = ({n_tokens},)"
        raise ValueError(problem(caller, "token_dropout", f"shape {shares.shape}", expected))
    if not ((shares >= 0) & (shares < 1)).all():
        got = abbreviated(shares.tolist())
        raise ValueError(problem(caller, "token_dropout", got, "probabilities in [0, 1)"))
    return shares


def check_token_parameters(settings: Mapping[str, Any], caller: str) -> None:
    """Raise ValueError where parameters of an embedding are set and there is none, or clash."""
    if settings["input"] != "tokens":
        for name, default in UNUSED.items():
            given = settings[name]
            if given is not default and (np.ndim(given) > 0 or given != default):
                expected = f"{default!r} unless input='tokens'"
                raise ValueError(problem(caller, name, abbreviated(given), expected))
        return
    if settings["n_channels"] != 1:
        got = repr(settings["n_channels"])
        raise ValueError(problem(caller, "n_channels", got, "1 with input='tokens'"))


def known_n_tokens(settings: Mapping[str, Any]) -> int | None:
    """Return the number of tokens as far as an estimator's parameters tell it."""
    if settings["n_tokens"] is not None:
        return int(settings["n_tokens"])
    given = settings["embedding"]
    return len(given) if given is not None and not isinstance(given, str) else None
