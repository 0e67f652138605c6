"""A training under way in a process of its own, and how far it is: read from its shared memory, without its help."""

import mmap
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from a3c_bench.errors import TrainingError
from a3c_bench.numerics import unpinned_environment
from a3c_bench.training.exchange.memory import Shape

SEED = 0
PATIENCE_SECONDS = 120.0
POLL_SECONDS = 0.001
NOT_INHERITED = {"A3C_BENCH_FRESH", "DVC_ROOT", "DVC_STAGE", "MLFLOW_TRACKING_URI"}
SOURCE = Path(__file__).parents[3]


class Victim:
    """`a3c-bench train` in a folder, as the head of a process group."""

    def __init__(
        self, folder: Path, temporary: Path, algorithm: str, shape: Shape, variables: Mapping[str, str]
    ) -> None:
        """`temporary`: where its temporary files go. `shape`: of its shared memory."""
        self._turn_at = shape.offsets()[0]["turn"]
        self.turns = shape.turns
        self._memory: mmap.mmap | None = None
        self.started = time.monotonic()
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "a3c_bench", "train", "--algorithm", algorithm, "--seed", str(SEED)],
            cwd=folder,
            env={
                **inherited(),
                "PYTHONPATH": str(SOURCE),
                "TMPDIR": str(temporary),
                **variables,
            },
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            start_new_session=True,
        )
        self._family: set[psutil.Process] = set()

    @property
    def turn(self) -> int:
        """Turns taken; 0 before the first worker is started."""
        if self._memory is None:
            with suppress(OSError, ValueError):  # it is gone, or has no size yet
                self._memory = self._open()
        if self._memory is None:
            return 0
        return int.from_bytes(self._memory[self._turn_at : self._turn_at + 8], "little")

    def _open(self) -> mmap.mmap | None:
        for link in Path(f"/proc/{self.process.pid}/fd").iterdir():
            if link.readlink().name.startswith("memfd:a3c-bench"):
                with link.open("rb") as file:
                    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return None

    def wait_for_turn(self, turn: int) -> int:
        """Return as soon as so many turns are taken, with their number; raises `TrainingError` if it ends before."""
        while self.turn < turn:
            if self.process.poll() is not None:
                raise TrainingError(f"it ended before turn {turn}: {self.said()}")
            time.sleep(POLL_SECONDS)
        self._family = {*psutil.Process(self.process.pid).children(recursive=True)}
        return self.turn

    def workers(self) -> list[psutil.Process]:
        """Its worker processes: children of the fork server."""
        return [child for child in self._family if child.is_running() and child.ppid() != self.process.pid]

    def end(self) -> int:
        """Wait for its end; returns the exit code."""
        with suppress(psutil.NoSuchProcess):
            self._family |= {*psutil.Process(self.process.pid).children(recursive=True)}
        self.process.wait(PATIENCE_SECONDS)
        return self.process.returncode

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
        """Processes of its that are still there."""
        _, alive = psutil.wait_procs(list(self._family), timeout=3)
        return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def inherited() -> dict[str, str]:
    """The variables of this process that do not change what a training does."""
    return {name: value for name, value in unpinned_environment(os.environ).items() if name not in NOT_INHERITED}
