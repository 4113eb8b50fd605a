"""Whatever settings are drawn: a fit keeps its promises, or is refused in the user's terms."""

import pickle

import elman
import numpy as np
import pandas as pd
import pytest
from elman import (
    DivergenceError,
    RNNClassifier,
    RNNForecaster,
    RNNImputer,
    RNNRegressor,
    Seq2SeqRegressor,
    Seq2SeqTranslator,
)
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.filterwarnings("ignore")

NETWORK = {
    "cell": ["simple", "gru", "lstm", "min_gru", "min_lstm"],
    "hidden_layer_sizes": [(1,), (5, 5), (9, 2), (20, 20), 28],
    "batch_size": [1, 3, 16],
    "solver": ["sgd", "lbfgs", "rmsprop"],
    "dropout": [0.3],
    "recurrent_dropout": [0.2],
    "layer_norm": [True],
    "residual": [True],
    "bidirectional": [True],
    "merge_mode": ["sum", "mean", "mul"],
    "missing": ["mask", "decay"],
    "activation": ["relu", "identity"],
    "reset_after": [False],
    "early_stopping": [True],
    "learning_rate": ["adaptive", "invscaling", "cosine"],
    "clip_norm": [1.0],
    "shuffle": [False],
}
OF_STEPS = {"bptt_memory": ["checkpoint"], "bptt_steps": [2], "head": [None]}
REGRESSION = {"loss": ["absolute_error", "huber", "quantile", "poisson", "gaussian_nll"]}
DECODER = {
    "attention": [None, "dot", "additive"],
    "decoder_layer_sizes": [(3,), (5, 5), (9, 2)],
    "teacher_forcing": [0.0, 0.5, (1.0, 0.5)],
}
FORECASTER = {
    "strategy": ["recursive", "seq2seq", "parallel"],
    "strategy_panel": ["local"],
    "cell": ["simple", "lstm", "min_gru"],
    "loss": ["squared_error", "huber", "quantile", "gaussian_nll"],
    "season_length": [1, 7, (3, 7)],
    "window": [3, 8],
    "segment_length": [1, 2],
    "scale": [None, "standard", "robust", "mean_absolute", "difference", "seasonal_difference"],
    "transform": [None, "log1p"],
    "candidates": [None, ["last"], ["mean", "seasonal"]],
    "centre": ["last", "mean"],
    "calendar": [["dayofweek"], ["hour", "month"]],
    "early_stopping": [True],
    "head_layer_size": [3],
    "input_layer_size": [3],
    "series_identity": [True],
    "origin_step": [1, 3],
}
IMPUTER = {
    "method": ["brits"],
    "cell": ["lstm", "simple"],
    "gaps": ["points", "runs", "blocks"],
    "season_length": [None, 5],
    "window": [4, 10],
    "bidirectional": [False],
    "dropout": [0.2],
}
SEEDS = st.integers(0, 2**16)


def drawn(*pools):
    values = {name: st.sampled_from(pool) for pools_of in pools for name, pool in pools_of.items()}
    return st.fixed_dictionaries({}, optional=values)


def is_refused(method, *data):
    """Return whether an estimator's method refuses what it gets; if so it says what that is."""
    try:
        method(*data)
    except (ValueError, TypeError, DivergenceError) as error:
        message = str(error)
    else:
        return False
    assert message.startswith(f"{type(method.__self__).__name__}.{method.__name__}: ")
    assert len(message) < 400
    return True


def numbers(answer):
    """All of an answer, of whatever kind, as one array."""
    if isinstance(answer, list):
        return np.concatenate([numbers(part) for part in answer]) if answer else np.empty(0)
    if isinstance(answer, pd.DataFrame):
        answer = answer.select_dtypes("number")
    return np.asarray(answer, dtype=float).ravel()


def assert_kept(model, expected, answer, tmp_path_factory):
    """A pickle and a file answer with the same bits."""
    path = tmp_path_factory.mktemp("model") / "model.elman"
    elman.save(model, path)
    for copy in (pickle.loads(pickle.dumps(model)), elman.load(path)):
        np.testing.assert_array_equal(numbers(answer(copy)), expected)


def sequences(rng, kind, missing):
    """(n_samples, n_timesteps, n_channels) or a list of sequences, or tokens."""
    n = int(rng.choice([7, 20]))
    if kind == "tokens":
        return [rng.integers(0, 6, rng.choice([1, 2, 9])) for _ in range(n)]
    lengths = rng.choice([1, 2, 9], n) if kind == "ragged" else np.full(n, 8)
    X = [rng.normal(size=(length, 2)) for length in lengths]
    if missing:
        for x in X:
            x[:-1][rng.random(x[:-1].shape) < 0.3] = np.nan
    return np.stack(X) if kind == "regular" else X


