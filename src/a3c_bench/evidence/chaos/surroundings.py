"""What a training lives on and a fault takes from it: a disk, a tracking server, the DVC that runs it as a stage."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import join

from ruamel.yaml import YAML

from a3c_bench.evidence.chaos.scene import require
from a3c_bench.evidence.chaos.victim import inherited
from a3c_bench.math_threads import without_limit

SMALL_DISK = "8m"
SERVER_SECONDS = 60.0
# What it reports home it leaves in a temporary file.
DVC = ["env", "DVC_NO_ANALYTICS=true", sys.executable, "-m", "dvc"]


@contextmanager
def small_disk(folder: Path) -> Iterator[Callable[..., None]]:
    """A disk of a few MiB at `folder`; gives a function that fills it, or frees it again."""
    folder.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK},mode=0700", "tmpfs", str(folder)], check=True)
    filler = folder / "filler"

    def fill(free: bool = False) -> None:
        if free:
            filler.unlink()
            return
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))

    try:
        yield fill
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """An SQLite database that this process keeps for itself."""
    with sqlite3.connect(database) as connection:
        with suppress(sqlite3.OperationalError):  # it is being written to at this moment
            connection.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def tracking_server(folder: Path) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """A MLflow server on a free port of this machine, and the port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'server.db'}"]
    server = subprocess.Popen(
        command,
        cwd=folder,
        # Its job runners leave folders in shared memory, which would be taken for ours.
        env={**without_limit(os.environ), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + SERVER_SECONDS
        while not listens(port):
            require(time.monotonic() < deadline and server.poll() is None, "the MLflow server did not start")
            time.sleep(0.2)
        yield server, port
    finally:
        kill_session(server)


def kill_session(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process and all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def listens(port: int) -> bool:
    """Whether somebody answers at a port of this machine."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def dvc_repository(folder: Path, command: list[str], outputs: list[str]) -> list[str]:
    """Make a repository whose only stage is the training by `command`; returns the command that brings it about."""
    subprocess.run([*DVC, "init", "--no-scm", "--quiet"], cwd=folder, env=inherited(), check=True)
    stage = {"cmd": f"exec {join(command)}", "deps": ["params.yaml"], "outs": outputs}
    with (folder / "dvc.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump({"stages": {"train": stage}}, file)
    return [*DVC, "repro", "--quiet"]
