"""`a3c-bench bench-history`."""

from pathlib import Path
from typing import Annotated

import typer

from a3c_bench.cli import require_own_source


def run(
    results: Annotated[Path, typer.Argument(help="What pytest-benchmark wrote.")] = Path("benchmarks.json"),
) -> None:
    """Log the benchmarks of a commit of the main branch to MLflow."""
    require_own_source()
    from a3c_bench.tracking import benchmarks

    benchmarks.run(results)
