"""Programs that run in turns, and the ratios of their rates."""

import os
import time
from contextlib import ExitStack

import numpy as np
import psutil
import pytest
from conftest import ROOT, small_config, wait_until

from a3c_bench.environments.make import describe
from a3c_bench.evidence.reproducibility import price
from a3c_bench.evidence.speed import around, floor, in_turns, table

pytestmark = pytest.mark.slow


def test_the_ratio_of_rates_measured_in_turns():
    rates = np.array([[90.0, 100.0], [180.0, 200.0], [45.0, 50.0]])
    row = price.compare(rates)
    assert row["ratio"] == pytest.approx(0.9)
    assert row["ratio_low"] == pytest.approx(0.9)
    assert (row["ordered"], row["hogwild"]) == (105.0, pytest.approx(350 / 3))


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(in_turns, "SLICE_SECONDS", 0.03)
    monkeypatch.setattr(in_turns, "UPDATES", 10_000)


@pytest.mark.parametrize("algorithm", ["nstep", "episodic"])
def test_everything_runs_in_turns_and_ends_with_the_measurement(algorithm, short):
    rates = table.in_turns(small_config(), algorithm, describe("CartPole-v1"), 4, lambda done: None)
    assert rates.shape == (4, 5)
    # On a busy machine, and with a slow contestant, not every short slice sees a step.
    assert (rates.sum(axis=0) > 0).all()
    assert not [child for child in psutil.Process().children() if child.status() == psutil.STATUS_STOPPED]


def test_only_one_contestant_runs_at_a_time(short):
    with ExitStack() as stack:
        config = small_config()
        pair = [stack.enter_context(in_turns.counting(floor.work, 1, config, "nstep")) for _ in range(2)]
        before = [contestant.env_steps() for contestant in pair]
        in_turns._slice(pair[0], in_turns.SLICE_SECONDS)
        assert pair[0].env_steps() > before[0]
        assert pair[1].env_steps() == before[1]


def test_a_contestant_is_tended_while_it_runs(short):
    """What it is sending must get through: a message that stopped half-way would never end."""
    states = []
    with in_turns.counting(floor.work, 1, small_config(), "nstep") as contestant:
        process = psutil.Process(contestant.processes[0])
        tended = in_turns.Contestant([process.pid], contestant.env_steps, lambda: states.append(process.status()))
        in_turns._slice(tended, in_turns.SLICE_SECONDS)
        assert states and psutil.STATUS_STOPPED not in states
        wait_until(lambda: process.status() == psutil.STATUS_STOPPED)


@pytest.mark.slow
def test_what_is_around_training_is_measured_in_pairs(workspace, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    rates = around.measure("nstep", pairs=1)
    assert rates.shape == (1, 2)
    assert (rates > 0).all()


def ends(counts, place):
    counts[place] = 0
    os._exit(3)


def test_a_contestant_that_ends_is_told(short):
    start = time.monotonic()
    with pytest.raises(in_turns.TrainingError, match="ends"), in_turns.counting(ends, 1):
        pass
    assert time.monotonic() - start < 30


def test_the_figures_are_ratios_of_means():
    rates = np.array([[200.0, 100.0, 240.0, 125.0, 1.0], [220.0, 110.0, 264.0, 137.5, 1.1]])
    figures = {figure.what: figure for figure in table.compare("nstep", rates, 120)}
    assert figures["2 workers ÷ 1 worker"].ratio == pytest.approx(2)
    assert figures["1 worker ÷ floor"].ratio == pytest.approx(0.8)
    assert figures["2 workers ÷ textbook loop, 2 processes"].ratio == pytest.approx(200)
    assert figures["2 workers ÷ textbook loop, 2 processes"].target == 120
    assert figures["1 worker ÷ floor"].low == pytest.approx(0.8)
    assert figures["2 floors that share nothing ÷ 1: the machine's own limit"].ratio == pytest.approx(1.92)


@pytest.mark.parametrize("algorithm", ["nstep", "episodic"])
def test_the_floor_has_the_shapes_of_training(algorithm):
    config = small_config()
    nstep, least = config.algorithm("nstep"), floor.make_floor(config, algorithm)
    least.step_environment()
    least.act()
    least.gradient.fill(0)
    least.differentiate()
    assert np.count_nonzero(least.gradient) > 0.5 * least.gradient.size
    expected = nstep.envs * nstep.rollout_steps if algorithm == "nstep" else floor.EPISODE_STEPS
    assert least.env_steps == expected
