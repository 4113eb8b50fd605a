"""One step at a time: streams that go on for ever, each with a state."""

from __future__ import annotations

from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from elman import _core
from elman._arrays import Array, as_array, cast, check_finite
from elman._exceptions import abbreviated, problem
from elman._model import Model
from elman._network import named_states, state_rows


class Stream:
    """What ``model.stream()`` returns: one time step of each stream in, its prediction out.

    The predictions have the bits that the estimator's method gives for the whole sequences, step
    by step, however they are cut. Several threads may use a stream: they take turns, step by step.
    A later `fit` or `set_weights` of the estimator does not change it.

    Examples
    --------
    >>> import numpy as np
    >>> from elman import RNNRegressor
    >>> X = np.random.RandomState(0).randn(100, 8, 2)
    >>> y = X[:, :, :1].cumsum(axis=1)
    >>> model = RNNRegressor(max_iter=300, learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> stream = model.stream()
    >>> outputs = [stream.step(x_t) for x_t in X[0]]
    >>> bool((np.array(outputs) == model.predict(X[:1])[0]).all())
    True
    >>> many = model.stream(n_streams=100)
    >>> many.step(X[:, 0]).shape
    (100, 1)
    >>> many.drop([3, 7])
    >>> many.state["layers.0.h"].shape
    (98, 32)
    """

    def __init__(
        self,
        model: Model,
        method: str,
        n_streams: int,
        n_threads: int,
        weights: str | None = None,
        predictor: _core.Predictor | None = None,
    ) -> None:
        self._made_of = (model, method, n_threads, weights)
        self._network = network = model.network()
        if predictor is None:
            predictor = model.predictor(per_step=True, n_threads=n_threads, weights=weights)
        self._core = _core.Stream(predictor, n_streams=n_streams)
        self._advance = self._core.step
        self._is_plain = model.has_plain_outputs()
        self._begin_step = self._advance if self._is_plain else _leave_it
        self._finish = model.finishes()[method]
        row = self._finish(np.zeros((1, network.n_outputs), network.dtype))
        self._n_outputs, self._dtype = row.shape[1], row.dtype

    def step(self, x_t: Any, out: Array | None = None) -> Array:
        """Take one time step.

        Parameters
        ----------
        x_t : array-like of shape (n_streams, n_channels)
            The values of this step; of one stream also (n_channels,). The axis of channels may be
            left out where there is one: of one stream x_t may be a number. Tokens are integers
            of shape (n_streams,), of one stream also a single one; features of steps are a sparse
            matrix of shape (n_streams, n_features). NaN is a missing value where the estimator
            has ``missing``.
        out : ndarray of shape (n_streams, n_outputs), default=None
            Where the outputs go, of the dtype that they have without it; of one stream also
            (n_outputs,). By default they are a new array.

        Returns
        -------
        y_t : ndarray of shape (n_streams, n_outputs), or (n_outputs,)
            What the estimator's method predicts at this step of each stream; without the first
            axis if x_t of one stream came without it. ``out`` itself if it is given: predictions
            that are the network's outputs as they are go there without any other memory,
            exponentials, labels and probabilities through arrays of NumPy's.

        Raises
        ------
        ValueError
            If x_t or ``out`` does not fit; the state is as it was.
        """
        y_t: Array | None = self._begin_step(x_t, out)
        return self._other_step(x_t, out) if y_t is None else y_t

    @property
    def n_streams(self) -> int:
        """Number of streams."""
        return self._core.n_streams

    @property
    def state(self) -> dict[str, Array]:
        """Copies of the states, by name, a row for each stream.

        As `predict` gives and takes them with ``return_state`` and ``initial_state``. Assign to
        replace: a dict of arrays, or None for the start.
        """
        return named_states(self._network, self._core.states)

    @state.setter
    def state(self, value: Any) -> None:
        rows = state_rows(self._network, value, self.n_streams, "Stream.state", "state")
        if rows is None:
            self.reset()
        else:
            self._core.states = rows

    def reset(self, which: Any = None) -> None:
        """Put streams back to the start.

        Parameters
        ----------
        which : int, array-like of int or bool, slice or None, default=None
            Their numbers, a mask, or None for all.

        Raises
        ------
        ValueError
            If there is no such stream.
        """
        every = slice(None) if which is None else which
        self._core.reset(numbers_of(every, self.n_streams, "Stream.reset", "streams"))

    def drop(self, which: Any) -> None:
        """End streams; those behind them move up.

        Parameters
        ----------
        which : int, array-like of int or bool, or slice
            Their numbers, or a mask.

        Raises
        ------
        ValueError
            If there is no such stream.
        """
        dropped = numbers_of(which, self.n_streams, "Stream.drop", "streams")
        self._core.keep(np.setdiff1d(np.arange(self.n_streams), dropped))

    def add(self, n: int = 1) -> NDArray[np.int64]:
        """Begin streams, behind the others.

        Parameters
        ----------
        n : int, default=1
            How many.

        Returns
        -------
        numbers : ndarray of shape (n,)
            Which they are.

        Raises
        ------
        ValueError
            If n is not a number of streams.
        """
        check_n_streams(n, "Stream.add", "n")
        n_before = self._core.add(int(n))  # in one step with adding them
        return np.arange(n_before, n_before + n)

    def _other_step(self, x_t: Any, out: Array | None) -> Array:
        if self._is_plain:
            return self._converted_step(x_t, out)
        self._check_out(out)
        outputs: Array | None = self._advance(x_t, None)
        if outputs is None:
            outputs = self._converted_step(x_t, None)
        rows = self._finish(outputs.reshape(-1, self._network.n_outputs))
        rows = rows[0] if outputs.ndim == 1 else rows
        if out is None:
            return rows
        out[...] = rows
        return out

    def _converted_step(self, x_t: Any, out: Array | None) -> Array:
        self._check_out(out)
        y_t: Array | None = self._advance(self._read(x_t), out)
        if y_t is None:
            raise RuntimeError("Stream.step: another thread has added or dropped streams meanwhile")
        return y_t

    def _read(self, x_t: Any) -> Any:
        """Convert one step to what the core takes, or say what is wrong with it."""
        network, n_streams = self._network, self.n_streams
        may_miss = self._made_of[0].architecture["missing"] != "none"
        if sparse.issparse(x_t):
            return self._read_features(x_t)
        if isinstance(x_t, (Number, np.generic)):
            x_t = np.asarray(x_t)
        x_t = as_array(x_t, "Stream.step", "x_t")
        if network.n_tokens:
            x_t = self._read_tokens(x_t)
        shapes: list[tuple[int, ...]] = [(n_streams, network.n_channels)]
        if network.n_tokens:
            shapes = [(n_streams,)]
        shapes += [shape[1:] for shape in shapes if n_streams == 1]
        shapes += [shape[:-1] for shape in shapes if shape[-1:] == (1,) and not network.n_tokens]
        if x_t.shape not in shapes:
            expected = " or ".join(map(str, dict.fromkeys(shapes)))
            raise ValueError(problem("Stream.step", "x_t", f"shape {x_t.shape}", expected))
        if not network.n_tokens:
            x_t = cast(x_t, np.dtype(network.dtype), "Stream.step", "x_t")
            rows = x_t.reshape(n_streams, network.n_channels)
            axes = ("stream", "channel")
            check_finite(rows, "Stream.step", "x_t", axes, may_miss=may_miss)
        return x_t

    def _read_tokens(self, x_t: Array) -> Array:
        if x_t.dtype.kind not in "iu":
            expected = "integers, the numbers of tokens"
            raise ValueError(problem("Stream.step", "x_t", f"dtype {x_t.dtype}", expected))
        outside = x_t[(x_t < 0) | (x_t >= self._network.n_tokens)]
        if outside.size:
            expected = f"0 to {self._network.n_tokens - 1}"
            raise ValueError(problem("Stream.step", "x_t", f"the token {outside[0]}", expected))
        return np.require(x_t, np.int32, ["C"])

    def _read_features(self, x_t: Any) -> tuple[Array, Array, Array]:
        expected = (self.n_streams, self._network.n_tokens)
        if not self._network.n_tokens or x_t.shape != expected:
            wanted = f"shape {expected}" if self._network.n_tokens else "an array of numbers"
            got = f"a sparse matrix of shape {x_t.shape}"
            raise ValueError(problem("Stream.step", "x_t", got, wanted))
        steps = sparse.csr_array(x_t)
        values = cast(steps.data, np.dtype(self._network.dtype), "Stream.step", "x_t")
        check_finite(values, "Stream.step", "x_t")
        return steps.indptr.astype(np.int64), steps.indices.astype(np.int32), values

    def _check_out(self, out: Any) -> None:
        if out is None:
            return
        shape = (self.n_streams, self._n_outputs)
        is_one = isinstance(out, np.ndarray)
        fits = is_one and (out.shape == shape or (shape[0] == 1 and out.shape == shape[1:]))
        if not (fits and out.dtype == self._dtype and out.flags.carray):
            got = f"{out.dtype} of shape {out.shape}" if is_one else f"a {type(out).__name__}"
            expected = f"a C-contiguous array of {self._dtype} to write to, of shape {shape}"
            raise ValueError(problem("Stream.step", "out", got, expected))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (*self._made_of, self._core.states)

    def __repr__(self) -> str:
        return f"Stream(n_streams={self.n_streams})"


