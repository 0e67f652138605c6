"""`a3c-bench contribute`."""

from a3c_bench.cli import checked


def run() -> None:
    """Time committed trainings on this machine, and write machines/<cpu>-<cores>.json."""
    config = checked(trains=True)
    from a3c_bench.evidence.speed import contribute
    from a3c_bench.tracking import presence

    # They would disturb the timings.
    presence.wait_for_all()
    contribute.run(config)
