"""The closed-form gradients against automatic differentiation, and `episodic` against the textbook oracle."""

import numpy as np
import pytest
import torch
from conftest import small_config
from torch.nn import functional

from a3c_bench import textbook
from a3c_bench.algorithms import blocks
from a3c_bench.environments.make import describe
from a3c_bench.learning.rollout import Episode, EpisodeRoom

CARTPOLE = describe("CartPole-v1")


def fresh(algorithm, seed=0, **changes):
    """An algorithm's settings, new parameters, and actor 0 on them."""
    settings = small_config(**{algorithm: changes}).algorithm(algorithm)
    flat = settings.initial_parameters(CARTPOLE, seed)
    return settings, flat, settings.actor_maker(CARTPOLE, seed)(0, flat)


def as_torch(layout, flat):
    return {name: torch.tensor(tensor, requires_grad=True) for name, tensor in layout.tensors(flat).items()}


def flat_gradient(tensors):
    return np.concatenate([tensor.grad.numpy().reshape(-1) for tensor in tensors.values()])


def assert_close(ours, reference):
    """Equal up to float32 rounding, on the scale of the whole gradient."""
    scale = np.abs(reference).max()
    np.testing.assert_allclose(ours / scale, reference / scale, rtol=1e-4, atol=2e-6)


def nstep_reference(tensors, rollout, advantages, returns, counted, settings):
    observations = torch.tensor(rollout.observations[:-1].reshape(-1, rollout.observations.shape[-1]))
    features = observations
    for index in range(len(settings.hidden)):
        weight, bias = tensors[f"hidden.{index}.weight"], tensors[f"hidden.{index}.bias"]
        features = torch.tanh(features @ weight + bias)
    logits = features @ tensors["actor.weight"] + tensors["actor.bias"]
    values = (features @ tensors["critic.weight"] + tensors["critic.bias"])[:, 0]
    log_probabilities = functional.log_softmax(logits, dim=1)
    taken = log_probabilities.gather(1, torch.tensor(rollout.actions.reshape(-1, 1)))[:, 0]
    entropy = -(log_probabilities * log_probabilities.exp()).sum(1)
    loss = (
        -taken * torch.tensor(advantages)
        + settings.value_weight * (values - torch.tensor(returns)) ** 2
        - settings.entropy_weight * entropy
    )
    return (loss * torch.tensor(counted, dtype=torch.float32)).sum() / counted.sum()


@pytest.mark.parametrize("hidden", [[64, 64], [25, 50, 25], [128]])
@pytest.mark.parametrize("entropy_weight", [0.0, 0.1])
def test_nstep_gradient_is_that_of_automatic_differentiation(hidden, entropy_weight):
    settings, flat, actor = fresh(
        "nstep", 3, hidden=hidden, entropy_weight=entropy_weight, max_gradient_norm=1e9, rollout_steps=40
    )
    rollout = actor.collect()
    assert not rollout.counted.all(), "the rollout should contain resets"
    gradient = np.empty_like(flat)
    statistics = actor.learn(rollout, gradient)

    tensors = as_torch(settings.layout(CARTPOLE), flat)
    learned_from = (actor._workspace.advantages, actor._workspace.returns, rollout.counted)
    nstep_reference(tensors, rollout, *(array.reshape(-1) for array in learned_from), settings).backward()
    assert_close(gradient, flat_gradient(tensors))
    assert statistics.gradient_norm == pytest.approx(np.linalg.norm(flat_gradient(tensors)), rel=1e-4)


def test_a_rollout_learned_in_parts_has_the_same_gradient(monkeypatch):
    _, flat, actor = fresh("nstep")
    whole, parts = np.empty_like(flat), np.empty_like(flat)
    actor.learn(actor.collect(), whole)
    monkeypatch.setattr(blocks, "PART_ROWS", 7)
    _, _, other = fresh("nstep")
    assert len(other._workspace.parts) == 3
    other.learn(other.collect(), parts)
    assert_close(parts, whole)


def oracle_model(layout, flat):
    model = textbook.ActorCritic()
    # torch has weights as (outputs, inputs).
    model.load_state_dict({name: torch.tensor(tensor.T) for name, tensor in layout.tensors(flat).items()})
    return model


def oracle_gradient(model, rollout):
    """The textbook's own loss on the trajectory, by automatic differentiation."""
    episode = textbook.Episode([], [], [])
    for step in range(rollout.env_steps):
        log_probabilities, value = model(torch.from_numpy(rollout.observations[step]))
        episode.log_probabilities.append(log_probabilities[rollout.actions[step]])
        episode.values.append(value)
        last = step == rollout.env_steps - 1
        episode.rewards.append(textbook.FAILURE_REWARD if last and rollout.terminated else textbook.STEP_REWARD)
    textbook.loss(episode).backward()
    return np.concatenate([tensor.grad.numpy().T.reshape(-1) for tensor in model.parameters()])


@pytest.mark.parametrize("length", [1, 20, 500])
@pytest.mark.parametrize("terminated", [True, False])
def test_episodic_gives_the_oracles_gradient(length, terminated):
    settings, flat, actor = fresh("episodic", 5)
    layout = settings.layout(CARTPOLE)
    generator = np.random.default_rng(length)
    room = EpisodeRoom.allocate(length + 3, settings.architecture(CARTPOLE), settings.distribution(CARTPOLE))
    room.rows.observations[:] = generator.normal(scale=0.5, size=(length + 3, 4))
    room.actions[:], room.rewards[:] = generator.integers(2, size=length + 3), 1
    rollout = Episode(room, length, terminated)
    model = oracle_model(layout, flat)
    assert list(dict(model.named_parameters())) == list(layout.shapes)
    gradient = np.empty_like(flat)
    actor.learn(rollout, gradient)
    assert_close(gradient, oracle_gradient(model, rollout))


def test_termination_and_truncation_differ_in_episodic():
    _, _, actor = fresh("episodic")
    rollout = actor.collect()
    cut = Episode(rollout.room, rollout.env_steps, terminated=False)
    assert actor.rewards(rollout)[-1] == -10
    assert actor.rewards(cut)[-1] == 1


def test_episodic_can_learn_from_the_environments_own_rewards():
    _, _, actor = fresh("episodic", reward="env")
    rollout = actor.collect()
    assert actor.rewards(rollout).tolist() == [1.0] * rollout.env_steps


def test_a_whole_episode_acts_as_the_oracle_would():
    """The policy that acts is the policy that learns: the oracle finds the same log-probabilities on the way."""
    settings, flat, actor = fresh("episodic")
    observations = actor.collect().observations
    theirs = oracle_model(settings.layout(CARTPOLE), flat)(torch.from_numpy(observations))[0].detach().numpy()
    rows = settings.architecture(CARTPOLE).rows(1)
    ours = []
    for observation in observations:
        rows.observations[0] = observation
        actor._network.forward(rows, 0, 1, values=False)
        ours.append(rows.outputs[0].copy())
    np.testing.assert_allclose(functional.log_softmax(torch.tensor(np.array(ours)), 1), theirs, atol=1e-6)
