"""Texts as tokens and features, beside scikit-learn's CountVectorizer; count ratios by hand."""

import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse
from elman import CountRatioEncoder, RNNClassifier, TokenSequencer
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

TEXTS = ["The cat sat on the mat.", "The dog, the dog!", "a cat"]


@pytest.mark.parametrize("analyzer", ["word", "char", str.split])
@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize(
    "limits", [{}, {"min_df": 2}, {"max_df": 0.7}, {"max_features": 3}, {"min_df": 0.5}]
)
def test_vocabulary_is_that_of_count_vectorizer(analyzer, lowercase, limits):
    pattern = r"(?u)\b\w\w+\b"
    settings = {"analyzer": analyzer, "lowercase": lowercase, "token_pattern": pattern, **limits}
    expected = CountVectorizer(**settings).fit(TEXTS)
    got = TokenSequencer(**settings).fit(TEXTS)
    names = expected.get_feature_names_out().tolist()
    assert got.get_feature_names_out().tolist() == ["<unk>", *names]
    counts = np.array(
        [np.bincount(ids, minlength=len(names) + 1)[1:] for ids in got.transform(TEXTS)]
    )
    assert np.array_equal(counts, expected.transform(TEXTS).toarray())


def test_order_unknown_and_end():
    sequencer = TokenSequencer(end_token="</s>").fit(["b a", "c a"])
    assert sequencer.vocabulary_ == {"<unk>": 0, "</s>": 1, "a": 2, "b": 3, "c": 4}
    ids = sequencer.transform(["a z b", ""])
    assert [i.tolist() for i in ids] == [[2, 0, 3, 1], [1]]
    assert ids[0].dtype == np.int32
    names = [row.tolist() for row in sequencer.inverse_transform(ids)]
    assert names == [["a", "<unk>", "b", "</s>"], ["</s>"]]


def test_a_text_without_tokens_is_one_unknown_token():
    assert TokenSequencer().fit(TEXTS).transform([" "])[0].tolist() == [0]
    empty = TokenSequencer(features=("case",)).fit(TEXTS).transform([" "])[0]
    assert empty.shape[0] == 1
    assert empty.nnz == 0


def test_texts_that_are_split_already():
    sequencer = TokenSequencer().fit([["To", "be"], ("or", "not"), np.array(["to be"])])
    assert sequencer.get_feature_names_out().tolist() == ["<unk>", "be", "not", "or", "to", "to be"]
    assert sequencer.transform([["TO", "be", "to be"]])[0].tolist() == [4, 1, 5]


@pytest.mark.parametrize(
    "vocabulary",
    [["a", "b"], ("a", "b"), {"b", "a"}, {"a": 0, "b": 1}, {"<unk>": 0, "a": 1, "b": 2}],
)
def test_a_vocabulary_of_ones_own(vocabulary):
    sequencer = TokenSequencer(vocabulary=vocabulary).fit([])
    assert sequencer.vocabulary_ == {"<unk>": 0, "a": 1, "b": 2}


def test_features_of_a_token():
    sequencer = TokenSequencer(
        lowercase=False,
        token_pattern=r"\S+",
        features=("lower", "prefix", "suffix", "shape", "case"),
        subwords=(3, 3),
    ).fit(["McX-2024 it"])
    names = sequencer.get_feature_names_out()
    expected = ["word=McX-2024", "lower=mcx-2024", "shape=XxX-dd", "case=title"]
    expected += ["prefix=m", "prefix=mc", "prefix=mcx"]
    expected += ["suffix=4", "suffix=24", "suffix=024", "suffix=2024"]
    grams = ["<Mc", "McX", "cX-", "X-2", "-20", "202", "024", "24>"]
    expected += [f"ngram={gram}" for gram in grams]
    row = sequencer.transform(["McX-2024"])[0].toarray()[0]
    assert sorted(names[row == 1]) == sorted(expected)
    unseen = sequencer.transform(["bit"])[0].toarray()[0]
    of_unseen = ["case=lower", "ngram=it>", "shape=xx", "suffix=it", "suffix=t"]
    assert sorted(names[unseen == 1]) == of_unseen


@pytest.mark.parametrize(
    ("token", "case"),
    [("it", "lower"), ("IT", "upper"), ("It", "title"), ("I", "title"), ("7", "other")],
)
def test_case(token, case):
    sequencer = TokenSequencer(lowercase=False, features=("case",)).fit([token])
    assert f"case={case}" in sequencer.vocabulary_


