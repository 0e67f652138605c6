"""The proof's rows, its arithmetic, and trials that are really disturbed."""

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, small_config

from a3c_bench.environments.make import EnvironmentInfo
from a3c_bench.evidence.reproducibility import contrast, proof
from a3c_bench.evidence.reproducibility.conditions import CPU_MODELS, Condition, conditions
from a3c_bench.evidence.reproducibility.launch import EMULATOR, Launcher
from a3c_bench.evidence.reproducibility.roots import ARM, DEBIAN_13, PYTHONS
from a3c_bench.evidence.reproducibility.trial import Result
from a3c_bench.results.files import SCHEDULE_RUNS, SCHEDULES
from a3c_bench.stats import Interval

pytestmark = pytest.mark.slow

ALGORITHMS = ("nstep", "episodic")


def result(sha256="a", rate=100.0, order=(0, 1, 2, 3), greedy=500.0):
    return Result(sha256, 1000, rate, list(order), 400.0, greedy, 450.0, [500, 1000], [20.0, 30.0])


def rows_of(algorithm):
    return list(conditions(small_config().algorithm(algorithm)))


def condition(algorithm, name):
    return next(condition for condition in rows_of(algorithm) if condition.name == name)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_rows_are_distinct_and_each_has_its_reference(algorithm):
    rows = rows_of(algorithm)
    names = [condition.name for condition in rows]
    assert len(set(names)) == len(names) >= 40
    assert {condition.reference for condition in rows} <= set(names)
    assert sum(condition.cpu_model in CPU_MODELS for condition in rows) == len(CPU_MODELS) == 4
    assert {condition.system for condition in rows} == {None, ARM, DEBIAN_13, *PYTHONS}
    assert {condition.name for condition in rows if not condition.promised} == {"hogwild"}


def test_emulated_rows_train_for_at_least_80_rounds(tmp_path):
    launcher = Launcher(tmp_path, small_config())
    for algorithm in ALGORITHMS:
        for row in rows_of(algorithm):
            if row.cpu_model and not row.system:
                trial = proof.make_trial(small_config(), proof.Row(algorithm, row), launcher)
                assert trial.executable.endswith(row.cpu_model)
                assert trial.params["episodic"]["episodes"] >= 80
                nstep = trial.params["nstep"]
                assert nstep["total_steps"] >= 80 * nstep["actors"] * nstep["envs"] * nstep["rollout_steps"]


def test_a_row_is_the_same_only_if_every_run_is():
    rows = [
        proof.Row("nstep", Condition("reference"), results=[result(), result(rate=200.0)]),
        proof.Row("nstep", Condition("good"), results=[result(rate=50.0), result(rate=50.0, order=(1, 0, 2, 3))]),
        proof.Row("nstep", Condition("bad"), results=[result(), result("b")]),
        proof.Row("nstep", Condition("open")),
    ]
    reference, good, bad, unmeasured = (proof.summarise(row, rows) for row in rows)
    assert [row["same"] for row in (reference, good, bad, unmeasured)] == ["yes", "yes", "no", None]
    assert good["relative_rate"] == np.median([50 / 100, 50 / 200])
    assert good["reordered"] == 0.5
    assert bad["note"] == "2 different results in 2 runs"
    assert unmeasured["runs"] == 0


@pytest.mark.parametrize(
    ("low", "high", "margin", "alike"),
    [
        (-20.0, 23.75, 23.75, "yes"),
        (1.0, 20.0, 23.75, "yes"),
        (-75.0, 66.0, 23.75, "no difference found"),
        (-20.0, 24.0, 23.75, "no difference found"),
        (-30.0, -1.0, 23.75, "differ"),
        (0.0, 0.0, None, "no difference found"),
        (1.0, 2.0, None, "differ"),
    ],
)
def test_returns_are_alike_only_within_a_margin(low, high, margin, alike):
    assert contrast.verdict(Interval(low, high), margin) == alike


def test_the_margin_is_a_share_of_the_reward_threshold(monkeypatch):
    assert contrast.margin_of("CartPole-v1") == pytest.approx(23.75)
    assert contrast.margin_of("Acrobot-v1") == pytest.approx(5.0), "its threshold is −100"
    monkeypatch.setattr(contrast, "describe", lambda env: EnvironmentInfo(env, 4, 2, None))
    assert contrast.margin_of("without a threshold") is None


