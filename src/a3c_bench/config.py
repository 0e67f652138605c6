"""`params.yaml`, validated into one frozen `Config`."""

import json
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, Field, JsonValue, PositiveFloat, ValidationError
from pydantic_core import ErrorDetails

from a3c_bench import preset as presets
from a3c_bench.algorithms.base import Settings
from a3c_bench.algorithms.registry import kinds, settings_class
from a3c_bench.environments.make import EnvironmentInfo
from a3c_bench.environments.recipe import Recipe
from a3c_bench.errors import BadInputError
from a3c_bench.params import PARAMS_FILE, read_yaml
from a3c_bench.sections import Section

ScheduleName = Literal["ordered", "hogwild"]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
# It is part of file names, of a stage's name, and of a command.
SectionName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
# One file descriptor per worker is handed to every worker, and a process can be handed 256.
Workers = Annotated[int, Field(ge=1, le=128)]
Threads = Annotated[int, Field(ge=1, le=1024)]
Hosts = Annotated[int, Field(ge=1, le=128)]
MOST_EPISODE_STEPS = 10**7
ENVIRONMENT = ("env", "max_episode_steps", "env_kwargs", "wrappers")
"""The keys that decide which environment it is."""
TAKEN = ("textbook",)
"""Names that the profile gives to something else."""

# What pydantic says of Python's types, in the words of YAML.
WORDS = {
    "tuple_type": "a list",
    "model_type": "a section of keys and values",
    "dict_type": "a section of keys and values",
    "string_type": "a text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
}

Value = TypeVar("Value")
SectionType = TypeVar("SectionType", bound=Section)


def _distinct(values: tuple[Value, ...]) -> tuple[Value, ...]:
    if len(set(values)) != len(values):
        raise ValueError("each value may be listed once")
    return values


# YAML knows lists only, which a strict tuple would refuse.
Grid = Annotated[tuple[Value, ...], Field(min_length=1, strict=False), AfterValidator(_distinct)]


class Checkpoint(Section):
    """How an interrupted training is saved."""

    seconds: PositiveFloat


class Joining(Section):
    """How several hosts come together, and how one is lost."""

    wait: PositiveFloat = 600.0
    """Seconds in which as many must be there as are asked for."""
    silence: PositiveFloat = 10.0
    """Seconds after which one that is not heard counts as lost."""


class Evaluate(Section):
    """How the trained policies are evaluated."""

    episodes: Annotated[int, Field(ge=1, le=100_000)]


class Profile(Section):
    """The grid of the throughput profile."""

    workers: Grid[Workers]
    threads: Grid[Threads]
    schedules: Grid[ScheduleName]
    repeats: Annotated[int, Field(ge=1, le=1000)]
    # Rounded up to whole rounds of all actors they are still within `MOST_TURNS`.
    turns: Annotated[int, Field(ge=1, le=1_000_000)]
    textbook_episodes: Annotated[int, Field(ge=1, le=1_000_000)]
    textbook_processes: Grid[Workers]


