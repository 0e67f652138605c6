"""`a3c-bench peers`."""

from typing import Annotated

from a3c_bench.cli import require_own_source
from a3c_bench.commands import number


def run(
    seeds: Annotated[int | None, number("How many seeds of each system, at most.")] = None,
) -> None:
    """Train other systems beside this one, and write the comparison to reports/peers and the README."""
    require_own_source()
    from a3c_bench.config import load_config
    from a3c_bench.evidence.speed import peers

    load_config()
    peers.run(seeds)
