"""Two at the same files: each file is one writer's, whole; and of two that train the same only one does."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import WITHOUT_MLFLOW, environment, small_params, write_params

from a3c_bench.errors import BadInputError
from a3c_bench.results.files import write_all
from a3c_bench.results.private import locked, only_one

CALLS = 150
WRITER = """
import sys
import threading
from pathlib import Path
from a3c_bench.results.files import write_all
from a3c_bench.results.private import locked, only_one
for call in range({calls}):
    write_all({{Path("out", name): sys.argv[1].encode() * 5000 for name in ("a.csv", "b.json", "c.safetensors")}})
"""


def python(code, folder, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environment(**WITHOUT_MLFLOW),
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_writers_in_a_tight_loop_never_fail_and_no_short_file_is_seen(workspace):
    writers = [python(WRITER.format(calls=CALLS), workspace, letter) for letter in "xy"]
    sizes = set()
    while any(writer.poll() is None for writer in writers):
        sizes |= {path.stat().st_size for path in (workspace / "out").glob("[abc].*")}
    assert [writer.communicate()[1] for writer in writers] == ["", ""]
    assert sizes <= {5000}
    contents = {path.name: path.read_bytes() for path in (workspace / "out").iterdir()}
    assert contents.keys() == {"a.csv", "b.json", "c.safetensors"}
    assert all(content in (b"x" * 5000, b"y" * 5000) for content in contents.values())


def test_a_link_that_was_planted_is_not_followed(workspace):
    Path("victim").write_text("dear")
    Path(".a.csv.partial").symlink_to("victim")
    Path("a.csv").symlink_to("victim")
    write_all({Path("a.csv"): b"new"})
    assert Path("victim").read_text() == "dear"
    assert not Path("a.csv").is_symlink()
    assert Path("a.csv").read_bytes() == b"new"


def test_a_folder_in_the_place_of_one_file_keeps_all_from_being_written(workspace):
    Path("b.json").mkdir()
    with pytest.raises(BadInputError, match=r"^b.json: cannot be written \(a folder has its name\)"):
        write_all({Path("a.csv"): b"new", Path("b.json"): b"new"})
    assert {path.name for path in workspace.iterdir()} == {"b.json", "params.yaml"}


def test_what_a_killed_writer_leaves_is_removed_by_the_next_and_what_a_living_one_writes_is_not(workspace):
    signalled = "import os, signal; os.fsync = lambda _: os.kill(os.getpid(), signal.{})" + WRITER.format(calls=1)
    killed = python(signalled.replace("{}", "SIGKILL", 1), workspace, "x")
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    (left,) = (workspace / "out").iterdir()
    living = python(signalled.replace("{}", "SIGSTOP", 1), workspace, "y")
    os.waitid(os.P_PID, living.pid, os.WSTOPPED)
    assert not left.exists()
    write_all({Path("out", "a.csv"): b"new"})
    living.send_signal(signal.SIGCONT)
    for _ in "bc":
        os.waitid(os.P_PID, living.pid, os.WSTOPPED)
        living.send_signal(signal.SIGCONT)
    assert living.communicate()[1] == ""
    assert Path("out", "a.csv").read_bytes() == b"y" * 5000
    assert {path.name for path in Path("out").iterdir()} == {"a.csv", "b.json", "c.safetensors"}


# --- trainings

TURNED_AWAY = re.compile(
    r"a3c-bench: nstep seed 0 is being trained by another process \(pid (\d+)\); wait for its end, or stop it\n"
)


@pytest.fixture(scope="module")
def race():
    program = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("race.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(**WITHOUT_MLFLOW),
    )

    def run(folder, count):
        program.stdin.write(json.dumps({"folder": str(folder), "count": count}) + "\n")
        program.stdin.flush()
        return json.loads(program.stdout.readline())

    yield run
    program.stdin.close()
    program.wait(10)
    program.stdout.close()


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_one_trains(race, folder, count, rounds):
    write_params(folder, small_params(nstep={"total_steps": 1_600}))
    assert race(folder, 1)[0][1:] == [0, ""]
    expected = files(folder)
    assert len(expected) == 1 + 3 + 4
    for _ in range(rounds):
        for name in ("models", "reports"):
            shutil.rmtree(folder / name)
        answers = race(folder, count)
        winners = {pid for pid, code, _ in answers if code == 0}
        assert winners, answers
        for pid, code, errors in answers:
            told = TURNED_AWAY.fullmatch(errors)
            assert (code, errors) == (0, "") or (code == 2 and told and int(told[1]) in winners - {pid}), answers
        assert files(folder) == expected


@pytest.mark.parametrize("count", [2, 4])
def test_of_trainings_of_one_seed_at_once_one_trains(race, workspace, count):
    assert_one_trains(race, workspace, count, 3)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("count", [2, 4])
def test_of_trainings_of_one_seed_at_once_one_trains_every_time(race, workspace, count):
    assert_one_trains(race, workspace, count, 100)


@pytest.fixture
def trained_by_another(workspace):
    """A training that does not end by itself."""
    write_params(workspace, small_params(nstep={"total_steps": 100_000_000}))
    command = [sys.executable, "-m", "a3c_bench", "train"]
    process = subprocess.Popen(
        command,
        cwd=workspace,
        env=environment(**WITHOUT_MLFLOW),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not list(workspace.glob(".a3c-bench/checkpoints/*/*.checkpoint")):
        assert process.poll() is None
        time.sleep(0.05)
    yield process
    process.kill()
    process.wait()


def test_the_second_training_is_told_who_trains_and_does_nothing(trained_by_another, a3c_bench, workspace):
    before = {path for path in workspace.rglob("*") if path.suffix not in {".checkpoint", ".partial"}}
    result = a3c_bench("train", "--fresh", **WITHOUT_MLFLOW)
    assert result.returncode == 2
    assert int(TURNED_AWAY.fullmatch(result.stderr)[1]) == trained_by_another.pid
    assert result.stdout == ""
    after = {path for path in workspace.rglob("*") if path.suffix not in {".checkpoint", ".partial"}}
    assert {path for path in after - before if "mlflow" not in path.name} == set()


@pytest.mark.slow
def test_a_killed_training_keeps_nobody_away(trained_by_another, a3c_bench, workspace):
    trained_by_another.kill()
    trained_by_another.wait()
    write_params(workspace, small_params(nstep={"total_steps": 1_600}))
    assert a3c_bench("train", **WITHOUT_MLFLOW).returncode == 0
    assert not list(workspace.glob(".a3c-bench/*.lock"))


def test_the_second_training_waits_for_the_number_of_one_that_has_just_begun(workspace):
    path = workspace / ".a3c-bench" / "nstep-seed-0.lock"
    begun = locked(path, os.O_RDWR | os.O_CREAT, [path.parent])
    threading.Timer(0.05, os.write, (begun, b"4321")).start()
    with pytest.raises(BadInputError, match=r"by another process \(pid 4321\); wait"), only_one("nstep", 0):
        pass
    os.close(begun)


def test_a_lock_of_nobody_known_keeps_away_all_the_same(workspace):
    path = workspace / ".a3c-bench" / "nstep-seed-0.lock"
    begun = locked(path, os.O_RDWR | os.O_CREAT, [path.parent])
    with pytest.raises(BadInputError, match=r"by another process; wait"), only_one("nstep", 0):
        pass
    os.close(begun)
