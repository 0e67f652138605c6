"""The plan of `make chaos`, what counts as struck, and a few of its faults from the start to the end."""

import itertools
import mmap
import os
import random
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from conftest import small_config

from a3c_bench.environments.make import describe
from a3c_bench.evidence.chaos import table
from a3c_bench.evidence.chaos.faults import KINDS
from a3c_bench.evidence.chaos.scene import Scene, used_by_nobody
from a3c_bench.evidence.chaos.victim import Victim, let_signals_through
from a3c_bench.training.pool import shape
from a3c_bench.training.worker import Job

# Box2D's own, when it is imported; as an error it ends the process.
pytestmark = pytest.mark.filterwarnings("ignore:builtin type")
STAGES = list("abcdef")


def test_a_round_has_every_kind_once_and_in_the_end_each_has_met_every_training():
    pairs = list(itertools.islice(table.plan(STAGES), len(KINDS) * len(STAGES)))
    assert [kind for kind, _ in pairs[: len(KINDS)]] == list(KINDS)
    assert len(set(pairs)) == len(pairs)


def test_small_numbers_of_faults_strike_every_training():
    assert {stage for _, stage in itertools.islice(table.plan(STAGES), len(KINDS))} == set(STAGES)


def test_what_has_no_sense_on_an_environment_is_mended_and_nothing_else_is():
    config = small_config()
    known, other = describe("CartPole-v1"), describe("Acrobot-v1")
    for settings in config.sections.values():
        assert table.fitting(settings, known) == settings
        assert table.fitting(settings, other).objection(other) is None
    assert table.fitting(config.algorithm("episodic"), other).reward == "env"


def test_every_algorithm_trains_on_every_environment_there_is_and_on_the_params_own(capsys):
    config = small_config(env="MountainCar-v0", episodic={"reward": "env"})
    found = [(one.env, *one.algorithms) for one in table.trainings(config)]
    there = [name for name in ("MountainCar-v0", *table.ENVIRONMENTS) if name in {env for env, _ in found}]
    assert found == list(itertools.product(there, config.algorithms))
    assert {"MountainCar-v0", "CartPole-v1", "Acrobot-v1"} <= set(there)
    assert len(capsys.readouterr().out.splitlines()) == 4 - len(there)


def test_an_environment_that_is_not_installed_is_left_out_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(table, "ENVIRONMENTS", {"CartPole-v1": 3, "Missing-v7": 3})
    assert {one.env for one in table.trainings(small_config())} == {"CartPole-v1"}
    (line,) = capsys.readouterr().out.splitlines()
    assert "Missing-v7" in line and line.endswith("left out")


@pytest.fixture
def scene(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    job = Job(small_config(), "nstep", 0, describe("CartPole-v1").with_packing())
    scene = Scene(folder, "nstep", shape(job), random.Random(0))
    with scene.surroundings:
        yield scene


def test_a_fault_counts_only_when_it_struck_when_it_was_meant_to(scene):
    last = scene.shape.turns
    in_training = [replace(scene, turn=turn).was_in_time for turn in (0, 1, last - 1, last)]
    afterwards = [replace(scene, turn=turn, afterwards=True).was_in_time for turn in (0, 1, last - 1, last)]
    assert in_training == [False, True, True, False]
    assert afterwards == [False, False, False, True]


def test_a_process_whose_parents_are_gone_is_found_all_the_same(scene, monkeypatch):
    monkeypatch.setattr("a3c_bench.evidence.chaos.victim.ENDING_SECONDS", 0)
    victim = Victim(["sh", "-c", "sleep 60 & exit 7"], scene.folder, scene.folder, scene.shape, {})
    try:
        assert victim.end() == 7
        assert len(victim.left()) == 1
    finally:
        victim.kill()


def test_what_another_program_has_in_its_memory_is_not_left_over(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for path in (ours, theirs):
        path.write_bytes(b"x")
    with theirs.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ):
        assert used_by_nobody({ours, theirs}) == {ours}


@pytest.fixture
def hang_ups_are_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_training_hears_what_this_process_was_told_to_ignore(scene, hang_ups_are_ignored):
    let_signals_through()
    os.kill(os.getpid(), signal.SIGHUP)
    victim = Victim(["sleep", "60"], scene.folder, scene.folder, scene.shape, {})
    try:
        scene.signal(victim, signal.SIGHUP)
        assert victim.end() == -signal.SIGHUP
    finally:
        victim.kill()


def eventually(find):
    """What is found, as soon as there is something."""
    while True:
        with suppress(psutil.NoSuchProcess):
            return find()


def test_the_main_process_is_found_below_what_was_started(scene):
    (scene.folder / "dvc.sh").write_text(f"{sys.executable} -c 'import time; time.sleep(60)' -m a3c_bench train; true")
    victim = Victim(["sh", "dvc.sh"], scene.folder, scene.folder, scene.shape, {})
    try:
        assert eventually(victim.main).ppid() == victim.process.pid
    finally:
        victim.kill()


@pytest.fixture(scope="module")
def stage():
    # Not pytest's folder, whose path is too long for a socket.
    with TemporaryDirectory(prefix="a3c-bench-") as folder:
        yield table.undisturbed(next(table.trainings(small_config())), Path(folder, "undisturbed"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["kill while results are written", "kill a worker and at once another"])
def test_a_fault_is_survived_with_the_same_bits(stage, kind):
    (row,) = table.struck(stage, kind, 0)
    assert (row.survived, row.same, row.note) == (True, True, "")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_fault_is_survived_with_the_same_bits(stage, kind):
    for row in table.struck(stage, kind, 0):
        assert (row.survived, row.same, row.note) == (True, True, "")
