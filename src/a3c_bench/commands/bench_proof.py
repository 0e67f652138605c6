"""`a3c-bench bench-proof`."""

from typing import Annotated

from a3c_bench.cli import require_own_source
from a3c_bench.commands import number


def run(
    runs: Annotated[int | None, number("How many more, at most; by default all.")] = None,
) -> None:
    """Measure how often bench-check raises a false alarm and which slowdowns it finds; writes reports/gate."""
    require_own_source()
    from a3c_bench.evidence import gate_proof

    gate_proof.run(runs)
