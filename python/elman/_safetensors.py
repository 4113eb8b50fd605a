"""The container: a safetensors file that ends in the checksum of all that stands before.

    8 bytes   n, the length of the header, little-endian
    n bytes   the header: JSON, padded with spaces to a multiple of 8
    the rest  the bytes of the tensors, one after another; those of the last one, ``sha256``, are
              the checksum of every byte before them

The header tells dtype, shape and place of each tensor, and holds strings beside, its metadata.
Any safetensors reader opens such a file. What is read here is less: JSON in the one form in which
it is written here, tensors without a gap between them, each where its numbers are aligned.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elman._arrays import Array
from elman._exceptions import ModelCorruptError, ModelLimitError, abbreviated, problem

LENGTH_SIZE = 8
ALIGNMENT = 8
LARGEST_HEADER = 2**20
DEEPEST_JSON = 32
MOST_AXES = 8
BLOCK = 2**23
"""Bytes that are hashed, read or written at once: Ctrl-C waits for no more."""

CHECKSUM = "sha256"
CHECKSUM_SIZE = 32

DTYPES = {
    "BOOL": "|b1",
    "U8": "|u1",
    "I8": "|i1",
    "U16": "<u2",
    "I16": "<i2",
    "F16": "<f2",
    "U32": "<u4",
    "I32": "<i4",
    "F32": "<f4",
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
}
_NAMES = {np.dtype(code): name for name, code in DTYPES.items()}

_MAGIC = {
    rb"PK\x03\x04": "a zip archive (PyTorch, Keras and skops write those)",
    rb"\x89HDF\r\n\x1a\n": "an HDF5 file",
    rb"\x1f\x8b": "a gzip file",
    rb"\x93NUMPY": "a NumPy file",
    rb"\x80[\x02-\x05]": "a pickle",
    rb"[{\[]": "JSON",
    rb"\x08[\x01-\x7f][\x12-\x42]": "an ONNX model",
}
_NO_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[^\[\]{}"]+', re.DOTALL)

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Source:
    """Where bytes come from, for messages.

    Parameters
    ----------
    caller : str
        The function that reads them.
    argument : str
        What they are called there.
    """

    caller: str
    argument: str

    def corrupt(self, got: str, expected: str, part: str = "") -> ModelCorruptError:
        """Return the error for bytes that cannot be what was written."""
        return ModelCorruptError(self.problem(got, expected, part))

    def too_large(self, got: str, expected: str, part: str = "") -> ModelLimitError:
        """Return the error for something larger than is ever written."""
        return ModelLimitError(self.problem(got, expected, part))

    def problem(self, got: str, expected: str, part: str = "") -> str:
        """Say what was wrong with a part of it."""
        where = f"{self.argument}: {part}" if part else self.argument
        return problem(self.caller, where, got, expected)


def canonical_json(value: Any) -> str:
    """Write JSON in its one form: no spaces, keys in their order, no NaN, no escapes but needed."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def strict_json(text: str, source: Source, part: str) -> Any:
    """Read what `canonical_json` has written, and nothing else."""
    if _is_deep(text):
        raise source.too_large(f"JSON of more than {DEEPEST_JSON} levels", "fewer", part)
    try:
        value = json.loads(text)
        is_canonical = canonical_json(value) == text
    except ValueError as error:
        raise source.corrupt(f"what is no strict JSON ({error})", "JSON", part) from error
    if not is_canonical:
        got = "JSON with a repeated key, spaces, or a number or string in another form"
        raise source.corrupt(got, "JSON as elman.save writes it", part)
    return value


def _is_deep(text: str) -> bool:
    """Whether JSON has more levels than are ever read; found without descending into them."""
    brackets = np.frombuffer(_NO_BRACKETS.sub("", text).encode(), dtype=np.uint8)
    steps = np.where((brackets == ord("[")) | (brackets == ord("{")), 1, -1)
    return bool(np.cumsum(steps).max(initial=0) > DEEPEST_JSON)


