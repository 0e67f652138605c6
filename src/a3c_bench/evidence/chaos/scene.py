"""Where a fault happens: a folder of its own, and what must be true when it is over."""

import os
import random
import re
import shutil
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import get_args

from a3c_bench.evidence.chaos.victim import POLL_SECONDS, SEED, Victim, training
from a3c_bench.results.checkpoints import FOLDER, PARTIAL, SUFFIX
from a3c_bench.results.files import Moment, model_path, train_folder
from a3c_bench.tracking import presence
from a3c_bench.training.exchange.memory import Shape

SHARED_MEMORY = Path("/dev/shm")
TABLES = ("curve.csv", "digests.csv", "metrics.json", "updates.csv")
CHECKPOINTS_BEFORE = 2
"""Where a fault is about checkpoints, it waits for so many."""


class NotSurvivedError(Exception):
    """A fault did something that it must not."""


@dataclass
class Scene:
    """A training in `folder` that a fault strikes. `chance` draws the moment, and what else a fault leaves open."""

    folder: Path
    algorithm: str
    shape: Shape
    chance: random.Random
    surroundings: ExitStack = field(default_factory=ExitStack)
    """What has to be taken away after the results were looked at: disks, servers."""
    variables: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)
    """By which the training is started; if there is none, by its own."""
    turn: int = 0
    """At which the fault struck."""
    afterwards: bool = False
    """It is meant to strike after the last turn."""
    resumed_at: int | None = None
    """The turn of the checkpoint; 0: there was none yet, and the training began anew."""
    resume_seconds: float | None = None
    """From the process's start to its first new turn."""
    stop_seconds: float | None = None
    """From the signal to the end."""

    @property
    def was_in_time(self) -> bool:
        """Whether the fault struck when it was meant to: after the first turn, and before the last or afterwards."""
        return self.turn > 0 and (self.turn == self.shape.turns) == self.afterwards

    @property
    def temporary(self) -> Path:
        """For the training's temporary files."""
        return self.folder.with_name(f"{self.folder.name}-temporary")

    def start(self) -> Victim:
        """Begin, or go on with, the training."""
        self.temporary.mkdir(exist_ok=True)
        self._shared_memory = shared_memory()
        command = self.command or training(self.algorithm)
        victim = Victim(command, self.folder, self.temporary, self.shape, self.variables)
        self.surroundings.callback(victim.kill)
        return victim

    def struck(self, checkpoints: int = 0) -> Victim:
        """A training at a random turn, at which the caller strikes; with so many checkpoints by then."""
        victim = self.start()
        # Not among the last: there must be time to strike before the end.
        victim.wait_for_turn(self.chance.randrange(1, victim.turns * 9 // 10))
        while len(self.checkpoints()) < checkpoints and victim.process.poll() is None:
            time.sleep(0.01)
        self.turn = victim.turn
        return victim

    def over(self, victim: Victim, exit_code: int, killed: bool = False) -> str:
        """Wait for the end and check it; returns what was said.

        killed: the main process was, so that what it would have removed may be left: the fork server's socket, and a
        file that it was writing.
        """
        code = victim.end()
        # It outlives a stage, whatever becomes of that, and is in no session of its.
        require(presence.wait_for_all(self.folder), "a process that logs to MLflow does not end")
        said = victim.said()
        require(code == exit_code, f"exit code {code} in place of {exit_code}: {said}")
        require("Traceback" not in said, said)
        left = victim.left()
        require(not left, f"processes left: {left}")
        left_over = used_by_nobody(shared_memory() - self._shared_memory)
        require(not left_over, f"shared memory left: {left_over}")
        if killed:
            shutil.rmtree(self.temporary)
            self.temporary.mkdir()
        files = [path.name for path in self.temporary.iterdir()]
        require(not files, f"temporary files left after exit code {code}: {files}")
        require(killed or not list(self.folder.rglob(f"*{PARTIAL}")), "a file is half-written")
        return said

    def finish(self) -> str:
        """Start again and wait for the whole result; returns what was said."""
        victim = self.start()
        first = 0
        while victim.process.poll() is None and self.resume_seconds is None:
            turn = victim.turn
            first = first or turn
            if turn > first:
                self.resume_seconds = time.monotonic() - victim.started
            time.sleep(POLL_SECONDS)
        said = self.over(victim, 0)
        told = re.search(r"goes on from the checkpoint at turn ([\d,]+)", said)
        self.resumed_at = int(told[1].replace(",", "")) if told else 0
        return said

    def checkpoints(self) -> list[Path]:
        """From old to new."""
        return sorted((self.folder / FOLDER).glob(f"*/*{SUFFIX}"))

    def result_files(self) -> list[Path]:
        """All that the training is to leave behind, as paths in its folder."""
        models = [model_path(self.algorithm, SEED, moment) for moment in get_args(Moment)]
        return [*models, *(train_folder(self.algorithm, SEED) / name for name in TABLES)]

    def results(self) -> dict[str, str]:
        """The hash of every result file that is there."""
        paths = [path for name in self.result_files() if (path := self.folder / name).exists()]
        return {path.name: sha256(path.read_bytes()).hexdigest() for path in paths}

    def signal(self, victim: Victim, number: int, group: bool = False) -> None:
        """Send a signal to the main process, or to all."""
        (os.killpg if group else os.kill)(victim.process.pid, number)


def shared_memory() -> set[Path]:
    """What has a name in shared memory. Folders are no shared memory: programs beside this one make them there."""
    return {path for path in SHARED_MEMORY.iterdir() if not path.is_dir()}


def used_by_nobody(paths: set[Path]) -> set[Path]:
    """Those that no process has in its memory: what one has belongs to another program, as ours are gone."""
    left = paths
    for maps in Path("/proc").glob("[0-9]*/maps") if paths else ():
        with suppress(OSError):  # it is gone, or another user's
            used = maps.read_text(encoding="utf-8", errors="replace")
            left = {path for path in left if str(path) not in used}
    return left


def require(holds: bool, message: str) -> None:
    """Raise `NotSurvivedError` unless it holds."""
    if not holds:
        raise NotSurvivedError(message)
