"""One cell on a node of a cluster: in a folder of its own, by this project's own command."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from a3c_bench.machine import cpu_model
from a3c_bench.math_threads import ONE_THREAD
from a3c_bench.processes import ending_with_us
from a3c_bench.sweep.identity import PACKAGE, difference

NOT_INHERITED = {
    *ONE_THREAD,
    "A3C_BENCH_FRESH",
    "DVC_ROOT",
    "DVC_STAGE",
    "MLFLOW_TRACKING_URI",
    "SLURM_ARRAY_TASK_ID",
}
"""Ray sets the first to the cores of a task."""
FAILED = {1, 2}
"""Exit codes of a cell that says why it ended. With all others somebody ended it."""
PREFIX, LOCK = "a3c-bench-cell-", ".lock"


@dataclass(frozen=True)
class Task:
    """All that a node must know of a cell."""

    command: tuple[str, ...]
    """Of `a3c-bench`."""
    params: Mapping[str, bytes]
    """Files that the command reads, by their paths in its folder."""
    files: tuple[str, ...]
    """That it leaves behind."""
    packages: tuple[str, ...]
    own: tuple[str, ...]
    """Modules of somebody's own that it takes anything from."""
    identity: Mapping[str, str]
    """What must be the same: see `sweep.identity`."""
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Outcome:
    """What became of a cell on a node."""

    kind: Literal["made", "failed", "refused", "lost"]
    why: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    cpu: str = ""
    node: str = ""

    def by(self, node: str) -> "Outcome":
        """The same, with the node's name."""
        return replace(self, node=node)


def run(task: Task) -> Outcome:
    """Make the cell, unless something here is not as it is where the task comes from."""
    with _own_folder() as folder:
        differs = difference(task.identity, _identity(task, folder))
        if differs:
            return Outcome("refused", differs)
        for path, content in task.params.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(content)
        result = subprocess.run(
            ending_with_us([sys.executable, "-m", "a3c_bench", "--quiet", *task.command]),
            cwd=folder,
            env=_environment(task.variables),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if result.returncode:
            why = (result.stderr.strip().splitlines() or [f"exit code {result.returncode}"])[-1]
            kind: Literal["failed", "lost"] = "failed" if result.returncode in FAILED else "lost"
            return Outcome(kind, why.removeprefix("a3c-bench: "), cpu=cpu_model())
        return Outcome("made", "", {path: (folder / path).read_bytes() for path in task.files}, cpu_model())


def _identity(task: Task, folder: Path) -> Mapping[str, str]:
    """That of the command: Ray's own processes find modules elsewhere, where the program is that they work for."""
    result = subprocess.run(
        [sys.executable, "-m", "a3c_bench.sweep.identity"],
        input=json.dumps({"packages": task.packages, "own": task.own}),
        cwd=folder,
        env=_environment(task.variables),
        capture_output=True,
        text=True,
        check=True,
    )
    found: Mapping[str, str] = json.loads(result.stdout)
    return found


@contextmanager
def _own_folder() -> Iterator[Path]:
    """An empty one, which is locked; those of nodes that were killed go first."""
    for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError), old.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(old.parent)
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name, (Path(name) / LOCK).open("w") as file:
        # Not handed on to the command, so that it is free when this process is gone.
        fcntl.flock(file, fcntl.LOCK_EX)
        yield Path(name)


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    path = os.pathsep.join([str(PACKAGE.parent), *filter(None, [inherited.get("PYTHONPATH")])])
    return {**inherited, "PYTHONPATH": path, **variables}
