"""The tracking process: it outlives the stage, holds up nobody, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from conftest import environment, small_config, small_params, wait_until, write_params

from a3c_bench.errors import BadInputError
from a3c_bench.supervision import StoppedError
from a3c_bench.tracking import channel, live, presence
from a3c_bench.tracking.tracker import Tracker

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # MLflow's own warnings
LONG = {"nstep": {"total_steps": 200_000_000, "envs": 32}, "workers": 1}


@pytest.fixture
def temporary(workspace, monkeypatch):
    """Where temporary files go: all are gone when nobody logs any more, and so is the lock."""
    folder = workspace / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    yield folder
    assert presence.wait_for_all(workspace)
    assert not list(folder.iterdir())
    assert not (workspace / ".a3c-bench" / "tracking.lock").exists()


def tracker(stage="train", algorithm="nstep"):
    return Tracker(stage, small_config(), algorithm, 0 if algorithm else None)


def tracking_process():
    return psutil.Process(channel._started[-1].pid)


def statuses(runs):
    return {name: run.info.status for name, run in runs() if not name.startswith("pipeline")}


NO_RUN = SimpleNamespace(data=SimpleNamespace(metrics={}))
"""In place of one that is not there yet."""


def ignore(turn, env_steps, returns):
    pass


# --- how a stage may end


@pytest.mark.parametrize(
    ("error", "status"), [(None, "FINISHED"), (ValueError(), "FAILED"), (StoppedError("Ctrl-C", 130), "KILLED")]
)
def test_a_run_ends_as_its_stage_did(temporary, runs, error, status):
    try:
        with tracker():
            if error:
                raise error
    except BaseException as raised:
        assert raised is error
    assert presence.wait_for_all()
    assert statuses(runs) == {"train nstep seed 0": status}


def test_a_killed_stage_has_shown_its_curve_and_leaves_no_run_that_seems_to_go_on(workspace, temporary, runs):
    write_params(workspace, small_params(**LONG))
    stage = subprocess.Popen(
        [sys.executable, "-m", "a3c_bench", "train"],
        env=environment(TMPDIR=str(temporary)),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until(lambda: "return/training" in dict(runs()).get("train nstep seed 0", NO_RUN).data.metrics, 200)
    assert statuses(runs) == {"train nstep seed 0": "RUNNING"}
    os.killpg(stage.pid, signal.SIGKILL)
    stage.wait()
    assert presence.wait_for_all()
    assert statuses(runs) == {"train nstep seed 0": "KILLED"}


def test_a_run_takes_as_long_as_its_stage(temporary, runs):
    with tracker():
        pass
    assert presence.wait_for_all()
    for _, run in runs():
        assert run.info.end_time - run.info.start_time < 1000


def test_a_pipeline_takes_from_its_first_stage_to_its_last(temporary, runs):
    for stage in ("train", "evaluate"):
        with tracker(stage):
            time.sleep(0.2)
        assert presence.wait_for_all()
    found = dict(runs())
    (pipeline,) = [run for name, run in found.items() if name.startswith("pipeline")]
    assert pipeline.info.start_time == found["train nstep seed 0"].info.start_time
    assert pipeline.info.end_time == found["evaluate nstep seed 0"].info.end_time
    assert pipeline.info.status == "FINISHED"


def test_a_pipeline_ends_as_its_last_stage_did(temporary, runs):
    def pipeline():
        return [run.info.status for name, run in runs() if name.startswith("pipeline")]

    with pytest.raises(ValueError), tracker():
        raise ValueError
    assert presence.wait_for_all()
    assert {run.info.status for _, run in runs()} == {"FAILED"}
    with tracker():
        wait_until(lambda: pipeline() == ["RUNNING"], 200)
    assert presence.wait_for_all()
    assert pipeline() == ["FINISHED"]


def test_a_run_begins_where_its_tracker_is_made(temporary, runs):
    """The profile measures first, with nothing beside it."""
    made = tracker("profile", None)
    time.sleep(0.3)
    with made:
        made.points({"one": {"speedup": 2.0, "efficiency": None}}, {"one": {"workers": 3}}, {"one": 0.25})
    assert presence.wait_for_all()
    found = dict(runs())
    assert found["profile"].info.end_time - found["profile"].info.start_time >= 300
    point = found["one"]
    assert point.info.end_time - point.info.start_time == 250
    assert point.data.metrics == {"profile/speedup": 2.0}
    assert point.data.params["workers"] == point.data.tags["workers"] == "3"
    assert point.data.params["schedule"] == "ordered"


# --- what is shown meanwhile


def test_the_curve_arrives_while_training_runs_and_nothing_twice(temporary, runs, client, monkeypatch):
    monkeypatch.setattr(live, "SECONDS", 0.0)
    with tracker() as tracked:
        watcher = tracked.live(ignore)
        for report in range(4):
            watcher(16 * report, 320 * report, np.tile([1.0, 3.0], 50))
        wait_until(lambda: "return/training" in dict(runs()).get("train nstep seed 0", NO_RUN).data.metrics, 200)
        run = dict(runs())["train nstep seed 0"]
        assert run.info.status == "RUNNING"
    assert presence.wait_for_all()
    curve = client.get_metric_history(run.info.run_id, "return/training")
    assert [(point.step, point.value) for point in curve] == [(step, 2.0) for step in range(320, 961, 64)]


def test_live_points_lie_where_those_of_the_whole_curve_do(monkeypatch):
    monkeypatch.setattr(live, "SECONDS", 0.0)
    shown = live.Live(turns=1000)
    assert not shown.due()
    shown.add(100, 1000, np.ones(3))
    assert not shown.due()
    shown.add(110, 1100, np.full(100, 1.0))
    shown.add(120, 1200, np.full(100, 3.0))
    # 10,000 env steps in all, so 64 from one point to the next; the first of which 100 episodes are known.
    assert shown.due() == [("return/training", 2.04, 1152)]
    assert not shown.has_shown(1152)
    shown.sent()
    assert [shown.has_shown(step) for step in (1088, 1152, 1216)] == [False, True, False]
    shown.add(90, 900, np.ones(3))
    assert not shown.due()  # all workers began again before that
    shown.add(130, 1300, np.full(100, 5.0))
    assert shown.due() == [("return/training", 3.32, 1216), ("return/training", 4.6, 1280)]


def test_nobody_waits_for_a_process_that_takes_nothing(temporary, monkeypatch, capsys):
    monkeypatch.setattr(live, "SECONDS", 0.0)
    monkeypatch.setattr(channel, "SENDING_SECONDS", 0.1)
    monkeypatch.setattr(channel, "PIPE_BYTES", 1 << 14)
    with tracker() as tracked:
        process = tracking_process()
        process.suspend()
        watcher = tracked.live(ignore)
        for turn in range(2_000):
            watcher(turn, 10 * turn, np.ones(40))
        # What it could not show is shown later.
        assert len(tracked._live.due()) > 1
        tracked.metrics("figures", dict.fromkeys(map(str, range(1000)), 1))
    process.resume()
    (line,) = capsys.readouterr().err.splitlines()
    assert "MLflow is left out of this stage (its process has taken nothing for" in line


# --- what the process may meet


@pytest.fixture
def silent_store():
    """The address of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server, f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_stage_ends_while_its_process_still_waits_for_an_answer(workspace, temporary, silent_store):
    server, address = silent_store
    write_params(workspace, small_params(nstep={"total_steps": 800}))
    with Path("errors").open("w") as errors:
        command = [sys.executable, "-m", "a3c_bench", "train"]
        variables = environment(MLFLOW_TRACKING_URI=address, TMPDIR=str(temporary))
        subprocess.run(command, env=variables, stderr=errors, stdout=subprocess.DEVNULL, check=True, timeout=100)
    assert not presence.wait_for_all(seconds=0)
    server.close()
    assert presence.wait_for_all()
    (line,) = Path("errors").read_text().splitlines()
    assert line.startswith("a3c-bench: MLflow is left out of this stage (")


