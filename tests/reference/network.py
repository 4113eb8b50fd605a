"""An embedding of tokens, recurrent layers of one direction or two, a dense head (network.hpp)."""

from dataclasses import dataclass

import numpy as np

from reference import decay, embedding, head, initialize, junction, layer
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
    merge_mode: str = "concat"
    residual: bool = False
    missing: str = "none"
    layer_norm: bool = False
    input_layer: int = 0
    head_layer: int = 0
    head_inputs: bool = False
    branch_step: int = 0

    def __post_init__(self):
        self.the_cell = cell_of(self.cell, self.activation, self.reset_after)
        self.n_layers = len(self.hidden_layer_sizes)
        self.parameters, self.states = [], []
        if self.n_tokens:
            self.parameters.append(("embedding", (self.n_tokens, self.n_channels)))
        n_inputs = self.n_channels
        if self.missing == "decay":
            self.parameters += decay.shapes(self.n_channels, self.hidden_layer_sizes[0])
            n_inputs = 2 * self.n_channels
        n_read = n_inputs
        if self.input_layer:
            self._add_dense("input.", n_inputs, self.input_layer)
            n_inputs = self.input_layer
        for k, n_units in enumerate(self.hidden_layer_sizes):
            for prefix in self.prefixes(k):
                self._add_direction(prefix, n_inputs, n_units)
            n_inputs = n_units * self.n_parts(k)
        if self.missing == "decay":
            self.states += decay.states(self.n_channels)
        if self.head:
            self._add_head(n_inputs + n_read * self.head_inputs)
        else:
            self.n_outputs = n_inputs
        self.n_parameters = sum(int(np.prod(shape)) for _, shape in self.parameters)
        self.state_size = sum(width for _, width in self.states)

    def prefixes(self, k):
        """What the names of layer k's directions begin with."""
        return [f"layers.{k}."] + ([f"layers.{k}.reverse."] if self.bidirectional[k] else [])

    def n_parts(self, k):
        """Vectors as wide as the layer that layer k hands on, side by side."""
        return len(self.prefixes(k)) if self.merge_mode == "concat" else 1

    def _add_direction(self, prefix, n_inputs, n_units):
        columns = self.the_cell.n_columns * n_units
        self.parameters.append((prefix + "W_xh", (n_inputs, columns)))
        if self.the_cell.has_recurrent_weights:
            self.parameters.append((prefix + "W_hh", (n_units, columns)))
        self.parameters.append((prefix + "b_h", (columns,)))
        if self.the_cell.has_recurrent_bias:
            self.parameters.append((prefix + "b_hn", (n_units,)))
        if self.layer_norm:
            self.parameters.append((prefix + "g_h", (columns,)))
        if self.layer_norm and self.the_cell.has_recurrent_bias:
            self.parameters.append((prefix + "g_hn", (n_units,)))
        self.states.append((prefix + "h", n_units))
        if self.the_cell.has_cell_state:
            self.states.append((prefix + "c", n_units))

    def _add_dense(self, prefix, n_inputs, n_outputs):
        self.parameters.append((prefix + "W", (n_inputs, n_outputs)))
        self.parameters.append((prefix + "b", (n_outputs,)))

    def _add_head(self, n_inputs):
        if self.head_layer:
            self._add_dense("head.0.", n_inputs, self.head_layer)
        self._add_dense("head.", self.head_layer or n_inputs, self.n_outputs)

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
        names = ("W_xh", "W_hh", "b_h", "b_hn", "g_h", "g_hn")
        return {name: arrays[prefix + name] for name in names if prefix + name in arrays}

    def initialize(self, seed):
        flat = np.zeros(self.n_parameters)
        for p, (name, array) in enumerate(self.named(flat).items()):
            key = bits(seed, p)
            if name == "embedding":
                array[...] = initialize.embedding(key, array.shape)
            elif name.endswith((".g_h", ".g_hn")):
                array[...] = 1
            elif name == "decay.w_x":
                array[...] = 0.1
            elif name == "decay.W_h":
                array[...] = glorot(key, *array.shape, array.shape)
            elif name.endswith("W_xh"):
                array[...] = glorot(
                    key, len(array), array.shape[1] // self.the_cell.n_columns, array.shape
                )
            elif name.endswith(".W"):
                array[...] = glorot(key, *array.shape, array.shape)
            elif name.endswith("W_hh"):
                gates = [
                    orthogonal(bits(key, g), len(array)) for g in range(self.the_cell.n_columns)
                ]
                array[...] = np.hstack(gates)
            elif (
                name != "decay.b_h"
                and name.endswith("b_h")
                and self.the_cell.forget_column is not None
            ):
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
        is_missing, fading = np.zeros(len(x), bool), np.ones((len(x), 1))
        if self.missing == "decay":
            observed = None if initial_state is None else initial_state[-2 * self.n_channels :]
            x, fading, of_decay, observed = decay.forward(decay.of(arrays), x, observed)
            tape.append(of_decay)
        if self.missing == "mask":
            is_missing = np.isnan(x).any(axis=1)
            x = np.where(is_missing[:, None], 0.0, x)
            tape.append(is_missing)
        read = x if per_step else x[-1:]
        if self.input_layer:
            entered = head.dense_relu(x, arrays["input.W"], arrays["input.b"])
            tape.append((x, entered))
            x = entered
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
                    self.the_cell,
                    self.direction(arrays, prefix),
                    x,
                    h,
                    c,
                    mask,
                    d == 1,
                    is_missing,
                    fading,
                    self.branch_step,
                )
                outputs.append(h_all)
                final += [h] if c is None else [h, c]
                tape.append((memories, mask))
            every_step, n_parts = per_step or k + 1 < self.n_layers, self.n_parts(k)
            masks = np.ones((len(x), n_parts * n_units))
            if self.head or k + 1 < self.n_layers:
                masks = np.array(
                    [dropout.output_mask(k, sequence, t, n_parts * n_units) for t in range(len(x))]
                )
            fading = np.ones((len(x), 1))
            x, of_junction = self._join(k, outputs, x, masks, every_step)
            tape.append(of_junction)
        if self.missing == "decay":
            final.append(observed)
        if self.head:
            x, of_head = head.forward(arrays, np.hstack([x, read]) if self.head_inputs else x)
            tape.append(of_head)
        return x, np.concatenate(final), tape

    def _join(self, k, outputs, x, masks, every_step):
        n_parts = self.n_parts(k)
        parts = range(n_parts)
        states = [h if every_step else h[[-1, 0][d]][None] for d, h in enumerate(outputs)]
        y = junction.merge(self.merge_mode, states)
        if self.residual and k > 0:
            y = y + np.hstack([junction.picked(x, p, n_parts, every_step) for p in parts])
        mask = np.hstack([junction.picked(masks, p, n_parts, every_step) for p in parts])
        return y * mask, (states, mask, len(x), every_step)

    def backward(self, flat, tape, dy, per_step, bptt_steps, gradient, dfinal=None, dinputs=None):
        """Adds dL/dW to the flat ``gradient``; dL/d(initial state).

        dfinal is what flows into the final state from elsewhere than the outputs. Into dinputs
        goes, if it is given, dL/d(inputs) of each step: of tokens, of what the embedding makes of
        them.
        """
        arrays, gradients = self.named(flat), self.named(gradient)
        dstates = self.named_states(np.zeros(self.state_size) if dfinal is None else dfinal)
        dinitial = np.zeros(self.state_size)
        tape = list(tape)
        if self.head:
            dy = head.backward(arrays, tape.pop(), dy, gradients)
        dy, dread = self._cut_off_inputs(dy)
        for k in reversed(range(self.n_layers)):
            states, mask, n_steps, every_step = tape.pop()
            dy = dy * mask
            dh = [
                junction.spread(d_state, d, n_steps, every_step)
                for d, d_state in enumerate(junction.split(self.merge_mode, dy, states))
            ]
            dx, dfading = self._direction_gradients(
                k, arrays, gradients, tape, dh, bptt_steps, dstates, self.named_states(dinitial)
            )
            if self.residual and k > 0:
                n_parts = self.n_parts(k)
                dx = dx + np.hstack(
                    [
                        junction.spread(part, p, n_steps, every_step)
                        for p, part in enumerate(np.split(dy, n_parts, axis=1))
                    ]
                )
            dy = dx
        if self.input_layer:
            x, y = tape.pop()
            dy = head.dense_relu_gradient(x, y, dy, arrays["input.W"], gradients, "input.")
        dy[len(dy) - len(dread) :, : dread.shape[1]] += dread
        if self.missing == "mask":
            dy = np.where(tape.pop()[:, None], 0.0, dy)
        if self.missing == "decay":
            dy = decay.backward(decay.of(arrays), tape.pop(), dy, dfading, decay.of(gradients))
        if self.n_tokens:
            steps, masks = tape.pop()
            dy = dy * masks
            embedding.backward(steps, dy, gradients["embedding"])
        if dinputs is not None:
            dinputs[...] = dy
        return dinitial

    def _cut_off_inputs(self, dfeatures):
        """Of the last layer's outputs, and of the inputs that the head reads beside them."""
        width = self.hidden_layer_sizes[-1] * self.n_parts(self.n_layers - 1)
        return dfeatures[:, :width], dfeatures[:, width:]

    def named_states(self, row):
        """Views of a row of states, by name."""
        ends = np.cumsum([width for _, width in self.states])[:-1]
        return dict(zip([name for name, _ in self.states], np.split(row, ends), strict=True))

    def _direction_gradients(
        self, k, arrays, gradients, tape, dstates, bptt_steps, dfinal, dinitial
    ):
        """dL/dx and dL/d(fading) of layer k, summed over its directions."""
        parts, fadings = [], []
        for d, prefix in reversed(list(enumerate(self.prefixes(k)))):
            memories, mask = tape.pop()
            dx, dfading, dh, dc = layer.backward(
                self.the_cell,
                self.direction(arrays, prefix),
                memories,
                dstates[d],
                mask,
                d == 1,
                bptt_steps,
                len(arrays[prefix + "W_xh"]),
                self.direction(gradients, prefix),
                dfinal[prefix + "h"],
                dfinal.get(prefix + "c", np.zeros(len(mask))),
                self.branch_step,
            )
            dinitial[prefix + "h"][...] = dh
            if self.the_cell.has_cell_state:
                dinitial[prefix + "c"][...] = dc
            parts.append(dx)
            fadings.append(dfading)
        return sum(parts), sum(fadings)
