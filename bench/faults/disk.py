"""Disks that fail: errors in place of system calls, by strace, and file systems that are full.

The k-th call of a kind fails, or it and all that follow, for each k until the save succeeds.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2] / "tests"

# Of what is asked of the disk while a file is saved. Python itself goes on after EINTR in all of
# them, so that one for ever would be one for ever.
CALLS = {
    "openat": ("EMFILE", "EACCES", "EROFS", "ENOSPC", "EIO"),
    "write": ("ENOSPC", "EIO", "EDQUOT", "EFBIG", "EINTR"),
    "fsync": ("EIO", "ENOSPC", "EDQUOT", "EINTR"),
    "close": ("EIO", "ENOSPC", "EDQUOT"),
    "rename": ("EIO", "ENOSPC", "EACCES", "EROFS"),
    "fchmod": ("EIO", "EROFS"),
    "flock": ("ENOLCK", "EIO"),
    "fcntl": ("EMFILE",),
}

SAVER = """
import json, os, signal, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, {tests!r})
import elman
from model_files import MODELS, file_of
path = {path!r}
models = [MODELS["regressor"](), MODELS["translator"]()]
files = [file_of(model) for model in models]
result = "ready"
for command in sys.stdin:
    if command == "report\\n":
        print(json.dumps(result), flush=True)
        continue
    elman.save(models[0], path)
    n_open = len(os.listdir("/proc/self/fd"))
    os.kill(os.getppid(), signal.SIGUSR1)
    if sys.stdin.readline() != "go\\n":
        break
    error = None
    try:
        elman.save(models[1], path)
    except OSError as raised:
        error = [raised.errno, raised.filename]
    result = {{"error": error}}
    os.kill(os.getppid(), signal.SIGUSR1)
    if sys.stdin.readline() != "look\\n":
        break
    data = open(path, "rb").read()
    folder = os.path.dirname(path)
    result |= {{
        "now": ["old", "new"][files.index(data)] if data in files else "broken",
        "strays": [name for name in os.listdir(folder) if name != os.path.basename(path)],
        "left_open": len(os.listdir("/proc/self/fd")) - n_open,
        "path": path,
    }}
"""


class Saver:
    """A process that saves when it is told to."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "model.safetensors")
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        code = SAVER.format(tests=str(TESTS), path=self.path)
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._ask("report")

    def _tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def _ask(self, command):
        self._tell(command)
        return json.loads(self.process.stdout.readline())

    def _wait(self):
        if signal.sigtimedwait([signal.SIGUSR1], 60) is None:
            raise AssertionError("a save hangs")

    def save(self, fault):
        """Save once with a fault of strace's; tell how it went."""
        self._tell("save")
        self._wait()
        command = ["strace", "-f", "-p", str(self.process.pid), "-e", f"inject={fault}"]
        strace = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in strace.stderr:
            if "attached" in line:
                break
        self._tell("go")
        self._wait()
        strace.send_signal(signal.SIGINT)
        log = strace.communicate()[1]
        self._tell("look")
        return self._ask("report"), "(INJECTED)" in log

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def failing_system_calls():
    """The k-th system call of each kind fails with each error, once and for ever, for every k."""
    if shutil.which("strace") is None:
        return "no strace here: NOT TESTED"
    n = reported = 0
    with tempfile.TemporaryDirectory() as folder:
        saver = Saver(folder)
        for call, errors in CALLS.items():
            for error in errors:
                for for_ever in (False, True) if error != "EINTR" else (False,):
                    k = 0
                    while True:
                        k += 1
                        fault = f"{call}:error={error}:when={k}{'+' if for_ever else ''}"
                        result, was_injected = saver.save(fault)
                        if not was_injected:
                            break
                        n += 1
                        reported += _check(result, call, k, fault)
        saver.end()
    return f"{n} injected errors: {reported} told with errno and path, the others did not matter"


def _check(result, call, k, fault):
    assert not result["strays"] or (call == "close"), (fault, result)
    assert result["left_open"] == 0 or call == "close", (fault, result)  # it was not closed indeed
    if result["error"] is None:
        harmless = ("openat", "close", "flock", "fcntl")
        assert result["now"] == "new", (fault, result)
        assert call in harmless or "EINTR" in fault, (fault, result)
        return 0
    code, path = result["error"]
    assert f"error={_name(code)}:" in fault, (fault, result)
    assert path == result["path"], (fault, result)
    is_last_step = call == "fsync" and k == 2
    assert result["now"] == ("new" if is_last_step else "old"), (fault, result)
    return 1


def _name(code):
    import errno

    return errno.errorcode[code]


FULL = """
import os, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, {tests!r})
import elman
from model_files import MODELS, X, Y, file_of, fit
path = os.path.join({folder!r}, "model.safetensors")
small, large = MODELS["window"](), MODELS["translator of vectors"]()
elman.save(small, path)
for options in ({{}}, {{"include_training": False}}):
    try:
        elman.save(large, path, **options)
    except OSError as error:
        assert error.filename == path
        code = error.errno
    else:
        raise AssertionError("it fits")
    assert open(path, "rb").read() == file_of(small)
    assert os.listdir({folder!r}) == ["model.safetensors"]
    assert code == {code}, code
try:
    fit(elman.RNNRegressor, X, Y, hidden_layer_sizes=30, checkpoint=path + ".fit",
        checkpoint_every=1)
except OSError as error:
    assert error.errno == {code}
else:
    raise AssertionError("it fits")
"""


def full_disks():
    """File systems of 16 KiB, and of too few files."""
    import errno

    done = []
    for options, code in (("size=16k", errno.ENOSPC), ("nr_inodes=2", errno.ENOSPC)):
        with tempfile.TemporaryDirectory() as folder:
            mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
            if subprocess.run(mount, capture_output=True).returncode:
                continue
            try:
                code = FULL.format(tests=str(TESTS), folder=folder, code=code)
                subprocess.run([sys.executable, "-c", code], check=True)
                done.append(options)
            finally:
                subprocess.run(["umount", folder], check=True)
    return f"the old file is whole with {', '.join(done)}" if done else "no mount here: NOT TESTED"
