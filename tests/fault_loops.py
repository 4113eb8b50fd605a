"""Damage, kills and failing system calls, as many as one likes: for tests and bench/faults."""

import copy
import errno
import os
import random
import signal
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import elman
import numpy as np
from elman import ModelFileError, RNNRegressor
from elman._files import from_bytes
from model_files import SOURCE, Parts, X, Y, at, file_of, forecasts_of, inputs_of, places, put, read

# Damage: nothing that differs in a byte is read.


def truncations(data, step=1):
    return (data[:n] for n in range(0, len(data), step))


def single_bytes(data, changes, positions=None):
    """Each byte plus each of some numbers."""
    bad = bytearray(data)
    for i in range(len(data)) if positions is None else positions:
        for change in changes:
            bad[i] = (data[i] + change) % 256
            yield bad
        bad[i] = data[i]


def blocks(data, size):
    """Each block of some size zeroed, and each two of them swapped."""
    n = len(data) // size
    for i in range(n):
        bad = bytearray(data)
        bad[i * size : (i + 1) * size] = bytes(size)
        yield bad
        for j in range(i + 1, n):
            bad = bytearray(data)
            one, other = slice(i * size, (i + 1) * size), slice(j * size, (j + 1) * size)
            bad[one], bad[other] = data[other], data[one]
            yield bad


def count_refused(damaged, data):
    """How many files were refused; AssertionError for one that was read."""
    n = 0
    for bad in damaged:
        if bytes(bad) == data:
            continue
        try:
            read(bad)
        except elman.ModelCorruptError:
            n += 1
        except elman.ModelLimitError:
            n += 1
        else:
            raise AssertionError(f"a damaged file was read: {bytes(bad)[:99]!r}")
    return n


# Mutants: files with a right checksum and something else in them.

STRANGE = [
    *(None, True, False, 0, 1, -1, 2, 3, 255, 2**31, 2**31 - 1, 2**32, 2**53, 2**63, 2**64, 10**30),
    *(0.0, -0.0, 0.5, 1e308, -1e308, 5e-324, "", "a", "relu", "decay", "tokens", "os.system"),
    *([], {}, [0], [1, 2], [[]], {"tuple": [1]}, {"dict": []}, {"float": "inf"}, {"float": "nan"}),
    *(
        {"array": "model.weights.head.W"},
        {"json": "parameters"},
        {"dtype": "float64"},
        "\0",
        "é" * 9,
    ),
    *({"empty": ["float32", [0]]}, {"items": ["<U2", [1], ["ab"]]}, {"scalar": ["int64", 5]}),
]


def mutant(data, rng):
    """A file with a few parts changed, its checksum right."""
    parts = Parts.of(data)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        rng.choice(MUTATIONS)(parts, rng)
    try:
        return parts.join()
    except (ValueError, TypeError, OverflowError):  # no JSON, or no shape
        return data[: rng.randrange(len(data))]


def change_content(parts, rng):
    path = rng.choice(places(parts.content))
    if path:
        old = at(parts.content, path)
        new = copy.deepcopy(rng.choice(STRANGE))
        if isinstance(old, int) and rng.random() < 0.5:
            new = old + rng.choice([-2, -1, 1, 2, 100])
        put(parts.content, path, new)


def drop_or_repeat(parts, rng):
    path = rng.choice(places(parts.content))
    part = at(parts.content, path)
    if isinstance(part, dict) and part:
        key = rng.choice(list(part))
        value = part.pop(key)
        if rng.random() < 0.5:
            part[rng.choice(["Model", "InputForm", "tuple", "dict", key + "x"])] = value
    elif isinstance(part, list) and part:
        i = rng.randrange(len(part))
        part[i : i + 1] = [copy.deepcopy(part[i]) for _ in range(rng.choice([0, 2, 5]))]


