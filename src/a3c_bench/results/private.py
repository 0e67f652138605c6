"""The folder that only this user can enter, and the locks in it."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from a3c_bench.errors import BadInputError, reason, say
from a3c_bench.params import read_plain

PRIVATE = Path(".a3c-bench")
ATTEMPTS = 10
UNSIGNED_SECONDS = 0.02


class RefusedError(Exception):
    """Somebody else may have written what is there."""


@contextmanager
def only_one(algorithm: str, seed: int) -> Iterator[None]:
    """Be the only process that trains this in the current folder; raises `BadInputError` that names the other.

    The environment is not asked: its name is in no result's file name, so that two would write the same files. DVC's
    queue runs each experiment in a folder of its own.
    """
    path = Path.cwd() / PRIVATE / f"{algorithm}-seed-{seed}.lock"
    lock = None
    try:
        lock = _locked_and_signed(path)
    except BlockingIOError:
        other = f"another process{_number(path)}"
        raise BadInputError(
            f"{algorithm} seed {seed} is being trained by {other}; wait for its end, or stop it"
        ) from None
    except (OSError, RefusedError) as error:
        say(f"{reason(error)}; training goes on, but nothing keeps another process from training the same")
    try:
        yield
    finally:
        if lock is not None:
            release(path, lock)


def _locked_and_signed(path: Path) -> int:
    for attempt in range(ATTEMPTS):
        try:
            lock = locked(path, os.O_RDWR | os.O_CREAT, [path.parent])
        except BlockingIOError:
            # Without a number the other has just begun, or just ended.
            if _number(path) or attempt == ATTEMPTS - 1:
                raise
            time.sleep(UNSIGNED_SECONDS)
        else:
            _sign(lock)
            return lock
    raise AssertionError("unreachable")


def _sign(lock: int) -> None:
    # On a full disk the other is told no number.
    with suppress(OSError):
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())


def _number(path: Path) -> str:
    with suppress(OSError, ValueError):
        return f" (pid {int(read_plain(path)[:20])})"
    return ""


def release(path: Path, lock: int) -> None:
    """Take a locked file away, and its folder where it was the last in it."""
    remove(path)
    # It stays where checkpoints, or others' locks, are in it.
    with suppress(OSError):
        path.parent.rmdir()
    os.close(lock)


def locked(path: Path, flags: int, folders: Sequence[Path], kind: int = fcntl.LOCK_EX) -> int:
    """`path`, opened and locked; `folders` are made first. Raises `BlockingIOError` while another process has it.

    kind: `LOCK_EX` for oneself alone, `LOCK_SH` beside others who want it so.
    """
    for attempt in range(ATTEMPTS):
        try:
            for folder in folders:
                make_own(folder)
            return _locked(path, flags, kind)
        except FileNotFoundError:
            # Another training that ended took it away at this moment.
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _locked(path: Path, flags: int, kind: int) -> int:
    lock = os.open(path, flags | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
        if os.fstat(lock).st_ino != path.lstat().st_ino:
            raise FileNotFoundError(errno.ENOENT, "taken away again and again", str(path))
    except OSError:
        os.close(lock)
        raise
    return lock


def make_own(folder: Path) -> None:
    """Make a folder that only this user can enter; raises `RefusedError` if it is there and others can."""
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise RefusedError(f"{folder}: not a folder")
    require_own(folder, status)


def require_own(path: Path, status: os.stat_result) -> None:
    """Raise `RefusedError` unless only this user can have changed what is at `path`."""
    if status.st_uid != os.geteuid():
        raise RefusedError(f"{path}: belongs to another user (number {status.st_uid})")
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise RefusedError(f"{path}: open to other users (mode {mode:o}); `chmod go= {path}` closes it")


def remove(path: Path) -> None:
    """Remove a file that is of no use any more; training does not end because that fails."""
    with suppress(OSError):
        path.unlink()
