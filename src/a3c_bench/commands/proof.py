"""`a3c-bench proof`."""

from typing import Annotated

import typer

from a3c_bench.cli import checked

Environments = Annotated[
    str | None, typer.Option(metavar="NAMES", help="Only these environments, with commas between them.")
]


def run(envs: Environments = None) -> None:
    """Train under every condition that must not change the bits, and write the table to reports/reproducibility."""
    config = checked()
    from a3c_bench.evidence.reproducibility import environments, proof

    if not (proof.run(config) if envs is None else environments.run(config, envs.split(","))):
        raise typer.Exit(1)
