import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from a3c_bench.distributions.base import as_columns, sample
from a3c_bench.distributions.categorical import Categorical


@pytest.mark.parametrize("size", [1, 2, 3, 18])
def test_samples_follow_the_softmax(size):
    generator = np.random.default_rng(size)
    probabilities = generator.dirichlet(np.ones(size) * 3)
    logits = np.tile(np.log(probabilities).astype(np.float32), (20_000, 1))
    counts = np.bincount(sample(Categorical((size,)), logits, generator), minlength=size)
    assert size == 1 or stats.chisquare(counts, 20_000 * probabilities).pvalue > 0.01


def test_samples_of_several_choices_follow_each_softmax_and_are_independent():
    generator = np.random.default_rng(1)
    first, second = generator.dirichlet(np.ones(3) * 3), generator.dirichlet(np.ones(2) * 3)
    logits = np.tile(np.log(np.concatenate([first, second])).astype(np.float32), (20_000, 1))
    actions = sample(Categorical((3, 2), several=True), logits, generator)
    assert actions.shape == (20_000, 2)
    counts = np.bincount(actions[:, 0] * 2 + actions[:, 1], minlength=6)
    assert stats.chisquare(counts, 20_000 * np.outer(first, second).ravel()).pvalue > 0.01


@pytest.mark.parametrize("noise", [0.0, np.nextafter(1.0, 0.0)])
def test_the_ends_of_the_noise_give_the_first_and_the_last_action(noise):
    policy, actions = Categorical((3,)), np.zeros(17, np.int64)
    policy.sampler(np.zeros((17, 3), np.float32), np.full(17, noise), actions)(0, 17)
    assert actions.tolist() == [2 * round(noise)] * 17


def test_an_action_without_any_probability_is_not_taken():
    outputs = np.tile(np.array([-1e4, 0, -1e4], np.float32), (1000, 1))
    assert set(sample(Categorical((3,)), outputs, np.random.default_rng(0))) == {1}


def test_greedy_takes_the_most_probable():
    assert Categorical((2,)).mode(np.array([[0.1, 0.2], [3, -3]], np.float32)).tolist() == [1, 0]
    outputs = np.array([[0.1, 0.2, 5, 1, 1], [3, -3, 0, 0, 1]], np.float32)
    assert Categorical((2, 3), several=True).mode(outputs).tolist() == [[1, 0], [0, 2]]


def test_large_outputs_do_no_harm():
    taken = Categorical((2,)).taken(np.array([[1000.0, 1000.0]], np.float32), np.array([1]))
    taken.evaluate(1)
    assert taken.log_probabilities[0] == taken.entropies[0] * -1 == pytest.approx(np.log(0.5))


def test_what_is_told_of_a_row_has_names():
    outputs = np.zeros((3, 2), np.float32)
    columns = as_columns(Categorical((2,)), outputs)
    assert {name: column.tolist() for name, column in columns.items()} == {
        "action": [0] * 3,
        "probability_0": [0.5] * 3,
        "probability_1": [0.5] * 3,
    }
    assert list(as_columns(Categorical((1, 2), several=True), np.zeros((3, 3), np.float32))) == [
        *("action_0", "action_1"),
        *("probability_0_0", "probability_1_0", "probability_1_1"),
    ]


@settings(deadline=None)
@given(
    st.integers(1, 40),
    st.lists(st.integers(1, 18), min_size=1, max_size=5),
    st.booleans(),
    st.floats(0, 8),
    st.integers(0, 2**32 - 1),
)
def test_all_is_as_torch_computes_it(rows, sizes, several, scale, seed):
    """Choices that are independent: log-probabilities and entropies are summed."""
    sizes = sizes if several else sizes[:1]
    generator = np.random.default_rng(seed)
    outputs = generator.normal(0, scale, (rows, sum(sizes))).astype(np.float32)
    actions = generator.integers(sizes, size=(rows, len(sizes)))
    weights, entropy_weights = generator.normal(size=(2, rows)).astype(np.float32)
    logits = torch.tensor(outputs, dtype=torch.float64, requires_grad=True)
    theirs = [torch.distributions.Categorical(logits=part) for part in logits.split(sizes, dim=1)]
    log_probabilities = sum(
        choice.log_prob(torch.tensor(taken)) for choice, taken in zip(theirs, actions.T, strict=True)
    )
    entropies = sum(choice.entropy() for choice in theirs)
    (-(torch.tensor(weights) * log_probabilities).sum() - (torch.tensor(entropy_weights) * entropies).sum()).backward()

    policy = Categorical(tuple(sizes), several)
    taken = policy.taken(outputs, actions if several else actions[:, 0].copy())
    taken.evaluate(rows)
    np.testing.assert_allclose(taken.log_probabilities, log_probabilities.detach(), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(taken.entropies, entropies.detach(), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(taken.loss_gradient(rows, weights, entropy_weights), logits.grad, rtol=1e-5, atol=4e-6)
    probabilities = torch.cat([choice.probs for choice in theirs], dim=1).detach()
    np.testing.assert_allclose(policy.probabilities(outputs), probabilities, rtol=1e-6, atol=1e-12)


def test_the_first_rows_alone_are_looked_at():
    policy, outputs = Categorical((2, 3), several=True), np.ones((5, 5), np.float32)
    taken = policy.taken(outputs, np.ones((5, 2), np.int64))
    taken.evaluate(3)
    assert (taken.entropies > 0).tolist() == [True] * 3 + [False] * 2
    assert taken.loss_gradient(3, np.ones(3, np.float32)).shape == (3, 5)
