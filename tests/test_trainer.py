"""Whole training runs against the reference: solvers, schedules, clipping, penalty, dropout."""

import numpy as np
import pytest
from elman import _core
from problems import CELLS, LOSSES, Problem, relative_error

N_EPOCHS = 20


def problem_of(cell=CELLS[3], per_step=False, loss="squared", n_outputs=2):
    name, activation, reset_after = cell
    options = {
        "cell": name,
        "activation": activation,
        "reset_after": reset_after,
        "hidden_layer_sizes": [5, 4],
        "bidirectional": [True, False],
        "n_channels": 2,
        "n_outputs": n_outputs,
        "head": True,
    }
    return Problem(options, 17, [3, 6, 1, 4, 5, 2, 6], per_step, loss)


def compare_runs(problem, batch_size=3, **options):
    expected = problem.reference_trainer(**options)
    trainer = problem.core_trainer(n_threads=2, **options)
    rng = np.random.default_rng(0)
    for _ in range(N_EPOCHS):
        order = rng.permutation(len(problem.lengths))
        arguments = (*problem.examples, order)
        loss = trainer.epoch(*arguments, batch_size=batch_size, per_step=problem.per_step)
        assert loss == pytest.approx(
            expected.epoch(*arguments, batch_size, problem.per_step), rel=1e-9
        )
    assert trainer.n_updates == expected.n_updates
    assert relative_error(trainer.parameters, expected.parameters) < 1e-9
    assert relative_error(trainer.solver_state["moments"], expected.moments) < 1e-9
    return trainer


@pytest.mark.parametrize("cell", CELLS)
def test_cells(cell):
    compare_runs(problem_of(cell, per_step=True), learning_rate=0.01)


