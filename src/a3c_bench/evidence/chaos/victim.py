"""A training under way in a process of its own, and how far it is: read from its shared memory, without its help."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from a3c_bench.errors import TrainingError
from a3c_bench.evidence.watched import Watched
from a3c_bench.math_threads import without_limit
from a3c_bench.training.exchange.memory import Shape

SEED = 0
PATIENCE_SECONDS = 120.0
ENDING_SECONDS = 3.0
"""In which all processes of a training that is over have to be gone."""
POLL_SECONDS = 0.001
NOT_INHERITED = {"A3C_BENCH_FRESH", "DVC_ROOT", "DVC_STAGE", "MLFLOW_TRACKING_URI"}
SOURCE = Path(__file__).parents[3]
ENTRY = ("-m", "a3c_bench", "train")


def training(algorithm: str) -> list[str]:
    """The command of the training that is struck."""
    return [sys.executable, *ENTRY, "--algorithm", algorithm, "--seed", str(SEED)]


class Victim:
    """A training in a folder, as the head of a session or started by that."""

    def __init__(
        self, command: Sequence[str], folder: Path, temporary: Path, shape: Shape, variables: Mapping[str, str]
    ) -> None:
        """`temporary`: where its temporary files go. `shape`: of its shared memory."""
        self._watched = Watched(shape, lambda: self.main().pid)
        self.turns = shape.turns
        self.started = time.monotonic()
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**inherited(), "PYTHONPATH": str(SOURCE), "TMPDIR": str(temporary), **variables},
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            start_new_session=True,
        )

    @property
    def turn(self) -> int:
        """Turns taken; 0 before the first worker is started."""
        return self._watched.turn

    def wait_for_turn(self, turn: int) -> int:
        """Return as soon as so many turns are taken, with their number; raises `TrainingError` if it ends before."""
        while self.turn < turn:
            if self.process.poll() is not None:
                raise TrainingError(f"it ended before turn {turn}: {self.said()}")
            time.sleep(POLL_SECONDS)
        return self.turn

    def main(self) -> psutil.Process:
        """The training's main process: what was started, or the first below it; `psutil.Error` where there is none."""
        started = psutil.Process(self.process.pid)
        for process in (started, *started.children(recursive=True)):
            if " ".join(ENTRY) in " ".join(process.cmdline()):
                return process
        raise psutil.NoSuchProcess(self.process.pid)

    def helper(self, module: str) -> psutil.Process:
        """The main process's child that runs a module of multiprocessing."""
        return next(child for child in self.main().children() if module in " ".join(child.cmdline()))

    def workers(self) -> list[psutil.Process]:
        """Its worker processes at this moment: children of the fork server."""
        return self.helper("forkserver").children()

    def end(self) -> int:
        """Wait for its end; returns the exit code."""
        return self.process.wait(PATIENCE_SECONDS)

    def said(self) -> str:
        """What it wrote to its standard error."""
        self._errors.seek(0)
        return self._errors.read()

    def kill(self) -> None:
        """End what is left of it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._errors.close()

    def left(self) -> list[psutil.Process]:
        """Processes of its that do not end by themselves."""
        deadline = time.monotonic() + ENDING_SECONDS
        while (alive := [*filter(self._owns, psutil.process_iter())]) and time.monotonic() < deadline:
            time.sleep(0.05)
        return alive

    def _owns(self, process: psutil.Process) -> bool:
        # By their session: one whose parent is gone is nobody's descendant any more.
        with suppress(psutil.Error, ProcessLookupError):
            return os.getsid(process.pid) == self.process.pid and process.status() != psutil.STATUS_ZOMBIE
        return False


def let_signals_through() -> None:
    """Let trainings hear what this process was told to ignore, in the background for example: they would inherit that.

    A function that does nothing, other than an ignored signal, is not inherited.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def inherited() -> dict[str, str]:
    """The variables of this process that do not change what a training does."""
    return {name: value for name, value in without_limit(os.environ).items() if name not in NOT_INHERITED}
