"""python -m bench: elman against its peers, in turn within one run."""

import argparse
import json
import os

import numpy as np

from bench import document
from bench.limits import Sgemm
from bench.measure import in_turn
from bench.peers import installed_peers
from bench.peers.elman_peer import initial_weights
from bench.workloads import WORKLOADS

QUICK = ["simple1", "geron", "geron_gru", "geron_lstm", "lstm64", "rnn512"]
BATCHES_IN_A_CALL = 0.05e9  # flops that a call should have at least


def main():
    arguments = parse()
    rows = []
    for n_threads in arguments.threads:
        for name in arguments.workloads:
            rows += measure(WORKLOADS[name], n_threads, arguments.rounds)
            show(rows[-2:])
    fits = list(document.fits()) if arguments.document else []
    for model, peer, seconds, error in fits:
        print(f"{model:<18} {peer:<6} whole fit {seconds:6.2f} s, validation MSE {error:.5f}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"rows": rows, "fits": fits}, file, indent=1)


def parse():
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    n_cores = len(os.sched_getaffinity(0))
    parser.add_argument("--quick", action="store_true", help="fewer workloads and rounds")
    parser.add_argument("--workloads", type=lambda text: text.split(","))
    parser.add_argument(
        "--threads",
        type=lambda text: [int(n) for n in text.split(",")],
        default=sorted({1, n_cores}),
    )
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--json", help="a file for all figures")
    parser.add_argument("--document", action="store_true", help="the whole fit beside Keras")
    arguments = parser.parse_args()
    arguments.workloads = arguments.workloads or (QUICK if arguments.quick else list(WORKLOADS))
    arguments.rounds = arguments.rounds or (3 if arguments.quick else 7)
    unknown = set(arguments.workloads) - WORKLOADS.keys()
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    return arguments


def measure(workload, n_threads, n_rounds):
    """Two rows, of training and of inference: milliseconds a mini-batch for each peer."""
    weights = initial_weights(workload)
    peers = [peer(workload, weights, n_threads) for peer in installed_peers()]
    check_equal({peer.name: peer.predict() for peer in peers})
    sgemm = Sgemm(n_threads)
    n_batches = max(1, round(BATCHES_IN_A_CALL / workload.training_flops))
    train = {peer.name: lambda peer=peer: peer.train(n_batches) for peer in peers}
    predict = {peer.name: peer.predict for peer in peers}
    rows = []
    for what, functions, flops, batches in (
        ("training", train, workload.training_flops, n_batches),
        ("inference", predict, workload.forward_flops, 1),
    ):
        times = in_turn({**functions, sgemm.name: sgemm}, n_rounds)
        limit = sgemm.flops / times.pop(sgemm.name).median
        own = times["elman"].median / batches
        rows.append(
            {
                "workload": workload.name,
                "what": what,
                "n_threads": n_threads,
                "ms": {name: 1e3 * t.median / batches for name, t in times.items()},
                "spread": {name: t.spread for name, t in times.items()},
                "ratio": {
                    name: t.median / batches / own for name, t in times.items() if name != "elman"
                },
                "share_of_sgemm": flops / own / limit,
                "sgemm_gflops": limit / 1e9,
            }
        )
    for peer in peers:
        peer.close()
    return rows


def check_equal(predictions):
    """Refuse to compare what does not compute the same."""
    expected = predictions["elman"]
    for name, prediction in predictions.items():
        if not np.allclose(prediction, expected, rtol=1e-3, atol=1e-4):
            worst = np.abs(prediction - expected).max()
            raise SystemExit(f"{name} computes something else than elman: differs by {worst:g}")


def show(rows):
    for row in rows:
        peers = "  ".join(
            f"{name} {row['ms'][name]:9.3f} ms ({ratio:5.2f}x)"
            for name, ratio in row["ratio"].items()
        )
        print(
            f"{row['workload']:<10} {row['what']:<9} n={row['n_threads']}  "
            f"elman {row['ms']['elman']:9.3f} ms ±{row['spread']['elman']:4.0%}  {peers}  "
            f"{row['share_of_sgemm']:4.0%} of sgemm ({row['sgemm_gflops']:.0f} GF)",
            flush=True,
        )


if __name__ == "__main__":
    main()
