"""`a3c-bench proof-hosts`."""

from typing import Annotated

import typer

from a3c_bench.cli import checked
from a3c_bench.commands import number


def run(
    faults: Annotated[int | None, number("How many faults; by default each kind seven times.")] = None,
) -> None:
    """Train over several hosts, network namespaces here, and strike them: the bits have to be those of one."""
    config = checked()
    from a3c_bench.evidence.hosts import proof

    if not proof.run(config, faults):
        raise typer.Exit(1)
