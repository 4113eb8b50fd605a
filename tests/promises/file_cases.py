"""What elman promises about model files that are damaged, forged or newer: cases 94-107.

A case is what is wrong, how the bytes come about, the exception, and what its message says. Files
are sealed again after they were changed: the checksum is right, and all else has to be found.
"""

import gzip
import io
import json
import pickle
import zipfile
from dataclasses import dataclass, field

import elman
import numpy as np
from elman import ModelCorruptError, ModelLimitError, ModelVersionError
from model_files import MODELS, Parts, at, canonical, file_of, find, header_and_data, put, sealed

FORM = r"(?s)^elman\.load: path '.*'(: .*)? got .*, expected "
HUGE = 2**63


@dataclass(frozen=True)
class Case:
    number: int
    what: str
    make: object  # from the bytes of a file to those of a bad one
    error: type
    message: str
    model: str = "regressor"
    options: dict = field(default_factory=dict)

    def __str__(self):
        return f"{self.number}-{self.what}"


CORRUPT, NEWER, LIMIT = ModelCorruptError, ModelVersionError, ModelLimitError
CASES = []


def case(number, what, error, message, model="regressor", **options):
    """Add a case; the decorated function makes the bad bytes."""

    def add(make):
        CASES.append(Case(number, what, make, error, message, model, options))
        return make

    return add


def edit(number, what, error, message, model="regressor", **options):
    """Add a case whose decorated function changes the parts of a good file."""

    def add(change):
        def make(data):
            parts = Parts.of(data)
            change(parts)
            return parts.join()

        CASES.append(Case(number, what, make, error, message, model, options))
        return change

    return add


def value(number, what, key, new, error, message, model="regressor"):
    """Add a case in which the first value of a key is another one."""

    def make(data):
        parts = Parts.of(data)
        put(parts.content, find(parts.content, key), new)
        return parts.join()

    CASES.append(Case(number, what, make, error, message, model))


def header(number, what, error, message, change):
    """Add a case in which the header's text is another one."""

    def make(data):
        raw, rest = header_and_data(data)
        return sealed(change(raw), rest)

    CASES.append(Case(number, what, make, error, message))


def lengths(number, what, length, error, message):
    CASES.append(
        Case(number, what, lambda data: length.to_bytes(8, "little") + data[8:], error, message)
    )


def a_zip(data):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model.json", data)
    return file.getvalue()


def starts_with(number, what, start, message):
    CASES.append(Case(number, what, lambda data: start + data, CORRUPT, message))


# 94, 95: sizes
case(94, "an empty file", CORRUPT, "an empty file")(lambda data: b"")
case(95, "one byte", CORRUPT, "a file of 1 bytes in")(lambda data: data[:1])
case(95, "a header and nothing else", CORRUPT, "in another format")(lambda data: data[:200])
case(95, "one byte less", CORRUPT, "checksum")(lambda data: data[:-1])
case(95, "one byte more", CORRUPT, "checksum")(lambda data: data + b"\0")
case(95, "two files", CORRUPT, "checksum")(lambda data: data + data)
case(95, "bytes before the end, sealed", CORRUPT, "do not end with 'sha256' and the file")(
    lambda data: sealed(header_and_data(data)[0], header_and_data(data)[1] + b"\0")
)
case(95, "bytes less, sealed", CORRUPT, "do not end with 'sha256' and the file")(
    lambda data: sealed(header_and_data(data)[0], header_and_data(data)[1][:-1])
)

# 97: what it looks like
case(97, "a zip archive", CORRUPT, "a zip archive")(a_zip)
case(97, "gzip", CORRUPT, "a gzip file")(gzip.compress)
case(97, "JSON", CORRUPT, "got JSON")(lambda data: json.dumps({"a": 1}).encode())
for protocol in (2, 3, 4, 5):

    @case(97, f"a pickle of protocol {protocol}", CORRUPT, "a pickle")
    def _(data, protocol=protocol):
        return pickle.dumps(MODELS["regressor"](), protocol)


starts_with(97, "HDF5", b"\x89HDF\r\n\x1a\n", "an HDF5 file")
starts_with(97, "ONNX", b"\x08\x0a\x12\x07pytorch", "an ONNX model")
starts_with(97, "a NumPy file", b"\x93NUMPY\x01\x00", "a NumPy file")
starts_with(97, "text", b"hello, world and all", "in another format")


