"""Encoder and decoder, with attention between them (seq2seq.hpp)."""

import numpy as np

from reference import attention
from reference.bridge import Bridge
from reference.dropout import Dropout
from reference.initialize import glorot
from reference.random import bits


class Seq2Seq:
    """encoder and decoder are Networks without a head; without an encoder x is a vector."""

    def __init__(self, encoder, n_channels, decoder, score, n_outputs):
        self.encoder, self.decoder, self.score = encoder, decoder, score
        self.bridge = Bridge(encoder, n_channels, decoder)
        self.n_outputs = n_outputs
        width = decoder.n_outputs
        parts = {"encoder.": encoder.parameters if encoder else [], "decoder.": decoder.parameters}
        parts["bridge."] = self.bridge.parameters
        if score != "none":
            parts["attention."] = attention.shapes(score, encoder.n_outputs, width)
        parts["head."] = [("W", (width, n_outputs)), ("b", (n_outputs,))]
        self.parameters = [
            (prefix + name, shape) for prefix, some in parts.items() for name, shape in some
        ]
        self.n_parameters = sum(int(np.prod(shape)) for _, shape in self.parameters)

    def named(self, flat):
        """Views of a flat array of parameters, by name."""
        ends = np.cumsum([int(np.prod(shape)) for _, shape in self.parameters])[:-1]
        return {
            name: array.reshape(shape)
            for (name, shape), array in zip(self.parameters, np.split(flat, ends), strict=True)
        }

    def part(self, arrays, prefix):
        """Those that begin with a prefix, without it."""
        return {
            name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)
        }

    def of_encoder(self, flat):
        return flat[: self.encoder.n_parameters]

    def of_decoder(self, flat):
        first = self.encoder.n_parameters if self.encoder else 0
        return flat[first : first + self.decoder.n_parameters]

    def initialize(self, seed):
        flat = np.zeros(self.n_parameters)
        if self.encoder:
            self.of_encoder(flat)[...] = self.encoder.initialize(bits(seed, 0))
        self.of_decoder(flat)[...] = self.decoder.initialize(bits(seed, 1))
        for p, (name, array) in enumerate(self.named(flat).items()):
            if name.startswith(("encoder.", "decoder.")):
                continue
            if array.ndim == 2 or name == "attention.v":
                n_columns = 1 if array.ndim == 1 else array.shape[1]
                array[...] = glorot(bits(seed, p + 2), len(array), n_columns, array.shape)
        return flat

    def encode(self, flat, x, dropout=None, sequence=0):
        """Where the decoder starts, what it may attend to, and what backward wants."""
        memory, row, tape = None, x, None
        if self.encoder:
            memory, row, tape = self.encoder.forward(
                self.of_encoder(flat), x, self.score != "none", None, dropout, sequence
            )
        p = self.part(self.named(flat), "bridge.")
        return self.bridge.forward(p, row), memory, (row, tape)

    def decode(self, flat, start, memory, inputs, dropout=None, sequence=0):
        """Outputs at each step, the shares of attention, final states, what backward wants."""
        dropout, arrays = dropout or Dropout(), self.named(flat)
        q, final, tape = self.decoder.forward(
            self.of_decoder(flat), inputs, True, start, dropout, sequence
        )
        o, shares, of_attention = q, None, None
        if self.score != "none":
            o, shares, of_attention = attention.forward(
                self.score, self.part(arrays, "attention."), memory, q
            )
        mask = np.array(
            [
                dropout.output_mask(self.decoder.n_layers, sequence, t, o.shape[1])
                for t in range(len(o))
            ]
        )
        y = (o * mask) @ arrays["head.W"] + arrays["head.b"]
        return y, shares, final, (tape, of_attention, o, mask)

    def forward(self, flat, x, inputs, dropout=(None, None), sequence=(0, 0)):
        """Outputs and shares at each step of given inputs, and what backward wants."""
        start, memory, of_encoder = self.encode(flat, x, dropout[0], sequence[0])
        y, shares, _, of_decoder = self.decode(flat, start, memory, inputs, dropout[1], sequence[1])
        return y, shares, (of_encoder, of_decoder)

    def backward(self, flat, tape, dy, gradient):
        """Adds dL/dW to the flat ``gradient``."""
        (row, encoder_tape), (decoder_tape, of_attention, o, mask) = tape
        arrays, gradients = self.named(flat), self.named(gradient)
        gradients["head.W"] += (o * mask).T @ dy
        gradients["head.b"] += dy.sum(axis=0)
        dq, dmemory = (dy @ arrays["head.W"].T) * mask, None
        if self.score != "none":
            p, g = (self.part(some, "attention.") for some in (arrays, gradients))
            dmemory, dq = attention.backward(self.score, p, of_attention, dq, g)
        dstart = self.decoder.backward(
            self.of_decoder(flat), decoder_tape, dq, True, 0, self.of_decoder(gradient)
        )
        p, g = (self.part(some, "bridge.") for some in (arrays, gradients))
        drow = self.bridge.backward(p, row, dstart, g)
        if not self.encoder:
            return
        if dmemory is None:
            dmemory = np.zeros((1, self.encoder.n_outputs))
        self.encoder.backward(
            self.of_encoder(flat),
            encoder_tape,
            dmemory,
            self.score != "none",
            0,
            self.of_encoder(gradient),
            drow,
        )
