"""`a3c-bench train`."""

from typing import Annotated

import typer

from a3c_bench.cli import checked
from a3c_bench.commands import Algorithm, Seed, chosen
from a3c_bench.machine import require_address_space
from a3c_bench.math_threads import limit_math_threads
from a3c_bench.processes import start_server


def run(
    algorithm: Algorithm = None,
    seed: Seed = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", envvar="A3C_BENCH_FRESH", help="Begin anew, whatever checkpoint there is.")
    ] = False,
) -> None:
    """Stage: train one model; goes on from its checkpoint where it was interrupted."""
    require_address_space()
    limit_math_threads()
    # First: it refuses some variables, of which the server would tell in its own way.
    import numpy  # noqa: F401

    # Its imports, a third of a second's, run beside ours.
    start_server()
    config = checked()
    from a3c_bench.stages import train

    train.run(config, *chosen(config, algorithm, seed), fresh)
