"""Values as plain JSON and tensors, and back.

None, booleans, numbers and strings stand for themselves, and lists for lists. Everything else is an
object of one key, which tells what it is: ``{"tuple": [1, 2]}``, ``{"array": "model.task.mean"}``
(the name of a tensor), ``{"InputForm": {...}}`` (a class of `elman._registry`). Nothing but what is
in that fixed table can be named, and nothing is looked up anywhere else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from elman._arrays import Array, is_finite
from elman._exceptions import ModelVersionError, abbreviated
from elman._parameters import Options, Rule
from elman._safetensors import DTYPES, MOST_AXES, Source, Tensors, canonical_json, strict_json

LONGEST_IN_HEADER = 4096
"""Characters of a list or dict; a longer one becomes a tensor of bytes."""

DEEPEST = 64
MOST_TEXT_PER_BYTE = 64
LEAST_TEXT_LIMIT = 2**24
LARGEST_CODE = 0x10FFFF

_NUMBERS = {np.dtype(code).name: np.dtype(code).newbyteorder("=") for code in DTYPES.values()}
_TEXT_DTYPE = re.compile(r"<U[1-9][0-9]{0,8}")
_DATE_DTYPE = re.compile(r"(datetime|timedelta)64\[[0-9]{0,9}([YMWDhms]|[munpfa]s)\]")


NO_VALUES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What the checks themselves may raise of values that nobody has thought of."""


class Mismatch(ValueError):
    """Values that do not make an object of their class.

    Parameters
    ----------
    part : str
        Which of them.
    got, expected : str
        What was wrong with it.
    is_unknown : bool
        Whether a later version may know it.
    """

    def __init__(self, part: str, got: str, expected: str, *, is_unknown: bool = False) -> None:
        super().__init__(f"{part} got {got}, expected {expected}")
        self.part, self.got, self.expected, self.is_unknown = part, got, expected, is_unknown


@dataclass(frozen=True)
class Kind:
    """A class whose objects may stand in a file.

    Parameters
    ----------
    cls : type
        The class.
    rules : dict of Rule
        What is kept of an object, and what that may be.
    take : callable
        From an object to a dict of what is kept.
    make : callable
        From such a dict, whose values pass the rules, to an object; raises `Mismatch` where they do
        not go together.
    optional : frozenset of str
        What may be missing in files from before it was kept.
    """

    cls: type
    rules: Mapping[str, Rule]
    take: Callable[[Any], dict[str, Any]]
    make: Callable[[dict[str, Any]], Any]
    optional: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Joined:
    """A flat array, and the arrays side by side of which it consists.

    Parameters
    ----------
    flat : ndarray of shape (n,)
        All of them.
    shapes : dict of tuple
        Their shapes by name, in order.
    """

    flat: Array
    shapes: dict[str, tuple[int, ...]]

    def parts(self) -> Iterator[tuple[str, Array]]:
        """Return views by name."""
        begin = 0
        for name, shape in self.shapes.items():
            end = begin + math.prod(shape)
            yield name, self.flat[begin:end].reshape(shape)
            begin = end


@dataclass(frozen=True)
class MayMiss:
    """Numbers in which NaN is what is missing, wherever else it would be damage.

    Parameters
    ----------
    values : ndarray of floats
        The numbers.
    """

    values: Array


def check_fields(
    values: Mapping[Any, Any],
    rules: Mapping[str, Rule],
    where: str = "",
    optional: frozenset[str] = frozenset(),
) -> None:
    """Raise `Mismatch` at the first value that is unknown, missing, or does not pass its rule."""
    for name in values:
        if name not in rules:
            raise Mismatch(joined(where, str(name)), "a value", "no such thing", is_unknown=True)
    for name, rule in rules.items():
        if name not in values:
            if name in optional:
                continue
            raise Mismatch(joined(where, name), "nothing", rule.expected)
        value = values[name]
        if not _passes(rule, value):
            is_unknown = isinstance(rule, Options) and isinstance(value, str)
            got = abbreviated(value)
            raise Mismatch(joined(where, name), got, rule.expected, is_unknown=is_unknown)


def _passes(rule: Rule, value: Any) -> bool:
    try:
        return bool(rule.passes(value))
    except NO_VALUES:
        return False


def joined(name: str, part: str) -> str:
    """Name a part of a value."""
    return f"{name}.{part}" if name and part else name or part


