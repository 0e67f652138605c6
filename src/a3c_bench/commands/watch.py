"""`a3c-bench watch`: a window in which a trained policy plays."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from a3c_bench.cli import checked
from a3c_bench.commands import Algorithm, Seed, chosen, number
from a3c_bench.errors import BadInputError, describe_error

if TYPE_CHECKING:
    from a3c_bench.config import Config

Moment = Literal["early", "half", "end"]


def run(
    algorithm: Algorithm = None,
    seed: Seed = None,
    moment: Annotated[Moment, typer.Option(help="When in training: early, half-way or at the end.")] = "end",
    episodes: Annotated[int, number("How many.")] = 3,
) -> None:
    """Watch a trained policy play, in a window."""
    config = checked()
    show(config, *chosen(config, algorithm, seed), moment, episodes)


def show(config: "Config", algorithm: str, seed: int, moment: Moment, episodes: int) -> None:
    """Play greedy episodes, the first from the evaluation's start; raises `BadInputError` without a screen."""
    from a3c_bench.environments.make import describe, make_shown
    from a3c_bench.evaluation import evaluation_start, play
    from a3c_bench.results.files import film_path
    from a3c_bench.results.models import load_policy

    policy = load_policy(config, algorithm, seed, describe(config.recipe), moment)
    try:
        environment = make_shown(config.recipe, "human")
        for episode in range(episodes):
            *_, total = play(policy, environment, evaluation_start(seed) + episode)
            print(f"{algorithm} seed {seed}, {moment}: episode {episode + 1}, return {total:g}", flush=True)
        environment.close()
    except Exception as error:  # Each package has its own for a screen that is missing.
        reason = describe_error(error)
        raise BadInputError(
            f"watch: no window can be opened ({reason}); {film_path(algorithm)} shows the same without a screen"
        ) from None
