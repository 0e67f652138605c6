"""`a3c-bench report`."""

from a3c_bench.cli import checked


def run() -> None:
    """Stage: render the report from the results."""
    config = checked()
    from a3c_bench.stages import report
    from a3c_bench.tracking import presence

    report.run(config)
    # The last stage: what the pipeline did is to be found in MLflow when it ends.
    presence.wait_for_all()
