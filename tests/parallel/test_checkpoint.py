"""A training that goes on from a checkpoint ends with the bits of one that nothing disturbed."""

import numpy as np
import pytest
from conftest import small_config

from a3c_bench.environments.make import describe
from a3c_bench.evidence.reproducibility.trial import fingerprint
from a3c_bench.training import pool

ALGORITHMS = ("nstep", "episodic")


def trained(config, algorithm, **options):
    return pool.train(config, algorithm, 0, environment=describe(config.env), **options)


@pytest.fixture(scope="module", params=ALGORITHMS)
def undisturbed(request):
    """An algorithm, its outcome, and the checkpoints that were taken on the way."""
    checkpoints = []
    config = small_config(checkpoint={"seconds": 0.01}, **LONGER)
    outcome = trained(config, request.param, keep=checkpoints.append)
    return request.param, outcome, checkpoints


LONGER = {"nstep": {"total_steps": 100_000}, "episodic": {"episodes": 200}}


def test_checkpoints_lie_between_rollouts_of_all_actors(undisturbed):
    algorithm, outcome, checkpoints = undisturbed
    assert len(checkpoints) >= 2
    actors = small_config().algorithm(algorithm).actors
    for checkpoint in checkpoints:
        assert checkpoint.turn == checkpoint.rollouts * actors
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
    config = small_config(schedule="hogwild", checkpoint={"seconds": 0.01}, **LONGER)
    checkpoints = []
    outcome = trained(config, algorithm, keep=checkpoints.append)
    resumed = trained(config, algorithm, start=checkpoints[0])
    for turns in (outcome.turns, resumed.turns):
        settings = config.algorithm(algorithm)
        done = {(int(row["actor"]), int(row["rollout"])) for row in turns}
        assert len(done) == settings.actors * settings.rollouts
    # Nothing is told twice.
    told = resumed.episodes[["actor", "rollout", "offset"]]
    assert algorithm == "nstep" or len(np.unique(told)) == len(told)


def test_without_packed_environments_there_are_no_checkpoints(capfd):
    config = small_config(env="Acrobot-v1", checkpoint={"seconds": 0.01}, nstep={"total_steps": 4_000})
    checkpoints = []
    trained(config, "nstep", keep=checkpoints.append)
    assert not checkpoints
    assert capfd.readouterr().err.count("Acrobot-v1: no checkpoints: its state cannot be packed") == 1
