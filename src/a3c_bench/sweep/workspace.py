"""The workspace of DVC's that cells come back to: which are left, and how they are handed in."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from a3c_bench import suite
from a3c_bench.errors import BadInputError
from a3c_bench.math_threads import without_limit
from a3c_bench.results.files import write_all
from a3c_bench.sweep.cells import Cell


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

    def hand_in(self, made: Iterable[tuple[Cell, Mapping[str, bytes]]]) -> None:
        """Put what cells left behind into their places, and have DVC take their stages for done."""
        stages = []
        for cell, files in made:
            write_all({Path(path): content for path, content in files.items()})
            stages += cell.stages
        if stages:
            self._dvc("commit", "--quiet", "--force", *stages)

    def _dvc(self, *arguments: str) -> str:
        variables = {name: value for name, value in os.environ.items() if name not in {"DVC_ROOT", "DVC_STAGE"}}
        result = subprocess.run(
            [sys.executable, "-m", "dvc", *arguments],
            cwd=self._folder,
            env={**without_limit(variables), "PATH": f"{Path(sys.executable).parent}:{variables.get('PATH', '')}"},
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            said = " ".join(result.stderr.split()) or f"exit code {result.returncode}"
            raise BadInputError(f"dvc {arguments[0]} failed: {said}")
        return result.stdout
