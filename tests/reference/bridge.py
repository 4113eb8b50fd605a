"""From an encoder's final states, or a vector, to a decoder's first ones (bridge.hpp)."""

import numpy as np


class Bridge:
    """Each of the decoder's states is one of the encoder's, or a linear map of it."""

    def __init__(self, encoder, n_channels, decoder):
        self.encoder, self.decoder = encoder, decoder
        self.sources = {name: self._sources(name, n_channels) for name, _ in decoder.states}
        self.parameters = []
        for name, width in decoder.states:
            if self.has_weights(name, width):
                n_inputs = sum(size for _, size in self.sources[name])
                self.parameters += [(f"{name}.W", (n_inputs, width)), (f"{name}.b", (width,))]

    def _sources(self, name, n_channels):
        """Names and widths of what a state of the decoder is made of."""
        if self.encoder is None:
            return [("x", n_channels)]
        _, layer, kind = name.split(".")
        layer = min(int(layer), self.encoder.n_layers - 1)
        return [
            (source, width)
            for source, width in self.encoder.states
            if source.startswith(f"layers.{layer}.") and source.endswith(kind)
        ]

    def has_weights(self, name, width):
        sources = self.sources[name]
        return self.encoder is None or len(sources) > 1 or sources[0][1] != width

    def _named(self, row):
        return {"x": row} if self.encoder is None else self.encoder.named_states(row)

    def _inputs(self, name, row):
        named = self._named(row)
        return np.concatenate([named[source] for source, _ in self.sources[name]])

    def forward(self, p, row):
        """A row of the decoder's states, from one of the encoder's or a vector."""
        states = np.zeros(self.decoder.state_size)
        for name, state in self.decoder.named_states(states).items():
            e = self._inputs(name, row)
            state[...] = e @ p[f"{name}.W"] + p[f"{name}.b"] if f"{name}.W" in p else e
        return states

    def backward(self, p, row, dstates, gradient):
        """dL/d(row); adds dL/dW to ``gradient``."""
        drow = np.zeros_like(row)
        for name, d_state in self.decoder.named_states(dstates).items():
            de = d_state
            if f"{name}.W" in p:
                gradient[f"{name}.W"] += np.outer(self._inputs(name, row), d_state)
                gradient[f"{name}.b"] += d_state
                de = p[f"{name}.W"] @ d_state
            ends = np.cumsum([width for _, width in self.sources[name]])[:-1]
            parts = np.split(de, ends)
            for (source, _), part in zip(self.sources[name], parts, strict=True):
                self._named(drow)[source][...] += part
        return drow
