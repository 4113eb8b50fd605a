"""An embedding of tokens, recurrent layers of one direction or two, a dense head (network.hpp)."""

from dataclasses import dataclass

import numpy as np

from reference import embedding, initialize, layer
from reference.cell import cell_of
from reference.dropout import Dropout
from reference.initialize import glorot, orthogonal
from reference.random import bits


@dataclass
class Network:
    cell: str
    hidden_layer_sizes: list
    bidirectional: list
    n_channels: int
    n_outputs: int
    head: bool = True
    activation: str = "tanh"
    reset_after: bool = True
    n_tokens: int = 0

    def __post_init__(self):
        self.the_cell = cell_of(self.cell, self.activation, self.reset_after)
        self.n_layers = len(self.hidden_layer_sizes)
        self.parameters, self.states = [], []
        if self.n_tokens:
            self.parameters.append(("embedding", (self.n_tokens, self.n_channels)))
        n_inputs = self.n_channels
        for k, n_units in enumerate(self.hidden_layer_sizes):
            for prefix in self.prefixes(k):
                self._add_direction(prefix, n_inputs, n_units)
            n_inputs = n_units * len(self.prefixes(k))
        if self.head:
            self.parameters += [
                ("head.W", (n_inputs, self.n_outputs)),
                ("head.b", (self.n_outputs,)),
            ]
        else:
            self.n_outputs = n_inputs
        self.n_parameters = sum(int(np.prod(shape)) for _, shape in self.parameters)
        self.state_size = sum(width for _, width in self.states)

    def prefixes(self, k):
        """What the names of layer k's directions begin with."""
        return [f"layers.{k}."] + ([f"layers.{k}.reverse."] if self.bidirectional[k] else [])

    def _add_direction(self, prefix, n_inputs, n_units):
        columns = self.the_cell.n_columns * n_units
        self.parameters.append((prefix + "W_xh", (n_inputs, columns)))
        if self.the_cell.has_recurrent_weights:
            self.parameters.append((prefix + "W_hh", (n_units, columns)))
        self.parameters.append((prefix + "b_h", (columns,)))
        if self.the_cell.has_recurrent_bias:
            self.parameters.append((prefix + "b_hn", (n_units,)))
        self.states.append((prefix + "h", n_units))
        if self.the_cell.has_cell_state:
            self.states.append((prefix + "c", n_units))

    def named(self, flat):
        """Views of a flat array of parameters, by name."""
        arrays, offset = {}, 0
        for name, shape in self.parameters:
            size = int(np.prod(shape))
            arrays[name] = flat[offset : offset + size].reshape(shape)
            offset += size
        return arrays

    def direction(self, arrays, prefix):
        """The arrays of one direction, without its prefix."""
        names = ("W_xh", "W_hh", "b_h", "b_hn")
        return {name: arrays[prefix + name] for name in names if prefix + name in arrays}

    def initialize(self, seed):
        flat = np.zeros(self.n_parameters)
        for p, (name, array) in enumerate(self.named(flat).items()):
            key = bits(seed, p)
            if name == "embedding":
                array[...] = initialize.embedding(key, array.shape)
            elif name.endswith("W_xh"):
                array[...] = glorot(
                    key, len(array), array.shape[1] // self.the_cell.n_columns, array.shape
                )
            elif name == "head.W":
                array[...] = glorot(key, *array.shape, array.shape)
            elif name.endswith("W_hh"):
                gates = [
                    orthogonal(bits(key, g), len(array)) for g in range(self.the_cell.n_columns)
                ]
                array[...] = np.hstack(gates)
            elif name.endswith("b_h") and self.the_cell.forget_column is not None:
                n_units = len(array) // self.the_cell.n_columns
                array[self.the_cell.forget_column * n_units :][:n_units] = 1
        return flat

    def forward(self, flat, x, per_step, initial_state=None, dropout=None, sequence=0):
        """Outputs (n_steps or 1, n_outputs), the final state, and what backward wants."""
        arrays, dropout = self.named(flat), dropout or Dropout()
        states, final = np.zeros(self.state_size) if initial_state is None else initial_state, []
        tape, offset = [], 0
        if self.n_tokens:
            steps = x
            masks = np.array(
                [dropout.embedding_mask(sequence, t, self.n_channels) for t in range(len(x))]
            )
            x = embedding.forward(arrays["embedding"], steps) * masks
            tape.append((steps, masks))
        for k, n_units in enumerate(self.hidden_layer_sizes):
            width = n_units * len(self.prefixes(k))
            recurrent_mask = dropout.recurrent_mask(k, sequence, width)
            outputs = []
            for d, prefix in enumerate(self.prefixes(k)):
                h, c = states[offset : offset + n_units], None
                offset += n_units
                if self.the_cell.has_cell_state:
                    c = states[offset : offset + n_units]
                    offset += n_units
                mask = recurrent_mask[d * n_units :][:n_units]
                h_all, memories, h, c = layer.forward(
                    self.the_cell, self.direction(arrays, prefix), x, h, c, mask, d == 1
                )
                outputs.append(h_all)
                final += [h] if c is None else [h, c]
                tape.append((memories, mask))
            masks = np.ones((len(x), width))
            if self.head or k + 1 < self.n_layers:
                masks = np.array(
                    [dropout.output_mask(k, sequence, t, width) for t in range(len(x))]
                )
            x = np.hstack(outputs) * masks
            tape.append(masks)
        features = x if per_step else self._last(x)
        tape.append(features)
        y = features @ arrays["head.W"] + arrays["head.b"] if self.head else features
        return y, np.concatenate(final), tape

    def _last(self, x):
        """The forward state after the last step beside the reverse state after the first."""
        n_units = self.hidden_layer_sizes[-1]
        return np.concatenate([x[-1, :n_units], x[0, n_units:]])[None]

    def backward(self, flat, tape, dy, per_step, bptt_steps, gradient):
        """Adds dL/dW to the flat ``gradient``."""
        arrays, gradients = self.named(flat), self.named(gradient)
        tape = list(tape)
        features = tape.pop()
        if self.head:
            gradients["head.W"] += features.T @ dy
            gradients["head.b"] += dy.sum(axis=0)
            dy = dy @ arrays["head.W"].T
        dx = dy if per_step else self._spread(dy[0], len(tape[-1]))
        for k in reversed(range(self.n_layers)):
            dx = dx * tape.pop()
            n_units, prefixes = self.hidden_layer_sizes[k], self.prefixes(k)
            parts = []
            for d in reversed(range(len(prefixes))):
                memories, mask = tape.pop()
                parts.append(
                    layer.backward(
                        self.the_cell,
                        self.direction(arrays, prefixes[d]),
                        memories,
                        dx[:, d * n_units :][:, :n_units],
                        mask,
                        d == 1,
                        bptt_steps,
                        self.direction(gradients, prefixes[d]),
                    )
                )
            dx = sum(parts)
        if self.n_tokens:
            steps, masks = tape.pop()
            embedding.backward(steps, dx * masks, gradients["embedding"])

    def _spread(self, dlast, n_steps):
        n_units = self.hidden_layer_sizes[-1]
        dx = np.zeros((n_steps, len(dlast)))
        dx[-1, :n_units] = dlast[:n_units]
        dx[0, n_units:] = dlast[n_units:]
        return dx
