"""`a3c-bench search`."""

from a3c_bench.cli import checked


def run() -> None:
    """Search for the fastest hyper-parameters, and write the best to reports/speed."""
    config = checked()
    from a3c_bench.evidence.speed import search

    search.run(config)
