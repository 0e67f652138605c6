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
    budget: Annotated[float | None, seconds("To spend where the timings are noisy.")] = None,
) -> None:
    """Time the current commit beside another revision, in turns; exit code 1 if it is slower."""
    require_own_source()
    from a3c_bench.errors import BadInputError
    from a3c_bench.evidence.gate_proof import own_settings
    from a3c_bench.gate import check
    from a3c_bench.gate.settings import GateError
    from a3c_bench.progress import is_quiet

    settings = own_settings(base=base, select=select, **({"budget": budget} if budget else {}))
    try:
        passed = check.run(settings, told=(lambda *progress: None) if is_quiet() else None)
    except GateError as error:
        raise BadInputError(str(error)) from None
    if not passed:
        raise typer.Exit(1)
