"""elman's own core, called as the estimators and `elman.compile` call it."""

import math

import numpy as np
from elman import _core


def network_of(workload):
    return _core.Network(
        dtype="float32",
        cell=workload.cell,
        activation="tanh",
        reset_after=True,
        hidden_layer_sizes=workload.hidden_layer_sizes,
        bidirectional=[workload.bidirectional] * workload.n_layers,
        n_channels=workload.n_channels,
        n_outputs=1,
        head=True,
    )


def initial_weights(workload):
    """Weights by name, for elman and every peer alike."""
    network = network_of(workload)
    flat = network.initialize(0)
    return {
        name: flat[offset : offset + math.prod(shape)].reshape(shape)
        for name, shape, offset in network.parameters
    }


class ElmanPeer:
    name = "elman"

    @staticmethod
    def takes(workload):
        return True

    def __init__(self, workload, weights, n_threads):
        self.batch_size = workload.batch_size
        network = network_of(workload)
        parameters = np.concatenate([array.ravel() for array in weights.values()])
        self.trainer = _core.Trainer(network, parameters, loss="squared", n_threads=n_threads)
        self.predictor = _core.Predictor(network, parameters, per_step=False, n_threads=n_threads)
        self.x, self.y = workload.data()
        self.is_regular = workload.lengths is None
        lengths = workload.lengths or [workload.n_timesteps] * workload.batch_size
        self.values = np.concatenate([x[:n] for x, n in zip(self.x, lengths, strict=True)])
        self.offsets = np.cumsum([0, *lengths], dtype=np.int64)

    def train(self, n_batches):
        order = np.tile(np.arange(self.batch_size), n_batches)
        self.trainer.epoch(
            self.values,
            self.offsets,
            self.y,
            None,
            order,
            batch_size=self.batch_size,
            per_step=False,
        )

    def predict(self, n_batches):
        for _ in range(n_batches):
            if self.is_regular:
                outputs = self.predictor(self.x)
            else:
                outputs, _ = self.predictor.forward(self.values, self.offsets)
        return outputs

    def predict_one(self, n_calls):
        for _ in range(n_calls):
            outputs = self.predictor(self.x[0])
        return outputs

    def close(self):
        pass
