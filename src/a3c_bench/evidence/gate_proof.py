"""`make bench-proof`: how often the gate raises a false alarm, and which slowdowns it finds, by many runs of it."""

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import stats

from a3c_bench.errors import BadInputError
from a3c_bench.gate.check import compare
from a3c_bench.gate.checkouts import Revision, resolve, worktrees
from a3c_bench.gate.settings import GateError, Settings
from a3c_bench.gate.verdicts import summary
from a3c_bench.math_threads import without_limit
from a3c_bench.params import read_plain
from a3c_bench.repository import git
from a3c_bench.results.files import GATE, GATE_RUNS, csv_bytes, unreadable, write_all

FALSE_ALARM_RUNS, PLANTED_RUNS = 40, 10
SLOWDOWNS = (0.05, 0.1, 0.2)
SLOWED_FILE = Path("src") / "a3c_bench" / "learning" / "optimizer.py"
FIRST_IMPORT = "import numpy as np\n"
SLOWED_FUNCTION = "    def apply(self, parameters: Floats, gradient: Floats, learning_rate: float) -> None:\n"
CONCERNED = "test_update"
"""The benchmark that times the slowed function alone."""
WHAT_IS_MEASURED = (
    *(f"src/a3c_bench/gate/{module}.py" for module in ("check", "checkouts", "duel", "settings", "turns", "verdicts")),
    "tests/benchmarks",
)
BUSY = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Run:
    """One run of the gate. slowdown: planted share of the step's time; busy: with a busy loop beside it."""

    commit: str
    """The last that touched what is measured."""
    slowdown: float
    busy: bool
    number: int
    found: str
    """The concerned benchmark's verdict; of runs without a slowdown, `alarm` or `quiet` of the whole suite."""
    ratio: float | None
    unstable: int
    seconds: float


@dataclass(frozen=True)
class Scenario:
    """What is repeated."""

    slowdown: float
    busy: bool
    runs: int

    @property
    def name(self) -> str:
        """For readers."""
        what = f"{100 * self.slowdown:g} % slower" if self.slowdown else "nothing changed"
        return f"{what}, {'a busy loop beside it' if self.busy else 'alone'}"