@case(97, "safetensors of others", CORRUPT, "not written by elman")
def _(data):
    from safetensors.numpy import save

    return save({"a": np.zeros(9, "f4")}, {"format": "pt"})


# 98, 103: what this version does not know
@edit(
    98,
    "a newer format",
    NEWER,
    rf"format 2: elman 9\.8 wrote it.*this is elman {elman.__version__}",
)
def _(parts):
    parts.metadata |= {"format_version": "2", "elman_version": "9.8"}


@edit(98, "metadata that it does not know", NEWER, r"unknown fields \['license'\].*elman")
def _(parts):
    parts.metadata["license"] = "none"


@edit(98, "a field that it does not know", NEWER, "field 'zoneout' of Model.*unknown here")
def _(parts):
    at(parts.content, find(parts.content, "Model"))["zoneout"] = 0.1


@edit(
    98,
    "a parameter that it does not know",
    NEWER,
    "parameters.zoneout got a value, which is unknown",
)
def _(parts):
    at(parts.content, find(parts.content, "parameters"))["dict"].append(["zoneout", 0.1])


for version in ("0", "-1", "1.5", "", "٣", "1" * 5000):

    @edit(98, f"format {version[:9]!r}", CORRUPT, "no format and version")
    def _(parts, version=version):
        parts.metadata["format_version"] = version


@edit(98, "no version of elman", CORRUPT, "metadata of")
def _(parts):
    del parts.metadata["elman_version"]


@edit(98, "another format's name", CORRUPT, "no format and version")
def _(parts):
    parts.metadata["format"] = "pt"


@edit(103, "a class of another module", NEWER, "the class 'posix.system', which is unknown")
def _(parts):
    parts.content = {"posix.system": parts.content["RNNRegressor"]}


@edit(103, "a file's own class", NEWER, "the class 'Model.__init__', which is unknown")
def _(parts):
    put(parts.content, find(parts.content, "model"), {"Model.__init__": {}})


value(
    103,
    "a cell",
    "architecture.cell",
    "builtins.eval",
    NEWER,
    "cell got 'builtins.eval', which is unknown",
)
value(
    103,
    "an activation",
    "architecture.activation",
    "os:system",
    NEWER,
    "activation got 'os:system', which",
)
value(103, "a loss", "name", "my.module.loss", NEWER, "task.name got 'my.module.loss', which is")
value(103, "a layout", "layout", "panel", NEWER, "layout got 'panel', which is unknown")

# 99: lengths of the header
lengths(99, "a header of length 0", 0, CORRUPT, "checksum")
header(99, "no header", CORRUPT, "in another format", lambda raw: b"")
lengths(99, "a header of length 2^63", HUGE, CORRUPT, "in another format")
lengths(99, "a header of length -1", 2**64 - 1, CORRUPT, "in another format")
lengths(99, "a header longer than the file", 10**6, CORRUPT, "in another format")
case(99, "a header of more than a megabyte", LIMIT, "a header of 1048584 bytes")(
    lambda data: sealed(header_and_data(data)[0].ljust(2**20 + 8), header_and_data(data)[1])
)
header(
    99, "a header without padding", CORRUPT, "another padding", lambda raw: raw.rstrip() + b" " * 9
)


# 100, 101: the table of tensors
def entry(number, what, name, new, message, error=CORRUPT):
    def make(data):
        parts = Parts.of(data)
        parts.table[name] = new
        return parts.join()

    CASES.append(Case(number, what, make, error, message))