class Writer:
    """Turns values into JSON, and arrays into tensors.

    Parameters
    ----------
    source : Source
        What is written, for messages.
    kind_of : callable
        From a class to its name and `Kind`, or None.
    prepare : callable, default=None
        Called on each object of a kind, for what shall be written in its place.
    allow_nonfinite : bool, default=False
        Whether arrays may hold NaN and infinity.
    """

    def __init__(
        self,
        source: Source,
        kind_of: Callable[[type], tuple[str, Kind] | None],
        prepare: Callable[[Any], Any] | None = None,
        *,
        allow_nonfinite: bool = False,
    ) -> None:
        self.tensors: dict[str, Array] = {}
        self._source, self._kind_of, self._prepare = source, kind_of, prepare
        self._allow_nonfinite = allow_nonfinite

    def plain(self, value: Any, name: str = "") -> Any:
        """Return what stands for a value in JSON; it is called so in messages and tensors."""
        kind = self._kind_of(type(value))
        if kind is not None:
            return self._object(value, name, *kind)
        if value is None or type(value) in (bool, int):
            return value
        if type(value) is str:
            return self._text(value, name)
        if type(value) is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if isinstance(value, np.ndarray):
            return self._array(value, name)
        if isinstance(value, np.generic) and value.dtype.name in _NUMBERS:
            number = self.plain(value.item(), name)
            return {"scalar": [value.dtype.name, number]}
        if isinstance(value, np.str_):
            return {"scalar": ["str", self._text(str(value), name)]}
        if isinstance(value, np.dtype) and value.name in _NUMBERS:
            return {"dtype": value.name}
        if isinstance(value, PurePath):
            return {"path": self._text(str(value), name)}
        return self._container(value, name)

    def _text(self, text: str, name: str) -> str:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            got = f"{abbreviated(text)}, with half of a character"
            raise ValueError(self._source.problem(got, "Unicode text", name)) from error
        return text

    def _container(self, value: Any, name: str) -> Any:
        if isinstance(value, Joined):
            for part, array in value.parts():
                self._add(array, joined(name, part))
            return {"joined": self._short(list(value.shapes), joined(name, "names"))}
        if isinstance(value, MayMiss):
            return {"may_miss": self._array(value.values, name, may_miss=True)}
        if isinstance(value, dict):
            items = [
                [self.plain(key, name), self.plain(item, joined(name, str(key)))]
                for key, item in value.items()
            ]
            return {"dict": self._short(items, name)}
        if isinstance(value, (set, frozenset)):
            items = [self.plain(item, f"{name}.{i}") for i, item in enumerate(_sorted(value))]
            return {type(value).__name__: self._short(items, name)}
        if type(value) in (list, tuple):
            items = [self.plain(item, f"{name}.{i}") for i, item in enumerate(value)]
            short = self._short(items, name)
            return short if type(value) is list else {"tuple": short}
        text, kind = abbreviated(value), f"a {type(value).__name__}"
        got = kind if "\n" in text else f"{text}, {kind}"
        expected = "numbers, strings, arrays, or lists, tuples, dicts or sets of them"
        if callable(value):
            expected += ": a file holds no code"
        raise TypeError(self._source.problem(got, expected, name))

    def _short(self, items: list[Any], name: str) -> Any:
        """Return a list as it is, or in a tensor where it is long."""
        text = canonical_json(items)
        if len(text) <= LONGEST_IN_HEADER:
            return items
        return {"json": self._add(np.frombuffer(text.encode(), dtype=np.uint8), name)}

    def _add(self, array: Array, name: str, may_miss: bool = False) -> str:
        is_right = not np.isinf(array).any() if may_miss else is_finite(array)
        if not self._allow_nonfinite and not is_right:
            raise ValueError(self._source.problem("NaN or infinity", "finite numbers", name))
        while name in self.tensors:  # a dict may have the keys 1 and "1"
            name += "'"
        self.tensors[name] = array
        return name

    def _object(self, value: Any, name: str, tag: str, kind: Kind) -> Any:
        if self._prepare is not None:
            value = self._prepare(value)
        try:
            values = kind.take(value)
            check_fields(values, kind.rules)
        except Mismatch as error:
            part = joined(name, error.part)
            raise ValueError(self._source.problem(error.got, error.expected, part)) from error
        fields = {part: self.plain(item, joined(name, part)) for part, item in values.items()}
        return {tag: fields}

    def _array(self, value: Array, name: str, *, may_miss: bool = False) -> Any:
        kind, shape = value.dtype.kind, list(value.shape)
        if type(value) not in (np.ndarray, np.memmap) or kind not in "biufmMUO":
            got = f"a {type(value).__name__} of dtype {value.dtype}"
            raise TypeError(self._source.problem(got, "an array of numbers or strings", name))
        if kind in "UO":
            return self._array_of_items(value, name)
        if _DATE_DTYPE.fullmatch(value.dtype.name):
            return {"dates": [value.dtype.name, self._array(value.view(np.int64), name)]}
        if value.dtype.name not in _NUMBERS:
            got = f"dtype {value.dtype}"
            raise TypeError(self._source.problem(got, "numbers of up to 64 bits", name))
        if value.size == 0:
            return {"empty": [value.dtype.name, shape]}
        return {"array": self._add(value, name, may_miss)}

    def _array_of_items(self, value: Array, name: str) -> Any:
        shape, width = list(value.shape), value.dtype.itemsize // 4
        items = [self.plain(item, name) for item in value.ravel().tolist()]
        if value.dtype.kind == "O":
            return {"items": ["object", shape, self._short(items, name)]}
        if value.nbytes <= _text_limit(items):
            return {"items": [f"<U{width}", shape, self._short(items, name)]}
        codes = np.ascontiguousarray(value, dtype=f"=U{width}").view(np.uint32)
        return {"utf32": self._add(codes.reshape(*shape, width), name)}


