"""Seq2SeqRegressor and Seq2SeqTranslator as a user meets them."""

import pickle
import warnings

import numpy as np
import pytest
from elman import DivergenceError, Seq2SeqRegressor, Seq2SeqTranslator
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.RandomState(0)
WORDS = ["".join(RNG.choice(list("abcde"), RNG.randint(1, 8))) for _ in range(60)]
BACKWARDS = [word[::-1] for word in WORDS]
TIME = np.arange(30) + RNG.uniform(0, 30, (80, 1))
WAVES = np.sin(TIME / 3)
X, Y = WAVES[:, :20], WAVES[:, 20:]
RAGGED_X = [wave[: 5 + i % 12, None] for i, wave in enumerate(X)]
RAGGED_Y = [wave[: 1 + i % 7] for i, wave in enumerate(Y)]


def translator(**parameters):
    defaults = {
        "hidden_layer_sizes": (24,),
        "embedding_dim": 16,
        "learning_rate_init": 0.01,
        "max_iter": 5,
        "batch_size": 16,
        "random_state": 0,
    }
    return Seq2SeqTranslator(**{**defaults, **parameters})


def regressor(**parameters):
    defaults = {
        "hidden_layer_sizes": (12,),
        "learning_rate_init": 0.01,
        "max_iter": 5,
        "random_state": 0,
    }
    return Seq2SeqRegressor(**{**defaults, **parameters})


def same_weights(a, b):
    return all(np.array_equal(a.weights_[name], b.weights_[name]) for name in b.weights_)


@pytest.mark.parametrize("cell", ["simple", "gru", "lstm"])
@pytest.mark.parametrize("attention", [None, "dot", "general", "additive"])
def test_learns_to_spell_backwards(cell, attention):
    model = translator(
        cell=cell, attention=attention, bidirectional=True, merge_mode="sum", max_iter=150, tol=0
    )
    model.fit(WORDS, BACKWARDS)
    assert model.score(WORDS, BACKWARDS) > 0.9
    assert model.predict(WORDS[:1]) == BACKWARDS[:1]


@pytest.mark.parametrize("attention", [None, "general", "additive"])
def test_learns_to_go_on(attention):
    model = regressor(attention=attention, max_iter=100, tol=0).fit(X, Y)
    assert model.score(X, Y) > 0.95
    assert model.predict(X).shape == Y.shape


def test_learns_when_to_stop():
    x = [np.full((3, 1), n / 5) for n in range(1, 6)] * 10
    y = [np.arange(n) / 5 for n in range(1, 6)] * 10
    model = regressor(max_iter=400, learning_rate_init=0.02, tol=0, max_length=9).fit(x, y)
    assert [len(one) for one in model.predict(x[:5])] == [1, 2, 3, 4, 5]
    assert model.score(x, y) > 0.9
    model.max_length = 2
    assert [len(one) for one in model.predict(x[:5])] == [1, 2, 2, 2, 2]


@pytest.mark.parametrize(
    "y",
    [
        Y,
        Y[:, :, None],
        np.stack([Y, -Y], axis=2),
        list(Y),
        [np.stack([one, -one], axis=1) for one in Y],
        Y[:, 0],
    ],
)
def test_predictions_look_like_y(y):
    predicted = regressor().fit(X, y).predict(X[:4])
    assert type(predicted) is type(y)
    assert np.shape(predicted) == np.shape(y[:4])


def test_outputs_that_end_in_nan_are_outputs_that_end():
    padded = np.full((len(RAGGED_Y), 7, 1), np.nan)
    for i, one in enumerate(RAGGED_Y):
        padded[i, : len(one), 0] = one
    a = regressor().fit(RAGGED_X, [one[:, None] for one in RAGGED_Y])
    b = regressor().fit(RAGGED_X, padded)
    assert same_weights(a, b)
    assert isinstance(b.predict(RAGGED_X), list)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (WORDS, BACKWARDS),
        ([list(word) for word in WORDS], [list(word) for word in BACKWARDS]),
        (
            [np.array([ord(c) for c in word]) for word in WORDS],
            [np.array([ord(c) for c in word]) for word in BACKWARDS],
        ),
        (WORDS, [[ord(c) for c in word] for word in BACKWARDS]),
    ],
)
def test_tokens_are_strings_or_integers(x, y):
    model = translator().fit(x, y)
    predicted = model.predict(x[:5])
    assert all(type(one) is type(y[0]) for one in predicted)
    assert model.target_tokens_.tolist() == sorted(set(np.concatenate([list(one) for one in y])))
    assert same_weights(model, translator().fit(WORDS, BACKWARDS))


