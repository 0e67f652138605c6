"""`a3c-bench suite-report`."""

from a3c_bench.cli import prepare


def run() -> None:
    """Stage of the suite: put the cells that there are on a page."""
    prepare()
    from a3c_bench import suite
    from a3c_bench.stages import suite_report

    suite_report.run(suite.load())
