"""What is too much for the machine, or would never end, is said before any work."""

import os
import resource
import subprocess
import sys

import pytest
from conftest import environment, small_config, small_params, write_params

from a3c_bench import processes, supervision
from a3c_bench.environments.make import describe
from a3c_bench.errors import BadInputError
from a3c_bench.machine import available_memory
from a3c_bench.stages.profile import fixed_work, most_work
from a3c_bench.training import needs, pool

GIBIBYTE = 2**30
MEMINFO = f"MemTotal: 99999999 kB\nMemAvailable: {8 * 2**20} kB\n"


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("profile", "turns", 10**50),
        ("profile", "turns", 10**13),
        ("profile", "textbook_episodes", 10**50),
        ("episodic", "episodes", 10**50),
        ("nstep", "total_steps", 10**50),
    ],
)
def test_what_would_never_end_is_refused_where_it_is_written(section, key, value):
    with pytest.raises(BadInputError, match=rf"{section}\.{key}: .* less than or equal to"):
        small_config(**{section: {key: value}})


def test_a_budget_is_bounded_where_it_is_made():
    config = small_config()
    with pytest.raises(BadInputError, match="too many; at most"):
        config.with_budget(10**9)
    with pytest.raises(BadInputError, match="less than or equal to"):
        config.algorithm("episodic").with_budget(10**50)
    with pytest.raises(BadInputError, match="workers"):
        config.changed(workers=10**6)


def test_the_longest_profile_is_within_the_bounds():
    largest = {"actors": 1023, "envs": 65536, "rollout_steps": 64}
    config = small_config(profile={"turns": 1_000_000}, nstep=largest, episodic={"actors": 1023, "episodes": 1})
    assert fixed_work(config).algorithm("nstep").turns >= 1_000_000
    assert most_work(config).workers == 2


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        ("0::/", {}, 8),
        ("0::/", {"memory.max": "max\n"}, 8),
        ("0::/", {"memory.max": str(GIBIBYTE)}, 1),
        ("0::/a/b", {"a/memory.max": str(3 * GIBIBYTE), "a/b/memory.max": str(5 * GIBIBYTE)}, 3),
        ("0::/not/seen/here", {"memory.max": str(2 * GIBIBYTE)}, 2),
        ("4:memory:/a\n0::/", {"memory/a/memory.limit_in_bytes": str(2 * GIBIBYTE)}, 2),
        ("4:cpu,memory:/", {"memory/memory.limit_in_bytes": "9223372036854771712"}, 8),
        ("3:cpuset:/", {"memory/memory.limit_in_bytes": str(GIBIBYTE)}, 8),
    ],
)
def test_memory_is_that_of_the_container(group, files, expected, tmp_path):
    contents = {"proc/meminfo": MEMINFO, "proc/self/cgroup": group, **{f"cgroup/{name}": files[name] for name in files}}
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert available_memory(tmp_path / "cgroup", tmp_path / "proc") == expected * GIBIBYTE


def test_what_is_needed_is_no_more_than_what_a_training_has():
    """The estimate must not refuse what would have gone well."""
    config = small_config(nstep={"hidden": [512, 512], "total_steps": 1600})
    settings, cart_pole = config.algorithm("nstep"), describe("CartPole-v1")
    mapped = pool.shape(pool.Job(config, "nstep", 0, cart_pole.with_packing())).offsets()[1]
    assert 0.5 * mapped < needs.memory(settings, 2, cart_pole) < 4 * mapped


@pytest.mark.parametrize("command", ["check", "train", "profile"])
def test_too_large_a_network_is_refused_in_one_line(command, a3c_bench, workspace):
    write_params(workspace, small_params(nstep={"hidden": [4096] * 8, "actors": 1000, "total_steps": 20_000}))
    result = a3c_bench(command)
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert all(word in result.stderr for word in ("nstep", "hidden", "actors 1000", "envs 4", "GiB"))
    assert not result.stdout
    assert {path.name for path in workspace.iterdir()} == {"params.yaml"}


def test_workers_are_held_against_the_open_files(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
    with pytest.raises(BadInputError, match=r"workers: 64 .* this process may have 100; .*ulimit -n"):
        pool.train(small_config(workers=64, nstep={"actors": 64}), "nstep", 0)


def test_what_the_machine_refuses_is_one_line(monkeypatch):
    def refuse(shape):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(pool, "SharedTables", refuse)
    with pytest.raises(pool.TrainingError, match=r"the workers cannot be started \(Cannot allocate memory\)"):
        pool.train(small_config(), "nstep", 0)


TRAIN = "from conftest import small_config; from a3c_bench.training import pool; pool.train(small_config(), 'nstep', 0)"


def test_a_temporary_folder_with_a_long_path_will_do(tmp_path):
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    tests = {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(folder)}
    command = [sys.executable, "-c", TRAIN]
    result = subprocess.run(command, env=environment(**tests), capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
    assert not list(folder.iterdir())


def test_no_temporary_folder_at_all_is_one_line(monkeypatch):
    def refuse(**_):
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(processes.tempfile, "TemporaryDirectory", refuse)
    monkeypatch.setattr(processes, "_runs", lambda child: False)  # one that runs needs no folder any more
    with pytest.raises(BadInputError, match="TMPDIR: No usable temporary directory"):
        processes.start_server()


@pytest.mark.parametrize("supervisor", ["dead", str(10**30)])
def test_a_supervisor_that_is_gone_already_stops_the_command_at_once(supervisor, monkeypatch):
    if supervisor == "dead":
        process = subprocess.Popen(["true"])
        process.wait()
        supervisor = str(process.pid)
    monkeypatch.setenv("DVC_STAGE", "train")
    monkeypatch.setenv("A3C_BENCH_SUPERVISOR", supervisor)
    monkeypatch.setattr(supervision.signal, "signal", lambda *_: None)
    with pytest.raises(supervision.StoppedError, match="is gone") as caught:
        supervision.watch()
    assert caught.value.exit_code == 1
