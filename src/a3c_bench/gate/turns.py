"""A benchmark's clock that waits for its turn, so that of two processes only one is timed and the other stands still.

pytest-benchmark calls it at the start and at the end of every round (`--benchmark-timer`); as a plugin of pytest
(`-p turns`) it knows whose round that is. It runs in a checkout of any revision, by its path: it imports nothing of
this package.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

PIPES = "A3C_BENCH_TURNS"
"""Names two descriptors: where the turn comes from, and where it is asked for."""


class Clock:
    """Called in turns for the start and the end of a round."""

    def __init__(self, granted: int, asked: int) -> None:
        self.item: Any = None
        """The benchmark that runs, as pytest knows it."""
        self._granted, self._asked = granted, asked
        self._running = False

    def __call__(self) -> float:
        """The time; at a round's start after its turn has come, at its end before the next one's."""
        end = time.perf_counter()
        if not self._running:
            require_own_source()
            self._wait(f"{self._cores()} {self.item.nodeid}")
            end = time.perf_counter()
        else:
            self._wait("")
        self._running = not self._running
        return end

    def _cores(self) -> int:
        """How many cores it can use at once, as far as it tells."""
        told = self.item.funcargs["benchmark"].extra_info
        return int(told.get("workers", 1)) * int(told.get("threads", 1))

    def _wait(self, message: str) -> None:
        try:
            os.write(self._asked, f"{message}\n".encode())
            granted = os.read(self._granted, 1)
        except BrokenPipeError:
            granted = b""
        if not granted:  # whoever gives the turns is gone
            os._exit(1)


def require_own_source() -> None:
    """The checkout in which the benchmark runs must be the one whose source it times."""
    running = sys.modules.get("a3c_bench")
    if running and running.__file__ and not Path(running.__file__).is_relative_to(Path.cwd()):
        raise RuntimeError(f"{running.__file__} would be timed, but the checkout is {Path.cwd()}")


_clock = Clock(*map(int, os.environ[PIPES].split(","))) if PIPES in os.environ else None


def clock() -> float:
    """What `--benchmark-timer` names: it has to be a function."""
    return _clock() if _clock else time.perf_counter()


def pytest_runtest_setup(item: Any) -> None:
    """Pytest's hook: the next rounds are this benchmark's."""
    if _clock:
        _clock.item = item
