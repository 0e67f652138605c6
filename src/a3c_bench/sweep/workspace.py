"""The DVC workspace that cells come back to: which are left, and how they are handed in."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from a3c_bench import suite
from a3c_bench.errors import BadInputError
from a3c_bench.math_threads import without_limit
from a3c_bench.results.files import json_bytes, write_all
from a3c_bench.results.private import PRIVATE
from a3c_bench.sweep.cells import Cell
from a3c_bench.sweep.dispatch import Job
from a3c_bench.sweep.node import Outcome

HERE = "this workspace"
MAKERS = PRIVATE / "sweep.json"
"""Which node made which cell: another one audits it."""
LOCKED_SECONDS, LOCKED_PAUSE = 300.0, 2.0
"""For so long another command of DVC's may hold its lock."""


class Workspace:
    """The main pipeline's, or that of the suite."""

    def __init__(self, of_suite: bool) -> None:
        self._folder = suite.FOLDER if of_suite else Path()

    def left(self, cells: Sequence[Cell]) -> list[Cell]:
        """Those that `dvc repro` would make; what they depend on besides is made before."""
        self._dvc("repro", "--quiet", *{cell.input_stage: None for cell in cells})
        # Of all stages: DVC takes longer by the second for each one that is named.
        found = json.loads(self._dvc("status", "--json"))
        return [cell for cell in cells if not found.keys().isdisjoint(cell.stages)]

    def to_confirm(self, cell: Cell) -> Job:
        """What another node than its maker has to make alike."""
        made = Outcome("made", "", {str(path): path.read_bytes() for path in cell.files}, "made before", HERE)
        maker = self._makers().get(cell.stages[0])
        return Job(cell, (made,), avoid=frozenset([maker] if maker else []))

    def hand_in(self, made: Mapping[Cell, Outcome]) -> None:
        """Put what cells left behind into their places, and have DVC take their stages for done."""
        for outcome in made.values():
            write_all({Path(path): content for path, content in outcome.files.items()})
        self._dvc("commit", "--quiet", "--force", *(stage for cell in made for stage in cell.stages))
        makers = {cell.stages[0]: outcome.node for cell, outcome in made.items()}
        write_all({MAKERS: json_bytes({**self._makers(), **makers})})

    @staticmethod
    def _makers() -> dict[str, str]:
        try:
            return dict(json.loads(MAKERS.read_bytes()))
        except (OSError, ValueError):
            return {}

    def _dvc(self, *arguments: str) -> str:
        variables = {name: value for name, value in os.environ.items() if name not in {"DVC_ROOT", "DVC_STAGE"}}
        deadline = time.monotonic() + LOCKED_SECONDS
        while True:
            result = subprocess.run(
                [sys.executable, "-m", "dvc", *arguments],
                cwd=self._folder,
                env={**without_limit(variables), "PATH": f"{Path(sys.executable).parent}:{variables.get('PATH', '')}"},
                capture_output=True,
                text=True,
                check=False,
            )
            if not result.returncode:
                return result.stdout
            said = " ".join(result.stderr.split()) or f"exit code {result.returncode}"
            if "acquire lock" not in said or time.monotonic() > deadline:
                raise BadInputError(f"dvc {arguments[0]} failed: {said}")
            time.sleep(LOCKED_PAUSE)
