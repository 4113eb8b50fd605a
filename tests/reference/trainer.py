"""Mini-batches, their gradients and updates (trainer.hpp)."""

from dataclasses import dataclass, field

import numpy as np

from reference import embedding
from reference.batch import sorted_members
from reference.dropout import Dropout
from reference.loss import LOSSES
from reference.mixture import Mixture
from reference.random import bits
from reference.schedule import learning_rate
from reference.solver import SOLVERS


@dataclass
class Trainer:
    network: object
    parameters: np.ndarray
    loss: str
    loss_parameter: object = 1.0  # a number, or levels of quantiles
    n_candidates: int = 0
    n_groups: int = 1
    sharpness: float = 1.0
    solver: str = "adam"
    solver_options: dict = field(default_factory=dict)
    learning_rate: float = 0.001
    schedule: str = "constant"
    schedule_options: dict = field(default_factory=dict)
    alpha: float = 0.0
    clip_norm: float = np.inf
    parameter_average: float = 0.0
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    embedding_dropout: float = 0.0
    token_dropout: object = 0.0
    bptt_steps: int = 0
    seed: int = 0

    def __post_init__(self):
        self.the_solver = SOLVERS[self.solver](**self.solver_options)
        self.moments = np.zeros((self.the_solver.n_moments, len(self.parameters)))
        self.n_updates = 0
        self.average = self.parameters
        self.is_matrix = np.concatenate(
            [np.full(int(np.prod(shape)), len(shape) == 2) for _, shape in self.network.parameters]
        )

    def loss_and_gradient(self, values, offsets, targets, weights, members, per_step):
        """Of one mini-batch: (sum_i w_i l_i + alpha / 2 ||W||^2) / sum_i w_i.

        Of an embedding only the rows whose tokens are in the mini-batch count in the penalty.
        """
        key = bits(self.seed, self.n_updates)
        dropout = Dropout(
            self.dropout, self.recurrent_dropout, key, self.embedding_dropout, self.token_dropout
        )
        members = sorted_members(members, offsets)
        rows = [np.arange(offsets[i], offsets[i + 1]) if per_step else [i] for i in members]
        total = sum(weights[r].sum() for r in rows)
        loss, gradient, touched = 0.0, np.zeros_like(self.parameters), set()
        if total == 0:
            return loss, gradient, total
        for s, i in enumerate(members):
            x = embedding.steps_of(values, offsets[i], offsets[i + 1])
            if self.network.n_tokens:
                x = embedding.drop(x, dropout, s, embedding.has_one_token(values))
                touched.update(token for step in x for token, _ in step)
            a, _, tape = self.network.forward(
                self.parameters, x, per_step, dropout=dropout, sequence=s
            )
            da = np.empty_like(a)
            for row, target in enumerate(rows[s]):
                value, derivative = self.row_loss(a[row], targets[target])
                loss += weights[target] * value / total
                da[row] = weights[target] * derivative / total
            self.network.backward(self.parameters, tape, da, per_step, self.bptt_steps, gradient)
        is_touched = np.ones(len(self.parameters), bool)
        if self.network.n_tokens:
            rows = self.network.named(is_touched)["embedding"]
            rows[np.setdiff1d(np.arange(len(rows)), list(touched))] = False
        if self.solver != "adamw":
            matrices = self.parameters * (self.is_matrix & is_touched)
            loss += self.alpha / 2 * np.sum(matrices**2) / total
            gradient += self.alpha * matrices / total
        return loss, gradient, total

    def row_loss(self, a, row):
        """Of the targets at the beginning of a row, and dl/da."""
        if not self.n_candidates:
            return LOSSES[self.loss](a, row, self.loss_parameter)
        n_levels = np.size(self.loss_parameter) if self.loss == "quantile" else 1
        n_targets = len(row) // (1 + self.n_candidates)
        mixture = Mixture(n_targets, self.n_candidates, n_levels, self.n_groups, self.sharpness)
        y, candidates = row[:n_targets], row[n_targets:]
        mixed, shares = mixture.forward(a, candidates)
        value, dmixed = LOSSES[self.loss](mixed, y, self.loss_parameter)
        return value, np.concatenate([dmixed, mixture.backward(shares, candidates, dmixed)])

    def epoch(self, values, offsets, targets, weights, order, batch_size, per_step):
        """One pass over order in mini-batches: the weighted mean of their losses."""
        losses, totals = [], []
        for first in range(0, len(order), batch_size):
            members = order[first : first + batch_size]
            loss, gradient, total = self.loss_and_gradient(
                values, offsets, targets, weights, members, per_step
            )
            if total == 0:
                continue
            losses.append(loss)
            totals.append(total)
            self.update(gradient)
        return np.average(losses, weights=totals)

    def update(self, gradient):
        norm = np.linalg.norm(gradient)
        if norm > self.clip_norm:
            gradient = gradient * (self.clip_norm / norm)
        eta = learning_rate(
            self.schedule, self.learning_rate, self.n_updates, **self.schedule_options
        )
        self.n_updates += 1
        change = self.the_solver.change(gradient, self.moments, eta, self.n_updates)
        if self.solver == "adamw":
            self.parameters = self.parameters * (1 - eta * self.alpha * self.is_matrix)
        self.parameters = self.parameters + change
        k = self.n_updates - 1
        stays = min(self.parameter_average, (k + 1) / (k + 10))
        self.average = stays * self.average + (1 - stays) * self.parameters
