"""What small work costs beside the arithmetic: a short fit, one call."""

import warnings

import elman
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from sklearn.utils.validation import check_X_y

from bench.measure import in_turn


def small_times(n_rounds):
    """Microseconds of each call by name, medians of calls in turn."""
    X = np.random.default_rng(0).normal(size=(100, 10))
    y = X.sum(axis=1)
    rnn = elman.RNNRegressor(cell="simple", hidden_layer_sizes=(20,), max_iter=1, random_state=0)
    mlp = MLPRegressor(hidden_layer_sizes=(20,), max_iter=1, random_state=0)
    one_step = X[0, :1, None].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        tiny = elman.RNNRegressor(cell="simple", hidden_layer_sizes=(1,), head=None, max_iter=1)
        fast = elman.compile(tiny.fit(X, y))
        rnn.fit(X, y)
        mlp.fit(X, y)
        times = in_turn(
            {
                "scikit-learn's validation, check_X_y": repeat(lambda: check_X_y(X, y)),
                "fit, 100 sequences x 10 steps, one epoch, simple cell of 20": repeat(
                    lambda: rnn.fit(X, y)
                ),
                "the same rows: fit of an MLPRegressor of 20, one epoch": repeat(
                    lambda: mlp.fit(X, y)
                ),
                "predict of one row": repeat(lambda: rnn.predict(X[:1])),
                "the same: predict of the MLPRegressor": repeat(lambda: mlp.predict(X[:1])),
                "a compiled model's call, one step of one unit": repeat(lambda: fast(one_step)),
            },
            n_rounds,
        )
    return {name: 1e6 * t.median for name, t in times.items()}


def repeat(call):
    def calls(n_calls):
        for _ in range(n_calls):
            call()

    return calls
