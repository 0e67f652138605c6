"""What `check` says beyond "valid": params that nobody can want, and how long a run will take."""

import json
import math
import re
import time

import pytest
from conftest import small_config, small_params, write_params
from ruamel.yaml import YAML

from a3c_bench import outlook
from a3c_bench.environments.make import describe
from a3c_bench.machine import fingerprint
from a3c_bench.outlook import Pace, Span, Timed, duration, estimate, remarks
from a3c_bench.training.alone import Turn

USUAL = {"seeds": [0, 1], "workers": 2}


@pytest.fixture(autouse=True)
def two_cores(monkeypatch, tmp_path):
    monkeypatch.setattr(outlook, "cores", lambda: 2)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"workers": 9, "algorithms": ["nstep"]}, "workers: 1 of 9 have nothing to do in nstep, which has 8 actors"),
        ({"threads": 2, "workers": 1, "algorithms": ["nstep"]}, "threads: nstep gains nothing from 2: a rollout"),
        ({"threads": 2, "workers": 1, "algorithms": ["episodic"]}, "threads: episodic gains nothing from 2: a rollout"),
        ({"threads": 2, "nstep": {"envs": 1000}, "algorithms": ["nstep"]}, "workers × threads: 2 × 2 are more than"),
        ({"seeds": [3]}, "seeds: a single one gives no interval"),
        ({"evaluate": {"episodes": 1}}, "evaluate.episodes: a single one says little"),
        ({"profile": {"repeats": 1}}, "profile.repeats: a single one gives no interval"),
        ({"schedule": "hogwild"}, "schedule: hogwild is not reproducible"),
    ],
)
def test_params_that_nobody_can_want_get_a_line(changes, words):
    said = list(remarks(small_config(**{**USUAL, **changes})))
    assert any(line.startswith(words) for line in said), said
    if "workers" not in words:
        assert len(said) == 1, said


def test_nothing_is_said_of_usual_params():
    assert not list(remarks(small_config(**USUAL)))


def test_check_says_it_after_its_first_line(a3c_bench, workspace):
    started = time.monotonic()
    lines = a3c_bench("check").stdout.splitlines()
    assert time.monotonic() - started < 10  # a second or two on a machine that does nothing else
    assert lines[0].startswith("params.yaml: valid; ")
    assert "seeds: a single one gives no interval" in lines
    assert re.match(r"time: about .* from nothing, an estimate \(timed now\): train nstep 1 × \d+ s, ", lines[-1])
    assert [path.name for path in workspace.iterdir()] == ["params.yaml"]


def measured_before(folder, config, **changes):
    """What a pipeline of this machine left behind: 10 env steps by turn, 1000 env steps per second."""
    params = {**config.params(), **changes}
    stages = {name: {"params": {"params.yaml": params}} for name in ("profile", "train@nstep-0")}
    with (folder / "dvc.lock").open("w") as file:
        YAML(typ="safe").dump({"stages": stages}, file)
    for name, content in (
        ("machine/machine.json", json.dumps(fingerprint())),
        ("train/nstep/seed-0/metrics.json", '{"env_steps": 6400, "turns": 640}'),
        (
            "profile/points.csv",
            "algorithm,schedule,workers,threads,env_steps_per_second\nnstep,ordered,2,1,1000.0\nnstep,ordered,1,1,500.0\n",
        ),
    ):
        (folder / "reports" / name).parent.mkdir(parents=True)
        (folder / "reports" / name).write_text(content)


@pytest.fixture
def config():
    return small_config(**USUAL, algorithms=["nstep"])


def pace(config):
    return Pace(config, "nstep", describe(config.env), 1.0)


def test_what_this_machine_measured_is_believed(config, tmp_path):
    measured_before(tmp_path, config)
    known = pace(config)
    assert known.training(config) == Span(6.4, 6.4), "640 turns of 10 env steps, 1000 of them per second"
    assert not known.was_timed
    # A training for each seed; two points of 56 turns, timed twice and instrumented once.
    assert estimate(config).startswith(
        "time: about 18 s from nothing, an estimate (by reports/profile): train nstep 2 × 6 s, profile 5 s;"
    )


@pytest.mark.parametrize("change", [{"env": "Acrobot-v1"}, {"nstep": {"envs": 64}}])
def test_what_was_measured_under_other_params_is_not(change, config, tmp_path, monkeypatch):
    measured_before(tmp_path, config, **change)
    monkeypatch.setattr(outlook, "time_turns", lambda job, patience: Timed(20.0, 0.1))
    assert pace(config).training(config) == Span(32, 32), "640 turns of 0.1 s, on two cores"


