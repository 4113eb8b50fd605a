"""Every case of `forecast_cases.py`, on forecasters fitted and not: the error, and nothing else."""

import copy
import re

import numpy as np
import pandas as pd
import pytest
from elman import LinearForecaster, NaiveForecaster, RNNForecaster
from promises.digest import state_digest
from promises.forecast_cases import CASES, HORIZON, WINDOW, good_arguments
from sklearn.base import clone

FORECASTERS = {
    "naive": NaiveForecaster(HORIZON, strategy="seasonal", season_length=WINDOW),
    "linear": LinearForecaster(HORIZON, window=WINDOW),
    "rnn": RNNForecaster(
        HORIZON,
        window=WINDOW,
        season_length=WINDOW,
        segment_length=1,
        hidden_layer_sizes=4,
        n_estimators=1,
        n_updates=5,
        random_state=0,
    ),
}
NEEDS_NO_FIT = ("fit", "backtest")


def calls():
    for case in CASES:
        for kind in case.forecasters:
            for is_fitted in (True, False) if case.method in NEEDS_NO_FIT else (True,):
                state = "fitted" if is_fitted else "unfitted"
                name = f"{case.number}-{case.what}-{kind}.{case.method}-{state}"
                yield pytest.param(case, kind, is_fitted, id=name)


@pytest.fixture(scope="module")
def fitted():
    return {kind: clone(model).fit(**good_arguments("fit")) for kind, model in FORECASTERS.items()}


@pytest.mark.parametrize(("case", "kind", "is_fitted"), list(calls()))
def test_case(case, kind, is_fitted, fitted):
    forecaster = copy.deepcopy(fitted[kind]) if is_fitted else clone(FORECASTERS[kind])
    forecaster.set_params(**case.parameters)
    arguments = good_arguments(case.method) | case.change
    before, given = state_digest(forecaster), copy.deepcopy(arguments)
    with pytest.raises(case.error) as error:
        getattr(forecaster, case.method)(**arguments)
    message = str(error.value)
    assert re.search(case.pattern, message), message
    assert state_digest(forecaster) == before
    for name, value in given.items():
        is_frame = isinstance(value, pd.DataFrame)
        now = arguments[name]
        assert value.equals(now) if is_frame else repr(value) == repr(now)


@pytest.mark.parametrize("kind", FORECASTERS)
@pytest.mark.parametrize(
    "method",
    ["fit", "predict", "predict_interval", "predict_quantiles", "update", "score", "backtest"],
)
def test_good_data_are_accepted(method, kind, fitted):
    """The cases are about what is bad in them, and about nothing else."""
    getattr(copy.deepcopy(fitted[kind]), method)(**good_arguments(method))


def test_messages_are_short(fitted):
    lengths = []
    for case in CASES:
        forecaster = copy.deepcopy(fitted[case.forecasters[-1]]).set_params(**case.parameters)
        with pytest.raises(case.error) as error:
            getattr(forecaster, case.method)(**good_arguments(case.method) | case.change)
        lengths.append(len(str(error.value)))
    assert np.median(lengths) <= 160
