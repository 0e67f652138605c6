"""`a3c-bench profile`."""

from a3c_bench.cli import checked


def run() -> None:
    """Stage: measure throughput over the grid."""
    config = checked()
    from a3c_bench.stages import profile
    from a3c_bench.tracking import presence

    # They would disturb the timings.
    presence.wait_for_all()
    profile.run(config)
