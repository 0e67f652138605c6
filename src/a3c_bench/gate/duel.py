"""Two pytest processes, one per revision, whose rounds are timed in turns.

The cores of a shared machine differ in speed, and each changes it by itself. So whatever needs no more than one core is
timed on the same core in both processes, which makes the ratio of a pair five to ten times as steady.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
from numpy.random import Generator
from numpy.typing import NDArray

from a3c_bench.gate import turns
from a3c_bench.gate.settings import GateError, Settings

CAN_BIND = hasattr(os, "sched_setaffinity")
"""Some systems leave it to themselves on which core a process runs."""
# Plugins that only take time to load.
OPTIONS = ("-q", "-o", "addopts=", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:hypothesispytest")
# Of benchmarks that leave their rounds to pytest-benchmark: many and short ones see the same drift in both processes,
# and some milliseconds outweigh what a turn costs.
ROUNDS = ("--benchmark-min-time=0.004", "--benchmark-max-time=0.2", "--benchmark-min-rounds=5")


@dataclass(frozen=True)
class Timings:
    """What one process measured of one benchmark: seconds per call, round by round, and the work of a call."""

    seconds: NDArray[np.float64]
    group: str = ""
    work: float | None = None


Duel = list[Mapping[str, Timings]]
"""Of one process per revision, by the benchmarks' names."""


