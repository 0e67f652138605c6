"""Whatever happens to the processes of a training: nothing is left of it, and who waits is told why."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from conftest import WITHOUT_MLFLOW, environment, small_params, write_params

LONG = {"max_restarts": 0, "nstep": {"total_steps": 50_000_000, "envs": 32}}


def wait_until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def workers_of(process):
    children = psutil.Process(process).children(recursive=True)
    return [child for child in children if child.ppid() != process]


@pytest.fixture
def training(tmp_path):
    """`a3c-bench train` under way: the process, all below it, its folder and its temporary folder."""
    folder, temporary = tmp_path / "run", tmp_path / "tmp"
    for path in (folder, temporary):
        path.mkdir()
    write_params(folder, small_params(**LONG))
    process = subprocess.Popen(
        [sys.executable, "-m", "a3c_bench", "train"],
        cwd=folder,
        env=environment(TMPDIR=str(temporary), **WITHOUT_MLFLOW),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: list((folder / ".a3c-bench").glob("checkpoints/*/*.checkpoint")))
    family = psutil.Process(process.pid).children(recursive=True)
    yield process, family, folder, temporary
    for child in family:
        if child.is_running():
            child.kill()
    process.kill()
    process.communicate()


def is_there(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("stopped", ["none", "one worker", "all workers", "the server too"])
def test_nothing_outlives_a_killed_main_process(stopped, training):
    process, family, _, temporary = training
    workers = workers_of(process.pid)
    servers = [child for child in family if child.pid == workers[0].ppid()]
    chosen = {"none": [], "one worker": workers[:1], "all workers": workers, "the server too": workers + servers}
    assert len(workers) == 2
    for child in chosen[stopped]:
        child.suspend()
    process.kill()
    process.wait()
    wait_until(lambda: not any(is_there(child) for child in family), 30)
    assert not list(temporary.iterdir())


def test_workers_end_with_the_server_they_were_forked_from(training):
    process, _, _, _ = training
    workers = workers_of(process.pid)
    workers[0].suspend()
    psutil.Process(workers[0].ppid()).kill()
    wait_until(lambda: not any(is_there(child) for child in workers), 30)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT])
@pytest.mark.parametrize("to_all", [True, False], ids=["the group", "the main process"])
def test_a_lost_terminal_ends_training_with_a_checkpoint(number, to_all, training):
    process, family, folder, temporary = training
    os.killpg(process.pid, number) if to_all else process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number, said
    assert f"stopped by {number.name}; its checkpoint is at turn" in said
    assert "Traceback" not in said
    assert list(folder.glob(".a3c-bench/checkpoints/*/*.checkpoint"))
    wait_until(lambda: not any(is_there(child) for child in family), 30)
    assert not list(temporary.iterdir())
