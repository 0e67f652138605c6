"""`a3c-bench verify`."""

from typing import Annotated

import typer

from a3c_bench.cli import require_own_source
from a3c_bench.commands import as_seed, number
from a3c_bench.errors import BadInputError


def run(
    workers: Annotated[int | None, number("Train with this many workers.")] = None,
    threads: Annotated[int | None, number("Train with this many threads.")] = None,
    schedule: Annotated[str | None, typer.Option(help="Train under this schedule.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Only these seeds, with commas between them.")] = None,
    algorithms: Annotated[str | None, typer.Option(help="Only these algorithms, with commas between them.")] = None,
) -> None:
    """Make the committed results again from nothing, in a clone, and compare them with dvc.lock."""
    require_own_source()
    from a3c_bench.config import load_config
    from a3c_bench.evidence.reproducibility import verify

    config = load_config()
    asked = {"workers": workers, "threads": threads, "schedule": schedule}
    changes = {key: value for key, value in asked.items() if value is not None}
    chosen_seeds = config.seeds if seeds is None else [as_seed("--seeds", seed) for seed in listed("--seeds", seeds)]
    chosen_algorithms = config.algorithms if algorithms is None else listed("--algorithms", algorithms)
    if not verify.run(config, changes, chosen_seeds, chosen_algorithms):
        raise typer.Exit(1)


def listed(option: str, value: str) -> list[str]:
    """The parts of `value`, which has commas between them; raises `BadInputError` that names the option without any."""
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if not parts:
        raise BadInputError(f"{option}: {value!r} is not allowed: name one at least, or leave the option out")
    return parts