class Config(Section):
    """Everything that `params.yaml` says."""

    env: Annotated[str, Field(min_length=1)]
    max_episode_steps: Annotated[int, Field(ge=1, le=MOST_EPISODE_STEPS)] | None = None
    env_kwargs: Annotated[dict[str, JsonValue], Field(default_factory=dict)]
    wrappers: Annotated[tuple[str, ...], Field(default=(), strict=False)]
    preset: bool = True
    algorithms: Grid[SectionName]
    seeds: Grid[Seed]
    schedule: ScheduleName
    workers: Workers
    threads: Threads
    hosts: Hosts = 1
    max_restarts: Annotated[int, Field(ge=0, le=1000)]
    checkpoint: Checkpoint
    joining: Joining = Joining()
    evaluate: Evaluate
    profile: Profile
    sections: Annotated[dict[str, Settings], Field(exclude=True)]
    """The algorithms' sections, by name: those that are not listed in `algorithms` too."""

    @property
    def recipe(self) -> Recipe:
        """How its environment is made."""
        return Recipe(self.env, self.max_episode_steps, json.dumps(self.env_kwargs, sort_keys=True), self.wrappers)

    def with_env(self, name: str) -> "Config":
        """The same on another environment, made by its name alone; on its own one, made as before."""
        return self if name == self.env else self.changed(env=name, max_episode_steps=None, env_kwargs={}, wrappers=())

    def algorithm(self, name: str) -> Settings:
        """The section `name`."""
        return self.sections[name]

    def with_algorithm(self, name: str, settings: Settings) -> "Config":
        """The same with other settings in the section `name`."""
        return self.changed(sections={**self.sections, name: settings})

    def with_budget(self, updates: int) -> "Config":
        """The same with so many updates of every actor of every algorithm."""
        return self.changed(sections={name: settings.with_budget(updates) for name, settings in self.sections.items()})

    def with_(self, **changes: Any) -> "Config":
        """The same with other values, those of a section by their keys: `with_(workers=4, evaluate={"episodes": 10})`.

        A section that is not there yet is added; another `env` brings its preset. Raises `BadInputError` for what
        params.yaml may not say either: one line that names the key, its value and what is allowed.
        """
        params = self._plain(self.sections)
        if changes.get("env", self.env) != self.env:
            wanted = {key: changes.get(key, params[key]) for key in ("env", "preset")}
            params = presets.applied({**presets.without(params), **wanted})
        for key, value in changes.items():
            nested = isinstance(value, Mapping) and isinstance(params.get(key), Mapping)
            params[key] = {**params[key], **value} if nested else value
        return parse_config(params, Path("config"))

    def params(self) -> dict[str, Any]:
        """What params.yaml says, as plain values, of the algorithms that are listed: `parse_config` takes it again."""
        return self._plain(self.algorithms)

    def _plain(self, names: Iterable[str]) -> dict[str, Any]:
        return {**self.model_dump(mode="json"), **{name: self.sections[name].model_dump(mode="json") for name in names}}

    def warnings_on(self, environment: EnvironmentInfo) -> tuple[str, ...]:
        """Why other workers may give other bits on the environment, though the schedule promises the same."""
        return environment.warnings if self.schedule == "ordered" else ()

    def require_sense(self, environment: EnvironmentInfo) -> None:
        """Raise `BadInputError` where an algorithm's settings mean nothing on the environment."""
        for name in self.algorithms:
            objection = self.algorithm(name).objection(environment)
            if objection:
                raise BadInputError(f"{name}.{objection}")


def load_config(path: Path = PARAMS_FILE) -> Config:
    """Read and validate `path`, its environment's preset applied; raises `BadInputError` that names what is wrong."""
    return parse_config(presets.applied(read_yaml(path)), path)


def parse_config(content: object, path: Path = PARAMS_FILE) -> Config:
    """Validate parsed YAML; raises `BadInputError` that names a wrong key of `path`: a misspelt one first."""
    params = _by_key(content, path)
    names = [key for key in params if _is_section(key, params)]
    faults = [Fault(f"{key}: this name is taken; name the section otherwise") for key in names if key in TAKEN]
    if "sections" in params:
        faults.append(Fault(f"sections: unknown key (value {_shorten(params['sections'])})", misspelt=True))
    core = _validated(
        Config, {key: value for key, value in params.items() if key not in names} | {"sections": {}}, faults
    )
    sections = {name: _settings(name, params[name], faults) for name in names}
    for name in core.algorithms if core else ():
        if name not in names:
            allowed = ", ".join(names) or "none yet"
            faults.append(Fault(f"algorithms: {_shorten(name)} has no section of its own; there are: {allowed}"))
    if faults or core is None:
        raise BadInputError(f"{path}: {_first(faults)}")
    return core.changed(sections=sections)