@pytest.mark.parametrize(
    ("x", "parameters"),
    [
        (X, {"input": "sequence"}),
        (RAGGED_X, {"input": "sequence"}),
        (X, {"input": "vector", "attention": None}),
    ],
)
def test_sources_of_numbers(x, parameters):
    labels = ["up" if wave[-1] > wave[-2] else "down" for wave in X]
    model = translator(max_iter=60, tol=0, **parameters).fit(x, labels)
    assert model.score(x, labels) > 0.8


@pytest.mark.parametrize("attention", [None, "additive"])
def test_missing_values_of_the_source(attention):
    x = X[:, :, None].copy()
    x[RNG.random_sample(x.shape) < 0.2] = np.nan
    for missing in ("mask", "decay"):
        model = regressor(missing=missing, attention=attention).fit(x, Y)
        assert np.isfinite(model.predict(x)).all()
    with pytest.raises(ValueError, match="NaN"):
        regressor().fit(x, Y)


@pytest.mark.parametrize("parameters", [{}, {"teacher_forcing": (1.0, 0.3)}, {"dropout": 0.3}])
def test_bits_do_not_depend_on_threads(parameters):
    models = [translator(n_jobs=n, **parameters).fit(WORDS * 9, BACKWARDS * 9) for n in (1, 2, 3)]
    assert same_weights(models[0], models[1])
    assert same_weights(models[0], models[2])
    assert models[0].loss_curve_ == models[2].loss_curve_
    expected = models[0].predict_log_proba(WORDS, BACKWARDS)
    for model in models[1:]:
        assert np.array_equal(model.predict_log_proba(WORDS, BACKWARDS), expected)


@pytest.mark.parametrize("attention", [None, "dot", "general", "additive"])
def test_a_row_alone_is_a_row_in_company(attention):
    model = translator(attention=attention, beam_width=3).fit(WORDS, BACKWARDS)
    log_p = model.predict_log_proba(WORDS, BACKWARDS)
    predicted = model.predict(WORDS)
    for i in (0, 7, 59):
        assert model.predict(WORDS[i : i + 1]) == predicted[i : i + 1]
        alone = model.predict_log_proba(WORDS[i : i + 1], BACKWARDS[i : i + 1])
        assert alone[0] == log_p[i]
    model = regressor(attention=attention).fit(RAGGED_X, RAGGED_Y)
    together = model.predict(RAGGED_X)
    for i in (0, 7, 59):
        assert np.array_equal(model.predict(RAGGED_X[i : i + 1])[0], together[i])


def test_pickle_clone_and_warm_start():
    model = translator(warm_start=True).fit(WORDS, BACKWARDS)
    answers = model.predict(WORDS)  # packs the weights, which a pickle does not hold
    again = pickle.loads(pickle.dumps(model))
    assert same_weights(model, again)
    assert again.predict(WORDS) == answers
    assert same_weights(model.fit(WORDS, BACKWARDS), again.fit(WORDS, BACKWARDS))
    assert not same_weights(model, clone(model).fit(WORDS, BACKWARDS))


def test_a_weight_of_zero_leaves_a_sample_out():
    weights = np.ones(len(WORDS))
    weights[40:] = 0
    a = translator(shuffle=False, alpha=0).fit(WORDS, BACKWARDS, sample_weight=weights)
    b = translator(shuffle=False, alpha=0).fit(WORDS, BACKWARDS, sample_weight=weights * 3)
    assert a.loss_curve_ == pytest.approx(b.loss_curve_, rel=1e-4)
    right = a.score(WORDS, [*BACKWARDS[:40], *["?"] * 20], sample_weight=weights)
    assert right == a.score(WORDS[:40], BACKWARDS[:40])


def test_early_stopping_keeps_the_best_weights():
    model = translator(early_stopping=True, max_iter=30).fit(WORDS, BACKWARDS)
    assert model.best_validation_score_ == max(model.validation_scores_)
    model = translator(early_stopping=True, max_iter=4)
    model.fit(WORDS, BACKWARDS, X_val=WORDS[:9], y_val=BACKWARDS[:9])
    log_p = model.predict_log_proba(WORDS[:9], BACKWARDS[:9])
    n_tokens = sum(len(word) + 1 for word in WORDS[:9])
    assert model.best_validation_score_ == pytest.approx(log_p.sum() / n_tokens, rel=1e-6)
    model = regressor(early_stopping=True).fit(X, Y, X_val=X[:20], y_val=Y[:20])
    assert model.best_validation_score_ == pytest.approx(model.score(X[:20], Y[:20]), rel=1e-6)


