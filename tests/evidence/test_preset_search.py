import csv
from pathlib import Path

from conftest import small_config

from a3c_bench.config import Config
from a3c_bench.environments.make import describe
from a3c_bench.evidence import preset_search as search
from a3c_bench.evidence.speed.search import FIRST_SEED
from a3c_bench.training.worker import Job

TINY = {"actors": 2, "envs": 2, "total_steps": 400}


def tiny(**changes) -> Config:
    return small_config(algorithms=["ppo"], ppo={**TINY, **changes})


def test_the_first_candidate_is_the_preset_and_none_contradicts_itself():
    config = tiny()
    first, *others = search.draw(config, 20)
    current = config.algorithm("ppo").model_dump(mode="json")
    assert first.values.items() <= current.items() and len(others) == 19
    assert all(one.values["envs"] * one.values["rollout_steps"] % one.values["minibatches"] == 0 for one in others)
    assert [one.values for one in search.draw(config, 20)] == [first.values, *(one.values for one in others)]


def test_no_cell_is_searched_on(monkeypatch):
    assert max(range(10)) < FIRST_SEED


def test_the_higher_return_is_better():
    low, high = search.Candidate({}, [-200.0]), search.Candidate({}, [-90.0, -100.0])
    assert high.score < low.score


def test_a_return_is_that_of_the_whole_training_and_of_nothing_else():
    job = Job(tiny(), "ppo", FIRST_SEED, describe("CartPole-v1"))
    assert search.final_return(job) == search.final_return(job)
    longer = Job(tiny(total_steps=4_000), "ppo", FIRST_SEED, describe("CartPole-v1"))
    assert search.final_return(longer) != search.final_return(job)


def test_a_small_search_writes_the_best_first(workspace, monkeypatch):
    monkeypatch.setattr(search, "RANGES", {"learning_rate": (0.0001, 0.01), "gamma": (0.9, 0.99)})
    monkeypatch.setattr(search, "EPISODES", 2)
    monkeypatch.setattr(search, "rungs", lambda count: (search.Rung(count, 1), search.Rung(2, 2)))
    search.run(tiny(), 3)
    rows = list(csv.DictReader(Path("search/ppo.csv").read_text().splitlines()))
    assert [row["seeds"] for row in rows] == ["2", "2"]
    assert float(rows[0]["mean"]) >= float(rows[1]["mean"])
