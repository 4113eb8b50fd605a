"""Estimators on tokens and on sparse features: forms of X, the embedding, what is refused."""

import pickle
import warnings

import elman
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from elman import RNNClassifier, RNNRegressor, TokenSequencer
from elman._cooccurrence import cooccurrence_embedding
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

N_TOKENS = 30
FORM = r"^RNN(Regressor|Classifier)\.\w+: "

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def sequences():
    rng = np.random.default_rng(0)
    return [rng.integers(0, N_TOKENS, n) for n in rng.integers(1, 9, 60)]


@pytest.fixture(scope="module")
def labels(sequences):
    return np.array([int((ids < 10).sum() > (ids > 20).sum()) for ids in sequences])


def features_of(sequences, n_tokens=N_TOKENS, dtype=np.float32):
    return [
        scipy.sparse.csr_matrix(
            (np.ones(len(ids), dtype), ids, np.arange(len(ids) + 1)), (len(ids), n_tokens)
        )
        for ids in sequences
    ]


def model_of(model=RNNClassifier, **parameters):
    settings = {
        "input": "tokens",
        "n_tokens": N_TOKENS,
        "embedding_dim": 8,
        "hidden_layer_sizes": 6,
        "max_iter": 3,
        "random_state": 0,
    }
    return model(**{**settings, **parameters})


def test_it_learns(sequences, labels):
    model = model_of(max_iter=60, learning_rate_init=0.02, batch_size=16)
    assert model.fit(sequences, labels).score(sequences, labels) > 0.95


FORMS = {
    "lists": lambda ids: ids.tolist(),
    "uint8": lambda ids: ids.astype(np.uint8),
    "whole floats": lambda ids: ids.astype(np.float64),
    "one column": lambda ids: ids[:, None],
    "Series": pd.Series,
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_a_sequence(form, sequences, labels):
    expected = model_of().fit(sequences, labels)
    got = model_of().fit([FORMS[form](ids) for ids in sequences], labels)
    for name, weights in expected.weights_.items():
        assert np.array_equal(got.weights_[name], weights)


def test_a_table_is_a_list_of_sequences_of_one_length(labels):
    table = np.random.default_rng(1).integers(0, N_TOKENS, (60, 5))
    expected = model_of().fit(list(table), labels).predict_proba(list(table))
    objects = np.empty(60, dtype=object)
    objects[:] = list(table)
    for form in (table, table[:, :, None], table.tolist(), pd.DataFrame(table), objects):
        assert np.array_equal(model_of().fit(form, labels).predict_proba(form), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, bool])
def test_one_feature_a_step_is_a_token(dtype, sequences, labels):
    tokens = model_of().fit(sequences, labels)
    features = model_of(n_tokens=None).fit(features_of(sequences, dtype=dtype), labels)
    assert features.n_features_in_ == features.n_channels_in_ == N_TOKENS
    assert features.embedding_.dtype == (np.float64 if dtype == np.float64 else np.float32)
    for name, weights in tokens.weights_.items():
        np.testing.assert_allclose(features.weights_[name], weights, rtol=1e-4, atol=1e-6)


def test_sparse_arrays_and_other_formats(sequences, labels):
    matrices = features_of(sequences)
    expected = model_of().fit(matrices, labels).predict_proba(matrices)
    for convert in (scipy.sparse.csr_array, scipy.sparse.coo_matrix, scipy.sparse.csc_matrix):
        other = [convert(matrix) for matrix in matrices]
        assert np.array_equal(model_of().fit(other, labels).predict_proba(other), expected)


def test_steps_without_a_feature_and_with_several(labels):
    rng = np.random.default_rng(0)
    X = [scipy.sparse.random(4, 7, 0.3, "csr", rng=rng) for _ in labels]
    model = model_of(RNNRegressor, n_tokens=7).fit(X, labels)
    dense = [matrix.toarray() @ model.embedding_ for matrix in X]
    plain = RNNRegressor(hidden_layer_sizes=6, max_iter=1).fit(dense, labels)
    weights = {name: w for name, w in model.weights_.items() if name != "embedding"}
    expected = plain.set_weights(weights).predict(dense)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-10)


@pytest.mark.parametrize("model", [RNNRegressor, RNNClassifier])
def test_targets_at_each_step(model, sequences):
    y = [(ids > 12).astype(int) for ids in sequences]
    fitted = model_of(model, max_iter=40, learning_rate_init=0.02).fit(sequences, y)
    predictions = fitted.predict(sequences)
    assert [len(p) for p in predictions] == [len(ids) for ids in sequences]
    assert fitted.score(sequences, y) > 0.9


def test_same_bits_for_any_number_of_threads_and_alone(sequences, labels):
    parameters = {"token_dropout": "rare", "embedding_dropout": 0.2, "embedding": "cooccurrence"}
    fits = [model_of(n_jobs=n, **parameters).fit(sequences, labels) for n in (1, 3)]
    assert np.array_equal(fits[0].embedding_, fits[1].embedding_)
    whole = fits[0].predict_proba(sequences)
    for i in range(0, 60, 7):
        assert np.array_equal(fits[0].predict_proba([sequences[i]])[0], whole[i])


