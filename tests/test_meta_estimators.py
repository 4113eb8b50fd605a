"""Recurrent networks inside scikit-learn's meta-estimators, on every kind of sequences."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from elman import RNNClassifier, RNNRegressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor, StackingRegressor, VotingClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
ARRAY = RNG.normal(size=(90, 6, 2))
TABLE = ARRAY.reshape(90, 12)
RAGGED = [x[i % 5 :] for i, x in enumerate(ARRAY)]
Y = ARRAY[:, -1, 0] + ARRAY[:, -2, 1]
LABELS = np.where(Y > 0, "up", "down")
STEPS = [np.cumsum(x[:, 0]) for x in RAGGED]
KINDS = {"array": ARRAY, "table": TABLE, "ragged": RAGGED}


def regressor(**options):
    defaults = {"hidden_layer_sizes": 8, "max_iter": 60, "learning_rate_init": 0.03}
    return RNNRegressor(**{**defaults, "n_channels": 2, "random_state": 0, **options})


def classifier(**options):
    defaults = {"hidden_layer_sizes": 8, "max_iter": 60, "learning_rate_init": 0.03}
    return RNNClassifier(**{**defaults, "n_channels": 2, "random_state": 0, **options})


@pytest.mark.parametrize("kind", KINDS)
def test_cross_validation(kind):
    assert cross_val_score(regressor(), KINDS[kind], Y, cv=3).mean() > 0.6
    assert cross_val_score(classifier(), KINDS[kind], LABELS, cv=3).mean() > 0.75
    assert cross_val_predict(regressor(), KINDS[kind], Y, cv=3).shape == (90,)


def test_cross_validation_of_a_target_at_each_step():
    assert cross_val_score(regressor(), RAGGED, STEPS, cv=3).min() > 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_grid_search(kind):
    grid = {"cell": ["simple", "gru"], "hidden_layer_sizes": [2, (8,)]}
    search = GridSearchCV(regressor(), grid, cv=2, error_score="raise").fit(KINDS[kind], Y)
    assert search.best_score_ > 0.3
    assert search.predict(KINDS[kind]).shape == (90,)


def test_grid_search_in_processes_gives_the_same_bits():
    searches = [
        GridSearchCV(regressor(max_iter=3), {"cell": ["gru", "lstm"]}, cv=2, n_jobs=n_jobs)
        for n_jobs in (1, 2)
    ]
    scores = [search.fit(ARRAY, Y).cv_results_["mean_test_score"] for search in searches]
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize("kind", KINDS)
def test_train_test_split(kind):
    X_train, X_test, y_train, y_test = train_test_split(KINDS[kind], Y, random_state=0)
    assert regressor().fit(X_train, y_train).score(X_test, y_test) > 0.6


def test_pipeline_scales_a_table():
    scales = 10.0 ** np.arange(-3, 3).repeat(2)
    model = make_pipeline(StandardScaler(), regressor())
    assert model.fit(TABLE * scales, Y).score(TABLE * scales, Y) > 0.9


@pytest.mark.parametrize("kind", ["array", "table"])
def test_stacking(kind):
    stack = StackingRegressor([("rnn", regressor()), ("gru", regressor(random_state=1))], cv=2)
    assert (
        stack.set_params(final_estimator=LinearRegression())
        .fit(KINDS[kind], Y)
        .score(KINDS[kind], Y)
        > 0.9
    )


def test_bagging():
    bagging = BaggingRegressor(regressor(), n_estimators=3, random_state=0).fit(TABLE, Y)
    assert bagging.score(TABLE, Y) > 0.8


@pytest.mark.parametrize("kind", ["array", "table"])
def test_calibration(kind):
    calibrated = CalibratedClassifierCV(classifier(), cv=2).fit(KINDS[kind], LABELS)
    assert calibrated.score(KINDS[kind], LABELS) > 0.8


def test_voting():
    voting = VotingClassifier([("a", classifier()), ("b", classifier(cell="lstm"))], voting="soft")
    assert voting.fit(ARRAY, LABELS).score(ARRAY, LABELS) > 0.9


@pytest.mark.parametrize("kind", ["array", "table"])
def test_transformed_targets(kind):
    model = TransformedTargetRegressor(regressor(), func=np.arcsinh, inverse_func=np.sinh)
    assert model.fit(KINDS[kind], np.sinh(Y)).regressor_.score(KINDS[kind], Y) > 0.9


def test_multi_output_regressor():
    model = MultiOutputRegressor(regressor(max_iter=3)).fit(ARRAY, np.stack([Y, -Y], axis=1))
    assert model.predict(ARRAY).shape == (90, 2)


def test_permutation_importance_finds_the_columns_that_matter():
    model = regressor().fit(TABLE, Y)
    importance = permutation_importance(model, TABLE, Y, n_repeats=2, random_state=0)
    assert set(np.argsort(importance.importances_mean)[-2:]) == {9, 10}


def test_metadata_routing_passes_weights_and_groups():
    groups = np.repeat(np.arange(9), 10)
    weight = RNG.uniform(size=90)
    with sklearn.config_context(enable_metadata_routing=True):
        model = regressor(max_iter=2, early_stopping=True, validation_split="groups")
        model.set_fit_request(sample_weight=True, groups=True).set_score_request(sample_weight=True)
        search = GridSearchCV(model, {"cell": ["gru"]}, cv=GroupKFold(3), error_score="raise")
        search.fit(ARRAY, Y, sample_weight=weight, groups=groups)
    assert search.best_estimator_.best_validation_score_ is not None
