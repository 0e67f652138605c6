"""`a3c-bench search`."""

from typing import Annotated

from a3c_bench.cli import checked
from a3c_bench.commands import Algorithm, Environment, chosen_algorithm, number


def run(
    environment: Environment = None,
    algorithm: Algorithm = None,
    candidates: Annotated[int, number("How many candidates to try, when searching for a preset.")] = 16,
) -> None:
    """Search for the fastest hyper-parameters, or for a preset of the suite, with the best returns."""
    config = checked(environment=environment)
    name = chosen_algorithm(config, algorithm)
    first = config.changed(algorithms=(name, *(other for other in config.algorithms if other != name)))
    if environment is None:
        from a3c_bench.evidence.speed import search

        search.run(first)
    else:
        from a3c_bench.evidence import preset_search

        preset_search.run(first, candidates)
