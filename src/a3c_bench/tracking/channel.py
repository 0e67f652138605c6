"""The way from a stage to its tracking process: messages through a pipe, and copies of files in a folder of its own."""

import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from a3c_bench.errors import describe_error, reason, say
from a3c_bench.results.private import RefusedError
from a3c_bench.supervision import signals_later
from a3c_bench.tracking import presence

LEFT_OUT = "MLflow is left out of this stage ({}); the files are complete"
PIPE_BYTES = 1 << 20
"""Enough for all that a stage says, so that it need not wait until somebody reads it."""
SENDING_SECONDS = 5.0
LEAST_PRIORITY = 19
SOURCE = Path(__file__).parents[2]
_started: list["subprocess.Popen[bytes]"] = []
"""Processes of stages that are over: kept until they end, so that none stays a zombie of a program that lives long."""


class Channel:
    """Starts the process. Whatever goes wrong is said once, and from then on nothing is sent."""

    def __init__(self) -> None:
        self._open, self._copies = False, 0
        self._process: subprocess.Popen[bytes] | None = None
        _started[:] = [process for process in _started if process.poll() is None]
        try:
            with signals_later():
                self._start()
        except (OSError, RefusedError) as error:
            self._give_up(reason(error))

    def _start(self) -> None:
        path, lock = presence.hold()
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="a3c-bench-"))
            try:
                process = self._run(path, lock)
            except OSError:
                self._folder.rmdir()
                raise
        except OSError:
            presence.leave(path, lock)
            raise
        os.close(lock)
        assert process.stdin is not None
        self._process, self._stdin, self._pipe = process, process.stdin, process.stdin.fileno()
        os.set_blocking(self._pipe, False)
        with suppress(OSError):
            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._open = True

    def _run(self, path: Path, lock: int) -> "subprocess.Popen[bytes]":
        inherited = [place for place in [os.environ.get("PYTHONPATH")] if place]
        process = subprocess.Popen(
            [sys.executable, "-m", "a3c_bench.tracking.process", str(self._folder), str(path), str(lock)],
            # Where a program has found this package by itself, its process finds it too.
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE), *inherited])},
            bufsize=0,
            stdin=subprocess.PIPE,
            # Its one line may come when the stage has ended; whoever reads only results need not wait for that.
            stdout=subprocess.DEVNULL,
            pass_fds=[lock],
            # What ends all processes of a terminal, or of a stage, does not end it: it has the end to write down.
            start_new_session=True,
        )
        _started.append(process)
        # It takes only what others leave over of the CPU.
        set_priority(process.pid, LEAST_PRIORITY)
        return process

    def send(self, message: Mapping[str, Any]) -> None:
        """Send what must arrive."""
        if not self._open:
            return
        try:
            line = _line(message)
        except (TypeError, ValueError) as error:
            self._give_up(describe_error(error))
        else:
            with signals_later():
                self._send(line)

    def _send(self, line: bytes) -> None:
        left, deadline = memoryview(line), time.monotonic() + SENDING_SECONDS
        while left:
            try:
                left = left[os.write(self._pipe, left) :]
            except BlockingIOError:
                room = select.poll()
                room.register(self._pipe, select.POLLOUT)
                if not room.poll(1000 * max(0.0, deadline - time.monotonic())):
                    self._give_up(f"its process has taken nothing for {SENDING_SECONDS:.0f} s")
                    return
            except OSError as error:
                self._give_up(f"its process is gone: {error.strerror}")
                return

    def offer(self, message: Mapping[str, Any]) -> bool:
        """Send it if that can be done at once; whether it was done."""
        line = _line(message)
        # A pipe takes so many bytes as a whole or not at all.
        if not self._open or len(line) > select.PIPE_BUF:
            return False
        with signals_later():
            try:
                return os.write(self._pipe, line) == len(line)
            except OSError:
                return False

    def copy(self, paths: Sequence[Path]) -> list[str]:
        """Copies of files or folders, which are there whatever becomes of the stage's own."""
        if not self._open:
            return []
        self._copies += 1
        folder = self._folder / str(self._copies)
        try:
            folder.mkdir()
            for path in paths:
                target = folder / path.name
                if path.is_dir():
                    shutil.copytree(path, target, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copyfile(path, target)
        except OSError as error:
            self._give_up(reason(error))
            return []
        return [str(folder / path.name) for path in paths]

    def close(self) -> None:
        """Nothing more comes; the process goes on alone."""
        if self._open:
            self._open = False
            self._stdin.close()

    def wait(self) -> None:
        """Wait for the end of the process."""
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(presence.PATIENCE_SECONDS)

    def _give_up(self, why: str) -> None:
        self.close()
        say(LEFT_OUT.format(why))


def set_priority(session: int, niceness: int) -> None:
    """Of a process that leads its session, and is alone in it; what the system does not allow is left as it is."""
    # Linux may give every session a share of its own, whatever the priority of the processes in it.
    with suppress(OSError):
        Path(f"/proc/{session}/autogroup").write_text(str(niceness), encoding="utf-8")
    with suppress(OSError):
        for thread in Path(f"/proc/{session}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(thread.name), niceness)


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"