def parse_section(model: type[SectionType], content: object, path: Path) -> SectionType:
    """Validate parsed YAML that is one section; raises `BadInputError` that names a wrong key of `path`."""
    faults: list[Fault] = []
    section = _validated(model, _by_key(content, path), faults)
    if section is None:
        raise BadInputError(f"{path}: {_first(faults)}")
    return section


def _by_key(content: object, path: Path) -> dict[str, Any]:
    """What a file says, by its keys."""
    if not isinstance(content, Mapping):
        raise BadInputError(f"{path}: {_shorten(content)} is not allowed: keys and their values")
    return {str(key): value for key, value in content.items()}


class Fault(NamedTuple):
    """What is wrong with one key."""

    text: str
    misspelt: bool = False


def _first(faults: Sequence[Fault]) -> str:
    """A misspelt key before the one that is missing for it; in one line, whatever the key is."""
    first = next((fault for fault in faults if fault.misspelt), faults[0])
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return " ".join(f"{first.text}{more}".split())


def _is_section(key: str, params: Mapping[str, Any]) -> bool:
    """Whether it is the section of an algorithm: it says its kind, or is listed as one."""
    value, listed = params[key], params.get("algorithms")
    if key in Config.model_fields:
        return False
    return (isinstance(value, Mapping) and "kind" in value) or (isinstance(listed, list) and key in listed)


def _settings(name: str, content: object, faults: list[Fault]) -> Settings | None:
    """The section `name`, by its kind; None if something is wrong with it, which goes to `faults`."""
    if not isinstance(content, Mapping):
        faults.append(Fault(f"{name}: {_shorten(content)} is not allowed: a section of keys and values"))
        return None
    if "kind" not in content:
        faults.append(Fault(f"{name}.kind: missing; it names the algorithm, for example {next(iter(kinds()))}"))
        return None
    kind = content["kind"]
    try:
        found = settings_class(kind)
    except ValueError as error:
        faults.append(Fault(f"{name}.kind: {_shorten(kind)} is unknown; {error}"))
        return None
    return _validated(found, dict(content), faults, f"{name}.")


def _validated(
    model: type[SectionType], content: Mapping[str, Any], faults: list[Fault], prefix: str = ""
) -> SectionType | None:
    """The content as a `model`; None if something is wrong, which goes to `faults`."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        faults += [_fault(details, model, prefix) for details in error.errors(include_url=False)]
        return None


def _fault(details: ErrorDetails, model: type[BaseModel], prefix: str) -> Fault:
    key = prefix + ".".join(str(part) for part in details["loc"])
    if details["type"] == "missing":
        return Fault(f"{key}: missing; every key is required")
    if details["type"] == "extra_forbidden":
        allowed = _siblings(model, details["loc"])
        close = get_close_matches(str(details["loc"][-1]), allowed, 1)
        meant = f"; {close[0]} is meant?" if close else f"; allowed: {', '.join(allowed)}" if allowed else ""
        return Fault(f"{key}: unknown key (value {_shorten(details['input'])}){meant}", misspelt=True)
    reason = WORDS.get(details["type"]) or details["msg"].removeprefix("Value error, ")
    if not details["loc"]:
        return Fault(f"{prefix.rstrip('.')}: {reason}" if prefix else reason)
    return Fault(f"{key}: {_shorten(details['input'])} is not allowed: {reason}")


def _shorten(value: Any, limit: int = 60) -> str:
    # Not `repr`: what YAML's aliases make of a few lines can be larger than any memory.
    try:
        text = " ".join(reprlib.repr(value).split())
    except ValueError:  # Python writes no number of more than 4300 digits
        text = "a very long number"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _siblings(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that are allowed where `location` is."""
    section = model
    for part in location[:-1]:
        annotation = section.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        section = annotation
    return [name for name, field in section.model_fields.items() if not field.exclude]
