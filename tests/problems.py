"""Networks and data drawn at random, for the core and for its reference alike."""

from dataclasses import dataclass

import numpy as np
from elman import _core
from hypothesis import strategies as st
from reference import embedding
from reference.network import Network
from reference.trainer import Trainer

CELLS = [
    ("simple", "tanh", True),
    ("simple", "relu", True),
    ("simple", "identity", True),
    ("gru", "tanh", True),
    ("gru", "tanh", False),
    ("lstm", "tanh", True),
    ("min_gru", "tanh", True),
    ("min_lstm", "tanh", True),
]
# What grows without bound, step by step, would overflow in the exponentials of these losses.
BOUNDED_CELLS = [cell for cell in CELLS if cell[1] == "tanh"]
EXPONENTIAL_LOSSES = ("poisson", "gaussian")
REGRESSION_LOSSES = ["squared", "absolute", "huber", "quantile", "poisson", "gaussian"]
LOSSES = [*REGRESSION_LOSSES, "binary", "multilabel", "multiclass"]
LOSS_PARAMETERS = {"huber": 0.7, "quantile": 0.3}
SOLVER_OPTIONS = {
    "sgd": {"momentum", "nesterovs_momentum"},
    "rmsprop": {"beta_2", "epsilon"},
    "adam": {"beta_1", "beta_2", "epsilon"},
    "adamw": {"beta_1", "beta_2", "epsilon"},
    "nadam": {"beta_1", "beta_2", "epsilon"},
}
SCHEDULE_OPTIONS = {"power_t", "warmup_steps", "total_steps"}