def test_it_leaves_the_cpu_to_others_but_not_for_ever(workspace, temporary, silent_store, monkeypatch):
    """Where all is busy, a process that never takes its share would log for minutes, and hold up all that wait."""
    server, address = silent_store
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with tracker():
        logging = tracking_process()
        group = Path(f"/proc/{logging.pid}/autogroup")
        assert logging.nice() == 19
        assert not group.exists() or group.read_text().endswith("nice 19\n")
    ended = time.monotonic()
    wait_until(lambda: not group.exists() or group.read_text().endswith("nice 0\n"), 100)
    assert time.monotonic() - ended > 20
    if os.geteuid() == 0:
        wait_until(lambda: logging.nice() == 0)
    server.close()


def test_several_at_once_share_one_pipeline_and_lose_nothing(temporary, runs):
    stages = [tracker(stage) for stage in ("train", "evaluate", "film")]
    for stage in stages:
        stage.__enter__()
    for stage in stages:
        stage.metrics("figures", {"one": 1, "none": None})
        stage.__exit__(None, None, None)
    assert presence.wait_for_all()
    names = [name for name, _ in runs()]
    assert len([name for name in names if name.startswith("pipeline")]) == 1
    assert set(statuses(runs).values()) == {"FINISHED"}
    assert len(names) == 4
    assert all(run.data.metrics == {"figures/one": 1.0} for name, run in runs() if not name.startswith("pipeline"))