def swap_content(parts, rng):
    some = [path for path in places(parts.content) if path] or [()]
    one, other = rng.choice(some), rng.choice(some)
    if one[: len(other)] != other and other[: len(one)] != one:
        a, b = at(parts.content, one), at(parts.content, other)
        put(parts.content, one, b)
        put(parts.content, other, a)


def change_table(parts, rng):
    if not parts.tensors:
        return
    name = rng.choice([*parts.tensors, "sha256", "new"])
    number = rng.choice([-1, 0, 1, 2, 8, 31, 32, 2**31, 2**32, 2**61, 2**62, 2**63, 2**64 - 1, 1.5])
    parts.table[name] = rng.choice(
        [
            {"shape": [number]},
            {"shape": [number, number, number]},
            {"data_offsets": [number, number]},
            {"data_offsets": [0, number]},
            {"dtype": rng.choice(["F16", "F32", "F64", "I64", "U8", "BOOL", "BF16", "O", number])},
        ]
    )


def change_tensor(parts, rng):
    if not parts.tensors:
        return
    name = rng.choice(list(parts.tensors))
    dtype, shape, raw = parts.tensors[name]
    raw = bytearray(raw)
    for _ in range(rng.choice([1, 1, 4])):
        raw[rng.randrange(len(raw))] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
    if dtype[0] == "F" and rng.random() < 0.3:
        numbers = np.frombuffer(raw, f"f{int(dtype[1:]) // 8}").copy()
        numbers[rng.randrange(len(numbers))] = rng.choice([np.inf, np.nan, 0, 1e30, -1])
        raw = numbers.tobytes()
    parts.tensors[name] = (dtype, shape, bytes(raw))


def change_tensors(parts, rng):
    names = list(parts.tensors)
    if not names:
        return
    name = rng.choice(names)
    choice = rng.randrange(4)
    if choice == 0:
        del parts.tensors[name]
    elif choice == 1:
        parts.tensors[name + "x"] = parts.tensors[name]
    elif choice == 2:
        other = rng.choice(names)
        parts.tensors[name], parts.tensors[other] = parts.tensors[other], parts.tensors[name]
    else:
        dtype, shape, raw = parts.tensors[name]
        shape = list(shape)
        rng.shuffle(shape)
        parts.tensors[name] = (
            dtype,
            rng.choice([shape, shape[::-1], [*shape, 1], [len(raw)]]),
            raw,
        )


def change_metadata(parts, rng):
    name = rng.choice([*parts.metadata, "new"])
    if rng.random() < 0.3:
        parts.metadata.pop(name, None)
    else:
        parts.metadata[name] = rng.choice(
            ["", "0", "1", "2", "-1", "elman", "1e9", 1, None, "9" * 99]
        )


MUTATIONS = [
    *[change_content] * 5,
    *[drop_or_repeat] * 2,
    swap_content,
    change_table,
    *[change_tensor] * 2,
    change_tensors,
    change_metadata,
]


MOST_ASKED = 1000


def try_mutant(data, name):
    """Read a mutant; one that can be read must not crash when it is used. Tells how it went."""
    start = time.perf_counter()
    try:
        model = read(data)
    except ModelFileError as error:
        result = type(error).__name__
    except MemoryError:
        result = "MemoryError"
    else:
        result = "read"
    seconds = time.perf_counter() - start
    if result == "read":
        try:
            use(model, name)
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, MemoryError):
            result = "read, and refused in use"
    return result, seconds


def use(model, name):
    """Predict with a model that does not ask for millions of steps, or n-grams, as anybody may."""
    asked = [*model.get_params().values()]
    asked += [item for value in asked if isinstance(value, (list, tuple)) for item in value]
    fitted = [getattr(model, "_model", None), *(m.plan for m in getattr(model, "_models", ()))]
    sizes = ("n_timesteps", "window", "horizon", "season_length")
    asked += [getattr(one, size, None) for one in fitted for size in sizes]
    if any(isinstance(value, int) and value > MOST_ASKED for value in asked):
        return
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if hasattr(model, "predict_interval"):
            forecasts_of(model, name)
            return
        method = getattr(model, "predict", None) or getattr(model, "transform", None)
        if method is not None:
            method(inputs_of(name))


