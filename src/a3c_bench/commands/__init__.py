"""One module per command of `a3c-bench`: its `run` is the command, and a file is all it takes to add one.

They import what they need when they run: `--help` imports all of them, but not numpy.
"""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from a3c_bench.errors import BadInputError

if TYPE_CHECKING:
    from a3c_bench.config import Config

Algorithm = Annotated[str | None, typer.Option(help="One of params.yaml's algorithms; by default the first.")]
Seed = Annotated[
    str | None,
    typer.Option(metavar="INTEGER", help=f"The training run's, from 0 to {2**32 - 1}; by default params.yaml's first."),
]
Environment = Annotated[
    str | None, typer.Option(help="One of the suite's, whose own params hold in place of params.yaml.")
]
Suite = Annotated[bool, typer.Option("--suite", help="The suite's cells, in place of the main pipeline's.")]
Environments = Annotated[
    str | None, typer.Option(metavar="NAME,NAME", help="Some of the suite's environments; by default all.")
]
Fresh = Annotated[
    bool, typer.Option("--fresh", envvar="A3C_BENCH_FRESH", help="Start over, whatever checkpoint there is.")
]
MOST = 1_000_000


def number(text: str) -> Any:
    """An option that is a number of things; `text` is its help."""
    return typer.Option(parser=_as_number, metavar="INTEGER", help=f"{text} From 1 to {MOST}.")


def seconds(text: str) -> Any:
    """An option that is a time in seconds; `text` is its help."""
    return typer.Option(parser=_as_seconds, metavar="SECONDS", help=f"{text} From 1 to {MOST}.")


def _as_number(value: object) -> int:
    """As it is typed, or a default; raises `typer.BadParameter`, which names the option."""
    # Not longer: Python reads no number of more than 4300 digits.
    text = str(value)
    if not re.fullmatch("[0-9]{1,10}", text) or not 1 <= int(text) <= MOST:
        raise typer.BadParameter(f"{text!r} is not allowed: a whole number from 1 to {MOST}")
    return int(text)


def _as_seconds(value: object) -> float:
    """As it is typed, or a default; raises `typer.BadParameter`, which names the option."""
    text = str(value)
    if not re.fullmatch(r"[0-9]{1,10}(\.[0-9]{0,10})?", text) or not 1 <= float(text) <= MOST:
        raise typer.BadParameter(f"{text!r} is not allowed: seconds from 1 to {MOST}")
    return float(text)


def chosen(config: "Config", algorithm: str | None, seed: str | None) -> tuple[str, int]:
    """The algorithm and the seed that are asked for, or the params' first."""
    return chosen_algorithm(config, algorithm), config.seeds[0] if seed is None else as_seed("--seed", seed)


def chosen_algorithm(config: "Config", name: str | None) -> str:
    """The algorithm that is asked for, or the params' first; raises `BadInputError` unless it is one of theirs."""
    chosen = config.algorithms[0] if name is None else name
    if chosen not in config.algorithms:
        raise BadInputError(f"--algorithm: {chosen!r} is not allowed; params.yaml has {', '.join(config.algorithms)}")
    return chosen


def as_seed(option: str, value: str) -> int:
    """A seed as it is typed; raises `BadInputError` that names the option."""
    if not re.fullmatch("[0-9]{1,10}", value) or int(value) >= 2**32:
        raise BadInputError(f"{option}: {value!r} is not allowed: a seed is a whole number from 0 to {2**32 - 1}")
    return int(value)


def as_cell(value: str) -> int:
    """A cell's number as it is typed, or told by what runs array jobs; raises `BadInputError` for any other text."""
    if not re.fullmatch("[0-9]{1,10}", value):
        raise BadInputError(f"cell: {value!r} is not allowed: a number of those that `a3c-bench cells` lists")
    return int(value)
