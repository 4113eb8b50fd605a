"""What is measured: networks and mini-batches, from a toy to what fills the machine."""

from dataclasses import dataclass

import numpy as np

N_GATES = {"simple": 1, "gru": 3, "lstm": 4}


@dataclass(frozen=True)
class Workload:
    """A recurrent network with a dense head of one output, and a mini-batch for it.

    ``lengths`` cuts the mini-batch's sequences short; None leaves them all n_timesteps long.
    """

    name: str
    cell: str
    n_layers: int
    n_units: int
    n_channels: int
    n_timesteps: int
    batch_size: int
    bidirectional: bool = False
    lengths: tuple[int, ...] | None = None

    @property
    def n_directions(self):
        return 2 if self.bidirectional else 1

    @property
    def n_steps(self):
        """Real steps of the mini-batch, over all sequences."""
        return sum(self.lengths) if self.lengths else self.batch_size * self.n_timesteps

    @property
    def hidden_layer_sizes(self):
        return [self.n_units] * self.n_layers

    @property
    def forward_flops(self):
        """Of a mini-batch: two for each multiply-add of the recurrent layers."""
        n, directions = self.n_units, self.n_directions
        depths = [self.n_channels + n] + [(directions + 1) * n] * (self.n_layers - 1)
        return 2 * N_GATES[self.cell] * n * sum(depths) * directions * self.n_steps

    @property
    def forward_bytes(self):
        return self._bytes(self.n_steps)

    @property
    def sequence_bytes(self):
        return self._bytes(self.n_timesteps)

    def _bytes(self, n_rows):
        """In float32, if weights are read once a step of the mini-batch and rows once."""
        n, directions = self.n_units, self.n_directions
        inputs = [self.n_channels] + [directions * n] * (self.n_layers - 1)
        weights = sum(N_GATES[self.cell] * n * (width + n) * directions for width in inputs)
        rows = sum(width + directions * n for width in inputs)
        return 4 * (weights * self.n_timesteps + rows * n_rows)

    @property
    def training_flops(self):
        return 3 * self.forward_flops

    @property
    def sequence_flops(self):
        return self.forward_flops * self.n_timesteps // self.n_steps

    def data(self):
        """X (batch, steps, channels) and y (batch, 1) in float32."""
        rng = np.random.default_rng(0)
        shape = (self.batch_size, self.n_timesteps, self.n_channels)
        return (
            rng.normal(size=shape).astype(np.float32),
            rng.normal(size=(self.batch_size, 1)).astype(np.float32),
        )


def long_tailed(batch_size, longest):
    """Lengths whose logarithms are normal, as those of sentences are; the longest one is there."""
    rng = np.random.default_rng(0)
    lengths = np.minimum(rng.lognormal(np.log(longest / 6), 0.8, batch_size), longest)
    lengths = np.maximum(lengths.astype(int), 1)
    lengths[0] = longest
    return tuple(int(length) for length in lengths)


def by_name(*workloads):
    return {workload.name: workload for workload in workloads}


WORKLOADS = by_name(
    Workload("simple1", "simple", 1, 1, 1, 50, 32),
    Workload("geron", "simple", 2, 20, 1, 50, 32),
    Workload("geron_gru", "gru", 2, 20, 1, 50, 32),
    Workload("geron_lstm", "lstm", 2, 20, 1, 50, 32),
    Workload("lstm64", "lstm", 1, 64, 7, 96, 64),
    Workload("gru128", "gru", 1, 128, 16, 100, 128),
    Workload("lstm256x2", "lstm", 2, 256, 64, 64, 64),
    Workload("lstm512", "lstm", 1, 512, 64, 64, 64),
    Workload("rnn512", "simple", 1, 512, 64, 64, 64),
)

LENGTHS = long_tailed(64, 300)
MEAN_LENGTH = round(sum(LENGTHS) / len(LENGTHS))
SHAPES = by_name(
    Workload("ragged", "lstm", 1, 64, 7, 300, 64, lengths=LENGTHS),
    Workload("as_regular", "lstm", 1, 64, 7, MEAN_LENGTH, 64),
    Workload("bidirectional", "lstm", 1, 64, 7, 96, 64, bidirectional=True),
    Workload("bidirectional2", "gru", 2, 64, 7, 96, 64, bidirectional=True),
)

SWEEPS = {
    "hidden size": {
        n: Workload(f"hidden {n}", "lstm", 1, n, 16, 32, 32)
        for n in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
    },
    "batch size": {
        n: Workload(f"batch {n}", "lstm", 1, 64, 16, 32, n)
        for n in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
    },
    "steps": {
        n: Workload(f"steps {n}", "lstm", 1, 32, 4, n, 8)
        for n in (10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000)
    },
}