def test_words_come_back_from_features():
    sequencer = TokenSequencer(subwords=(3, 5), end_token="</s>").fit(TEXTS)
    rows = sequencer.inverse_transform(sequencer.transform(["the bird"]))
    assert rows[0].tolist() == ["the", "<unk>", "</s>"]


def test_subwords_in_a_pipeline():
    texts, y = ["walking talking", "walked talked"] * 10, [0, 1] * 10
    model = RNNClassifier(
        input="tokens", max_iter=60, learning_rate_init=0.02, batch_size=4, random_state=0
    )
    pipeline = make_pipeline(TokenSequencer(subwords=(3, 5)), model).fit(texts, y)
    assert pipeline.predict(["jumping", "jumped"]).tolist() == [0, 1]


@pytest.mark.parametrize("parameters", [{}, {"subwords": (3, 5)}])
def test_tokens_are_not_taken_for_measurements(parameters):
    pipeline = make_pipeline(TokenSequencer(**parameters), RNNClassifier(max_iter=1))
    message = "X got tokens of TokenSequencer with input='sequence', expected them with input='tok"
    with pytest.raises(ValueError, match=message):
        pipeline.fit(TEXTS, ["a", "b"])


def test_fit_transform_pickle_and_clone():
    sequencer = TokenSequencer(min_df=2)
    ids = sequencer.fit_transform(TEXTS)
    again = pickle.loads(pickle.dumps(sequencer)).transform(TEXTS)
    fresh = clone(sequencer).fit(iter(TEXTS)).transform(np.array(TEXTS, dtype=object))
    for a, b, c in zip(ids, again, fresh, strict=True):
        assert np.array_equal(a, b)
        assert np.array_equal(a, c)


@pytest.mark.parametrize("estimator", [TokenSequencer(), CountRatioEncoder()])
def test_scikit_learns_checks(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)  # of all that need tables of numbers
        results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert results
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []


REFUSED = [
    ({}, "one text", ValueError, "raw_documents got one text"),
    ({}, [None], TypeError, r"raw_documents\[0\] got None"),
    ({}, [3.0], TypeError, r"raw_documents\[0\] got 3.0"),
    ({}, ["", " "], ValueError, "raw_documents got 2 texts"),
    ({"min_df": 4}, TEXTS, ValueError, "raw_documents got 3 texts"),
    ({"analyzer": "sentence"}, TEXTS, ValueError, "analyzer got 'sentence'"),
    ({"min_df": -1}, TEXTS, ValueError, "min_df got -1"),
    ({"min_df": 1.5}, TEXTS, ValueError, "min_df got 1.5"),
    ({"max_features": 0}, TEXTS, ValueError, "max_features got 0"),
    ({"subwords": (5, 3)}, TEXTS, ValueError, r"subwords got \(5, 3\)"),
    ({"features": ("colour",)}, TEXTS, ValueError, "features got"),
    ({"features": "case"}, TEXTS, ValueError, "features got 'case'"),
    ({"vocabulary": "abc"}, TEXTS, ValueError, "vocabulary got 'abc'"),
    ({"vocabulary": []}, TEXTS, ValueError, r"vocabulary got \[\]"),
    ({"vocabulary": ["a", "a"]}, TEXTS, ValueError, "vocabulary got"),
    ({"vocabulary": {"a": 0, "b": 2}}, TEXTS, ValueError, "vocabulary got a mapping"),
    ({"end_token": "<unk>"}, TEXTS, ValueError, "end_token got '<unk>'"),
    ({"unknown_token": ""}, TEXTS, ValueError, "unknown_token got ''"),
]


@pytest.mark.parametrize(("parameters", "texts", "error", "message"), REFUSED)
def test_what_fit_refuses(parameters, texts, error, message):
    for fit in ("fit", "fit_transform"):
        sequencer = TokenSequencer(**parameters)
        with pytest.raises(error, match=rf"^TokenSequencer\.{fit}: {message}"):
            getattr(sequencer, fit)(texts)
        assert not vars(sequencer).keys() & {"vocabulary_"}


@pytest.mark.parametrize("X", [[[6]], [[-1]], [[0.5]], [[[1]]]])
def test_what_inverse_transform_refuses(X):
    sequencer = TokenSequencer(vocabulary=["a"]).fit([])
    with pytest.raises(ValueError, match=r"^TokenSequencer\.inverse_transform: X\[0\] got"):
        sequencer.inverse_transform(X)