def test_continuing_is_the_same_as_going_on(sequences, labels):
    parameters = {"shuffle": False, "token_dropout": 0.2, "solver": "adamw", "tol": 0.0}
    whole = model_of(**parameters, max_iter=4, n_iter_no_change=100).fit(sequences, labels)
    parts = model_of(**parameters)
    for _ in range(4):
        parts.partial_fit(sequences, labels, classes=[0, 1])
    assert np.array_equal(whole.embedding_, parts.embedding_)


def test_pickle_clone_and_compile(sequences, labels):
    model = model_of(embedding=np.ones((N_TOKENS, 8))).fit(sequences, labels)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict_proba(sequences), model.predict_proba(sequences))
    clone(model).fit(sequences, labels)
    function = elman.compile(model, method="predict_proba")
    expected = model.predict_proba(sequences)
    for ids, row in zip(sequences, expected, strict=True):
        assert np.array_equal(function(ids), row)
    table = np.array([[1, 2, 3], [3, 2, 1]])
    assert np.array_equal(function(table), model.predict_proba(table))
    with pytest.raises(ValueError, match="out of range"):
        function([2**32 + 1])
    with pytest.raises(ValueError, match="integers"):
        function([0.5])
    features = model_of().fit(features_of(sequences), labels)
    with pytest.raises(ValueError, match="sparse matrices of features"):
        elman.compile(features)


def test_pipeline_of_texts():
    texts = ["a good film", "bad , bad film", "good good", "so bad"] * 12
    y = ["pos", "neg", "pos", "neg"] * 12
    pipeline = make_pipeline(
        TokenSequencer(),
        RNNClassifier(
            input="tokens", max_iter=40, learning_rate_init=0.02, batch_size=8, random_state=0
        ),
    )
    assert cross_val_score(pipeline, texts, y, cv=3).mean() > 0.9
    pipeline.fit(texts, y)
    again = pickle.loads(pickle.dumps(pipeline))
    unseen = ["a good thing", "bad thing"]
    assert np.array_equal(again.predict_proba(unseen), pipeline.predict_proba(unseen))
    assert pipeline.predict(unseen).tolist() == ["pos", "neg"]
    grid = {"tokensequencer__analyzer": ["word", "char"], "rnnclassifier__cell": ["gru"]}
    assert GridSearchCV(pipeline, grid, cv=2).fit(texts, y).best_score_ > 0.9


def test_the_embedding_starts_where_it_is_told(sequences, labels):
    start = np.random.default_rng(0).normal(size=(N_TOKENS, 5))
    model = model_of(embedding=start, embedding_dim=None, n_tokens=None, learning_rate_init=1e-12)
    np.testing.assert_allclose(model.fit(sequences, labels).embedding_, start, rtol=1e-6)


def test_a_token_that_never_comes_keeps_its_row(labels):
    start = np.random.default_rng(0).normal(size=(N_TOKENS, 8)).astype(np.float32)
    X = [[1, 2], [2, 3, 4]] * 30
    embedding = model_of(embedding=start, max_iter=20).fit(X, labels).embedding_
    assert np.array_equal(embedding[5:], start[5:])
    assert not np.array_equal(embedding[1:5], start[1:5])


def test_tokens_in_the_same_company_start_alike():
    """Tokens 0 and 1 stand between the same neighbours, 4 and 5 beside others."""
    rng = np.random.default_rng(0)
    X = [[2, rng.integers(0, 2), 3] for _ in range(50)]
    X += [[6, rng.integers(4, 6), 7] for _ in range(50)]
    start = model_of(n_tokens=8, embedding="cooccurrence", learning_rate_init=1e-12, max_iter=1)
    embedding = start.fit(X, [0, 1] * 50).embedding_
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    similarity = unit @ unit.T
    assert similarity[0, 1] > 0.9
    assert similarity[4, 5] > 0.9
    assert abs(similarity[0, 4]) < 0.1


def test_cooccurrence_of_one_token_alone_is_nothing():
    steps = scipy.sparse.csr_array(np.eye(3))
    assert not cooccurrence_embedding(steps, np.array([0, 1, 2, 3]), 4, 0).any()


def test_features_below_zero_are_no_company():
    """As the ratios of `CountRatioEncoder` are, which may have any sign."""
    steps = scipy.sparse.csr_array([[1, 0, -2.0], [0, 1, 1.5], [1, 0, -1.0], [0, 1, -3.0]])
    seen, offsets = steps.maximum(0), np.array([0, 2, 4])
    embedding = cooccurrence_embedding(steps, offsets, 2, 0)
    assert np.isfinite(embedding).all()
    assert embedding.any()
    assert (embedding == cooccurrence_embedding(seen, offsets, 2, 0)).all()


def test_rare_tokens_are_dropped_more_often():
    """What is seen once is unknown in a third of the updates; the unknown token learns from it."""
    X = [[1, 1, 1, i] for i in range(2, 42)]
    model = model_of(n_tokens=50, token_dropout="rare", max_iter=1, batch_size=1)
    start = np.zeros((50, 8))
    embedding = (
        model.set_params(embedding=start, solver="sgd", momentum=0.0).fit(X, [0, 1] * 20).embedding_
    )
    untouched = (embedding[2:42] == 0).all(axis=1).mean()
    assert 0.1 < untouched < 0.6
    assert embedding[0].any()


