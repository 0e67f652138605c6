"""The Python face: what `a3c_bench.__all__` names, for scripts and notebooks."""

import json
import operator
import re
import sys
import warnings
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from safetensors.numpy import save

from a3c_bench import config as configs
from a3c_bench import evaluation
from a3c_bench.algorithms.base import Policy as ComputedPolicy
from a3c_bench.algorithms.base import Settings
from a3c_bench.algorithms.registry import settings_class
from a3c_bench.config import Config
from a3c_bench.environments.make import EnvironmentInfo, describe
from a3c_bench.environments.recipe import Recipe, make_plain, register
from a3c_bench.environments.spaces import as_float32, flat_observation, own_action
from a3c_bench.errors import BadInputError, describe_error
from a3c_bench.kernels.library import open_kernels
from a3c_bench.params import PARAMS_FILE
from a3c_bench.processes import process_context, start_server
from a3c_bench.progress import Progress
from a3c_bench.results.files import write_all
from a3c_bench.results.models import load_parameters, read_metadata
from a3c_bench.stages.train import curve, updates
from a3c_bench.training import pool

DEFAULTS = Path(__file__).with_name("defaults.yaml")
ABOUT = "a3c_bench"
"""The text of a saved policy's file that says what it is."""
PIPELINES = re.compile(r"(?P<algorithm>[^/]+)/seed-(?P<seed>[0-9]{1,10})(-early|-half)?\.safetensors")
"""The end of a path of the pipeline's own models."""
MOST_EPISODES, MOST_SEED = 100_000, 2**32 - 1


@dataclass(frozen=True, eq=False)
class Policy:
    """A trained policy. It computes in memory that is used again, so in one thread at a time."""

    recipe: Recipe = field(repr=False)
    """How the environment that it was trained on is made."""
    algorithm: str
    """The section of params that it was trained by."""
    seed: int
    """Of its training; the states from which it is evaluated depend on it, too."""
    settings: Settings = field(repr=False)
    """What that section said."""
    parameters: NDArray[np.float32] = field(repr=False)
    """Of its network, flat (size,)."""

    def act(self, observation: ArrayLike, generator: Generator | None = None) -> Any:
        """The action to take, as the environment's `step` takes it: the most probable one, or drawn with `generator`.

        observation: one, as the environment gives it. Raises `BadInputError` for one that does not fit its space.
        """
        try:
            row = as_float32(flat_observation(self._adapted, observation))
        except (ValueError, TypeError, LookupError) as error:
            raise BadInputError(f"observation: it does not fit {self.env} ({describe_error(error)})") from None
        size = self._environment.observation.size
        if row.shape != (size,):
            raise BadInputError(f"observation: its shape {row.shape} is not allowed: {self.env} has {(size,)}")
        (action,) = evaluation.act(self._policy, row[None], generator)
        return own_action(self._adapted, action)

    def save(self, path: str | Path) -> None:
        """Write a safetensors file that holds all that `load_policy` needs; raises `BadInputError` if it cannot be."""
        section = self.settings.model_dump(mode="json")
        about = {"env": asdict(self.recipe), "algorithm": self.algorithm, "seed": self.seed, "section": section}
        tensors = self.settings.layout(self._environment).tensors(self.parameters)
        write_all({Path(path): save(tensors, metadata={ABOUT: json.dumps(about, sort_keys=True)})})

    @property
    def env(self) -> str:
        """The environment's Gymnasium id."""
        return self.recipe.name

    @cached_property
    def _environment(self) -> EnvironmentInfo:
        return describe(self.recipe)

    @cached_property
    def _adapted(self) -> gymnasium.Env[Any, Any]:
        return make_plain(self.recipe)

    @cached_property
    def _policy(self) -> ComputedPolicy:
        return self.settings.policy(self._environment, self.parameters)


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What a training gives. Under the schedule `ordered`, all but the last two are the same bits every time."""

    policy: Policy
    """The trained policy."""
    curve: pd.DataFrame = field(repr=False)
    """A row for each finished training episode: `env_step` (of all actors together, at its end), `return`, `length`
    (env steps), `actor`."""
    updates: pd.DataFrame = field(repr=False)
    """A row for each turn: `turn` (from 1), `actor`, `env_step`; means over its rollout: `policy_loss`, `value_error`
    (squared) and `entropy` (nats); and `gradient_norm`, before clipping."""
    env_steps: int
    """Of the whole training."""
    seconds: float
    """From the first worker's start to the last turn."""
    env_steps_per_second: float
    """The rate over that time."""


def load_config(path: str | Path | None = None) -> Config:
    """The params of a file, by default of `params.yaml` in the current folder, or the project's own if there is none.

    Raises `BadInputError` with one line that names what is wrong.
    """
    if path is None:
        path = PARAMS_FILE if PARAMS_FILE.exists() else DEFAULTS
    return configs.load_config(Path(path))


