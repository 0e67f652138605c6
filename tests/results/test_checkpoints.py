"""An interrupted `train` goes on to the same files; what is not surely one's own checkpoint is refused."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib import import_module

import pytest
from conftest import ROOT, WITHOUT_MLFLOW, environment, small_config, small_params, write_params

from a3c_bench.results.checkpoints import Checkpoints, code_version, own_code_version

pytestmark = pytest.mark.slow

FILES = ("curve.csv", "updates.csv", "digests.csv", "metrics.json")
LONGER = {"nstep": {"total_steps": 160_000}, "episodic": {"episodes": 400}}


def start(folder, algorithm, *arguments, mlflow=False, **variables):
    command = [sys.executable, "-m", "a3c_bench", "train", "--algorithm", algorithm, *arguments]
    variables = environment(**({} if mlflow else WITHOUT_MLFLOW), **variables)
    return subprocess.Popen(
        command, cwd=folder, env=variables, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def end(process, seconds=10):
    """What it said, and what was said on its behalf by the process that logs to MLflow."""
    _, said = process.communicate(timeout=seconds)
    return said.strip()


def finish(folder, algorithm, *arguments, mlflow=False, **variables):
    process = start(folder, algorithm, *arguments, mlflow=mlflow, **variables)
    said = end(process, seconds=120)
    assert process.returncode == 0, said
    return said


def results(folder, algorithm):
    paths = [folder / "reports" / "train" / algorithm / "seed-0" / name for name in FILES]
    return [path.read_bytes() for path in [*paths, folder / "models" / algorithm / "seed-0.safetensors"]]


def checkpoints(folder):
    return sorted((folder / ".a3c-bench" / "checkpoints").glob("*/*.checkpoint"))


def interrupt(folder, algorithm, number=signal.SIGTERM, count=2, mlflow=False):
    """Train until there are `count` checkpoints, then send the signal."""
    process = start(folder, algorithm, mlflow=mlflow)
    deadline = time.monotonic() + 60
    while len(checkpoints(folder)) < count and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    said = end(process, seconds=120 if mlflow else 10)
    return process.returncode, said


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    write_params(folder, small_params(**LONGER))
    for algorithm in ("nstep", "episodic"):
        finish(folder, algorithm)
    assert not (folder / ".a3c-bench").exists()
    return folder


def prepare(folder, undisturbed):
    shutil.copy(undisturbed / "params.yaml", folder)


@pytest.fixture
def folder(tmp_path, undisturbed):
    prepare(tmp_path, undisturbed)
    return tmp_path


@pytest.mark.parametrize("mlflow", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("algorithm", ["nstep", "episodic"])
@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_an_interrupted_training_goes_on_to_the_same_files(algorithm, number, exit_code, mlflow, folder, undisturbed):
    code, said = interrupt(folder, algorithm, number, mlflow=mlflow)
    assert code == exit_code
    if number != signal.SIGKILL:
        assert len(said.splitlines()) == 1
        assert "the same command goes on from there" in said
    assert not (folder / "models").exists()
    assert "goes on from the checkpoint at turn" in finish(folder, algorithm, mlflow=mlflow)
    assert results(folder, algorithm) == results(undisturbed, algorithm)
    assert not (folder / ".a3c-bench").exists()


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def damage_the_header(path):
    path.write_bytes(b"[]" + path.read_bytes())


def damage_what_it_is_of(path):
    path.write_bytes(path.read_bytes().replace(b'"identity"', b'"identitx"', 1))


def empty(path):
    path.write_bytes(b"")


def open_to_others(path):
    path.chmod(0o644)


def give_away(path):
    os.chown(path, 12345, 12345)


def link(path):
    target = path.with_name("elsewhere")
    path.rename(target)
    path.symlink_to(target)


def link_hard(path):
    path.with_name("elsewhere").hardlink_to(path)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory, undisturbed):
    """A folder in which a training left two checkpoints."""
    folder = tmp_path_factory.mktemp("interrupted")
    prepare(folder, undisturbed)
    interrupt(folder, "nstep", signal.SIGKILL)
    return folder


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (cut_short, "damaged"),
        (flip_a_bit, "damaged"),
        (damage_the_header, "damaged"),
        (damage_what_it_is_of, "damaged"),
        (empty, "damaged"),
        (open_to_others, "open to other users (mode 644)"),
        (give_away, "belongs to another user (number 12345)"),
        (link, "symbolic links"),
        (link_hard, "not a plain file of its own"),
    ],
)
def test_a_bad_checkpoint_is_refused_and_the_one_before_it_used(
    change, words, interrupted, tmp_path, monkeypatch, capfd
):
    if change is give_away and os.geteuid():
        pytest.skip("only root can give a file away")
    shutil.copytree(interrupted / ".a3c-bench", tmp_path / ".a3c-bench", ignore=shutil.ignore_patterns("*.lock"))
    monkeypatch.chdir(tmp_path)
    older, newer = checkpoints(tmp_path)[-2:]
    change(newer)
    with Checkpoints(small_config(**LONGER), "nstep", 0) as found:
        checkpoint = found.newest()
        assert newer.exists() == (words != "damaged")
        assert older.exists()
    said = capfd.readouterr().err
    assert words in said
    assert "goes on from the checkpoint at turn" in said
    assert checkpoint.turn == int(older.stem)
    assert words != "damaged" or not (tmp_path / ".a3c-bench").exists()


def test_a_checkpoint_of_other_params_is_left_alone(folder):
    interrupt(folder, "nstep")
    write_params(folder, small_params(nstep={"gamma": 0.5}))
    said = finish(folder, "nstep")
    assert "starts over" in said
    assert "other params" in said
    assert checkpoints(folder)


@pytest.mark.slow
def test_training_goes_on_with_another_number_of_workers(folder, undisturbed):
    interrupt(folder, "nstep")
    write_params(folder, small_params(**LONGER, workers=3))
    assert "goes on from the checkpoint" in finish(folder, "nstep")
    assert results(folder, "nstep") == results(undisturbed, "nstep")


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "variables"), [(["--fresh"], {}), ([], {"A3C_BENCH_FRESH": "1"})])
def test_fresh_ignores_checkpoints(arguments, variables, folder, undisturbed):
    interrupt(folder, "nstep")
    said = finish(folder, "nstep", *arguments, **variables)
    assert "goes on" not in said
    assert results(folder, "nstep") == results(undisturbed, "nstep")


@pytest.mark.slow
def test_a_folder_that_others_can_enter_is_refused(folder, undisturbed):
    (folder / ".a3c-bench").mkdir()
    (folder / ".a3c-bench").chmod(0o755)
    said = finish(folder, "nstep")
    assert "open to other users (mode 755)" in said
    assert "without checkpoints" in said
    assert results(folder, "nstep") == results(undisturbed, "nstep")


def test_an_experiment_of_dvcs_queue_leaves_the_checkpoints_of_the_same_training_to_another(folder, tmp_path):
    write_params(folder, small_params(nstep={"total_steps": 100_000_000}))
    other = tmp_path / "other"
    other.mkdir()
    write_params(other, small_params(nstep={"total_steps": 100_000_000}))
    first = start(folder, "nstep")
    while not checkpoints(folder):
        time.sleep(0.05)
    second = start(other, "nstep", DVC_ROOT=str(folder))
    assert any("another process trains the same" in line for line in second.stderr)
    for process in (second, first):
        process.terminate()
        end(process)
    assert checkpoints(folder)


@pytest.fixture
def source(tmp_path):
    """A copy of the package's source."""
    ignored = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(ROOT / "src" / "a3c_bench", tmp_path / "a3c_bench", ignore=ignored)


