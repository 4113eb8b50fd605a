"""Tokens and features: dropout of tokens, updates of the rows that occur, what is refused.

Outputs and gradients of networks with an embedding are compared with the reference wherever
`problems` draws one.
"""

import numpy as np
import pytest
from elman import _core
from problems import Problem, cast_values, relative_error, steps_between
from reference import embedding
from reference.dropout import Dropout

N_TOKENS = 40


def problem_of(features=0, n_sequences=11, per_step=False, **options):
    options = {
        "cell": "gru",
        "activation": "tanh",
        "reset_after": True,
        "hidden_layer_sizes": [9, 5],
        "bidirectional": [True, False],
        "n_channels": 6,
        "n_outputs": 2,
        "head": True,
        "n_tokens": N_TOKENS,
        **options,
    }
    lengths = [1 + 7 * i % 13 for i in range(n_sequences)]
    return Problem(options, 5, lengths, per_step, features=features)


OF_EACH_TOKEN = np.linspace(0, 0.9, N_TOKENS)
DROPOUTS = [
    {"token_dropout": 0.4},
    {"token_dropout": OF_EACH_TOKEN},
    {"embedding_dropout": 0.3},
    {"token_dropout": 0.2, "embedding_dropout": 0.5, "dropout": 0.3, "recurrent_dropout": 0.2},
]


@pytest.mark.parametrize("features", [0, 1, 5])
@pytest.mark.parametrize("dropout", DROPOUTS, ids=range(len(DROPOUTS)))
def test_dropout(dropout, features):
    problem = problem_of(features)
    expected_loss, expected, _ = problem.reference_trainer(seed=9, **dropout).loss_and_gradient(
        *problem.examples, np.arange(11), False
    )
    trainer = problem.core_trainer(seed=9, n_threads=2, **dropout)
    loss, gradient = trainer.loss_and_gradient(*problem.examples, per_step=False)
    assert loss == pytest.approx(expected_loss, rel=1e-11)
    assert relative_error(gradient, expected) < 1e-10


def test_tokens_are_dropped_as_often_as_told():
    """The reference says which, and the core agrees with it to the last digit."""
    steps = [[(7, 1.0)]] * 2000
    for tokens, share in ((0.3, 0.3), (OF_EACH_TOKEN, OF_EACH_TOKEN[7])):
        dropout = Dropout(key=3, tokens=tokens)
        kept = [embedding.drop(steps, dropout, s, True) for s in range(5)]
        dropped = np.mean([step == [(0, 1.0)] for sequence in kept for step in sequence])
        assert abs(dropped - share) < 4 * np.sqrt(share * (1 - share) / 10000)
    several = [[(7, 1.0), (8, 1.0)]] * 2000
    kept = embedding.drop(several, Dropout(key=3, tokens=0.3), 0, False)
    assert {len(step) for step in kept} == {0, 2}
    kept = embedding.drop(several, Dropout(key=3, tokens=OF_EACH_TOKEN), 0, False)
    assert {len(step) for step in kept} == {0, 1, 2}


def test_a_dropped_token_is_the_unknown_one():
    problem = problem_of(per_step=True)
    problem.values = np.full_like(problem.values, 7)
    gradient = problem.core_trainer(token_dropout=0.3).loss_and_gradient(
        *problem.examples, per_step=True
    )[1]
    rows = problem.reference.named(gradient)["embedding"]
    assert np.flatnonzero(rows.any(axis=1)).tolist() == [0, 7]


SOLVERS = [
    {"solver": "adam"},
    {"solver": "adam", "alpha": 0.5, "clip_norm": 0.05},
    {"solver": "adam", "beta_1": 0.99, "beta_2": 0.9},
    {"solver": "adamw", "alpha": 0.1},
    {"solver": "adamw", "alpha": 0.1, "schedule": "invscaling"},
    {"solver": "nadam"},
    {"solver": "rmsprop"},
    {"solver": "sgd", "momentum": 0.9},
    {"solver": "sgd", "momentum": 0.5, "nesterovs_momentum": False},
    {"solver": "sgd", "momentum": 0.0},
    {"solver": "adam", "token_dropout": 0.3, "embedding_dropout": 0.2, "seed": 4},
]


@pytest.mark.parametrize("features", [0, 4])
@pytest.mark.parametrize("options", SOLVERS, ids=lambda o: "-".join(map(str, o.values())))
def test_rows_without_a_gradient_move_on_as_if_they_had_one_of_zero(options, features):
    """The reference updates the whole embedding each time, the core what a mini-batch holds."""
    problem = problem_of(features, n_sequences=40)
    if options["solver"] != "sgd":
        options = {**options, "epsilon": 1e-30}
    trainer = problem.core_trainer(learning_rate=0.01, n_threads=2, **options)
    expected = problem.reference_trainer(learning_rate=0.01, **options)
    order = np.random.default_rng(0).permutation(40)
    for _ in range(2):
        loss = trainer.epoch(*problem.examples, order, batch_size=1, per_step=False)
        assert loss == pytest.approx(expected.epoch(*problem.examples, order, 1, False), rel=1e-9)
        assert relative_error(trainer.parameters, expected.parameters) < 1e-9
        assert relative_error(trainer.solver_state["moments"], expected.moments) < 1e-9