def test_before_fit():
    for call in (
        lambda: TokenSequencer().transform(TEXTS),
        lambda: TokenSequencer().inverse_transform([[1]]),
        lambda: TokenSequencer().get_feature_names_out(),
        lambda: CountRatioEncoder().transform([[1]]),
    ):
        with pytest.raises(NotFittedError, match="not fitted yet, got no"):
            call()


X = [[1, 2], [1, 2, 2], [3], [1, 3], [3, 2], [3]]
Y = ["b", "b", "a", "a", "a", "a"]


def test_count_ratios_by_hand():
    """Class b has two sequences, a four: counts are scaled to three on either side."""
    steps = CountRatioEncoder().fit(X, Y).transform([[1, 2, 0]])
    ratio = {
        1: np.log((2 * 1.5 + 1) / (1 * 0.75 + 1)),
        2: np.log((2 * 1.5 + 1) / (1 * 0.75 + 1)),
        (1, 2): np.log((2 * 1.5 + 1) / (0 + 1)),
    }
    expected = np.zeros((3, 4 + 3))
    expected[range(3), [1, 2, 0]] = 1
    expected[:, 4:] = [
        [ratio[1], 0, ratio[1, 2]],
        [ratio[2], ratio[1, 2], 0],
        [0, 0, 0],
    ]
    np.testing.assert_allclose(steps[0].toarray(), expected, rtol=1e-6)


def test_several_classes_have_a_ratio_each():
    encoder = CountRatioEncoder(pairs=False).fit([[1], [2], [3]], [0, 1, 2])
    row = encoder.transform([[2]])[0].toarray()[0]
    assert row.shape == (4 + 3,)
    assert row[5] > 0 > row[4] == row[6]


def test_a_sequence_is_not_counted_for_itself():
    """Tokens that come once tell nothing in training, and their label afterwards."""
    once = [[i] for i in range(20)]
    y = [0, 1] * 10
    encoder = CountRatioEncoder(random_state=0)
    trained = [matrix.toarray()[0, 20:] for matrix in encoder.fit_transform(once, y)]
    assert not np.any(trained)
    later = np.array([matrix.toarray()[0, 20] for matrix in encoder.transform(once)])
    assert np.array_equal(later > 0, np.array(y) == 1)


def test_count_ratios_are_drawn_by_random_state():
    rng = np.random.default_rng(0)
    sequences, y = [rng.integers(0, 9, 6) for _ in range(60)], rng.integers(0, 2, 60)
    runs = [
        scipy.sparse.vstack(CountRatioEncoder(random_state=seed).fit_transform(sequences, y))
        for seed in (0, 0, 1)
    ]
    assert (runs[0] != runs[1]).nnz == 0
    assert (runs[0] != runs[2]).nnz > 0


@pytest.mark.parametrize(
    ("parameters", "sequences", "y", "message"),
    [
        ({"alpha": 0}, X, Y, "alpha got 0"),
        ({"cv": 1}, X, Y, "cv got 1"),
        ({"n_tokens": 3}, X, Y, "X got token 3"),
        ({}, X, Y[:-1], r"y got shape \(5,\)"),
        ({}, X, ["a"] * 6, "y got the labels"),
        ({}, X, ["a"] * 5 + ["b"], "y got one sequence of the class"),
        ({}, [*X[:-1], []], Y, "X got 0 time steps"),
    ],
)
def test_what_the_encoder_refuses(parameters, sequences, y, message):
    encoder = CountRatioEncoder(**parameters)
    with pytest.raises(ValueError, match=rf"^CountRatioEncoder\.fit_transform: {message}"):
        encoder.fit_transform(sequences, y)
    assert not hasattr(encoder, "classes_")


def test_the_unknown_token_is_number_0_in_any_vocabulary():
    for vocabulary in (["the", "cat", "<unk>"], {"<pad>": 0, "<unk>": 1, "cat": 2}):
        with pytest.raises(
            ValueError, match="vocabulary got '<unk>', the unknown token, as number"
        ):
            TokenSequencer(vocabulary=vocabulary).fit([])
    for vocabulary in (["<unk>", "cat"], {"cat", "0", "<unk>"}, ["cat"]):
        for end in (None, "</s>"):
            model = TokenSequencer(vocabulary=vocabulary, end_token=end).fit([])
            assert model.vocabulary_["<unk>"] == 0
            assert model.transform(["dog"])[0][0] == 0
    learned = TokenSequencer(token_pattern=r"\S+").fit(["a <unk> b b"])
    assert learned.vocabulary_["<unk>"] == 0
    assert sorted(learned.vocabulary_.values()) == list(range(len(learned.vocabulary_)))