def _sorted(values: Any) -> list[Any]:
    return sorted(values, key=lambda item: (type(item).__name__, repr(item)))


def _text_limit(items: list[str]) -> int:
    """Bytes up to which an array of strings, as wide everywhere as the longest, is made of them."""
    return LEAST_TEXT_LIMIT + MOST_TEXT_PER_BYTE * (sum(map(len, items)) + 3 * len(items))


class Reader:
    """Turns JSON and tensors into values, checking everything.

    Parameters
    ----------
    source : Source
        Where they come from, for messages.
    tensors : Tensors
        The tensors.
    kind_named : callable
        From a name to its `Kind`, or None.
    versions : str
        Which version wrote them and which one this is, for messages.
    allow_nonfinite : bool, default=False
        Whether arrays may hold NaN and infinity.
    """

    def __init__(
        self,
        source: Source,
        tensors: Tensors,
        kind_named: Callable[[str], Kind | None],
        versions: str,
        *,
        allow_nonfinite: bool = False,
    ) -> None:
        self._source, self._tensors, self._kind_named = source, tensors, kind_named
        self._versions, self._allow_nonfinite = versions, allow_nonfinite
        self._readers: dict[str, Callable[[Any, str, int], Any]] = {
            "float": self._float,
            "scalar": self._scalar,
            "dtype": self._dtype,
            "path": self._path,
            "json": lambda content, name, depth: self._items({"json": content}, name, depth),
            "tuple": lambda content, name, depth: tuple(self._items(content, name, depth)),
            "set": lambda content, name, depth: self._set(set, content, name, depth),
            "frozenset": lambda content, name, depth: self._set(frozenset, content, name, depth),
            "dict": self._dict,
            "array": self._array,
            "may_miss": self._may_miss,
            "empty": self._empty,
            "items": self._array_of_items,
            "utf32": self._array_of_codes,
            "dates": self._dates,
            "joined": self._joined,
        }

    def value(self, plain: Any, name: str = "", depth: int = 0) -> Any:
        """Return the value that JSON stands for."""
        if depth > DEEPEST:
            got, expected = f"values within more than {DEEPEST} others", "fewer"
            raise self._source.too_large(got, expected, name)
        if isinstance(plain, list):
            return self._items(plain, name, depth)
        if not isinstance(plain, dict):
            return plain
        self._require(len(plain) == 1, name, plain, "an object of one key")
        ((tag, content),) = plain.items()
        if tag in self._readers:
            return self._readers[tag](content, name, depth)
        return self._object(tag, content, name, depth)

    def _require(self, holds: bool, name: str, got: Any, expected: str) -> None:
        if not holds:
            raise self._source.corrupt(abbreviated(got), expected, name)

    def _unknown(self, got: str, name: str) -> ModelVersionError:
        got = f"{got}, which is unknown here; {self._versions}"
        return ModelVersionError(self._source.problem(got, "what this version knows", name))

    def _object(self, tag: str, content: Any, name: str, depth: int) -> Any:
        kind = self._kind_named(tag)
        if kind is None:
            raise self._unknown(f"the class {abbreviated(tag)}", name)
        self._require(isinstance(content, dict), name, content, f"the fields of {tag}")
        for part in content:
            if part not in kind.rules:
                raise self._unknown(f"the field {abbreviated(part)} of {tag}", name)
        values = {
            part: self.value(item, joined(name, part), depth + 1) for part, item in content.items()
        }
        try:
            check_fields(values, kind.rules, optional=kind.optional)
            return kind.make(values)
        except Mismatch as error:
            part = joined(name, error.part)
            if error.is_unknown:
                raise self._unknown(error.got, part) from error
            raise self._source.corrupt(error.got, error.expected, part) from error
        except NO_VALUES as error:
            got = f"what makes no {tag} ({error})"
            raise self._source.corrupt(got, "values that go together", name) from error

    def _listed(self, content: Any, name: str) -> list[Any]:
        """Return a list that stands here or in a tensor."""
        if isinstance(content, dict) and tuple(content) == ("json",):
            raw = self._tensor(content["json"], name)
            is_text = raw.dtype == np.uint8 and raw.ndim == 1
            self._require(is_text, name, f"{raw.dtype} of shape {raw.shape}", "bytes")
            try:
                text = raw.tobytes().decode()
            except UnicodeDecodeError as error:
                raise self._source.corrupt(f"no UTF-8 ({error})", "UTF-8", name) from error
            content = strict_json(text, self._source, name)
        self._require(isinstance(content, list), name, content, "a list")
        items: list[Any] = content
        return items

    def _tensor(self, content: Any, name: str) -> Array:
        self._require(isinstance(content, str), name, content, "the name of a tensor")
        return self._tensors.take(content, name)

    def _items(self, content: Any, name: str, depth: int) -> list[Any]:
        items = self._listed(content, name)
        return [self.value(item, f"{name}.{i}", depth + 1) for i, item in enumerate(items)]

    def _set(self, make: Callable[[Any], Any], content: Any, name: str, depth: int) -> Any:
        items = self._items(content, name, depth)
        return make(self._distinct(items, name))

    def _distinct(self, keys: list[Any], name: str) -> list[Any]:
        try:
            is_distinct = len(set(keys)) == len(keys)
        except TypeError as error:
            raise self._source.corrupt(f"a key with {error}", "hashable keys", name) from error
        self._require(is_distinct, name, keys, "each key once")
        return keys

    def _dict(self, content: Any, name: str, depth: int) -> dict[Any, Any]:
        pairs = self._listed(content, name)
        are_pairs = all(isinstance(pair, list) and len(pair) == 2 for pair in pairs)
        self._require(are_pairs, name, pairs, "pairs of a key and a value")
        keys = self._distinct([self.value(key, name, depth + 1) for key, _ in pairs], name)
        return {
            key: self.value(item, joined(name, str(key)), depth + 1)
            for key, (_, item) in zip(keys, pairs, strict=True)
        }

    def _float(self, content: Any, name: str, depth: int) -> float:
        self._require(content in ("inf", "-inf", "nan"), name, content, "inf, -inf or nan")
        return float(content)

    def _scalar(self, content: Any, name: str, depth: int) -> Any:
        is_pair = isinstance(content, list) and len(content) == 2 and isinstance(content[0], str)
        self._require(is_pair, name, content, "a dtype and a value")
        code, value = content[0], self.value(content[1], name, depth + 1)
        if code == "str" and isinstance(value, str):
            return np.str_(value)
        is_number = code in _NUMBERS and isinstance(value, (bool, int, float))
        self._require(is_number, name, content, "a number of a known dtype")
        try:
            with np.errstate(over="ignore"):
                scalar = _NUMBERS[code].type(value)
        except (OverflowError, ValueError):
            scalar = np.str_()
        is_same = type(scalar.item()) is type(value) and repr(scalar.item()) == repr(value)
        self._require(is_same, name, content, f"a number of dtype {code}")
        return scalar

    def _dtype(self, content: Any, name: str, depth: int) -> Any:
        is_known = isinstance(content, str) and content in _NUMBERS
        self._require(is_known, name, content, "a dtype of numbers")
        return _NUMBERS[content]

    def _path(self, content: Any, name: str, depth: int) -> Path:
        self._require(isinstance(content, str), name, content, "a string")
        return Path(content)

    def _array(self, content: Any, name: str, depth: int) -> Array:
        array = self._tensor(content, name)
        self._check_finite(array, name)
        return array

    def _may_miss(self, content: Any, name: str, depth: int) -> MayMiss:
        if isinstance(content, dict) and tuple(content) == ("array",):
            array = self._tensor(content["array"], name)
            is_right = array.dtype.kind == "f" and not np.isinf(array).any()
        else:
            array = self.value(content, name, depth + 1)
            is_right = isinstance(array, np.ndarray) and array.dtype.kind == "f" and not array.size
        if not (is_right or self._allow_nonfinite):
            raise self._source.corrupt("infinity, or no floats", "numbers or NaN", name)
        return MayMiss(array)

    def _check_finite(self, array: Array, name: str) -> None:
        if not self._allow_nonfinite and not is_finite(array):
            expected = "finite numbers, or allow_nonfinite=True"
            raise self._source.corrupt("NaN or infinity", expected, name)

    def _shape(self, content: Any, n_items: int, name: str) -> tuple[int, ...]:
        are_sizes = isinstance(content, list) and all(
            type(size) is int and size >= 0 for size in content
        )
        is_small = are_sizes and len(content) <= MOST_AXES and math.prod(content) == n_items
        self._require(is_small, name, content, f"the shape of {n_items} items")
        return tuple(content)

    def _empty(self, content: Any, name: str, depth: int) -> Array:
        is_pair = isinstance(content, list) and len(content) == 2
        self._require(is_pair, name, content, "a dtype and a shape")
        dtype = self._dtype(content[0], name, depth)
        return np.empty(self._shape(content[1], 0, name), dtype=dtype)

    def _array_of_items(self, content: Any, name: str, depth: int) -> Array:
        is_triple = isinstance(content, list) and len(content) == 3 and isinstance(content[0], str)
        self._require(is_triple, name, content, "a dtype, a shape and items")
        code, items = content[0], self._items(content[2], name, depth)
        shape = self._shape(content[1], len(items), name)
        if code == "object":
            array = np.empty(len(items), dtype=object)
            for i, item in enumerate(items):  # which may be arrays
                array[i] = item
            return array.reshape(shape)
        is_text = _TEXT_DTYPE.fullmatch(code) and all(isinstance(item, str) for item in items)
        self._require(bool(is_text), name, code, "the dtype of its strings")
        width = int(code[2:])
        self._require(max(map(len, items), default=0) <= width, name, code, "a wider dtype")
        if 4 * width * len(items) > _text_limit(items):
            raise self._source.too_large(f"{len(items)} strings as {code}", "shorter ones", name)
        return np.array(items, dtype=code).reshape(shape)

    def _array_of_codes(self, content: Any, name: str, depth: int) -> Array:
        codes = self._tensor(content, name)
        is_code = codes.dtype == np.uint32 and codes.ndim > 0 and codes.max() <= LARGEST_CODE
        self._require(is_code, name, f"{codes.dtype} of shape {codes.shape}", "characters")
        has_halves = ((codes >= 0xD800) & (codes < 0xE000)).any()
        self._require(not has_halves, name, "halves of characters", "whole ones")
        texts: Array = codes.view(f"=U{codes.shape[-1]}")[..., 0]
        return texts

    def _dates(self, content: Any, name: str, depth: int) -> Array:
        is_pair = isinstance(content, list) and len(content) == 2 and isinstance(content[0], str)
        is_known = is_pair and _DATE_DTYPE.fullmatch(content[0])
        self._require(bool(is_known), name, content, "a unit of time and numbers")
        numbers = self.value(content[1], name, depth + 1)
        is_number = isinstance(numbers, np.ndarray) and numbers.dtype == np.int64
        self._require(is_number, name, numbers, "an array of int64")
        dates: Array = numbers.view(content[0])
        return dates

    def _joined(self, content: Any, name: str, depth: int) -> Joined:
        names = self._items(content, joined(name, "names"), depth)
        self._require(all(isinstance(part, str) for part in names), name, names, "names")
        tensors = [joined(name, part) for part in names]
        flat, shapes = self._tensors.take_joined(tensors, name)
        self._check_finite(flat, name)
        return Joined(flat, dict(zip(names, shapes, strict=True)))
