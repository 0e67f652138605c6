"""The image as its users run it: verified, mounted, limited, stopped, and beside an MLflow server."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, free_port, small_params, write_params
from engine import engine as running_engine
from packages import build_options

pytestmark = [pytest.mark.image, pytest.mark.timeout(1500)]
IMAGE = "a3c-bench"
OWNER = 1234
"""The user on whose behalf the container runs: neither root nor the image's own."""
with_compose = pytest.mark.skipif(not shutil.which("docker-compose"), reason="docker-compose is not installed")


def git(folder, *arguments):
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def engine():
    with running_engine() as started:
        started.import_stand_in()
        yield started


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clean clone of the current commit."""
    folder = tmp_path_factory.mktemp("context") / "clone"
    git(ROOT, "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder))
    git(folder, "config", "user.name", "nobody")
    git(folder, "config", "user.email", "nobody@example.org")
    return folder


@pytest.fixture(scope="module")
def build(engine, clone):
    """Builds the image of the clone's commit; returns what the builder said."""
    with build_options() as options:

        def run():
            revision = ["--build-arg", f"REVISION={git(clone, 'rev-parse', 'HEAD')}"]
            command = ["build", "--progress=plain", "--network=host", *options, *revision, f"--tag={IMAGE}"]
            return engine.docker(*command, str(clone)).stderr

        yield run


@pytest.fixture(scope="module")
def image(build):
    build()
    return IMAGE


@pytest.fixture
def repository(clone, tmp_path_factory):
    """A clone with small params that belongs to somebody else, as a caller's own does."""
    folder = tmp_path_factory.mktemp("mounted") / "repository"
    git(clone, "clone", "--quiet", str(clone), str(folder))
    write_params(folder, small_params())
    subprocess.run(["chown", "--recursive", f"{OWNER}:{OWNER}", str(folder)], check=True)
    for parent in (folder.parent, folder.parent.parent):
        parent.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def owners(folder):
    """Who owns what is in there."""
    return {os.lstat(Path(place) / name).st_uid for place, names, files in os.walk(folder) for name in names + files}


def test_verify_alone_reproduces_the_committed_results(engine, image):
    said = engine.run("--read-only", "--tmpfs", "/tmp", image, "verify", "--seeds", "0").stdout
    assert re.search(r"^reproduced (\d+) of \1$", said, re.MULTILINE), said


def test_it_has_the_commit_and_neither_root_nor_compiler_nor_cache(engine, image, clone):
    labels = json.loads(engine.docker("inspect", "--format={{json .Config.Labels}}", image).stdout)
    commit = git(clone, "rev-parse", "HEAD")
    assert labels["org.opencontainers.image.revision"] == commit
    script = "id -u; git rev-parse HEAD; git status --porcelain; which gcc cc make; ls -A ~/.cache /root/.cache"
    said = engine.run(image, "sh", "-c", script, check=False).stdout
    assert said.splitlines() == ["1000", commit]


def test_repro_on_a_mounted_repository_belongs_to_the_caller(engine, image, repository):
    mounted = ("--user", f"{OWNER}:{OWNER}", "--volume", f"{repository}:/repo", "--cpus", "1")
    said = engine.run(*mounted, image, "repro").stdout
    # All stages but `preset`, whose result came with the clone and knows nothing of the test's params.
    assert "Stage 'preset' didn't change" in said
    assert said.count("Running stage") == 9, said
    assert said.endswith("the report: reports/index.html\n"), "it ends as `make repro` does"
    assert owners(repository) == {OWNER}
    # What it may use is one core, whatever the host has.
    assert json.loads((repository / "reports/machine/machine.json").read_text())["cores"] == 1
    with (repository / "reports/profile/points.csv").open() as file:
        marks = {(row["algorithm"], row["workers"]): row["oversubscribed"] for row in csv.DictReader(file)}
    assert {workers: mark for (algorithm, workers), mark in marks.items() if algorithm == "nstep"} == {
        "1": "0",
        "2": "1",
    }
    # Nothing to do again but the fingerprint; then an experiment, with git's identity of the image.
    assert engine.run(*mounted, image, "repro").stdout.count("Running stage") == 1
    engine.run(*mounted, image, "dvc", "exp", "run", "--name", "four", "-S", "workers=4", "train@nstep-0")
    assert "four" in engine.run(*mounted, image, "dvc", "exp", "list", "--name-only").stdout
    assert owners(repository) == {OWNER}


@pytest.mark.parametrize("limit", [("--cpus", "1"), ("--cpuset-cpus", "0")])
def test_the_cores_are_the_containers(engine, image, limit):
    command = "from a3c_bench.machine import cores; print(cores())"
    assert engine.run(*limit, image, "python", "-c", command).stdout == "1\n"


