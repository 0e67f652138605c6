"""An algorithm of one's own, brought in by its name: it keeps every promise, and the package is not touched."""

import random

import numpy as np
import pytest
import torch
from conftest import small_config
from torch.nn import functional

from a3c_bench.environments.make import describe
from a3c_bench.evidence.reproducibility.trial import fingerprint
from a3c_bench.training import pool
from a3c_bench.training.alone import turns
from a3c_bench.training.worker import Job

SECTION = {
    "kind": "examples.reinforce:Reinforce",
    "actors": 5,
    "adam_statistics": "shared",
    "learning_rate": 3e-3,
    "gamma": 0.99,
    "baseline_weight": 0.5,
}


def config(episodes=60, hidden=(16, 8), **changes):
    mine = SECTION | {"episodes": episodes, "hidden": list(hidden)}
    return small_config(algorithms=["mine", "nstep"], checkpoint={"seconds": 0.01}, mine=mine, **changes)


@pytest.fixture(scope="module")
def reference():
    checkpoints = []
    outcome = pool.train(config(workers=1), "mine", 0, keep=checkpoints.append)
    return fingerprint(outcome, []), checkpoints


@pytest.mark.parametrize("workers", [2, 5])
def test_workers_compute_the_same_bits(reference, workers):
    assert fingerprint(pool.train(config(workers=workers), "mine", 0), []) == reference[0]


def test_alone_is_its_definition(reference):
    outcome = pool.train(config(), "mine", 0)
    *_, last = turns(Job(config(), "mine", 0, describe("CartPole-v1")))
    assert np.array_equal(last.model, outcome.parameters)


def test_it_goes_on_from_a_checkpoint_and_after_a_killed_worker(reference):
    expected, checkpoints = reference
    assert checkpoints
    resumed = pool.train(config(workers=3), "mine", 0, start=random.choice(checkpoints))
    assert fingerprint(resumed, []) == expected


def test_its_gradient_is_that_of_automatic_differentiation():
    settings, environment = config().algorithm("mine"), describe("CartPole-v1")
    flat = settings.initial_parameters(environment, 3)
    actor = settings.actor_maker(environment, 3)(0, flat)
    rollout, gradient = actor.collect(), np.empty_like(flat)
    statistics = actor.learn(rollout, gradient)

    tensors = {
        name: torch.tensor(tensor.astype(np.float64), requires_grad=True)
        for name, tensor in settings.layout(environment).tensors(flat).items()
    }
    features = torch.tensor(rollout.observations.astype(np.float64))
    for index in range(len(settings.hidden)):
        features = torch.tanh(features @ tensors[f"hidden.{index}.weight"] + tensors[f"hidden.{index}.bias"])
    logits = features @ tensors["actor.weight"] + tensors["actor.bias"]
    values = (features @ tensors["critic.weight"] + tensors["critic.bias"])[:, 0]
    returns, following = [], 0.0
    for reward in reversed(rollout.rewards.tolist()):
        following = reward + settings.gamma * following
        returns.append(following)
    returns = torch.tensor(returns[::-1])
    taken = functional.log_softmax(logits, 1).gather(1, torch.tensor(np.array(rollout.actions))[:, None])[:, 0]
    policy_loss, value_error = (-taken * (returns - values.detach())).mean(), ((values - returns) ** 2).mean()
    (policy_loss + settings.baseline_weight * value_error).backward()
    expected = np.concatenate([tensor.grad.numpy().reshape(-1) for tensor in tensors.values()])
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())
    assert statistics.losses.policy_loss == pytest.approx(policy_loss.item(), rel=1e-4)
    assert statistics.losses.value_error == pytest.approx(value_error.item(), rel=1e-4)


def test_it_learns():
    outcome = pool.train(config(episodes=300, hidden=[32]), "mine", 0)
    returns = outcome.episodes["return"]
    assert returns[-100:].mean() > 2 * returns[:100].mean()
