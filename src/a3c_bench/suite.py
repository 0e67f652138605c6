"""The suite: a cell for every environment, algorithm and seed of `suite/params.yaml`, each trained on its own."""

import os
import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import AfterValidator

from a3c_bench import preset
from a3c_bench.config import Config, Evaluate, Grid, SectionName, Seed, Threads, Workers, parse_config, parse_section
from a3c_bench.errors import BadInputError
from a3c_bench.params import read_yaml
from a3c_bench.sections import Section

FOLDER = Path("suite")
PARAMS = FOLDER / "params.yaml"
# An id is a folder, and part of a stage's name and of a command; a package before it is not needed: presets are ours.
ID = re.compile(r"([A-Za-z0-9_-]+/)?[A-Za-z0-9_.-]+-v[0-9]+")


def _id(name: str) -> str:
    if not ID.fullmatch(name):
        raise ValueError("a Gymnasium id is needed, such as Acrobot-v1 or MinAtar/Breakout-v1")
    return name


class Suite(Section):
    """Everything that `suite/params.yaml` says."""

    environments: Grid[Annotated[str, AfterValidator(_id)]]
    algorithms: Grid[SectionName]
    seeds: Grid[Seed]
    workers: Workers
    threads: Threads
    evaluate: Evaluate

    def cells(self) -> list["Cell"]:
        """All cells, in a fixed order: a cell can be named by its number."""
        return [Cell(*cell) for cell in product(self.environments, self.algorithms, self.seeds)]

    def named(self, environments: Sequence[str]) -> "Suite":
        """The same on these environments only; raises `BadInputError` for one that is not in the suite."""
        for name in environments:
            if name not in self.environments:
                raise BadInputError(f"ENVS: {name!r} is not allowed; {PARAMS} has {', '.join(self.environments)}")
        return self.changed(environments=tuple(environments))

    def config(self, environment: str) -> Config:
        """The params of an environment's cells: the project's defaults, its preset, and the suite's own."""
        own = self.model_dump(mode="json", exclude={"environments"})
        return parse_config(preset.applied({**preset.defaults(), "env": environment, **own}), PARAMS)


class Cell(NamedTuple):
    """One training, and its evaluation."""

    environment: str
    algorithm: str
    seed: int

    @property
    def folder(self) -> Path:
        """Where its results lie, as those of the main pipeline do in the repository."""
        return FOLDER / self.environment


def load() -> Suite:
    """Read and validate `suite/params.yaml`; raises `BadInputError` with one line that names what is wrong."""
    return parse_section(Suite, read_yaml(PARAMS), PARAMS)


def enter(environment: str) -> Config:
    """Go to the folder of an environment's cells, as the main pipeline is in the repository's; gives their params."""
    suite = load().named([environment])
    config, folder = suite.config(environment), FOLDER / environment
    # MLflow's store and the checkpoints stay the repository's, and processes find this source from there, too.
    os.environ.setdefault("DVC_ROOT", str(Path.cwd()))
    if "PYTHONPATH" in os.environ:
        places = os.environ["PYTHONPATH"].split(os.pathsep)
        os.environ["PYTHONPATH"] = os.pathsep.join(str(Path(place).absolute()) for place in places)
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    return config
