"""What a team shares: MLflow on a real PostgreSQL, and a remote of DVC's on a server that speaks S3."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from conftest import ROOT, environment, free_port, wait_until
from repository import DVC, Repository
from ruamel.yaml import YAML

pytestmark = [pytest.mark.sweep, pytest.mark.timeout(400)]
COMPOSE = YAML(typ="safe").load((ROOT / "compose.yaml").read_text())["services"]
KEY, SECRET = "the-team", "what-the-team-knows"
PROGRAMS = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]), None)


@contextmanager
def running(command, ready, **options):
    """A server that is there once `ready` says so, and gone at the end."""
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **options)
        try:
            wait_until(ready, 120)
            yield
        except AssertionError as error:
            log.seek(0)
            raise AssertionError(f"{error}\n{log.read()[-3000:]}") from error
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


def answers(address):
    def ready():
        try:
            return urllib.request.urlopen(address, timeout=2).status == 200
        except OSError:
            return False

    return ready


def listens(port):
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
        return True
    return False


@contextmanager
def postgresql():
    """Debian's, on loopback, as a user of its own; gives its address."""
    folder, port = Path(tempfile.mkdtemp(prefix="postgresql-")), free_port()
    own = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    try:
        if own:
            shutil.chown(folder, **own)
        start = {**own, "cwd": folder}
        initdb = [PROGRAMS / "initdb", "--pgdata=data", "--auth=trust", "--username=mlflow", "--encoding=UTF8"]
        subprocess.run(initdb, check=True, capture_output=True, **start)
        serve = [PROGRAMS / "postgres", "-D", "data", "-h", "127.0.0.1", "-p", str(port), "-k", str(folder)]
        asked = [PROGRAMS / "pg_isready", "--quiet", "--host=127.0.0.1", f"--port={port}"]
        with running(serve, lambda: subprocess.run(asked, check=False).returncode == 0, **start):
            subprocess.run(
                [PROGRAMS / "createdb", "--host=127.0.0.1", f"--port={port}", "--username=mlflow", "mlflow"], check=True
            )
            yield f"127.0.0.1:{port}"
    finally:
        shutil.rmtree(folder)


@contextmanager
def team_server(database, folder):
    """MLflow with the arguments that Compose gives it; its places are here."""
    port = free_port()
    verb, *arguments = COMPOSE["team"]["command"]
    places = {
        "database:5432": database,
        "/data": str(folder),
        "${TEAM_ADDRESS:-localhost}": "x",
    }
    for before, after in places.items():
        arguments = [argument.replace(before, after) for argument in arguments]
    command = [sys.executable, "-m", verb, "server", "--host=127.0.0.1", f"--port={port}", *arguments]
    address = f"http://127.0.0.1:{port}"
    with running(command, answers(f"{address}/health"), cwd=folder, env=environment()):
        yield address


@pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed")
def test_many_hosts_log_to_one_server_on_postgresql(tmp_path, monkeypatch):
    (tmp_path / "server").mkdir()
    hosts = [Repository(tmp_path / f"host-{number}", seeds=[number], algorithms=["nstep"]) for number in range(3)]
    with ExitStack() as stack:
        database = stack.enter_context(postgresql())
        address = stack.enter_context(team_server(database, tmp_path / "server"))
        told = {"MLFLOW_TRACKING_URI": address, "A3C_BENCH_TRACKING": "wait"}
        commands = [host.command(*host.entry("cell", "0"), **told) for host in hosts]
        # At the same moment: none of them finds an experiment yet.
        pair = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        processes = [subprocess.Popen(**command, **pair) for command in commands]
        said = [process.communicate(timeout=200)[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0, 0], said
        assert not [each for each in said if "MLflow is left out" in each], said
        import mlflow

        client = mlflow.MlflowClient(address)
        experiment = client.get_experiment_by_name("a3c-bench")
        found = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
        for number in range(3):
            assert found[f"evaluate nstep seed {number}"].info.status == "FINISHED"
            run = found[f"train nstep seed {number}"]
            assert run.info.status == "FINISHED" and run.info.artifact_uri.startswith("mlflow-artifacts:")
            names = [file.path for file in client.list_artifacts(run.info.run_id)]
            copy = Path(client.download_artifacts(run.info.run_id, next(n for n in names if n.endswith("curve.csv"))))
            assert copy.read_bytes() == hosts[number].left()[f"reports/train/nstep/seed-{number}/curve.csv"]
        assert not list((tmp_path / "server").glob("*.db"))


def test_the_team_is_a_profile_and_nothing_of_it_starts_by_itself():
    assert {name for name, service in COMPOSE.items() if "profiles" not in service} == {"mlflow", "pipeline"}
    assert all(COMPOSE[name]["profiles"] == ["team"] for name in ("team", "database"))
    recipe = (ROOT / COMPOSE["team"]["build"]["dockerfile"]).read_text()
    assert "requirements-sweep.lock" in recipe
    assert "\npsycopg2-binary==" in (ROOT / "requirements-sweep.lock").read_text()


@contextmanager
def s3(folder):
    """A server that speaks S3, with a bucket; gives its address."""
    (folder / "team").mkdir(parents=True)
    port = free_port()
    serve = [Path(sys.executable).with_name("rclone"), "serve", "s3", f"--addr=127.0.0.1:{port}"]
    with running([*serve, f"--auth-key={KEY},{SECRET}", folder], lambda: listens(port)):
        yield f"http://127.0.0.1:{port}"


def test_what_one_machine_trained_another_gets_from_the_remote(tmp_path, monkeypatch):
    for name, value in {"ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": SECRET, "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    one, other = (Repository(tmp_path / name, seeds=[0], algorithms=["nstep"]) for name in ("one", "other"))
    with s3(tmp_path / "store") as address:
        assert "push: " in one.run(*one.entry("push"), code=2)
        for repository in (one, other):
            repository.run(*DVC, "remote", "add", "--default", "team", "s3://team/a3c-bench")
            repository.run(*DVC, "remote", "modify", "team", "endpointurl", address)
        one.run(*DVC, "repro", "train", "evaluate")
        # One of the preset, seven of the training and two of the evaluation.
        assert "3 stages are on the remote; 10 files were new there" in one.run(*one.entry("push"))
        said = one.run(*one.entry("push"), code=2, AWS_SECRET_ACCESS_KEY="another")
        assert "push: " in said and "Traceback" not in said
        assert "3 stages are on the remote; 0 files were new there" in one.run(*one.entry("push"))
        # Not even dvc.lock has come from there.
        other.run(*DVC, "pull", "--run-cache", "--allow-missing")
        said = other.run(*DVC, "repro", "--pull", "train", "evaluate")
    assert "Running stage 'train" not in said and "Running stage 'evaluate" not in said, said
    assert said.count("is cached - skipping run, checking out outputs") >= 2
    assert other.left() == one.left()
