"""The promise: under `ordered`, workers change speed and nothing else."""

import numpy as np
import pytest
from conftest import small_config

from a3c_bench.environments.make import describe
from a3c_bench.evidence.reproducibility import trial
from a3c_bench.learning.optimizer import Adam
from a3c_bench.training import pool
from a3c_bench.training.exchange.memory import TURN
from a3c_bench.training.reporter import EPISODE, place_episodes

ALGORITHMS = ("nstep", "episodic", "ppo")


BUDGETS = {
    "nstep": {"total_steps": 20 * 12 * 20},
    "episodic": {"episodes": 20},
    "ppo": {"total_steps": 5 * 12 * 40},
}
"""Twenty updates of twelve actors."""


def fingerprint(outcome):
    return trial.fingerprint(outcome, evaluations=[])


@pytest.fixture(scope="module", params=ALGORITHMS)
def reference(request):
    config = small_config(workers=1)
    outcome = pool.train(config, request.param, 0)
    assert config.algorithm(request.param).updates >= 80
    return request.param, fingerprint(outcome), outcome


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 7])
def test_any_number_of_workers_computes_the_same_bits(reference, workers):
    algorithm, expected, _ = reference
    assert fingerprint(pool.train(small_config(workers=workers), algorithm, 0)) == expected


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_more_than_nine_workers_compute_the_same_bits(algorithm):
    small = {name: {"actors": 12, **changes} for name, changes in BUDGETS.items()}
    one, twelve = (pool.train(small_config(workers=count, **small), algorithm, 0) for count in (1, 12))
    assert twelve.exit_codes == [0] * 12
    assert fingerprint(twelve) == fingerprint(one)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_compute_the_same_bits(threads):
    # More than one block of rows, so that there is something for the threads to share.
    large = {"nstep": {"envs": 128, "rollout_steps": 20, "total_steps": 3 * 8 * 2560}}
    expected = fingerprint(pool.train(small_config(**large, threads=1), "nstep", 0))
    assert fingerprint(pool.train(small_config(**large, threads=threads), "nstep", 0)) == expected


@pytest.mark.parametrize(
    "changes", [{"adam_statistics": "own"}, {"normalize_advantages": True, "entropy_weight": 0.01}]
)
def test_the_algorithms_options_keep_the_promise(changes):
    one, three = (fingerprint(pool.train(small_config(workers=count, nstep=changes), "nstep", 1)) for count in (1, 3))
    assert one == three


def test_another_seed_and_another_learning_rate_give_other_bits(reference):
    algorithm, expected, _ = reference
    assert fingerprint(pool.train(small_config(), algorithm, 1)) != expected
    falling = {} if algorithm == "episodic" else {"final_learning_rate": 0.0}
    changed = {algorithm: {"learning_rate": 1.1e-4, **falling}}
    assert fingerprint(pool.train(small_config(**changed), algorithm, 0)) != expected


def by_definition(config, algorithm, seed):
    """The `ordered` schedule as DESIGN's definition says it, in one process, with every model version kept.

    Actor i computes its update u on version 0 for u = 0, else on version (u − 1) · A + i + 1.
    """
    settings, environment = config.algorithm(algorithm), describe(config.env)
    versions = [settings.initial_parameters(environment, seed)]
    snapshots = np.tile(versions[0], (settings.actors, 1))
    # Each has buffers of its own.
    makers = [settings.actor_maker(environment, seed) for _ in snapshots]
    actors = [make(index, snapshots[index]) for index, make in enumerate(makers)]
    sets = settings.actors if settings.adam_statistics == "own" else 1
    adams = [Adam.fresh(versions[0].size) for _ in range(sets)]
    gradient = np.empty_like(versions[0])
    for update in range(settings.updates):
        for index, actor in enumerate(actors):
            snapshots[index] = versions[0 if update == 0 else (update - 1) * settings.actors + index + 1]
            actor.learn(actor.collect(), gradient)
            model = versions[-1].copy()
            adams[index % sets].apply(model, gradient, settings.learning_rate_of(update))
            versions.append(model)
    return versions


