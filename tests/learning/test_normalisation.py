"""Running moments: against plain definitions, in a training, and in what is made of a model."""

import numpy as np
import pytest
from conftest import small_config
from hypothesis import given, settings
from hypothesis import strategies as st

from a3c_bench.environments.make import describe
from a3c_bench.evidence.reproducibility import trial
from a3c_bench.kernels.library import call
from a3c_bench.learning.normalisation import Normalisation
from a3c_bench.learning.optimizer import Adam
from a3c_bench.training import alone, pool
from a3c_bench.training.worker import Job

ON = {"normalize_observations": True, "normalize_rewards": True}
SMALL = {"nstep": {"actors": 5, "envs": 3, **ON}, "ppo": {"actors": 5, "envs": 4, **ON}}
PENDULUM = small_config(env="Pendulum-v1", **SMALL)
ENVIRONMENT = describe("Pendulum-v1")


def moments_by_numpy(numbers):
    """The moments of (rows, columns), in float64."""
    numbers = numbers.astype(np.float64)
    return np.concatenate([[len(numbers)], numbers.mean(axis=0), numbers.var(axis=0)])


def moments_of(numbers):
    moments = np.zeros(1 + 2 * numbers.shape[1], np.float32)
    call("moments_of", numbers.shape[1], numbers, moments, len(numbers))
    return moments


@settings(deadline=None)
@given(
    rows=st.lists(st.integers(0, 40), min_size=1, max_size=6),
    columns=st.sampled_from([1, 3, 16, 17, 40]),
    seed=st.integers(0, 2**32 - 1),
)
def test_merged_moments_are_those_of_everything(rows, columns, seed):
    generator = np.random.default_rng(seed)
    parts = [(generator.normal(size=(count, columns)) * 3 + 5).astype(np.float32) for count in rows]
    merged = Normalisation(columns).initial()
    for part in parts:
        Normalisation(columns).merge(merged, moments_of(part))
    everything = np.concatenate(parts)
    expected = moments_by_numpy(everything) if len(everything) else Normalisation(columns).initial()
    np.testing.assert_allclose(merged, expected, rtol=1e-4, atol=1e-5)


def test_scaling_is_by_mean_and_deviation_within_ten():
    generator = np.random.default_rng(0)
    moments = np.concatenate([[9], generator.normal(size=20), generator.random(20)]).astype(np.float32)
    numbers = (generator.normal(size=(7, 20)) * 20).astype(np.float32)
    scaled = np.zeros_like(numbers)
    call("scale_observations", 20, moments, numbers, scaled, 2, 6)
    expected = np.clip((numbers - moments[1:21]) / np.sqrt(moments[21:] + 1e-8), -10, 10)
    np.testing.assert_allclose(scaled[2:6], expected[2:6], rtol=1e-5)
    assert not scaled[:2].any() and not scaled[6:].any()
    rewards = np.zeros(7, np.float32)
    call("scale_rewards", 7, np.array([4, 3, 16], np.float32), numbers[:, 0].copy(), rewards)
    np.testing.assert_allclose(rewards, np.clip(numbers[:, 0] / 4, -10, 10), rtol=1e-5)


def test_returns_so_far_are_carried_over_rollouts_and_begin_again_with_an_episode():
    rewards = np.array([[1, 10], [2, 20], [3, 30]], np.float32)
    terminated, truncated = np.zeros((3, 2), np.bool_), np.zeros((3, 2), np.bool_)
    terminated[0, 0] = truncated[2, 1] = True
    counted = np.ones((3, 2), np.bool_)
    counted[1, 0] = False  # the step after the end only resets
    carried, returns = np.array([4.0, 8.0]), np.zeros(6, np.float32)
    number = call("returns_so_far", 3, 2, rewards, terminated, truncated, counted, 0.5, returns, carried)
    assert returns[:number].tolist() == [3, 14, 27, 3, 43.5]
    assert carried.tolist() == [3, 0]


def test_before_anything_was_seen_scaling_changes_nothing():
    observations = np.linspace(-9, 9, 12, dtype=np.float32).reshape(4, 3)
    scaled = observations.copy()
    normalisation = Normalisation(3, True)
    normalisation.scale(normalisation.initial(), scaled)
    np.testing.assert_allclose(scaled, observations, rtol=1e-6)


