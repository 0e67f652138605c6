"""`a3c-bench sweep`."""

import re
import secrets
from typing import Annotated, Literal

import typer

from a3c_bench.cli import prepare_to_compute
from a3c_bench.commands import Environments, Suite, as_seed, seconds
from a3c_bench.errors import BadInputError


def _as_share(value: object) -> float:
    """As it is typed, or the default; raises `typer.BadParameter`, which names the option."""
    if not re.fullmatch(r"0?\.[0-9]{1,10}|[01](\.0{0,10})?", str(value)):
        raise typer.BadParameter(f"{value!r} is not allowed: a number from 0 to 1, such as 0.1")
    return float(str(value))


def run(
    engine: Annotated[Literal["ray"], typer.Option(help="What runs cells on other machines.")] = "ray",
    address: Annotated[
        str, typer.Option(help="Of the Ray cluster, HOST:PORT; auto: the one that this machine belongs to.")
    ] = "auto",
    suite: Suite = False,
    envs: Environments = None,
    audit: Annotated[
        float,
        typer.Option(
            parser=_as_share,
            metavar="PART",
            help="Share of the cells, from 0 to 1, that a second node makes again, to compare.",
        ),
    ] = 0.0,
    audit_seed: Annotated[
        str | None,
        typer.Option(metavar="INTEGER", help="Chooses the cells that are audited; by default drawn, and printed."),
    ] = None,
    patience: Annotated[float, seconds("Give up after this long without a node that can make a cell.")] = 60.0,
) -> None:
    """Train and evaluate the cells that are left on the nodes of a cluster, and hand them in to DVC."""
    prepare_to_compute()
    from a3c_bench import suite as suites
    from a3c_bench.config import load_config
    from a3c_bench.sweep.cells import main_cells, suite_cells
    from a3c_bench.sweep.run import run as sweep

    if envs and not suite:
        raise BadInputError("--envs: only with --suite, of whose cells it chooses some")
    seed = secrets.randbelow(10_000) if audit_seed is None else as_seed("--audit-seed", audit_seed)
    if not suite:
        config = load_config()
        sweep(config, main_cells(config), address, audit, seed, patience)
        return
    params = suites.load()
    environments = params.named(envs.split(",")).environments if envs else params.environments
    cells = [cell for cell in suite_cells() if cell.environment in environments]
    sweep(params, cells, address, audit, seed, patience)