def test_files_are_logged_as_they_were(workspace, temporary, runs, client):
    Path("folder").mkdir()
    for path in (Path("file"), Path("folder", "inner")):
        path.write_text("then")
    with tracker() as tracked:
        tracked.artifacts([Path("file"), Path("folder")])
    Path("file").write_text("now")
    Path("folder", "inner").unlink()
    assert presence.wait_for_all()
    run = dict(runs())["train nstep seed 0"].info.run_id
    assert [artifact.path for artifact in client.list_artifacts(run, "folder")] == ["folder/inner"]
    assert Path(client.download_artifacts(run, "file", workspace)).read_text() == "then"


def test_told_to_end_it_ends_tidily(temporary, runs, capsys):
    with tracker() as tracked:
        process = tracking_process()
        wait_until(lambda: "RUNNING" in statuses(runs).values(), 200)
        process.terminate()
        assert presence.wait_for_all()
        wait_until(lambda: channel._started[-1].poll() is not None)  # it reads no more, also what comes from now on
        tracked.metrics("figures", {"one": 1})
    assert statuses(runs) == {"train nstep seed 0": "KILLED"}
    (line,) = capsys.readouterr().err.splitlines()
    assert "MLflow is left out of this stage (its process is gone" in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_what_a_terminal_sends_does_not_end_it(temporary, runs, number):
    with tracker():
        process = tracking_process()
        wait_until(lambda: "RUNNING" in statuses(runs).values(), 200)
        process.send_signal(number)
    assert presence.wait_for_all()
    assert statuses(runs) == {"train nstep seed 0": "FINISHED"}


def test_a_folder_that_vanishes_with_the_stage_takes_nothing_away(workspace, temporary, runs, monkeypatch):
    """As DVC's temporary folders do, whose runs belong to the repository."""
    folder = workspace / "experiment"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_ROOT", str(workspace))
    Path("file").write_text("x")
    with tracker() as tracked:
        tracked.artifacts([Path("file")])
        wait_until(lambda: Path(f"/proc/{tracking_process().pid}/cwd").readlink() == workspace)
    Path("file").unlink()
    folder.rmdir()
    assert presence.wait_for_all()
    assert statuses(runs) == {"train nstep seed 0": "FINISHED"}


# --- who still logs


def test_the_lock_goes_with_the_last_that_holds_it(workspace):
    (path, first), (_, second) = presence.hold(), presence.hold()
    presence.leave(path, first)
    assert path.exists()
    assert not presence.wait_for_all(seconds=0)
    presence.leave(path, second)
    assert not path.parent.exists()
    assert presence.wait_for_all(seconds=0)


def test_a_lock_that_was_left_behind_keeps_nobody_waiting(workspace):
    path, descriptor = presence.hold()
    os.close(descriptor)
    assert presence.wait_for_all(seconds=0)
    assert not path.exists()


def test_a_folder_that_others_can_enter_is_not_used(workspace, capsys):
    Path(".a3c-bench").mkdir(mode=0o755)
    with tracker() as tracked:
        tracked.metrics("figures", {"one": 1})
    (line,) = capsys.readouterr().err.splitlines()
    assert "MLflow is left out of this stage (" in line
    assert "open to other users" in line


# --- the variable


def test_a_stage_waits_for_its_process_where_that_is_wanted(temporary, runs, monkeypatch):
    monkeypatch.setenv("A3C_BENCH_TRACKING", "wait")
    with tracker():
        pass
    assert statuses(runs) == {"train nstep seed 0": "FINISHED"}


def test_nothing_is_logged_where_that_is_wanted(workspace, monkeypatch):
    monkeypatch.setenv("A3C_BENCH_TRACKING", "off")
    with tracker() as tracked:
        tracked.metrics("figures", {"one": 1})
    assert not list(workspace.glob("mlflow*"))
    assert not Path(".a3c-bench").exists()


def test_another_value_is_refused(monkeypatch):
    monkeypatch.setenv("A3C_BENCH_TRACKING", "perhaps")
    with pytest.raises(BadInputError, match="A3C_BENCH_TRACKING: 'perhaps'; allowed: off, wait, or nothing"):
        tracker()