@pytest.mark.parametrize("algorithm", ["nstep", "ppo"])
def test_workers_and_a_restart_keep_the_bits(algorithm):
    expected, checkpoints = pool.train(PENDULUM.changed(workers=1), algorithm, 0), []
    *_, last = alone.turns(Job(PENDULUM, algorithm, 0, ENVIRONMENT))
    assert np.array_equal(last.model, expected.parameters)
    for workers in (2, 5):
        config = PENDULUM.changed(workers=workers, checkpoint={"seconds": 0.01})
        outcome = pool.train(config, algorithm, 0, keep=checkpoints.append)
        assert trial.fingerprint(outcome, []) == trial.fingerprint(expected, [])
    assert checkpoints
    resumed = pool.train(PENDULUM.changed(workers=3), algorithm, 0, start=checkpoints[len(checkpoints) // 2])
    assert trial.fingerprint(resumed, []) == trial.fingerprint(expected, [])


@pytest.mark.parametrize("algorithm", ["nstep", "ppo"])
def test_the_models_moments_are_those_of_all_that_was_collected(algorithm):
    section = PENDULUM.algorithm(algorithm)
    normalisation, layout = section.normalisation(ENVIRONMENT), section.layout(ENVIRONMENT)
    model = section.initial_parameters(ENVIRONMENT, 0)
    snapshot, handed_in = model.copy(), np.empty_like(model)
    actor, adam = section.actor_maker(ENVIRONMENT, 0)(0, snapshot), Adam.fresh(model.size - normalisation.size)
    seen, returns, running, steps = [], [], np.zeros(section.envs), 0
    for update in range(6 * section.updates_per_rollout):
        rollout = actor.collect()
        if update % section.updates_per_rollout == 0:
            block = actor._workspace.block
            known = layout.tensors(snapshot)
            deviation = np.sqrt(known["observations.variance"] + 1e-8)
            scaled = np.clip((block.observations - known["observations.mean"]) / deviation, -10, 10)
            np.testing.assert_allclose(block.rows.observations.reshape(scaled.shape), scaled, rtol=1e-4, atol=1e-5)
            assert block.counted.all()
            seen.append(block.observations[:-1].reshape(-1, 3).copy())
            for rewards, over in zip(block.rewards, block.over, strict=True):
                running = rewards + section.gamma * running
                returns.append(running.copy())
                running[over] = 0
            steps += block.counted.size
        actor.update(rollout, handed_in)
        adam.apply(model, handed_in, 1e-3)
        normalisation.merge(model, handed_in)
        np.copyto(snapshot, model)
    tensors = layout.tensors(model)
    assert tensors["observations.count"] == tensors["returns.count"] == steps
    found = np.concatenate([tensors[f"observations.{name}"] for name in ("count", "mean", "variance")])
    np.testing.assert_allclose(found, moments_by_numpy(np.concatenate(seen)), rtol=1e-3, atol=1e-4)
    expected = moments_by_numpy(np.concatenate(returns)[:, None])
    np.testing.assert_allclose([tensors["returns.mean"][0], tensors["returns.variance"][0]], expected[1:], rtol=1e-3)


def test_rewards_are_learned_from_as_scaled_and_told_as_they_were():
    section = PENDULUM.algorithm("nstep")
    snapshot = section.initial_parameters(ENVIRONMENT, 0)
    section.layout(ENVIRONMENT).tensors(snapshot)["returns.variance"][:] = 25
    actor = section.actor_maker(ENVIRONMENT, 0)(0, snapshot)
    block = actor.collect()
    np.testing.assert_allclose(block.learned_rewards, np.clip(block.rewards / 5, -10, 10), rtol=1e-5)
    plain = without_normalisation(section).actor_maker(ENVIRONMENT, 0)
    other = plain(0, snapshot[: snapshot.size - section.normalisation(ENVIRONMENT).size]).collect()
    assert np.array_equal(other.rewards[0], block.rewards[0])
    assert other.learned_rewards is other.rewards


def without_normalisation(section):
    return section.changed(normalize_observations=False, normalize_rewards=False)


def test_a_policy_scales_what_it_sees_by_the_models_moments():
    section = PENDULUM.algorithm("nstep")
    model = section.initial_parameters(ENVIRONMENT, 0)
    tensors = section.layout(ENVIRONMENT).tensors(model)
    tensors["observations.mean"][:], tensors["observations.variance"][:] = (1, 2, 3), (4, 9, 16)
    observations = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    found = section.policy(ENVIRONMENT, model).outputs(observations).copy()
    plain = without_normalisation(section)
    parameters = model[: model.size - section.normalisation(ENVIRONMENT).size]
    by_hand = ((observations - tensors["observations.mean"]) / np.array([2, 3, 4])).astype(np.float32)
    np.testing.assert_allclose(found, plain.policy(ENVIRONMENT, parameters).outputs(by_hand), rtol=1e-5, atol=1e-7)
    assert observations[0, 0] == np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)[0, 0]
