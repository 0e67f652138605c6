"""A fresh clone of the current commit, in a temporary folder, and the pipeline run in it from nothing."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from a3c_bench.errors import TrainingError
from a3c_bench.math_threads import without_limit
from a3c_bench.params import PARAMS_FILE
from a3c_bench.repository import git
from a3c_bench.supervision import SUPERVISOR_VARIABLE, signals_later
from a3c_bench.tracking import store

PREFIX = "a3c-bench-verify-"
LOG_LINES = 30
ENDING_SECONDS, POLL_SECONDS = 10.0, 0.05
# Where DVC and MLflow would find another cache, another store or another run than the clone's own.
FOREIGN = ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "DVC_ROOT", "DVC_STAGE", "DVC_EXP_NAME", "PYTHONPATH")


@contextmanager
def clone() -> Iterator[Path]:
    """A clone of the current folder's repository at its current commit; it is removed afterwards.

    By the next one, where this process was killed: whose folder nobody holds is removed.
    """
    remove_stale()
    folder, held = _held_folder()
    try:
        git("clone", "--quiet", "--no-hardlinks", ".", str(folder / "clone"))
        (folder / "settings").mkdir()
        yield folder / "clone"
    finally:
        with signals_later():
            shutil.rmtree(folder)
            os.close(held)


def remove_stale() -> None:
    """Remove what clones were left in by processes that are gone, with all that they had started there."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            held = _hold(left, fcntl.LOCK_EX)
            try:
                if os.fstat(held).st_uid == os.geteuid():
                    shutil.rmtree(left)
            finally:
                os.close(held)


def _held_folder() -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        # Before it is held, another process may take it for stale.
        with suppress(FileNotFoundError, BlockingIOError):
            held = _hold(folder, fcntl.LOCK_SH)
            if os.fstat(held).st_nlink:
                return folder, held
            os.close(held)


def _hold(folder: Path, lock: int) -> int:
    """A descriptor of `folder` with a lock on it, which ends with the last process that has the descriptor."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, lock | fcntl.LOCK_NB)
    except OSError as error:
        # A file system without locks: nothing is taken for stale there.
        if lock == fcntl.LOCK_EX or isinstance(error, BlockingIOError):
            os.close(held)
            raise
    return held


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
    # DVC may outlive this process for a moment, and writes there.
    held = _hold(repository.parent, fcntl.LOCK_SH)
    process = subprocess.Popen(
        ["dvc", "repro", "--force", *targets],
        cwd=repository,
        env=environment(repository.parent / "settings"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        pass_fds=[held],
    )
    os.close(held)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if line.startswith("Running stage '"):
                started(line.split("'")[1])
    finally:
        if sys.exc_info()[0]:
            with signals_later():
                _end_all(process)
        process.wait()
    if process.returncode:
        raise TrainingError(f"dvc repro ended with exit code {process.returncode}", "".join(said[-LOG_LINES:]))


def _end_all(leader: subprocess.Popen[str]) -> None:
    """End the processes of a session: while one of them still writes, its folder cannot be removed."""
    for number, seconds in ((signal.SIGTERM, ENDING_SECONDS), (signal.SIGKILL, 1.0)):
        deadline = time.monotonic() + seconds
        with suppress(ProcessLookupError):  # there is none left
            os.killpg(leader.pid, number)
            while time.monotonic() < deadline:
                leader.poll()
                os.killpg(leader.pid, 0)
                time.sleep(POLL_SECONDS)


def environment(settings: Path) -> dict[str, str]:
    """The variables of a command that runs in the clone: this Python's programs first, nothing pinned yet."""
    inherited = without_limit({name: value for name, value in os.environ.items() if name not in FOREIGN})
    return {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', '')}",
        "DVC_NO_ANALYTICS": "true",
        "DVC_SYSTEM_CONFIG_DIR": str(settings),
        "DVC_GLOBAL_CONFIG_DIR": str(settings),
        SUPERVISOR_VARIABLE: str(os.getpid()),
        # The clone's runs would be thrown away with it.
        store.VARIABLE: store.OFF,
    }