def test_the_difference_of_two_schedules_is_judged_over_seeds():
    noise = [0.0, 3.0, -3.0, 5.0, -5.0]
    for shift, alike in ((0.0, "yes"), (50.0, "differ")):
        runs = {
            ("nstep", schedule, seed): result(greedy=400.0 + noise[seed] + (shift if schedule == "hogwild" else 0))
            for schedule in contrast.SCHEDULE_NAMES
            for seed in range(5)
        }
        row = contrast.compare("nstep", range(5), runs, margin=23.75)[0]
        assert (row["measure"], row["alike"], row["margin"]) == ("greedy_return", alike, 23.75)
        assert row["difference"] == pytest.approx(shift)
        assert row["difference_low"] <= shift <= row["difference_high"]


def test_the_committed_verdicts_are_those_of_the_committed_runs():
    runs, table = (pd.read_csv(ROOT / path) for path in (SCHEDULE_RUNS, SCHEDULES))
    results = {(run.algorithm, run.schedule, run.seed): run for run in runs.itertuples()}
    found = [
        row
        for name in runs["algorithm"].unique()
        for row in contrast.compare(name, sorted(runs["seed"].unique()), results, contrast.margin_of("CartPole-v1"))
    ]
    pd.testing.assert_frame_equal(pd.DataFrame(found)[[*contrast.TABLE_COLUMNS]], table)


@pytest.fixture(scope="module")
def launcher(tmp_path_factory):
    return Launcher(tmp_path_factory.mktemp("launcher"), small_config())


def run(launcher, algorithm, row):
    trial = proof.make_trial(small_config(), proof.Row(algorithm, row), launcher)
    trial.params["nstep"]["total_steps"] = min(trial.params["nstep"]["total_steps"], 3 * 8 * 128 * 20)
    return launcher.run(row, trial)


@pytest.fixture(scope="module", params=ALGORITHMS)
def reference(request, launcher):
    return request.param, run(launcher, request.param, condition(request.param, "reference"))


@pytest.mark.parametrize("name", ["workers 3", "pinned to one core", "start method spawn", "another folder and user"])
def test_a_disturbed_trial_has_the_same_bits(launcher, reference, name):
    algorithm, expected = reference
    assert run(launcher, algorithm, condition(algorithm, name)).sha256 == expected.sha256


def test_delays_change_the_order_in_which_gradients_become_ready_and_nothing_else(launcher, reference):
    algorithm, expected = reference
    delayed = run(launcher, algorithm, condition(algorithm, "workers delayed at random"))
    assert sorted(delayed.ready_order) == sorted(expected.ready_order) == list(range(len(expected.ready_order)))
    assert delayed.ready_order != expected.ready_order
    assert delayed.sha256 == expected.sha256


def test_another_seed_gives_another_fingerprint(launcher, reference):
    algorithm, expected = reference
    trial = proof.make_trial(small_config(), proof.Row(algorithm, Condition("seed")), launcher)
    other = launcher.run(Condition("seed"), dataclasses.replace(trial, seed=1))
    assert other.sha256 != expected.sha256


@pytest.mark.skipif(not shutil.which(EMULATOR), reason=f"{EMULATOR} is not installed")
def test_an_emulated_cpu_is_not_this_one(launcher):
    row = condition("episodic", "emulated CPU: Haswell")
    assert launcher.obstacle(row) is None
    assert launcher.note(row) == "kernels for x86_64_v3"


def test_what_the_libraries_chose_is_noted(launcher):
    assert launcher.note(condition("nstep", "OpenBLAS kernels: Sandybridge")) == "OpenBLAS runs Sandybridge"
    assert launcher.note(condition("nstep", "AVX-512 off")) == "kernels for x86_64_v3"


def test_what_cannot_be_measured_says_why(tmp_path, monkeypatch):
    launcher = Launcher(tmp_path, small_config())
    monkeypatch.setenv("PATH", "")
    assert launcher.obstacle(condition("nstep", "ARM64 (Neoverse N1), emulated")) == "qemu-aarch64 is not installed"
    assert launcher.obstacle(condition("nstep", "emulated CPU: Haswell")) == f"{EMULATOR} is not installed"
