"""How a command ends: when it is done, told to by a signal, or because the process that wanted it is gone."""

import atexit
import math
import os
import re
import signal
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

SUPERVISOR_VARIABLE = "A3C_BENCH_SUPERVISOR"
"""Names the process (by its id) on whose behalf DVC runs the stages: `make` sets it."""
SIGNALS = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "SIGHUP",
    signal.SIGQUIT: "SIGQUIT",
}
"""What tells a command to stop."""
IGNORABLE = {signal.SIGHUP, signal.SIGQUIT}
"""`nohup`, for one, has a command ignore them."""
POLL_SECONDS = 0.2
ORPHANED = "stopped because the process that started it is gone"
ENDING_SECONDS = 3.0
"""For so long after it was told to stop, being told again changes nothing: it is ending, and has things to save."""


class StoppedError(BaseException):
    """Not an `Exception`, so that nothing but the command's entry catches it."""

    def __init__(self, reason: str, exit_code: int) -> None:
        super().__init__(reason)
        self.reason, self.exit_code = reason, exit_code


def watch() -> None:
    """From now on, `SIGNALS` raise `StoppedError` in the main thread.

    So does, for a stage that DVC runs, the end of DVC or of the supervisor; at once where that is gone already.
    """
    _Later.told = -math.inf
    for number in SIGNALS:
        if number not in IGNORABLE or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _told)
    if "DVC_STAGE" not in os.environ:
        return
    signal.signal(signal.SIGUSR1, _orphaned)
    parent, supervisor = os.getppid(), _supervisor()
    if supervisor is not None and not _alive(supervisor):
        _stop(StoppedError(ORPHANED, 1))

    def poll() -> None:
        while os.getppid() == parent and (supervisor is None or _alive(supervisor)):
            time.sleep(POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGUSR1)

    threading.Thread(target=poll, name="supervision", daemon=True).start()


def _supervisor() -> int | None:
    value = os.environ.get(SUPERVISOR_VARIABLE, "")
    # Not longer: Python reads no number of more than 4300 digits.
    return int(value) if re.fullmatch("[0-9]{1,4000}", value) else None


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


class _Later:
    """Whether signals have to wait, and the first that does; when the command was told to stop."""

    active = False
    first: StoppedError | None = None
    told = -math.inf


@contextmanager
def signals_later(ending: bool = False) -> Iterator[None]:
    """In the main thread: what would stop the command waits until the end of the block, so that it is done whole.

    ending: the command is about to end anyway, so that a signal changes nothing any more.
    """
    # Not a signal mask: that is one thread's only, and another thread would take the signal.
    _Later.active = True
    try:
        yield
    finally:
        first, _Later.active, _Later.first = _Later.first, False, None
    if first is not None and not ending:
        _stop(first)


def _stop(error: StoppedError) -> None:
    if _Later.active:
        _Later.first = _Later.first or error
        return
    # A terminal, an init process and DVC's own end can all tell it, one after the other.
    if time.monotonic() - _Later.told > ENDING_SECONDS:
        _Later.told = time.monotonic()
        raise error


def _told(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGHUP:
        _leave_terminal()
    _stop(StoppedError(f"stopped by {SIGNALS[signal.Signals(number)]}", 128 + number))


def _orphaned(number: int, frame: FrameType | None) -> None:
    _stop(StoppedError(ORPHANED, 1))


def _leave_terminal() -> None:
    """What would still be written to a terminal that is gone goes nowhere, where it would raise an error."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
                os.dup2(nowhere, descriptor)
    os.close(nowhere)


def leave(exit_code: int) -> NoReturn:
    """End the process, as Python would, but whatever threads an environment has left running."""
    with signals_later(ending=True):
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                exit_code = exit_code or 1
        os._exit(exit_code)
