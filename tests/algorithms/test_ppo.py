"""PPO: its loss against automatic differentiation, and its updates against a plain PPO in torch."""

import numpy as np
import pytest
import torch
from conftest import ROOT, small_config
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from a3c_bench.algorithms.ppo import ClippedLoss
from a3c_bench.config import load_config
from a3c_bench.distributions.categorical import Categorical
from a3c_bench.environments.make import describe
from a3c_bench.evaluation import evaluate
from a3c_bench.learning.minibatches import Experience
from a3c_bench.learning.optimizer import Adam
from a3c_bench.seeding import Role, stream
from a3c_bench.training import pool

CARTPOLE = describe("CartPole-v1")


SECTION = small_config().algorithm("ppo")


def clipped_loss(log_probabilities, entropies, values, minibatch, section):
    """PPO's loss, in torch; `minibatch`: an `Experience` of tensors."""
    ratio = (log_probabilities - minibatch.log_probabilities).exp()
    kept = ratio.clamp(1 - section.clip_range, 1 + section.clip_range)
    surrogate = torch.minimum(ratio * minibatch.advantages, kept * minibatch.advantages)
    errors = (values - minibatch.returns) ** 2
    loss = -surrogate + section.value_weight * errors - section.entropy_weight * entropies
    share = minibatch.counted / minibatch.counted.sum().clamp(min=1)
    return (loss * share).sum(), (-surrogate * share).sum(), (errors * share).sum(), (entropies * share).sum()


def made_up(rows, size, seed):
    """Outputs, values, and experience: ratios around 1, advantages of both signs, some rows that are not counted."""
    generator = np.random.default_rng(seed)
    outputs, values, returns, advantages = (
        generator.normal(size=shape).astype(np.float32) for shape in ((rows, size), rows, rows, rows)
    )
    actions, counted = generator.integers(size, size=rows), generator.random(rows) < 0.9
    taken = functional.log_softmax(torch.tensor(outputs), 1)[np.arange(rows), actions].numpy()
    old = (taken + generator.normal(scale=0.4, size=rows)).astype(np.float32)
    advantages[~counted] = 0
    return outputs, values, Experience(np.empty((rows, 0), np.float32), actions, old, advantages, returns, counted)


