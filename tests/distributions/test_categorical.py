import numpy as np
import pytest
import torch
from scipy import stats

from a3c_bench.distributions.base import sample
from a3c_bench.distributions.categorical import Categorical


@pytest.mark.parametrize("size", [1, 2, 3, 18])
def test_samples_follow_the_softmax(size):
    generator = np.random.default_rng(size)
    probabilities = generator.dirichlet(np.ones(size) * 3)
    logits = np.tile(np.log(probabilities).astype(np.float32), (20_000, 1))
    counts = np.bincount(sample(Categorical(size), logits, generator), minlength=size)
    assert size == 1 or stats.chisquare(counts, 20_000 * probabilities).pvalue > 0.01


@pytest.mark.parametrize("noise", [0.0, np.nextafter(1.0, 0.0)])
def test_the_ends_of_the_noise_give_the_first_and_the_last_action(noise):
    policy, actions = Categorical(3), np.zeros(17, np.int64)
    policy.sampler(np.zeros((17, 3), np.float32), np.full(17, noise), actions)(0, 17)
    assert actions.tolist() == [2 * round(noise)] * 17


def test_an_action_without_any_probability_is_not_taken():
    outputs = np.tile(np.array([-1e4, 0, -1e4], np.float32), (1000, 1))
    assert set(sample(Categorical(3), outputs, np.random.default_rng(0))) == {1}


def test_greedy_takes_the_most_probable():
    assert Categorical(2).mode(np.array([[0.1, 0.2], [3, -3]], np.float32)).tolist() == [1, 0]


def test_large_outputs_do_no_harm():
    taken = Categorical(2).taken(np.array([[1000.0, 1000.0]], np.float32), np.array([1]))
    taken.evaluate(1)
    assert taken.log_probabilities[0] == taken.entropies[0] * -1 == pytest.approx(np.log(0.5))


@pytest.mark.parametrize(("rows", "size"), [(1, 2), (16, 3), (37, 18)])
def test_all_is_as_torch_computes_it(rows, size):
    generator = np.random.default_rng(rows)
    outputs = generator.normal(0, 4, (rows, size)).astype(np.float32)
    actions = generator.integers(size, size=rows)
    weights, entropy_weights = generator.normal(size=(2, rows)).astype(np.float32)
    logits = torch.tensor(outputs, dtype=torch.float64, requires_grad=True)
    theirs = torch.distributions.Categorical(logits=logits)
    log_probabilities, entropies = theirs.log_prob(torch.tensor(actions)), theirs.entropy()
    (-(torch.tensor(weights) * log_probabilities).sum() - (torch.tensor(entropy_weights) * entropies).sum()).backward()

    policy = Categorical(size)
    taken = policy.taken(outputs, actions)
    taken.evaluate(rows)
    np.testing.assert_allclose(taken.log_probabilities, log_probabilities.detach(), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(taken.entropies, entropies.detach(), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(taken.loss_gradient(rows, weights, entropy_weights), logits.grad, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(policy.probabilities(outputs), theirs.probs.detach(), rtol=1e-6, atol=1e-12)