def test_ordered_is_what_its_definition_says(reference):
    algorithm, _, outcome = reference
    versions = by_definition(small_config(), algorithm, 0)
    assert np.array_equal(outcome.parameters, versions[-1])
    assert len(outcome.digests) == 20
    for version, parameters in outcome.digests.items():
        assert np.array_equal(parameters, versions[version])


def test_turns_come_in_their_order(reference):
    _, _, outcome = reference
    actors = outcome.turns["actor"].max() + 1
    turns = np.arange(len(outcome.turns))
    assert np.array_equal(outcome.turns["actor"], turns % actors)
    assert np.array_equal(outcome.turns["update"], turns // actors)
    assert (np.diff(outcome.turns["time"]) > 0).all()


def test_digests_are_evenly_spaced_and_end_with_the_model(reference):
    _, _, outcome = reference
    versions = list(outcome.digests)
    assert versions[-1] == len(outcome.turns)
    assert max(np.diff([0, *versions])) - min(np.diff([0, *versions])) <= 1
    assert np.array_equal(outcome.digests[versions[-1]], outcome.parameters)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_hogwild_does_the_same_work_in_any_order(algorithm):
    config = small_config(schedule="hogwild", workers=3)
    outcome = pool.train(config, algorithm, 0)
    settings = config.algorithm(algorithm)
    pairs = {(turn["actor"], turn["update"]) for turn in outcome.turns}
    assert len(pairs) == settings.turns
    assert np.isfinite(outcome.parameters).all()
    assert outcome.exit_codes == [0, 0, 0]


def test_hogwild_learns():
    config = small_config(schedule="hogwild", workers=2, nstep={"envs": 16, "total_steps": 200_000})
    returns = pool.train(config, "nstep", 0).episodes["return"]
    assert returns[:100].mean() < 30
    # It comes to 300 and more.
    assert returns[-100:].mean() > 100


def test_hogwild_with_one_worker_takes_the_turns_of_ordered(reference):
    """One worker alone has no race: its actors take turns in order, on the same snapshots."""
    algorithm, expected, _ = reference
    assert fingerprint(pool.train(small_config(schedule="hogwild", workers=1), algorithm, 0)) == expected


def test_workers_without_an_actor_are_not_started():
    outcome = pool.train(small_config(workers=9, nstep={"total_steps": 800}), "nstep", 0)
    assert outcome.exit_codes == [0] * 8


def test_episodes_are_placed_by_their_turn():
    turns = np.zeros(4, TURN)
    # Two actors; under hogwild actor 1 was first.
    turns["actor"], turns["update"], turns["env_steps"] = [1, 0, 1, 0], [0, 0, 1, 1], [10, 20, 30, 40]
    episodes = np.zeros(3, EPISODE)
    episodes["actor"], episodes["rollout"], episodes["offset"] = [0, 0, 1], [0, 1, 0], [5, 7, 9]
    order, env_steps = place_episodes(turns, episodes, 2)
    assert order.tolist() == [2, 0, 1]
    assert env_steps.tolist() == [9, 10 + 5, 60 + 7]


def test_episodes_are_placed_by_the_first_turn_of_their_rollout():
    turns = np.zeros(6, TURN)
    # Two actors, three updates of each rollout.
    turns["actor"], turns["update"], turns["env_steps"] = [0, 1] * 3, [0, 0, 1, 1, 2, 2], [10, 20, 0, 0, 0, 0]
    later = turns.copy()
    later["update"] += 3
    episodes = np.zeros(3, EPISODE)
    episodes["actor"], episodes["rollout"], episodes["offset"] = [1, 0, 0], [1, 1, 0], [5, 7, 9]
    order, env_steps = place_episodes(np.concatenate([turns, later]), episodes, 2, updates_per_rollout=3)
    assert order.tolist() == [2, 1, 0]
    assert env_steps.tolist() == [9, 30 + 7, 40 + 5]
