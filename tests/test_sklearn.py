"""scikit-learn's own checks, with no failure expected."""

from __future__ import annotations

import warnings

import pytest
from elman import RNNClassifier, RNNRegressor, Seq2SeqRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

ESTIMATORS = [
    model(cell=cell)
    for model in (RNNRegressor, RNNClassifier)
    for cell in ("simple", "gru", "lstm")
] + [Seq2SeqRegressor(hidden_layer_sizes=(8,), learning_rate_init=0.01)]


CHECKS = parametrize_with_checks(ESTIMATORS, expected_failed_checks=lambda estimator: {})


# A list, because scikit-learn 1.6 hands over a generator, which pytest is about to refuse.
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_estimator_passes(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)


@pytest.mark.parametrize("model", [RNNRegressor, RNNClassifier, Seq2SeqRegressor])
def test_check_estimator_with_data_frames_and_arrays_of_other_libraries(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(
            model(max_iter=60, learning_rate_init=0.01), expected_failed_checks={}, on_skip=None
        )
    assert [result["check_name"] for result in results if result["status"] == "failed"] == []