def prepare(checkout: Path, settings: Settings) -> None:
    """Run the settings' command there, if they have one; raises `GateError` when it fails."""
    if not settings.prepare:
        return
    result = subprocess.run(  # noqa: S602 (the command is the user's own)
        settings.prepare,
        shell=True,
        cwd=checkout,
        env=dict(settings.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        raise GateError(f"prepare: {settings.prepare!r} failed in {checkout.name}: {_last_line(result.stdout)}")


def collect(checkout: Path, settings: Settings) -> list[str]:
    """The names of a checkout's benchmarks, in the order in which pytest runs them."""
    folder = settings.folder(checkout)
    if folder is None:
        return []
    command = [*_pytest(checkout, settings), "--collect-only", "--benchmark-only", "-p", "turns", folder]
    with TemporaryDirectory(prefix="bench-check-") as plugin:
        shutil.copy(turns.__file__, plugin)
        variables = _environment(checkout, settings, Path(plugin))
        result = subprocess.run(command, cwd=checkout, env=variables, capture_output=True, text=True, check=False)
    if result.returncode not in {0, 5}:
        raise GateError(
            f"{checkout.name}: {settings.python} cannot collect the benchmarks in {folder}: "
            f"{_last_line(result.stdout + result.stderr)}"
        )
    return [line for line in result.stdout.splitlines() if "::" in line]


def run(
    checkouts: Sequence[Path], names: Sequence[Sequence[str]], order: Generator, folder: Path, settings: Settings
) -> Duel:
    """Time the benchmarks `names` of each checkout once, in processes that run at once and take turns."""
    shutil.copy(turns.__file__, folder)
    with ExitStack() as stack:
        fighters = [
            stack.enter_context(_started(number, checkout, own, folder, settings))
            for number, (checkout, own) in enumerate(zip(checkouts, names, strict=True))
        ]
        _share_turns(fighters, list(dict.fromkeys(name for own in names for name in own)), order)
        return [fighter.timings(settings.work) for fighter in fighters]


@dataclass
class _Fighter:
    """One process: it asks for the turn of a benchmark, or has ended."""

    process: "subprocess.Popen[bytes]"
    grant: int
    asks: int
    log: Path
    result: Path
    wanted: str | None = None
    """The benchmark whose turn it asks for; None: it is busy elsewhere, or has ended."""
    cores: int = 1
    """How many that benchmark can use at once."""
    unread: bytes = field(default=b"")
    _bound: tuple[str | None, set[int]] = (None, set())

    @property
    def ended(self) -> bool:
        return self.asks < 0

    def ask(self) -> None:
        """Wait until it asks for a turn, or has ended."""
        said = self.read()
        cores, _, name = (said or "").partition(" ")
        self.wanted, self.cores = (name, int(cores)) if said else (None, 1)

    def bind(self, cores: set[int]) -> None:
        """Run on these cores only; the processes that it has started too, once for each benchmark."""
        if not CAN_BIND:
            return
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            os.sched_setaffinity(self.process.pid, cores)
            if self._bound != (self.wanted, cores):
                for child in psutil.Process(self.process.pid).children(recursive=True):
                    os.sched_setaffinity(child.pid, cores)
                self._bound = self.wanted, cores

    def release(self) -> None:
        """Let it do on any core what is not timed."""
        with suppress(ProcessLookupError):
            if CAN_BIND:
                os.sched_setaffinity(self.process.pid, _all_cores())

    def read(self) -> str | None:
        """The next line that it says; None when it has ended."""
        while b"\n" not in self.unread:
            said = os.read(self.asks, 4096)
            if not said:
                os.close(self.asks)
                self.asks = -1
                return None
            self.unread += said
        line, _, self.unread = self.unread.partition(b"\n")
        return line.decode()

    def give_turn(self) -> None:
        """Let it go on from where its clock waits."""
        with suppress(BrokenPipeError):
            os.write(self.grant, b"+")

    def timings(self, work: str) -> dict[str, Timings]:
        """What it measured, `work` being the key of what a call did; raises `GateError` when a benchmark failed."""
        if self.process.wait():
            raise GateError(f"a benchmark failed in {self.log.stem}: {_last_line(self.log.read_text())}")
        found = json.loads(self.result.read_text())["benchmarks"]
        return {
            benchmark["fullname"]: Timings(
                np.array(benchmark["stats"]["data"]),
                benchmark["group"] or "",
                benchmark["extra_info"].get(work),
            )
            for benchmark in found
        }


@contextmanager
def _started(number: int, checkout: Path, names: Sequence[str], folder: Path, settings: Settings) -> Iterator[_Fighter]:
    asked, asks = os.pipe()
    granted, grant = os.pipe()
    log, result = folder / f"{checkout.name}.log", folder / f"{number}.json"
    command = [*_pytest(checkout, settings), "--benchmark-only", "--benchmark-quiet", *ROUNDS]
    command += ["-p", "turns", "--benchmark-timer=turns.clock", f"--benchmark-json={result}", *names]
    variables = {**_environment(checkout, settings, folder), turns.PIPES: f"{granted},{asks}"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=checkout, env=variables, stdout=output, stderr=subprocess.STDOUT, pass_fds=(granted, asks)
        )
    os.close(granted)
    os.close(asks)
    fighter = _Fighter(process, grant, asked, log, result)
    try:
        yield fighter
    finally:
        process.kill()
        process.wait()
        os.close(grant)
        if not fighter.ended:
            os.close(fighter.asks)


def _share_turns(fighters: Sequence[_Fighter], names: Sequence[str], order: Generator) -> None:
    """Until all have ended: wait until each asks for a turn, then time those whose benchmark comes first."""
    place = {name: number for number, name in enumerate(names)}
    cores = _all_cores()
    one = {int(order.choice(sorted(cores)))}
    while True:
        _hear(fighters)
        asking = [fighter for fighter in fighters if fighter.wanted is not None]
        if not asking:
            return
        first = min((fighter.wanted or "" for fighter in asking), key=lambda name: place.get(name, len(names)))
        round_of = [fighter for fighter in asking if fighter.wanted == first]
        alike = one if all(fighter.cores == 1 for fighter in round_of) else cores
        for index in order.permutation(len(round_of)):
            fighter = round_of[index]
            fighter.bind(alike)
            fighter.give_turn()
            # The end of its round: it stands still again.
            if fighter.read() is None:
                fighter.wanted = None
        for fighter in round_of:
            fighter.release()
            fighter.wanted = None
            if not fighter.ended:
                fighter.give_turn()


def _hear(fighters: Sequence[_Fighter]) -> None:
    """Wait until every process asks for a turn or has ended."""
    for fighter in fighters:
        if fighter.wanted is None and not fighter.ended:
            fighter.ask()


def _all_cores() -> set[int]:
    return os.sched_getaffinity(0) if CAN_BIND else set(range(os.cpu_count() or 1))


def _pytest(checkout: Path, settings: Settings) -> list[str]:
    return [settings.python, "-m", "pytest", *OPTIONS, f"--rootdir={checkout}", *settings.pytest, "--benchmark-enable"]


def _environment(checkout: Path, settings: Settings, folder: Path) -> dict[str, str]:
    """With the checkout's source before what is installed, and the folder of the clock."""
    source = checkout / "src"
    path = [str(source if source.is_dir() else checkout), str(folder)]
    return {**settings.environment, "PYTHONPATH": os.pathsep.join(path)}


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E ")]
    return " ".join((errors or lines or ["it said nothing"])[-1].split())
