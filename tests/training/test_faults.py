"""A lost worker, a lost parent, Ctrl-C: one clear line, nothing left behind."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import gymnasium
import psutil
import pytest
from conftest import ROOT, WITHOUT_MLFLOW, environment, small_config, small_params, wait_until, write_params
from disturbances import DeathInATurn
from gymnasium.envs.classic_control import CartPoleEnv
from ruamel.yaml import YAML

from a3c_bench.algorithms.base import Losses, Statistics
from a3c_bench.errors import LostWorkerError, TrainingError
from a3c_bench.evidence.reproducibility.trial import fingerprint
from a3c_bench.processes import start_server
from a3c_bench.training import pool
from a3c_bench.training.exchange.memory import Bell, SharedTables
from a3c_bench.training.turns import Ordered
from a3c_bench.training.worker import Job

LONG = {"max_restarts": 0, "nstep": {"total_steps": 100_000_000, "envs": 32}}
SHARED_MEMORY = Path("/dev/shm")


def workers_of(process):
    """The worker processes below `process`: children of the fork server. One that ends meanwhile is none."""
    workers = []
    for child in psutil.Process(process).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            workers += [child] if child.ppid() != process else []
    return workers


@pytest.fixture(autouse=True)
def nothing_left_open():
    """No name in shared memory, and no descriptor of this process."""
    start_server()
    before, descriptors = set(SHARED_MEMORY.iterdir()), psutil.Process().num_fds()
    yield
    wait_until(lambda: not set(SHARED_MEMORY.iterdir()) - before - mapped_by_others())
    assert psutil.Process().num_fds() <= descriptors + 1  # the resource tracker's, from the first training on


def mapped_by_others():
    """What is in use there by processes that are none of this test: others may run beside it."""
    mine = {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
    paths = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            if int(maps.parent.name) not in mine:
                paths |= {Path(word) for word in maps.read_text().split() if word.startswith(f"{SHARED_MEMORY}/")}
    return paths


@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGKILL, "SIGKILL"), (signal.SIGSEGV, "SIGSEGV"), (40, "signal 40")]
)
def test_a_killed_worker_ends_training_with_its_number_and_signal(number, name):
    victims = []

    def kill_one(turn, env_steps, returns):
        if turn > 10 and not victims:
            victims.extend(workers_of(os.getpid()))
            victims[0].send_signal(number)

    with pytest.raises(TrainingError, match=rf"worker \d died: killed by {name}"):
        pool.train(small_config(**LONG), "nstep", 0, kill_one)
    assert len(victims) == 2
    assert not any(victim.is_running() for victim in victims)


@pytest.mark.parametrize("algorithm", ["nstep", "episodic", "ppo"])
@pytest.mark.parametrize("schedule", ["ordered", "hogwild"])
def test_a_lost_worker_is_replaced(algorithm, schedule, capfd):
    config = small_config(
        schedule=schedule,
        checkpoint={"seconds": 0.02},
        nstep={"total_steps": 60_000},
        episodic={"episodes": 300},
        ppo={"total_steps": 40_000},
    )
    kills = []

    def kill_two(turn, env_steps, returns):
        if turn > 100 + 700 * len(kills) and len(kills) < 2:
            kills.append(turn)
            workers_of(os.getpid())[len(kills) % 2].kill()

    undisturbed = pool.train(config, algorithm, 0)
    outcome = pool.train(config, algorithm, 0, kill_two, max_restarts=2)
    assert len(kills) == 2
    assert "restart 2 of 2" in capfd.readouterr().err
    assert len(outcome.turns) == len(undisturbed.turns)
    if schedule == "ordered":
        assert fingerprint(outcome, []) == fingerprint(undisturbed, [])


@pytest.mark.parametrize("algorithm", ["nstep", "episodic", "ppo"])
def test_a_death_in_the_middle_of_a_turn_leaves_no_trace(algorithm, tmp_path, capfd):
    longer = {"nstep": {"total_steps": 50_000}, "ppo": {"total_steps": 40_000}}
    config = small_config(workers=3, checkpoint={"seconds": 0.01}, **longer)
    undisturbed = pool.train(config, algorithm, 0)
    # Late: there are checkpoints by then.
    step = {"nstep": 2000, "episodic": 60, "ppo": 3000}[algorithm]
    outcome = pool.train(config, algorithm, 0, max_restarts=1, disturbance=DeathInATurn(tmp_path, step))
    said = capfd.readouterr().err
    assert re.search(r"worker \d died: killed by SIGKILL; all workers start again at turn [1-9][\d,]* ", said), said
    assert (tmp_path / "died").exists()
    assert fingerprint(outcome, []) == fingerprint(undisturbed, [])


def test_after_a_death_in_the_middle_of_a_turn_nobody_takes_the_next(monkeypatch):
    """The kernel gives the dead worker's lock to the next, who finds the model torn."""
    job = Job(small_config(workers=1), "nstep", 0, pool.describe("CartPole-v1"))
    tables, bell = SharedTables(pool.shape(job)), Bell()
    tables.in_turn[0] = True
    monkeypatch.setattr(Ordered, "_wait_for_the_end", lambda self: pytest.fail("it waits", pytrace=False))
    with pytest.raises(pytest.fail.Exception, match="it waits"):
        Ordered(tables, job.settings.learning_rate_of, [bell], 0).submit(0, 0, Statistics(1, Losses(0, 0, 0), 0))
    assert tables.turn[0] == 0
    bell.close()
    tables.close()


