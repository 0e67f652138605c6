"""`a3c-bench bench-check`."""

from typing import Annotated

import typer

from a3c_bench.cli import require_own_source
from a3c_bench.commands import seconds


def run(
    base: Annotated[
        str | None, typer.Option(help="The revision to compare with; by default where main was left.")
    ] = None,
    select: Annotated[str | None, typer.Option(help="Only benchmarks whose name contains this.")] = None,
    budget: Annotated[float | None, seconds("To spend, where noise asks for more.")] = None,
) -> None:
    """Time the current commit beside another revision, in turns; exit code 1 if it is slower."""
    require_own_source()
    from a3c_bench.gate import check

    if not check.run(base, select, budget):
        raise typer.Exit(1)
