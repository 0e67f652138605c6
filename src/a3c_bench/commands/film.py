"""`a3c-bench film`."""

from a3c_bench.cli import checked
from a3c_bench.commands import Algorithm, chosen_algorithm


def run(algorithm: Algorithm = None) -> None:
    """Stage: film an episode early in training, half-way and at its end."""
    config = checked()
    from a3c_bench.stages import film

    film.run(config, chosen_algorithm(config, algorithm))