@pytest.mark.parametrize(
    ("options", "verb", "said"),
    [
        (("--read-only",), "check", "a3c-bench: /tmp: cannot be written; with --read-only, add --tmpfs /tmp:exec"),
        (("--read-only", "--tmpfs", "/tmp"), "repro", "a3c-bench: /repo: cannot be written by user 1000; add --user"),
        (("--user", "1234"), "repro", "a3c-bench: /repo: cannot be written by user 1234; add --user 1000:1000"),
    ],
)
def test_what_cannot_be_written_is_told_in_one_line(engine, image, options, verb, said):
    result = engine.run(*options, image, verb, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith(said)
    assert len(result.stderr.splitlines()) == 1


def test_sigterm_ends_it_with_a_checkpoint(engine, image):
    long = "sed -i '0,/total_steps: .*/s//total_steps: 100000000/' params.yaml && exec entrypoint repro"
    name = engine.docker("run", "--detach", "--network=none", image, "sh", "-c", long)
    name = name.stdout.strip()
    try:
        for _ in range(600):
            if "env steps" in engine.docker("logs", name).stdout:
                break
            time.sleep(0.1)
        # After five seconds it would be killed: exit code 137.
        engine.docker("stop", "--time=5", name)
        state = json.loads(engine.docker("inspect", "--format={{json .State}}", name).stdout)
        said = engine.docker("logs", name)
    finally:
        engine.docker("rm", "--force", name)
    assert state["ExitCode"] == 128 + signal.SIGTERM, said
    assert "its checkpoint is at turn" in said.stderr


def test_a_change_of_the_code_does_not_install_again(build, image, clone):
    path = clone / "src" / "a3c_bench" / "errors.py"
    path.write_text(path.read_text() + "\n# A change.\n")
    git(clone, "commit", "--quiet", "--all", "--message=a change")
    said = build()
    cached = set(re.findall(r"^#(\d+) CACHED", said, re.MULTILINE))
    steps = {text: number for number, text in re.findall(r"^#(\d+) (\[.*)", said, re.MULTILINE)}
    (install,) = [number for text, number in steps.items() if "--constraint requirements.lock" in text]
    (checkout,) = [number for text, number in steps.items() if "git clone" in text]
    assert install in cached, said
    assert checkout not in cached, said


@contextmanager
def services(engine, repository, *options, **variables):
    """docker-compose on a repository, as a function; what it starts is gone at the end."""
    told = {**engine.variables, "OWNER": f"{OWNER}:{OWNER}", **variables}

    def compose(*arguments):
        command = ["docker-compose", "--project-directory", repository, "--file", repository / "compose.yaml", *options]
        result = subprocess.run([*command, *arguments], env=told, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    try:
        yield compose
    finally:
        compose("down", "--volumes", "--remove-orphans")


@with_compose
def test_the_services_come_up_and_serve_the_runs(engine, image, repository):
    port = free_port()

    def ask(path, content=None):
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    with services(engine, repository, MLFLOW_PORT=str(port)) as compose:
        compose("up", "--detach")
        name = compose("ps", "--quiet", "pipeline").strip()
        assert engine.docker("wait", name).stdout == "0\n", engine.docker("logs", name).stdout
        assert "MLflow is left out" not in engine.docker("logs", name).stderr
        experiment = json.loads(ask("/api/2.0/mlflow/experiments/get-by-name?experiment_name=a3c-bench"))
        wanted = {"experiment_ids": [experiment["experiment"]["experiment_id"]]}
        runs = json.loads(ask("/api/2.0/mlflow/runs/search", wanted))["runs"]
        ids = {run["info"]["run_name"]: run["info"]["run_id"] for run in runs}
        assert {"train nstep seed 0", "train episodic seed 0", "profile", "report"} <= set(ids), ids
        (pipeline,) = (number for name, number in ids.items() if name.startswith("pipeline"))
        page = ask(f"/get-artifact?path=index.html&run_uuid={pipeline}")
        assert page == (repository / "reports" / "index.html").read_bytes()
    assert owners(repository) == {OWNER}


@with_compose
def test_three_containers_train_one_model_to_the_bits_of_one(engine, image, repository):
    """As `make up-hosts` starts them."""
    with services(engine, repository, "--profile", "hosts", A3C_BENCH_SECRET="what the three know") as compose:
        command = ("--abort-on-container-exit", "--exit-code-from", "head", "head", "joining", "joining-too")
        said = compose("up", *command)
    by_three = hashes(repository)
    assert len(by_three) == 2 * 7, by_three
    for host in (1, 2):
        assert len(re.findall(rf"host {host} of 3: actors", said)) == 2, said
    assert said.count(" is complete") == 4, said
    assert owners(repository) == {OWNER}
    mounted = ("--user", f"{OWNER}:{OWNER}", "--volume", f"{repository}:/repo")
    alone = ("dvc", "repro", "--force", "--single-item", "train@nstep-0", "train@episodic-0")
    assert engine.run(*mounted, image, *alone).stdout.count("Running stage") == 2
    assert hashes(repository) == by_three


def hashes(repository):
    """What the trainings of seed 0 left behind in there."""
    found = [path for name in ("models", "reports/train") for path in (repository / name).rglob("*") if path.is_file()]
    return {path: sha256(path.read_bytes()).hexdigest() for path in found if "seed-0" in str(path)}


def test_stopped_half_way_the_engine_leaves_nothing():
    with subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "container" / "engine.py")], stdout=subprocess.PIPE, text=True
    ) as process:
        folder, number = process.stdout.readline().split()
        children = psutil.Process(int(number)).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
    psutil.wait_procs(children, timeout=10)
    assert not psutil.pid_exists(int(number))
    assert not any(child.is_running() for child in children)
    assert not Path(folder).exists()
    assert folder not in Path("/proc/mounts").read_text()
    assert not any(folder in " ".join(other.info["cmdline"] or []) for other in psutil.process_iter(["cmdline"]))
