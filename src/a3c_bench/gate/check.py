"""`make bench-check`: time two revisions in turns, and say which benchmarks became slower."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from a3c_bench.errors import BadInputError
from a3c_bench.gate import duel
from a3c_bench.gate.checkouts import (
    SUITE,
    Revision,
    changed_files,
    default_base,
    only_documents,
    require_clean,
    resolve,
    worktrees,
)
from a3c_bench.gate.show import Result, write
from a3c_bench.gate.verdicts import TOLERANCE, Bout, fight
from a3c_bench.progress import Progress
from a3c_bench.seeding import Role, stream

BUDGET_SECONDS = 230.0
LONGEST_SECONDS = 465.0


def run(base_name: str | None, select: str | None = None, budget: float | None = None) -> bool:
    """Whether no benchmark of the current commit is slower than in `base_name`, and none is missing there."""
    started = time.monotonic()
    require_clean()
    base = resolve(base_name) if base_name else default_base()
    head = resolve("HEAD")
    files = changed_files(base, head)
    # A commit beside itself is timed when it is asked for by name: it shows how far noise carries.
    if only_documents(files) and (files or base_name is None):
        what = f"only documents changed ({len(files)} files)" if files else "nothing changed"
        print(f"bench-check: {what} since {base}: there is nothing to time")
        return True
    with worktrees(base, head) as checkouts, tempfile.TemporaryDirectory(prefix="a3c-bench-") as folder:
        result = compare(base, head, checkouts, Path(folder), select, budget or BUDGET_SECONDS, started)
    write(result)
    return not result.failed


def compare(
    base: Revision,
    head: Revision,
    checkouts: Sequence[Path],
    folder: Path,
    select: str | None,
    budget: float,
    started: float,
) -> Result:
    """Time both checkouts pair by pair, with scratch files in `folder`; `select`: only benchmarks with this in name."""
    suites = [duel.collect(checkout) for checkout in checkouts]
    for revision, suite in zip((base, head), suites, strict=True):
        if not suite:
            raise BadInputError(
                f"{revision}: has no benchmarks in {SUITE}; choose a BASE that has, or none to compare with"
            )
    # The level stays that of the whole suite, also where only a part of it is timed.
    chosen = [[name for name in suite if not select or select in name] for suite in suites]
    if not chosen[1]:
        raise BadInputError(f"SELECT: no benchmark has {select!r} in its name; `make bench` lists them")
    bout, order = Bout(chosen[0], chosen[1], suite=len(suites[1])), stream(0, Role.PROFILE)

    def elapsed() -> float:
        return time.monotonic() - started

    with Progress("bench-check", len(bout.common)) as progress:
        fight(
            bout,
            lambda names: duel.run(checkouts, [names, names], order, folder),
            elapsed,
            budget,
            max(budget, LONGEST_SECONDS),
            lambda bout: progress.show(
                len(bout.settled),
                f"pairs {bout.pairs}, open {len(bout.open)}, {elapsed():.0f} s",
            ),
        )
    return Result(base, head, bout.comparisons(), elapsed(), TOLERANCE)
