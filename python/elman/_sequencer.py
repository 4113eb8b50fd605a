"""From texts to sequences of token numbers, or of several features a token."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer

from elman._exceptions import abbreviated, not_fitted, problem
from elman._parameters import BOOLEAN, COUNT, Rule, check_parameters, number, one_of, or_none
from elman._pickles import CheckedPickleMixin
from elman._tokens import TokenList

LONGEST_PREFIX = 3
LONGEST_SUFFIX = 4
LONGEST_RUN = 2
"""Of one kind of character in a shape; longer ones are cut."""

Tokens = list[str]

_FREQUENCY = Rule(
    lambda value: (
        COUNT.passes(value) or (isinstance(value, float) and number(0, 1, "[]").passes(value))
    ),
    "an integer of at least 1 or a share in [0, 1]",
)


def _prefixes(token: str) -> list[str]:
    word = token.lower()
    return [word[:n] for n in range(1, min(LONGEST_PREFIX, len(word)) + 1)]


def _suffixes(token: str) -> list[str]:
    word = token.lower()
    return [word[-n:] for n in range(1, min(LONGEST_SUFFIX, len(word)) + 1)]


def _shape(token: str) -> list[str]:
    """Kinds of characters, X for capitals, x for small letters, d for digits: ``Xxd``."""
    kinds = [
        "X" if c.isupper() else "x" if c.isalpha() else "d" if c.isdigit() else c for c in token
    ]
    runs = [
        kind
        for i, kind in enumerate(kinds)
        if i < LONGEST_RUN or any(kinds[i - n] != kind for n in range(1, LONGEST_RUN + 1))
    ]
    return ["".join(runs)]


def _case(token: str) -> list[str]:
    is_one_of = {
        "lower": token.islower(),
        "upper": token.isupper() and len(token) > 1,
        "title": token[:1].isupper(),
    }
    return [next((name for name, holds in is_one_of.items() if holds), "other")]


FEATURES: dict[str, Callable[[str], list[str]]] = {
    "lower": lambda token: [token.lower()],
    "prefix": _prefixes,
    "suffix": _suffixes,
    "shape": _shape,
    "case": _case,
}


def _is_range(value: Any) -> bool:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        return False
    return all(COUNT.passes(n) for n in value) and value[0] <= value[1]


def _is_vocabulary(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes))


def _are_features(value: Any) -> bool:
    if not isinstance(value, (tuple, list)):
        return False
    return all(isinstance(name, str) and name in FEATURES for name in value)


RULES: dict[str, Rule] = {
    "analyzer": Rule(
        lambda value: callable(value) or one_of("word", "char").passes(value),
        "'word', 'char' or a callable",
    ),
    "lowercase": BOOLEAN,
    "token_pattern": Rule(lambda value: isinstance(value, str), "a regular expression"),
    "min_df": _FREQUENCY,
    "max_df": _FREQUENCY,
    "max_features": or_none(COUNT),
    "vocabulary": or_none(Rule(_is_vocabulary, "a mapping or an iterable of tokens")),
    "unknown_token": Rule(lambda value: isinstance(value, str) and value != "", "a string"),
    "end_token": or_none(Rule(lambda value: isinstance(value, str) and value != "", "a string")),
    "subwords": or_none(Rule(_is_range, "a pair of lengths (shortest, longest)")),
    "features": Rule(_are_features, f"a tuple of some of {', '.join(map(repr, FEATURES))}"),
}


class TokenSequencer(
    TransformerMixin, CheckedPickleMixin, BaseEstimator, auto_wrap_output_keys=None
):  # type: ignore[call-arg]
    r"""Turn texts into sequences of tokens, for estimators with ``input="tokens"``.

    The conventions are those of scikit-learn's
    `~sklearn.feature_extraction.text.CountVectorizer`, but the order of the tokens is kept. Token
    0 is the unknown one.

    Parameters
    ----------
    analyzer : {"word", "char"} or callable, default="word"
        What the tokens of a text are: words, characters, or what the callable returns for it. A
        text may also come as a list of its tokens, which are then taken as they are.
    lowercase : bool, default=True
        Whether texts are lower-cased before.
    token_pattern : str, default=r"(?u)\w+|[^\w\s]"
        What a word is: a run of letters and digits, of any length, or a single other sign, since
        short words and punctuation matter in a sequence.
    min_df, max_df : int or float, default=1 and 1.0
        Tokens in fewer or more texts become unknown ones; a float is a share of the texts.
    max_features : int or None, default=None
        Keep only so many tokens, the most frequent ones.
    vocabulary : Mapping or iterable of str, or None, default=None
        The tokens, in order, or with their numbers; None learns them from the texts.
    unknown_token : str, default="<unk>"
        Name of token 0.
    end_token : str or None, default=None
        Name of a token that ends every sequence, token 1; None for no such token.
    subwords : (int, int) or None, default=None
        Shortest and longest character n-grams of a word that stand beside it as features of its
        step, as in "<th", "the", "he>" [1]_.
    features : tuple of {"lower", "prefix", "suffix", "shape", "case"}, default=()
        More features of a step: the lower-cased token, its first 1 to 3 and last 1 to 4 letters,
        its shape ("Xx-dd" for "New-21") and its case.

    Attributes
    ----------
    vocabulary_ : dict of str to int
        Numbers of the tokens. With `subwords` or `features`, of the features, as "word=the",
        "ngram=<th", "suffix=he"; there is no unknown one among them, since a feature that is not
        known is left out.

    See Also
    --------
    CountRatioEncoder : Adds how often the labels saw each token.

    Notes
    -----
    A text without any token becomes a single unknown one, since a sequence has at least one step.

    References
    ----------
    .. [1] Bojanowski, P. et al. "Enriching word vectors with subword information." TACL 5, 2017.

    Examples
    --------
    >>> from elman import TokenSequencer
    >>> sequencer = TokenSequencer().fit(["to be or not to be", "be quick"])
    >>> sequencer.get_feature_names_out()
    array(['<unk>', 'be', 'not', 'or', 'quick', 'to'], dtype=object)
    >>> sequencer.transform(["to be, slowly"])
    [array([5, 1, 0, 0], dtype=int32)]
    """

    def __init__(
        self,
        *,
        analyzer: str | Callable[[Any], Iterable[str]] = "word",
        lowercase: bool = True,
        token_pattern: str = r"(?u)\w+|[^\w\s]",
        min_df: float = 1,
        max_df: float = 1.0,
        max_features: int | None = None,
        vocabulary: Mapping[str, int] | Iterable[str] | None = None,
        unknown_token: str = "<unk>",
        end_token: str | None = None,
        subwords: tuple[int, int] | None = None,
        features: Sequence[str] = (),
    ) -> None:
        self.analyzer = analyzer
        self.lowercase = lowercase
        self.token_pattern = token_pattern
        self.min_df = min_df
        self.max_df = max_df
        self.max_features = max_features
        self.vocabulary = vocabulary
        self.unknown_token = unknown_token
        self.end_token = end_token
        self.subwords = subwords
        self.features = features

    def fit(self, raw_documents: Iterable[Any], y: Any = None) -> TokenSequencer:
        """Learn the vocabulary.

        Parameters
        ----------
        raw_documents : iterable of str or of list of str
            Texts, or their tokens.
        y : None
            Ignored.

        Returns
        -------
        self : TokenSequencer
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter or a text is not as it should be, or no token is left.
        """
        self._fit(raw_documents, "fit")
        return self

    def fit_transform(self, raw_documents: Iterable[Any], y: Any = None) -> list[Any]:
        """Learn the vocabulary and return the sequences; `fit` and `transform` in one.

        Parameters
        ----------
        raw_documents : iterable of str or of list of str
            Texts, or their tokens.
        y : None
            Ignored.

        Returns
        -------
        sequences : list of ndarray or of CSR arrays
            As of `transform`.
        """
        return self._sequences(self._fit(raw_documents, "fit_transform"))

    def transform(self, raw_documents: Iterable[Any]) -> list[Any]:
        """Turn texts into sequences.

        Parameters
        ----------
        raw_documents : iterable of str or of list of str
            Texts, or their tokens.

        Returns
        -------
        sequences : list of ndarray of shape (n_timesteps_i,), dtype int32
            Numbers of the tokens; with `subwords` or `features` instead CSR arrays of shape
            (n_timesteps_i, n_features), which hold a one for each feature of a step.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        ValueError
            If a text is not as it should be.
        """
        self._check_fitted("transform")
        return self._sequences(self._tokens_of(raw_documents, "transform"))

    def inverse_transform(self, X: Iterable[Any]) -> list[NDArray[Any]]:
        """Return the tokens of sequences.

        Parameters
        ----------
        X : iterable of array-like of int, or of sparse matrices
            Sequences as `transform` returns them.

        Returns
        -------
        tokens : list of ndarray of str
            Names of the tokens; where steps hold features, of the words.

        Raises
        ------
        ValueError
            If a number is not a token's.
        """
        self._check_fitted("inverse_transform")
        names = self.get_feature_names_out()
        return [self._names_of(sequence, i, names) for i, sequence in enumerate(X)]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the tokens, or features, in the order of their numbers.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        names : ndarray of str objects
            The names.
        """
        self._check_fitted("get_feature_names_out")
        return np.array(sorted(self.vocabulary_, key=self.vocabulary_.__getitem__), dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return "vocabulary_" in vars(self)

    def _check_fitted(self, method: str) -> None:
        if "vocabulary_" not in vars(self):
            raise not_fitted(f"TokenSequencer.{method}", "vocabulary")

    @property
    def _has_features(self) -> bool:
        return self.subwords is not None or len(self.features) > 0

    @property
    def _specials(self) -> list[str]:
        unknown = [] if self._has_features else [self.unknown_token]
        return unknown + ([] if self.end_token is None else [self.end_token])

    def _fit(self, raw_documents: Iterable[Any], method: str) -> list[Tokens]:
        caller = f"TokenSequencer.{method}"
        check_parameters(self.get_params(deep=False), caller, RULES)
        if self.end_token == self.unknown_token:
            expected = "a name other than that of unknown_token"
            raise ValueError(problem(caller, "end_token", repr(self.end_token), expected))
        documents = self._tokens_of(raw_documents, method)
        if self.vocabulary is None:
            names = self._learn(documents, caller)
        else:
            names = _in_order(self.vocabulary, caller)
        unknown = None if self._has_features else self.unknown_token
        is_numbered = not isinstance(self.vocabulary, (set, frozenset, type(None)))
        if is_numbered and unknown in names[1:]:
            got = f"{unknown!r}, the unknown token, as number {names.index(unknown)}"
            raise ValueError(problem(caller, "vocabulary", got, "it as number 0, or left out"))
        specials = [name for name in self._specials if name not in names or name == unknown]
        names = [*specials, *(name for name in names if name not in specials)]
        self.vocabulary_ = {name: i for i, name in enumerate(names)}
        return documents

    def _tokens_of(self, raw_documents: Iterable[Any], method: str) -> list[Tokens]:
        caller = f"TokenSequencer.{method}"
        if isinstance(raw_documents, (str, bytes)):
            fragment = "Iterable over raw text documents expected, string object received."
            raise ValueError(problem(caller, "raw_documents", "one text", f"several. {fragment}"))
        analyze = CountVectorizer(
            analyzer=self.analyzer, lowercase=self.lowercase, token_pattern=self.token_pattern
        ).build_analyzer()
        lower = self.lowercase and not callable(self.analyzer)
        documents = []
        for i, document in enumerate(raw_documents):
            is_tokens = isinstance(document, (list, tuple, np.ndarray))
            if is_tokens and not callable(self.analyzer):
                tokens = [token.lower() if lower else token for token in map(str, document)]
            elif isinstance(document, str) or callable(self.analyzer):
                tokens = list(analyze(document))
            else:
                got = f"{abbreviated(document)}"
                name = f"raw_documents[{i}]"
                raise TypeError(problem(caller, name, got, "a text, or a list of its tokens"))
            documents.append(tokens)
        return documents

    def _learn(self, documents: list[Tokens], caller: str) -> list[str]:
        n_documents, n_occurrences = Counter[str](), Counter[str]()
        features: dict[str, list[str]] = {}
        for tokens in documents:
            counts = Counter[str]()
            for token, count in Counter(tokens).items():
                if token not in features:
                    features[token] = self._features_of(token)
                for name in features[token]:
                    counts[name] += count
            n_documents.update(counts.keys())
            n_occurrences.update(counts)
        low, high = (
            share if not isinstance(share, float) else share * len(documents)
            for share in (self.min_df, self.max_df)
        )
        names = [name for name, n in n_documents.items() if low <= n <= high]
        if self.max_features is not None:
            names = sorted(names, key=lambda name: (-n_occurrences[name], name))
            names = names[: self.max_features]
        if not names:
            got = f"{len(documents)} texts without a token that is in {low:g} to {high:g} of them"
            raise ValueError(problem(caller, "raw_documents", got, "at least one such token"))
        return sorted(set(names) - set(self._specials))

    def _features_of(self, token: str) -> list[str]:
        if not self._has_features:
            return [token]
        names = [f"word={token}"]
        for kind in self.features:
            names += [f"{kind}={feature}" for feature in FEATURES[kind](token)]
        if self.subwords is not None:
            shortest, longest = self.subwords
            word = f"<{token}>"
            grams = {
                word[i : i + n]
                for n in range(shortest, longest + 1)
                for i in range(len(word) - n + 1)
            }
            names += [f"ngram={gram}" for gram in sorted(grams)]
        return names

    def _sequences(self, documents: list[Tokens]) -> list[Any]:
        cache: dict[str, NDArray[np.int32]] = {}
        end = [] if self.end_token is None else [np.array([self.vocabulary_[self.end_token]], "i4")]
        sequences = TokenList()
        for tokens in documents:
            steps = [self._ids_of(token, cache) for token in tokens] + end
            if not steps:
                steps = [np.zeros(0 if self._has_features else 1, "i4")]
            sequences.append(self._matrix(steps) if self._has_features else np.concatenate(steps))
        return sequences

    def _ids_of(self, token: str, cache: dict[str, NDArray[np.int32]]) -> NDArray[np.int32]:
        if token not in cache:
            if self._has_features:
                known = map(self.vocabulary_.get, self._features_of(token))
                ids = sorted({i for i in known if i is not None})
            else:
                ids = [self.vocabulary_.get(token, 0)]
            cache[token] = np.array(ids, dtype=np.int32)
        return cache[token]

    def _matrix(self, steps: list[NDArray[np.int32]]) -> sparse.csr_array:
        first = np.concatenate([[0], np.cumsum([len(step) for step in steps])])
        ids = np.concatenate(steps)
        values = np.ones(len(ids), dtype=np.float32)
        return sparse.csr_array((values, ids, first), shape=(len(steps), len(self.vocabulary_)))

    def _names_of(self, sequence: Any, i: int, names: NDArray[Any]) -> NDArray[Any]:
        if sparse.issparse(sequence):
            matrix = sparse.csr_array(sequence)
            steps = [
                names[matrix.indices[matrix.indptr[t] : matrix.indptr[t + 1]]]
                for t in range(matrix.shape[0])
            ]
            words = [
                next((n[5:] for n in step if n.startswith("word=")), self.unknown_token)
                if self.end_token not in step
                else self.end_token
                for step in steps
            ]
            return np.array(words, dtype=object)
        ids = np.asarray(sequence)
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            got, expected = f"{ids.dtype} of shape {ids.shape}", "integers of shape (n_timesteps,)"
            raise ValueError(problem("TokenSequencer.inverse_transform", f"X[{i}]", got, expected))
        if ids.size and not (ids.min() >= 0 and ids.max() < len(names)):
            worst = ids.min() if ids.min() < 0 else ids.max()
            expected = f"tokens from 0 to {len(names) - 1}"
            raise ValueError(
                problem("TokenSequencer.inverse_transform", f"X[{i}]", f"token {worst}", expected)
            )
        return np.asarray(names[ids])


def _in_order(vocabulary: Any, caller: str) -> list[str]:
    if isinstance(vocabulary, Mapping):
        names = sorted(vocabulary, key=vocabulary.__getitem__)
        if [vocabulary[name] for name in names] != list(range(len(names))):
            got = "a mapping whose values leave numbers out"
            raise ValueError(problem(caller, "vocabulary", got, "each of 0, 1, … once"))
    else:
        names = sorted(vocabulary) if isinstance(vocabulary, (set, frozenset)) else list(vocabulary)
    if not names or len(set(names)) < len(names) or not all(isinstance(n, str) for n in names):
        got = abbreviated(names)
        raise ValueError(problem(caller, "vocabulary", got, "one or more distinct strings"))
    return names