def test_a_worker_killed_at_random_is_replaced_where_environments_are_replayed(capfd):
    config = small_config(env="LunarLander-v3", checkpoint={"seconds": 0.02}, nstep={"total_steps": 16_000})
    undisturbed = pool.train(config, "nstep", 0)
    moment, kills = random.SystemRandom().randrange(50, 600), []

    def kill_one(turn, env_steps, returns):
        if turn > moment and not kills:
            kills.append(turn)
            workers_of(os.getpid())[turn % 2].kill()

    outcome = pool.train(config, "nstep", 0, kill_one, max_restarts=1)
    assert "restart 1 of 1" in capfd.readouterr().err
    assert fingerprint(outcome, []) == fingerprint(undisturbed, []), f"killed at turn {kills}"


def test_workers_are_replaced_so_often_and_no_more():
    def kill_one(turn, env_steps, returns):
        for worker in workers_of(os.getpid())[:1]:
            worker.kill()

    with pytest.raises(LostWorkerError, match=r"died: killed by SIGKILL \(restarts: 2 of 2\)"):
        pool.train(small_config(**LONG), "nstep", 0, kill_one, max_restarts=2)


def test_an_exception_in_a_worker_comes_with_its_traceback():
    gymnasium.register("OnlyHere-v0", CartPoleEnv, max_episode_steps=500)
    try:
        with pytest.raises(TrainingError, match=r"worker \d failed: .*OnlyHere") as caught:
            pool.train(small_config(env="OnlyHere-v0"), "nstep", 0)
    finally:
        del gymnasium.registry["OnlyHere-v0"]
    assert "make_vector" in caught.value.args[1]


def test_a_loss_that_is_not_finite_names_actor_and_step():
    config = small_config(nstep={"learning_rate": 1e30, "final_learning_rate": 0.0})
    with pytest.raises(
        TrainingError, match=r"the loss of actor \d is not finite in its update \d+, [\d,]+ env steps into training"
    ):
        pool.train(config, "nstep", 0)


