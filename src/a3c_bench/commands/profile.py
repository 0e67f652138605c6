"""`a3c-bench profile`."""

from a3c_bench.cli import checked


def run() -> None:
    """Stage: measure throughput over the grid."""
    config = checked()
    from a3c_bench.stages import profile

    profile.run(config)
