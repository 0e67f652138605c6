"""`a3c-bench suite-inputs`."""

from typing import Annotated

import typer

from a3c_bench.cli import checked
from a3c_bench.commands import Algorithm, chosen_algorithm


def run(
    environment: Annotated[str, typer.Option(help="One of the suite's.")],
    algorithm: Algorithm = None,
) -> None:
    """Stage of the suite: write what a cell's results depend on."""
    config = checked(environment=environment)
    from a3c_bench.stages import suite_inputs

    suite_inputs.run(config, chosen_algorithm(config, algorithm))