def test_momentum_that_lasts_longer_than_it_matters():
    """Drift that has become negligible is no longer summed up; weights decay for ever."""
    problem = problem_of(n_sequences=300, hidden_layer_sizes=[2], bidirectional=[False])
    problem.values[problem.offsets[1] :] %= 5
    options = {"solver": "adamw", "alpha": 0.1, "beta_1": 0.6, "epsilon": 1e-30}
    trainer = problem.core_trainer(learning_rate=0.01, **options)
    expected = problem.reference_trainer(learning_rate=0.01, **options)
    trainer.epoch(*problem.examples, np.arange(300), batch_size=1, per_step=False)
    expected.epoch(*problem.examples, np.arange(300), 1, False)
    assert relative_error(trainer.parameters, expected.parameters) < 1e-9


@pytest.mark.parametrize("features", [0, 4])
def test_bits_do_not_depend_on_threads_or_checkpoints(features):
    problem = problem_of(features, n_sequences=203, per_step=True, bidirectional=[False, False])
    problem.options["hidden_layer_sizes"] = [64, 64]
    problem = Problem(problem.options, 5, [60 + i % 9 for i in range(203)], True, features=features)
    runs = [
        problem.core_trainer(token_dropout=0.2, embedding_dropout=0.2, **options)
        for options in ({"n_threads": 1}, {"n_threads": 3}, {"checkpoint": True})
    ]
    for trainer in runs:
        trainer.epoch(*problem.examples, np.arange(203), batch_size=50, per_step=True)
    for trainer in runs[1:]:
        assert np.array_equal(trainer.parameters, runs[0].parameters)


@pytest.mark.parametrize("features", [0, 4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sequence_alone_is_the_sequence_among_others(dtype, features):
    problem = problem_of(features, n_sequences=150)
    network, parameters = problem.core(dtype), problem.parameters.astype(dtype)
    values, offsets = cast_values(problem.values, dtype), problem.offsets
    expected, _ = network.forward(parameters, values, offsets, per_step=False, n_threads=2)
    for i in range(0, 150, 7):
        begin, end = offsets[i], offsets[i + 1]
        alone, _ = network.forward(
            parameters,
            steps_between(values, begin, end),
            np.array([0, end - begin]),
            per_step=False,
        )
        assert np.array_equal(alone[0], expected[i])


def test_one_feature_a_step_is_a_token():
    problem = problem_of()
    n = len(problem.values)
    as_features = (np.arange(n + 1), problem.values, np.ones(n))
    got = [
        problem.core().forward(problem.parameters, values, problem.offsets, per_step=False)[0]
        for values in (problem.values, as_features)
    ]
    assert np.array_equal(*got)


def test_predictor_on_tokens():
    problem = problem_of()
    predictor = _core.Predictor(problem.core(), problem.parameters.copy(), per_step=False)
    tokens = np.random.default_rng(0).integers(0, N_TOKENS, (4, 7)).astype(np.int32)
    expected, _ = problem.core().forward(
        problem.parameters, tokens.ravel(), np.arange(0, 29, 7), per_step=False
    )
    assert np.array_equal(predictor(tokens), expected)
    assert np.array_equal(predictor(tokens[0])[0], expected[0])
    for wrong, message in (
        (tokens.astype(np.int64), "int32"),
        (tokens[None], "shape"),
        (tokens + np.int32(N_TOKENS), "out of range"),
    ):
        with pytest.raises(ValueError, match=message):
            predictor(wrong)


FIRST = np.array([0, 2, 2, 5])
IDS = np.array([1, 2, 3, 0, 39], np.int32)
BAD = {
    "a token beyond the last": (np.array([0, 1, 40], np.int32), "token 40 is out of range"),
    "a token below zero": (np.array([0, -1, 2], np.int32), "token -1 is out of range"),
    "tokens of another dtype": (np.array([0, 1, 2]), "int32"),
    "tokens of two dimensions": (np.zeros((3, 1), np.int32), "shape"),
    "numbers instead of tokens": (np.zeros((3, 6)), "int32"),
    "a list": ([0, 1, 2], "must be an array"),
    "two parts": ((FIRST, IDS), "first, ids, values"),
    "a feature beyond the last": ((FIRST, IDS + np.int32(1), np.ones(5)), "token 40 is out"),
    "first that ends early": ((FIRST[:3], IDS, np.ones(5)), "first must run"),
    "first that goes back": ((np.array([0, 6, 2, 5]), IDS, np.ones(5)), "not decrease"),
    "first of another dtype": ((FIRST.astype(np.int32), IDS, np.ones(5)), "first must be"),
    "few values": ((FIRST, IDS, np.ones(4)), "values has shape"),
    "values of another dtype": ((FIRST, IDS, np.ones(5, np.float32)), "values must be"),
}


@pytest.mark.parametrize("name", BAD)
def test_every_shape_is_checked(name):
    values, message = BAD[name]
    problem = problem_of()
    offsets = np.array([0, 3])
    with pytest.raises(ValueError, match=message):
        problem.core().forward(problem.parameters, values, offsets, per_step=False)
    with pytest.raises(ValueError, match=message):
        problem.core_trainer().loss_and_gradient(
            values, offsets, np.zeros((1, 2)), None, per_step=False
        )


@pytest.mark.parametrize(
    ("dropout", "message"),
    [
        ({"token_dropout": 1.0}, "token_dropout"),
        ({"embedding_dropout": -0.1}, "embedding_dropout"),
        ({"token_dropout": np.ones(N_TOKENS)}, "token_dropout"),
        ({"token_dropout": np.zeros(N_TOKENS - 1)}, "token_dropout"),
        ({"token_dropout": np.zeros(N_TOKENS, np.float32)}, "token_dropout"),
    ],
)
def test_dropout_out_of_range(dropout, message):
    with pytest.raises(ValueError, match=message):
        problem_of().core_trainer(**dropout)
