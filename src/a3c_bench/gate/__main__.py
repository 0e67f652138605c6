"""`python -m a3c_bench.gate`, run in any git repository whose benchmarks are pytest-benchmark's."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from a3c_bench.gate import check
from a3c_bench.gate.settings import GateError, Settings


def usual_python() -> str:
    """The interpreter of the environment that is active, or that lies in the repository; else this one."""
    for environment in (os.environ.get("VIRTUAL_ENV"), ".venv", "venv"):
        if environment and (path := Path(environment).absolute() / "bin" / "python").exists():
            return str(path)
    return sys.executable


def arguments(given: Sequence[str] | None = None) -> Settings:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m a3c_bench.gate", description=check.__doc__)
    add = parser.add_argument
    add("--base", help="the revision to compare with; by default where the current commit left the main branch")
    add("--benchmarks", metavar="PATH", help="where they are; by default tests/benchmarks, benchmarks, … or tests")
    add("--select", metavar="TEXT", help="only benchmarks with this in their name")
    add("--budget", metavar="SECONDS", type=float, default=Settings.budget, help="to spend, %(default).0f by default")
    add("--python", default=usual_python(), help="runs the benchmarks; by default that of the active environment")
    add("--prepare", metavar="COMMAND", help="a shell command for each checkout before it is timed")
    add("--pytest", metavar="OPTIONS", default="", help="more options for pytest; `addopts` is not used")
    add("--output", metavar="FOLDER", type=Path, default=Settings.output, help="by default %(default)s/")
    found = parser.parse_args(given)
    if not found.budget > 0:
        parser.error(f"--budget: {found.budget:g} is not more than 0 seconds")
    return Settings(
        base=found.base,
        benchmarks=found.benchmarks,
        select=found.select,
        budget=found.budget,
        longest=max(found.budget, Settings.longest),
        output=found.output,
        python=found.python,
        prepare=found.prepare,
        pytest=shlex.split(found.pytest),
    )


def main() -> None:
    """Exit code 1 if a benchmark is slower or missing, 2 if nothing can be judged."""
    try:
        sys.exit(0 if check.run(arguments()) else 1)
    except GateError as error:
        print(f"bench-check: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
