"""How much more often one label's sequences hold a token than the others' do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import check_random_state

from elman._exceptions import abbreviated, not_fitted, problem
from elman._parameters import BOOLEAN, COUNT, RULES, Rule, check_parameters, number, or_none
from elman._pickles import CheckedPickleMixin
from elman._sequences import Sequences
from elman._tokens import TokenReader, TokenSequences

Counts = NDArray[np.float64]

_RULES: dict[str, Rule] = {
    "alpha": number(0, brackets="()"),
    "pairs": BOOLEAN,
    "cv": Rule(lambda value: COUNT.passes(value) and value >= 2, "an integer of at least 2"),
    "n_tokens": or_none(COUNT),
    "random_state": RULES["random_state"],
}


class CountRatioEncoder(
    TransformerMixin, CheckedPickleMixin, BaseEstimator, auto_wrap_output_keys=None
):  # type: ignore[call-arg]
    """Add to each token how much more often one class has it than the others.

    For an item (a token, or a pair of neighbours) that is in p sequences of a class and in q of
    the others, the ratio is

        r = log((p' + alpha) / (q' + alpha))

    where p' and q' are scaled as if both sides had as many sequences: the log-count ratio of
    naive Bayes [1]_. Steps then hold the token, and as further features its ratio and those of
    its pairs with the token before and the one behind.

    As with scikit-learn's `~sklearn.preprocessing.TargetEncoder`, `fit_transform` does not give
    what `fit` and `transform` would: the ratios of a sequence are counted without it, by cross
    fitting, for otherwise its own label would stand in it.

    Parameters
    ----------
    alpha : float, default=1.0
        Added to counts.
    pairs : bool, default=True
        Whether pairs of neighbours have ratios too.
    cv : int, default=10
        Number of parts in the cross fitting.
    n_tokens : int or None, default=None
        Number of tokens; None is told by X.
    random_state : int, RandomState instance or None, default=None
        Draws the parts.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes; with two, the ratios are those of the second.
    n_tokens_ : int
        Number of tokens. Columns from there on are ratios: of the token, of the pair with the
        one before, of the pair with the one behind, each for every class where there are more
        than two.

    See Also
    --------
    TokenSequencer : From texts to tokens.

    References
    ----------
    .. [1] Wang, S. and Manning, C. "Baselines and bigrams: simple, good sentiment and topic
       classification." ACL 2012.

    Examples
    --------
    >>> from elman import CountRatioEncoder
    >>> X, y = [[1, 2], [1, 3], [2, 3]] * 10, [1, 1, 0] * 10
    >>> encoder = CountRatioEncoder(random_state=0)
    >>> steps = encoder.fit_transform(X, y)
    >>> steps[0].shape
    (2, 7)
    >>> encoder.transform([[1]])[0].toarray().round(2)
    array([[0.  , 1.  , 0.  , 0.  , 2.77, 0.  , 0.  ]], dtype=float32)
    """

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        pairs: bool = True,
        cv: int = 10,
        n_tokens: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.alpha = alpha
        self.pairs = pairs
        self.cv = cv
        self.n_tokens = n_tokens
        self.random_state = random_state

    def fit(self, X: Iterable[Any], y: Any) -> CountRatioEncoder:
        """Count tokens and pairs of each class.

        Parameters
        ----------
        X : list of arrays of token numbers
            Sequences, as `TokenSequencer` gives them.
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        self : CountRatioEncoder
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter, X or y is not as it should be.
        """
        self._fit(X, y, "fit")
        return self

    def fit_transform(self, X: Iterable[Any], y: Any) -> list[sparse.csr_array]:
        """Count, and return steps with ratios that were counted without their own sequence.

        Parameters
        ----------
        X : list of arrays of token numbers
            Sequences, as `TokenSequencer` gives them.
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        steps : list of CSR arrays of shape (n_timesteps_i, n_features)
            As of `transform`.
        """
        sequences, labels, counts, totals = self._fit(X, y, "fit_transform")
        n_parts = min(self.cv, int(totals.min()))
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        splitter = StratifiedKFold(n_parts, shuffle=True, random_state=seed)
        steps: list[Any] = [None] * len(labels)
        for _, part in splitter.split(np.zeros(len(labels)), labels):
            own, of_part = sequences.take(part), labels[part]
            own_counts, own_totals = self._count(own, of_part)
            ratios = self._ratios(counts - own_counts, totals - own_totals)
            for i, matrix in zip(part, self._steps(own, ratios), strict=True):
                steps[i] = matrix
        return steps

    def transform(self, X: Iterable[Any]) -> list[sparse.csr_array]:
        """Return the tokens of each step and their ratios.

        Parameters
        ----------
        X : list of arrays of token numbers
            Sequences, as `TokenSequencer` gives them.

        Returns
        -------
        steps : list of CSR arrays of shape (n_timesteps_i, n_features)
            A one in the column of the token, and the ratios in the columns behind the tokens;
            of an item that was never seen it is 0.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        ValueError
            If X is not as it should be.
        """
        if "classes_" not in vars(self):
            raise not_fitted("CountRatioEncoder.transform", "counts")
        sequences, _ = self._read(X, "transform", self.n_tokens_)
        return self._steps(sequences, self._all_ratios)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.required = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return "classes_" in vars(self)

    def _read(self, X: Any, method: str, n_tokens: int | None) -> tuple[Sequences, int]:
        caller = f"CountRatioEncoder.{method}"
        sequences, form = TokenReader(caller, "X", n_tokens, None).read(X)
        if not isinstance(sequences, TokenSequences):
            got = "sparse matrices of features"
            raise TypeError(problem(caller, "X", got, "sequences of tokens"))
        return sequences, form.n_tokens

    def _fit(
        self, X: Any, y: Any, method: str
    ) -> tuple[Sequences, NDArray[np.intp], Counts, Counts]:
        """Return the sequences, their labels, and what `_count` counts of them."""
        caller = f"CountRatioEncoder.{method}"
        check_parameters(self.get_params(deep=False), caller, _RULES)
        sequences, n_tokens = self._read(X, method, self.n_tokens)
        classes, labels = np.unique(np.asarray(y), return_inverse=True)
        if labels.shape != (len(sequences),):
            got = f"shape {np.shape(y)}"
            raise ValueError(problem(caller, "y", got, f"shape ({len(sequences)},), as in X"))
        if len(classes) < 2:
            got = f"the labels {abbreviated(classes.tolist())}"
            raise ValueError(problem(caller, "y", got, "at least two classes"))
        n_of_class = np.bincount(labels)
        if method == "fit_transform" and n_of_class.min() < 2:
            got = f"one sequence of the class {classes[n_of_class.argmin()]!r}"
            raise ValueError(problem(caller, "y", got, "at least 2 of each, for cross fitting"))
        self.n_tokens_, self.classes_ = n_tokens, classes
        codes = np.unique(np.concatenate(self._items(sequences)))
        self._codes = codes[codes >= 0]
        counts, totals = self._count(sequences, labels)
        self._all_ratios = self._ratios(counts, totals)
        return sequences, labels, counts, totals

    def _items(self, sequences: Sequences) -> list[NDArray[np.int64]]:
        """Codes of each step's token, and of its pairs with the steps before and behind; or -1."""
        ids = sequences.values.astype(np.int64)
        if not self.pairs:
            return [ids]
        before = np.full(len(ids), -1, dtype=np.int64)
        before[1:] = self.n_tokens_ * (1 + ids[:-1]) + ids[1:]
        before[sequences.offsets[:-1]] = -1
        behind = np.full(len(ids), -1, dtype=np.int64)
        behind[:-1] = before[1:]
        return [ids, before, behind]

    def _count(self, sequences: Sequences, labels: NDArray[np.intp]) -> tuple[Counts, Counts]:
        """Sequences of each class with each item, (n_items, n_classes), and in all."""
        sequence = np.repeat(np.arange(len(sequences)), sequences.lengths)
        n_classes, n_codes = len(self.classes_), len(self._codes)
        counts = np.zeros((n_codes, n_classes))
        for codes in self._items(sequences)[:2]:
            places = np.searchsorted(self._codes, codes)
            has_item = codes >= 0
            once = np.unique(sequence[has_item] * n_codes + places[has_item])
            np.add.at(counts, (once % n_codes, labels[once // n_codes]), 1)
        return counts, np.bincount(labels, minlength=n_classes).astype(np.float64)

    def _ratios(self, counts: Counts, totals: Counts) -> NDArray[np.float64]:
        """Log-count ratios of the items, one column for each class, or for the second of two."""
        half = totals.sum() / 2
        inside = counts * (half / totals)
        outside = (counts.sum(axis=1, keepdims=True) - counts) * (half / (totals.sum() - totals))
        ratios = np.log((inside + self.alpha) / (outside + self.alpha))
        return np.asarray(ratios[:, 1:] if len(totals) == 2 else ratios)

    def _steps(self, sequences: Sequences, ratios: NDArray[np.float64]) -> list[Any]:
        items = self._items(sequences)
        n_steps, n_ratios = len(items[0]), ratios.shape[1]
        values = np.ones((n_steps, 1 + len(items) * n_ratios), dtype=np.float32)
        for i, codes in enumerate(items):
            places = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
            is_known = self._codes[places] == codes
            values[:, 1 + i * n_ratios :][:, :n_ratios] = np.where(
                is_known[:, None], ratios[places], 0.0
            )
        n_columns = self.n_tokens_ + len(items) * n_ratios
        columns = np.empty(values.shape, dtype=np.int32)
        columns[:, 0] = items[0]
        columns[:, 1:] = np.arange(self.n_tokens_, n_columns)
        width = values.shape[1]
        steps = []
        for begin, end in zip(sequences.offsets[:-1], sequences.offsets[1:], strict=True):
            first = np.arange(0, (end - begin) * width + 1, width)
            parts = (values[begin:end].ravel(), columns[begin:end].ravel(), first)
            steps.append(sparse.csr_array(parts, shape=(end - begin, n_columns)))
        return steps
