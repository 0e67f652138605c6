"""`a3c-bench cost-hosts`."""

from typing import Annotated

from a3c_bench.cli import checked
from a3c_bench.commands import number


def run(
    slices: Annotated[int | None, number("Slices of every comparison; by default 120.")] = None,
) -> None:
    """Measure what several hosts cost and bring, on this machine, and write reports/hosts."""
    config = checked()
    from a3c_bench.evidence.hosts import costs

    costs.run(config, slices or costs.SLICES)
