"""The whole fit of the study note's example, as a user would write it: elman, Keras and skorch.

7,000 series of 50 steps, 20 epochs of Adam in mini-batches of 32: SimpleRNN(1), and the deep RNN
of two layers of 20 units with a dense head.
"""

import importlib
import importlib.util
import os
import statistics
import time
import warnings

import numpy as np
from elman import RNNRegressor
from elman.datasets import generate_time_series
from sklearn.exceptions import ConvergenceWarning

from bench.measure import spread

EPOCHS, BATCH_SIZE = 20, 32
# One start in several ends in a poor minimum, for either: a single seed compares luck.
SEEDS = range(3)
MODELS = {"SimpleRNN(1)": ((1,), None), "deep RNN (20, 20)": ((20, 20), "dense")}


def data():
    series = generate_time_series(10000, 51, random_state=0)
    return series[:7000, :50], series[:7000, 50], series[7000:9000, :50], series[7000:9000, 50]


def elman_fit(sizes, head, X, y, seed):
    model = RNNRegressor(
        cell="simple",
        hidden_layer_sizes=sizes,
        head=head,
        max_iter=EPOCHS,
        batch_size=BATCH_SIZE,
        n_iter_no_change=EPOCHS,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    return model.predict


def keras_fit(sizes, head, X, y, seed):
    import keras

    keras.utils.set_random_seed(seed)
    layers = [
        keras.layers.SimpleRNN(size, return_sequences=i + 1 < len(sizes))
        for i, size in enumerate(sizes)
    ]
    model = keras.Sequential([keras.Input((None, 1)), *layers])
    if head:
        model.add(keras.layers.Dense(1))
    model.compile(loss="mse", optimizer="adam")
    model.fit(X, y, epochs=EPOCHS, batch_size=BATCH_SIZE, verbose=0)
    return lambda X: model.predict(X, verbose=0)


def skorch_fit(sizes, head, X, y, seed):
    import skorch
    import torch

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = torch.nn.RNN(X.shape[2], sizes[0], len(sizes), batch_first=True)
            self.head = torch.nn.Linear(sizes[-1], 1) if head else torch.nn.Identity()

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    torch.manual_seed(seed)
    model = skorch.NeuralNetRegressor(
        Network,
        optimizer=torch.optim.Adam,
        lr=0.001,
        batch_size=BATCH_SIZE,
        max_epochs=EPOCHS,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )
    model.fit(X, y.reshape(-1, 1))
    return lambda X: model.predict(X)


def fits():
    """Seconds and validation errors of the whole fits of each peer, in turn for each seed."""
    peers = installed_peers()
    X, y, X_val, y_val = data()
    for model, (sizes, head) in MODELS.items():
        seconds = {peer: [] for peer in peers}
        errors = {peer: [] for peer in peers}
        for seed in SEEDS:
            for peer, fit in peers.items():
                start = time.perf_counter()
                predict = fit(sizes, head, X, y, seed)
                seconds[peer].append(time.perf_counter() - start)
                errors[peer].append(float(np.mean((predict(X_val) - y_val) ** 2)))
        for peer in peers:
            yield {
                "model": model,
                "peer": peer,
                "seconds": statistics.median(seconds[peer]),
                "spread": spread(seconds[peer]),
                "errors": errors[peer],
            }


def installed_peers():
    """Fits by name; what they need is imported here, outside of what is timed."""
    peers = {"elman": elman_fit}
    if importlib.util.find_spec("skorch") and importlib.util.find_spec("torch"):
        importlib.import_module("skorch")
        importlib.import_module("torch")
        peers["skorch"] = skorch_fit
    if importlib.util.find_spec("keras") and importlib.util.find_spec("jax"):
        os.environ.setdefault("KERAS_BACKEND", "jax")
        importlib.import_module("keras")
        peers["keras"] = keras_fit
    return peers
