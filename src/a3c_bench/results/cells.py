"""Where the results of the suite's cells are."""

from pathlib import Path

from a3c_bench.results.files import evaluate_folder, train_folder
from a3c_bench.suite import Cell


def trained(cell: Cell) -> Path:
    """What training a cell leaves behind, the model apart."""
    return cell.folder / train_folder(cell.algorithm, cell.seed)


def evaluated(cell: Cell) -> Path:
    """The figures of a cell's evaluation."""
    return cell.folder / evaluate_folder(cell.algorithm, cell.seed) / "metrics.json"
