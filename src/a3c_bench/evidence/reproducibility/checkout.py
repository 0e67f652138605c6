"""A fresh clone of the current commit, in a temporary folder, and the pipeline run in it from nothing."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from a3c_bench.errors import TrainingError
from a3c_bench.numerics import unpinned_environment
from a3c_bench.params import PARAMS_FILE
from a3c_bench.repository import git
from a3c_bench.supervision import SUPERVISOR_VARIABLE

LOG_LINES = 30
# Where DVC and MLflow would find another cache, another store or another run than the clone's own.
FOREIGN = ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "DVC_ROOT", "DVC_STAGE", "DVC_EXP_NAME", "PYTHONPATH")


@contextmanager
def clone() -> Iterator[Path]:
    """A clone of the current folder's repository at its current commit; it is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="a3c-bench-") as folder:
        target = Path(folder) / "clone"
        git("clone", "--quiet", "--no-hardlinks", ".", str(target))
        (Path(folder) / "settings").mkdir()
        yield target


def change_params(repository: Path, changes: Mapping[str, Any]) -> None:
    """Set top-level keys of the clone's params, and leave the rest of the file as it is."""
    yaml, path = YAML(), repository / PARAMS_FILE
    content = yaml.load(path)
    content.update(changes)
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(content, file)


def reproduce(repository: Path, targets: Sequence[str], started: Callable[[str], None]) -> None:
    """Run the stages `targets` there through DVC, from nothing; `started` is told each stage's name.

    Nothing is taken from a cache: the clone's own is empty, others are out of reach, and every stage is forced.
    Raises `TrainingError` with the end of what was printed when a stage fails.
    """
    said: list[str] = []
    process = subprocess.Popen(
        ["dvc", "repro", "--force", *targets],
        cwd=repository,
        env=environment(repository.parent / "settings"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if line.startswith("Running stage '"):
                started(line.split("'")[1])
    finally:
        # Ends by itself, or is told to where this command is being stopped; its stage notices that it is gone.
        if process.poll() is None and sys.exc_info()[0]:
            process.terminate()
        process.wait()
    if process.returncode:
        raise TrainingError(f"dvc repro ended with exit code {process.returncode}", "".join(said[-LOG_LINES:]))


def environment(settings: Path) -> dict[str, str]:
    """The variables of a command that runs in the clone: this Python's programs first, nothing pinned yet."""
    inherited = unpinned_environment({name: value for name, value in os.environ.items() if name not in FOREIGN})
    return {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', '')}",
        "DVC_NO_ANALYTICS": "true",
        "DVC_SYSTEM_CONFIG_DIR": str(settings),
        "DVC_GLOBAL_CONFIG_DIR": str(settings),
        SUPERVISOR_VARIABLE: str(os.getpid()),
    }