FIRST = "model.task.mean"  # of one float64
WRAPS = [4194305, 4194305, 211106198978564]
entry(100, "a product that wraps", FIRST, {"shape": WRAPS}, "bytes that hold the shape")
entry(100, "a size of 2^64", FIRST, {"shape": [2**64, 0]}, "bytes that hold the shape")
entry(100, "a size of -1", FIRST, {"shape": [-1, -1]}, "a dtype, sizes")
entry(100, "a size of 1.0", FIRST, {"shape": [1.0]}, "a dtype, sizes")
entry(100, "a size of true", FIRST, {"shape": [True]}, "a dtype, sizes")
entry(100, "a thousand axes", FIRST, {"shape": [1] * 1000}, "a dtype, sizes")
entry(100, "a shape that is a string", FIRST, {"shape": "1"}, "a dtype, sizes")
entry(101, "a dtype that nobody knows", FIRST, {"dtype": "F128"}, "a dtype, sizes")
entry(101, "a dtype that is a list", FIRST, {"dtype": ["F64"]}, "a dtype, sizes")
entry(101, "one place", FIRST, {"data_offsets": [0]}, "a dtype, sizes")
entry(101, "an overlap", "model.task.scale", {"data_offsets": [0, 8]}, "an overlap or a gap")
entry(101, "a gap", FIRST, {"data_offsets": [8, 16]}, "an overlap or a gap")
entry(101, "past the end", FIRST, {"data_offsets": [0, HUGE]}, "bytes that hold the shape")
entry(101, "backwards", FIRST, {"data_offsets": [8, 0]}, "bytes that hold the shape")
entry(101, "nothing", FIRST, {"shape": [0], "data_offsets": [0, 0]}, "not none")
entry(101, "more keys", FIRST, {"strides": [8]}, "dtype, shape, data_offsets")
entry(101, "an odd place", "sha256", {"shape": [31]}, "bytes that hold the shape")
entry(101, "no checksum of bytes", "sha256", {"dtype": "I8"}, "do not end with 'sha256'")


@edit(101, "a tensor of one byte before the floats", CORRUPT, "aligned")
def _(parts):
    parts.tensors = {"a": ("U8", [1], b"a"), **parts.tensors}


@edit(101, "tensors of one network apart", CORRUPT, "tensors apart")
def _(parts):
    weights = [name for name in parts.tensors if name.startswith("model.weights")]
    parts.tensors["model.weights.head.b"] = parts.tensors.pop("model.weights.head.b")
    parts.tensors[weights[0]] = parts.tensors.pop(weights[0])


# 102: JSON
def inner(number, what, error, message, old, new):
    """Another text for some of the content's, which itself is a string of the header."""
    old, new = (json.dumps(text)[1:-1].encode() for text in (old, new))

    def change(raw):
        assert old in raw, old
        raw = raw.replace(old, new, 1).rstrip()
        return raw + b" " * (-len(raw) % 8)

    header(number, what, error, message, change)


def padded(raw):
    raw = raw.rstrip()
    return raw + b" " * (-len(raw) % 8)


header(102, "a key twice", CORRUPT, "repeated key", lambda raw: padded(b'{"a":1,"a":2}'))
header(
    102, "bad UTF-8", CORRUPT, "no UTF-8", lambda raw: padded(raw.replace(b"elman", b"\xff\xfe"))
)
header(102, "a surrogate in UTF-8", CORRUPT, "no UTF-8", lambda raw: padded(b'{"\xed\xa0\x80":1}'))
header(102, "half of a character", CORRUPT, "in another form", lambda raw: padded(b'{"\\ud800":1}'))
header(102, "NaN", CORRUPT, "no strict JSON", lambda raw: padded(b'{"a":NaN}'))
header(102, "Infinity", CORRUPT, "no strict JSON", lambda raw: padded(b'{"a":-Infinity}'))
header(102, "1e999", CORRUPT, "no strict JSON", lambda raw: padded(b'{"a":1e999}'))
header(102, "1e0", CORRUPT, "in another form", lambda raw: padded(b'{"a":1e0}'))
header(102, "-0", CORRUPT, "in another form", lambda raw: padded(b'{"a":-0}'))
header(102, "spaces", CORRUPT, "in another form", lambda raw: padded(b'{ "a":1}'))
header(102, "a comment", CORRUPT, "no strict JSON", lambda raw: padded(b'{"a":1}//'))
header(
    102,
    "ten thousand digits",
    CORRUPT,
    "no strict JSON",
    lambda raw: padded(b'{"a":' + b"9" * 10**4 + b"}"),
)
header(102, "no JSON", CORRUPT, "no strict JSON", lambda raw: padded(b"{"))
header(102, "a null byte", CORRUPT, "no strict JSON", lambda raw: padded(b'{"a":1}\0'))
for brackets in (b"[", b'{"a":'):
    header(
        102,
        f"depth of {brackets.decode()}",
        LIMIT,
        "more than 32 levels",
        lambda raw, brackets=brackets: padded(b'{"a":' + brackets * 10**5),
    )
