"""Elman and its peers behind one face: weights in, a training epoch, a prediction.

A peer has a ``name``, is made of a workload, elman's initial weights by name and a number of
threads, and offers

    train(n_batches)     that many mini-batches: forward, BPTT and Adam, on the same data again
    predict(n_batches)   (batch_size, 1), the outputs after the last step, computed that often
    predict_one(n_calls) the same for the first sequence alone

A peer for inference only has no ``train``: it is None. ``takes(workload)`` tells, of the class,
whether it can do the same work: one that would have to compute padding cannot.

Each is at its best: see the file of each.
"""

import importlib
import importlib.util

MODULES = {
    "torch": "bench.peers.torch_peer",
    "jax": "bench.peers.jax_peer",
    "onnxruntime": "bench.peers.onnx_peer",
}


def peers_for(workload):
    """The classes of the installed peers that can do the work, elman's first."""
    return [peer for peer in installed_peers() if peer.takes(workload)]


def installed_peers():
    """The classes of the peers that are installed, elman's first."""
    from bench.peers.elman_peer import ElmanPeer

    peers = [ElmanPeer]
    for package, module in MODULES.items():
        if importlib.util.find_spec(package) is not None:
            peers.append(importlib.import_module(module).Peer)
    return peers
