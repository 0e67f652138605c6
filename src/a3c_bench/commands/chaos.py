"""`a3c-bench chaos`."""

from typing import Annotated

import typer

from a3c_bench.cli import checked
from a3c_bench.commands import number


def run(
    faults: Annotated[
        int | None, number("How many, and at most as many bad inputs; by default each kind nine times, and all inputs.")
    ] = None,
) -> None:
    """Strike trainings with faults at random moments, compare what they end with, and try bad inputs."""
    config = checked()
    from a3c_bench.evidence.chaos import table

    if not table.run(config, faults):
        raise typer.Exit(1)
