"""`a3c-bench report`."""

from a3c_bench.cli import checked


def run() -> None:
    """Stage: render the report from the results."""
    config = checked()
    from a3c_bench.stages import report

    report.run(config)
