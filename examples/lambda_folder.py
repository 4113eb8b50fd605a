"""A folder that AWS Lambda takes: elman, all that it needs, a model and a handler.

    python examples/lambda_folder.py [WHEEL]

installs elman, from a wheel or from this clone, with numpy, scikit-learn and what these bring into
build/lambda, trains a small model, tells how large the folder is beside Lambda's limit, and calls
the handler there, in a Python that finds no other packages. What is left out are the packages'
own tests and compiled Python, which nothing imports. To upload it, zip what is in the folder; the
machine that makes it has to be like those that run it: Linux, the same Python and processor.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 250  # MB, unzipped: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MB = 1024**2
HANDLER = '''\
"""What Lambda calls, as ``handler.handler``."""

from pathlib import Path

import elman

predict = elman.compile(elman.load(Path(__file__).with_name("model.safetensors")))


def handler(event, context):
    return {"prediction": float(predict(event["sequence"]))}
'''
CALL = """\
import json, sys
sys.path.insert(0, sys.argv[1])
import handler
answer = handler.handler(json.loads(sys.argv[2]), None)
names = ("elman", "joblib", "numpy", "scipy", "sklearn", "threadpoolctl")
print(json.dumps([answer, [sys.modules[name].__file__ for name in names if name in sys.modules]]))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", nargs="?", default=ROOT, help="of elman; default: this clone")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "lambda")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    install(arguments.wheel, folder)
    whole = size(folder)
    prune(folder)
    expected, sequence = add_model(folder)
    archive = zipped(folder)
    for name, n_bytes in sorted(sizes(folder).items(), key=lambda item: -item[1])[:6]:
        print(f"{n_bytes / MB:8.1f} MB  {name}")
    print(
        f"unzipped {size(folder) / MB:.1f} MB ({whole / MB:.1f} MB with tests), zipped "
        f"{archive.stat().st_size / MB:.1f} MB; Lambda's limit is {LIMIT} MB unzipped"
    )
    assert size(folder) < LIMIT * MB
    start = time.perf_counter()
    answer = call(folder, sequence)
    print(f"{answer} in a new process, after {time.perf_counter() - start:.1f} s")
    assert answer["prediction"] == expected


def install(elman, folder):
    """Install elman and what it needs there, whatever is installed elsewhere."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--upgrade"]
    subprocess.run([*pip, "--target", str(folder), str(elman)], check=True)


def prune(folder):
    """Delete the tests of packages, and programs that a handler does not call."""
    for tests in list(folder.glob("*/**/tests")):
        shutil.rmtree(tests, ignore_errors=True)
    shutil.rmtree(folder / "bin", ignore_errors=True)


def add_model(folder):
    """Train a model, save it there with a handler, and tell what it says of a sequence."""
    import elman
    import numpy as np
    from elman.datasets import generate_time_series

    series = generate_time_series(1000, 51, random_state=0).astype(np.float32)
    model = elman.RNNRegressor(
        hidden_layer_sizes=20, tol=1e-3, learning_rate_init=0.01, random_state=0
    )
    model.fit(series[:, :-1], series[:, -1, 0])
    elman.save(model, folder / "model.safetensors")
    (folder / "handler.py").write_text(HANDLER)
    return float(model.predict(series[:1, :-1])[0]), series[0, :-1].tolist()


def sizes(folder):
    """Bytes of each entry of the folder."""
    return {entry.name: size(entry) for entry in folder.iterdir()}


def size(path):
    """Bytes of a file, or of all files below a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def zipped(folder):
    """Zip the folder beside it."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


def call(folder, sequence):
    """Call the handler in a Python without site-packages and environment; all comes from there."""
    command = [sys.executable, "-I", "-S", "-B", "-c", CALL, str(folder)]
    done = subprocess.run(
        [*command, json.dumps({"sequence": sequence})], check=True, capture_output=True, text=True
    )
    answer, files = json.loads(done.stdout)
    assert all(Path(file).is_relative_to(folder) for file in files), files
    return answer


if __name__ == "__main__":
    main()
