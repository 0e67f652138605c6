"""`a3c-bench cell`."""

from typing import Annotated

import typer

from a3c_bench.cli import checked, prepare_to_compute
from a3c_bench.commands import Fresh, Suite, as_cell


def run(
    number: Annotated[
        str,
        typer.Argument(
            metavar="N",
            envvar=["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"],
            help="The cell's number; `a3c-bench cells` lists them.",
        ),
    ],
    suite: Suite = False,
    fresh: Fresh = False,
) -> None:
    """Train and evaluate one cell, named by its number: a task of an array job, with no engine."""
    prepare_to_compute()
    from a3c_bench.sweep.cells import numbered

    cell = numbered(as_cell(number), suite)
    config = checked(trains=True, environment=cell.environment)
    from a3c_bench.stages import evaluate, train

    train.run(config, cell.algorithm, cell.seed, fresh)
    evaluate.run(config, cell.algorithm, cell.seed)
