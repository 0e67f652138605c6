"""`python -m a3c_bench.tracking.process FOLDER LOCK DESCRIPTOR`: logs to MLflow what a stage says at standard input.

It outlives the stage, and ends when all is logged, or soon after nothing answers. FOLDER has the stage's copies of
files, and is removed. LOCK and its DESCRIPTOR say that this process is there. Standard error gets one line at most.
"""

import fcntl
import json
import os
import queue
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from a3c_bench.errors import describe_error, printable
from a3c_bench.repository import repository_root
from a3c_bench.tracking import presence
from a3c_bench.tracking.channel import LEFT_OUT, set_priority
from a3c_bench.tracking.curves import Metric
from a3c_bench.tracking.mlflow_run import MlflowRun

PATIENCE_SECONDS = 60.0
ENDING_SECONDS = 10.0
"""The patience when this process itself is told to end."""
IDLE_SECONDS = 0.1
"""Whoever has computed no longer than this meanwhile was waiting for an answer: others may leave it little time."""
QUEUE_SECONDS = 600.0
"""For so long it waits for others that log in this repository: each of them is done within its own patience."""
LATE_SECONDS = 2.0
"""Before MLflow is imported, unless the stage has ended: a training of a second is not disturbed by it."""
MODEST_SECONDS = 30.0
"""After its stage it goes on leaving the CPU to others; then it takes its share, or would not end on a busy machine."""
POLL_SECONDS = 0.05
TELLING_SECONDS = 5.0
LAST = "end"

Message = dict[str, Any]


class _ToldToEndError(Exception):
    """By SIGTERM."""


class Logger:
    """Reads what the stage says, in the main thread, and does it, in another one."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        """`folder`: is there as long as any process logs; only one at a time does, as SQLite takes no two writers."""
        self._say = say
        self._turn = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._jobs: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._run = MlflowRun(self._tell_of_machine)
        self._has_failed = self._waits_for_others = self._hurries = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)

    def run(self) -> None:
        """Return when all is done, or cannot be."""
        self._thread.start()
        patience = PATIENCE_SECONDS
        try:
            last = self._read()
        except _ToldToEndError:
            last, patience, self._hurries = _ended("KILLED"), ENDING_SECONDS, True
        self._over.set()
        share = threading.Timer(MODEST_SECONDS, set_priority, (os.getpid(), 0))
        share.daemon = True
        share.start()
        self._run.stop_watching()
        self._jobs.put(last)
        try:
            done = self._wait(patience)
        except _ToldToEndError:
            self._hurries = True
            done = self._wait(ENDING_SECONDS)
        if not done:
            self._give_up(f"no answer within {patience:.0f} s")

    def _read(self) -> Message:
        """Hand all jobs on; returns the last one."""
        for line in sys.stdin.buffer:
            with suppress(ValueError):  # the stage was killed in the middle of it
                message: Message = json.loads(line)
                if message["job"] == LAST:
                    return message
                self._jobs.put(message)
        return _ended("KILLED")

    def _tell_of_machine(self, metrics: Sequence[Metric]) -> None:
        self._jobs.put({"job": "metrics", "at": _now(), "metrics": metrics})

    def _wait(self, patience: float) -> bool:
        """Whether the jobs were done before one of them got no answer for so long."""
        since, used = time.monotonic(), time.process_time()
        while self._thread.is_alive():
            self._thread.join(POLL_SECONDS)
            if self._waits_for_others or time.process_time() - used > IDLE_SECONDS:
                since, used = time.monotonic(), time.process_time()
            elif time.monotonic() - since > patience:
                return False
        return True

    # What follows runs in the other thread.

    def _work(self) -> None:
        self._over.wait(LATE_SECONDS)
        while True:
            message = self._jobs.get()
            job = message.pop("job")
            is_last = job == LAST
            if (self._has_failed or self._hurries) and not is_last:
                continue
            if self._has_failed:
                message["status"] = "FAILED"
            try:
                with self._alone():
                    getattr(self._run, job)(**message)
            except Exception as error:
                self._give_up(describe_error(error)[:300])
            if is_last:
                return

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._waits_for_others = True
        deadline = time.monotonic() + QUEUE_SECONDS
        while True:
            try:
                fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    self._waits_for_others = False
                    raise TimeoutError(f"others have logged for {QUEUE_SECONDS:.0f} s") from None
                time.sleep(POLL_SECONDS)
        self._waits_for_others = False
        try:
            yield
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def _give_up(self, why: str) -> None:
        if not self._has_failed:
            self._has_failed = True
            self._say(LEFT_OUT.format(why))


def _ended(status: str) -> Message:
    """The last word in place of a stage that could not say it."""
    return {"job": LAST, "at": _now(), "status": status}


def _now() -> int:
    return int(time.time() * 1000)


class Errors:
    """Standard error, kept for the one line: what libraries print goes nowhere."""

    def __init__(self) -> None:
        self._kept = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 3)
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 2)
        os.close(nowhere)

    def say(self, line: str) -> None:
        """Tell the user, unless whoever reads that has stopped reading."""
        writer = threading.Thread(target=self._write, args=(line,), daemon=True)
        writer.start()
        writer.join(TELLING_SECONDS)

    def _write(self, line: str) -> None:
        with suppress(OSError):
            os.write(self._kept, f"a3c-bench: {printable(line)}\n".encode(errors="backslashreplace"))


def _answer_signals() -> None:
    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise _ToldToEndError

    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)


def main() -> None:
    """Log one stage."""
    copies, lock, descriptor = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    errors = Errors()
    try:
        _answer_signals()
        # DVC may delete the folder in which the stage runs, and the code in it: nothing is to be found there later.
        os.chdir(repository_root())
        import a3c_bench.algorithms.built_in
        import a3c_bench.results.models  # noqa: F401

        Logger(lock.parent, errors.say).run()
    except _ToldToEndError:
        pass
    except Exception as error:
        errors.say(LEFT_OUT.format(describe_error(error)[:300]))
    finally:
        shutil.rmtree(copies, ignore_errors=True)
        presence.leave(lock, descriptor)
        # At once, whatever MLflow's threads wait for.
        os._exit(0)


if __name__ == "__main__":
    main()
