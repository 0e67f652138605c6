"""Every loss on every distribution: the gradient by the outputs and the values against automatic differentiation."""

import numpy as np
import torch
from conftest import small_config
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from a3c_bench.algorithms.blocks import ActorCriticLoss
from a3c_bench.algorithms.episodic import EpisodicLoss
from a3c_bench.algorithms.ppo import ClippedLoss
from a3c_bench.distributions.base import sample
from a3c_bench.distributions.categorical import Categorical
from a3c_bench.distributions.gaussian import Gaussian
from a3c_bench.learning.minibatches import Experience
from a3c_bench.learning.rollout import EpisodeRoom
from a3c_bench.networks.dense import DenseArchitecture

CONFIG = small_config(nstep={"entropy_weight": 0.1}, ppo={"entropy_weight": 0.1})
DISTRIBUTIONS = st.one_of(
    st.integers(1, 9).map(lambda size: Categorical((size,))),
    st.lists(st.integers(1, 5), min_size=1, max_size=4).map(lambda sizes: Categorical(tuple(sizes), several=True)),
    st.integers(1, 6).map(Gaussian),
)
CASES = given(distribution=DISTRIBUTIONS, rows=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))


def theirs(distribution, outputs, actions):
    """Log-probabilities and entropies of `torch.distributions`."""
    if isinstance(distribution, Gaussian):
        means, logarithms = outputs.chunk(2, dim=1)
        normal = torch.distributions.Normal(means, logarithms.exp())
        return normal.log_prob(torch.tensor(actions)).sum(1), normal.entropy().sum(1)
    chosen = torch.tensor(actions).reshape(len(outputs), -1)
    policies = [torch.distributions.Categorical(logits=part) for part in outputs.split(list(distribution.sizes), 1)]
    taken = sum(policy.log_prob(column) for policy, column in zip(policies, chosen.T, strict=True))
    return taken, sum(policy.entropy() for policy in policies)


def drawn(distribution, rows, seed):
    """Outputs, values, and experience of them: ratios around 1, advantages of both signs, some rows not counted."""
    generator = np.random.default_rng(seed)
    outputs = generator.normal(size=(rows, distribution.size)).astype(np.float32)
    values, advantages, returns, shift = generator.normal(size=(4, rows)).astype(np.float32)
    actions, counted = sample(distribution, outputs, generator), generator.random(rows) < 0.9
    taken = distribution.taken(outputs, actions)
    taken.evaluate(rows)
    advantages[~counted] = 0
    old = taken.log_probabilities + 0.4 * shift
    nothing = np.empty((rows, 0), np.float32)
    return outputs, values, Experience(nothing, actions, old, advantages, returns, counted)


def leaves(*arrays):
    return [torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in arrays]


def assert_alike(by_outputs, by_values, outputs, values):
    for ours, leaf in ((by_outputs, outputs), (by_values, values)):
        scale = max(1.0, leaf.grad.abs().max().item())
        np.testing.assert_allclose(ours / scale, leaf.grad.numpy() / scale, rtol=2e-4, atol=2e-6)


@settings(deadline=None)
@CASES
def test_of_nstep(distribution, rows, seed):
    section = CONFIG.algorithm("nstep")
    outputs, values, given_ = drawn(distribution, rows, seed)
    taken = distribution.taken(outputs, given_.actions)
    loss = ActorCriticLoss(section, taken, values, given_.advantages, given_.returns, given_.counted)
    by_outputs, by_values, _ = loss.differentiate()

    policy, critic = leaves(outputs, values)
    probable, entropies = theirs(distribution, policy, given_.actions)
    each = -probable * torch.tensor(given_.advantages) - section.entropy_weight * entropies
    each = each + section.value_weight * (critic - torch.tensor(given_.returns)) ** 2
    (each * torch.tensor(given_.counted)).sum().div(max(1, given_.counted.sum())).backward()
    assert_alike(by_outputs, by_values, policy, critic)


@settings(deadline=None)
@CASES
def test_of_ppo(distribution, rows, seed):
    section = CONFIG.algorithm("ppo")
    outputs, values, given_ = drawn(distribution, rows, seed)
    taken = distribution.taken(outputs, given_.actions)
    by_outputs, by_values, _ = ClippedLoss(section, taken, values, given_).differentiate()

    policy, critic = leaves(outputs, values)
    probable, entropies = theirs(distribution, policy, given_.actions)
    ratio, advantages = (probable - torch.tensor(given_.log_probabilities)).exp(), torch.tensor(given_.advantages)
    # At the border itself rounding decides.
    assume(((ratio.detach() - 1).abs() - section.clip_range).abs().min() > 1e-4)
    kept = ratio.clamp(1 - section.clip_range, 1 + section.clip_range)
    each = -torch.minimum(ratio * advantages, kept * advantages) - section.entropy_weight * entropies
    each = each + section.value_weight * (critic - torch.tensor(given_.returns)) ** 2
    (each * torch.tensor(given_.counted)).sum().div(max(1, given_.counted.sum())).backward()
    assert_alike(by_outputs, by_values, policy, critic)


@settings(deadline=None)
@CASES
def test_of_episodic(distribution, rows, seed):
    section = CONFIG.algorithm("episodic")
    outputs, values, given_ = drawn(distribution, rows, seed)
    room = EpisodeRoom.allocate(rows + 3, DenseArchitecture(1, distribution.size, (1,), "relu"), distribution)
    room.rows.outputs[:rows], room.rows.values[:rows], room.actions[:rows] = outputs, values, given_.actions
    by_outputs, by_values, _ = EpisodicLoss(section, distribution, room).differentiate(given_.advantages)

    policy, critic = leaves(outputs, values)
    probable, _ = theirs(distribution, policy, given_.actions)
    returns, following = [], 0.0
    for reward in reversed(given_.advantages.tolist()):
        following = reward + section.gamma * following
        returns.append(following)
    returns = torch.nn.functional.normalize(torch.tensor(returns[::-1], dtype=torch.float64), dim=0)
    errors = (critic - returns) ** 2
    (-probable * (returns - critic.detach()) + section.critic_weight * errors).sum().backward()
    assert_alike(by_outputs, by_values, policy, critic)