@dataclass
class Problem:
    """A network with weights, and sequences with targets."""

    options: dict
    seed: int
    lengths: list
    per_step: bool
    loss: str = "squared"
    features: int = 0  # at most so many tokens a step; 0 is just one

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        self.reference = Network(**self.options)
        self.parameters = self.reference.initialize(self.seed)
        self.parameters += 0.1 * rng.normal(size=len(self.parameters))
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)
        self.values = self._values(rng, int(self.offsets[-1]))
        n_rows = int(self.offsets[-1]) if self.per_step else len(self.lengths)
        self.targets = self._targets(rng, n_rows, self.reference.n_outputs)
        self.weights = rng.uniform(0, 2, n_rows)
        self.initial_state = rng.normal(size=(len(self.lengths), self.reference.state_size))

    def _values(self, rng, n_steps):
        n_tokens = self.options.get("n_tokens", 0)
        if not n_tokens:
            values = rng.normal(size=(n_steps, self.options["n_channels"]))
            if self.options.get("missing", "none") != "none":
                values[rng.random(values.shape) < 0.3] = np.nan
            return values
        if not self.features:
            return rng.integers(0, n_tokens, n_steps).astype(np.int32)
        counts = rng.integers(0, self.features + 1, n_steps)
        first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        ids = rng.integers(0, n_tokens, first[-1]).astype(np.int32)
        return first, ids, rng.normal(size=first[-1])

    def _targets(self, rng, n_rows, n_outputs):
        if self.loss == "poisson":
            return rng.poisson(1.0, (n_rows, n_outputs)).astype(float)
        if self.loss in ("binary", "multilabel"):
            return rng.integers(0, 2, (n_rows, n_outputs)).astype(float)
        if self.loss == "multiclass":
            return rng.integers(0, n_outputs, (n_rows, 1)).astype(float)
        return rng.normal(size=(n_rows, n_outputs // 2 if self.loss == "gaussian" else n_outputs))

    def core(self, dtype="float64"):
        return _core.Network(dtype=dtype, **self.options)

    def core_trainer(self, n_threads=1, dtype="float64", **options):
        return _core.Trainer(
            self.core(dtype),
            self.parameters.astype(dtype),
            loss=self.loss,
            loss_parameter=LOSS_PARAMETERS.get(self.loss, 1.0),
            n_threads=n_threads,
            **options,
        )

    def reference_trainer(self, **options):
        solver = options.get("solver", "adam")
        of_solver = SOLVER_OPTIONS[solver] & options.keys()
        of_schedule = SCHEDULE_OPTIONS & options.keys()
        rest = options.keys() - of_solver - of_schedule
        return Trainer(
            self.reference,
            self.parameters,
            loss=self.loss,
            loss_parameter=LOSS_PARAMETERS.get(self.loss, 1.0),
            solver_options={name: options[name] for name in of_solver},
            schedule_options={name: options[name] for name in of_schedule},
            **{name: options[name] for name in rest},
        )

    @property
    def examples(self):
        """What the core's `epoch` and `loss_and_gradient` take first."""
        return self.values, self.offsets, self.targets, self.weights

    def reference_forward(self, initial_state=None):
        outputs, states = [], []
        for i in range(len(self.lengths)):
            x = embedding.steps_of(self.values, self.offsets[i], self.offsets[i + 1])
            initial = None if initial_state is None else initial_state[i]
            y, final, _ = self.reference.forward(self.parameters, x, self.per_step, initial)
            outputs.append(y)
            states.append(final)
        return np.concatenate(outputs), np.array(states)


def residual_widths(last, directions, merge_mode):
    """Widths such that every layer's output is as wide as the last one's."""
    is_doubled = [merge_mode == "concat" and both for both in directions]
    total = last * (2 if is_doubled[-1] else 1)
    if any(is_doubled) and total % 2:
        total *= 2
    return [total // 2 if double else total for double in is_doubled]


@st.composite
def problems(draw, losses=("squared",), max_width=70, max_steps=12):
    """Cell, depth, widths, directions, ragged lengths, outputs, head, loss."""
    loss = draw(st.sampled_from(losses))
    cells = BOUNDED_CELLS if loss in EXPONENTIAL_LOSSES else CELLS
    cell, activation, reset_after = draw(st.sampled_from(cells))
    depth = draw(st.integers(1, 3))
    head = draw(st.booleans())
    widths = draw(st.lists(st.integers(1, max_width), min_size=depth, max_size=depth))
    residual = draw(st.sampled_from([False, False, True]))
    merge_mode = draw(st.sampled_from(["concat", "concat", "sum", "mean", "mul"]))
    if not head and loss == "gaussian":
        widths[-1] *= 2
    directions = draw(st.lists(st.booleans(), min_size=depth, max_size=depth))
    if not head and loss == "binary":
        widths[-1], directions[-1], residual = 1, False, False
    n_outputs = (
        1 if loss == "binary" else draw(st.integers(1, 20)) * (2 if loss == "gaussian" else 1)
    )
    if residual:
        widths = residual_widths(widths[-1], directions, merge_mode)
    options = {
        "cell": cell,
        "activation": activation,
        "reset_after": reset_after,
        "hidden_layer_sizes": widths,
        "bidirectional": directions,
        "n_channels": draw(st.integers(1, 9)),
        "n_outputs": n_outputs,
        "head": head,
        "n_tokens": draw(st.sampled_from([0, 0, 1, 7, 50])),
        "merge_mode": merge_mode,
        "residual": residual,
        "layer_norm": draw(st.sampled_from([False, False, True])),
        "input_layer": draw(st.sampled_from([0, 0, 1, 20])),
    }
    if head:
        options["head_layer"] = draw(st.sampled_from([0, 0, 1, 20]))
        options["head_inputs"] = draw(st.sampled_from([False, False, True]))
    if not options["n_tokens"]:
        kinds = ["none", "mask"] if directions[0] else ["none", "mask", "decay"]
        options["missing"] = draw(st.sampled_from(kinds))
    lengths = draw(st.lists(st.integers(1, max_steps), min_size=1, max_size=9))
    seed, per_step = draw(st.integers(0, 2**31)), draw(st.booleans())
    return Problem(options, seed, lengths, per_step, loss, draw(st.sampled_from([0, 1, 4])))


def steps_between(values, begin, end):
    """Some steps of what the core takes: rows of numbers, tokens, or (first, ids, values)."""
    if not isinstance(values, tuple):
        return values[begin:end]
    first, ids, amounts = values
    some = slice(first[begin], first[end])
    return first[begin : end + 1] - first[begin], ids[some], amounts[some]


def n_steps_of(values):
    return len(values[0]) - 1 if isinstance(values, tuple) else len(values)


def cast_values(values, dtype):
    """The same in the core's dtype; tokens are numbers of their own."""
    if isinstance(values, tuple):
        return *values[:2], values[2].astype(dtype)
    return values if values.dtype == np.int32 else values.astype(dtype)


def relative_error(got, expected):
    """Largest difference, relative to the largest value."""
    assert got.shape == expected.shape
    scale = np.abs(expected).max()
    return np.abs(got - expected).max() / (scale if scale > 0 else 1.0)
