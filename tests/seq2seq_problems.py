"""Encoder-decoders and pairs drawn at random, for the core and for its reference alike."""

from dataclasses import dataclass

import numpy as np
from elman import _core
from hypothesis import strategies as st
from problems import BOUNDED_CELLS, steps_between
from reference.network import Network
from reference.seq2seq import Seq2Seq
from reference.seq2seq_trainer import Seq2SeqTrainer


@dataclass
class PairProblem:
    """An encoder-decoder with weights, and pairs of sequences.

    Without an encoder the sources are vectors of n_channels.
    """

    encoder: dict | None
    n_channels: int
    decoder: dict
    attention: str
    n_outputs: int
    seed: int
    lengths: list
    target_lengths: list

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        encoder = None if self.encoder is None else Network(**self.encoder)
        decoder = Network(**self.decoder)
        self.reference = Seq2Seq(encoder, self.n_channels, decoder, self.attention, self.n_outputs)
        self.parameters = self.reference.initialize(self.seed)
        self.parameters += 0.2 * rng.normal(size=len(self.parameters))
        lengths = np.ones(len(self.lengths), int) if encoder is None else self.lengths
        self.offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self.input_offsets = np.concatenate([[0], np.cumsum(self.target_lengths)]).astype(np.int64)
        n_steps = int(self.input_offsets[-1])
        self.values = self._values(rng, int(self.offsets[-1]), encoder, self.n_channels)
        self.inputs = self._values(rng, n_steps, decoder, decoder.n_channels)
        self.targets = rng.normal(size=(n_steps, self.n_outputs))
        if decoder.n_tokens:
            self.targets = rng.integers(0, self.n_outputs, (n_steps, 1)).astype(float)
        elif self.n_outputs > decoder.n_channels:
            self.targets[:, -1] = rng.integers(0, 2, n_steps)
        self.weights = rng.uniform(0, 2, len(self.lengths))

    @staticmethod
    def _values(rng, n_steps, network, n_channels):
        if network is not None and network.n_tokens:
            return rng.integers(0, network.n_tokens, n_steps).astype(np.int32)
        return rng.normal(size=(n_steps, n_channels))

    @property
    def loss(self):
        return "multiclass" if self.decoder["n_tokens"] else "squared"

    @property
    def sources(self):
        return self.values, self.offsets

    @property
    def examples(self):
        """What the core's `epoch` and `loss_and_gradient` take first."""
        return *self.sources, self.inputs, self.input_offsets, self.targets, self.weights

    def core(self, dtype="float64"):
        encoder = self.encoder
        return _core.Seq2Seq(
            encoder=None if encoder is None else _core.Network(dtype=dtype, **encoder),
            n_channels=self.n_channels,
            decoder=_core.Network(dtype=dtype, **self.decoder),
            attention=self.attention,
            n_outputs=self.n_outputs,
        )

    def core_trainer(self, n_threads=1, dtype="float64", **options):
        return _core.Seq2SeqTrainer(
            self.core(dtype),
            self.parameters.astype(dtype),
            loss=self.loss,
            n_threads=n_threads,
            **options,
        )

    def reference_trainer(self, **options):
        return Seq2SeqTrainer(self.reference, self.parameters, loss=self.loss, **options)

    def source(self, i):
        """What the reference takes for one source."""
        return self.reference_trainer()._source(self.values, self.offsets, i)

    def steps(self, i):
        begin, end = self.input_offsets[i : i + 2]
        some = steps_between(self.inputs, begin, end)
        return [[(token, 1.0)] for token in some] if self.decoder["n_tokens"] else some


def network_options(cell, sizes, bidirectional, n_channels, n_tokens=0, **more):
    name, activation, reset_after = cell
    return {
        "cell": name,
        "activation": activation,
        "reset_after": reset_after,
        "hidden_layer_sizes": sizes,
        "bidirectional": bidirectional,
        "n_channels": n_channels,
        "n_outputs": 1,
        "head": False,
        "n_tokens": n_tokens,
        **more,
    }


@st.composite
def pair_problems(draw, max_width=20, max_steps=9):
    """Kinds of sources and outputs, stacks of both sides, attention, ragged lengths."""
    cell = draw(st.sampled_from(BOUNDED_CELLS))
    widths = st.lists(st.integers(1, max_width), min_size=1, max_size=3)
    kind = draw(st.sampled_from(["vector", "sequence", "tokens"]))
    n_channels, encoder, memory_width = draw(st.integers(1, 9)), None, None
    if kind != "vector":
        sizes = draw(widths)
        directions = draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes)))
        encoder = network_options(
            cell,
            sizes,
            directions,
            n_channels,
            draw(st.integers(1, 30)) if kind == "tokens" else 0,
            merge_mode=draw(st.sampled_from(["concat", "concat", "sum"])),
        )
        memory_width = Network(**encoder).n_outputs
    layer_norm = draw(st.booleans())
    if encoder is not None:
        encoder["layer_norm"] = layer_norm
    sizes = draw(widths)
    scores = ["none"] if encoder is None else ["none", "dot", "general", "additive"]
    attention = draw(st.sampled_from(scores))
    if attention == "dot":
        sizes[-1] = memory_width
    elif encoder is not None and draw(st.booleans()):
        sizes = list(encoder["hidden_layer_sizes"])
    n_classes, width = draw(st.integers(2, 20)), draw(st.integers(1, 5))
    if draw(st.booleans()):
        decoder = network_options(cell, sizes, [False] * len(sizes), width, n_classes)
        n_outputs = n_classes
    else:
        decoder = network_options(cell, sizes, [False] * len(sizes), width)
        n_outputs = width + draw(st.integers(0, 1))
    n = draw(st.integers(1, 9))
    lengths = st.lists(st.integers(1, max_steps), min_size=n, max_size=n)
    seed = draw(st.integers(0, 2**31))
    return PairProblem(
        encoder, n_channels, decoder, attention, n_outputs, seed, draw(lengths), draw(lengths)
    )
