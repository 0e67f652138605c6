"""`a3c-bench train`."""

from a3c_bench.cli import checked
from a3c_bench.commands import Algorithm, Environment, Fresh, Seed, chosen


def run(algorithm: Algorithm = None, seed: Seed = None, environment: Environment = None, fresh: Fresh = False) -> None:
    """Stage: train one model; goes on from its checkpoint where it was interrupted."""
    config = checked(trains=True, environment=environment)
    from a3c_bench.stages import train

    train.run(config, *chosen(config, algorithm, seed), fresh)
