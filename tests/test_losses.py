"""What a trainer's loss can: unknown targets, levels of quantiles, distributions, candidates."""

import math

import numpy as np
import pytest
from elman import _core
from problems import Problem, relative_error
from reference.mixture import Mixture
from reference.trainer import Trainer
from scipy import stats

# Outputs for each target.
N_BLOCKS = {
    "squared": 1,
    "absolute": 1,
    "huber": 1,
    "quantile": 1,
    "poisson": 1,
    "gaussian": 2,
    "student_t": 3,
    "negative_binomial": 2,
}
LEVELS = np.array([0.1, 0.5, 0.7])
OF_LOSS = {"huber": {"loss_parameter": 0.7}, "quantile": {"loss_parameter": 0.3}}
COUNTS = ("poisson", "negative_binomial")


def problem_of(loss, n_targets=4, per_step=False, n_sequences=7, n_more=0, missing=0.4):
    """Targets of which some are not known, and n_more outputs than the loss has."""
    options = {
        "cell": "gru",
        "activation": "tanh",
        "reset_after": True,
        "hidden_layer_sizes": [9],
        "bidirectional": [False],
        "n_channels": 2,
        "n_outputs": n_targets * N_BLOCKS[loss] + n_more,
        "head": True,
    }
    problem = Problem(options, 31, [1 + 5 * i % 7 for i in range(n_sequences)], per_step)
    problem.loss, rng = loss, np.random.default_rng(2)
    shape = (len(problem.weights), n_targets)
    problem.targets = rng.normal(size=shape)
    if loss in COUNTS:
        problem.targets = rng.negative_binomial(2, 0.4, shape).astype(float)
    problem.targets[rng.random(shape) < missing] = np.nan
    problem.targets[2] = np.nan if missing else problem.targets[2]
    return problem


def quantile_problem(levels, **options):
    n_targets = options.pop("n_targets", 4)
    n_more = options.pop("n_more", 0) + n_targets * (len(levels) - 1)
    return problem_of("quantile", n_targets, n_more=n_more, **options)


def core_trainer(problem, n_threads=1, dtype="float64", **options):
    parameters = problem.parameters.astype(dtype)
    return _core.Trainer(
        problem.core(dtype), parameters, loss=problem.loss, n_threads=n_threads, **options
    )


def compare(problem, **options):
    reference = Trainer(problem.reference, problem.parameters, problem.loss, **options)
    expected_loss, expected, _ = reference.loss_and_gradient(
        *problem.examples, np.arange(len(problem.lengths)), problem.per_step
    )
    loss, gradient = core_trainer(problem, 2, **options).loss_and_gradient(
        *problem.examples, per_step=problem.per_step
    )
    assert np.isfinite(expected_loss)
    assert loss == pytest.approx(expected_loss, rel=1e-11, abs=1e-14)
    assert relative_error(gradient, expected) < 1e-10


def row_loss(loss, outputs, targets, dtype="float64", **options):
    """l and dl/da of one row: a network that puts out its biases."""
    network = _core.Network(
        dtype=dtype,
        cell="simple",
        activation="tanh",
        reset_after=True,
        hidden_layer_sizes=[1],
        bidirectional=[False],
        n_channels=1,
        n_outputs=len(outputs),
        head=True,
    )
    parameters = np.zeros(network.n_parameters, dtype)
    parameters[-len(outputs) :] = outputs
    trainer = _core.Trainer(network, parameters, loss=loss, **options)
    value, gradient = trainer.loss_and_gradient(
        np.zeros((1, 1), dtype),
        np.array([0, 1]),
        np.array([targets], dtype),
        None,
        per_step=False,
    )
    return value, gradient[-len(outputs) :]


def check_differences(loss, outputs, targets, **options):
    """dl/da against central differences."""
    _, gradient = row_loss(loss, outputs, targets, **options)
    numeric = [
        row_loss(loss, outputs + step, targets, **options)[0]
        - row_loss(loss, outputs - step, targets, **options)[0]
        for step in 1e-5 * np.eye(len(outputs))
    ]
    np.testing.assert_allclose(gradient, np.array(numeric) / 2e-5, rtol=1e-6, atol=1e-9)


