"""The profile's arithmetic on made-up clocks."""

import numpy as np
import pytest
from conftest import small_config

from a3c_bench import scaling
from a3c_bench.stages import profile
from a3c_bench.stages.profile import Measured, Point, Sample, as_sample, hosts, predictions, summarise
from a3c_bench.training.exchange.memory import TURN
from a3c_bench.training.pool import Outcome
from a3c_bench.training.reporter import EPISODE
from a3c_bench.training.worker import TimeSplit


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    monkeypatch.setattr(profile, "cores", lambda: 4)


def outcome(times, updates, splits, updates_per_rollout=1):
    turns = np.zeros(len(times), TURN)
    turns["time"], turns["update"] = times, updates
    turns["env_steps"] = np.where(turns["update"] % updates_per_rollout == 0, 100, 0)
    nothing, made = np.empty(0, EPISODE), {"updates_per_rollout": updates_per_rollout}
    model, steps, peaks = np.zeros(1, np.float32), np.empty(0, np.int64), [2**20, 3 * 2**20]
    return Outcome(model, turns, nothing, steps, {}, [0, 0], splits, peaks, 0.0, **made)


def test_the_clock_starts_when_every_actor_has_had_its_first_turn():
    # Hogwild: actor 0 has had two turns before actor 1 has its first, at 12 s.
    sample = as_sample(outcome([10.0, 11, 12, 13, 14], [0, 1, 0, 1, 2], [TimeSplit(ready=9.0, cpu=8)] * 2), False)
    assert sample.env_steps == 200
    assert sample.seconds == 2
    assert sample.rate == 100
    assert sample.cpu_utilisation == 16 / (5 * 4)
    assert sample.peak_memory_mib == 3
    assert sample.split == {}


def test_what_is_learned_from_first_rollouts_is_warm_up():
    # Three updates of a rollout each: what comes after 12 s are the second rollout and all that was learned from it.
    times, updates = [10.0, 11, 12, 15, 16, 17], [0, 1, 2, 3, 4, 5]
    sample = as_sample(outcome(times, updates, [TimeSplit(ready=9.0, cpu=8)], 3), False)
    assert (sample.env_steps, sample.seconds) == (100, 5)


def test_shares_are_those_of_all_workers_time():
    split = TimeSplit(environment=1, collecting=3, learning=4, submitting=1, recording=1, waiting=1)
    shares = as_sample(outcome([1.0, 2], [0, 1], [split, split]), True).split
    assert shares == {
        "environment": 0.1,
        "acting": 0.2,
        "learning": 0.4,
        "submitting": 0.1,
        "recording": 0.1,
        "waiting": 0.1,
    }


def measured(rates):
    return Measured(None, [Sample(int(rate), 1.0, 0.5, 10.0, {}) for rate in rates])


def test_ratios_are_those_of_the_medians_that_are_shown():
    one, two = Point("nstep", "ordered", 1, 1), Point("nstep", "ordered", 2, 3)
    base = two.one_worker
    table = {
        one: measured([1, 1, 1]),
        base: measured([100, 200, 400]),
        two: measured([150, 400, 600]),
        Point("textbook", "hogwild", 1, 1): measured([10, 10, 20]),
    }
    row = summarise(two, table, workers=2)
    assert row["env_steps_per_second"] == 400
    assert (row["quartile_low"], row["quartile_high"]) == (275, 500)
    assert row["speedup"] == 400 / 200
    assert row["efficiency"] == 1
    assert row["times_textbook"] == 400 / 10
    assert row["oversubscribed"] == 1  # 2 × 3 on 4 cores
    assert row["interval_low"] <= 400 <= row["interval_high"]
    assert row["speedup_low"] == 1.5  # pairs: 150 ÷ 400 is never drawn
    assert row["speedup_high"] == 2
    assert row["share_waiting"] is None


def noisy_law(counts, contention, crosstalk, noise, repeats=8):
    exact = scaling.usl(np.array(counts, float), 1000.0, contention, crosstalk)
    return exact * np.random.default_rng(0).normal(1, noise, (repeats, len(counts)))


@pytest.mark.parametrize(("contention", "crosstalk"), [(0.0, 0.0), (0.1, 0.0), (0.03, 0.002), (0.3, 0.02)])
def test_the_law_that_made_the_curve_is_found(contention, crosstalk):
    counts = np.array([1, 2, 4, 8, 16])
    law = scaling.fit(counts, noisy_law(counts, contention, crosstalk, noise=0.0))
    assert (law.rate, law.contention, law.crosstalk) == pytest.approx((1000, contention, crosstalk), rel=1e-3, abs=1e-4)


def test_the_fits_interval_covers_the_law():
    counts, at = np.array([1, 2, 4, 8]), (16, 32)
    exact = scaling.usl(np.array(at, float), 1000.0, 0.05, 0.001)
    interval = scaling.interval(counts, noisy_law(counts, 0.05, 0.001, noise=0.01), at)
    assert (interval.low < exact).all() and (exact < interval.high).all()


def test_few_worker_counts_are_not_fitted():
    assert list(predictions({count: measured([100 * count] * 2) for count in (1, 2, 4)}, actors=64)) == []


@pytest.mark.parametrize(("actors", "furthest"), [(8, 8), (64, 16)])
def test_a_prediction_goes_no_further_than_the_actors_and_four_times_the_cores(actors, furthest):
    rows = list(predictions({count: measured([100 * count] * 2) for count in (1, 2, 3, 4)}, actors))
    assert [workers for workers, *_ in rows][-1] == furthest
    assert rows[-1][1] == pytest.approx(100 * furthest, rel=0.01)


def test_one_repeat_has_no_interval():
    one = Point("nstep", "ordered", 1, 1)
    row = summarise(one, {one: measured([5]), Point("textbook", "hogwild", 1, 1): measured([5])}, workers=1)
    assert row["interval_low"] is row["speedup_high"] is None
    assert row["oversubscribed"] == 0


def test_only_workers_with_an_actor_count():
    config = small_config()
    assert hosts(config, Point("episodic", "ordered", 9, 1)) == 7
    assert hosts(config, Point("nstep", "ordered", 9, 1)) == 8
    assert hosts(config, Point("textbook", "hogwild", 9, 1)) == 9
