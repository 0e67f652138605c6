"""A benchmark's clock that waits for its turn, so that of two processes only one is timed and the other stands still.

pytest-benchmark calls it at the start and at the end of every round (`--benchmark-timer`); as a plugin of pytest
(`-p turns`) it knows whose round that is. It runs in a checkout of any revision, in any repository's Python: it imports
nothing of this package.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

PIPES = "BENCH_CHECK_TURNS"
"""Names two descriptors: where the turn comes from, and where it is asked for."""
PRECISION = 1e-7
CHECKOUT = Path.cwd()


class Clock:
    """Called in turns for the start and the end of a round."""

    def __init__(self, granted: int, asked: int) -> None:
        self.item: Any = None
        """The benchmark that runs, as pytest knows it."""
        self.in_turns = True
        """Not while pytest-benchmark finds out how many calls make a round."""
        self._granted, self._asked = granted, asked
        self._running = False

    def __call__(self) -> float:
        """The time; at a round's start after its turn has come, at its end before the next one's."""
        end = time.perf_counter()
        if not self.in_turns:
            return end
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
        told = self.item.funcargs["benchmark"].extra_info if "benchmark" in self.item.funcargs else {}
        return int(told.get("workers", 1)) * int(told.get("threads", 1))

    def _wait(self, message: str) -> None:
        try:
            os.write(self._asked, f"{message}\n".encode())
            granted = os.read(self._granted, 1)
        except BrokenPipeError:
            granted = b""
        if not granted:  # whoever gives the turns is gone
            os._exit(1)


def own_packages(checkout: Path) -> "set[str]":
    """The names under which what lies in a checkout is imported."""
    source = checkout / "src"
    return {path.parent.name for path in (source if source.is_dir() else checkout).glob("*/__init__.py")}


def require_own_source() -> None:
    """The checkout in which the benchmark runs must be the one whose source it times."""
    for name in _OWN:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file and CHECKOUT.resolve() not in Path(file).resolve().parents:
            raise RuntimeError(f"{file} would be timed, but the checkout is {CHECKOUT}")


_OWN = own_packages(CHECKOUT)
_clock = Clock(*map(int, os.environ[PIPES].split(","))) if PIPES in os.environ else None


def clock() -> float:
    """What `--benchmark-timer` names: it has to be a function."""
    return _clock() if _clock else time.perf_counter()


def pytest_configure(config: Any) -> None:
    """Pytest's hook: let pytest-benchmark find the length of its rounds without a turn."""
    from pytest_benchmark.fixture import BenchmarkFixture

    fixture: Any = BenchmarkFixture
    calibrate = fixture._calibrate_timer

    def outside_turns(self: Any, runner: Any) -> Any:
        if not _clock:
            return calibrate(self, runner)
        _clock.in_turns = False
        try:
            return calibrate(self, runner)
        finally:
            _clock.in_turns = True

    fixture._calibrate_timer = outside_turns
    # It would take a second in every process to find it out.
    fixture._precisions[clock] = PRECISION


def pytest_collection_modifyitems(items: "list[Any]") -> None:
    """Pytest's hook: of a folder of tests, keep the benchmarks."""
    items[:] = [item for item in items if "benchmark" in getattr(item, "fixturenames", ())]


def pytest_runtest_setup(item: Any) -> None:
    """Pytest's hook: the next rounds are this benchmark's."""
    if _clock:
        _clock.item = item