def bad(what, change, message, error=ValueError):
    return pytest.param(change, message, error, id=what)


FITS = [
    bad("a token beyond n_tokens", {"X": [[1, 2], [3, 30]]}, r"token 30 at \(sample 1, step 1\)"),
    bad("a negative token", {"X": [[1, -1], [3]]}, r"token -1 at \(sample 0, step 1\)"),
    bad("no steps", {"X": [[1, 2], []]}, r"0 time steps at samples \[1\]"),
    bad("broken numbers", {"X": [[1.5, 2], [3]]}, r"1\.5 at \(sample 0, step 0\)"),
    bad("NaN", {"X": [[np.nan, 2.0], [3.0]]}, r"nan at \(sample 0, step 0\)"),
    bad("infinity", {"X": [[1.0], [np.inf, 2.0]]}, r"inf at \(sample 1, step 0\)"),
    bad("texts", {"X": ["to be", "or not"]}, "texts.*TokenSequencer"),
    bad("vectors at each step", {"X": [np.ones((2, 3)), np.ones((1, 3))]}, r"X\[0\] got shape"),
    bad("one row", {"X": np.arange(4)}, r"X got shape \(4,\)"),
    bad("one sparse matrix", {"X": scipy.sparse.csr_matrix((2, 30))}, "one sparse csr_matrix"),
    bad(
        "sparse and dense",
        {"X": [scipy.sparse.csr_matrix((2, 30)), [1]]},
        r"X\[1\] got a list",
        TypeError,
    ),
    bad(
        "sparse matrices of another width",
        {"X": [scipy.sparse.csr_matrix((2, 30)), scipy.sparse.csr_matrix((2, 29))]},
        r"X\[1\] got shape \(2, 29\), expected \(n_timesteps, 30\)",
    ),
    bad(
        "complex features",
        {"X": [scipy.sparse.csr_matrix((2, 30), dtype=complex)] * 2},
        r"X\[0\] got dtype complex",
        TypeError,
    ),
    bad(
        "features that are not finite",
        {"X": [scipy.sparse.csr_matrix(np.full((1, 30), np.inf))] * 2},
        "not finite",
    ),
    bad("an embedding of another height", {"embedding": np.ones((29, 8))}, r"shape \(29, 8\)"),
    bad("an embedding of another width", {"embedding": np.ones((30, 7))}, r"shape \(30, 7\)"),
    bad("NaN in the embedding", {"embedding": np.full((30, 8), np.nan)}, "embedding got NaN"),
    bad("a start with a name of its own", {"embedding": "word2vec"}, "embedding got 'word2vec'"),
    bad("no column", {"embedding_dim": 0}, "embedding_dim got 0"),
    bad("all tokens dropped", {"token_dropout": 1.0}, "token_dropout got 1"),
    bad("an unknown dropout", {"token_dropout": "often"}, "token_dropout got 'often'"),
    bad("dropouts of other tokens", {"token_dropout": np.zeros(29)}, r"shape \(29,\)"),
    bad("a dropout of one", {"token_dropout": np.ones(30)}, r"probabilities in \[0, 1\)"),
    bad("channels", {"n_channels": 2}, "n_channels got 2"),
    bad("n_tokens without tokens", {"input": "sequence"}, "n_tokens got 30"),
]


@pytest.mark.parametrize(("change", "message", "error"), FITS)
def test_what_fit_refuses(change, message, error):
    change = dict(change)
    X = change.pop("X", [[1, 2], [3]])
    fitted = model_of().fit([[1, 2], [3]], [0, 1])
    before = fitted.embedding_
    for model in (model_of(**change), fitted.set_params(**change)):
        with pytest.raises(error, match=FORM + f"(?s:.*){message}"):
            model.fit(X, [0, 1])
    assert np.array_equal(fitted.embedding_, before)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[30]], r"token 30 .*n_tokens=30"),
        ([scipy.sparse.csr_matrix((2, 30))], "sparse matrices of features, expected tokens"),
        ([[]], "0 time steps"),
    ],
)
def test_what_predict_refuses(X, message, sequences, labels):
    model = model_of().fit(sequences, labels)
    with pytest.raises(ValueError, match=FORM + f"(?s:.*){message}"):
        model.predict(X)
    features = model_of().fit(features_of(sequences), labels)
    with pytest.raises(ValueError, match="tokens, expected sparse matrices of features"):
        features.predict([[1, 2]])


def test_there_is_an_embedding_only_where_there_are_tokens():
    model = RNNRegressor(max_iter=1).fit(np.zeros((4, 3, 1)), np.arange(4.0))
    with pytest.raises(AttributeError, match="embedding_"):
        _ = model.embedding_
    with pytest.raises(AttributeError, match="before fit"):
        _ = model_of().embedding_


def test_nothing_warns_but_the_end_of_training(sequences, labels):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        model_of(embedding="cooccurrence", token_dropout="rare").fit(sequences, labels)
