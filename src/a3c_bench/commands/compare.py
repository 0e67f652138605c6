"""`a3c-bench compare`."""

from typing import Annotated

import typer

from a3c_bench.cli import prepare


def run(
    experiments: Annotated[
        list[str] | None,
        typer.Argument(help="DVC experiments or git revisions; by default the current commit and its experiments."),
    ] = None,
) -> None:
    """Put experiments side by side on a page: params that differ, figures, curves, hashes of the models."""
    prepare()
    from a3c_bench.report import compare

    compare.run(experiments or [])
