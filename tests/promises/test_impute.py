"""Every case of `impute_cases.py`, fitted and unfitted: the error, and nothing else."""

import copy
import re
from functools import cache

import numpy as np
import pytest
from elman import RNNImputer
from promises.digest import state_digest
from promises.impute_cases import CASES, SERIES, dated, good_series, good_X


def calls():
    for case in CASES:
        for method in case.methods:
            for is_fitted in (True,) if method == "transform" else (True, False):
                state = "fitted" if is_fitted else "unfitted"
                name = f"{case.number}-{case.what}-{method}-{state}"
                yield pytest.param(case, method, is_fitted, id=name)


@cache
def fitted_on(data):
    imputer = RNNImputer(hidden_layer_sizes=3, max_iter=2, random_state=0)
    if data == "sequences":
        return imputer.fit(good_X())
    times = ["2000-01-01", "2000-01-02", "2000-01-03", "2000-01-05"]
    return imputer.set_params(**SERIES).fit(dated(times) if data == "dates" else good_series())


def fitted(case):
    data = "sequences"
    if case.parameters == SERIES:
        data = "dates" if case.number == 69 else "series"
    return copy.deepcopy(fitted_on(data))


@pytest.mark.parametrize(("case", "method", "is_fitted"), list(calls()))
def test_case(case, method, is_fitted):
    imputer = fitted(case) if is_fitted else RNNImputer(hidden_layer_sizes=3, max_iter=2)
    imputer.set_params(**case.parameters)
    before = state_digest(imputer)
    given = copy.deepcopy(case.X) if isinstance(case.X, (np.ndarray, list)) else None
    with pytest.raises(case.error) as error:
        getattr(imputer, method)(case.X)
    message = str(error.value)
    assert re.search(case.pattern, message), message
    assert state_digest(imputer) == before
    if given is not None:
        for now, then in zip(case.X, given, strict=True):
            np.testing.assert_array_equal(now, then)


def test_73_nothing_missing():
    """What has no gaps comes back bit by bit, as a copy."""
    imputer = fitted_on("sequences")
    X = np.nan_to_num(good_X())
    for data in (X, X.astype(np.float32), X.astype(np.float16)):
        whole, std = imputer.transform(data, return_std=True)
        assert whole.dtype == data.dtype
        assert whole.tobytes() == data.tobytes()
        assert not np.shares_memory(whole, data)
        assert not std.any()


def test_72_nothing_observed_in_transform():
    """A channel, or a whole series, without any value: the documented fill, which is finite."""
    center = np.array([0.0, 100.0])
    X = good_X() + center
    imputer = RNNImputer(hidden_layer_sizes=3, max_iter=20, random_state=0).fit(X)
    X[0], X[1, :, 1] = np.nan, np.nan
    filled, std = imputer.transform(X, return_std=True)
    assert np.isfinite(filled).all()
    assert (std[np.isnan(X)] > 0).all()
    # It stays near the channel's mean in `fit`.
    assert np.abs(filled[0] - center).max() < 3
    assert np.abs(filled[1, :, 1] - 100).max() < 3