header(102, "a list", CORRUPT, "in another format", lambda raw: padded(b"[1]"))
header(
    102,
    "a hundred thousand keys",
    CORRUPT,
    "no metadata",
    lambda raw: padded(canonical({str(i): 1 for i in range(10**5)}).encode()),
)
header(102, "no metadata", CORRUPT, "no metadata", lambda raw: padded(b'{"a":{}}'))
header(
    102,
    "metadata of numbers",
    CORRUPT,
    "no metadata of strings",
    lambda raw: padded(b'{"__metadata__":{"format":1}}'),
)
inner(102, "NaN within", CORRUPT, "no strict JSON", '"warmup",0.1', '"warmup",NaN')
inner(
    102, "a key twice within", CORRUPT, "repeated key", '"layout":', '"layout":"vector","layout":'
)
inner(102, "depth within", LIMIT, "more than 32 levels", '"warmup",0.1', '"warmup",' + "[" * 50)

# values of a wrong kind
value(106, "no text", "shape", 3, CORRUPT, "inputs.shape got 3, expected a str")
value(
    106,
    "a fraction of a unit",
    "architecture.hidden_layer_sizes",
    [3.5],
    CORRUPT,
    "hidden_layer_sizes got",
)
value(106, "no dtype", "dtype", {"dtype": "O"}, CORRUPT, "a dtype of numbers", "scaler")
value(106, "no number", "best_loss", {"float": "nan"}, CORRUPT, "best_loss got nan")
value(106, "no word for infinity", "best_score", {"float": "huge"}, CORRUPT, "inf, -inf or nan")
value(106, "a bool for an integer", "n_timesteps", True, CORRUPT, "n_timesteps got True")
value(106, "an integer beyond 64 bits", "t", 2**64, CORRUPT, "training.t got")
value(106, "two keys", "architecture", {"a": 1, "dict": []}, CORRUPT, "an object of one key")
value(106, "a tensor's name that is none", "mean", {"array": 3}, CORRUPT, "the name of a tensor")
value(106, "a tensor that is not there", "mean", {"array": "x"}, CORRUPT, "no tensor 'x'")
value(
    106,
    "a tensor twice",
    "mean",
    {"array": "model.task.scale"},
    CORRUPT,
    "no tensor 'model.task.scale', expected one, used once",
)
value(106, "no list", "training", {"tuple": 3}, CORRUPT, "expected a list")
value(106, "no pairs", "architecture", {"dict": [["a", 1, 2]]}, CORRUPT, "pairs of a key")
value(106, "a key twice", "architecture", {"dict": [["a", 1], ["a", 2]]}, CORRUPT, "each key once")
value(106, "a list as a key", "architecture", {"dict": [[[1], 2]]}, CORRUPT, "hashable keys")
value(106, "an item twice", "training", {"set": [1, 1]}, CORRUPT, "each key once")
value(106, "fields that are none", "inputs", {"InputForm": 3}, CORRUPT, "the fields of InputForm")
value(106, "another class", "inputs", {"TargetForm": {}}, CORRUPT, "got nothing")
value(106, "a number of no dtype", "n_timesteps", {"scalar": ["c16", 1]}, CORRUPT, "a known dtype")
value(
    106, "a scalar of three", "n_timesteps", {"scalar": [1, 2, 3]}, CORRUPT, "a dtype and a value"
)
value(106, "300 in a byte", "n_timesteps", {"scalar": ["int8", 300]}, CORRUPT, "a number of dtype")
value(
    106, "NaN as an integer", "t", {"scalar": ["int8", {"float": "nan"}]}, CORRUPT, "of dtype int8"
)
value(106, "a path that is none", "n_timesteps", {"path": 3}, CORRUPT, "a string")
value(106, "no bytes of JSON", "shape", {"json": FIRST}, CORRUPT, "expected bytes")
value(
    106, "an empty array of three", "mean", {"empty": ["float64", [3]]}, CORRUPT, "the shape of 0"
)
value(
    106, "an empty array of a string", "mean", {"empty": "float64"}, CORRUPT, "a dtype and a shape"
)
value(
    106, "items of no dtype", "mean", {"items": [1, [0], []]}, CORRUPT, "a dtype, a shape and items"
)
value(
    106, "items of numbers", "mean", {"items": ["<f8", [1], [1.0]]}, CORRUPT, "dtype of its strings"
)
value(106, "items too wide", "mean", {"items": ["<U1", [1], ["ab"]]}, CORRUPT, "a wider dtype")
value(
    105,
    "four gigabytes of one letter",
    "mean",
    {"items": ["<U999999999", [1], ["a"]]},
    LIMIT,
    "1 strings as <U999999999",
)
value(106, "no names of weights", "weights", {"joined": [1]}, CORRUPT, "expected names")
value(106, "no weights", "weights", {"joined": []}, CORRUPT, "side by side")
value(106, "an unknown key", "weights", {"eval": "1"}, NEWER, "the class 'eval', which is unknown")
value(106, "no seed", "position", 625, CORRUPT, r"random_state.position got 625.*\[0, 624\]")
value(
    106,
    "too many levels of sizes",
    "architecture.hidden_layer_sizes",
    [2**24] * 3,
    CORRUPT,
    "or more",
)
value(
    106,
    "a network of another width",
    "architecture.hidden_layer_sizes",
    [4],
    CORRUPT,
    r"W_xh got shape \(2, 9\)",
)
value(
    106,
    "a network of more layers",
    "architecture.hidden_layer_sizes",
    [3, 1],
    CORRUPT,
    "makes no network",
)
value(
    106,
    "another number of channels",
    "architecture.n_channels",
    1,
    CORRUPT,
    r"W_xh got shape \(2, 9\), expected shape \(1, 9\)",
)
value(
    106,
    "other outputs",
    "architecture.n_outputs",
    2,
    CORRUPT,
    r"head.W got shape \(3, 1\), expected shape \(3, 2\)",
)
value(
    106, "no output axis", "has_output_axis", 1, CORRUPT, "has_output_axis got 1, expected a bool"
)
value(106, "another loss's parameter", "loss_parameter", -1.0, CORRUPT, "loss_parameter got -1.0")
value(
    106,
    "another table",
    "inputs.n_features",
    5,
    CORRUPT,
    "n_features got 5, expected a multiple of 2",
    "regressor of a table",
)
value(
    106,
    "tokens of numbers",
    "architecture.n_tokens",
    3,
    CORRUPT,
    "weights.embedding got shape none, expected shape",
)
value(
    106, "a task of classes", "kind", "binary", CORRUPT, "classes got 3", "classifier of integers"
)
value(106, "no moments", "n_updates", None, CORRUPT, "both or none")
value(106, "negative updates", "n_updates", -1, CORRUPT, "n_updates got -1")
value(106, "a negative rate", "learning_rate", -0.1, CORRUPT, "learning_rate got -0.1")
value(
    106,
    "labels out of order",
    "classes",
    {"items": ["<U4", [2], ["up", "down"]]},
    CORRUPT,
    "in order",
    "classifier of strings",
)
value(
    106,
    "labels of two kinds",
    "classes",
    {"items": ["object", [2], ["up", 1]]},
    CORRUPT,
    "in order",
    "classifier of objects",
)
value(
    106,
    "a word out of order",
    "vocabulary",
    {"dict": [["a", 1]]},
    CORRUPT,
    "in the order",
    "tokens",
)
value(106, "no words", "vocabulary", {"dict": [[1, 0]]}, CORRUPT, "strings", "tokens")
value(106, "a window of none", "n_features", 0, CORRUPT, "n_features got 0", "window")
value(106, "a center alone", "scale", None, CORRUPT, "both or none", "scaler")
value(
    106,
    "another table's kind",
    "output",
    {"dict": [["transform", "os"]]},
    CORRUPT,
    "a kind of table",
    "scaler",
)
value(
    106,
    "codes of nothing",
    "codes",
    {"empty": ["int64", [0]]},
    CORRUPT,
    "codes got",
    "count ratios",
)
value(106, "a source that is none", "source", None, CORRUPT, "task.source got 0", "translator")
value(
    106,
    "a vector for a sequence",
    "encoder",
    None,
    CORRUPT,
    "attention needs a sequence",
    "encoder-decoder",
)
value(
    106,
    "another decoder",
    "architecture.attention",
    "dot",
    CORRUPT,
    "W_m got shape .* expected shape none",
    "encoder-decoder",
)
value(
    106,
    "more tokens",
    "architecture.n_tokens",
    2**31 - 1,
    CORRUPT,
    "or more",
    "classifier of tokens",
)