# Kills: a file is the old one or the new one.


def forked(action):
    """Start a process that does something and ends, with 0 unless it raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
        child = os.fork()
    if child:
        return child
    status = 1
    try:
        action()
        status = 0
    finally:
        os._exit(status)


def killed_after(seconds, action):
    """Let a process that does something be killed; whether it was still at it."""
    child = forked(action)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def strays(folder):
    return [path for path in Path(folder).iterdir() if path.name.endswith(".tmp")]


def killed_saves(folder, n, seed=0):
    """Kill processes that save in turn two models under one name; the largest number of strays."""
    rng = random.Random(seed)
    models = [_model(hidden_layer_sizes=(64,)), _model(hidden_layer_sizes=(65,))]
    whole = {file_of(model) for model in models}
    path = os.path.join(folder, "model.safetensors")
    elman.save(models[0], path)

    def save_for_ever():
        while True:
            for model in models:
                elman.save(model, path)

    most = 0
    for _ in range(n):
        assert killed_after(rng.uniform(0, 0.02), save_for_ever)
        with open(path, "rb") as file:
            assert file.read() in whole, "the file was neither the old nor the new one"
        most = max(most, len(strays(folder)))
        if rng.random() < 0.5:
            elman.save(models[0], path)
            assert not strays(folder)
    elman.load(path)
    return most


def _model(**options):
    settings = {"max_iter": 2, "random_state": 0, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return RNNRegressor(**settings).fit(X, Y)


def killed_fits(folder, n, seed=0):
    """Kill fits until each has ended; how often that was, and the bits are those of a quiet one."""
    rng = random.Random(seed)
    kills = 0
    while kills < n:
        options = {
            "hidden_layer_sizes": (rng.choice([3, 8]),),
            "batch_size": rng.choice([5, 24]),
            "dropout": rng.choice([0.0, 0.3]),
            "early_stopping": rng.random() < 0.5,
            "learning_rate": rng.choice(["constant", "adaptive", "cosine"]),
            "solver": rng.choice(["adam", "sgd", "nadam"]),
            "random_state": rng.randrange(100),
            "max_iter": 20,
            "n_iter_no_change": 50,
        }
        wanted = _model(**options)
        path = os.path.join(folder, f"fit-{kills}.safetensors")
        options |= {"checkpoint": path, "checkpoint_every": rng.choice([1, 4])}
        start = time.perf_counter()
        _model(**{**options, "checkpoint": path + ".quiet"})
        seconds = time.perf_counter() - start
        while killed_after(rng.uniform(0, seconds), lambda options=options: _model(**options)):
            kills += 1
        model = _model(**options)
        assert file_of(model._model) == file_of(wanted._model)
        assert not strays(folder) or kills
    return kills


# System calls that fail: the error is told, and the old file is there.

CALLS = {
    "open": (errno.EMFILE, errno.EACCES, errno.EROFS, errno.ENOSPC),
    "write": (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG),
    "fsync": (errno.EIO, errno.ENOSPC, errno.EDQUOT),
    "close": (errno.EIO, errno.ENOSPC, errno.EDQUOT),
    "replace": (errno.EIO, errno.ENOSPC, errno.EACCES, errno.EROFS),
    "fchmod": (errno.EIO,),
    "dup": (errno.EMFILE,),
    "lstat": (errno.EACCES, errno.EIO),
    "scandir": (errno.EACCES,),
}


@contextmanager
def failing(monkeypatch, call, number, code, for_ever):
    """Let the k-th call of a function of `os` fail, once or from then on; yields a counter."""
    real, seen = getattr(os, call), [0]

    def fake(*arguments, **options):
        seen[0] += 1
        if seen[0] < number or (seen[0] > number and not for_ever):
            return real(*arguments, **options)
        if call == "close":  # which closes all the same
            real(*arguments, **options)
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fake)
        yield seen


def open_files():
    return sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else []


def fail_each_call(monkeypatch, folder, model, other):
    """Let each call of each kind fail while a model is saved over another; how many did."""
    path = os.path.join(folder, "model.safetensors")
    n = 0
    for call, codes in CALLS.items():
        for code in codes:
            for for_ever in (False, True):
                number = 0
                while True:
                    number += 1
                    elman.save(other, path)
                    if not _fails(monkeypatch, path, model, (call, number, code, for_ever)):
                        break
                    n += 1
    return n


def _fails(monkeypatch, path, model, fault):
    old, new = Path(path).read_bytes(), file_of(model)
    before = open_files()
    with failing(monkeypatch, *fault) as seen:
        try:
            elman.save(model, path)
            error = None
        except OSError as raised:
            error = raised
    call, number, code, _ = fault
    assert open_files() == before, fault
    now = Path(path).read_bytes()
    assert not strays(os.path.dirname(path)), fault
    if error is None:
        # It was not reached, or did not matter: listing the folder, looking for links in its
        # path, and closing what is durable.
        assert now == new, fault
        assert seen[0] < number or call in ("scandir", "lstat", "close"), fault
        return seen[0] >= number
    assert (error.errno, error.filename) == (code, path), fault
    is_last_step = call == "fsync" and number == 2  # that of the folder: the new name is there
    assert now == (new if is_last_step else old), fault
    return True


# Crashes of the machine: what was not made durable may be lost.


class Recorder:
    """Writes down what a save does to the file system."""

    def __init__(self, monkeypatch):
        self.steps = []
        self._paths = {}
        for call in ("open", "write", "fsync", "replace"):
            monkeypatch.setattr(os, call, self._recorded(call, getattr(os, call)))

    def _recorded(self, call, real):
        def recorded(*arguments, **options):
            result = real(*arguments, **options)
            if call == "open":
                self._paths[result] = arguments[0]
            elif call == "write":
                written = bytes(arguments[1][:result])
                self.steps.append(("write", self._paths[arguments[0]], written))
            elif call == "fsync":
                self.steps.append(("fsync", self._paths[arguments[0]], None))
            else:
                self.steps.append(("replace", *arguments))
            return result

        return recorded


def crash_states(steps, path, old):
    """What may be found after a crash at any point: the content of the file, and of a stray.

    Of what was written and not yet made durable, any number of sectors may be there; a new name
    may be there before or after the content that was not made durable, and may be lost until the
    folder was.
    """
    folder = os.path.dirname(path)
    content, durable, names, states = {path: old}, {path: old}, {path: path}, []
    pending = None
    for call, target, what in [*steps, ("end", None, None)]:
        for name in [*content]:
            missing = content[name][len(durable.get(name, b"")) :]
            cuts = {0, 511, 512, len(missing), *range(0, len(missing), 512)}
            for cut in cuts:
                found = durable.get(name, b"") + missing[: min(cut, len(missing))]
                current = {**durable, name: found}
                for named in {names[path], pending or names[path]}:
                    states.append((current.get(named, b""), current.get(name, b"")))
        if call == "write":
            content[target] = content.get(target, b"") + what
        elif call == "fsync" and target == folder:
            names[path], pending = pending, None
        elif call == "fsync":
            durable[target] = content[target]
        elif call == "replace":
            assert what == path
            pending = target
    assert pending is None, "the new name was not made durable"
    return set(states)


def check_crash_states(states, old, new):
    """Whatever is found is the old file or the new one; how many states that were."""
    for found, _ in states:
        assert found in (old, new)
        from_bytes(found, SOURCE)
    return len(states)
