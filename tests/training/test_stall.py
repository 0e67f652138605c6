"""Who waits for a training that stands still is told why."""

import os

import psutil
import pytest
from conftest import small_config

from a3c_bench.processes import start_server
from a3c_bench.training import pool, stall


def workers_of(process):
    children = psutil.Process(process).children(recursive=True)
    return [child for child in children if child.ppid() != process]


@pytest.mark.slow
def test_a_stalled_training_is_told_of_once_and_goes_on(monkeypatch, capfd):
    monkeypatch.setattr(stall, "STALL_SECONDS", 0.5)
    start_server()
    said, stopped, resumed = [], [], []

    def watch(turn, env_steps, returns):
        said.append(capfd.readouterr().err)
        if turn > 20 and not stopped:
            stopped.extend(workers_of(os.getpid())[:1])
            stopped[0].suspend()
        if not resumed and "".join(said).count("no turn for") and len(said) > 30:
            resumed.append(turn)
            stopped[0].resume()

    config = small_config(nstep={"total_steps": 600_000})
    outcome = pool.train(config, "nstep", 0, watch)
    text = "".join(said)
    assert len(outcome.turns) == config.algorithm("nstep").turns
    lines = [line for line in text.splitlines() if f"(process {stopped[0].pid}) is stopped; `kill -CONT`" in line]
    assert len(lines) == 1, text


def test_a_stall_is_told_of_once_for_each(monkeypatch, capfd):
    clock = iter([0.0, *(float(second) for second in range(100))])
    monkeypatch.setattr(stall.time, "monotonic", lambda: next(clock))
    watched = stall.Stall()
    for turn in [1] * 15 + [2] + [2] * 60 + [3] * 5:
        watched.look(turn, {"worker 0": os.getpid()})
    told = capfd.readouterr().err.splitlines()
    assert len(told) == 2
    assert "no turn for 11 s; worker 0 (process" in told[0]
    assert "running; waiting goes on" in told[0]


def test_a_process_that_was_stopped_itself_does_not_count_that(monkeypatch, capfd):
    clock = iter([0.0, 1.0, 1000.0, 1001.0])
    monkeypatch.setattr(stall.time, "monotonic", lambda: next(clock))
    watched = stall.Stall()
    for _ in range(3):
        watched.look(1, {"worker 0": os.getpid()})
    assert not capfd.readouterr().err