SCENARIOS = tuple(
    Scenario(slowdown, busy, (PLANTED_RUNS if slowdown else FALSE_ALARM_RUNS) // 2)
    for slowdown in (0.0, *SLOWDOWNS)
    for busy in (False, True)
)


def own_settings(**changes: Any) -> Settings:
    """How this project's benchmarks are timed."""
    return Settings(
        benchmarks="tests/benchmarks",
        work="env_steps",
        documents=(*Settings.documents, "dvc.lock", "reports/"),
        environment=without_limit(os.environ),
        **changes,
    )


def run(limit: int | None) -> None:
    """Do the runs that are not in the table yet, at most `limit`, then write and print the figures.

    It can be interrupted: the table holds every run that was done, as long as neither gate nor suite has changed.
    """
    if changed := git("status", "--porcelain", "--", *WHAT_IS_MEASURED):
        raise BadInputError(f"{changed.split()[-1]}: is not committed; commit or stash it first")
    head = resolve(git("log", "-1", "--format=%h", "--", *WHAT_IS_MEASURED))
    done = [run for run in read() if run.commit == head.name]
    # First of each scenario the first run: where it is interrupted, all have about as many.
    todo = [
        (scenario, number)
        for number in range(max(scenario.runs for scenario in SCENARIOS))
        for scenario in SCENARIOS
        if number < scenario.runs and not any(same(run, scenario, number) for run in done)
    ]
    for scenario, number in todo[:limit]:
        done.append(one(head, scenario, number))
        print(f"bench-proof: {scenario.name}, run {number + 1} of {scenario.runs}: {done[-1].found}", flush=True)
        write(done)
    write(done)
    show(done)


def same(run: Run, scenario: Scenario, number: int) -> bool:
    """Whether `run` is this one of a scenario."""
    return (run.slowdown, run.busy, run.number) == (scenario.slowdown, scenario.busy, number)


def one(head: Revision, scenario: Scenario, number: int) -> Run:
    """One run of the gate on the current commit beside itself, slowed where the scenario says so."""
    started = time.monotonic()
    with (
        worktrees(head, head) as (base, candidate),
        tempfile.TemporaryDirectory(prefix="a3c-bench-") as folder,
        busy_loop(scenario.busy),
    ):
        if scenario.slowdown:
            plant(base, 0.0)
            plant(candidate, scenario.slowdown)
        settings = own_settings(select=CONCERNED if scenario.slowdown else None)
        try:
            result = compare(head, head, (base, candidate), Path(folder), settings, started)
        except GateError as error:
            raise BadInputError(str(error)) from None
    found, ratio = "alarm" if result.failed else "quiet", None
    if scenario.slowdown:
        (concerned,) = result.comparisons
        found, ratio = str(concerned.verdict), concerned.ratio
    unstable = summary(result.comparisons).get("unstable", 0)
    return Run(head.name, scenario.slowdown, scenario.busy, number, found, ratio, unstable, round(result.seconds, 1))


def plant(checkout: Path, slowdown: float) -> None:
    """Patch the optimizer's step in a checkout to take so much longer: it waits, busily, before it returns.

    Taking the time costs some percent of so short a step: the base does that too, with nothing to wait for.
    """
    path = checkout / SLOWED_FILE
    source = path.read_text(encoding="utf-8")
    if source.count(SLOWED_FUNCTION) != 1:
        raise BadInputError(f"{path}: the function to slow down is not there: {SLOWED_FUNCTION.strip()}")
    wrapper = (
        f"{SLOWED_FUNCTION}"
        "        start = perf_counter()\n"
        "        self._apply(parameters, gradient, learning_rate)\n"
        f"        end = start + {1 + slowdown} * (perf_counter() - start)\n"
        "        while perf_counter() < end:\n"
        "            pass\n\n"
    )
    patched = source.replace(SLOWED_FUNCTION, wrapper + SLOWED_FUNCTION.replace("def apply", "def _apply"))
    path.write_text(
        patched.replace(FIRST_IMPORT, f"from time import perf_counter\n\n{FIRST_IMPORT}", 1), encoding="utf-8"
    )


@contextmanager
def busy_loop(wanted: bool) -> Iterator[None]:
    """A process that does nothing as fast as it can."""
    if not wanted:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", BUSY], env={"PATH": os.environ.get("PATH", "")}) as process:
        try:
            yield
        finally:
            process.kill()


def read() -> list[Run]:
    """The runs in the table."""
    if not GATE_RUNS.exists():
        return []
    try:
        rows = csv.DictReader(read_plain(GATE_RUNS).decode().splitlines())
        return [
            Run(
                row["commit"],
                float(row["slowdown"]),
                row["busy"] == "True",
                int(row["number"]),
                row["found"],
                float(row["ratio"]) if row["ratio"] else None,
                int(row["unstable"]),
                float(row["seconds"]),
            )
            for row in rows
        ]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise unreadable(GATE_RUNS, error) from None


@dataclass(frozen=True)
class Figures:
    """Of one scenario: how many runs said `slower`, with the exact binomial interval of their share."""

    slowdown: float
    busy: bool
    runs: int
    slower: int
    low: float
    high: float
    ratio: float | None
    """Median over the runs, as the gate measured it; none where nothing was planted."""
    unstable: int
    """Benchmarks without a verdict, over all runs."""
    mean_seconds: float
    max_seconds: float


def figures(runs: Sequence[Run]) -> list[Figures]:
    """The figures of every scenario that has runs."""
    found = []
    for scenario in sorted(SCENARIOS, key=lambda scenario: scenario.slowdown):
        mine = [run for run in runs if (run.slowdown, run.busy) == (scenario.slowdown, scenario.busy)]
        if not mine:
            continue
        slower = sum(run.found in {"slower", "alarm"} for run in mine)
        share = stats.binomtest(slower, len(mine)).proportion_ci(CONFIDENCE, method="exact")
        seconds, ratios = [run.seconds for run in mine], [run.ratio for run in mine if run.ratio is not None]
        found.append(
            Figures(
                scenario.slowdown,
                scenario.busy,
                len(mine),
                slower,
                float(share.low),
                float(share.high),
                float(np.median(ratios)) if ratios else None,
                sum(run.unstable for run in mine),
                sum(seconds) / len(mine),
                max(seconds),
            )
        )
    return found


def write(runs: Sequence[Run]) -> None:
    """Write all runs, and the figures that they give."""
    ordered = sorted(runs, key=lambda run: (run.slowdown, run.busy, run.number))
    write_all(
        {
            GATE_RUNS: csv_bytes([field.name for field in fields(Run)], map(astuple, ordered)),
            GATE: csv_bytes([field.name for field in fields(Figures)], map(astuple, figures(ordered))),
        }
    )


def show(runs: Sequence[Run]) -> None:
    """Print the figures."""
    table = Table("planted", "beside it", "runs", "slower", "95 % interval", "ratio", "unstable", "mean seconds")
    for found in figures(runs):
        table.add_row(
            f"{100 * found.slowdown:g} %" if found.slowdown else "nothing",
            "a busy loop" if found.busy else "nothing",
            str(found.runs),
            str(found.slower),
            f"[{found.low:.0%}, {found.high:.0%}]",
            "–" if found.ratio is None else f"{found.ratio:.3f}",
            str(found.unstable),
            f"{found.mean_seconds:.0f}",
        )
    Console().print(table)