def train(config: Config, algorithm: str, seed: int = 0, *, progress: bool = False) -> TrainingResult:
    """Train one model with `config.workers` processes, and wait for it: the same bits as `a3c-bench train`.

    It writes no file and logs nothing. algorithm: a section of the config. seed: from 0 to 2**32 − 1. progress: show a
    bar, or lines where there is no terminal. Raises `BadInputError` for what is not allowed, and `TrainingError` where
    a worker dies more often than `max_restarts`, or a loss is not finite.
    """
    start_server()
    seed = _whole("seed", seed, 0, MOST_SEED)
    if algorithm not in config.sections:
        raise BadInputError(f"algorithm: {algorithm!r} is not allowed; the config has {', '.join(config.sections)}")
    open_kernels(tell=progress)
    environment, settings = describe(config.recipe), config.algorithm(algorithm)
    config.changed(algorithms=(algorithm,)).require_sense(environment)
    _require_known_to_workers(config.env)
    for warning in config.warnings_on(environment):
        warnings.warn(warning, stacklevel=2)
    whole = partial(pool.train, config, algorithm, seed, environment=environment, max_restarts=config.max_restarts)
    if progress:
        with Progress(f"train {algorithm} seed {seed}", settings.turns) as bar:
            outcome = whole(watcher=bar)
    else:
        outcome = whole()
    return TrainingResult(
        policy=Policy(config.recipe, algorithm, seed, settings, outcome.parameters),
        curve=pd.DataFrame(curve(outcome)),
        updates=pd.DataFrame(updates(outcome)),
        env_steps=outcome.env_steps,
        seconds=outcome.seconds,
        env_steps_per_second=outcome.env_steps_per_second,
    )


def evaluate(policy: Policy, episodes: int = 100, *, sampled: bool = False) -> pd.DataFrame:
    """Play fresh episodes side by side; a row for each: `episode` (from 0), `return`, `length` (env steps).

    sampled: draw the actions from the policy, rather than taking the most probable ones. Training never sees the states
    in which these episodes start. The same call gives the same bits, which are those of `a3c-bench evaluate`. Raises
    `BadInputError` unless there are 1 to 100,000 episodes.
    """
    episodes = _whole("episodes", episodes, 1, MOST_EPISODES)
    played = evaluation.evaluate(policy._policy, policy._environment, episodes, policy.seed, sampled)
    return pd.DataFrame({"episode": np.arange(episodes), "return": played.returns, "length": played.lengths})


def load_policy(path: str | Path, config: Config | None = None) -> Policy:
    """A policy from its file: what `Policy.save` wrote, or the pipeline's `models/<algorithm>/seed-<n>.safetensors`.

    config: what the pipeline's models were trained with, which they do not say; by default `load_config()`. Raises
    `BadInputError` where the file cannot be read, or is of other params.
    """
    path = Path(path)
    about = read_metadata(path).get(ABOUT)
    recipe, algorithm, seed, settings = _pipelines(path, config) if about is None else _saved(path, about)
    return Policy(recipe, algorithm, seed, settings, load_parameters(path, settings.layout(describe(recipe))))


def _require_known_to_workers(env: str) -> None:
    """Raise `BadInputError` for an environment that only this program has registered."""
    entry = getattr(gymnasium.registry.get(env), "entry_point", None)
    if ":" in env or entry is None or (isinstance(entry, str) and entry.startswith("gymnasium.")):
        return
    process = process_context().Process(target=_exit_unless_registered, args=(env,))
    process.start()
    process.join()
    if process.exitcode:
        raise BadInputError(
            f"env: {env!r} is registered by your program only, which workers do not run; register it in a module, and "
            f"name that: 'module:{env}'"
        )


def _exit_unless_registered(env: str) -> None:
    register(env)
    sys.exit(env not in gymnasium.registry)


def _pipelines(path: Path, config: Config | None) -> tuple[Recipe, str, int, Settings]:
    config = config or load_config()
    named = PIPELINES.fullmatch("/".join(path.parts[-2:]))
    if named is None or named["algorithm"] not in config.sections:
        raise BadInputError(
            f"{path}: does not say which algorithm it is of; allowed: what Policy.save wrote, or "
            f"<algorithm>/seed-<n>.safetensors with an algorithm of the params: {', '.join(config.sections)}"
        )
    return config.recipe, named["algorithm"], int(named["seed"]), config.algorithm(named["algorithm"])


def _saved(path: Path, about: str) -> tuple[Recipe, str, int, Settings]:
    try:
        found = json.loads(about)
        section = found["section"]
        settings = settings_class(section["kind"]).model_validate(section)
        environment = {**found["env"], "wrappers": tuple(found["env"]["wrappers"])}
        return Recipe(**environment), str(found["algorithm"]), int(found["seed"]), settings
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise BadInputError(f"{path}: what it says of its training cannot be read ({reason}); save it again") from None


def _whole(name: str, value: int, least: int, most: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if not least <= number <= most:
        raise BadInputError(f"{name}: {value!r} is not allowed: a whole number from {least} to {most}")
    return number
