"""The reference against central differences and against values computed by hand."""

import central_differences
import numpy as np
import pytest
from problems import CELLS, LOSSES, Problem
from reference.cell import cell_of
from reference.loss import LOSSES as REFERENCE_LOSSES
from reference.random import bits, normal, uniform
from reference.schedule import learning_rate
from reference.solver import Adam, Sgd
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer


def small_problem(
    cell, per_step, loss="squared", bidirectional=(False, True), seed=3, features=0, **more
):
    name, activation, reset_after = cell
    options = {
        "cell": name,
        "activation": activation,
        "reset_after": reset_after,
        "hidden_layer_sizes": [3, 4],
        "bidirectional": list(bidirectional),
        "n_channels": 2,
        "n_outputs": 1 if loss == "binary" else 4,
        "head": True,
        **more,
    }
    return Problem(options, seed, [4, 1, 3], per_step, loss, features)


def worst_difference(problem, ignore=slice(0), **options):
    """Between the gradient and central differences, relative to the largest of its entries."""
    members = np.arange(len(problem.lengths))

    def loss_and_gradient(parameters):
        trainer = problem.reference_trainer(**options)
        trainer.parameters = parameters
        loss, gradient, _ = trainer.loss_and_gradient(*problem.examples, members, problem.per_step)
        return loss, gradient

    return central_differences.worst_difference(loss_and_gradient, problem.parameters, ignore)


@pytest.mark.parametrize("entry", [0, 7, 39])
def test_one_wrong_entry_of_a_gradient_is_seen(entry):
    x = np.linspace(-1, 1, 40)

    def value_and_gradient(at):
        gradient = np.cos(at)
        gradient[entry] += 1e-5
        return np.sin(at).sum(), gradient

    assert central_differences.worst_difference(value_and_gradient, x) > 0.9e-5
    assert central_differences.worst_difference(value_and_gradient, x, slice(entry, 40)) < 1e-8


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_gradient_of_each_cell(cell, per_step):
    assert worst_difference(small_problem(cell, per_step), alpha=0.3) < 1e-7


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_of_each_loss(loss):
    assert worst_difference(small_problem(CELLS[5], True, loss)) < 1e-6


@pytest.mark.parametrize("features", [0, 3])
@pytest.mark.parametrize("cell", CELLS[::3])
def test_gradient_of_the_embedding(cell, features):
    problem = small_problem(cell, False, n_tokens=6, features=features)
    options = {"token_dropout": 0.3, "embedding_dropout": 0.2, "alpha": 0.3}
    assert worst_difference(problem, **options) < 1e-7


@pytest.mark.parametrize("cell", CELLS)
def test_gradient_of_layer_normalisation(cell):
    problem = small_problem(cell, True, layer_norm=True)
    assert worst_difference(problem, recurrent_dropout=0.3, seed=1, alpha=0.3) < 1e-6


@pytest.mark.parametrize("more", [{"missing": "mask"}, {"merge_mode": "mul"}, {"residual": True}])
@pytest.mark.parametrize("cell", CELLS[::3])
def test_gradient_of_what_stands_between(cell, more):
    problem = small_problem(cell, True, bidirectional=(True, False), **more)
    if "residual" in more:
        problem.options["hidden_layer_sizes"] = [2, 4]
        problem = Problem(problem.options, 3, problem.lengths, False)
    assert worst_difference(problem, alpha=0.3) < 1e-7


@pytest.mark.parametrize("cell", CELLS)
def test_gradient_of_the_decay(cell):
    """But for the mean, which the data tell."""
    problem = small_problem(cell, True, missing="decay")
    of_mean = slice(0, problem.options["n_channels"])
    members = np.arange(3)
    trainer = problem.reference_trainer(recurrent_dropout=0.3, seed=1)
    gradient = trainer.loss_and_gradient(*problem.examples, members, True)[1]
    assert not gradient[of_mean].any()
    assert problem.reference.named(gradient)["decay.w_x"].any()
    assert problem.reference.named(gradient)["decay.W_h"].any()
    options = {"recurrent_dropout": 0.3, "seed": 1}
    assert worst_difference(problem, ignore=of_mean, **options) < 1e-7


@pytest.mark.parametrize("cell", CELLS)
def test_gradient_with_dropout(cell):
    problem = small_problem(cell, True)
    assert worst_difference(problem, dropout=0.4, recurrent_dropout=0.3, seed=5) < 1e-7


def test_truncation_stops_the_gradient_where_it_should():
    """With one step a window, dL/dW_hh of a per-sequence loss is the last step's alone."""
    problem = small_problem(CELLS[0], False, bidirectional=(False, False))
    members = np.array([0])
    exact = problem.reference_trainer().loss_and_gradient(*problem.examples, members, False)[1]
    window = problem.reference_trainer(bptt_steps=problem.lengths[0])
    truncated = problem.reference_trainer(bptt_steps=1)
    assert np.array_equal(window.loss_and_gradient(*problem.examples, members, False)[1], exact)
    gradient = truncated.loss_and_gradient(*problem.examples, members, False)[1]
    assert not np.allclose(gradient, exact)
    named = problem.reference.named(gradient)
    x = problem.values[: problem.lengths[0]]
    p = problem.reference.direction(problem.reference.named(problem.parameters), "layers.0.")
    h = np.zeros(3)
    for x_t in x[:-1]:
        h = np.tanh(x_t @ p["W_xh"] + h @ p["W_hh"] + p["b_h"])
    dz = named["layers.0.b_h"]
    np.testing.assert_allclose(named["layers.0.W_hh"], np.outer(h, dz), rtol=1e-12)
    np.testing.assert_allclose(named["layers.0.W_xh"], np.outer(x[-1], dz), rtol=1e-12)


