"""`a3c-bench proof`."""

import typer

from a3c_bench.cli import checked


def run() -> None:
    """Train under every condition that must not change the bits, and write the table to reports/reproducibility."""
    config = checked()
    from a3c_bench.evidence.reproducibility import proof

    if not proof.run(config):
        raise typer.Exit(1)
