"""Mini-batches of pairs: teacher forcing and scheduled sampling (seq2seq_trainer.hpp)."""

from dataclasses import dataclass

import numpy as np

from reference import embedding
from reference.batch import sorted_members
from reference.dropout import Dropout
from reference.loss import LOSSES
from reference.random import bits, uniform
from reference.trainer import Trainer


@dataclass
class Seq2SeqTrainer(Trainer):
    """``network`` is a Seq2Seq; the loss is the mean over the steps of the outputs."""

    target_token_dropout: float = 0.0
    teacher_forcing: float = 1.0

    def loss_and_gradient(self, values, offsets, inputs, input_offsets, targets, weights, members):
        """Of one mini-batch: (sum_i w_i sum_j l_ij + alpha / 2 ||W||^2) / sum_i w_i n_i."""
        model, key = self.network, bits(self.seed, self.n_updates)
        common = (self.dropout, self.recurrent_dropout)
        dropout = (
            Dropout(*common, bits(key, 0), self.embedding_dropout, self.token_dropout),
            Dropout(*common, bits(key, 1), self.embedding_dropout, self.target_token_dropout),
        )
        places = [
            {i: s for s, i in enumerate(sorted_members(members, some))}
            for some in (offsets, input_offsets)
        ]
        n_steps = np.diff(input_offsets)
        total = sum(weights[i] * n_steps[i] for i in members)
        loss, gradient, touched = 0.0, np.zeros_like(self.parameters), (set(), set())
        for i in sorted_members(members, input_offsets):
            s = (places[0][i], places[1][i])
            x = self._source(values, offsets, i)
            steps = embedding.steps_of(inputs, input_offsets[i], input_offsets[i + 1])
            if self.teacher_forcing < 1:
                steps = self._sampled(x, steps, s[1], bits(key, 2))
            if model.encoder is not None and model.encoder.n_tokens:
                x = embedding.drop(x, dropout[0], s[0], embedding.has_one_token(values))
                touched[0].update(token for step in x for token, _ in step)
            if model.decoder.n_tokens:
                steps = embedding.drop(steps, dropout[1], s[1], True)
                touched[1].update(token for step in steps for token, _ in step)
            y, _, tape = model.forward(self.parameters, x, steps, dropout, s)
            dy = np.empty_like(y)
            for t in range(len(y)):
                value, derivative = self._step_loss(y[t], targets[input_offsets[i] + t])
                loss += weights[i] * value / total
                dy[t] = weights[i] * derivative / total
            model.backward(self.parameters, tape, dy, gradient)
        if self.solver != "adamw":
            matrices = self.parameters * (self.is_matrix & self._is_touched(touched))
            loss += self.alpha / 2 * np.sum(matrices**2) / total
            gradient += self.alpha * matrices / total
        return loss, gradient, total

    def _source(self, values, offsets, i):
        if self.network.encoder is None:
            return values[i]
        return embedding.steps_of(values, offsets[i], offsets[i + 1])

    def _step_loss(self, a, y):
        """Of values, and where there is one output more, of the step being the last."""
        n_values = self.network.decoder.n_channels
        if self.loss == "multiclass" or len(a) == n_values:
            return LOSSES[self.loss](a, y, 1.0)
        value, derivative = LOSSES[self.loss](a[:n_values], y[:n_values], 1.0)
        of_stop, d_stop = LOSSES["binary"](a[n_values:], y[n_values:], 1.0)
        return value + of_stop, np.concatenate([derivative, d_stop])

    def _is_touched(self, touched):
        is_touched, named = np.ones(len(self.parameters), bool), None
        named = self.network.named(is_touched)
        for name, tokens in zip(("encoder.embedding", "decoder.embedding"), touched, strict=True):
            if name in named:
                rows = named[name]
                rows[np.setdiff1d(np.arange(len(rows)), list(tokens))] = False
        return is_touched

    def _sampled(self, x, steps, sequence, key):
        """Steps of which some are what the model itself puts out before them."""
        model, steps = self.network, list(steps)
        states, memory, _ = model.encode(self.parameters, x)
        for t in range(len(steps) - 1):
            y, _, states, _ = model.decode(self.parameters, states, memory, steps[t : t + 1])
            if uniform(bits(key, sequence), t + 1) < self.teacher_forcing:
                continue
            is_tokens = model.decoder.n_tokens > 0
            steps[t + 1] = (
                [(int(y[0, :-1].argmax()) + 1, 1.0)] if is_tokens else y[0, : len(steps[t])]
            )
        return steps if model.decoder.n_tokens else np.array(steps)
