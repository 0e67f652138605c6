"""`a3c-bench peers`."""

from typing import Annotated

import typer

from a3c_bench.cli import require_own_source
from a3c_bench.commands import number


def run(
    seeds: Annotated[int | None, number("How many seeds of each system, at most.")] = None,
    envs: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME", help="Time to score on these of the suite's environments, in place of CartPole-v1."
        ),
    ] = None,
) -> None:
    """Train other systems beside this one, and write the comparison to reports/peers and the README."""
    require_own_source()
    from a3c_bench.config import load_config
    from a3c_bench.evidence.speed import peers, time_to_score

    load_config()
    if envs is None:
        peers.run(seeds)
    else:
        time_to_score.run(envs.split(","), seeds)