@pytest.mark.parametrize(
    "name", ["report/figures/style.py", "commands/x.py", "tracking/tracker.py", "stages/report.py", "cli.py"]
)
def test_a_change_of_a_view_or_a_new_command_leaves_checkpoints_of_use(source, name):
    assert code_version(source) == code_version()
    with (source / name).open("a") as file:
        file.write("# changed\n")
    assert code_version(source) == code_version()


@pytest.mark.parametrize(
    "name", ["learning/returns.py", "training/pool.py", "seeding.py", "algorithms/x.py", "kernels/optimizer.h"]
)
def test_a_change_of_what_trains_makes_checkpoints_useless(source, name):
    with (source / name).open("a") as file:
        file.write("# changed\n")
    assert code_version(source) != code_version()


def test_the_code_of_an_algorithm_from_elsewhere_is_part_of_what_a_checkpoint_is_of(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "an_algorithm_from_elsewhere.py"
    path.write_text("class Settings: imports = {}\n")
    settings = import_module("an_algorithm_from_elsewhere").Settings()
    config = small_config()
    before = own_code_version(config, settings)
    path.write_text("class Settings: imports = {}\n# changed\n")
    assert None not in {before, own_code_version(config, settings)}
    assert before != own_code_version(config, settings)
    assert own_code_version(config, config.algorithm("nstep")) is None


def test_the_code_of_an_environment_and_a_wrapper_from_elsewhere_too(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    environment, wrapper = tmp_path / "an_environment_from_elsewhere.py", tmp_path / "a_wrapper_from_elsewhere.py"
    for path in (environment, wrapper):
        path.write_text("# one\n")
    # As if they were checked already.
    changes = {"env": f"{environment.stem}:Mine-v0", "wrappers": (f"{wrapper.stem}:Mine",)}
    config = small_config().model_copy(update=changes)
    versions = {own_code_version(config, config.algorithm("nstep"))}
    for path in (environment, wrapper):
        path.write_text("# two\n")
        versions.add(own_code_version(config, config.algorithm("nstep")))
    assert len(versions) == 3 and None not in versions
