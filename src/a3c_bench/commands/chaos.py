"""`a3c-bench chaos`."""

from typing import Annotated

import typer

from a3c_bench.cli import checked


def run(
    faults: Annotated[
        int | None,
        typer.Option(
            min=1, help="So many, and as many bad inputs at most; by default each kind eight times, and all inputs."
        ),
    ] = None,
) -> None:
    """Strike trainings with faults at random moments, compare what they end with, and try bad inputs."""
    config = checked()
    from a3c_bench.evidence.chaos import table

    if not table.run(config, faults):
        raise typer.Exit(1)