value(106, "a ragged table", "embedding", [[1], [1, 2]], CORRUPT, "parameters.embedding got")
value(106, "features", "inputs.layout", "features", CORRUPT, "inputs.n_tokens got 0, expected 2")
value(106, "tokens of two", "inputs.layout", "tokens", CORRUPT, "n_channels got 2, expected 1")
value(106, "tokens in sequences", "inputs.n_tokens", 3, CORRUPT, "what goes with 'sequences'")
value(
    106,
    "a vector for an encoder",
    "inputs.layout",
    "vector",
    CORRUPT,
    "without an encoder, and only then",
    "encoder-decoder",
)


value(106, "dates of no unit", "mean", {"dates": ["datetime64", []]}, CORRUPT, "a unit of time")
value(
    106,
    "dates of no numbers",
    "mean",
    {"dates": ["datetime64[s]", {"array": FIRST}]},
    CORRUPT,
    "expected an array of int64",
)
value(106, "characters that are numbers", "mean", {"utf32": FIRST}, CORRUPT, "expected characters")

for code, message in ((0x110000, "expected characters"), (0xD800, "halves of characters")):

    @edit(102, f"the character {code:x}", CORRUPT, message)
    def _(parts, code=code):
        put(parts.content, find(parts.content, "shape"), {"utf32": "text"})
        parts.tensors["text"] = ("U32", [1, 1], code.to_bytes(4, "little"))


