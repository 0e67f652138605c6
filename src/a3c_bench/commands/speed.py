"""`a3c-bench speed`."""

from a3c_bench.cli import checked


def run() -> None:
    """Measure the figures of speed in one run, and write them to reports/speed."""
    config = checked()
    from a3c_bench.evidence.speed import table

    table.run(config)
