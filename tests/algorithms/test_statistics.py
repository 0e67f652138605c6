"""What is recorded of an update, and what it learns from, computed again: torch in float64, and plain loops."""

import gymnasium
import numpy as np
import pytest
import torch
from conftest import small_config
from gymnasium.envs.classic_control import CartPoleEnv
from torch.nn import functional

from a3c_bench.environments.make import describe


@pytest.fixture(autouse=True, scope="module")
def registered():
    """Of twelve steps at most: some episodes fail before, others are cut."""
    gymnasium.register("ShortCartPole-v0", CartPoleEnv, max_episode_steps=12)
    yield
    del gymnasium.registry["ShortCartPole-v0"]


def fresh(algorithm, **changes):
    """Settings, an actor, and its parameters by name in float64."""
    environment = describe("ShortCartPole-v0")
    settings = small_config(env=environment.name, **{algorithm: changes}).algorithm(algorithm)
    flat = settings.initial_parameters(environment, 1)
    # The first policy is nearly uniform: all its rows have the same entropy.
    weights = settings.layout(environment).tensors(flat)["actor.weight"]
    weights *= 3 / np.abs(weights).max()
    tensors = settings.layout(environment).tensors(flat.astype(np.float64))
    actor = settings.actor_maker(environment, 1)(0, flat)
    return settings, actor, {name: torch.tensor(tensor) for name, tensor in tensors.items()}


def layer(tensors, name, features):
    return features @ tensors[f"{name}.weight"] + tensors[f"{name}.bias"]


def nstep_forward(tensors, observations):
    """Log-probabilities (…, actions) and values (…)."""
    features = torch.tensor(observations, dtype=torch.float64)
    for name in ("hidden.0", "hidden.1"):
        features = torch.tanh(layer(tensors, name, features))
    return functional.log_softmax(layer(tensors, "actor", features), -1), layer(tensors, "critic", features)[..., 0]


def episodic_forward(tensors, observations):
    """Log-probabilities (…, actions) and values (…)."""
    features = functional.normalize(torch.tensor(observations, dtype=torch.float64), dim=-1)
    for name in ("hidden.0", "hidden.1"):
        features = torch.relu(layer(tensors, name, features))
    own = torch.relu(layer(tensors, "critic_hidden", features))
    values = torch.tanh(layer(tensors, "critic", own))[..., 0]
    return functional.log_softmax(layer(tensors, "actor", features), -1), values


def advantage(rollout, values, step, env, settings):
    """The sum of the one-step errors from here to the episode's end, or the rollout's, ever more discounted."""
    total, weight = 0.0, 1.0
    for at in range(step, len(rollout.rewards)):
        following = 0.0 if rollout.terminated[at, env] else settings.gamma * float(values[at + 1, env])
        total += weight * (float(rollout.rewards[at, env]) + following - float(values[at, env]))
        weight *= settings.gamma * settings.gae_lambda
        if rollout.over[at, env]:
            break
    return total


def assert_losses(losses, log_probabilities, taken, advantages, errors):
    """The means over the env steps; log-probabilities (steps, actions), and those of the actions taken."""
    entropies = -(log_probabilities * log_probabilities.exp()).sum(1)
    assert losses.policy_loss == pytest.approx(-np.mean(taken * advantages), rel=1e-4, abs=1e-6)
    assert losses.value_error == pytest.approx(np.mean(np.square(errors)), rel=1e-4)
    assert losses.entropy == pytest.approx(float(entropies.mean()), rel=1e-5)


@pytest.mark.parametrize("normalised", [False, True])
def test_nstep_learns_from_and_records_what_loops_compute(normalised):
    changes = {"hidden": [64, 64], "rollout_steps": 30, "normalize_advantages": normalised, "entropy_weight": 0.01}
    settings, actor, tensors = fresh("nstep", **changes)
    gradient, ends = np.empty(sum(map(torch.numel, tensors.values())), np.float32), set()
    for _ in range(4):
        rollout = actor.collect()
        recorded = actor.learn(rollout, gradient)
        log_probabilities, values = nstep_forward(tensors, rollout.observations)
        steps, envs = np.nonzero(rollout.counted)
        advantages = np.array([advantage(rollout, values, *place, settings) for place in zip(steps, envs, strict=True)])
        errors = advantages
        returns = advantages + values[steps, envs].numpy()
        if normalised:
            advantages = (advantages - advantages.mean()) / advantages.std()
        workspace, counted = actor._workspace, rollout.counted
        np.testing.assert_allclose(workspace.advantages[counted], advantages, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(workspace.returns[counted], returns, rtol=1e-4, atol=1e-5)
        assert recorded.env_steps == len(steps)
        probable = log_probabilities[steps, envs]
        taken = probable[np.arange(len(steps)), rollout.actions[steps, envs]].numpy()
        assert_losses(recorded.losses, probable, taken, advantages, errors)
        ends |= {name for name in ("terminated", "truncated") if getattr(rollout, name).any()}
    assert ends == {"terminated", "truncated"}


@pytest.mark.parametrize("reward", ["textbook", "env"])
def test_episodic_learns_from_and_records_what_loops_compute(reward):
    _, actor, tensors = fresh("episodic", reward=reward, gamma=0.9)
    gradient, ends = np.empty(sum(map(torch.numel, tensors.values())), np.float32), set()
    for _ in range(80):
        rollout = actor.collect()
        recorded = actor.learn(rollout, gradient)
        log_probabilities, values = episodic_forward(tensors, rollout.observations)
        steps = len(rollout.actions)
        rewards = [1.0] * steps
        if reward == "textbook" and rollout.terminated:
            rewards[-1] = -10.0
        returns = np.array(
            [sum(0.9**later * paid for later, paid in enumerate(rewards[step:])) for step in range(steps)]
        )
        returns /= np.sqrt(np.sum(returns**2))
        np.testing.assert_allclose(actor._loss._returns[:steps], returns, rtol=1e-5, atol=1e-6)
        assert recorded.env_steps == steps
        advantages = returns - values.numpy()
        taken = log_probabilities[np.arange(steps), rollout.actions].numpy()
        assert_losses(recorded.losses, log_probabilities, taken, advantages, advantages)
        ends.add(rollout.terminated)
    assert ends == {True, False}
