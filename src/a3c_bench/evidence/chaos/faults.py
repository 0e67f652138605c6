"""The kinds of faults. Each strikes a training at a random turn and brings it to its end again."""

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

from a3c_bench.evidence.chaos.scene import CHECKPOINTS_BEFORE, Scene, require
from a3c_bench.numerics import unpinned_environment
from a3c_bench.results.checkpoints import FOLDER
from a3c_bench.results.files import REPORTS

PAUSE_SECONDS = 2.0
STOP_SECONDS = 3.0
"""In which a training that is told to stop has to end."""
SMALL_DISK = "8m"
SERVER_SECONDS = 60.0

Fault = Callable[[Scene], None]


def kill_a_worker(scene: Scene) -> None:
    """SIGKILL, as when memory runs out."""
    victim = scene.struck()
    scene.chance.choice(victim.workers()).kill()
    said = scene.over(victim, 0)
    require("restart 1 of" in said, f"no restart: {said}")


def segmentation_fault_in_a_worker(scene: Scene) -> None:
    """SIGSEGV to a worker."""
    victim = scene.struck()
    scene.chance.choice(victim.workers()).send_signal(signal.SIGSEGV)
    said = scene.over(victim, 0)
    require("restart 1 of" in said, f"no restart: {said}")


def pause_a_worker(scene: Scene) -> None:
    """SIGSTOP, and SIGCONT after two seconds."""
    victim = scene.struck()
    worker = scene.chance.choice(victim.workers())
    worker.suspend()
    time.sleep(PAUSE_SECONDS)
    worker.resume()
    scene.over(victim, 0)


def kill_everything(scene: Scene) -> None:
    """SIGKILL to the whole process group."""
    victim = scene.struck()
    scene.signal(victim, signal.SIGKILL, group=True)
    scene.over(victim, -signal.SIGKILL, killed=True)
    scene.finish()


def kill_the_main_process(scene: Scene) -> None:
    """SIGKILL to the main process alone: its workers have to notice."""
    victim = scene.struck()
    scene.signal(victim, signal.SIGKILL)
    scene.over(victim, -signal.SIGKILL, killed=True)
    scene.finish()


def terminate(scene: Scene) -> None:
    """SIGTERM."""
    _stop(scene, signal.SIGTERM, group=False)


def interrupt(scene: Scene) -> None:
    """Ctrl-C: SIGINT to the whole process group."""
    _stop(scene, signal.SIGINT, group=True)


def _stop(scene: Scene, number: signal.Signals, group: bool) -> None:
    victim = scene.struck()
    start = time.monotonic()
    scene.signal(victim, number, group)
    victim.end()
    scene.stop_seconds = time.monotonic() - start
    said = scene.over(victim, 128 + number)
    require(scene.stop_seconds < STOP_SECONDS, f"it took {scene.stop_seconds:.1f} s to stop")
    require(len(said.splitlines()) == 1, f"not one line: {said}")
    scene.finish()


def cut_the_newest_checkpoint(scene: Scene) -> None:
    """Killed, and the newest checkpoint cut short at a random place."""

    def cut(path: Path) -> None:
        path.write_bytes(path.read_bytes()[: scene.chance.randrange(path.stat().st_size)])

    _damage(scene, cut)


def flip_a_bit_of_the_newest_checkpoint(scene: Scene) -> None:
    """Killed, and a random bit of the newest checkpoint flipped."""

    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[scene.chance.randrange(len(content))] ^= 1 << scene.chance.randrange(8)
        path.write_bytes(content)

    _damage(scene, flip)


def _damage(scene: Scene, change: Callable[[Path], None]) -> None:
    victim = scene.struck(CHECKPOINTS_BEFORE)
    scene.signal(victim, signal.SIGKILL, group=True)
    scene.over(victim, -signal.SIGKILL, killed=True)
    change(scene.checkpoints()[-1])
    said = scene.finish()
    require("is removed" in said, f"the damage was not noticed: {said}")


def fill_the_disk_of_checkpoints(scene: Scene) -> None:
    """No room for checkpoints any more; then killed, and room made."""
    fill = scene.surroundings.enter_context(small_disk(scene.folder / FOLDER.parent))
    victim = scene.struck()
    fill()
    with suppress(subprocess.TimeoutExpired):
        victim.process.wait(scene.chance.uniform(0.2, 1.0))
    if victim.process.poll() is None:
        scene.signal(victim, signal.SIGKILL, group=True)
        scene.over(victim, -signal.SIGKILL, killed=True)
    else:
        scene.over(victim, 0)
    fill(free=True)
    scene.finish()


def fill_the_disk_of_results(scene: Scene) -> None:
    """No room for the results: the stage fails in the end; then room is made."""
    fill = scene.surroundings.enter_context(small_disk(scene.folder / REPORTS))
    victim = scene.struck()
    fill()
    said = scene.over(victim, 2)
    require("cannot be written" in said, said)
    require(not list((scene.folder / "models").rglob("*.safetensors")), "a result was written without the others")
    fill(free=True)
    scene.finish()


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


def lock_the_tracking_database(scene: Scene) -> None:
    """MLflow's SQLite database is locked by another process, and stays so."""
    victim = scene.struck()
    with sqlite3.connect(scene.folder / "mlflow.db") as database:
        with suppress(sqlite3.OperationalError):  # it is being written to at this moment
            database.execute("BEGIN EXCLUSIVE")
        scene.over(victim, 0)


def stop_the_tracking_server(scene: Scene) -> None:
    """The MLflow server goes away."""
    server, port = scene.surroundings.enter_context(tracking_server(scene.folder))
    scene.variables["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{port}"
    victim = scene.struck()
    kill_session(server)
    while _listens(port):
        time.sleep(0.01)
    scene.over(victim, 0)


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
        env={**unpinned_environment(os.environ), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + SERVER_SECONDS
        while not _listens(port):
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


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


NEED_ROOT = {fill_the_disk_of_checkpoints, fill_the_disk_of_results}
KINDS: dict[str, Fault] = {
    kind.__name__.replace("_", " "): kind
    for kind in (
        kill_a_worker,
        segmentation_fault_in_a_worker,
        pause_a_worker,
        kill_everything,
        kill_the_main_process,
        terminate,
        interrupt,
        cut_the_newest_checkpoint,
        flip_a_bit_of_the_newest_checkpoint,
        fill_the_disk_of_checkpoints,
        fill_the_disk_of_results,
        lock_the_tracking_database,
        stop_the_tracking_server,
    )
}
