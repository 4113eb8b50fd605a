"""python -m bench: elman against its peers, in turn within one run."""

import argparse
import json
import os
import statistics

import numpy as np

from bench import document
from bench.limits import Sgemm
from bench.measure import in_turn, spread
from bench.peers import installed_peers
from bench.peers.elman_peer import initial_weights
from bench.report import fit_text, row_text, warnings_of
from bench.workloads import WORKLOADS

QUICK = ["simple1", "geron", "geron_gru", "geron_lstm", "lstm64", "rnn512"]
TOLERANCE = 1e-5


def main():
    arguments = parse()
    rows, fits = [], []
    for n_threads in arguments.threads:
        for name in arguments.workloads:
            for row in measure(WORKLOADS[name], n_threads, arguments.rounds):
                rows.append(row)
                print(row_text(row), flush=True)
    for warning in warnings_of(rows):
        print(warning)
    if arguments.document:
        for fit in document.fits():
            fits.append(fit)
            print(fit_text(fit), flush=True)
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
    arguments.rounds = arguments.rounds or (5 if arguments.quick else 9)
    unknown = set(arguments.workloads) - WORKLOADS.keys()
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(WORKLOADS)}")
    return arguments


def measure(workload, n_threads, n_rounds):
    """Rows of training and inference, milliseconds a mini-batch, and of one sequence alone."""
    weights = initial_weights(workload)
    peers = [peer(workload, weights, n_threads) for peer in installed_peers()]
    check_equal({peer.name: peer.predict(1) for peer in peers})
    check_equal({peer.name: peer.predict_one(1) for peer in peers})
    sgemm = Sgemm(n_threads)
    kinds = {
        "training": ("train", workload.training_flops),
        "inference": ("predict", workload.forward_flops),
    }
    if n_threads == 1:
        kinds["one"] = ("predict_one", workload.sequence_flops)
    for what, (method, flops) in kinds.items():
        functions = {peer.name: getattr(peer, method) for peer in peers if getattr(peer, method)}
        times = in_turn({**functions, sgemm.name: sgemm.multiply}, n_rounds)
        yield {
            "workload": workload.name,
            "what": what,
            "n_threads": n_threads,
            **figures(times, flops, sgemm),
        }
    for peer in peers:
        peer.close()


def figures(times, flops, sgemm):
    """Times, and ratios taken within each round."""
    limit, own = times.pop(sgemm.name), times["elman"]
    ratios = {name: t.over(own) for name, t in times.items() if name != "elman"}
    return {
        "ms": {name: 1e3 * t.median for name, t in times.items()},
        "spread": {name: t.spread for name, t in times.items()},
        "ratio": {name: statistics.median(r) for name, r in ratios.items()},
        "ratio_spread": {name: spread(r) for name, r in ratios.items()},
        "share_of_sgemm": flops / sgemm.flops * statistics.median(limit.over(own)),
        "sgemm_gflops": sgemm.flops / limit.median / 1e9,
    }


def check_equal(predictions):
    """Refuse to compare what does not compute the same."""
    expected = predictions["elman"]
    for name, prediction in predictions.items():
        if not np.allclose(prediction, expected, rtol=TOLERANCE, atol=TOLERANCE):
            worst = np.abs(prediction - expected).max()
            raise SystemExit(f"{name} computes something else than elman: differs by {worst:g}")


if __name__ == "__main__":
    main()
