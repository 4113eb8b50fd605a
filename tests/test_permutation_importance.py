"""Permutation importances: what the score loses when values change places among sequences."""

import numpy as np
import pytest
from elman import RNNRegressor, SequenceScaler
from elman._permutation import _first_return
from elman.inspect import permutation_importance
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import make_scorer, mean_absolute_error, r2_score
from sklearn.pipeline import make_pipeline

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 5, 2))
RAGGED = [x[: 2 + i % 4] for i, x in enumerate(X)]


class Lag(RegressorMixin, BaseEstimator):
    """Predicts the value of a channel at a lag; keeps the last X it was given."""

    def __init__(self, channel=0, lag=1):
        self.channel = channel
        self.lag = lag

    def fit(self, X, y):
        return self

    def predict(self, X):
        self.seen = X
        ends = [x[~np.isnan(x).all(axis=1)] for x in X]
        return np.array([x[-1 - self.lag, self.channel] for x in ends])


def test_only_what_is_read_matters():
    model = Lag(channel=1, lag=2)
    y = model.predict(X)
    result = permutation_importance(model, X, y, n_repeats=4, random_state=0)
    assert result.importances.shape == (2, 5, 4)
    assert result.lags == [(0,), (1,), (2,), (3,), (4,)]
    matters = np.zeros((2, 5), bool)
    matters[1, 2] = True
    assert (result.importances[matters] > 0.5).all()
    assert (result.importances[~matters] == 0).all()
    np.testing.assert_array_equal(result.channel_importances[1], result.importances[1, 2])
    np.testing.assert_array_equal(result.importances_mean, result.importances.mean(axis=-1))
    np.testing.assert_array_equal(result.importances_std, result.importances.std(axis=-1))
    assert (result.channel_importances_mean > 0).tolist() == [False, True]
    assert result.channel_importances_std.shape == (2,)


def test_the_numbers_are_those_of_the_definition():
    model = Lag(channel=0, lag=1)
    y = model.predict(X) + 0.1 * RNG.normal(size=60)
    result = permutation_importance(model, X, y, n_repeats=3, random_state=7)
    rng = np.random.RandomState(7)
    values = model.predict(X)
    expected = [r2_score(y, values) - r2_score(y, values[rng.permutation(60)]) for _ in range(3)]
    np.testing.assert_allclose(result.importances[0, 1], expected)


def test_lags_count_from_the_end_of_each_sequence():
    padded = np.full(X.shape, np.nan)
    for i, x in enumerate(RAGGED):
        padded[i, : len(x)] = x
    for data in (RAGGED, padded):
        model = Lag(lag=1)
        y = model.predict(data)
        result = permutation_importance(model, data, y, random_state=0)
        assert np.flatnonzero(result.importances_mean[0]).tolist() == [1]
        assert not result.importances_mean[1].any()


def test_values_change_places_among_sequences_that_have_the_lag():
    model = Lag(lag=0)
    permutation_importance(model, RAGGED, np.zeros(60), lags=[[4]], n_repeats=1, random_state=0)
    # the last X that the model saw has a channel whose lags were all shuffled
    for lag in range(5):
        before = [x[-1 - lag] for x in RAGGED if len(x) > lag]
        after = [x[-1 - lag] for x in model.seen if len(x) > lag]
        assert sorted(row[1] for row in before) == sorted(row[1] for row in after)
        assert [row[0] for row in before] == [row[0] for row in after]
    # and a sequence has taken all that it has from one other, as far as that one is long enough
    for x in model.seen:
        donors = [
            next(i for i, other in enumerate(RAGGED) if value in other[:, 1]) for value in x[:, 1]
        ]
        shortest = len(RAGGED[donors[-1]])
        assert len(set(donors[-shortest:])) == 1
    assert all(np.array_equal(x, X[i, : len(x)]) for i, x in enumerate(RAGGED))


def test_a_permutation_of_a_subset_is_one():
    order = np.array([1, 2, 3, 4, 0])
    is_in = np.array([True, False, False, True, True])
    assert _first_return(order, is_in)[is_in].tolist() == [3, 4, 0]


@pytest.mark.parametrize(
    ("lags", "expected"),
    [
        (2, [(0,), (1,)]),
        ([3, 0], [(3,), (0,)]),
        ([range(2), (2, 3, 4)], [(0, 1), (2, 3, 4)]),
        (np.array([1, 4]), [(1,), (4,)]),
    ],
    ids=str,
)
def test_lags_that_are_asked_for(lags, expected):
    model = Lag(lag=1)
    result = permutation_importance(model, X, model.predict(X), lags=lags, random_state=0)
    assert result.lags == expected
    assert (result.importances_mean[0] > 0).tolist() == [1 in group for group in expected]


@pytest.mark.parametrize("lags", [0, -1, 6, [5], [[]], [], "all", 1.5, [1.5], None])
def test_lags_that_are_refused(lags):
    data = X if lags is not None else X[:, :0]
    with pytest.raises(ValueError, match="got"):
        permutation_importance(Lag(), data, np.zeros(60), lags=lags)


def test_pipelines_scorers_and_equal_bits():
    y = X[:, -1, 0]
    model = make_pipeline(
        SequenceScaler(), RNNRegressor(hidden_layer_sizes=4, max_iter=30, random_state=0)
    ).fit(X, y)
    scoring = make_scorer(mean_absolute_error, greater_is_better=False)
    first, again = (
        permutation_importance(model, X, y, scoring=scoring, lags=1, random_state=3)
        for _ in range(2)
    )
    assert np.array_equal(first.importances, again.importances)
    by_name = permutation_importance(
        model, X, y, scoring="neg_mean_absolute_error", lags=1, random_state=3
    )
    np.testing.assert_allclose(first.importances, by_name.importances)


def test_targets_for_each_step():
    model = RNNRegressor(hidden_layer_sizes=4, max_iter=30, random_state=0)
    model.fit(RAGGED, [x[:, 0] for x in RAGGED])
    result = permutation_importance(model, RAGGED, [x[:, 0] for x in RAGGED], lags=2, n_repeats=2)
    assert result.importances.shape == (2, 2, 2)


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"X got shape \(60, 10\), expected \(n_samples, n_times"):
        permutation_importance(Lag(), X.reshape(60, 10), np.zeros(60))
    with pytest.raises(ValueError, match="n_repeats got 0"):
        permutation_importance(Lag(), X, np.zeros(60), n_repeats=0)
    with pytest.raises(ValueError, match=r"X\[1\] got shape \(5, 3\)"):
        permutation_importance(Lag(), [np.zeros((4, 2)), np.zeros((5, 3))], np.zeros(2))
