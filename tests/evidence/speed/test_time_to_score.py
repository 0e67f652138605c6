"""Time to score on other environments, on stand-ins, and what the systems are set up for."""

import math
import re
import sys
from dataclasses import replace

import pandas as pd
import pytest
from conftest import ROOT

from a3c_bench.errors import BadInputError
from a3c_bench.evidence.speed import time_to_score
from a3c_bench.evidence.speed.peers import REFERENCE, Peer
from a3c_bench.report.suite import TIME_TO_SCORE

STAND_IN = """
import json, sys, time
name, seed, deadline, _, environment = sys.argv[1:]
with open("trained", "a") as file:
    print(name, seed, file=file)
if name == "broken":
    sys.exit(1)
now, slow = time.monotonic(), name == "slow"
# It ends with 20 + the seed, and has been at 10 before; the other one rises to 20 only, but soon.
rises = [(now + 100, 50, 10.0), (now + 200, 90, 20.0 + int(seed))] if slow else [(now + 10, 70, 21.5)]
if name == "low":
    rises = [(now + 1, 5, 20.5)]
print(json.dumps({"solved_at": None, "steps_to_solve": None, "env_steps": 100, "rate": 3.0, "ended_at": now + 300,
    "last": rises[-1][2], "rises": rises, "sha256": environment, "versions": {"library": "1.0"}}))
"""


@pytest.fixture
def systems(workspace, monkeypatch):
    monkeypatch.setattr(time_to_score, "last_commit", lambda: "a commit")
    python = workspace / "environment" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (workspace / "peers").mkdir()
    for name in ("measured.py", "environment.lock"):
        (workspace / "peers" / name).write_text("")
    (workspace / "suite").mkdir()
    (workspace / "suite" / "params.yaml").write_text("")
    (workspace / "peers" / "one.py").write_text(STAND_IN)
    variants = ((time_to_score.OURS, "fast"), (REFERENCE, "slow"), ("a third", "low"))
    return [Peer(name, "environment", "one.py", variant, 3) for name, variant in variants]


def test_the_score_is_what_the_reference_ends_with(systems, workspace):
    time_to_score.run(["Acrobot-v1"], None, systems)
    table = pd.read_csv(TIME_TO_SCORE).set_index("peer")
    assert set(table["score"]) == {21.0}, "the median of 20, 21 and 22"
    assert table["reached"].to_dict() == {time_to_score.OURS: 3, REFERENCE: 2, "a third": 0}
    assert table.loc[time_to_score.OURS, "seconds_to_score"] == pytest.approx(10, abs=1)
    assert table.loc[REFERENCE, "seconds_to_score"] == pytest.approx(200, abs=1)
    assert table["steps_to_score"].dropna().to_dict() == {time_to_score.OURS: 70, REFERENCE: 90}
    assert table.loc[time_to_score.OURS, "times_as_fast"] == pytest.approx(20, rel=0.1)
    assert table.loc[time_to_score.OURS, "times_as_fast_low"] > 10
    assert math.isnan(table.loc[time_to_score.OURS, "times_as_fast_high"]), "a seed of the reference did not get there"
    assert table.loc["a third"].isna()[["seconds_to_score", "times_as_fast"]].all()
    assert len(pd.read_csv(time_to_score.RUNS)) == 9 and len(pd.read_csv(time_to_score.RISES)) == 3 * (1 + 2 + 1)


def test_only_what_is_missing_or_was_made_otherwise_is_trained(systems, workspace, monkeypatch):
    trained = workspace / "trained"
    time_to_score.run(["Acrobot-v1"], 1, systems)
    assert sorted(trained.read_text().splitlines()) == ["fast 0", "low 0", "slow 0"]
    time_to_score.run(["Acrobot-v1"], 1, systems)
    assert len(trained.read_text().splitlines()) == 3
    time_to_score.run(["Acrobot-v1", "Pendulum-v1"], 2, systems)
    assert len(trained.read_text().splitlines()) == 12 and len(pd.read_csv(time_to_score.RUNS)) == 12
    monkeypatch.setattr(time_to_score, "recipe", lambda peer, environment: peer.variant[0])
    time_to_score.run(["Pendulum-v1"], 2, systems)
    assert len(trained.read_text().splitlines()) == 18 and len(pd.read_csv(time_to_score.RUNS)) == 12


def test_a_training_that_failed_is_told_of_and_made_again(systems, workspace):
    broken = [replace(system, variant="broken") for system in systems]
    time_to_score.run(["Acrobot-v1"], 1, broken)
    assert pd.read_csv(TIME_TO_SCORE)["failed"].str.contains("one.py broken 0").all()
    assert pd.read_csv(time_to_score.RUNS)["seconds"].isna().all() and pd.read_csv(time_to_score.RISES).empty
    time_to_score.run(["Acrobot-v1"], 1, systems)
    assert pd.read_csv(time_to_score.RUNS)["failed"].isna().all()
    assert pd.read_csv(TIME_TO_SCORE)["times_as_fast_low"].isna().all(), "one seed gives no interval"


def test_what_another_machine_took_is_measured_again(systems, workspace, monkeypatch):
    time_to_score.run(["Acrobot-v1", "Pendulum-v1"], 1, systems)
    monkeypatch.setattr(time_to_score, "cpu_model", lambda: "another")
    time_to_score.run(["Acrobot-v1"], 1, systems)
    cpus = pd.read_csv(time_to_score.RUNS).groupby("environment")["cpu"].unique()
    assert list(cpus["Acrobot-v1"]) == ["another"] and "another" not in cpus["Pendulum-v1"]


def test_how_a_system_trains_is_more_than_its_script(workspace, monkeypatch):
    monkeypatch.chdir(ROOT)
    ours, theirs = time_to_score.SYSTEMS[:2]
    before = [time_to_score.recipe(system, "Acrobot-v1") for system in (ours, theirs)]
    monkeypatch.setattr(time_to_score, "code_version", lambda: "another")
    after = [time_to_score.recipe(system, "Acrobot-v1") for system in (ours, theirs)]
    assert before[0] != after[0] and before[1] == after[1]
    assert time_to_score.recipe(ours, "Pendulum-v1") != after[0]


def test_an_environment_that_no_system_is_set_up_for_is_refused(systems):
    with pytest.raises(BadInputError, match="ENVS: 'Taxi-v4' is not allowed; the systems are set up for Acrobot-v1, "):
        time_to_score.run(["Taxi-v4"], None, systems)


def test_the_systems_are_set_up_for_what_is_allowed():
    recipes = re.findall(
        r'^    \("(A2C|PPO)", "(.*)"\): Recipe\(', (ROOT / "peers" / "stable_baselines.py").read_text(), re.M
    )
    for algorithm in ("A2C", "PPO"):
        found = {environment for one, environment in recipes if one == algorithm}
        assert found == {"CartPole-v1", *time_to_score.ENVIRONMENTS}
