"""One cell on a node of a cluster: in a folder of its own, by this project's own command."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from a3c_bench.machine import cpu_model
from a3c_bench.math_threads import without_limit
from a3c_bench.sweep.identity import PACKAGE, difference, identity

NOT_INHERITED = {"A3C_BENCH_FRESH", "DVC_ROOT", "DVC_STAGE", "MLFLOW_TRACKING_URI", "SLURM_ARRAY_TASK_ID"}
ITS_OWN = {1, 2}
"""Exit codes of a cell that would end so anywhere: its params or its loss make no sense. All others: it was ended."""


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
    differs = difference(task.identity, identity(task.packages))
    if differs:
        return Outcome("refused", differs)
    with tempfile.TemporaryDirectory(prefix="a3c-bench-cell-") as name:
        folder = Path(name)
        for path, content in task.params.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(content)
        result = subprocess.run(
            [*_ending_with_us(), sys.executable, "-m", "a3c_bench", "--quiet", *task.command],
            cwd=folder,
            env=_environment(task.variables),
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            why = (result.stderr.strip().splitlines() or [f"exit code {result.returncode}"])[-1]
            return Outcome("failed" if result.returncode in ITS_OWN else "lost", why.removeprefix("a3c-bench: "))
        return Outcome("made", "", {path: (folder / path).read_bytes() for path in task.files}, cpu_model())


def _ending_with_us() -> list[str]:
    """Before a command: it is told to end when this process is gone."""
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    inherited = without_limit({name: value for name, value in os.environ.items() if name not in NOT_INHERITED})
    path = os.pathsep.join([str(PACKAGE.parent), *filter(None, [inherited.get("PYTHONPATH")])])
    return {**inherited, "PYTHONPATH": path, **variables}
