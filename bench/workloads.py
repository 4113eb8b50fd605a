"""What is measured: networks and mini-batches, from a toy to what fills the machine."""

from dataclasses import dataclass

import numpy as np

N_GATES = {"simple": 1, "gru": 3, "lstm": 4}


@dataclass(frozen=True)
class Workload:
    """A recurrent network with a dense head of one output, and a mini-batch for it."""

    name: str
    cell: str
    n_layers: int
    n_units: int
    n_channels: int
    n_timesteps: int
    batch_size: int

    @property
    def hidden_layer_sizes(self):
        return [self.n_units] * self.n_layers

    @property
    def forward_flops(self):
        """Of a mini-batch: two for each multiply-add of the recurrent layers."""
        depths = [self.n_channels + self.n_units] + [2 * self.n_units] * (self.n_layers - 1)
        of_a_step = 2 * N_GATES[self.cell] * self.n_units * sum(depths)
        return of_a_step * self.n_timesteps * self.batch_size

    @property
    def training_flops(self):
        return 3 * self.forward_flops

    @property
    def sequence_flops(self):
        return self.forward_flops // self.batch_size

    def data(self):
        """X (batch, steps, channels) and y (batch, 1) in float32."""
        rng = np.random.default_rng(0)
        shape = (self.batch_size, self.n_timesteps, self.n_channels)
        return (
            rng.normal(size=shape).astype(np.float32),
            rng.normal(size=(self.batch_size, 1)).astype(np.float32),
        )


WORKLOADS = {
    workload.name: workload
    for workload in (
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
}