# Targets that are not known.


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("n_targets", [1, 4])
@pytest.mark.parametrize("loss", N_BLOCKS)
def test_unknown_targets_add_nothing(loss, n_targets, per_step):
    compare(problem_of(loss, n_targets, per_step), **OF_LOSS.get(loss, {}))


@pytest.mark.parametrize("loss", N_BLOCKS)
def test_the_loss_of_a_row_is_the_mean_over_what_is_known(loss):
    outputs = np.random.default_rng(3).normal(size=(N_BLOCKS[loss], 5))
    targets = np.array([1.0, np.nan, 3.0, 0.0, np.nan])
    known = ~np.isnan(targets)
    options = OF_LOSS.get(loss, {})
    value, gradient = row_loss(loss, outputs.ravel(), targets, **options)
    expected, of_known = row_loss(loss, outputs[:, known].ravel(), targets[known], **options)
    gradient = gradient.reshape(outputs.shape)
    assert value == expected
    assert np.array_equal(gradient[:, known].ravel(), of_known)
    assert np.all(gradient[:, ~known] == 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", N_BLOCKS)
def test_a_row_without_any_known_target(loss, dtype):
    outputs = np.full(2 * N_BLOCKS[loss], 1e30 if dtype == "float32" else 1e300)
    value, gradient = row_loss(loss, outputs, [np.nan, np.nan], dtype, **OF_LOSS.get(loss, {}))
    assert value == 0
    assert np.all(gradient == 0)


def test_classes_are_known():
    with pytest.raises(ValueError, match="target 0 is not a class number"):
        row_loss("multiclass", np.zeros(3), [np.nan])
    assert np.isnan(row_loss("binary", np.zeros(1), [np.nan])[0])


# Quantiles.


@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize("per_step", [False, True])
def test_levels_of_quantiles(per_step, missing):
    compare(quantile_problem(LEVELS, per_step=per_step, missing=missing), loss_parameter=LEVELS)


def test_one_level_in_an_array_is_a_level():
    problem = problem_of("quantile")
    one, array = (
        core_trainer(problem, loss_parameter=level).loss_and_gradient(
            *problem.examples, per_step=False
        )
        for level in (0.3, np.array([0.3]))
    )
    assert one[0] == array[0]
    assert np.array_equal(one[1], array[1])


def test_the_loss_of_levels_is_the_mean_of_theirs():
    outputs = np.random.default_rng(3).normal(size=(len(LEVELS), 5))
    targets = np.array([1.0, np.nan, -3.0, 0.0, 0.2])
    value, gradient = row_loss("quantile", outputs.ravel(), targets, loss_parameter=LEVELS)
    alone = [
        row_loss("quantile", row, targets, loss_parameter=q)
        for row, q in zip(outputs, LEVELS, strict=True)
    ]
    assert value == pytest.approx(np.mean([v for v, _ in alone]), rel=1e-14)
    np.testing.assert_allclose(gradient, np.concatenate([g for _, g in alone]) / 3, rtol=1e-14)


@pytest.mark.parametrize("levels", [np.array([0.5, 1.5]), np.array([]), -0.1, np.nan])
def test_levels_are_shares(levels):
    with pytest.raises(ValueError, match=r"levels of quantiles|one parameter"):
        row_loss("quantile", np.zeros(2), [0.0], loss_parameter=levels)


def test_other_losses_have_one_parameter():
    with pytest.raises(ValueError, match="'huber' has one parameter, got 3"):
        row_loss("huber", np.zeros(3), [0.0], loss_parameter=LEVELS)


# Distributions.

LOG_SCALES = [-8.0, -1.0, 0.0, 2.0, 10.0]


@pytest.mark.parametrize("d", [-30.0, -2.0, 0.0, 3.0, 40.0, 1e6])
@pytest.mark.parametrize("log_scale", LOG_SCALES)
def test_student_t_is_scipys(log_scale, d):
    targets = np.array([-3.0, 0.3, 0.31, 2.0])
    outputs = np.repeat([0.3, log_scale, d], 4)
    nu = 2 + np.logaddexp(0, d)
    expected = -stats.t.logpdf(targets, nu, 0.3, np.exp(log_scale)).mean()
    value, _ = row_loss("student_t", outputs, targets)
    assert value == pytest.approx(expected, rel=1e-9 if d == 1e6 else 1e-12, abs=1e-13)


def test_student_t_of_many_degrees_of_freedom_is_gaussian():
    targets = np.array([-3.0, 0.3, 0.31, 2.0])
    value, gradient = row_loss("student_t", np.repeat([0.3, -0.2, 1e15], 4), targets)
    expected, of_gaussian = row_loss("gaussian", np.repeat([0.3, -0.2], 4), targets)
    assert value == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(gradient[:8], of_gaussian, rtol=1e-12)
    np.testing.assert_allclose(gradient[8:], 0, atol=1e-15)


@pytest.mark.parametrize("log_dispersion", LOG_SCALES)
@pytest.mark.parametrize("log_mean", [-5.0, 0.0, 2.0, 7.0])
def test_negative_binomial_is_scipys(log_mean, log_dispersion):
    counts = np.array([0.0, 1.0, 7.0, 300.0])
    r, mu = np.exp(-log_dispersion), np.exp(log_mean)
    expected = -stats.nbinom.logpmf(counts, r, r / (r + mu)).mean()
    value, _ = row_loss("negative_binomial", np.repeat([log_mean, log_dispersion], 4), counts)
    assert value == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("log_dispersion", [-100.0, -30.0, *LOG_SCALES, 30.0])
@pytest.mark.parametrize("count", [0, 1, 2, 9, 1000])
def test_ratios_of_gamma_are_sums_of_logarithms(count, log_dispersion):
    """With a count y, log(Gamma(r + y) / (Gamma(r) r^y)) is sum_i log(1 + i/r), i < y."""
    alpha, log_mean = np.exp(log_dispersion), 0.5
    mean, i = np.exp(log_mean), np.arange(count)
    tail = math.log1p(alpha * mean)
    expected = math.fsum(
        [*np.log(i + 1), *-np.log1p(alpha * i), -count * log_mean, tail / alpha, count * tail]
    )
    d_alpha = math.fsum(
        [
            *-(i / (1 + alpha * i)),
            (mean / (1 + alpha * mean) - tail / alpha) / alpha if alpha > 1e-5 else -(mean**2) / 2,
            count * mean / (1 + alpha * mean),
        ]
    )
    value, gradient = row_loss("negative_binomial", [log_mean, log_dispersion], [count])
    size = 1 + count * np.log1p(alpha * count) + math.lgamma(count + 1)
    assert value == pytest.approx(expected, rel=1e-13, abs=1e-14 * size)
    assert gradient[0] == pytest.approx((mean - count) / (1 + alpha * mean), rel=1e-12, abs=1e-13)
    assert gradient[1] == pytest.approx(alpha * d_alpha, rel=1e-11, abs=1e-14 * (1 + count))


@pytest.mark.parametrize("loss", N_BLOCKS)
def test_gradients_are_differences(loss):
    rng = np.random.default_rng(8)
    targets = np.array([2.0, np.nan, 0.0, 5.0])
    for scale in (0.3, 1.0, 2.0):
        outputs = rng.normal(scale=scale, size=4 * N_BLOCKS[loss])
        check_differences(loss, outputs, targets, **OF_LOSS.get(loss, {}))


@pytest.mark.parametrize("bias", [-300.0, -50.0, 50.0, 300.0])
@pytest.mark.parametrize("loss", ["student_t", "negative_binomial"])
def test_outputs_far_from_their_targets(loss, bias):
    for block in range(N_BLOCKS[loss]):
        outputs = np.zeros(N_BLOCKS[loss])
        outputs[block] = bias
        value, gradient = row_loss(loss, outputs, [3.0])
        assert np.isfinite(value)
        assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("loss", ["student_t", "negative_binomial"])
def test_distributions_in_float32(loss):
    outputs = np.random.default_rng(5).normal(size=3 * N_BLOCKS[loss])
    value, gradient = row_loss(loss, outputs, [1.0, 0.0, 4.0])
    narrow, of_narrow = row_loss(loss, outputs, [1.0, 0.0, 4.0], "float32")
    assert narrow == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(of_narrow, gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("loss", "n_outputs"), [("student_t", 4), ("negative_binomial", 3)])
def test_outputs_come_in_blocks(loss, n_outputs):
    with pytest.raises(ValueError, match=f"cannot have {n_outputs} outputs"):
        row_loss(loss, np.zeros(n_outputs), [0.0])


# Mixtures of candidates.


def mixture_problem(loss, n_candidates, n_groups, **options):
    make = quantile_problem if loss == "quantile" else problem_of
    problem = make(
        LEVELS if loss == "quantile" else loss, n_more=n_groups * n_candidates, **options
    )
    rng = np.random.default_rng(6)
    n_rows, n_targets = problem.targets.shape
    candidates = rng.normal(size=(n_rows, n_candidates * n_targets))
    problem.targets = np.hstack([problem.targets, candidates])
    return problem


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize(("n_candidates", "n_groups", "sharpness"), [(1, 1, 1), (3, 2, 2.5)])
@pytest.mark.parametrize("loss", N_BLOCKS)
def test_mixtures(loss, n_candidates, n_groups, sharpness, per_step):
    options = {"n_candidates": n_candidates, "n_groups": n_groups, "sharpness": sharpness}
    options |= {"loss_parameter": LEVELS} if loss == "quantile" else OF_LOSS.get(loss, {})
    compare(mixture_problem(loss, n_candidates, n_groups, per_step=per_step), **options)


@pytest.mark.parametrize("n_candidates", [1, 2, 9, 20])
@pytest.mark.parametrize("n_groups", [1, 2, 3, 5])
def test_scores_beyond_a_register_and_groups_of_any_size(n_candidates, n_groups):
    options = {"n_candidates": n_candidates, "n_groups": n_groups, "sharpness": 1.7}
    problem = mixture_problem("squared", n_candidates, n_groups, n_targets=5)
    compare(problem, **options)
    outputs, rng = np.zeros(5 + n_groups * n_candidates), np.random.default_rng(9)
    outputs += rng.normal(size=outputs.shape)
    check_differences("squared", outputs, rng.normal(size=5 * (1 + n_candidates)), **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_levels", [1, 3])
def test_mix_is_the_reference(n_levels, dtype):
    rng = np.random.default_rng(4)
    mixture = Mixture(5, 3, n_levels, n_groups=2, sharpness=1.5)
    outputs = rng.normal(size=(11, 15 + 6)).astype(dtype)
    candidates = rng.normal(size=(11, 15)).astype(dtype)
    got = _core.mix(outputs, candidates, n_targets=5, n_levels=n_levels, n_groups=2, sharpness=1.5)
    rows = zip(outputs.astype(float), candidates.astype(float), strict=True)
    expected = np.array([mixture.forward(*row)[0] for row in rows])
    assert got.dtype == dtype
    assert relative_error(got, expected) < (1e-6 if dtype == "float32" else 1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_prediction_mixes_as_training_does(dtype):
    """To the bit: the loss |a - y| of a mixture that prediction calls a."""
    rng = np.random.default_rng(10)
    for _ in range(20):
        outputs = rng.normal(size=4).astype(dtype)
        candidates = rng.normal(size=3).astype(dtype)
        y = dtype_number(dtype, rng.normal())
        row = np.concatenate([[y], candidates])
        a = _core.mix(outputs[None], candidates[None], n_targets=1, sharpness=2.0)[0, 0]
        loss, _ = row_loss("absolute", outputs, row, dtype, n_candidates=3, sharpness=2.0)
        assert loss == abs(float(a) - float(y))


def dtype_number(dtype, value):
    return np.dtype(dtype).type(value)


def test_the_only_candidate_is_added_whole():
    outputs, candidates = np.array([[1.0, 2.0, -7.0]]), np.array([[10.0, 20.0]])
    mixed = _core.mix(outputs, candidates, n_targets=2)
    assert np.array_equal(mixed, [[11.0, 22.0]])


def test_a_sharp_mixture_picks_the_best():
    outputs, candidates = np.array([[0.0, 1.0, 3.0, 2.0]]), np.array([[5.0, 6.0, 7.0]])
    mixed = _core.mix(outputs, candidates, n_targets=1, sharpness=1e4)
    assert np.array_equal(mixed, [[6.0]])


@pytest.mark.parametrize("loss", ["quantile", "student_t"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_of_a_mixture_on_any_number_of_threads(loss, dtype):
    problem = mixture_problem(loss, 3, 2, n_sequences=150, per_step=True)
    options = {"n_candidates": 3, "n_groups": 2, "parameter_average": 0.9}
    options |= {"loss_parameter": LEVELS} if loss == "quantile" else {}
    values, offsets, targets, weights = problem.examples
    arrays = values.astype(dtype), offsets, targets.astype(dtype), weights.astype(dtype)
    runs = []
    for n_threads in (1, 2, 3):
        trainer = core_trainer(problem, n_threads, dtype, dropout=0.1, **options)
        losses = [
            trainer.epoch(*arrays, np.arange(150), batch_size=128, per_step=True) for _ in range(2)
        ]
        runs.append((losses, trainer.parameters, trainer.average))
    for losses, parameters, average in runs[1:]:
        assert losses == runs[0][0]
        assert np.array_equal(parameters, runs[0][1])
        assert np.array_equal(average, runs[0][2])


def test_checkpoints_keep_the_bits_of_a_mixture():
    problem = mixture_problem("squared", 3, 2, per_step=True)
    plain, segments = (
        core_trainer(problem, n_candidates=3, n_groups=2, checkpoint=checkpoint).loss_and_gradient(
            *problem.examples, per_step=True
        )
        for checkpoint in (False, True)
    )
    assert plain[0] == segments[0]
    assert np.array_equal(plain[1], segments[1])


BAD_MIXTURES = {
    "groups of nothing": ({"n_groups": 3, "n_candidates": 1}, "n_groups"),
    "no groups": ({"n_groups": 0}, "n_groups"),
    "fewer than no candidates": ({"n_candidates": -1}, "n_candidates"),
    "no sharpness": ({"sharpness": 0.0}, "sharpness"),
    "infinite sharpness": ({"sharpness": np.inf}, "sharpness"),
    "more scores than outputs": ({"n_candidates": 9}, "outputs"),
    "classes": ({"loss": "multilabel"}, "cannot have candidates"),
    "a number of candidates beyond all": ({"n_candidates": 2**62, "n_groups": 2**62}, "size"),
}


@pytest.mark.parametrize("name", BAD_MIXTURES)
def test_options_of_a_mixture_are_checked(name):
    change, message = BAD_MIXTURES[name]
    options = {"loss": "squared", "n_candidates": 2, "n_groups": 1} | change
    with pytest.raises(ValueError, match=message):
        row_loss(outputs=np.zeros(4), targets=np.zeros(6), **options)


def test_candidates_are_finite():
    problem = mixture_problem("squared", 3, 1, missing=0.0)
    for value in (np.nan, np.inf):
        problem.targets[4, -1] = value
        trainer = core_trainer(problem, n_candidates=3)
        with pytest.raises(ValueError, match="candidate of row 4 is not finite"):
            trainer.loss_and_gradient(*problem.examples, per_step=False)


BAD_MIXES = {
    "rows": ({"candidates": np.zeros((2, 4))}, "candidates has shape"),
    "columns": ({"candidates": np.zeros((3, 3))}, "multiple of 2"),
    "no candidates": ({"candidates": np.zeros((3, 0))}, "n_candidates"),
    "dtype": ({"candidates": np.zeros((3, 4), np.float32)}, "float64"),
    "outputs": ({"outputs": np.zeros((3, 3))}, "outputs than locations"),
    "levels": ({"n_levels": 2}, "outputs than locations"),
    "groups": ({"n_groups": 3}, "n_groups"),
    "NaN": ({"candidates": np.full((3, 4), np.nan)}, "candidate of row 0 is not finite"),
}


@pytest.mark.parametrize("name", BAD_MIXES)
def test_arguments_of_mix_are_checked(name):
    change, message = BAD_MIXES[name]
    good = {"outputs": np.zeros((3, 4)), "candidates": np.zeros((3, 4)), "n_targets": 2}
    with pytest.raises(ValueError, match=message):
        _core.mix(**good | change)


# The average of the parameters.


def train(trainer, problem, n_epochs=6):
    order = np.arange(len(problem.lengths))
    for _ in range(n_epochs):
        trainer.epoch(*problem.examples, order, batch_size=3, per_step=problem.per_step)


@pytest.mark.parametrize("decay", [0.2, 0.99])
def test_the_average_is_the_references(decay):
    problem = problem_of("squared", missing=0.0)
    options = {"learning_rate": 0.05, "parameter_average": decay, "alpha": 0.1}
    reference = Trainer(problem.reference, problem.parameters, "squared", **options)
    trainer = core_trainer(problem, **options)
    assert np.array_equal(trainer.average, problem.parameters)
    for _ in range(6):
        arguments = (*problem.examples, np.arange(7))
        trainer.epoch(*arguments, batch_size=3, per_step=False)
        reference.epoch(*arguments, 3, False)
    assert relative_error(trainer.average, reference.average) < 1e-11
    assert relative_error(trainer.parameters, trainer.average) > 1e-3


def test_the_average_changes_no_bit_of_the_parameters():
    problem = problem_of("squared")
    plain, averaged = core_trainer(problem), core_trainer(problem, parameter_average=0.9)
    train(plain, problem)
    train(averaged, problem)
    assert np.array_equal(plain.parameters, averaged.parameters)


def test_a_run_continued_from_its_state_has_the_same_average():
    problem = problem_of("squared")
    options = {"learning_rate": 0.01, "dropout": 0.2, "parameter_average": 0.9}
    whole, first, second = (core_trainer(problem, **options) for _ in range(3))
    train(whole, problem, 4)
    train(first, problem, 2)
    second.parameters, second.solver_state = first.parameters, first.solver_state
    assert np.array_equal(second.average, first.average)
    train(second, problem, 2)
    assert np.array_equal(second.parameters, whole.parameters)
    assert np.array_equal(second.average, whole.average)


def test_where_no_average_is_kept():
    trainer = core_trainer(problem_of("squared"))
    assert "average" not in trainer.solver_state
    with pytest.raises(ValueError, match="keeps no average"):
        _ = trainer.average


def test_a_state_without_its_average_changes_nothing():
    problem = problem_of("squared")
    plain, averaged = core_trainer(problem), core_trainer(problem, parameter_average=0.9)
    train(plain, problem, 1)
    with pytest.raises(ValueError, match="has no average"):
        averaged.solver_state = plain.solver_state
    assert averaged.n_updates == 0
    assert not averaged.solver_state["moments"].any()


@pytest.mark.parametrize("decay", [-0.1, 1.0, np.nan])
def test_an_average_fades(decay):
    with pytest.raises(ValueError, match="parameter_average"):
        core_trainer(problem_of("squared"), parameter_average=decay)


def test_tokens_have_no_average():
    options = {
        "cell": "gru",
        "activation": "tanh",
        "reset_after": True,
        "hidden_layer_sizes": [3],
        "bidirectional": [False],
        "n_channels": 2,
        "n_outputs": 1,
        "head": True,
        "n_tokens": 5,
    }
    problem = Problem(options, 1, [3, 4], False)
    with pytest.raises(ValueError, match="not for tokens"):
        core_trainer(problem, parameter_average=0.9)
