"""python -m bench.faults.workers: fits on a dask cluster whose workers are killed at random.

Each fit must end with the bits of one that nothing has happened to. It ends at the first that does
not.
"""

import argparse
import os
import random
import sys
import threading
import time
import warnings
from pathlib import Path

os.environ.setdefault("SKBUILD_EDITABLE_VERBOSE", "0")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import dask.array as da
from clusters import SMALL, cluster_of, kill, process_ids, restore, same_bits, sequences
from elman.dask import DaskRNNRegressor
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.faults.workers", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    generator = random.Random(arguments.seed)
    X, y = sequences(400)
    data = [da.from_array(array, chunks=(50, *array.shape[1:])) for array in (X, y)]
    end = time.monotonic() + 60 * arguments.minutes
    n_fits = n_kills = 0
    with cluster_of(3, silence_logs="CRITICAL") as client:
        models = [DaskRNNRegressor(**SMALL, sync_every=k).set_params(max_iter=8) for k in (1, 4)]
        begin = time.monotonic()
        expected = [clone(model).fit(*data) for model in models]
        seconds = (time.monotonic() - begin) / len(models)
        while time.monotonic() < end:
            i = n_fits % len(models)
            victims = generator.sample(process_ids(client), generator.choice([1, 1, 2]))
            timers = [
                threading.Timer(generator.uniform(0, 1.2 * seconds), kill, [victim])
                for victim in victims
            ]
            for timer in timers:
                timer.start()
            model = clone(models[i]).fit(*data)
            for timer in timers:
                timer.join()
            n_fits, n_kills = n_fits + 1, n_kills + len(victims)
            if not same_bits(model, expected[i]):
                raise SystemExit(f"fit {n_fits} has other bits, seed {arguments.seed}")
            while set(victims) & set(process_ids(client)):
                time.sleep(0.1)
            restore(client, 3, patience=120)
    print(f"{n_fits} fits, {n_kills} workers killed: the same bits each time")


if __name__ == "__main__":
    main()
