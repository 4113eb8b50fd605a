"""Encoder-decoders: training beside as many steps of one network, answers beside PyTorch's loop.

Training takes a mini-batch of 64 pairs, answers are given to 64 sources at once and to one. The
one network reads rows of as many numbers as a token's embedding has, or the tokens. elman and
PyTorch start from the same weights (GRU or LSTM of one direction, "general" attention or none),
read the same tokens, and have to give the same answers.
"""

from functools import partial
from itertools import product

import numpy as np
import torch
from elman import _core

from bench.measure import in_turn, spread

N_TOKENS, EMBEDDING_DIM = 40, 64
BATCH_SIZE, N_STEPS = 64, 20
MODULES = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}


def measure(n_rounds):
    """Rows of ratios, a cell, size and attention each."""
    for cell, n_units, attention in product(MODULES, (64, 256), ("none", "general")):
        setting = Setting(cell, n_units, attention)
        peer = TorchPeer(setting)
        if not np.array_equal(setting.translate(1), peer.translate(1)):
            raise RuntimeError(f"answers differ: {cell} {n_units} {attention}")
        times = in_turn(
            {
                "training": setting.train,
                "one network": partial(setting.train_one_network, setting.network_of_values),
                "one network of tokens": partial(
                    setting.train_one_network, setting.network_of_tokens
                ),
                "torch training": peer.train,
                "answers": setting.translate,
                "torch answers": peer.translate,
                "one answer": partial(setting.translate, n=1),
                "torch one answer": partial(peer.translate, n=1),
            },
            n_rounds,
        )
        pairs = {
            "one_network": ("training", "one network"),
            "one_network_of_tokens": ("training", "one network of tokens"),
            "torch_training": ("torch training", "training"),
            "torch_answers": ("torch answers", "answers"),
            "torch_one_answer": ("torch one answer", "one answer"),
        }
        ratios = {name: times[a].over(times[b]) for name, (a, b) in pairs.items()}
        yield {
            "cell": cell,
            "n_units": n_units,
            "attention": attention,
            "ms": {name: 1e3 * of_one.median for name, of_one in times.items()},
            "ratio": {name: float(np.median(values)) for name, values in ratios.items()},
            "spread": {name: spread(values) for name, values in ratios.items()},
        }


def text(row):
    """One line."""
    ratio = {
        name: f"{value:.2f}x ±{row['spread'][name]:.0%}" for name, value in row["ratio"].items()
    }
    return (
        f"{row['cell']:<5}{row['n_units']:4} {row['attention']:<8} training "
        f"{row['ms']['training']:7.1f} ms, {ratio['one_network']} one network, "
        f"{ratio['one_network_of_tokens']} one of tokens, torch "
        f"{ratio['torch_training']}; answers {row['ms']['answers']:7.1f} ms, torch "
        f"{ratio['torch_answers']}; one answer {row['ms']['one answer']:7.2f} ms, torch "
        f"{ratio['torch_one_answer']}"
    )


class Setting:
    """A mini-batch of elman's on one thread."""

    def __init__(self, cell, n_units, attention):
        self.cell, self.n_units, self.attention = cell, n_units, attention
        rng = np.random.default_rng(0)
        self.model = _core.Seq2Seq(
            encoder=self._network(1),
            n_channels=1,
            decoder=self._network(1),
            attention=attention,
            n_outputs=N_TOKENS,
        )
        self.parameters = self.model.initialize(0)
        self.weights = {
            name: self.parameters[offset : offset + np.prod(shape)].reshape(shape)
            for name, shape, offset in self.model.parameters
        }
        self.weights["head.b"][-1] = -30  # nobody stops early
        self.decoding = _core.Decoding(self.model, self.parameters)
        self.trainer = _core.Seq2SeqTrainer(self.model, self.parameters, loss="multiclass")
        n = BATCH_SIZE * N_STEPS
        self.sources = rng.integers(0, N_TOKENS, n).astype(np.int32)
        self.targets = rng.integers(0, N_TOKENS - 1, (n, 1)).astype(np.float32)
        self.inputs = np.roll(self.targets[:, 0], 1).astype(np.int32) + 1
        self.inputs[::N_STEPS] = 0
        self.offsets = np.arange(0, n + 1, N_STEPS)
        self.order = np.arange(BATCH_SIZE)
        rows = rng.normal(size=(2 * n, EMBEDDING_DIM)).astype(np.float32)
        self.network_of_values = self._one_network(0), rows
        self.network_of_tokens = (
            self._one_network(N_TOKENS),
            np.concatenate([self.sources, self.inputs]),
        )

    def _one_network(self, n_tokens):
        network = self._network(N_TOKENS, head=True, n_tokens=n_tokens)
        return _core.Trainer(network, network.initialize(0), loss="multiclass")

    def _network(self, n_outputs, head=False, n_tokens=N_TOKENS):
        return _core.Network(
            dtype="float32",
            cell=self.cell,
            activation="tanh",
            reset_after=True,
            hidden_layer_sizes=[self.n_units],
            bidirectional=[False],
            n_channels=EMBEDDING_DIM,
            n_outputs=n_outputs,
            head=head,
            n_tokens=n_tokens,
        )

    def train(self, n_calls):
        for _ in range(n_calls):
            self.trainer.epoch(
                self.sources,
                self.offsets,
                self.inputs,
                self.offsets,
                self.targets,
                None,
                self.order,
                batch_size=BATCH_SIZE,
            )

    def train_one_network(self, trainer_and_values, n_calls):
        trainer, values = trainer_and_values
        targets = np.concatenate([self.targets, self.targets])
        for _ in range(n_calls):
            trainer.epoch(
                values,
                2 * self.offsets,
                targets,
                None,
                self.order,
                batch_size=BATCH_SIZE,
                per_step=True,
            )

    def translate(self, n_calls, n=BATCH_SIZE):
        for _ in range(n_calls):
            ids, _, _ = self.decoding.translate(
                self.sources[: n * N_STEPS],
                self.offsets[: n + 1],
                stop=N_TOKENS - 1,
                max_length=N_STEPS,
            )
        return ids.reshape(n, -1)