@pytest.mark.parametrize(
    "options",
    [
        {"solver": "adam", "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-6},
        {"solver": "adamw", "alpha": 0.1},
        {"solver": "nadam"},
        {"solver": "rmsprop", "beta_2": 0.9},
        {"solver": "sgd", "momentum": 0.0},
        {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": False},
        {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": True},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_solvers(options):
    compare_runs(problem_of(), learning_rate=0.01, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"schedule": "invscaling", "power_t": 0.3},
        {"schedule": "cosine", "warmup_steps": 0, "total_steps": 40},
        {"schedule": "cosine", "warmup_steps": 7, "total_steps": 60},
    ],
)
def test_schedules(options):
    compare_runs(problem_of(), learning_rate=0.02, **options)


def test_clipping():
    compare_runs(problem_of(), learning_rate=0.01, clip_norm=0.05)


def test_penalty():
    compare_runs(problem_of(), learning_rate=0.01, alpha=0.5)


def test_dropout():
    compare_runs(problem_of(), learning_rate=0.01, dropout=0.3, recurrent_dropout=0.2, seed=99)


def test_truncation():
    compare_runs(problem_of(per_step=True), learning_rate=0.01, bptt_steps=2)


@pytest.mark.parametrize("loss", LOSSES)
def test_losses(loss):
    n_outputs = 1 if loss == "binary" else 2
    compare_runs(problem_of(loss=loss, n_outputs=n_outputs), learning_rate=0.01)


def test_a_rate_that_the_caller_lowers():
    """How an adaptive schedule is driven: the rate is set between epochs."""
    problem, order = problem_of(), np.arange(7)
    trainer, expected = problem.core_trainer(), problem.reference_trainer()
    for rate in (0.02, 0.004, 0.0008):
        trainer.learning_rate = expected.learning_rate = rate
        assert trainer.learning_rate == rate
        trainer.epoch(*problem.examples, order, batch_size=3, per_step=False)
        expected.epoch(*problem.examples, order, 3, False)
    assert relative_error(trainer.parameters, expected.parameters) < 1e-11


FIRST_UPDATES = {
    "sgd": lambda g: -0.1 * g * 1.9,  # Nesterov: the velocity once, and 0.9 of it ahead
    "rmsprop": lambda g: -0.1 * g / (np.sqrt(0.001) * np.abs(g) + 1e-8),
    "adam": lambda g: -0.1 * g / (np.abs(g) + 1e-8 / np.sqrt(0.001)),
    "adamw": lambda g: -0.1 * g / (np.abs(g) + 1e-8 / np.sqrt(0.001)),
    "nadam": lambda g: -0.1 * g * (1 + 0.9 / 1.9) / (np.abs(g) + 1e-8),
}


@pytest.mark.parametrize("solver", FIRST_UPDATES)
def test_first_update_by_hand(solver):
    """From the gradient alone, without the reference."""
    problem = problem_of()
    trainer = problem.core_trainer(solver=solver, learning_rate=0.1, alpha=0.2)
    _, g = trainer.loss_and_gradient(*problem.examples, per_step=False)
    trainer.epoch(*problem.examples, np.arange(7), batch_size=7, per_step=False)
    decay = 0.1 * 0.2 * problem.reference_trainer().is_matrix if solver == "adamw" else 0.0
    expected = problem.parameters * (1 - decay) + FIRST_UPDATES[solver](g)
    assert relative_error(trainer.parameters, expected) < 1e-12


def test_a_batch_without_weight_is_skipped():
    problem = problem_of()
    problem.weights[:3] = 0
    trainer = problem.core_trainer()
    trainer.epoch(*problem.examples, np.arange(7), batch_size=3, per_step=False)
    assert trainer.n_updates == 2


def test_a_run_continued_from_its_state_ends_with_the_same_bits():
    problem = problem_of()
    order = np.arange(7)
    options = {"learning_rate": 0.01, "dropout": 0.2, "seed": 4}
    whole = problem.core_trainer(**options)
    for _ in range(4):
        whole.epoch(*problem.examples, order, batch_size=3, per_step=False)
    first = problem.core_trainer(**options)
    for _ in range(2):
        first.epoch(*problem.examples, order, batch_size=3, per_step=False)
    second = problem.core_trainer(**options)
    second.parameters = first.parameters
    second.solver_state = first.solver_state
    for _ in range(2):
        second.epoch(*problem.examples, order, batch_size=3, per_step=False)
    assert np.array_equal(second.parameters, whole.parameters)
    assert np.array_equal(second.solver_state["moments"], whole.solver_state["moments"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_divergence_names_batch_rate_and_norm(dtype):
    problem = problem_of(CELLS[1])
    trainer = problem.core_trainer(dtype=dtype, solver="sgd", learning_rate=1e30)
    examples = [problem.values.astype(dtype), problem.offsets]
    examples += [problem.targets.astype(dtype), problem.weights.astype(dtype)]

    def train():
        for _ in range(50):
            trainer.epoch(*examples, np.arange(7), batch_size=3, per_step=False)

    with pytest.raises(_core.Diverged) as error:
        train()
    message, batch, rate, norm = error.value.args
    assert "finite" in message
    assert batch in (0, 1, 2)
    assert rate == 1e30
    assert norm > 0 or np.isnan(norm)


BAD = {
    "target rows": ({"targets": np.zeros((6, 2))}, "targets"),
    "target columns": ({"targets": np.zeros((7, 3))}, "targets"),
    "weight rows": ({"weights": np.ones(6)}, "weights"),
    "negative weight": ({"weights": -np.ones(7)}, "weight 0"),
    "order beyond the data": ({"order": np.array([7])}, "order"),
    "batch_size of zero": ({"batch_size": 0}, "batch_size"),
}


@pytest.mark.parametrize("name", BAD)
def test_every_shape_is_checked(name):
    problem = problem_of()
    change, message = BAD[name]
    good = dict(zip(("values", "offsets", "targets", "weights"), problem.examples, strict=True))
    good |= {"order": np.arange(7), "batch_size": 3, "per_step": False}
    with pytest.raises(ValueError, match=message):
        problem.core_trainer().epoch(**good | change)
