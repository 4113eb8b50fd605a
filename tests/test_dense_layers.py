"""Dense layers around the recurrence: an input layer, a head's hidden layer and inputs."""

import numpy as np
import pytest
from elman import _core
from problems import Problem, relative_error

AROUND = {
    "input layer": {"input_layer": 7},
    "head layer": {"head_layer": 18},
    "head inputs": {"head_inputs": True},
    "all": {"input_layer": 33, "head_layer": 9, "head_inputs": True},
}
STEPS = {
    "numbers": {},
    "tokens": {"n_tokens": 11},
    "mask": {"missing": "mask"},
    "decay": {"missing": "decay"},
}


def problem_of(lengths, per_step, sizes=(9, 5), bidirectional=False, features=0, **more):
    options = {
        "cell": "lstm",
        "activation": "tanh",
        "reset_after": True,
        "hidden_layer_sizes": list(sizes),
        "bidirectional": [bidirectional] * len(sizes),
        "n_channels": 3,
        "n_outputs": 4,
        "head": True,
        **more,
    }
    return Problem(options, 12, lengths, per_step, features=features)


def compare(problem, **options):
    expected_loss, expected, _ = problem.reference_trainer(**options).loss_and_gradient(
        *problem.examples, np.arange(len(problem.lengths)), problem.per_step
    )
    loss, gradient = problem.core_trainer(2, **options).loss_and_gradient(
        *problem.examples, per_step=problem.per_step
    )
    assert loss == pytest.approx(expected_loss, rel=1e-11)
    assert relative_error(gradient, expected) < 1e-10