value(
    106,
    "no words at all",
    "TokenSequencer.vocabulary",
    {"dict": []},
    CORRUPT,
    "strings, one or more",
    "tokens",
)
value(
    106,
    "words with arrays",
    "TokenSequencer.vocabulary",
    {"dict": [["a", {"empty": ["int64", [0]]}]]},
    CORRUPT,
    "expected numbers of tokens",
    "tokens",
)
value(
    106,
    "labels that are arrays",
    "classes",
    {"items": ["object", [2], [{"empty": ["int64", [0]]}, {"empty": ["int64", [0]]}]]},
    CORRUPT,
    "got what makes no ClassificationTask",
    "classifier of objects",
)


@edit(106, "names of another number", CORRUPT, "feature_names got 2", "regressor of a table")
def _(parts):
    put(parts.content, find(parts.content, "feature_names"), {"items": ["object", [2], ["a", "b"]]})


@edit(106, "units of another shape", CORRUPT, "scale got")
def _(parts):
    dtype, _, raw = parts.tensors["model.task.scale"]
    parts.tensors["model.task.scale"] = (dtype, [1, 1], raw)


@edit(106, "a tensor that belongs to nothing", CORRUPT, r"\['extra'\], which belong to nothing")
def _(parts):
    parts.tensors["extra"] = ("U8", [4], b"abcd")


@edit(106, "a missing tensor", CORRUPT, "no tensor 'model.weights.head.b'")
def _(parts):
    del parts.tensors["model.weights.head.b"]


@edit(106, "weights of another dtype", CORRUPT, "dtype int32, expected dtype float32")
def _(parts):
    for name, (_, shape, raw) in parts.tensors.items():
        if name.startswith("model.weights"):
            parts.tensors[name] = ("I32", shape, raw)


@edit(106, "moments of another shape", CORRUPT, r"training.moments got shape \(1, ")
def _(parts):
    dtype, (k, n), raw = parts.tensors["model.training.moments"]
    parts.tensors["model.training.moments"] = (dtype, [1, k * n], raw)


@edit(106, "parameters of another size", CORRUPT, "training.parameters got shape")
def _(parts):
    dtype, (n,), raw = parts.tensors["model.training.parameters"]
    parts.tensors["model.training.parameters"] = (dtype, [n - 2], raw[:-8])


