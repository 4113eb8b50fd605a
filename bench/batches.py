"""Training and inference of one mini-batch, and of one sequence alone: elman, peers and limit."""

import statistics

import numpy as np

from bench.limits import Sgemm
from bench.measure import in_turn, spread
from bench.peers import peers_for
from bench.peers.elman_peer import ElmanPeer, initial_weights

TOLERANCE = 1e-5
KINDS = {"training": "train", "inference": "predict", "one": "predict_one"}


def measure(workload, n_threads, n_rounds, kinds, seconds_a_round=0.05):
    """A row of figures for each kind, in milliseconds a call."""
    weights = initial_weights(workload)
    peers = [peer(workload, weights, n_threads) for peer in peers_for(workload)]
    check_equal({peer.name: peer.predict(1) for peer in peers})
    check_equal({peer.name: peer.predict_one(1) for peer in peers})
    sgemm = Sgemm(n_threads)
    flops = {
        "training": workload.training_flops,
        "inference": workload.forward_flops,
        "one": workload.sequence_flops,
    }
    bytes_moved = {
        "training": 3 * workload.forward_bytes,
        "inference": workload.forward_bytes,
        "one": workload.sequence_bytes,
    }
    for kind in kinds:
        functions = {peer.name: getattr(peer, KINDS[kind]) for peer in peers}
        functions = {name: function for name, function in functions.items() if function}
        times = in_turn({**functions, sgemm.name: sgemm.multiply}, n_rounds, seconds_a_round)
        yield {
            "workload": workload.name,
            "what": kind,
            "n_threads": n_threads,
            "flops": flops[kind],
            "bytes_moved": bytes_moved[kind],
            **figures(times, flops[kind], sgemm),
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


def ragged_over_regular(ragged, regular, n_rounds):
    """Time of a real step in a ragged mini-batch over that in a regular one, elman's own."""
    peers = {w: ElmanPeer(w, initial_weights(w), n_threads=1) for w in (ragged, regular)}
    for kind in ("training", "inference"):
        times = in_turn({w.name: getattr(peer, KINDS[kind]) for w, peer in peers.items()}, n_rounds)
        steps = regular.n_steps / ragged.n_steps
        ratios = [steps * r for r in times[ragged.name].over(times[regular.name])]
        yield {"what": kind, "ratio": statistics.median(ratios), "spread": spread(ratios)}