def pack(tensors: Mapping[str, Array], metadata: Mapping[str, str], source: Source) -> list[Any]:
    """Lay out a file.

    Parameters
    ----------
    tensors : dict of ndarray
        Of dtypes in `DTYPES`, none of them empty. Those of wider numbers stand first, so that each
        is aligned, and otherwise in their order.
    metadata : dict of str
        Strings of the header.
    source : Source
        What is written, for messages.

    Returns
    -------
    pieces : list of bytes and ndarray
        The bytes of the file, one after another; arrays are not copied.
    """
    arrays = {
        name: np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        for name, array in sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize)
    }
    table: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, array in arrays.items():
        place = [end, end + array.nbytes]
        table[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": place,
        }
        end = place[1]
    place = [end, end + CHECKSUM_SIZE]
    table[CHECKSUM] = {"dtype": "U8", "shape": [CHECKSUM_SIZE], "data_offsets": place}
    header = canonical_json(table).encode()
    header += b" " * (-len(header) % ALIGNMENT)
    if len(header) > LARGEST_HEADER:
        got = f"what takes a header of {len(header)} bytes"
        raise ValueError(source.problem(got, f"at most {LARGEST_HEADER}"))
    length = len(header).to_bytes(LENGTH_SIZE, "little")
    pieces = [length, header, *(array.reshape(-1).view(np.uint8) for array in arrays.values())]
    return [*pieces, _digest(pieces)]


def _digest(pieces: Iterable[Any]) -> bytes:
    digest = hashlib.sha256()
    for piece in pieces:
        for block in blocks(piece):
            digest.update(block)
    return digest.digest()


def blocks(piece: Any) -> Iterable[memoryview]:
    """Cut bytes into blocks."""
    view = memoryview(piece)
    return (view[i : i + BLOCK] for i in range(0, len(view), BLOCK))


def check_start(start: bytes, size: int, source: Source) -> None:
    """Raise `ModelFileError` unless a file of some size begins as one of ours does.

    Parameters
    ----------
    start : bytes
        The first bytes; 16 are enough.
    size : int
        Length of the file.
    source : Source
        Where it comes from.
    """
    length = int.from_bytes(start[:LENGTH_SIZE], "little")
    expected = "a file that elman.save has written"
    fits = length <= size - LENGTH_SIZE - CHECKSUM_SIZE
    if not fits or start[LENGTH_SIZE : LENGTH_SIZE + 1] != b"{":
        kinds = (kind for magic, kind in _MAGIC.items() if re.match(magic, start))
        got = next(kinds, f"a file of {size} bytes in another format") if size else "an empty file"
        raise source.corrupt(got, expected)
    if length > LARGEST_HEADER:
        got, expected = f"a header of {length} bytes", f"at most {LARGEST_HEADER}"
        raise source.too_large(got, expected)


