"""The core's encoder-decoder against the reference, and the reference against differences."""

import central_differences
import numpy as np
import pytest
from elman import _core
from hypothesis import given
from hypothesis import strategies as st
from problems import CELLS, relative_error
from reference import decoding
from seq2seq_problems import PairProblem, network_options, pair_problems

SCORES = ["none", "dot", "general", "additive"]


def compare(problem, **options):
    members = np.arange(len(problem.lengths))
    expected_loss, expected, _ = problem.reference_trainer(**options).loss_and_gradient(
        *problem.examples, members
    )
    loss, gradient = problem.core_trainer(n_threads=2, **options).loss_and_gradient(
        *problem.examples
    )
    assert loss == pytest.approx(expected_loss, rel=1e-11, abs=1e-14)
    assert relative_error(gradient, expected) < 1e-10


@given(problem=pair_problems())
def test_gradient(problem):
    compare(problem, alpha=0.1)


@given(
    problem=pair_problems(),
    dropout=st.sampled_from([0.0, 0.4]),
    recurrent_dropout=st.sampled_from([0.0, 0.3]),
    embedding_dropout=st.sampled_from([0.0, 0.3]),
    token_dropout=st.sampled_from([0.0, 0.3]),
    target_token_dropout=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 2**63),
)
def test_gradient_with_dropout(problem, **options):
    compare(problem, **options)


@given(problem=pair_problems(), teacher_forcing=st.sampled_from([0.0, 0.5]))
def test_gradient_with_scheduled_sampling(problem, teacher_forcing):
    compare(problem, teacher_forcing=teacher_forcing, seed=3)


@given(problem=pair_problems())
def test_outputs_of_given_inputs(problem):
    targets = problem.targets if problem.decoder["n_tokens"] else None
    log_p, outputs, shares = _core.Decoding(problem.core(), problem.parameters).evaluate(
        *problem.sources, problem.inputs, problem.input_offsets, targets
    )
    expected = [
        problem.reference.forward(problem.parameters, problem.source(i), problem.steps(i))
        for i in range(len(problem.lengths))
    ]
    np.testing.assert_allclose(
        outputs, np.concatenate([some[0] for some in expected]), rtol=1e-9, atol=1e-11
    )
    assert (shares is None) == (problem.attention == "none")
    if shares is not None:
        flat = np.concatenate([some[1].ravel() for some in expected])
        np.testing.assert_allclose(shares, flat, rtol=1e-9, atol=1e-12)
    if targets is not None:
        ends = problem.input_offsets[1:-1]
        expected_log_p = [
            sum(decoding.log_softmax(a)[int(y[0])] for a, y in zip(some[0], of_one, strict=True))
            for some, of_one in zip(expected, np.split(targets, ends), strict=True)
        ]
        np.testing.assert_allclose(log_p, expected_log_p, rtol=1e-9, atol=1e-11)


@given(
    problem=pair_problems(),
    max_length=st.integers(1, 7),
    beam_width=st.integers(1, 4),
    length_penalty=st.sampled_from([0.0, 0.6]),
)
def test_answers(problem, max_length, beam_width, length_penalty):
    model, n = _core.Decoding(problem.core(), problem.parameters), len(problem.lengths)
    if not problem.decoder["n_tokens"]:
        n_values = problem.decoder["n_channels"]
        values, lengths = model.generate(*problem.sources, n_steps=max_length)
        for i in range(n):
            expected = decoding.generate(
                problem.reference, problem.parameters, problem.source(i), max_length, n_values
            )
            assert lengths[i] == len(expected)
            np.testing.assert_allclose(values[i, : lengths[i]], expected, rtol=1e-8, atol=1e-10)
        return
    stop = problem.n_outputs - 1
    options = {"max_length": max_length, "beam_width": beam_width, "length_penalty": length_penalty}
    ids, ends, scores = model.translate(*problem.sources, stop=stop, **options)
    for i in range(n):
        tokens, score = decoding.translate(
            problem.reference, problem.parameters, problem.source(i), stop, **options
        )
        assert list(ids[ends[i] : ends[i + 1]]) == tokens
        assert scores[i] == pytest.approx(score, rel=1e-9)


def small_problem(cell, score, kind="sequence", n_tokens=5):
    encoder = None
    if kind != "vector":
        of_tokens = 6 if kind == "tokens" else 0
        encoder = network_options(cell, [2, 3], [True, False], 2, of_tokens)
    sizes = [2, 3] if kind != "tokens" else [3]
    decoder = network_options(cell, sizes, [False] * len(sizes), 2, n_tokens)
    n_outputs = n_tokens or 3
    return PairProblem(encoder, 2, decoder, score, n_outputs, 3, [3, 1], [2, 1])


def worst_difference(problem, **options):
    """Between the reference's gradient and central differences, relative to the largest entry."""
    members = np.arange(len(problem.lengths))

    def loss_and_gradient(parameters):
        trainer = problem.reference_trainer(**options)
        trainer.parameters = parameters
        return trainer.loss_and_gradient(*problem.examples, members)[:2]

    return central_differences.worst_difference(loss_and_gradient, problem.parameters)


@pytest.mark.parametrize(
    ("score", "kind"),
    [("none", "sequence"), ("dot", "tokens"), ("general", "sequence"), ("additive", "tokens")],
)
def test_reference_of_each_score(score, kind):
    options = {"dropout": 0.3, "recurrent_dropout": 0.2, "alpha": 0.3}
    assert worst_difference(small_problem(CELLS[5], score, kind), **options) < 1e-7


@pytest.mark.parametrize("cell", [CELLS[0], CELLS[3], CELLS[6]])
def test_reference_of_other_cells(cell):
    assert worst_difference(small_problem(cell, "general", n_tokens=0)) < 1e-7
    assert worst_difference(small_problem(cell, "none", "vector")) < 1e-7
