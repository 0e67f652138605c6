"""`a3c-bench preset`."""

from a3c_bench.cli import checked


def run() -> None:
    """Stage: write what the environment's preset says."""
    config = checked()
    from a3c_bench.stages import preset

    preset.run(config.env, config.preset)
