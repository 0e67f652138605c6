"""What is told while a stage runs: for people, for programs, or nothing."""

import json

import numpy as np
import pytest

from a3c_bench import progress
from a3c_bench.progress import Progress, conclude


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock that tests set."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def tell(clock):
    with Progress("train nstep seed 0", 100) as shown:
        shown(0, 0, np.empty(0))
        clock[0] = 10.0
        shown(20, 5000, np.array([10.0, 30.0]))
        clock[0] = 10.1
        shown(21, 5100, np.empty(0))


def test_people_get_a_plain_line_now_and_then(clock, capsys):
    tell(clock)
    assert capsys.readouterr().out.splitlines() == [
        "train nstep seed 0: 20 % · 5,000 env steps · 500 steps/s · recent return 20 · 0:00:40 left"
    ]


def test_programs_get_json(clock, capsys, monkeypatch):
    monkeypatch.setenv("A3C_BENCH_LOG", "json")
    tell(clock)
    conclude("train nstep seed 0", "words", turns=100, missing=float("nan"))
    progressed, done = map(json.loads, capsys.readouterr().out.splitlines())
    assert progressed == {
        "event": "progress",
        "task": "train nstep seed 0",
        "completed": 20,
        "total": 100,
        "seconds": 10.0,
        "seconds_left": 40.0,
        "env_steps": 5000,
        "env_steps_per_second": 500.0,
        "mean_return": 20.0,
    }
    assert done == {"event": "done", "task": "train nstep seed 0", "turns": 100, "missing": None}


def test_quiet_says_nothing(clock, capsys, monkeypatch):
    monkeypatch.setenv("A3C_BENCH_QUIET", "1")
    tell(clock)
    conclude("train", "words")
    assert capsys.readouterr() == ("", "")


def test_the_time_left_is_of_the_steps_taken_now(clock, capsys):
    with Progress("train", 100) as shown:
        shown(50, 1000, np.empty(0))
        clock[0] = 10.0
        shown(75, 1500, np.empty(0))
    assert (
        capsys.readouterr().out == "train: 75 % · 1,500 env steps · 50 steps/s · no episode has ended · 0:00:10 left\n"
    )


HOSTS = [{"name": "the head", "actors": 4, "waiting": 0.125}, {"name": "b", "actors": 3, "waiting": 0.5}]


def test_the_hosts_that_train_together_are_told_of(clock, capsys, monkeypatch):
    with Progress("train", 100, lambda: HOSTS) as shown:
        clock[0] = 10.0
        shown(20, 5000, np.array([10.0]))
        monkeypatch.setenv("A3C_BENCH_LOG", "json")
        clock[0] = 30.0
        shown(40, 9000, np.array([10.0]))
    line, told = capsys.readouterr().out.splitlines()
    assert "recent return 10 · the head 4 actors, waits 12 % · b 3 actors, waits 50 %" in line
    assert json.loads(told)["hosts"] == HOSTS
