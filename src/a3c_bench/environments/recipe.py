"""How an environment is made: its name, and what is given with it."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any

import gymnasium

from a3c_bench.environments.spaces import adapt
from a3c_bench.errors import BadInputError, describe_error
from a3c_bench.params import imported
from a3c_bench.supervision import StoppedError

LONGEST_REASON = 300


@dataclass(frozen=True)
class Recipe:
    """All that decides which environment it is."""

    name: str
    """A Gymnasium id."""
    max_episode_steps: int | None = None
    """The time limit; None: its own."""
    env_kwargs: str = "{}"
    """What its constructor is given, as JSON: a recipe can be hashed."""
    wrappers: tuple[str, ...] = ()
    """`package.module:Name` each; the first is the innermost."""

    @property
    def options(self) -> dict[str, Any]:
        """What Gymnasium is given beside the name."""
        limit = {} if self.max_episode_steps is None else {"max_episode_steps": self.max_episode_steps}
        return {**json.loads(self.env_kwargs), **limit}


@cache
def register(name: str) -> None:
    """Let the installed package that brings the namespace of an id (`MinAtar/Breakout-v1`) register its environments.

    Gymnasium did so by this entry point once, and packages still have it.
    """
    for point in entry_points(group="gymnasium.envs", name=name.rpartition("/")[0]):
        point.load()()


def make_own(recipe: Recipe, **options: Any) -> gymnasium.Env[Any, Any]:
    """One environment with its own spaces: as Gymnasium makes it, with its time limit, in the recipe's wrappers."""
    register(recipe.name)
    environment = gymnasium.make(recipe.name, disable_env_checker=True, **{**recipe.options, **options})
    for wrapper in recipe.wrappers:
        environment = _wrapped(environment, wrapper)
    return environment


def make_plain(recipe: Recipe, **options: Any) -> gymnasium.Env[Any, Any]:
    """One environment whose spaces are adapted."""
    return adapt(make_own(recipe, **options))


def _wrapped(environment: gymnasium.Env[Any, Any], wrapper: str) -> gymnasium.Env[Any, Any]:
    """The environment in a wrapper; raises `BadInputError` where there is none, or its code raises anything."""
    allowed = "allowed: an importable package.module:Name, which takes an environment and gives one"
    try:
        wrapped = imported(wrapper)(environment)
    except StoppedError:
        raise
    except BaseException as error:
        raise BadInputError(f"wrappers: {wrapper!r} ({describe_error(error)[:LONGEST_REASON]}); {allowed}") from None
    if not isinstance(wrapped, gymnasium.Env):
        raise BadInputError(f"wrappers: {wrapper!r} gives {type(wrapped).__name__}; {allowed}")
    return wrapped
