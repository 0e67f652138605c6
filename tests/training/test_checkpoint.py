"""A training that goes on from a checkpoint ends with the bits of one that nothing disturbed."""

import random

import numpy as np
import pytest
from conftest import small_config

from a3c_bench.environments.make import describe
from a3c_bench.evidence.reproducibility.trial import fingerprint
from a3c_bench.training import pool

ALGORITHMS = ("nstep", "episodic", "ppo")


def trained(config, algorithm, **options):
    return pool.train(config, algorithm, 0, environment=describe(config.env), **options)


@pytest.fixture(scope="module", params=ALGORITHMS)
def undisturbed(request):
    """An algorithm, its outcome, and the checkpoints that were taken on the way."""
    checkpoints = []
    config = small_config(checkpoint={"seconds": 0.01}, **LONGER)
    outcome = trained(config, request.param, keep=checkpoints.append)
    return request.param, outcome, checkpoints


EPISODES = {"episodes": 400}
LONGER = {"nstep": {"total_steps": 60_000}, "episodic": EPISODES, "ppo": {"total_steps": 30_000}}


def test_checkpoints_lie_between_updates_of_all_actors(undisturbed):
    algorithm, outcome, checkpoints = undisturbed
    assert len(checkpoints) >= 2
    actors = small_config().algorithm(algorithm).actors
    for checkpoint in checkpoints:
        assert checkpoint.turn == checkpoint.updates * actors
        assert np.array_equal(checkpoint.turns, outcome.turns[: checkpoint.turn])
    turns = [checkpoint.turn for checkpoint in checkpoints]
    assert turns == sorted(set(turns))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_going_on_gives_the_same_bits_with_any_number_of_workers(undisturbed, workers):
    algorithm, outcome, checkpoints = undisturbed
    config = small_config(checkpoint={"seconds": 0.01}, workers=workers, **LONGER)
    for checkpoint in (checkpoints[0], checkpoints[len(checkpoints) // 2], checkpoints[-1]):
        resumed = trained(config, algorithm, start=checkpoint)
        assert fingerprint(resumed, []) == fingerprint(outcome, [])
        assert resumed.turns_before == checkpoint.turn


def test_a_training_goes_on_in_the_middle_of_a_rollout():
    """Where an actor has learned from some of the minibatches only, and in another order in every epoch."""
    config = small_config(checkpoint={"seconds": 0.01}, ppo={"total_steps": 12_000, "epochs": 3, "minibatches": 4})
    checkpoints = []
    outcome = trained(config, "ppo", keep=checkpoints.append)
    per_rollout = config.algorithm("ppo").updates_per_rollout
    places = {checkpoint.updates % per_rollout: checkpoint for checkpoint in checkpoints}
    places.pop(0, None)
    assert places
    for place, checkpoint in list(places.items())[:4]:
        resumed = trained(config.changed(workers=3), "ppo", start=checkpoint)
        assert fingerprint(resumed, []) == fingerprint(outcome, []), f"after {place} of {per_rollout} updates"


def test_checkpoints_of_a_training_that_went_on_are_whole_too(undisturbed):
    algorithm, outcome, checkpoints = undisturbed
    config = small_config(checkpoint={"seconds": 0.01}, **LONGER)
    start = checkpoints[0]
    for _ in range(3):
        found = []
        resumed = trained(config, algorithm, start=start, keep=found.append)
        assert fingerprint(resumed, []) == fingerprint(outcome, [])
        assert all(checkpoint.turn > start.turn for checkpoint in found)
        start = found[len(found) // 4]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_hogwild_goes_on_to_the_end(algorithm):
    # Eight environments: never do all episodes end at once.
    config = small_config(
        schedule="hogwild",
        checkpoint={"seconds": 0.01},
        nstep={"total_steps": 100_000, "envs": 8},
        episodic=EPISODES,
        ppo={"total_steps": 100_000, "envs": 8},
    )
    settings, checkpoints = config.algorithm(algorithm), []
    outcome = trained(config, algorithm, keep=checkpoints.append)
    resumed = [trained(config, algorithm, start=start) for start in (checkpoints[0], checkpoints[-1])]
    for run in (outcome, *resumed):
        done = {(int(row["actor"]), int(row["update"])) for row in run.turns}
        assert len(done) == len(run.turns) == settings.turns
        for actor in range(settings.actors):
            assert_every_episode_is_told_once(run, actor, settings)
    for checkpoint in checkpoints:
        assert (checkpoint.episodes["rollout"] * settings.updates_per_rollout < checkpoint.updates).all()
    told = checkpoints[-1].episodes.tolist()
    assert told and set(told) <= set(resumed[-1].episodes.tolist())


def assert_every_episode_is_told_once(outcome, actor, settings):
    """By the env steps of every rollout, which are counted apart: a step that only resets is none."""
    turns = np.sort(outcome.turns[outcome.turns["actor"] == actor], order="update")[:: settings.updates_per_rollout]
    episodes = outcome.episodes[outcome.episodes["actor"] == actor]
    at_its_end = episodes[episodes["offset"] == turns["env_steps"][episodes["rollout"]]]
    ended, ended_last = (np.bincount(found["rollout"], minlength=len(turns)) for found in (episodes, at_its_end))
    if settings.kind == "episodic":
        assert (ended == 1).all() and (ended_last == 1).all()
    else:
        # What ends in a rollout's last step is reset in the next rollout's first.
        resets = settings.envs * settings.rollout_steps - turns["env_steps"]
        assert np.array_equal(resets, ended - ended_last + np.array([0, *ended_last[:-1]]))


def test_without_packed_environments_there_are_no_checkpoints(capfd):
    name = "odd_environments:Unpackable-v0"
    runs, checkpoints = [], []
    for workers in (1, 2):
        config = small_config(env=name, workers=workers, checkpoint={"seconds": 0.01}, nstep={"total_steps": 4_000})
        runs.append(trained(config, "nstep", keep=checkpoints.append))
        assert capfd.readouterr().err.splitlines() == [f"a3c-bench: {name}: {pool.NO_CHECKPOINTS}"]
    assert not checkpoints
    assert fingerprint(runs[0], []) == fingerprint(runs[1], [])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_state_that_outgrows_its_room_ends_the_checkpoints_and_nothing_else(algorithm, capfd):
    name = "odd_environments:Growing-v0"
    longer = {
        "nstep": {"total_steps": 40_000},
        "episodic": {"episodes": 80, "reward": "env"},
        "ppo": {"total_steps": 40_000},
    }
    runs, checkpoints = [], []
    for workers, keep in ((1, None), (3, checkpoints.append)):
        config = small_config(env=name, workers=workers, checkpoint={"seconds": 0.01}, **longer)
        runs.append(trained(config, algorithm, keep=keep))
    assert capfd.readouterr().err.splitlines() == [f"a3c-bench: {name}: {pool.NO_CHECKPOINTS}"]
    assert fingerprint(runs[0], []) == fingerprint(runs[1], [])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("env", ["Acrobot-v1", "MountainCar-v0", "LunarLander-v3"])
def test_on_any_environment_a_training_goes_on_from_any_checkpoint(env, algorithm):
    small = {
        "env": env,
        "nstep": {"total_steps": 6_400},
        "episodic": {"episodes": 4, "reward": "env"},
        "ppo": {"total_steps": 6_400},
    }
    checkpoints = []
    outcome = trained(
        small_config(workers=2, checkpoint={"seconds": 0.01}, **small), algorithm, keep=checkpoints.append
    )
    start = random.SystemRandom().choice(checkpoints)
    resumed = trained(small_config(workers=3, **small), algorithm, start=start)
    assert fingerprint(resumed, []) == fingerprint(outcome, []), f"from turn {start.turn}"