def test_beam_search_finds_no_less_likely_outputs():
    model = translator(max_iter=15).fit(WORDS, BACKWARDS)
    greedy = model.predict_log_proba(WORDS, model.predict(WORDS))
    model.beam_width = 6
    beam = model.predict_log_proba(WORDS, model.predict(WORDS))
    assert beam.mean() > greedy.mean()
    model.length_penalty = 5.0
    lengths = [len(word) for word in model.predict(WORDS)]
    model.length_penalty = 0.0
    assert sum(lengths) > sum(len(word) for word in model.predict(WORDS))
    model.max_length = 2
    assert max(len(word) for word in model.predict(WORDS)) == 2


def test_probabilities_of_all_outputs_sum_to_one():
    model = translator(batch_size="auto").fit(["a", "b"] * 5, ["x", ""] * 5)
    outputs = ["x" * n for n in range(40)]
    log_p = model.predict_log_proba(["a"] * 40, outputs)
    assert np.exp(log_p).sum() == pytest.approx(1, abs=1e-3)


def test_attention_weights_can_be_read():
    model = translator(bidirectional=True).fit(WORDS, BACKWARDS)
    weights = model.attention_weights(WORDS[:9], BACKWARDS[:9])
    for shares, word in zip(weights, WORDS, strict=False):
        assert shares.shape == (len(word) + 1, len(word))
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    predicted = model.predict(WORDS[:3])
    for shares, word in zip(model.attention_weights(WORDS[:3]), predicted, strict=True):
        assert len(shares) == len(word) + 1
    for shares, x, y in zip(
        regressor().fit(RAGGED_X, RAGGED_Y).attention_weights(RAGGED_X, RAGGED_Y),
        RAGGED_X,
        RAGGED_Y,
        strict=True,
    ):
        assert shares.shape == (len(y), len(x))
    with pytest.raises(AttributeError, match="attention=None"):
        regressor(attention=None).fit(X, Y).attention_weights(X)


def test_unknown_tokens_of_a_source():
    model = translator(token_dropout=0.2).fit(WORDS, BACKWARDS)
    assert isinstance(model.predict(["xyz"])[0], str)
    assert model.predict(["xyz"]) == model.predict(["uvw"])


def test_model_selection():
    pipeline = make_pipeline(StandardScaler(), regressor())
    assert len(cross_val_score(pipeline, X, Y, cv=2)) == 2
    search = GridSearchCV(translator(), {"attention": [None, "dot"]}, cv=2)
    search.fit(WORDS, BACKWARDS)
    assert search.best_params_["attention"] in (None, "dot")


def test_set_weights_gives_back_predictions():
    a, b = translator().fit(WORDS, BACKWARDS), translator(random_state=1).fit(WORDS, BACKWARDS)
    assert not same_weights(a, b)
    assert b.set_weights(a.weights_).predict(WORDS) == a.predict(WORDS)
    assert "attention.W_c" in a.summary()


@pytest.mark.parametrize("beam_width", [1, 3])
def test_a_network_that_overflows_has_no_answer(beam_width):
    model = translator(beam_width=beam_width).fit(WORDS, BACKWARDS)
    model.set_weights({name: 1e38 * array for name, array in model.weights_.items()})
    with pytest.raises(ValueError, match=r"predict: X got a source on which the network overflow"):
        model.predict(WORDS)
    with pytest.raises(ValueError, match=r"predict_log_proba: X got a source on which the network"):
        model.predict_log_proba(WORDS, BACKWARDS)


