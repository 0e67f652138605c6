"""Time two revisions in turns, and say which benchmarks became slower."""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from a3c_bench.gate import duel
from a3c_bench.gate.checkouts import (
    Revision,
    changed_files,
    default_base,
    require_clean,
    resolve,
    worktrees,
)
from a3c_bench.gate.settings import GateError, Settings
from a3c_bench.gate.show import Result, write
from a3c_bench.gate.verdicts import Bout, fight

LINE_SECONDS = 10.0

Told = Callable[[int, int, str], None]
"""Is told of progress: verdicts so far, benchmarks, and a line for people."""


def run(settings: Settings, told: Told | None = None) -> bool:
    """Whether no benchmark of the current commit is slower than in the base, and none is missing there."""
    started = time.monotonic()
    require_clean(settings)
    base = resolve(settings.base) if settings.base else default_base()
    head = resolve("HEAD")
    files = changed_files(base, head)
    # A commit beside itself is timed when it is asked for by name: it shows how far noise carries.
    if all(map(settings.is_document, files)) and (files or settings.base is None):
        what = f"only documents changed ({len(files)} files)" if files else "nothing changed"
        print(f"bench-check: {what} since {base}: there is nothing to time")
        return True
    with worktrees(base, head) as checkouts, tempfile.TemporaryDirectory(prefix="bench-check-") as folder:
        result = compare(base, head, checkouts, Path(folder), settings, started, told)
    write(result, settings.output)
    return not result.failed


def compare(
    base: Revision,
    head: Revision,
    checkouts: Sequence[Path],
    folder: Path,
    settings: Settings,
    started: float,
    told: Told | None = None,
) -> Result:
    """Time both checkouts pair by pair, with scratch files in `folder`; raises `GateError` where there is nothing."""
    for checkout in checkouts:
        duel.prepare(checkout, settings)
    suites = [duel.collect(checkout, settings) for checkout in checkouts]
    for revision, suite in zip((base, head), suites, strict=True):
        if not suite:
            where = settings.benchmarks or "the usual folders"
            raise GateError(f"{revision}: has no benchmarks in {where}; choose a base that has some")
    # The level stays that of the whole suite, also where only a part of it is timed.
    chosen = [[name for name in suite if not settings.select or settings.select in name] for suite in suites]
    if not chosen[1]:
        raise GateError(f"select: no benchmark has {settings.select!r} in its name, say {suites[1][0].split('::')[-1]}")
    bout, order = Bout(chosen[0], chosen[1], suite=len(suites[1])), np.random.default_rng(0)
    told = told or Lines()

    def elapsed() -> float:
        return time.monotonic() - started

    fight(
        bout,
        lambda names: duel.run(checkouts, [names, names], order, folder, settings),
        elapsed,
        settings.budget,
        max(settings.budget, settings.longest),
        lambda bout: told(
            len(bout.settled), len(bout.common), f"pairs {bout.pairs}, open {len(bout.open)}, {elapsed():.0f} s"
        ),
    )
    return Result(base, head, bout.comparisons(), elapsed())


class Lines:
    """Tells of progress in a line every few seconds."""

    def __init__(self) -> None:
        self._next = time.monotonic() + LINE_SECONDS

    def __call__(self, settled: int, benchmarks: int, status: str) -> None:
        """Print it, if it is time."""
        if time.monotonic() >= self._next:
            print(f"bench-check: {settled} of {benchmarks} judged · {status}", flush=True)
            self._next = time.monotonic() + LINE_SECONDS
