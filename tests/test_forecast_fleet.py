"""Local models of a panel, trained side by side in the registers: each has the bits of its own fit.

The reference is a forecaster of one series, whose networks are trained one by one.
"""

import os
import signal
import threading

import elman
import numpy as np
import pytest
from elman import DivergenceError, RNNForecaster
from elman._forecast import fleet, network
from elman._forecast.fleet import Together
from numpy.testing import assert_array_equal

BASE = {
    "horizon": 4,
    "window": 24,
    "season_length": 12,
    "hidden_layer_sizes": 4,
    "n_estimators": 2,
    "n_updates": 23,
    "batch_size": 16,
    "random_state": 0,
}


def series(n, seed):
    draw = np.random.RandomState(seed)
    t = np.arange(n)
    return 20 + (1 + seed % 3) * np.sin(2 * np.pi * t / 12) + 0.02 * t + 0.2 * draw.randn(n)


@pytest.fixture(scope="module")
def panel():
    """Series of different lengths, more networks than lanes."""
    return [series(n, seed) for seed, n in enumerate([70, 90, 60, 75, 70, 110, 64, 90, 81])]


@pytest.fixture(autouse=True)
def any_company(monkeypatch):
    """Registers are shared however few there are to share them."""
    monkeypatch.setattr(fleet, "LEAST_FILLED", 0.0)


@pytest.fixture
def calls(monkeypatch):
    """Networks of each call of the core."""
    seen = []

    def train(self, *arguments, original=Together.train):
        seen.append(self.seeds.size)
        return original(self, *arguments)

    monkeypatch.setattr(Together, "train", train)
    return seen


def fit_alone(y, **parameters):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fleet, "LEAST_FILLED", 2.0)
        return RNNForecaster(**parameters).fit(y)


def members(model):
    return [member for one in model._models for member in one.members]


def assert_same_members(a, b):
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        assert one.parameters.tobytes() == other.parameters.tobytes()
        assert one.loss_curve == other.loss_curve


def assert_same_as_alone(parameters, panel, which):
    together = RNNForecaster(strategy_panel="local", **parameters).fit(panel)
    for i in which:
        alone = fit_alone(panel[i], **parameters)
        assert_same_members(list(together._models[i].members), members(alone))
        assert_array_equal(together.predict()[i], alone.predict())


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"window": "auto", "n_updates": "auto", "n_estimators": 1},
        {"hidden_layer_sizes": (3, 5), "cell": "lstm", "strategy": "seq2seq"},
        {"strategy": "recursive", "cell": "simple", "loss": "squared_error", "clip_norm": None},
        {"loss": "quantile", "candidates": None, "solver": "adamw", "alpha": 0.1},
        {"loss": "student_t_nll", "origin_step": 3, "horizon": 1},
        {"loss": "poisson", "series_weights": "proportional", "cell": "min_gru"},
    ],
    ids=str,
)
def test_networks_of_all_series_go_side_by_side(parameters, panel, calls):
    assert_same_as_alone({**BASE, **parameters}, panel, [0, 2, 5])
    assert sum(calls) > len(panel) / 2


def test_series_share_registers_whatever_their_numbers_of_updates(panel, calls):
    parameters = {**BASE, "n_updates": "auto", "n_estimators": 1, "candidates": None}
    panel = [*panel[:2], series(260, 1), series(190, 2), series(150, 3), series(260, 4)]
    assert_same_as_alone(parameters, panel, [0, 2, 3])
    model = RNNForecaster(strategy_panel="local", **parameters).fit(panel)
    assert calls == [6, 6]
    assert len({len(curve) for curve in model.loss_curve_}) > 1


@pytest.mark.parametrize(
    "parameters",
    [
        {"dropout": 0.2},
        {"early_stopping": True},
        {"head_layer_size": 3},
        {"input_layer_size": 3},
        {"hidden_layer_sizes": 64, "n_updates": 3, "batch_size": 512},
    ],
    ids=lambda parameters: next(iter(parameters)),
)
def test_what_registers_do_not_hold_is_trained_apart(parameters, panel, calls):
    assert_same_as_alone({**BASE, **parameters}, panel[:4], [0, 3])
    assert calls == []


def test_a_series_that_would_skip_updates_is_trained_apart(panel, calls):
    holed = panel[0].copy()
    holed[40:50] = np.nan
    panel = [holed, *[y.copy() for y in panel[1:]]]
    for y in panel[1:]:
        y[30] = np.nan
    assert_same_as_alone(BASE, panel, [0, 1])
    assert calls == [2 * (len(panel) - 1)]


def test_what_is_cut_once_is_what_is_cut_when_it_is_drawn(panel, monkeypatch):
    kept = fit_alone(panel, **BASE)
    monkeypatch.setattr(network, "NUMBERS_KEPT", 0)
    assert_same_members(members(kept), members(fit_alone(panel, **BASE)))


def test_neither_threads_nor_portions_change_a_bit(panel, monkeypatch):
    model = RNNForecaster(strategy_panel="local", n_jobs=1, **BASE).fit(panel)
    more = RNNForecaster(strategy_panel="local", n_jobs=2, **BASE).fit(panel)
    assert_same_members(members(model), members(more))
    monkeypatch.setattr(fleet, "NUMBERS_AT_ONCE", 20000)
    fewer = RNNForecaster(strategy_panel="local", n_jobs=2, **BASE).fit(panel)
    assert_same_members(members(model), members(fewer))


def test_a_generator_draws_seeds_of_their_own(panel, calls):
    seeded = {**BASE, "random_state": np.random.RandomState(5)}
    together = RNNForecaster(strategy_panel="local", **seeded).fit(panel)
    seeded["random_state"] = np.random.RandomState(5)
    first = fit_alone(panel[0], **seeded)
    second = fit_alone(panel[1], **seeded)
    assert_same_members(members(together)[:4], members(first) + members(second))
    assert calls == [2 * len(panel)]


def test_a_file_holds_them(panel, tmp_path):
    model = RNNForecaster(strategy_panel="local", **BASE).fit(panel)
    elman.save(model, tmp_path / "model.safetensors")
    again = elman.load(tmp_path / "model.safetensors")
    assert_same_members(members(again), members(model))
    for got, expected in zip(again.predict(), model.predict(), strict=True):
        assert_array_equal(got, expected)


def test_one_that_diverges_raises_what_its_own_fit_raises(panel):
    parameters = {
        **BASE,
        "solver": "sgd",
        "clip_norm": None,
        "learning_rate_init": 1e30,
        "loss": "squared_error",
        "cell": "simple",
        "activation": "identity",
    }
    model = RNNForecaster(strategy_panel="local", **BASE).fit(panel)
    before = model.predict()
    with np.errstate(all="ignore"):
        with pytest.raises(DivergenceError) as together:
            model.set_params(**parameters).fit(panel)
        with pytest.raises(DivergenceError) as alone:
            fit_alone(panel[0], **parameters)
    assert str(together.value) == str(alone.value)
    assert together.value.epoch == alone.value.epoch
    for got, expected in zip(model.predict(), before, strict=True):
        assert_array_equal(got, expected)


@pytest.mark.skipif(os.name == "nt", reason="os.kill ends the process there")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_it_can_be_interrupted(n_jobs, panel):
    parameters = {**BASE, "n_updates": 20_000, "batch_size": 64, "n_estimators": 1}
    timer = threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT])  # as Ctrl-C does
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        RNNForecaster(strategy_panel="local", n_jobs=n_jobs, **parameters).fit([panel[0]] * 32)
    timer.join()