class Tensors:
    """The tensors of a file, each of which is handed out once; arrays are views of its bytes.

    Parameters
    ----------
    data : ndarray of uint8
        All bytes of the file.
    source : Source
        Where they come from.
    """

    def __init__(self, data: Bytes, source: Source) -> None:
        self._source = source
        start = LENGTH_SIZE + int.from_bytes(data[:LENGTH_SIZE].tobytes(), "little")
        self._data = data[start:-CHECKSUM_SIZE]
        table = _header(data[LENGTH_SIZE:start].tobytes(), source)
        metadata = table.pop("__metadata__", None)
        if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
            raise source.corrupt("no metadata of strings", "some", "the header")
        self.metadata: dict[str, str] = metadata
        self._places = self._checked(table)

    def _checked(self, table: dict[str, Any]) -> dict[str, tuple[int, int, Any, Any]]:
        places, end = {}, 0
        for name, entry in table.items():
            begin, places[name] = end, self._place(entry, f"tensor {name!r}")
            if places[name][0] != begin:
                got = f"an overlap or a gap at byte {begin}"
                raise self._source.corrupt(got, "tensors side by side", f"tensor {name!r}")
            end = places[name][1]
        last = (len(self._data), len(self._data) + CHECKSUM_SIZE, np.dtype("u1"), [CHECKSUM_SIZE])
        if places.pop(CHECKSUM, None) != last:
            got = f"tensors that do not end with {CHECKSUM!r} and the file"
            raise self._source.corrupt(got, "all bytes in tensors", "the header")
        return places

    def _place(self, entry: Any, part: str) -> tuple[int, int, Any, Any]:
        """Read begin, end, dtype and shape, which must agree."""
        keys = ("dtype", "shape", "data_offsets")
        if not isinstance(entry, dict) or tuple(entry) != keys:
            raise self._source.corrupt("another description", ", ".join(keys), part)
        dtype, shape, offsets = entry.values()
        is_known = isinstance(dtype, str) and dtype in DTYPES
        are_sizes = all(map(_are_sizes, (shape, offsets))) and len(offsets) == 2
        if not is_known or not are_sizes or len(shape) > MOST_AXES:
            raise self._source.corrupt(abbreviated(entry), "a dtype, sizes and two places", part)
        begin, end = offsets  # in the tensors' part of the file
        code = np.dtype(DTYPES[dtype])
        n_bytes = math.prod(shape) * code.itemsize  # of integers without an end
        if end - begin != n_bytes or n_bytes == 0 or begin % code.itemsize:
            got = abbreviated(entry, 120)
            raise self._source.corrupt(got, "bytes that hold the shape, not none, aligned", part)
        return begin, end, code, shape

    def take(self, name: str, part: str) -> Array:
        """Return a tensor that has not been asked for before."""
        if name not in self._places:
            raise self._source.corrupt(f"no tensor {name!r}", "one, used once", part)
        begin, end, dtype, shape = self._places.pop(name)
        array: Array = self._data[begin:end].view(dtype).reshape(shape)
        if dtype.kind == "b" and array.view(np.uint8).max() > 1:
            raise self._source.corrupt(f"tensor {name!r} with other bytes", "0 and 1", part)
        return array.astype(dtype.newbyteorder("="), copy=False)

    def take_joined(self, names: list[str], part: str) -> tuple[Array, list[tuple[int, ...]]]:
        """Return tensors of one dtype that stand side by side, as one flat array; their shapes."""
        places = [self._places.get(name) for name in names]
        arrays = [self.take(name, part) for name in names]
        begins, ends = ([place[i] for place in places if place] for i in (0, 1))
        if begins[1:] != ends[:-1] or len({array.dtype for array in arrays}) != 1:
            raise self._source.corrupt("tensors apart", "one dtype, side by side", part)
        flat = self._data[begins[0] : ends[-1]].view(arrays[0].dtype.newbyteorder("<"))
        shapes = [array.shape for array in arrays]
        return flat.astype(arrays[0].dtype, copy=False), shapes

    def check_all_used(self) -> None:
        """Raise `ModelCorruptError` if there are tensors that nobody has asked for."""
        if self._places:
            got = f"the tensors {list(self._places)[:5]}, which belong to nothing"
            raise self._source.corrupt(got, "none")


def unpack(data: Bytes, source: Source) -> Tensors:
    """Read a file that `pack` has laid out, after checking every byte of it.

    Parameters
    ----------
    data : ndarray of uint8
        All bytes of the file.
    source : Source
        Where they come from.

    Returns
    -------
    tensors : Tensors
        Its tensors and metadata.

    Raises
    ------
    ModelFileError
        If it is not such a file, or not as it was written.
    """
    check_start(data[:16].tobytes(), len(data), source)
    if _digest([data[:-CHECKSUM_SIZE]]) != data[-CHECKSUM_SIZE:].tobytes():
        got = "bytes with another checksum than the one at their end"
        raise source.corrupt(f"{got}: damaged, or not written by elman", "the same checksum")
    return Tensors(data, source)


def _header(raw: bytes, source: Source) -> dict[str, Any]:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise source.corrupt(f"bytes that are no UTF-8 ({error})", "UTF-8", "the header") from error
    stripped = text.rstrip(" ")
    table = strict_json(stripped, source, "the header")
    is_padded = len(raw) % ALIGNMENT == 0 and len(text) - len(stripped) < ALIGNMENT
    if not is_padded or not isinstance(table, dict):
        raise source.corrupt("another padding", "an object and up to 7 spaces", "the header")
    return table


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)
