"""A mini-batch in parts: their sum is its gradient, and the update by it is that of `epoch`."""

import numpy as np
import pytest
from elman import _core
from hypothesis import given
from problems import LOSSES, Problem, problems, relative_error

OPTIONS = {
    "cell": "gru",
    "activation": "tanh",
    "reset_after": True,
    "hidden_layer_sizes": [9, 5],
    "bidirectional": [True, False],
    "n_channels": 6,
    "n_outputs": 2,
    "head": True,
}
LENGTHS = [1 + 7 * i % 13 for i in range(11)]
UPDATES = {"alpha": 0.1, "clip_norm": 0.5, "dropout": 0.3, "recurrent_dropout": 0.2, "seed": 4}


def problem_of(per_step=False, **options):
    return Problem({**OPTIONS, **options}, 5, LENGTHS, per_step)


def total_weight(problem):
    return float(problem.weights.sum())


@given(problems(losses=LOSSES))
def test_parts_sum_up_to_the_gradient_of_the_whole(problem):
    trainer = problem.core_trainer()
    loss, gradient = trainer.loss_and_gradient(*problem.examples, per_step=problem.per_step)
    n = len(problem.lengths)
    orders = [np.arange(0, n // 2), np.arange(n // 2, n)]
    parts = [
        trainer.part(
            *problem.examples,
            order,
            total_weight=total_weight(problem),
            per_step=problem.per_step,
        )
        for order in orders
    ]
    assert sum(part[0] for part in parts) == pytest.approx(loss, rel=1e-11, abs=1e-14)
    assert sum(part[1] for part in parts) == pytest.approx(total_weight(problem))
    assert relative_error(sum(part[2] for part in parts), gradient) < 1e-9


@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd", "rmsprop", "nadam"])
@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_part_makes_the_update_of_an_epoch_to_the_bit(solver, per_step, dtype):
    problem = problem_of(per_step)
    values, offsets, targets, _ = problem.examples
    data = (values.astype(dtype), offsets, targets.astype(dtype), None)
    whole, parted = (
        problem.core_trainer(dtype=dtype, solver=solver, schedule="invscaling", **UPDATES)
        for _ in range(2)
    )
    order = np.random.RandomState(0).permutation(11)
    n_rows = offsets[-1] if per_step else 11
    for _ in range(3):
        expected = whole.epoch(*data, order, batch_size=11, per_step=per_step)
        loss, weight, gradient, tokens = parted.part(
            *data, order, total_weight=float(n_rows), per_step=per_step
        )
        loss = parted.update(gradient, loss, weight, tokens)
        assert loss == pytest.approx(expected, rel=1e-14)
        assert weight == n_rows
        np.testing.assert_array_equal(parted.parameters, whole.parameters)
        np.testing.assert_array_equal(parted.solver_state["moments"], whole.solver_state["moments"])
        assert parted.n_updates == whole.n_updates


@pytest.mark.parametrize("dropout", [{}, {"token_dropout": 0.4, "embedding_dropout": 0.2}])
def test_tokens_that_no_part_looks_up_wait_as_in_an_epoch(dropout):
    """Their momentum moves them on; put off or not, to the rounding."""
    problem = problem_of(n_tokens=40)
    whole, parted = (problem.core_trainer(alpha=0.1, seed=3, **dropout) for _ in range(2))
    orders = [np.arange(0, 4), np.arange(4, 8), np.arange(8, 11)]
    whole.epoch(*problem.examples, np.arange(11), batch_size=4, per_step=False)
    for order in orders:
        total = float(problem.weights[order].sum())
        loss, weight, gradient, tokens = parted.part(
            *problem.examples, order, total_weight=total, per_step=False
        )
        assert (np.diff(tokens) > 0).all()
        parted.update(gradient, loss, weight, tokens)
    assert len(tokens) < 40
    assert relative_error(parted.parameters, whole.parameters) < 1e-6


def test_a_part_without_weight_adds_nothing():
    problem = problem_of()
    trainer, nobody = problem.core_trainer(), np.zeros(11)
    loss, weight, gradient, tokens = trainer.part(
        problem.values,
        problem.offsets,
        problem.targets,
        nobody,
        np.arange(11),
        total_weight=7.0,
        per_step=False,
    )
    assert loss == weight == 0.0
    assert not gradient.any()
    assert len(tokens) == 0
    before = trainer.parameters
    assert trainer.update(gradient, loss, weight, tokens) == 0.0
    np.testing.assert_array_equal(trainer.parameters, before)
    assert trainer.n_updates == 0


def test_masks_are_drawn_by_the_number_of_updates():
    problem = problem_of()
    trainer = problem.core_trainer(dropout=0.5)

    def gradient_of(n_updates):
        trainer.n_updates = n_updates
        return trainer.loss_and_gradient(*problem.examples, per_step=False)[1]

    first = gradient_of(0)
    assert not np.array_equal(gradient_of(1), first)
    np.testing.assert_array_equal(gradient_of(0), first)


def test_what_is_refused():
    problem = problem_of(n_tokens=40)
    trainer = problem.core_trainer()
    _, _, gradient, tokens = trainer.part(
        *problem.examples, np.arange(11), total_weight=1.0, per_step=False
    )
    for wrong in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="total_weight"):
            trainer.part(*problem.examples, np.arange(11), total_weight=wrong, per_step=False)
    with pytest.raises(ValueError, match="gradient"):
        trainer.update(gradient[:-1], 0.0, 1.0, tokens)
    with pytest.raises(ValueError, match="tokens has 40"):
        trainer.update(gradient, 0.0, 1.0, np.array([40]))
    with pytest.raises(ValueError, match="n_updates"):
        trainer.n_updates = -1
    with pytest.raises(_core.Diverged):
        trainer.update(np.full_like(gradient, np.nan), 0.0, 1.0, np.arange(40))