def test_simple_cell_by_hand():
    p = {"W_xh": np.array([[0.5]]), "W_hh": np.array([[-2.0]]), "b_h": np.array([0.25])}
    h, _, _ = cell_of("simple").forward(p, np.array([3.0]), np.array([0.1]), np.ones(1))
    assert h == pytest.approx(np.tanh(0.5 * 3 - 2 * 0.1 + 0.25))


def test_lstm_cell_by_hand():
    p = {"W_xh": np.array([[1.0, 2, 3, 4]]), "W_hh": np.zeros((1, 4)), "b_h": np.zeros(4)}
    h, c, _ = cell_of("lstm").forward(
        p, np.array([0.5]), np.array([0.0]), np.ones(1), np.array([2.0])
    )
    i, f, o = (1 / (1 + np.exp(-z)) for z in (0.5, 1.0, 2.0))
    assert c == pytest.approx(f * 2 + i * np.tanh(1.5))
    assert h == pytest.approx(o * np.tanh(c))


@pytest.mark.parametrize("reset_after", [True, False])
def test_gru_cell_by_hand(reset_after):
    p = {
        "W_xh": np.array([[1.0, 2, 3]]),
        "W_hh": np.array([[0.5, -0.5, 2.0]]),
        "b_h": np.zeros(3),
        "b_hn": np.array([0.3]),
    }
    h, _, _ = cell_of("gru", reset_after=reset_after).forward(
        p, np.array([0.5]), np.array([0.8]), np.ones(1)
    )
    r, z = (1 / (1 + np.exp(-a)) for a in (0.5 + 0.4, 1.0 - 0.4))
    n = np.tanh(1.5 + r * (1.6 + 0.3)) if reset_after else np.tanh(1.5 + r * 0.8 * 2.0)
    assert h == pytest.approx((1 - z) * n + z * 0.8)


@pytest.mark.parametrize(
    ("loss", "a", "y", "parameter", "expected"),
    [
        ("squared", [1.0, 3], [2.0, 3], 1, 0.25),
        ("absolute", [1.0, 3], [2.0, 5], 1, 1.5),
        ("huber", [0.0, 3], [0.5, 0], 1, (0.125 + 2.5) / 2),
        ("quantile", [1.0, 3], [2.0, 2], 0.9, (0.9 + 0.1) / 2),
        ("poisson", [0.0], [2.0], 1, 1.0),
        ("gaussian", [1.0, 0.0], [2.0], 1, 0.5 + np.log(2 * np.pi) / 2),
        ("binary", [0.0], [1.0], 1, np.log(2)),
        ("multilabel", [0.0, 0.0], [1.0, 0], 1, 2 * np.log(2)),
        ("multiclass", [0.0, 0.0, 0.0], [1.0], 1, np.log(3)),
    ],
)
def test_losses_by_hand(loss, a, y, parameter, expected):
    value, _ = REFERENCE_LOSSES[loss](np.array(a), np.array(y), parameter)
    assert value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("options", "rates"),
    [
        ({"schedule": "constant"}, {0: 1, 99: 1}),
        ({"schedule": "invscaling"}, {0: 1, 3: 0.5, 99: 0.1}),
        (
            {"schedule": "cosine", "warmup_steps": 4, "total_steps": 12},
            {0: 0.25, 3: 1, 4: 1, 6: (1 + np.sqrt(0.5)) / 2, 8: 0.5, 12: 0, 99: 0},
        ),
    ],
    ids=lambda value: value.get("schedule"),
)
def test_schedules_by_hand(options, rates):
    for t, rate in rates.items():
        assert learning_rate(eta=0.02, t=t, **options) == pytest.approx(0.02 * rate, abs=1e-17)


@pytest.mark.parametrize(
    ("ours", "make"),
    [
        (Adam(), lambda weights: AdamOptimizer(weights, 0.01)),
        (Sgd(), lambda weights: SGDOptimizer(weights, 0.01)),
        (
            Sgd(nesterovs_momentum=False),
            lambda weights: SGDOptimizer(weights, 0.01, nesterov=False),
        ),
    ],
    ids=["adam", "nesterov", "momentum"],
)
def test_solvers_as_in_scikit_learn(ours, make):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=11)
    theirs = [weights.copy()]
    optimizer, moments = make(theirs), np.zeros((ours.n_moments, 11))
    for t in range(1, 8):
        g = rng.normal(size=11)
        weights = weights + ours.change(g, moments, 0.01, t)
        optimizer.update_params(theirs, [g])
        np.testing.assert_allclose(weights, theirs[0], rtol=1e-13)


def test_random_bits_are_those_published_for_splitmix64():
    assert [int(b) for b in bits(0, np.arange(3))] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]
    assert [int(b) for b in bits(1234567, np.arange(3))] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


def test_moments_of_random_numbers():
    """Within four standard errors of what they are for uniform and normal numbers."""
    n = 100_000
    u, z = uniform(7, np.arange(n)), normal(7, np.arange(n))
    assert 0 <= u.min() <= u.max() < 1
    assert abs(u.mean() - 1 / 2) < 4 * np.sqrt(1 / 12 / n)
    assert abs((u**2).mean() - 1 / 3) < 4 * np.sqrt(4 / 45 / n)
    assert abs(z.mean()) < 4 * np.sqrt(1 / n)
    assert abs((z**2).mean() - 1) < 4 * np.sqrt(2 / n)
    assert abs((z**4).mean() - 3) < 4 * np.sqrt(96 / n)
