import csv
from dataclasses import replace

import numpy as np
from conftest import small_config

from a3c_bench.environments.make import describe
from a3c_bench.evidence.speed import search
from a3c_bench.seeding import Role, stream
from a3c_bench.stats import steps_to_threshold
from a3c_bench.training import pool
from a3c_bench.training.worker import Job

CARTPOLE = describe("CartPole-v1")


def test_steps_to_solve_end_with_the_turn_that_solves():
    config = small_config(nstep={"total_steps": 60_000, "learning_rate": 0.003})
    easy = replace(CARTPOLE, reward_threshold=30.0)
    outcome = pool.train(config, "nstep", 0)
    exact = steps_to_threshold(outcome.episode_env_steps, outcome.episodes["return"], 30.0)
    rounded = search.steps_to_solve(Job(config, "nstep", 0, easy))
    assert exact is not None and exact <= rounded < exact + 2 * 20
    never = replace(CARTPOLE, reward_threshold=501.0)
    assert search.steps_to_solve(Job(config, "nstep", 0, never)) == np.inf


def test_a_seed_that_is_lost_costs_more_than_a_slow_one():
    values = {"total_steps": 100}
    slow, lost = search.Candidate(values, 1.0, [100.0, 100.0]), search.Candidate(values, 1.0, [1.0, np.inf])
    assert slow.score < lost.score


def test_the_published_seeds_are_not_searched_on():
    assert max(small_config().seeds) + 100 < search.FIRST_SEED
    assert Role.SEARCH.value == 7, "the numbers of the roles are part of every result"
    assert stream(0, Role.SEARCH).random() != stream(0, Role.BOOTSTRAP).random()


def test_a_small_search_writes_the_best_first(workspace, monkeypatch):
    ranges = {"envs": (4, 8), "rollout_steps": (4, 5), "hidden": ([8],), "total_steps": (2_000,)}
    monkeypatch.setattr(search, "RANGES", ranges)
    monkeypatch.setattr(search, "ROW_TIMINGS", 3)
    monkeypatch.chdir(workspace)
    search.run(small_config(), [search.Rung(3, 1), search.Rung(2, 2)])
    rows = list(csv.DictReader(search.SEARCH.read_text().splitlines()))
    assert [row["seeds"] for row in rows] == ["2", "2"]
    assert float(rows[0]["mean_seconds"]) <= float(rows[1]["mean_seconds"])