class TorchPeer:
    """The same in PyTorch, eager: training at once over all steps, answers in a loop."""

    def __init__(self, setting):
        torch.set_num_threads(1)
        weights, n = setting.weights, setting.n_units
        self.has_attention = setting.attention != "none"
        self.embeddings, self.layers = [], []
        for side in ("encoder.", "decoder."):
            embedding = torch.nn.Embedding(N_TOKENS, EMBEDDING_DIM)
            layer = MODULES[setting.cell](EMBEDDING_DIM, n, batch_first=True)
            W_xh, W_hh, b_h = (
                weights[f"{side}layers.0.{name}"] for name in ("W_xh", "W_hh", "b_h")
            )
            of_state = np.zeros_like(b_h)
            if setting.cell == "gru":
                of_state[-n:] = weights[f"{side}layers.0.b_hn"]
            load(embedding.weight, weights[f"{side}embedding"])
            load(layer.weight_ih_l0, W_xh.T)
            load(layer.weight_hh_l0, W_hh.T)
            load(layer.bias_ih_l0, b_h)
            load(layer.bias_hh_l0, of_state)
            self.embeddings.append(embedding)
            self.layers.append(layer)
        self.head = torch.nn.Linear(n, N_TOKENS)
        load(self.head.weight, weights["head.W"].T)
        load(self.head.bias, weights["head.b"])
        modules = [*self.embeddings, *self.layers, self.head]
        if self.has_attention:
            self.keys = torch.nn.Linear(n, n, bias=False)
            self.combine = torch.nn.Linear(2 * n, n)
            load(self.keys.weight, weights["attention.W_m"].T)
            load(self.combine.weight, weights["attention.W_c"].T)
            load(self.combine.bias, weights["attention.b_c"])
            modules += [self.keys, self.combine]
        parameters = [parameter for module in modules for parameter in module.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=0.001, fused=True)
        self.loss = torch.nn.CrossEntropyLoss()
        shape = (BATCH_SIZE, N_STEPS)
        self.sources = torch.from_numpy(setting.sources.reshape(shape).astype(np.int64))
        self.inputs = torch.from_numpy(setting.inputs.reshape(shape).astype(np.int64))
        self.targets = torch.from_numpy(setting.targets.reshape(-1).astype(np.int64))

    def encode(self, sources):
        memory, state = self.layers[0](self.embeddings[0](sources))
        return memory, self.keys(memory) if self.has_attention else None, state

    def decode(self, inputs, memory, keys, state):
        q, state = self.layers[1](self.embeddings[1](inputs), state)
        if self.has_attention:
            shares = torch.softmax(q @ keys.transpose(1, 2), dim=2)
            q = torch.tanh(self.combine(torch.cat([shares @ memory, q], dim=2)))
        return self.head(q), state

    def train(self, n_calls):
        for _ in range(n_calls):
            self.optimizer.zero_grad()
            outputs, _ = self.decode(self.inputs, *self.encode(self.sources))
            self.loss(outputs.reshape(-1, N_TOKENS), self.targets).backward()
            self.optimizer.step()

    def translate(self, n_calls, n=BATCH_SIZE):
        with torch.inference_mode():
            for _ in range(n_calls):
                memory, keys, state = self.encode(self.sources[:n])
                token, answers = torch.zeros((n, 1), dtype=torch.int64), []
                for _ in range(N_STEPS):
                    outputs, state = self.decode(token, memory, keys, state)
                    answers.append(outputs[:, 0].argmax(dim=1))
                    token = answers[-1][:, None] + 1
        return torch.stack(answers, dim=1).numpy()


def load(parameter, array):
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))
