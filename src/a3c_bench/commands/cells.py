"""`a3c-bench cells`."""

from a3c_bench.cli import prepare_to_compute
from a3c_bench.commands import Suite


def run(suite: Suite = False) -> None:
    """List the cells, which are trainings with their evaluation, by number."""
    prepare_to_compute()
    from a3c_bench.sweep.cells import main_cells, suite_cells

    for cell in suite_cells() if suite else main_cells():
        print(cell.number, *([cell.environment] if suite else []), cell.algorithm, cell.seed)
