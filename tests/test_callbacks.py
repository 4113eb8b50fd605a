"""scikit-learn's callbacks, where that version has them."""

from __future__ import annotations

import numpy as np
import pytest
from elman import RNNRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 4, 1))
Y = X.sum(axis=(1, 2))


class Recorder:
    """Calls a function after each epoch, and remembers what it was told."""

    def __init__(self, function=lambda estimator, fitted: None):
        self.function = function
        self.losses = []
        self.torn_down = 0

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        self.torn_down += 1

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            self.losses.append(fitted_estimator.loss_)
            return self.function(estimator, fitted_estimator)
        return None


def fit(recorder, **options):
    pytest.importorskip("sklearn.callback")
    model = RNNRegressor(hidden_layer_sizes=4, max_iter=5, random_state=0, **options)
    return model.set_callbacks(recorder).fit(X, Y)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_every_epoch_is_told(solver):
    recorder = Recorder()
    model = fit(recorder, solver=solver)
    assert recorder.losses == model.loss_curve_
    assert recorder.torn_down == 1


def test_true_stops():
    assert fit(Recorder(lambda estimator, fitted: fitted.n_iter_ == 2)).n_iter_ == 2


def test_an_epoch_is_a_fitted_estimator():
    predictions = []
    model = fit(Recorder(lambda estimator, fitted: predictions.append(fitted.predict(X))))
    np.testing.assert_array_equal(predictions[-1], model.predict(X))
    assert not np.array_equal(predictions[0], predictions[-1])


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_what_a_callback_raises_is_raised(error):
    def fail(estimator, fitted):
        raise error("stop")

    recorder = Recorder(fail)
    with pytest.raises(error, match="stop"):
        fit(recorder)
    assert recorder.torn_down == 1


def test_a_callback_cannot_fit_its_estimator():
    with pytest.raises(RuntimeError, match=r"RNNRegressor.fit: already fitting"):
        fit(Recorder(lambda estimator, fitted: estimator.fit(X, Y)))
