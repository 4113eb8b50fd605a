"""Model files on the disk: paths that are no files, kills, failing calls, crashes and damage."""

import errno
import functools
import os
import re
import signal
import socket
import stat
import time

import fault_loops
import pytest
from elman import ModelCorruptError, _disk, load, save
from model_files import MODELS, file_of, read

model_of = functools.cache(lambda name: MODELS[name]())
fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


# Paths.


def test_91_94_paths_that_are_no_files(tmp_path, path):
    model = model_of("window")
    too_long = str(tmp_path / ("n" * 300))
    (tmp_path / "file").write_text("")
    for bad, saving, loading in [
        (tmp_path, IsADirectoryError, IsADirectoryError),
        (f"{tmp_path}{os.sep}", IsADirectoryError, IsADirectoryError),
        ("", FileNotFoundError, FileNotFoundError),
        (tmp_path / "nowhere" / "model", FileNotFoundError, FileNotFoundError),
        (tmp_path / "file" / "model", NotADirectoryError, NotADirectoryError),
        (too_long, OSError, OSError),
        ("nul\0", ValueError, ValueError),
        (3.5, TypeError, TypeError),
        (None, TypeError, TypeError),
    ]:
        for call, error in ((lambda p: save(model, p), saving), (load, loading)):
            with pytest.raises(error) as raised:
                call(bad)
            if issubclass(error, OSError):
                assert raised.value.filename == os.fspath(bad)
            else:
                assert re.match(r"elman\.(save|load): path got .* expected", str(raised.value))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="these are files of POSIX")
def test_92_94_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket"))
    start = time.perf_counter()
    for bad, what in [
        (tmp_path / "fifo", "a FIFO"),
        ("/dev/full", "a device"),
        ("/dev/zero", "a device"),
        (tmp_path / "socket", "a socket"),
    ]:
        with pytest.raises(ValueError, match=f"^elman.save: path got .*, {what}, expected"):
            save(model_of("window"), bad)
        expected = OSError if what == "a socket" else ModelCorruptError
        with pytest.raises(expected, match=f"{what}, expected|No such device"):
            load(bad)
    assert time.perf_counter() - start < 30
    server.close()
    with pytest.raises(ModelCorruptError, match="a device"):
        load("/dev/null")


@pytest.mark.skipif(os.name != "posix", reason="links are those of POSIX")
def test_92_links(tmp_path, path):
    model, other = model_of("window"), model_of("scaler")
    save(model, path)
    link, hard, dangling, loop = (tmp_path / name for name in ("link", "hard", "dangling", "loop"))
    link.symlink_to(path.name)
    os.link(path, hard)
    dangling.symlink_to("nowhere")
    loop.symlink_to("loop")
    save(other, link)
    assert link.is_symlink()
    assert path.read_bytes() == file_of(other)
    assert hard.read_bytes() == file_of(model)
    for bad, error in ((dangling, FileNotFoundError), (loop, OSError)):
        with pytest.raises(error) as raised:
            save(model, bad)
        assert raised.value.filename == str(bad)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_permissions_are_kept(path):
    save(model_of("window"), path)
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o640)
    save(model_of("scaler"), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_91_a_folder_that_is_not_ones_own(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o500)
    with pytest.raises(PermissionError):
        save(model_of("window"), folder / "model")


# The disk.


@fork
def test_88_a_file_that_may_not_grow(path):
    resource = pytest.importorskip("resource")
    old, new = model_of("window"), model_of("regressor")
    save(old, path)

    def save_too_much():
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(file_of(new)) - 1, -1))
        with pytest.raises(OSError, match="File too large") as raised:
            save(new, path)
        assert (raised.value.errno, raised.value.filename) == (errno.EFBIG, str(path))

    assert os.waitpid(fault_loops.forked(save_too_much), 0)[1] == 0
    assert path.read_bytes() == file_of(old)
    assert fault_loops.strays(path.parent) == []


@pytest.mark.skipif(os.name != "posix", reason="calls are those of POSIX")
def test_89_each_system_call_may_fail(tmp_path, monkeypatch):
    n = fault_loops.fail_each_call(
        monkeypatch, str(tmp_path), model_of("window"), model_of("scaler")
    )
    assert n > 60


def test_89_a_file_that_cannot_be_read(path, monkeypatch):
    save(model_of("window"), path)
    before = fault_loops.open_files()
    for call in ("open", "fstat"):
        with fault_loops.failing(monkeypatch, call, 1, 5, True), pytest.raises(OSError) as raised:  # noqa: PT011
            load(path)
        assert (raised.value.errno, raised.value.filename) == (5, str(path))
    assert fault_loops.open_files() == before


def test_90_any_crash_leaves_the_old_file_or_the_new_one(path, monkeypatch):
    old, new = model_of("scaler"), model_of("regressor")
    save(old, path)
    with monkeypatch.context() as patch:
        recorder = fault_loops.Recorder(patch)
        save(new, path)
    states = fault_loops.crash_states(recorder.steps, str(path), file_of(old))
    assert fault_loops.check_crash_states(states, file_of(old), file_of(new)) > 10
    assert {found for found, _ in states} == {file_of(old), file_of(new)}


def test_interrupted_by_a_signal_nothing_stays_behind(path, monkeypatch):
    save(model_of("scaler"), path)
    for call in ("write", "fsync", "replace", "dup"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, _interrupt)
            with pytest.raises(KeyboardInterrupt):
                save(model_of("window"), path)
    assert path.read_bytes() == file_of(model_of("scaler"))
    assert os.listdir(path.parent) == [path.name]


