"""Model files: a safetensors file with everything that an estimator is, and no code."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

import elman
from elman._disk import checked_path, read_file, write_file
from elman._exceptions import ModelVersionError, problem
from elman._model import FittedModel
from elman._model_stack import ModelStack
from elman._plain import Reader, Writer
from elman._registry import WHOLE, estimator_kind, kind_named, kind_of
from elman._safetensors import Bytes, Source, Tensors, canonical_json, pack, strict_json, unpack

FORMAT = "elman"
FORMAT_VERSION = 1


def save(model: Any, path: Any, *, include_training: bool = True) -> None:
    """Write a fitted estimator to a file.

    The file has the safetensors format: every weight is a tensor by its name in `weights_`, and
    everything else that the estimator is, its parameters and what `fit` has found, stands in its
    metadata as JSON. A checksum over every byte is its last tensor. It is written under another
    name beside its place, made durable, and then renamed, so that there is the old file or the new
    one at any time.

    A forecaster is kept with its history, of which it needs all to go on; a fleet as arrays with a
    row for each network.

    What is not kept: callbacks, metadata requests, and attributes of your own.

    Parameters
    ----------
    model : estimator or Fleet
        A fitted estimator of elman, or many of them.
    path : str or os.PathLike
        Name of the file. A symbolic link stays one: what it points to is replaced.
    include_training : bool, default=True
        Whether to keep what training goes on from, the moments of the optimizer above all, so that
        `partial_fit` after `load` gives the bits that it would have given without. They take two to
        three times the room of the weights. Without them training goes on from the weights.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    TypeError
        If the model is another one, or one of its parameters cannot stand in a file, as a function.
    ValueError
        If a parameter is not as it should be, weights are not finite, or the path names no file.
    OSError
        If the system cannot write the file; what was there before is still there then.

    See Also
    --------
    load : The way back.

    References
    ----------
    .. [1] The safetensors format: https://huggingface.co/docs/safetensors

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> import elman
    >>> X = np.random.RandomState(0).randn(100, 8, 2)
    >>> y = X[:, :, 0].sum(axis=1)
    >>> model = elman.RNNRegressor(learning_rate_init=0.01, max_iter=500, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     elman.save(model, path)
    ...     again = elman.load(path)
    >>> bool((again.predict(X) == model.predict(X)).all())
    True
    """
    source = Source("elman.save", "model")
    if not _is_whole(model):
        expected = f"one of {', '.join(WHOLE)}"
        raise TypeError(problem("elman.save", "model", f"a {type(model).__name__}", expected))
    kind = estimator_kind(type(model))
    if kind is not None and not kind.is_fitted(model):
        got = f"a {type(model).__name__} that is not fitted yet"
        raise NotFittedError(problem("elman.save", "model", got, "a call of fit before"))
    write_file(path, _pieces(model, source, None if include_training else _lean), source.caller)


def load(path: Any, *, allow_nonfinite: bool = False) -> Any:
    """Read a fitted estimator from a file.

    Nothing in the file is run, imported or opened: it is numbers and names from a fixed table, and
    every one of them is checked. There is no other way to read it if that fails. Dates are read by
    pandas, their time zones looked up among those of the system.

    Parameters
    ----------
    path : str or os.PathLike
        Name of a file that `save` has written.
    allow_nonfinite : bool, default=False
        Whether arrays may hold NaN and infinity.

    Returns
    -------
    model : estimator
        The estimator; its predictions have the same bits.

    Raises
    ------
    OSError
        If the system cannot read the file.
    ModelCorruptError
        If the file is damaged or of another format.
    ModelVersionError
        If a newer version of elman wrote it, with something that this one does not know.
    ModelLimitError
        If something in it is larger than `save` ever writes.

    See Also
    --------
    save : The way there, with an example.
    """
    source = Source("elman.load", f"path {checked_path(path, 'elman.load')!r}")
    model = _value(read_file(path, source), source, allow_nonfinite)
    if not _is_whole(model):
        got = f"a file with a {type(model).__name__}"
        raise source.corrupt(got, "one with an estimator")
    return model


def _is_whole(model: Any) -> bool:
    return type(model).__name__ in WHOLE and kind_of(type(model)) is not None


def _lean(value: Any) -> Any:
    """Return a model without what is needed only to train it."""
    return value.without_moments() if isinstance(value, (FittedModel, ModelStack)) else value


def _pieces(value: Any, source: Source, prepare: Callable[[Any], Any] | None = None) -> list[Any]:
    writer = Writer(source, kind_of, prepare)
    content = canonical_json(writer.plain(value))
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "elman_version": elman.__version__,
        "content": content,
    }
    return pack(writer.tensors, metadata, source)


def _value(data: Bytes, source: Source, allow_nonfinite: bool = False) -> Any:
    tensors = unpack(data, source)
    versions = _checked_versions(tensors, source)
    content = strict_json(tensors.metadata["content"], source, "the content")
    reader = Reader(source, tensors, kind_named, versions, allow_nonfinite=allow_nonfinite)
    value = reader.value(content)
    tensors.check_all_used()
    return value


def _checked_versions(tensors: Tensors, source: Source) -> str:
    """Return which version wrote the file and which reads it; an error if that one cannot."""
    metadata = tensors.metadata
    version = metadata.get("format_version", "")
    if metadata.get("format") != FORMAT or not re.fullmatch("[1-9][0-9]{0,8}", version):
        raise source.corrupt("no format and version in its metadata", "those of elman")
    versions = (
        f"elman {metadata.get('elman_version', '?')} wrote it in format {version}, and this is "
        f"elman {elman.__version__}, which reads formats up to {FORMAT_VERSION}"
    )
    names = ("format", "format_version", "elman_version", "content")
    unknown = [name for name in metadata if name not in names]
    if int(version) > FORMAT_VERSION or unknown:
        got = f"the unknown fields {unknown}" if unknown else f"format {version}"
        raise ModelVersionError(source.problem(f"{got}: {versions}", "what this version knows"))
    if len(metadata) != len(names):
        raise source.corrupt(f"metadata of {list(metadata)}", ", ".join(names))
    return versions


def to_bytes(value: Any, source: Source) -> bytes:
    """Return the file of a value that a registered class has, or plain values, as bytes."""
    return b"".join(memoryview(piece) for piece in _pieces(value, source))


def from_bytes(data: Any, source: Source) -> Any:
    """Return the value of which `to_bytes` has made bytes, or raise `ModelFileError`."""
    if not isinstance(data, bytes):
        raise source.corrupt(f"a {type(data).__name__}", "bytes as elman writes them")
    return _value(np.frombuffer(data, dtype=np.uint8), source)


def digest(value: Any, source: Source) -> str:
    """Return a checksum of a value, as of `to_bytes`; the same in every version."""
    writer = Writer(source, kind_of, allow_nonfinite=True)
    content = canonical_json(writer.plain(value))
    checksum: bytes = pack(writer.tensors, {"content": content}, source)[-1]
    return checksum.hex()


def write_value(value: Any, path: Any, source: Source) -> None:
    """Write a value, as of `to_bytes`, to a file."""
    write_file(path, _pieces(value, source), source.caller)


def read_value(path: Any, source: Source) -> Any:
    """Read what `write_value` has written."""
    return _value(read_file(path, source), source)
