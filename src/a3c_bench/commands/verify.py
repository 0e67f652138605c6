"""`a3c-bench verify`."""

from typing import Annotated

import typer

from a3c_bench.cli import require_own_source
from a3c_bench.commands import as_seed, number


def run(
    workers: Annotated[int | None, number("Train with this many workers.")] = None,
    threads: Annotated[int | None, number("Train with this many threads.")] = None,
    schedule: Annotated[str | None, typer.Option(help="Train under this schedule.")] = None,
    seeds: Annotated[str, typer.Option(help="Only these seeds, with commas between them.")] = "",
    algorithms: Annotated[str, typer.Option(help="Only these algorithms, with commas between them.")] = "",
) -> None:
    """Make the committed results again from nothing, in a clone, and compare them with dvc.lock."""
    require_own_source()
    from a3c_bench.config import load_config
    from a3c_bench.evidence.reproducibility import verify

    config = load_config()
    asked = {"workers": workers, "threads": threads, "schedule": schedule}
    changes = {key: value for key, value in asked.items() if value is not None}
    chosen_seeds = [as_seed("--seeds", seed) for seed in listed(seeds)] or config.seeds
    if not verify.run(config, changes, chosen_seeds, listed(algorithms) or config.algorithms):
        raise typer.Exit(1)


def listed(value: str) -> list[str]:
    """The parts of `value`, which has commas between them."""
    return [part.strip() for part in value.split(",") if part.strip()]