def _interrupt(*_, **__):
    raise KeyboardInterrupt


def test_a_disk_that_writes_nothing(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: 0)
        with pytest.raises(OSError, match="Input/output error"):
            save(model_of("window"), path)
    assert list(path.parent.iterdir()) == []


def test_a_disk_that_writes_and_reads_in_pieces(path, monkeypatch):
    write, readv = os.write, os.readv
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:100]))
    monkeypatch.setattr(os, "readv", lambda descriptor, data: readv(descriptor, [data[0][:100]]))
    save(model_of("regressor"), path)
    assert file_of(load(path)) == file_of(model_of("regressor"))


def test_a_folder_that_cannot_be_made_durable_as_some_network_folders(path, monkeypatch):
    fsync = os.fsync

    def fsync_of_files(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(22, "no such thing here")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync_of_files)
    save(model_of("window"), path)
    assert path.read_bytes() == file_of(model_of("window"))


def test_a_system_without_locks_and_folders_that_open(path, monkeypatch):
    """As Windows, where nobody can remove what another has open."""
    monkeypatch.setattr(_disk, "fcntl", None)
    monkeypatch.delattr(os, "readv")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", _interrupt)
        patch.setattr(os, "unlink", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            save(model_of("window"), path)
    assert len(fault_loops.strays(path.parent)) == 1
    save(model_of("window"), path)
    assert os.listdir(path.parent) == [path.name]
    assert file_of(load(path)) == file_of(model_of("window"))


@fork
def test_90_killed_while_it_saves(tmp_path):
    assert fault_loops.killed_saves(str(tmp_path), 30) <= 30


@fork
def test_a_stray_is_swept_unless_somebody_holds_it(path):
    fcntl = pytest.importorskip("fcntl")
    model = model_of("window")

    def save_and_be_killed():
        os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
        save(model, path)

    os.waitpid(fault_loops.forked(save_and_be_killed), 0)
    (stray,) = fault_loops.strays(path.parent)
    assert not path.exists()
    others = path.parent / f"{stray.name[:10]}0000000000000000-ab.tmp"
    others.write_text("of another file")
    with open(stray) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        save(model, path)
        assert stray in fault_loops.strays(path.parent)
    save(model, path)
    assert fault_loops.strays(path.parent) == [others]


def test_a_sweeper_between_two_calls_is_no_trouble(path, monkeypatch):
    """Somebody takes a new file for a stray before it is locked, and removes it."""
    fcntl = pytest.importorskip("fcntl")
    real, seen = fcntl.flock, []

    def flock(descriptor, operation):
        seen.append(operation)
        if len(seen) == 1:
            raise BlockingIOError
        if len(seen) == 2:
            for stray in fault_loops.strays(path.parent):
                stray.unlink()
        if len(seen) == 4:
            raise OSError(38, "no locks here")
        return real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    save(model_of("window"), path)
    assert len(seen) == 3
    save(model_of("window"), path)
    assert file_of(load(path)) == file_of(model_of("window"))


@fork
def test_93_two_processes_save_under_one_name(path):
    models = [model_of("window"), model_of("regressor")]
    save(models[0], path)

    def save_often(model):
        for _ in range(60):
            save(model, path)

    children = [fault_loops.forked(functools.partial(save_often, model)) for model in models]
    whole = [file_of(model) for model in models]
    while children:
        assert path.read_bytes() in whole
        child, status = os.waitpid(children[0], os.WNOHANG)
        if child:
            assert status == 0
            children.remove(child)
    assert os.listdir(path.parent) == [path.name]


# Damage.


@functools.cache
def small():
    return file_of(model_of("scaler by sequence"))


def test_95_no_part_of_a_file_is_read():
    for data in (small(), file_of(model_of("regressor"))):
        step = max(1, len(data) // 1000)
        assert fault_loops.count_refused(fault_loops.truncations(data, step), data) >= 500
        with pytest.raises(ModelCorruptError, match="checksum"):
            read(data + data)


def test_96_no_byte_of_a_file_may_differ():
    assert fault_loops.count_refused(
        fault_loops.single_bytes(small(), range(1, 256, 13)), small()
    ) == len(small()) * len(range(1, 256, 13))
    data = file_of(model_of("regressor"))
    damaged = fault_loops.single_bytes(data, (1, 128), range(0, len(data), 3))
    assert fault_loops.count_refused(damaged, data) > 4000


def test_96_no_blocks_may_be_swapped_or_zero():
    data = file_of(model_of("translator of vectors"))
    assert fault_loops.count_refused(fault_loops.blocks(data, 4096), data) > 50
    assert fault_loops.count_refused(fault_loops.blocks(small(), 16), small()) > 400


@pytest.mark.parametrize(
    "name",
    [
        *("regressor", "classifier of strings", "translator", "count ratios"),
        *("recurrent forecaster of hours", "linear forecaster of hours", "imputer of hours"),
    ],
)
def test_no_forged_file_does_harm(name):
    rng = fault_loops.random.Random(name)
    good = file_of(model_of(name))
    results = {}
    for _ in range(200):
        result, _ = fault_loops.try_mutant(fault_loops.mutant(good, rng), name)
        results[result] = results.get(result, 0) + 1
    assert results["ModelCorruptError"] > 50
    assert results["ModelVersionError"] > 5
