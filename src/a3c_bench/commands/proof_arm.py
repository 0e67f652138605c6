"""`a3c-bench proof-arm`."""

from typing import Annotated

import typer

from a3c_bench.cli import checked
from a3c_bench.commands import Algorithm, Seed, chosen, number


def run(
    cpu: Annotated[str, typer.Option(help="The processor that is emulated, by QEMU's name.")] = "neoverse-n1",
    rounds: Annotated[int, number("Rollouts of every actor.")] = 20,
    whole: Annotated[
        bool, typer.Option("--whole", help="Train one cell to its end, and compare its files with dvc.lock.")
    ] = False,
    algorithm: Algorithm = None,
    seed: Seed = None,
) -> None:
    """Train on an emulated ARM64 processor, in a Debian of its own, and compare the bits with this machine's."""
    config = checked()
    from a3c_bench.evidence.reproducibility import arm

    same = arm.whole(*chosen(config, algorithm, seed), cpu) if whole else arm.short(config, cpu, rounds)
    if not same:
        raise typer.Exit(1)
