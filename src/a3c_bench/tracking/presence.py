"""Who still logs to MLflow in this repository: every tracking process holds a lock from its start to its end."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from a3c_bench.errors import say
from a3c_bench.repository import repository_root
from a3c_bench.results.private import PRIVATE, RefusedError, locked, release

FILE = PRIVATE / "tracking.lock"
PATIENCE_SECONDS = 300.0
"""What they do is a matter of seconds, but they leave the CPU to all others."""
POLL_SECONDS = 0.05
LOOK_SECONDS = 2.0
"""Whoever waits for the others has the lock to itself for a moment."""


def hold() -> tuple[Path, int]:
    """The file, and a descriptor of it whose lock ends with the last process that has it.

    A stage takes it and hands it on, so that there is no moment at which its tracking process is not seen.
    """
    path, deadline = repository_root().absolute() / FILE, time.monotonic() + LOOK_SECONDS
    while True:
        try:
            return path, locked(path, os.O_RDWR | os.O_CREAT, [path.parent], fcntl.LOCK_SH)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)


def leave(path: Path, descriptor: int) -> None:
    """Give it up; the last one takes the file away."""
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.lstat()):
            release(path, os.dup(descriptor))
    os.close(descriptor)


@contextmanager
def alone() -> Iterator[None]:
    """Log here as a tracking process does: seen by who waits for all, and while no other one logs."""
    path, descriptor = hold()
    try:
        turn = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(turn, fcntl.LOCK_EX)
            yield
        finally:
            os.close(turn)
    finally:
        leave(path, descriptor)


def wait_for_all(repository: Path | None = None, seconds: float = PATIENCE_SECONDS) -> bool:
    """Wait until no process logs to MLflow any more; whether that came about. If not, it is said in a line."""
    path, deadline = (repository or repository_root()) / FILE, time.monotonic() + seconds
    while True:
        try:
            release(path, locked(path, os.O_RDWR, []))
        except BlockingIOError:
            if time.monotonic() > deadline:
                say(f"MLflow is not up to date yet: after {seconds:.0f} s a process still logs to it")
                return False
            time.sleep(POLL_SECONDS)
        except (OSError, RefusedError):  # there is none, or none could have been there
            return True
        else:
            return True
