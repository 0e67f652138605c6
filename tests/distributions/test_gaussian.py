import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from a3c_bench.distributions.base import as_columns, sample
from a3c_bench.distributions.choice import distribution_for
from a3c_bench.distributions.gaussian import Gaussian
from a3c_bench.environments.spaces import ActionSpec


def test_it_is_that_of_numbers():
    assert distribution_for(ActionSpec("numbers", (3,))) == Gaussian(3)
    assert (Gaussian(3).size, Gaussian(3).free_outputs) == (6, 3)


def test_samples_are_normal_and_independent():
    outputs = np.tile(np.array([1.5, -40, 0.0, -2.0], np.float32), (20_000, 1))
    actions = sample(Gaussian(2), outputs, np.random.default_rng(0))
    assert actions.dtype == np.float32 and actions.shape == (20_000, 2)
    standard = (actions - [1.5, -40]) / np.exp([0.0, -2.0])
    for column in standard.T:
        assert stats.kstest(column, "norm").pvalue > 0.01
    assert abs(stats.pearsonr(*standard.T).statistic) < 0.02


def quantiles(shares):
    """The kernel's, in float32, of the standard normal distribution."""
    actions = np.zeros((len(shares), 1), np.float32)
    Gaussian(1).sampler(np.zeros((len(shares), 2), np.float32), shares[:, None], actions)(0, len(shares))
    return actions[:, 0]


def test_quantiles_are_rounded_once():
    near_the_ends = np.concatenate([2.0 ** -np.arange(1, 54), 1 - 2.0 ** -np.arange(1, 54)])
    shares = np.concatenate([np.linspace(0, 1, 100_001)[1:-1], near_the_ends])
    exact = special.ndtri(shares)
    ulps = np.abs(quantiles(shares) - exact) / np.maximum(np.spacing(np.abs(exact).astype(np.float32)), 1e-30)
    assert ulps.max() < 0.51


def test_the_ends_of_the_noise_give_finite_actions():
    lowest, highest = quantiles(np.array([0.0, np.nextafter(1.0, 0.0)]))
    assert lowest == np.float32(special.ndtri(2.0**-54)) and highest == np.float32(special.ndtri(1 - 2.0**-53))


def test_any_rows_can_be_sampled_alone():
    policy, generator = Gaussian(2), np.random.default_rng(0)
    outputs, noise = generator.normal(size=(9, 4)).astype(np.float32), policy.noise((9,))
    policy.draw(generator, noise)
    whole, parts = policy.actions((9,)), policy.actions((9,))
    policy.sampler(outputs, noise, whole)(0, 9)
    for start, stop in ((4, 9), (0, 1), (1, 4)):
        policy.sampler(outputs, noise, parts)(start, stop)
    assert np.array_equal(whole, parts)


def test_greedy_takes_the_means():
    outputs = np.array([[1, 2, 0, 0], [3, 4, -1, 1]], np.float32)
    modes = Gaussian(2).mode(outputs)
    outputs[:] = 0
    assert modes.tolist() == [[1, 2], [3, 4]]


def test_what_is_told_of_a_row_has_names():
    columns = as_columns(Gaussian(2), np.array([[1, 2, 0, np.log(3)]], np.float32))
    assert list(columns) == ["action_0", "action_1", "deviation_0", "deviation_1"]
    assert [column[0] for column in columns.values()] == pytest.approx([1, 2, 1, 3])


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 7), st.floats(0, 3), st.integers(0, 2**32 - 1))
def test_all_is_as_torch_computes_it(rows, numbers, scale, seed):
    generator = np.random.default_rng(seed)
    outputs = generator.normal(0, scale, (rows, 2 * numbers)).astype(np.float32)
    policy = Gaussian(numbers)
    actions = sample(policy, outputs, generator)
    weights, entropy_weights = generator.normal(size=(2, rows)).astype(np.float32)
    arguments = torch.tensor(outputs, dtype=torch.float64, requires_grad=True)
    means, log_deviations = arguments.split(numbers, dim=1)
    theirs = torch.distributions.Normal(means, log_deviations.exp())
    log_probabilities, entropies = theirs.log_prob(torch.tensor(actions)).sum(1), theirs.entropy().sum(1)
    (-(torch.tensor(weights) * log_probabilities).sum() - (torch.tensor(entropy_weights) * entropies).sum()).backward()

    taken = policy.taken(outputs, actions)
    taken.evaluate(rows)
    np.testing.assert_allclose(taken.log_probabilities, log_probabilities.detach(), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(taken.entropies, entropies.detach(), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        taken.loss_gradient(rows, weights, entropy_weights), arguments.grad, rtol=1e-5, atol=1e-6
    )


def test_arrays_of_other_sizes_are_refused():
    policy, outputs = Gaussian(2), np.zeros((5, 4), np.float32)
    with pytest.raises(TypeError):
        policy.taken(outputs, np.zeros((5, 1), np.float32))
    taken = policy.taken(outputs, np.zeros((5, 2), np.float32))
    with pytest.raises(TypeError):
        taken.evaluate(6)
    with pytest.raises(TypeError):
        taken.loss_gradient(5, np.zeros(4, np.float32))