def open_stream(
    model: Model,
    method: str,
    n_streams: Any,
    n_threads: int,
    caller: str,
    weights: str | None = None,
    predictor: _core.Predictor | None = None,
) -> Stream:
    """Make a stream of a model, or say why there is none; of packed weights if they are there."""
    check_n_streams(n_streams, caller, "n_streams")
    if method not in model.finishes():
        expected = f"one of {sorted(model.finishes())}"
        raise ValueError(problem(caller, "method", repr(method), expected))
    if any(model.architecture["bidirectional"]):
        expected = "False: a layer that reads backwards has to know the end of a sequence"
        raise ValueError(problem(caller, "bidirectional", "True", expected))
    return Stream(model, method, int(n_streams), n_threads, weights, predictor)


def numbers_of(which: Any, n: int, caller: str, things: str) -> NDArray[np.int64]:
    """Tell which of n things are chosen by number, mask or slice; ValueError if there is none."""
    index = which
    try:
        if not isinstance(which, slice):
            index = np.atleast_1d(which)
            is_mask = index.dtype.kind == "b"
            if index.ndim != 1 or (is_mask and np.ndim(which) == 0):
                raise TypeError("neither numbers nor a mask")
            index = index if index.size else np.zeros(0, dtype=np.int64)
        numbers: NDArray[np.int64] = np.arange(n, dtype=np.int64)[index]
        return numbers
    except (IndexError, TypeError, ValueError) as error:
        expected = f"numbers of {things} from 0 to {n - 1}, a mask of shape ({n},) or a slice"
        raise ValueError(problem(caller, "which", abbreviated(which), expected)) from error


def check_n_streams(n: Any, caller: str, argument: str) -> None:
    """Raise ValueError unless n may be a number of streams."""
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 0:
        raise ValueError(problem(caller, argument, abbreviated(n), "an integer of at least 0"))


def _leave_it(x_t: Any, out: Array | None) -> None:
    """Take no step: one whose outputs have to be finished is none of the fast ones."""


def _restored(
    model: Model, method: str, n_threads: int, weights: str | None, states: Array
) -> Stream:
    stream = Stream(model, method, len(states), n_threads, weights)
    stream._core.states = states
    return stream
