"""What all tests share. The math libraries are held to one thread first, as in every command."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.update(DO_NOT_TRACK="true", MLFLOW_DISABLE_TELEMETRY="true", DVC_NO_ANALYTICS="true")
# The benchmarks that a test runs in a process of its own run alone there, whoever runs beside the test.
for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
    del os.environ[name]

from a3c_bench import math_threads

math_threads.limit_math_threads()

import pytest
from ruamel.yaml import YAML

from a3c_bench.config import Config, parse_config
from a3c_bench.evidence.chaos.victim import let_signals_through
from a3c_bench.networks.torch_module import PINS
from a3c_bench.params import read_yaml

# Under `nohup`, and in the background, what tests start would hear no signals.
let_signals_through()
# Tests import torch whenever they like.
os.environ.update(PINS)

ROOT = Path(__file__).parent.parent
# Tests change the folder: what they start then finds this checkout's source all the same.
os.environ["PYTHONPATH"] = str(ROOT / "src")
SMALL = {
    "seeds": [0],
    "nstep": {"envs": 4, "rollout_steps": 5, "total_steps": 12_800},
    "episodic": {"episodes": 80},
    "ppo": {"envs": 4, "rollout_steps": 10, "total_steps": 6_400, "epochs": 2, "minibatches": 2},
    "checkpoint": {"seconds": 0.05},
    "evaluate": {"episodes": 10},
    "profile": {
        "workers": [1, 2],
        "threads": [1],
        "schedules": ["ordered"],
        "repeats": 2,
        "turns": 56,
        "textbook_episodes": 4,
        "textbook_processes": [1],
    },
}
"""A pipeline of seconds: 80 rounds of turns for every algorithm."""


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes` in place, section by section."""
    result = dict(base)
    for key, value in changes.items():
        result[key] = merged(result.get(key, {}), value) if isinstance(value, dict) else value
    return result


def small_params(**changes: Any) -> dict[str, Any]:
    """The project's params, shrunk to `SMALL`, then changed."""
    return merged(merged(read_yaml(ROOT / "params.yaml"), SMALL), changes)


def small_config(**changes: Any) -> Config:
    """`small_params` as a config."""
    return parse_config(small_params(**changes))


def write_params(folder: Path, params: object) -> None:
    """Write `params` as `folder`'s params.yaml."""
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(params, file)


def free_port() -> int:
    """One of loopback that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for what must happen soon."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder with a small params.yaml."""
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path, small_params())
    return tmp_path


WITHOUT_MLFLOW = {"A3C_BENCH_TRACKING": "off"}
"""For commands of tests that are about other things."""
Command = Callable[..., subprocess.CompletedProcess[str]]


def environment(**changes: str) -> dict[str, str]:
    """The variables of a command run from a shell: this checkout's source, nothing pinned yet."""
    inherited = math_threads.without_limit(os.environ)
    for name in ("MLFLOW_TRACKING_URI", *PINS):  # MLflow sets the first when a test names a store
        inherited.pop(name, None)
    return {**inherited, "PYTHONPATH": str(ROOT / "src"), **changes}


@pytest.fixture
def a3c_bench(workspace: Path) -> Iterator[Command]:
    """Runs `a3c-bench …` as a user does, in the workspace."""

    def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "a3c_bench", *arguments]
        return subprocess.run(
            command, cwd=workspace, env=environment(**changes), capture_output=True, text=True, check=False, timeout=120
        )

    yield run


@pytest.fixture
def client(workspace: Path) -> Any:
    """MLflow's store of the workspace."""
    import mlflow

    return mlflow.MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}")


@pytest.fixture
def runs(client: Any) -> Callable[[], list[tuple[str, Any]]]:
    """Finds all runs in the workspace's store, by their names; none before there is a store."""

    def find() -> list[tuple[str, Any]]:
        experiment = client.get_experiment_by_name("a3c-bench")
        found = client.search_runs([experiment.experiment_id]) if experiment else []
        return [(run.info.run_name, run) for run in found]

    return find


@pytest.fixture
def timed(benchmark):
    """Times so many rounds of so many calls, after one that is not counted; its `env_steps` are those of one call."""

    def run(target, *arguments, rounds, calls=1, setup=None, env_steps=None, workers=1, threads=1):
        benchmark.extra_info.update(workers=workers, threads=threads)
        if env_steps is not None:
            benchmark.extra_info["env_steps"] = env_steps
        return benchmark.pedantic(target, args=arguments, setup=setup, rounds=rounds, iterations=calls, warmup_rounds=1)

    return run
