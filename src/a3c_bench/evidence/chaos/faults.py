"""The kinds of faults. Each strikes a training at a random turn and brings it to its end again."""

import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from a3c_bench.evidence.chaos.scene import CHECKPOINTS_BEFORE, Scene, require
from a3c_bench.evidence.chaos.surroundings import (
    dvc_repository,
    kill_session,
    listens,
    locked,
    small_disk,
    tracking_server,
)
from a3c_bench.evidence.chaos.victim import POLL_SECONDS, Victim, training
from a3c_bench.results.checkpoints import FOLDER
from a3c_bench.results.files import REPORTS

PAUSE_SECONDS = 2.0
STOP_SECONDS = 3.0
"""In which a training that is told to stop has to end."""
MOMENT_SECONDS = 0.3
"""In which a second fault follows the first, which is being answered."""

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


def kill_the_main_process_of_a_stopped_worker(scene: Scene) -> None:
    """SIGSTOP to a worker, SIGKILL to the main process: a worker that cannot notice must end too."""
    victim = scene.struck()
    scene.chance.choice(victim.workers()).suspend()
    scene.signal(victim, signal.SIGKILL)
    scene.over(victim, -signal.SIGKILL, killed=True)
    scene.finish()


def kill_the_resource_tracker(scene: Scene) -> None:
    """SIGKILL to the process that multiprocessing starts beside the training."""
    victim = scene.struck()
    victim.helper("resource_tracker").kill()
    scene.over(victim, 0)


def kill_the_fork_server(scene: Scene) -> None:
    """SIGKILL to the process from which the workers are forked."""
    victim = scene.struck()
    victim.helper("forkserver").kill()
    scene.over(victim, 0)


def kill_while_results_are_written(scene: Scene) -> None:
    """SIGKILL to all, when a random one of the results is there, or half of it."""
    scene.afterwards = True
    victim = scene.struck()
    result = scene.folder / scene.chance.choice(scene.result_files())
    half = result.with_name(f".{result.name}.partial")
    while not (half.exists() or result.exists()) and victim.process.poll() is None:
        time.sleep(POLL_SECONDS)
    scene.turn = victim.turn
    scene.signal(victim, signal.SIGKILL, group=True)
    scene.over(victim, -signal.SIGKILL, killed=True)
    scene.finish()


def kill_dvc(scene: Scene) -> None:
    """SIGKILL to `dvc repro`, which runs the training as a stage: that has to notice."""
    outputs = [str(path) for path in scene.result_files()]
    scene.command = dvc_repository(scene.folder, training(scene.algorithm), outputs)
    victim = scene.struck()
    scene.signal(victim, signal.SIGKILL)
    scene.over(victim, -signal.SIGKILL, killed=True)
    scene.finish()


def kill_a_worker_and_at_once_another(scene: Scene) -> None:
    """SIGKILL to a worker, and to one that is there within a moment, while all begin again."""
    victim = scene.struck()
    scene.chance.choice(victim.workers()).kill()
    _kill_one_in_a_moment(scene, victim)
    said = scene.over(victim, 0)
    require("restart 1 of" in said, f"no restart: {said}")


def _kill_one_in_a_moment(scene: Scene, victim: Victim) -> None:
    time.sleep(scene.chance.uniform(0, MOMENT_SECONDS))
    with suppress(psutil.Error, StopIteration, IndexError):  # none is there at this moment
        scene.chance.choice(victim.workers()).kill()


def terminate(scene: Scene) -> None:
    """SIGTERM."""
    _stop(scene, signal.SIGTERM)


def interrupt(scene: Scene) -> None:
    """Ctrl-C: SIGINT to the whole process group."""
    _stop(scene, signal.SIGINT, group=True)


def hang_up(scene: Scene) -> None:
    """SIGHUP, as when the terminal is closed."""
    _stop(scene, signal.SIGHUP)


def quit_it(scene: Scene) -> None:
    """SIGQUIT."""
    _stop(scene, signal.SIGQUIT)


def terminate_twice(scene: Scene) -> None:
    """SIGTERM, and again within a moment."""
    _stop(scene, signal.SIGTERM, then=_terminate_in_a_moment)


def terminate_and_kill_a_worker(scene: Scene) -> None:
    """SIGTERM, and SIGKILL to a worker within a moment."""
    _stop(scene, signal.SIGTERM, then=_kill_one_in_a_moment)


def _terminate_in_a_moment(scene: Scene, victim: Victim) -> None:
    time.sleep(scene.chance.uniform(0, MOMENT_SECONDS))
    victim.process.terminate()


def _nothing_more(scene: Scene, victim: Victim) -> None:
    pass


def _stop(
    scene: Scene,
    number: signal.Signals,
    group: bool = False,
    then: Callable[[Scene, Victim], None] = _nothing_more,
) -> None:
    victim = scene.struck()
    start = time.monotonic()
    scene.signal(victim, number, group)
    then(scene, victim)
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


def lock_the_tracking_database(scene: Scene) -> None:
    """MLflow's SQLite database is locked by another process, and stays so."""
    victim = scene.struck()
    with locked(scene.folder / "mlflow.db"):
        scene.over(victim, 0)


def stop_the_tracking_server(scene: Scene) -> None:
    """The MLflow server goes away."""
    server, port = scene.surroundings.enter_context(tracking_server(scene.folder))
    scene.variables["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{port}"
    victim = scene.struck()
    kill_session(server)
    while listens(port):
        time.sleep(0.01)
    scene.over(victim, 0)


NEED_ROOT = {fill_the_disk_of_checkpoints, fill_the_disk_of_results}
KINDS: dict[str, Fault] = {
    kind.__name__.replace("_", " "): kind
    for kind in (
        kill_a_worker,
        segmentation_fault_in_a_worker,
        pause_a_worker,
        kill_everything,
        kill_the_main_process,
        kill_the_main_process_of_a_stopped_worker,
        kill_the_resource_tracker,
        kill_the_fork_server,
        kill_while_results_are_written,
        kill_dvc,
        kill_a_worker_and_at_once_another,
        terminate,
        interrupt,
        hang_up,
        quit_it,
        terminate_twice,
        terminate_and_kill_a_worker,
        cut_the_newest_checkpoint,
        flip_a_bit_of_the_newest_checkpoint,
        fill_the_disk_of_checkpoints,
        fill_the_disk_of_results,
        lock_the_tracking_database,
        stop_the_tracking_server,
    )
}
