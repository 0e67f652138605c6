"""A small repository of git's and DVC's with this checkout's pipeline."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from conftest import ROOT, WITHOUT_MLFLOW, environment, small_params, write_params

from a3c_bench.config import parse_config
from a3c_bench.sweep.cells import main_cells

DVC = (sys.executable, "-m", "dvc")
SHORT = {
    "workers": 1,
    "nstep": {"total_steps": 4_000},
    "episodic": {"episodes": 4},
    "evaluate": {"episodes": 3},
}


class Repository:
    """Cells of a second or two."""

    def __init__(self, folder, **changes):
        self.folder, self.params = folder, small_params(**SHORT | changes)
        folder.mkdir()
        shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("dvc.yaml", "requirements.lock", ".gitignore", "tests/sweep/biased.py"):
            shutil.copy(ROOT / name, folder)
        write_params(folder, self.params)
        self.run("git", "init", "--quiet")
        self.run(*DVC, "init", "--quiet")
        # Compiled files are no part of a dependency.
        shutil.copy(ROOT / ".dvcignore", folder)

    @property
    def cells(self):
        return main_cells(parse_config(self.params))

    def command(self, *command, **variables):
        where = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": "src", **WITHOUT_MLFLOW}
        return {"args": command, "cwd": self.folder, "env": environment(**{**where, **variables}), "text": True}

    def run(self, *command, code=0, **variables):
        result = subprocess.run(**self.command(*command, **variables), capture_output=True, check=False, timeout=600)
        assert result.returncode == code, f"{command}\n{result.stdout}\n{result.stderr}"
        return result.stdout + result.stderr

    @staticmethod
    def entry(*arguments):
        return sys.executable, "-m", "a3c_bench", *arguments

    def left(self):
        """All that the cells left behind."""
        return {str(path): (self.folder / path).read_bytes() for cell in self.cells for path in cell.files}