def named(network, flat):
    return {
        name: flat[offset : offset + int(np.prod(shape))].reshape(shape)
        for name, shape, offset in network.parameters
    }


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("around", AROUND)
def test_the_references_gradient_is_differences(around, steps, per_step):
    problem = problem_of([4, 1, 3], per_step, (3, 2), **AROUND[around], **STEPS[steps])
    members = np.arange(3)

    def loss_at(parameters):
        trainer = problem.reference_trainer()
        trainer.parameters = parameters
        return trainer.loss_and_gradient(*problem.examples, members, per_step)

    _, gradient, _ = loss_at(problem.parameters)
    is_fixed = np.zeros(len(gradient), bool)
    if steps == "decay":
        problem.reference.named(is_fixed)["decay.mean"][...] = True
    rng = np.random.default_rng(1)
    for _ in range(10):
        direction = rng.normal(size=len(gradient)) * ~is_fixed
        up, down = (loss_at(problem.parameters + s * 1e-6 * direction)[0] for s in (1, -1))
        assert (up - down) / 2e-6 == pytest.approx(gradient @ direction, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("around", AROUND)
def test_gradients(around, steps, per_step):
    problem = problem_of([5, 1, 7, 7, 2], per_step, **AROUND[around], **STEPS[steps])
    compare(problem)
    compare(problem, dropout=0.3, recurrent_dropout=0.2, bptt_steps=3, alpha=0.1)


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("merge_mode", ["concat", "sum"])
def test_gradients_of_two_directions(merge_mode, per_step):
    more = {"bidirectional": True, "merge_mode": merge_mode, "n_tokens": 11, "features": 3}
    compare(problem_of([5, 1, 7, 7, 2], per_step, **AROUND["all"], **more))


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("sizes", [(2,), (2, 4)])
def test_layers_of_few_units(sizes, per_step):
    """Sequences of one length, side by side in the lanes of a register."""
    compare(problem_of([6] * 9, per_step, sizes, **AROUND["all"]))


def test_what_a_head_computes():
    """From the states of a network without one."""
    problem = problem_of([5, 2, 4], True, **AROUND["all"])
    arrays = named(problem.core(), problem.parameters)
    x, offsets = problem.values, problem.offsets
    inputs = np.maximum(x @ arrays["input.W"] + arrays["input.b"], 0)
    bare = {**problem.options, "n_channels": 33, "head": False}
    network = _core.Network(
        dtype="float64", **{k: v for k, v in bare.items() if k not in AROUND["all"]}
    )
    recurrent = np.concatenate([a.ravel() for n, a in arrays.items() if n.startswith("layers.")])
    h, _ = network.forward(recurrent, np.ascontiguousarray(inputs), offsets, per_step=True)
    v = np.hstack([h, x])
    hidden = np.maximum(v @ arrays["head.0.W"] + arrays["head.0.b"], 0)
    expected = hidden @ arrays["head.W"] + arrays["head.b"]
    got, _ = problem.core().forward(problem.parameters, x, offsets, per_step=True)
    assert relative_error(got, expected) < 1e-12
    last, _ = problem.core().forward(problem.parameters, x, offsets, per_step=False)
    assert np.array_equal(last, got[offsets[1:] - 1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("per_step", [False, True])
def test_bits_of_training(per_step, dtype):
    """On any number of threads, and with checkpoints."""
    problem = problem_of([1 + 7 * i % 60 for i in range(150)], per_step, (33,), **AROUND["all"])
    values, offsets, targets, weights = problem.examples
    arrays = values.astype(dtype), offsets, targets.astype(dtype), weights.astype(dtype)
    runs = []
    for n_threads, checkpoint in ((1, False), (2, False), (3, True)):
        trainer = problem.core_trainer(n_threads, dtype, checkpoint=checkpoint, dropout=0.2)
        losses = [
            trainer.epoch(*arrays, np.arange(150), batch_size=64, per_step=per_step)
            for _ in range(2)
        ]
        runs.append((losses, trainer.parameters))
    for losses, parameters in runs[1:]:
        assert losses == runs[0][0]
        assert np.array_equal(parameters, runs[0][1])


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("per_step", [False, True])
def test_bits_of_a_row_alone_and_in_company(per_step, steps):
    """Also of sequences that are predicted in segments of their steps."""
    lengths = [1 + 97 * i % 700 for i in range(40)]
    problem = problem_of(lengths, per_step, (33,), **AROUND["all"], **STEPS[steps])
    network, offsets = problem.core(), problem.offsets
    expected, states = network.forward(
        problem.parameters, problem.values, offsets, per_step=per_step, n_threads=3
    )
    rows = offsets if per_step else np.arange(len(lengths) + 1)
    for i in range(0, len(lengths), 7):
        x = problem.values[offsets[i] : offsets[i + 1]]
        one = np.array([0, len(x)])
        alone, state = network.forward(problem.parameters, x, one, per_step=per_step)
        assert np.array_equal(alone, expected[rows[i] : rows[i + 1]])
        assert np.array_equal(state[0], states[i])


def test_a_predictor_is_the_network():
    problem = problem_of([4] * 6, True, **AROUND["all"])
    predictor = _core.Predictor(problem.core(), problem.parameters, per_step=True)
    expected, _ = problem.core().forward(
        problem.parameters, problem.values, problem.offsets, per_step=True
    )
    assert np.array_equal(predictor(problem.values.reshape(6, 4, 3)), expected)


def test_parameters_and_their_start():
    problem = problem_of([3], False, **AROUND["all"])
    network = problem.core()
    shapes = {name: shape for name, shape, _ in network.parameters}
    around = ["input.W", "input.b", "head.0.W", "head.0.b", "head.W", "head.b"]
    assert [*shapes][:2] + [*shapes][-4:] == around
    assert [shapes[name] for name in around] == [(3, 33), (33,), (8, 9), (9,), (9, 4), (4,)]
    for name, array in named(network, network.initialize(3)).items():
        if name in around and name.endswith("W"):
            limit = np.sqrt(6 / sum(shapes[name]))
            assert 0.8 * limit < np.abs(array).max() <= limit
        elif name in around:
            assert not array.any()


@pytest.mark.parametrize("steps", STEPS)
def test_the_head_reads_as_much_as_the_layers(steps):
    problem = problem_of([3], False, head_inputs=True, **STEPS[steps])
    shapes = {name: shape for name, shape, _ in problem.core().parameters}
    assert shapes["head.W"][0] == 5 + (6 if steps == "decay" else 3)


def test_nothing_is_left_of_the_batch_before():
    first = problem_of([3] * 3, True, **AROUND["all"])
    trainer = first.core_trainer()
    for n_sequences in (60, 1, 7):
        for per_step in (True, False):
            problem = problem_of([1 + i % 9 for i in range(n_sequences)], per_step, **AROUND["all"])
            again = trainer.loss_and_gradient(*problem.examples, per_step=per_step)
            fresh = first.core_trainer().loss_and_gradient(*problem.examples, per_step=per_step)
            assert again[0] == fresh[0]
            assert np.array_equal(again[1], fresh[1])


@pytest.mark.parametrize("around", AROUND)
def test_nothing_that_is_not_finite_is_hidden(around):
    """relu(NaN) is NaN: training that diverges says so."""
    problem = problem_of([3, 4], False, **AROUND[around])
    trainer = problem.core_trainer(solver="sgd", learning_rate=1e200)
    order = np.tile([0, 1], 20)
    with pytest.raises(_core.Diverged):
        trainer.epoch(*problem.examples, order, batch_size=1, per_step=False)
    network, parameters = problem.core(), problem.parameters.copy()
    for name, array in named(network, parameters).items():
        if name in ("input.b", "head.0.b", "head.b"):
            array[...] = np.nan
    outputs, _ = network.forward(parameters, problem.values, problem.offsets, per_step=False)
    assert np.all(np.isnan(outputs))


BAD = {
    "input_layer": ({"input_layer": -1}, "input_layer"),
    "head_layer": ({"head_layer": -1}, "head_layer"),
    "a hidden layer of no head": ({"head": False, "head_layer": 3}, "need a head"),
    "inputs of no head": ({"head": False, "head_inputs": True}, "need a head"),
    "beyond all": ({"input_layer": 2**40}, "input_layer"),
}


@pytest.mark.parametrize("name", BAD)
def test_options_are_checked(name):
    change, message = BAD[name]
    options = problem_of([3], False).options | change
    with pytest.raises(ValueError, match=message):
        _core.Network(dtype="float64", **options)