@settings(deadline=None)
@given(
    rows=st.integers(1, 70),
    size=st.integers(2, 7),
    clip_range=st.sampled_from([0.05, 0.2, 0.5]),
    entropy_weight=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_loss_has_the_gradient_of_automatic_differentiation(rows, size, clip_range, entropy_weight, seed):
    section = SECTION.changed(clip_range=clip_range, entropy_weight=entropy_weight)
    outputs, values, experience = made_up(rows, size, seed)
    loss = ClippedLoss(section, Categorical((size,)).taken(outputs, experience.actions), values, experience)
    by_outputs, by_values, losses = loss.differentiate()

    logits, critic = (torch.tensor(array.astype(np.float64), requires_grad=True) for array in (outputs, values))
    tensors = Experience(*(torch.tensor(array.astype(np.float64)) for array in experience))
    probable = functional.log_softmax(logits, 1)
    taken, entropies = probable[np.arange(rows), experience.actions], -(probable * probable.exp()).sum(1)
    # At the border itself rounding decides.
    ratio = (taken.detach() - tensors.log_probabilities).exp().numpy()
    assume(np.abs(np.abs(ratio - 1) - clip_range).min() > 1e-4)
    total, *expected = clipped_loss(taken, entropies, critic, tensors, section)
    total.backward()
    np.testing.assert_allclose(by_outputs, logits.grad.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(by_values, critic.grad.numpy(), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(losses, [value.item() for value in expected], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("advantage", [2.0, -2.0])
@pytest.mark.parametrize(("ratio", "clips"), [(0.5, -1), (0.9, None), (1.0, None), (1.1, None), (1.5, 1)])
def test_a_row_is_clipped_where_its_advantage_wants_more_of_the_same(advantage, ratio, clips):
    experience = made_up(1, 2, 0)[2]._replace(
        actions=np.zeros(1, np.int64),
        log_probabilities=np.full(1, np.log(0.5 / ratio), np.float32),
        advantages=np.full(1, advantage, np.float32),
        counted=np.ones(1, np.bool_),
    )
    outputs, values = np.zeros((1, 2), np.float32), experience.returns.copy()
    section, taken = (
        SECTION.changed(clip_range=0.2, entropy_weight=0.0),
        Categorical((2,)).taken(outputs, experience.actions),
    )
    by_outputs, _, losses = ClippedLoss(section, taken, values, experience).differentiate()
    clipped = clips is not None and clips * advantage > 0
    assert by_outputs[0, 0] == pytest.approx(0 if clipped else -0.5 * ratio * advantage, rel=1e-6)
    assert losses.policy_loss == pytest.approx(-advantage * ((1 + 0.2 * clips) if clipped else ratio), rel=1e-6)


class PlainPPO:
    """PPO with one actor, on rollouts that somebody else has collected: torch in float64, and loops."""

    def __init__(self, section, seed):
        self.section, self.orders = section, stream(seed, Role.TRAIN_MINIBATCH, 0)
        flat = section.initial_parameters(CARTPOLE, seed).astype(np.float64)
        self.tensors = {
            name: torch.tensor(tensor, requires_grad=True)
            for name, tensor in section.layout(CARTPOLE).tensors(flat).items()
        }
        self.adam = torch.optim.Adam(self.tensors.values())
        self.updates = 0

    def forward(self, observations):
        features = torch.tensor(observations.astype(np.float64))
        for index in range(len(self.section.hidden)):
            features = torch.tanh(self.layer(f"hidden.{index}", features))
        return functional.log_softmax(self.layer("actor", features), -1), self.layer("critic", features)[..., 0]

    def layer(self, name, features):
        return features @ self.tensors[f"{name}.weight"] + self.tensors[f"{name}.bias"]

    def begin(self, block):
        """Take a rollout over: advantages by GAE, and the probabilities of its actions."""
        with torch.no_grad():
            probable, values = self.forward(block.observations)
        steps, envs = block.counted.shape
        values, advantages = values.numpy(), np.zeros((steps, envs))
        for step, env in np.ndindex(steps, envs):
            factor = 1.0
            for at in range(step, steps):
                following = 0.0 if block.terminated[at, env] else self.section.gamma * values[at + 1, env]
                advantages[step, env] += factor * (block.rewards[at, env] + following - values[at, env])
                factor *= self.section.gamma * self.section.gae_lambda
                if block.over[at, env]:
                    break
        advantages[~block.counted] = 0
        old = probable[:-1].gather(-1, torch.tensor(block.actions)[..., None])[..., 0]
        self.experience = Experience(
            block.observations[:-1].reshape(steps * envs, -1).copy(),
            *(array.reshape(-1).copy() for array in (block.actions, old.numpy(), advantages)),
            *(array.reshape(-1).copy() for array in (advantages + values[:-1], block.counted)),
        )

    def rows_of_all_updates(self):
        """The rows of every minibatch of a rollout."""
        for _ in range(self.section.epochs):
            order = self.orders.permutation(self.section.rollout_rows)
            yield from np.split(order, self.section.minibatches)

    def update(self, rows):
        """One minibatch; gives what is recorded of it."""
        batch = Experience(*(array[rows] for array in self.experience))
        if self.section.normalize_advantages:
            counted = batch.advantages[batch.counted]
            batch.advantages[batch.counted] = (counted - counted.mean()) / counted.std()
        probable, values = self.forward(batch.observations)
        taken, entropies = probable[np.arange(len(rows)), batch.actions], -(probable * probable.exp()).sum(1)
        total, *losses = clipped_loss(taken, entropies, values, Experience(*map(torch.tensor, batch)), self.section)
        self.adam.zero_grad()
        total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.tensors.values(), self.section.max_gradient_norm)
        self.adam.param_groups[0]["lr"] = self.section.learning_rate_of(self.updates)
        self.adam.step()
        self.updates += 1
        return [*(loss.item() for loss in losses), norm.item()]

    @property
    def flat(self):
        return np.concatenate([tensor.detach().numpy().reshape(-1) for tensor in self.tensors.values()])


@pytest.mark.parametrize("normalised", [False, True])
def test_its_updates_are_those_of_a_plain_ppo(normalised):
    section = SECTION.changed(
        actors=1,
        rollout_steps=50,
        total_steps=600,
        epochs=3,
        minibatches=4,
        hidden=(16, 8),
        learning_rate=1e-2,
        final_learning_rate=1e-3,
        clip_range=0.02,
        entropy_weight=0.01,
        normalize_advantages=normalised,
    )
    plain, flat = PlainPPO(section, 3), section.initial_parameters(CARTPOLE, 3)
    actor, adam, gradient = section.actor_maker(CARTPOLE, 3)(0, flat), Adam.fresh(flat.size), np.empty_like(flat)
    kinds = set()
    for update in range(section.updates):
        minibatch = actor.collect()
        if update % section.updates_per_rollout == 0:
            block = actor._workspace.block
            assert not block.counted.all(), "the rollout should contain resets"
            plain.begin(block)
            rows = plain.rows_of_all_updates()
            assert minibatch.env_steps == np.count_nonzero(block.counted)
        else:
            assert minibatch.env_steps == 0
        statistics = actor.learn(minibatch, gradient)
        adam.apply(flat, gradient, section.learning_rate_of(update))
        expected = plain.update(next(rows))
        found = [*statistics.losses, statistics.gradient_norm]
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-5)
        np.testing.assert_allclose(flat, plain.flat, rtol=2e-3, atol=5e-5)
        kinds.add(bool(actor._workspace.loss._weights[minibatch.experience.counted].all()))
    assert kinds == {True, False}, "some minibatches have clipped rows, and some have none"


def test_threads_share_a_minibatch_of_several_parts():
    config = small_config(ppo={"envs": 128, "rollout_steps": 20, "minibatches": 1, "total_steps": 2 * 8 * 2560})
    assert config.algorithm("ppo").parts == 3
    one, three = (pool.train(config.changed(threads=threads), "ppo", 0).parameters for threads in (1, 3))
    assert np.array_equal(one, three)


def test_what_threads_share_has_parts_for_them():
    assert SECTION.with_work_for_threads().parts == 3


@pytest.mark.slow
def test_it_learns_cartpole():
    """With the project's params, on a seed that they were not found on."""
    config = load_config(ROOT / "params.yaml")
    policy = config.algorithm("ppo").policy(CARTPOLE, pool.train(config, "ppo", 210).parameters)
    assert evaluate(policy, CARTPOLE, 100, 210, sampled=False).returns.mean() >= 475
