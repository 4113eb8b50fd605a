"""Every case of `cases.py`, on a fitted and an unfitted estimator: the error, and nothing else."""

import copy
import re

import numpy as np
import pytest
from elman import RNNClassifier, RNNRegressor
from promises.cases import CASES, N, good_X
from promises.digest import state_digest

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ESTIMATORS = {"regressor": RNNRegressor, "classifier": RNNClassifier}
TARGETS = {"regressor": np.linspace(-1, 1, N), "classifier": np.arange(N) % 2}
NEEDS_FIT = ("predict", "score", "continue")


def calls():
    for case in CASES:
        for kind in case.estimators:
            for method in case.methods:
                for is_fitted in (True,) if method in NEEDS_FIT else (True, False):
                    for cell in ("simple", "lstm"):
                        name = f"{case.number}-{case.what}-{kind}.{method}-{cell}-"
                        name += "fitted" if is_fitted else "unfitted"
                        yield pytest.param(case, kind, method, is_fitted, cell, id=name)


def arguments_of(case, kind, method):
    arguments = {"X": good_X(), "y": TARGETS[kind]} | case.change
    if method == "predict":
        return {"X": arguments["X"]}
    if method == "partial_fit" and kind == "classifier" and "classes" not in arguments:
        arguments["classes"] = [0, 1]
    return arguments


@pytest.mark.parametrize(("case", "kind", "method", "is_fitted", "cell"), list(calls()))
def test_case(case, kind, method, is_fitted, cell):
    estimator = ESTIMATORS[kind](cell=cell, hidden_layer_sizes=(3,), max_iter=2, random_state=0)
    if is_fitted:
        estimator.fit(good_X(), TARGETS[kind])
    estimator.set_params(**case.parameters)
    arguments = arguments_of(case, kind, "partial_fit" if method == "continue" else method)
    if method == "continue":
        arguments.pop("classes", None)
        method = "partial_fit"
    before = state_digest(estimator)
    given = {name: copy.deepcopy(value) for name, value in arguments.items() if name != "X"}
    with pytest.raises(case.error) as error:
        getattr(estimator, method)(**arguments)
    message = str(error.value)
    assert re.search(case.pattern, message), message
    assert state_digest(estimator) == before
    for name, value in given.items():
        now = arguments[name]
        pairs = zip(now, value, strict=True) if isinstance(value, list) else [(now, value)]
        for pair in pairs:
            np.testing.assert_array_equal(*pair)


def test_messages_are_short():
    """The median of all messages; the longest tell every shape that would do."""
    lengths = []
    for case in CASES:
        kind, method = case.estimators[0], case.methods[0]
        estimator = ESTIMATORS[kind](hidden_layer_sizes=(3,), max_iter=2, random_state=0)
        if method in NEEDS_FIT:
            estimator.fit(good_X(), TARGETS[kind])
        estimator.set_params(**case.parameters)
        arguments = arguments_of(case, kind, "partial_fit" if method == "continue" else method)
        with pytest.raises(case.error) as error:
            getattr(estimator, "partial_fit" if method == "continue" else method)(**arguments)
        lengths.append(len(str(error.value)))
    assert np.median(lengths) <= 160