def test_diverging_leaves_the_estimator_as_it_was():
    model = regressor().fit(X, Y)
    before = model.weights_
    model.set_params(learning_rate_init=1e30, cell="simple", activation="identity", attention=None)
    with pytest.raises(DivergenceError, match="learning_rate_init"):
        model.fit(X, Y)
    assert all(np.array_equal(before[name], model.weights_[name]) for name in before)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"attention": "loud"}, "attention got 'loud', expected None or one of"),
        ({"beam_width": 0}, "beam_width got 0, expected an integer of at least 1"),
        ({"max_length": 0}, "max_length got 0, expected None or an integer of at least 1"),
        ({"teacher_forcing": 1.5}, "teacher_forcing got 1.5"),
        ({"teacher_forcing": (1, 0.5, 0)}, "teacher_forcing got"),
        ({"decoder_layer_sizes": (0,)}, "decoder_layer_sizes got"),
        ({"attention": "dot", "decoder_layer_sizes": 5}, "attention got 'dot' for 24 encoder"),
        (
            {"attention": "dot", "hidden_layer_sizes": (9, 2), "residual": True},
            r"hidden_layer_sizes got layers with outputs of \[9, 2\]",
        ),
        (
            {"decoder_layer_sizes": (9, 2), "residual": True},
            r"decoder_layer_sizes got layers with outputs of \[9, 2\]",
        ),
        ({"input": "vector"}, "attention got 'general', expected None with input='vector'"),
        ({"solver": "lbfgs"}, "solver got 'lbfgs'"),
        ({"length_penalty": -1}, "length_penalty got -1"),
        ({"n_channels": 2}, "n_channels got 2, expected 1 with input='tokens'"),
        ({"missing": "mask"}, "missing got 'mask', expected None with input='tokens'"),
        ({"max_length": 3}, r"y got \d steps at sample \d+, expected at most max_length=3"),
    ],
)
def test_parameters_that_cannot_be(parameters, message):
    model = translator(**parameters)
    with pytest.raises(ValueError, match=f"Seq2SeqTranslator.fit: {message}"):
        model.fit(WORDS, BACKWARDS)
    assert "_model" not in vars(model)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([], [], r"X got 0 sample\(s\), expected a minimum of 1"),
        ("stop", ["pots"], "X got one string, expected a list of sequences of tokens"),
        (["a", ""], ["a", "b"], r"X got 0 tokens at samples \[1\]"),
        (["a", "b"], ["a"], "y got 1 samples, expected 2, as in X"),
        (["a", "b"], None, "y got None"),
        (["a", 3], ["a", "b"], r"X\[1\] got a int"),
        (["a", [3]], ["a", "b"], "X got strings and integers together"),
        ([[0.5], [1.0]], ["a", "b"], r"X\[0\] got dtype float64"),
        ([[[1]], [[2]]], ["a", "b"], r"X\[0\] got shape \(1, 1\)"),
    ],
)
def test_tokens_that_cannot_be(x, y, message):
    with pytest.raises(ValueError, match=f"Seq2SeqTranslator.fit: {message}"):
        translator(batch_size="auto").fit(x, y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (Y[:5], "y got 5 samples, expected 80, as in X"),
        (np.where(Y > 0.9, np.nan, Y), "y got .* NaN"),
        ([*RAGGED_Y[:-1], np.array([])], r"y got 0 time steps at samples \[79\]"),
        ([*RAGGED_Y[:-1], np.zeros((3, 2))], r"y\[79\] got shape \(3, 2\)"),
        (None, "y got None"),
        (Y[:, :, None, None], "y got shape"),
    ],
)
def test_outputs_that_cannot_be(y, message):
    with pytest.raises(ValueError, match=f"Seq2SeqRegressor.fit: {message}"):
        regressor().fit(X, y)


def test_calls_that_cannot_be():
    model = translator()
    with pytest.raises(NotFittedError, match=r"Seq2SeqTranslator\.predict"):
        model.predict(WORDS)
    model.fit(WORDS, BACKWARDS)
    with pytest.raises(ValueError, match=r"y got the token '\?' at \(sample 1, step 2\)"):
        model.predict_log_proba(WORDS[:2], ["ab", "ab?"])
    with pytest.raises(ValueError, match="X got integers, expected strings, as in fit"):
        model.predict([[1, 2]])
    model.beam_width = 7
    with pytest.raises(ValueError, match="beam_width got 7, expected at most 6, the tokens"):
        model.predict(WORDS)
    model.set_params(beam_width=1, max_length=0)
    with pytest.raises(ValueError, match="max_length got 0"):
        model.predict(WORDS)
    other = regressor().fit(X, Y)
    with pytest.raises(ValueError, match="y got 2 outputs at each step, expected 1, as in fit"):
        other.score(X, np.stack([Y, Y], axis=2))
    with pytest.raises(ValueError, match="together"):
        regressor(early_stopping=True).fit(X, Y, X_val=X)
    with pytest.raises(ValueError, match="early_stopping=True"):
        regressor().fit(X, Y, X_val=X, y_val=Y)


def test_a_fit_that_is_not_done_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with pytest.raises(ConvergenceWarning, match=r"Seq2SeqRegressor\.fit: max_iter got 2"):
            regressor(max_iter=2).fit(X, Y)
