"""`params.yaml`, validated into one frozen `Config`."""

import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from a3c_bench.errors import BadInputError
from a3c_bench.numerics import Numerics
from a3c_bench.params import PARAMS_FILE, read_yaml

AlgorithmName = Literal["nstep", "episodic"]
ScheduleName = Literal["ordered", "hogwild"]
AdamStatistics = Literal["shared", "own"]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Weight = Annotated[float, Field(ge=0.0)]
# One file descriptor per worker is handed to every worker, and a process can be handed 256.
Workers = Annotated[int, Field(ge=1, le=128)]
Actors = Annotated[int, Field(ge=1, le=1024)]
Threads = Annotated[int, Field(ge=1, le=1024)]
Width = Annotated[int, Field(ge=1, le=4096)]
# One row of statistics is kept for every turn, in shared memory.
MOST_TURNS = 5_000_000
MOST_ROLLOUT_ROWS = 2**22


Value = TypeVar("Value")


def _distinct(values: tuple[Value, ...]) -> tuple[Value, ...]:
    if len(set(values)) != len(values):
        raise ValueError("each value may be listed once")
    return values


class _Section(BaseModel):
    # strict: a string, or a number with a fraction, is not quietly turned into an integer.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


# YAML knows lists only, which a strict tuple would refuse.
_Grid = Annotated[tuple[Value, ...], Field(min_length=1, strict=False), AfterValidator(_distinct)]


class NStep(_Section):
    """A3C with n-step rollouts, GAE and vectorised environments."""

    actors: Actors
    envs: Annotated[int, Field(ge=1, le=65536)]
    rollout_steps: Annotated[int, Field(ge=1, le=65536)]
    total_steps: PositiveInt
    learning_rate: PositiveFloat
    final_learning_rate: Weight
    gamma: Fraction
    gae_lambda: Fraction
    value_weight: Weight
    entropy_weight: Weight
    max_gradient_norm: PositiveFloat
    normalize_advantages: bool
    hidden: Annotated[tuple[Width, ...], Field(min_length=1, max_length=8, strict=False)]
    adam_statistics: AdamStatistics

    @property
    def rollouts(self) -> int:
        """Rollouts of every actor: as many as the step budget needs, rounded up."""
        return -(-self.total_steps // (self.actors * self.envs * self.rollout_steps))


class Episodic(_Section):
    """The textbook loop: one update after every finished episode of a single environment."""

    actors: Actors
    episodes: PositiveInt
    learning_rate: PositiveFloat
    gamma: Fraction
    critic_weight: Weight
    hidden: Annotated[tuple[Width, ...], Field(min_length=1, max_length=8, strict=False)]
    critic_hidden: Width
    reward: Literal["textbook", "env"]
    adam_statistics: AdamStatistics

    @property
    def rollouts(self) -> int:
        """Rollouts of every actor: each is one episode."""
        return self.episodes


class Checkpoint(_Section):
    """How an interrupted training is saved."""

    seconds: PositiveFloat


class Evaluate(_Section):
    """How the trained policies are evaluated."""

    episodes: Annotated[int, Field(ge=1, le=100_000)]


class Profile(_Section):
    """The grid of the throughput profile."""

    workers: _Grid[Workers]
    threads: _Grid[Threads]
    schedules: _Grid[ScheduleName]
    repeats: Annotated[int, Field(ge=1, le=1000)]
    nstep_steps: PositiveInt
    episodic_episodes: PositiveInt
    textbook_episodes: PositiveInt
    textbook_processes: _Grid[Workers]


class Config(_Section):
    """Everything that `params.yaml` says."""

    env: Annotated[str, Field(min_length=1)]
    algorithms: _Grid[AlgorithmName]
    seeds: _Grid[Seed]
    schedule: ScheduleName
    workers: Workers
    threads: Threads
    numerics: Numerics
    max_restarts: Annotated[int, Field(ge=0, le=1000)]
    checkpoint: Checkpoint
    nstep: NStep
    episodic: Episodic
    evaluate: Evaluate
    profile: Profile

    @model_validator(mode="after")
    def _learning_rate_falls(self) -> Self:
        if self.nstep.final_learning_rate > self.nstep.learning_rate:
            raise ValueError("nstep.final_learning_rate must not exceed nstep.learning_rate")
        return self

    @model_validator(mode="after")
    def _fits_in_memory(self) -> Self:
        for name in ("nstep", "episodic"):
            turns = self.algorithm(name).actors * self.algorithm(name).rollouts
            if turns > MOST_TURNS:
                raise ValueError(f"{name}: {turns} turns in all are too many; at most {MOST_TURNS} are allowed")
        if self.nstep.envs * self.nstep.rollout_steps > MOST_ROLLOUT_ROWS:
            raise ValueError(f"nstep.envs × nstep.rollout_steps must not exceed {MOST_ROLLOUT_ROWS}")
        return self

    def algorithm(self, name: AlgorithmName) -> NStep | Episodic:
        """The section of the algorithm `name`."""
        return self.nstep if name == "nstep" else self.episodic


def load_config(path: Path = PARAMS_FILE) -> Config:
    """Read and validate `path`; raises `BadInputError` with one line that names what is wrong."""
    return parse_config(read_yaml(path), path)


def parse_config(content: object, path: Path = PARAMS_FILE) -> Config:
    """Validate parsed YAML; raises `BadInputError` that names the first wrong key of `path`."""
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise BadInputError(f"{path}: {_describe(error)}") from None


def _describe(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "missing":
        return f"{key}: missing; every key is required{more}"
    if first["type"] == "extra_forbidden":
        allowed = ", ".join(_siblings(first["loc"]))
        return f"{key}: unknown key (value {_shorten(first['input'])}); allowed: {allowed}{more}"
    if not key:
        return f"{first['msg'].removeprefix('Value error, ')}{more}"
    return f"{key}: {_shorten(first['input'])} is not allowed: {first['msg'].removeprefix('Value error, ')}{more}"


def _shorten(value: Any, limit: int = 60) -> str:
    # Not `repr`: what YAML's aliases make of a few lines can be larger than any memory.
    try:
        text = " ".join(reprlib.repr(value).split())
    except ValueError:  # Python writes no number of more than 4300 digits
        text = "a very long number"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _siblings(location: tuple[int | str, ...]) -> list[str]:
    section: type[BaseModel] = Config
    for part in location[:-1]:
        annotation = section.model_fields[str(part)].annotation
        assert isinstance(annotation, type) and issubclass(annotation, BaseModel)
        section = annotation
    return list(section.model_fields)
