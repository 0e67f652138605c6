"""The promise on environments of every kind of space: the same bits with any workers, and from any checkpoint."""

import re

import numpy as np
import pytest
from conftest import small_config

from a3c_bench.environments.make import describe
from a3c_bench.environments.packing import Packing
from a3c_bench.errors import TrainingError
from a3c_bench.evaluation import evaluate
from a3c_bench.evidence.reproducibility.trial import fingerprint
from a3c_bench.training import pool
from a3c_bench.training.alone import turns
from a3c_bench.training.worker import Job

ENVIRONMENTS: dict[str, tuple[dict, Packing]] = {
    "Pendulum-v1": ({}, "pickled"),
    "MountainCarContinuous-v0": ({"max_episode_steps": 60}, "pickled"),
    "FrozenLake-v1": ({}, "pickled"),
    "Blackjack-v1": ({"max_episode_steps": 50}, "pickled"),
    "Taxi-v4": ({}, "pickled"),
    "CliffWalking-v1": ({"max_episode_steps": 60}, "pickled"),
    "LunarLanderContinuous-v3": ({}, "replayed"),
    "odd_environments:Mixed-v0": ({}, "pickled"),
    "odd_environments:Pixels-v0": ({"wrappers": ["odd_environments:Halved"]}, "pickled"),
}
OFTEN = {"Pendulum-v1", "FrozenLake-v1", "odd_environments:Mixed-v0"}
"""Tried in every run; the others with the slow tests."""
SMALL = {
    "checkpoint": {"seconds": 0.01},
    "nstep": {"total_steps": 3_200, "hidden": [16]},
    "episodic": {"episodes": 4, "reward": "env"},
}


def config_of(env, **changes):
    return small_config(env=env, **ENVIRONMENTS[env][0], **SMALL, **changes)


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=() if name in OFTEN else pytest.mark.slow) for name in ENVIRONMENTS],
)
def env(request):
    return request.param


@pytest.mark.parametrize("algorithm", ["nstep", "episodic"])
def test_workers_and_checkpoints_do_not_change_the_bits(env, algorithm):
    checkpoints = []
    config = config_of(env, workers=1)
    environment = describe(config.recipe)
    outcome = pool.train(config, algorithm, 0, environment=environment, keep=checkpoints.append)
    expected = fingerprint(outcome, [])
    for workers in (2, 5):
        changed = config_of(env, workers=workers)
        assert fingerprint(pool.train(changed, algorithm, 0, environment=environment), []) == expected
    assert checkpoints
    for start in {id(one): one for one in (checkpoints[0], checkpoints[-1])}.values():
        resumed = pool.train(config_of(env, workers=3), algorithm, 0, environment=environment, start=start)
        assert fingerprint(resumed, []) == expected, f"from turn {start.turn}"
    *_, last = turns(Job(config, algorithm, 0, environment))
    assert np.array_equal(last.model, outcome.parameters)
    assert np.isfinite(outcome.parameters).all()


def test_how_it_is_packed(env):
    environment = describe(config_of(env).recipe).with_packing()
    assert (environment.packing, environment.vector_packing) == (ENVIRONMENTS[env][1],) * 2
    assert not environment.warnings


@pytest.mark.parametrize("sampled", [False, True])
def test_it_can_be_evaluated(env, sampled):
    config = config_of(env)
    environment, settings = describe(config.recipe), config.algorithm("nstep")
    policy = settings.policy(environment, settings.initial_parameters(environment, 0))
    played = [evaluate(policy, environment, 3, 0, sampled) for _ in range(2)]
    assert np.array_equal(played[0].returns, played[1].returns)
    assert (played[0].lengths > 0).all() and (played[0].lengths <= environment.max_episode_steps).all()


@pytest.mark.parametrize("algorithm", ["nstep", "episodic"])
def test_the_deviation_is_learned_and_depends_on_no_observation(algorithm):
    config = config_of("Pendulum-v1")
    environment, settings = describe(config.recipe), config.algorithm(algorithm)
    outcome = pool.train(config, algorithm, 0, environment=environment)
    actor = {
        name: settings.layout(environment).tensors(outcome.parameters)[f"actor.{name}"] for name in ("weight", "bias")
    }
    assert actor["weight"].shape[1] == actor["bias"].size == 2
    assert actor["weight"][:, 0].all() and not actor["weight"][:, 1].any()
    assert actor["bias"][1] != 0


def test_a_policy_of_numbers_learns():
    """To answer with the number that it sees; the deviation, 1 at first, costs most of what is lost."""
    learning = {
        "envs": 16,
        "rollout_steps": 10,
        "total_steps": 200_000,
        "learning_rate": 1e-2,
        "gamma": 0.0,
        "entropy_weight": 0.0,
        "hidden": [32],
    }
    config = small_config(env="odd_environments:Echo-v0", nstep=learning)
    returns = pool.train(config, "nstep", 0).episodes["return"]
    assert returns[:100].mean() < -15
    assert returns[-100:].mean() > -8


@pytest.mark.parametrize("network", [{"hidden": [16]}, {"network": "examples.networks.dense:Dense", "hidden": None}])
def test_a_policy_of_numbers_begins_with_the_deviation_that_it_is_given(network):
    config = small_config(env="Pendulum-v1", nstep={"initial_log_deviation": -1.5, **network})
    settings, environment = config.algorithm("nstep"), describe("Pendulum-v1")
    policy = settings.policy(environment, settings.initial_parameters(environment, 0))
    assert (policy.outputs(np.ones((2, 3), np.float32))[:, 1] == -1.5).all()


IN_TRAINING = r"worker \d failed: odd_environments:Late-v0"
WHERE = r"actor \d in its update \d+, [\d,]+ env steps into training: "


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["nstep", "episodic"])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("outside", rf"{IN_TRAINING}, {WHERE}ValueError: the observation 4 lies outside its space Discrete\(4\)$"),
        ("raises", rf"{IN_TRAINING}, {WHERE}ValueError: bad worse$"),
        ("nan", rf"{IN_TRAINING}: the loss of actor \d is not finite in its update \d+, "),
        ("infinite", rf"{IN_TRAINING}: the loss of actor \d is not finite in its update \d+, "),
    ],
)
def test_what_goes_wrong_late_names_environment_actor_and_step(wrong, message, algorithm):
    config = small_config(
        env="odd_environments:Late-v0",
        env_kwargs={"wrong": wrong},
        nstep={"total_steps": 100_000},
        episodic={"episodes": 100, "reward": "env"},
    )
    with pytest.raises(TrainingError) as caught:
        pool.train(config, algorithm, 0)
    assert re.search(message, caught.value.args[0])