@pytest.fixture
def training(tmp_path):
    """`a3c-bench train` under way, as DVC would run it."""
    write_params(tmp_path, small_params(**LONG))
    process = subprocess.Popen(
        [sys.executable, "-m", "a3c_bench", "train"],
        cwd=tmp_path,
        env=environment(DVC_STAGE="train@nstep-0", A3C_BENCH_SUPERVISOR=str(os.getpid()), **WITHOUT_MLFLOW),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: len(workers_of(process.pid)) == 2)
    children = psutil.Process(process.pid).children(recursive=True)
    yield process, children, tmp_path
    # Not all children of this process: its own fork server is one of them.
    for child in children:
        if child.is_running():
            child.kill()
    process.kill()
    process.wait()
    process.stderr.close()


def assert_clean(children, folder):
    psutil.wait_procs(children, timeout=5)
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    kept = {"params.yaml", ".a3c-bench"}  # the checkpoint to go on from
    assert {path.name for path in folder.iterdir() if not path.name.startswith("ml")} <= kept
    assert not list(folder.glob("**/*.partial"))


@pytest.mark.parametrize(
    ("number", "exit_code", "words"), [(signal.SIGINT, 130, "stopped by Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_a_signal_ends_everything_in_one_line(training, number, exit_code, words):
    process, children, folder = training
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    _, said = process.communicate(timeout=10)
    assert process.returncode == exit_code
    assert words in said
    assert len(said.splitlines()) == 1, said
    assert_clean(children, folder)


def test_no_worker_outlives_a_main_process_that_was_killed(training):
    process, children, folder = training
    process.kill()
    process.wait()
    assert_clean(children, folder)


def test_a_dead_worker_ends_the_command_with_exit_code_1(training):
    process, children, folder = training
    start = time.monotonic()
    workers_of(process.pid)[0].kill()
    _, said = process.communicate(timeout=10)
    assert time.monotonic() - start < 10
    assert process.returncode == 1
    assert "died: killed by SIGKILL" in said
    assert "Traceback" not in said
    assert_clean(children, folder)


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("victim", ["make", "dvc"])
def test_training_ends_with_the_process_that_wanted_it(tmp_path, shell, victim):
    """`make` runs `dvc`, which runs a stage through a shell; when either is killed, the stage ends too.

    Only `make` tells the stage who it is; that DVC is gone the stage must notice by itself.
    """
    write_params(tmp_path, small_params(**LONG))
    stage = train_command()
    (tmp_path / "dvc.py").write_text(f"import subprocess; subprocess.run([{shell!r}, '-c', {stage!r}])")
    supervisor = "{'A3C_BENCH_SUPERVISOR': str(os.getpid())}" if victim == "make" else "{}"
    make = f"import subprocess, os; subprocess.run([{sys.executable!r}, 'dvc.py'], env=os.environ | {supervisor})"
    process = subprocess.Popen(
        [sys.executable, "-c", make],
        cwd=tmp_path,
        env=environment(DVC_STAGE="train@nstep-0", **WITHOUT_MLFLOW),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    family = below(process)
    try:
        wait_until(lambda: count_forked(process) >= 3)
        family = below(process)
        (process if victim == "make" else family[0]).kill()
        process.wait()
        _, alive = psutil.wait_procs(family, timeout=10)
        assert not alive
    finally:
        for child in family + below(process):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        process.kill()
        process.wait()


def train_command():
    """The stage's command as dvc.yaml has it, but with this checkout's source."""
    command = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]["train"]["cmd"]
    return command.replace("=src python", f"={ROOT / 'src'} {sys.executable}").replace(
        "${item}", "--algorithm nstep --seed 0"
    )


def test_the_textbook_loop_ends_with_the_process_that_wanted_it():
    code = (
        "import subprocess, sys; subprocess.run([sys.executable, '-m', 'a3c_bench.textbook', 'CartPole-v1', '2', "
        "'1000000', '0'], capture_output=True)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env=environment())
    wait_until(lambda: len(below(process)) == 3)
    family = below(process)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive


def below(process):
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def count_forked(process):
    """The fork server and the workers below `process`; a child that ends meanwhile is none."""
    count = 0
    for child in below(process):
        with contextlib.suppress(psutil.NoSuchProcess):
            count += "forkserver" in " ".join(child.cmdline())
    return count
