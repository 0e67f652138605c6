"""`a3c-bench evaluate`."""

from a3c_bench.cli import checked
from a3c_bench.commands import Algorithm, Environment, Seed, chosen


def run(algorithm: Algorithm = None, seed: Seed = None, environment: Environment = None) -> None:
    """Stage: evaluate one trained model."""
    config = checked(environment=environment)
    from a3c_bench.stages import evaluate

    evaluate.run(config, *chosen(config, algorithm, seed))
