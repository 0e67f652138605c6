"""Cells by number: the trainings, each with its evaluation, of the main pipeline or of the suite."""

from itertools import product
from pathlib import Path
from typing import NamedTuple, get_args

from a3c_bench import suite
from a3c_bench.config import Config, load_config
from a3c_bench.errors import BadInputError
from a3c_bench.results.files import Moment, evaluate_folder, model_path, train_folder

STAGES = ("train", "evaluate")
TRAINED = ("curve.csv", "updates.csv", "digests.csv", "metrics.json")
EVALUATED = ("episodes.csv", "metrics.json")


class Cell(NamedTuple):
    """One training and its evaluation."""

    number: int
    algorithm: str
    seed: int
    environment: str | None = None
    """One of the suite's; None: the main pipeline's."""

    @property
    def name(self) -> str:
        """What it is, as its lines on the screen begin."""
        return " ".join([*([self.environment] if self.environment else []), self.algorithm, f"seed {self.seed}"])

    @property
    def stages(self) -> list[str]:
        """The stages of DVC that it is."""
        item = [*([self.environment] if self.environment else []), self.algorithm, str(self.seed)]
        return [f"{stage}@{'-'.join(item)}" for stage in STAGES]

    @property
    def input_stage(self) -> str:
        """The stage of DVC that comes before."""
        return f"inputs@{self.environment}-{self.algorithm}" if self.environment else "preset"

    @property
    def files(self) -> list[Path]:
        """All that it leaves behind, from the repository's root: the outputs of its stages."""
        folder = suite.FOLDER / self.environment if self.environment else Path()
        trained, evaluated = (of(self.algorithm, self.seed) for of in (train_folder, evaluate_folder))
        return [
            *(folder / model_path(self.algorithm, self.seed, moment) for moment in get_args(Moment)),
            *(folder / trained / name for name in TRAINED),
            *(folder / evaluated / name for name in EVALUATED),
        ]


def main_cells(config: Config | None = None) -> list[Cell]:
    """Those of params.yaml."""
    config = config or load_config()
    return [Cell(number, *cell) for number, cell in enumerate(product(config.algorithms, config.seeds))]


def suite_cells() -> list[Cell]:
    """Those of the suite."""
    cells = enumerate(suite.load().cells())
    return [Cell(number, cell.algorithm, cell.seed, cell.environment) for number, cell in cells]


def numbered(number: int, of_suite: bool) -> Cell:
    """The cell of this number; raises `BadInputError` where there is none."""
    cells = suite_cells() if of_suite else main_cells()
    if not 0 <= number < len(cells):
        allowed = f"there are 0 to {len(cells) - 1}, and `a3c-bench cells` lists them"
        raise BadInputError(f"cell: {number} is not allowed: {allowed}")
    return cells[number]