@edit(106, "weights in another order", CORRUPT, "another order")
def _(parts):
    names = at(parts.content, find(parts.content, "joined"))
    b_h, b_hn = names.index("layers.0.b_h"), names.index("layers.0.b_hn")
    names[b_h], names[b_hn] = names[b_hn], names[b_h]
    tensors = list(parts.tensors.items())
    i = next(i for i, (name, _) in enumerate(tensors) if name.endswith("b_h"))
    tensors[i], tensors[i + 1] = tensors[i + 1], tensors[i]
    parts.tensors = dict(tensors)


@edit(106, "a scale of zero", CORRUPT, r"task.scale got array\(\[0.\]\), expected one or more pos")
def _(parts):
    parts.tensors["model.task.scale"] = ("F64", [1], bytes(8))


@edit(106, "another scale of zero", CORRUPT, "scale got .*expected positive numbers", "scaler")
def _(parts):
    parts.tensors["scale"] = ("F64", [2], bytes(16))


@edit(106, "a bool that is neither", CORRUPT, "other bytes", "classifier of floats")
def _(parts):
    put(parts.content, find(parts.content, "classes"), {"array": "model.task.classes"})
    parts.tensors["model.task.classes"] = ("BOOL", [2], b"\0\2")
    parts.tensors = dict(
        sorted(
            parts.tensors.items(),
            key=lambda item: -int(item[1][0][1:] or 8) if item[1][0][1:].isdigit() else 0,
        )
    )


@edit(106, "a scaler where an estimator should be", CORRUPT, "a file with a InputForm")
def _(parts):
    parts.content = {"InputForm": at(parts.content, find(parts.content, "InputForm"))}
    parts.tensors = {}


@edit(
    106,
    "a state of an estimator that is not its own",
    CORRUPT,
    "model got Seq2SeqModel.*expected a Model",
    "translator",
)
def _(parts):
    parts.content = {"RNNRegressor": parts.content.pop("Seq2SeqTranslator")}
    at(parts.content, find(parts.content, "parameters"))["dict"] = []


@edit(
    106,
    "a regressor of classes",
    CORRUPT,
    "model.task got ClassificationTask",
    "classifier of floats",
)
def _(parts):
    parts.content = {"RNNRegressor": parts.content.pop("RNNClassifier")}
    at(parts.content, find(parts.content, "parameters"))["dict"] = []


@edit(106, "moments of another dtype", CORRUPT, "training.moments got dtype float64")
def _(parts):
    _, (_, n), raw = parts.tensors["model.training.moments"]
    moments = parts.tensors.pop("model.training.moments")
    assert len(moments[2]) == 8 * n
    parts.tensors = {"model.training.moments": ("F64", [1, n], bytes(len(raw))), **parts.tensors}


@edit(102, "a hundred texts within each other", LIMIT, "values within more than 64 others")
def _(parts):
    put(parts.content, find(parts.content, "shape"), {"json": "0"})
    for i in range(100):
        text = canonical([{"json": str(i + 1)}]).encode()
        parts.tensors[str(i)] = ("U8", [len(text)], text)


@edit(102, "a text that is no UTF-8", CORRUPT, "inputs.shape got no UTF-8")
def _(parts):
    put(parts.content, find(parts.content, "shape"), {"json": "text"})
    parts.tensors["text"] = ("U8", [4], b"[\xff1]")


# 107: numbers that are none
def damaged(number):
    def change(parts):
        dtype, shape, raw = parts.tensors["model.weights.head.W"]
        raw = np.frombuffer(raw, "f4").copy()
        raw[0] = number
        parts.tensors["model.weights.head.W"] = (dtype, shape, raw.tobytes())

    return change


edit(107, "NaN among the weights", CORRUPT, "model.weights got NaN or infinity")(damaged(np.nan))
edit(107, "infinity among the weights", CORRUPT, "got NaN or infinity")(damaged(-np.inf))
value(107, "a mean that is none", "gauss", {"float": "nan"}, CORRUPT, "gauss got nan")


def base_files():
    """The good file of each model that a case changes."""
    return {name: file_of(MODELS[name]()) for name in {case.model for case in CASES}}