@pytest.mark.parametrize("name", ["machine/machine.json", "profile/points.csv", "train/nstep/seed-0/metrics.json"])
def test_what_is_damaged_or_of_another_machine_is_not(name, config, tmp_path, monkeypatch):
    measured_before(tmp_path, config)
    monkeypatch.setattr(outlook, "time_turns", lambda job, patience: Timed(20.0, 0.1))
    for content in ('{"cpu": "another"}', "", "algorithm,workers\nnstep,x\n", "[]"):
        (tmp_path / "reports" / name).write_text(content)
        assert pace(config).training(config) != Span(6.4, 6.4)


def test_episodes_may_grow_to_the_time_limit(monkeypatch):
    monkeypatch.setattr(outlook, "time_turns", lambda job, patience: Timed(50.0, 0.1))
    config = small_config(algorithms=["episodic"], workers=1)
    span = Pace(config, "episodic", describe(config.env), 1.0).training(config)
    assert span == Span(pytest.approx(56), pytest.approx(560)), "560 episodes of 50 to 500 env steps, 500 per second"
    assert str(span) == "56 s to 9 minutes"


def test_turns_are_timed():
    config = small_config(algorithms=["nstep"])
    timed = outlook.time_turns(pace(config)._job, 1.0)
    assert 15 < timed.steps <= 20
    assert 0 < timed.seconds < 0.5


def test_turns_are_timed_over_whole_rollouts():
    """Those of 8 actors, each learned from in 10 turns: in 64 turns are all steps, and not all of the time."""
    config = small_config(algorithms=["ppo"], ppo={"epochs": 5})
    timed = outlook.time_turns(Pace(config, "ppo", describe(config.env), 1.0)._job, 1.0)
    assert 3 < timed.steps <= 4


def test_a_part_of_the_first_rollouts_is_no_measure(monkeypatch):
    """As where one takes longer than there is patience: its steps would be shared out to a few of its updates."""
    config = small_config(algorithms=["ppo"], ppo={"actors": 2, "epochs": 5})
    job, round_ = Pace(config, "ppo", describe(config.env), 0.3)._job, 2 * 5 * config.algorithm("ppo").minibatches
    for count, known in ((round_, False), (round_ + 1, True)):

        def some(job, count=count):
            yield from (Turn(1, [], []) for _ in range(count))
            time.sleep(0.6)

        monkeypatch.setattr(outlook, "turns", some)
        assert math.isfinite(outlook.time_turns(job, 0.3).steps) == known


def slow(job):
    while True:
        time.sleep(0.3)
        yield Turn(1, [], [])


def broken(job):
    yield Turn(1, [], [])
    raise MemoryError


@pytest.mark.parametrize("turns", [slow, broken])
def test_what_cannot_be_timed_is_not_estimated(turns, config, monkeypatch, capfd):
    monkeypatch.setattr(outlook, "turns", turns)
    monkeypatch.setattr(outlook, "PATIENCE_SECONDS", 0.4)
    assert estimate(config) == "time: cannot be estimated: the first updates fail, or take more than 0.4 s"
    assert capfd.readouterr().err == ""


def test_durations_are_in_words():
    assert [duration(seconds) for seconds in (0.2, 89.5, 300, 36000)] == ["1 s", "90 s", "5 minutes", "10 hours"]


PIPELINE = """\
stages:
  train: {deps: [src, my_networks.py], params: []}
  profile: {params: [nstep, episodic]}
  report: {params: [nstep, episodic]}
"""
OWN = """\
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv
gymnasium.register("Own-v0", CartPoleEnv, max_episode_steps=100)
"""


def test_check_reminds_of_modules_that_no_stage_depends_on(a3c_bench, workspace):
    (workspace / "dvc.yaml").write_text(PIPELINE)
    (workspace / "my_envs.py").write_text(OWN)
    (workspace / "my_wrappers.py").write_text("from gymnasium import Wrapper\n")
    params = small_params(
        algorithms=["nstep"],
        env="my_envs:Own-v0",
        # The first is installed, and its version locked.
        wrappers=["gymnasium.wrappers:RecordEpisodeStatistics", "my_wrappers:Wrapper"],
    )
    write_params(workspace, params)
    reminders = [line for line in a3c_bench("check").stdout.splitlines() if "no stage depends" in line]
    assert [line.partition(",")[0] for line in reminders] == [
        "env: no stage depends on my_envs.py",
        "wrappers.1: no stage depends on my_wrappers.py",
    ]
    (workspace / "dvc.yaml").write_text(PIPELINE.replace("src, ", "my_envs.py, my_wrappers.py, "))
    assert "no stage depends" not in a3c_bench("check").stdout
