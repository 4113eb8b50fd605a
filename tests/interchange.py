"""Estimators and sequences drawn at random, for what goes out to other formats and comes in."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from elman import RNNClassifier, RNNRegressor
from hypothesis import strategies as st
from problems import CELLS, residual_widths

N_SAMPLES = 5
KINDS = [
    *("squared_error", "poisson", "gaussian_nll", "huber", "quantile"),
    *("binary", "multiclass", "multilabel"),
]
NUMBERS = KINDS[:5]
OF_EXPONENTIALS = ("poisson", "gaussian_nll")


@dataclass
class Case:
    """A fitted estimator, and sequences to predict for."""

    model: Any
    X: Any  # an array: all are of one length
    lengths: Any  # up to which they count
    y: Any
    per_step: bool

    @property
    def ragged(self):
        return [x[:n] for x, n in zip(self.X, self.lengths, strict=True)]


def random_weights(model, rng):
    """All weights drawn anew, so that no bias is zero and no two rows are alike."""
    weights = {}
    for name, array in model.weights_.items():
        scale = 1.0 if name.startswith(("embedding", "head.b")) else 1 / np.sqrt(len(array) + 1)
        weights[name] = rng.normal(scale=scale, size=array.shape)
    return model.set_weights(weights)


def targets(rng, kind, per_step, n_timesteps, n_outputs):
    shape = (N_SAMPLES, n_timesteps) if per_step else (N_SAMPLES,)
    if kind in NUMBERS:
        y = np.abs(rng.normal(size=(*shape, n_outputs)))
        return y if per_step or n_outputs > 1 else y[..., 0]
    if kind == "multilabel":
        return rng.integers(0, 2, (*shape, 3))
    n_classes = 2 if kind == "binary" else 3
    numbers = np.arange(np.prod(shape)).reshape(shape) % n_classes
    return np.array(["low", "high", "middle"])[numbers]


@st.composite
def architectures(draw):
    """Parameters of an estimator that tell its network."""
    cell, activation, reset_after = draw(st.sampled_from(CELLS))
    depth = draw(st.integers(1, 3))
    directions = draw(st.lists(st.booleans(), min_size=depth, max_size=depth))
    merge_mode = draw(st.sampled_from(["concat", "concat", "sum", "mean", "mul"]))
    sizes = draw(st.lists(st.integers(1, 9), min_size=depth, max_size=depth))
    residual = draw(st.booleans())
    if residual:
        sizes = residual_widths(sizes[-1], directions, merge_mode)
    return {
        "cell": cell,
        "activation": activation,
        "reset_after": reset_after,
        "hidden_layer_sizes": tuple(sizes),
        "bidirectional": tuple(directions),
        "merge_mode": merge_mode,
        "residual": residual,
        "layer_norm": cell in ("min_gru", "min_lstm") and draw(st.booleans()),
    }


@st.composite
def cases(draw, kinds=KINDS):
    """Cell, depth, widths, directions, head, targets, tokens or numbers, ragged lengths."""
    parameters, per_step = draw(architectures()), draw(st.booleans())
    if parameters["activation"] != "tanh":  # states have no bound, nor have exponentials of them
        kinds = [kind for kind in kinds if kind not in OF_EXPONENTIALS]
    kind = draw(st.sampled_from(kinds))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    n_timesteps = draw(st.integers(1, 8))
    n_outputs = draw(st.integers(1, 3))
    if kind == "squared_error" and draw(st.booleans()):
        parameters["head"] = None
        both = parameters["bidirectional"][-1] and parameters["merge_mode"] == "concat"
        n_outputs = parameters["hidden_layer_sizes"][-1] * (2 if both else 1)
    if draw(st.sampled_from([False, False, True])):
        X = rng.integers(0, 7, (N_SAMPLES, n_timesteps))
        parameters |= {"input": "tokens", "n_tokens": 7, "embedding_dim": draw(st.integers(1, 5))}
    else:
        X = rng.normal(size=(N_SAMPLES, n_timesteps, draw(st.integers(1, 4))))
        X = X.astype(draw(st.sampled_from([np.float32, np.float64])))
    y = targets(rng, kind, per_step, n_timesteps, n_outputs)
    if kind in NUMBERS:
        model = RNNRegressor(loss=kind, **parameters)
    else:
        model = RNNClassifier(output="sequence" if per_step else "auto", **parameters)
    model.set_params(max_iter=1, learning_rate_init=1e-6, random_state=0).fit(X, y)
    random_weights(model, rng)
    return Case(model, X, rng.integers(1, n_timesteps + 1, N_SAMPLES), y, per_step)


def predictions(model, X):
    """What a graph of the estimator puts out, by name."""
    if hasattr(model, "classes_"):
        return {"label": model.predict(X), "probabilities": model.predict_proba(X)}
    if model.loss == "gaussian_nll":
        return dict(zip(("y", "std"), model.predict(X, return_std=True), strict=True))
    return {"y": model.predict(X)}


def assert_close(got, expected, tolerance=1e-5):
    """Largest difference, relative to the largest value where that is above one."""
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= tolerance * max(1.0, np.abs(expected).max())


def torch_weights(n_gates, n_units=5):
    """What a state_dict of PyTorch holds, as arrays."""
    rng = np.random.default_rng(3)
    weights = {"head.weight": rng.normal(size=(2, n_units)), "head.bias": rng.normal(size=2)}
    for layer, n_inputs in enumerate((2, n_units)):
        shapes = {"weight_ih": (n_inputs,), "weight_hh": (n_units,), "bias_ih": (), "bias_hh": ()}
        for name, shape in shapes.items():
            array = rng.normal(size=(n_gates * n_units, *shape))
            weights[f"rnn.{name}_l{layer}"] = array.astype(np.float32)
    return weights