@pytest.mark.parametrize("estimator", [RNNRegressor, RNNClassifier])
@given(
    settings=drawn(NETWORK, OF_STEPS, REGRESSION),
    kind=st.sampled_from(["regular", "ragged", "tokens"]),
    seed=SEEDS,
    per_step=st.booleans(),
)
def test_networks(estimator, settings, kind, seed, per_step, tmp_path_factory):
    rng = np.random.default_rng(seed)
    if estimator is RNNClassifier:
        settings.pop("loss", None)
    if kind == "tokens":
        settings = {**settings, "input": "tokens", "embedding_dim": 3}
        settings.pop("missing", None)
    X = sequences(rng, kind, settings.get("missing"))

    def target(n):
        return rng.random(n) if estimator is RNNRegressor else rng.integers(0, 3, n)

    y = [target(len(x)) for x in X] if per_step else target(len(X))
    if kind == "regular" and per_step:
        y = np.stack(y)
    model = estimator(max_iter=2, random_state=0, **settings)
    if is_refused(model.fit, X, y):
        return
    answers = numbers(list(model.predict(X)))
    assert np.isfinite(answers).all()
    alone = [model.predict(X[i : i + 1]) for i in range(2)]
    np.testing.assert_array_equal(numbers(alone), numbers(list(model.predict(X[:2]))))
    assert_kept(model, answers, lambda copy: list(copy.predict(X)), tmp_path_factory)
    again = estimator(max_iter=2, random_state=0, n_jobs=3, **settings).fit(X, y)
    np.testing.assert_array_equal(numbers(list(again.predict(X))), answers)


@given(settings=drawn(NETWORK, DECODER), seed=SEEDS, is_translator=st.booleans())
def test_encoder_decoders(settings, seed, is_translator, tmp_path_factory):
    rng = np.random.default_rng(seed)
    if is_translator:
        settings.pop("missing", None)
    X = sequences(rng, "tokens" if is_translator else "ragged", settings.get("missing"))
    lengths = rng.choice([1, 2, 4], len(X))
    if is_translator:
        y = [rng.integers(0, 5, length).tolist() for length in lengths]
    else:
        y = [rng.normal(size=(length, 2)) for length in lengths]
    estimator = Seq2SeqTranslator if is_translator else Seq2SeqRegressor
    model = estimator(max_iter=2, random_state=0, **settings)
    if is_refused(model.fit, X, y):
        return
    answers = numbers(list(model.predict(X)))
    assert np.isfinite(answers).all()
    alone = [list(model.predict(X[i : i + 1])) for i in range(2)]
    np.testing.assert_array_equal(numbers(alone), numbers(list(model.predict(X[:2]))))
    assert_kept(model, answers, lambda copy: list(copy.predict(X)), tmp_path_factory)


def series(rng, form, n, has_gaps):
    def values():
        wave = 10 + 3 * np.sin(np.arange(n) * 2 * np.pi / 7) + rng.normal(size=n)
        if has_gaps:
            wave[rng.random(n) < 0.15] = np.nan
        return wave

    times = pd.date_range("2024-01-02", periods=n, freq=str(rng.choice(["h", "D", "W", "MS"])))
    if form == "array":
        return values()
    if form == "list":
        return [values(), values()[: n // 2 + 6]]
    if form == "series":
        return pd.Series(values(), times)
    if form == "wide":
        return pd.DataFrame({"a": values(), "b": values()}, times)
    long = [pd.DataFrame({"unique_id": name, "ds": times, "y": values()}) for name in "ab"]
    return pd.concat(long, ignore_index=True)


@given(
    settings=drawn(FORECASTER),
    form=st.sampled_from(["array", "list", "series", "wide", "long"]),
    seed=SEEDS,
    has_gaps=st.booleans(),
    horizon=st.integers(1, 5),
)
def test_forecasters(settings, form, seed, has_gaps, horizon, tmp_path_factory):
    rng = np.random.default_rng(seed)
    y = series(rng, form, int(rng.choice([25, 40, 90])), has_gaps)
    effort = {"n_updates": 2, "n_estimators": 1, "hidden_layer_sizes": 4, "random_state": 0}
    model = RNNForecaster(horizon, **effort, **settings)
    if is_refused(model.fit, y):
        return
    forecasts = model.predict()
    assert type(forecasts) is type(y)
    expected = numbers(forecasts)
    assert (np.abs(expected) < 1e3).all()
    np.testing.assert_array_equal(numbers(model.predict(y=y)), expected)
    assert_kept(model, expected, lambda copy: copy.predict(), tmp_path_factory)
    levels = [0.2, 0.5, 0.8]  # told by errors, of which there may be too few
    if not is_refused(model.predict_quantiles, levels):
        assert np.isfinite(numbers(model.predict_quantiles(levels))).all()


@given(settings=drawn(IMPUTER), seed=SEEDS, share=st.sampled_from([0.1, 0.5, 0.8]))
def test_imputers(settings, seed, share):
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(n, 2)).cumsum(axis=0) for n in (30, 8, 2)]
    for x in X:
        x[rng.random(x.shape) < share] = np.nan
    model = RNNImputer(max_iter=2, hidden_layer_sizes=4, random_state=0, **settings)
    if is_refused(model.fit, X):
        return
    given_values, filled = numbers(X), numbers(list(model.transform(X)))
    is_known = ~np.isnan(given_values)
    np.testing.assert_array_equal(filled[is_known], given_values[is_known])
    assert np.isfinite(filled).all()
