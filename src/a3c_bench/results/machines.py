"""What machines measured, a file each: its hashes show that what was timed is a committed training."""

import re
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML

from a3c_bench.errors import BadInputError
from a3c_bench.params import read_plain
from a3c_bench.results.files import unreadable

MACHINES = Path("machines")
LOCK = Path("dvc.lock")
COLUMNS = ("machine", "algorithm", "workers", "env_steps_per_second")


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Timed(_Checked):
    """One training, timed several times."""

    algorithm: str
    model: str
    """The path of its model."""
    md5: str
    """Of the model file, the same in every repeat."""
    workers: Annotated[int, Field(gt=0)]
    env_steps: Annotated[int, Field(gt=0)]
    seconds: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    """From the first worker's start to the last turn, of each repeat."""
    env_steps_per_second: float
    """By the median of the seconds."""


class Contribution(_Checked):
    """One machine's file."""

    cpu: str
    cores: Annotated[int, Field(gt=0)]
    system: str
    python: str
    kernels: str
    libraries: dict[str, str]
    commit: str
    trainings: Annotated[list[Timed], Field(min_length=1)]

    @property
    def path(self) -> Path:
        """Where it belongs."""
        name = re.sub(r"[^a-z0-9]+", "-", self.cpu.lower()).strip("-")
        return MACHINES / f"{name}-{self.cores}.json"


def rate(env_steps: int, seconds: list[float]) -> float:
    """Env steps per second of several repeats of the same training."""
    return env_steps / statistics.median(seconds)


def committed_models() -> dict[str, str]:
    """The md5 of every output in `dvc.lock`, by path; raises `BadInputError` where it cannot be read."""
    try:
        stages = YAML(typ="safe", pure=True).load(read_plain(LOCK))["stages"]
    except OSError as error:
        raise unreadable(LOCK, error) from None
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", ()) if "md5" in out}


def check(path: Path, models: Mapping[str, str]) -> None:
    """Raise `BadInputError` where a file is wrong, or did not time `models`: the committed md5, by path."""
    for one in read_contribution(path).trainings:
        if one.md5 != models.get(one.model):
            raise BadInputError(
                f"{path}: md5 of {one.model}: {one.md5} is not the committed {models.get(one.model)}; {AGAIN}"
            )


def read_contribution(path: Path) -> Contribution:
    """One machine's file; raises `BadInputError` where its figures contradict each other."""
    try:
        found = Contribution.model_validate_json(read_plain(path))
    except OSError as error:
        raise unreadable(path, error) from None
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInputError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}; {AGAIN}") from None
    for wrong in _contradictions(path, found):
        raise BadInputError(f"{path}: {wrong}; {AGAIN}")
    return found


AGAIN = "`make contribute` writes it again"


def _contradictions(path: Path, found: Contribution) -> list[str]:
    wrong = []
    if path.name != found.path.name:
        wrong.append(f"cpu and cores belong in {found.path.name}")
    steps: dict[str, int] = {}
    for one in found.trainings:
        if not one.model.startswith(f"models/{one.algorithm}/"):
            wrong.append(f"algorithm: {one.algorithm} did not train {one.model}")
        if one.env_steps != steps.setdefault(one.model, one.env_steps):
            wrong.append(f"env_steps of {one.model}: {one.env_steps} and {steps[one.model]} for the same training")
        if abs(one.env_steps_per_second / rate(one.env_steps, one.seconds) - 1) > 1e-9:
            wrong.append(
                f"env_steps_per_second: {one.env_steps_per_second} is not env_steps ÷ the median of seconds, "
                f"{rate(one.env_steps, one.seconds)}"
            )
    pairs = [(one.model, one.workers) for one in found.trainings]
    if len(set(pairs)) < len(pairs):
        wrong.append("trainings: the same model and workers twice")
    return wrong


def read_machines() -> pd.DataFrame:
    """Throughput over machines, by `COLUMNS`: of the trainings that are in `dvc.lock` now, as other params' are not.

    Raises `BadInputError` for a file whose figures contradict each other.
    """
    paths = sorted(MACHINES.glob("*.json"))
    models = committed_models() if paths else {}
    rows = [
        (f"{found.cpu}, {found.cores} cores", one.algorithm, one.workers, one.env_steps_per_second)
        for found in map(read_contribution, paths)
        for one in found.trainings
        if one.md5 == models.get(one.model)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))
