"""`a3c-bench machine`."""

from a3c_bench.cli import checked


def run() -> None:
    """Stage: write the machine's fingerprint."""
    config = checked()
    from a3c_bench.stages import machine

    machine.run(config)
