"""Gymnasium environments, as training and evaluation need them."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from a3c_bench.environments.packing import Packing, Replayed, Together
from a3c_bench.environments.recipe import LONGEST_REASON, Recipe, make_own, make_plain, register
from a3c_bench.environments.spaces import ActionSpec, ObservationSpec, adapt
from a3c_bench.environments.trial import findings, keeps_state, survives
from a3c_bench.errors import BadInputError, describe_error
from a3c_bench.supervision import StoppedError

TRIED_COUNT = 2
"""Environments of a vector that is tried."""


@dataclass(frozen=True)
class EnvironmentInfo:
    """An environment: what has to be known of it, and how it is made."""

    recipe: Recipe
    observation: ObservationSpec
    action: ActionSpec
    reward_threshold: float | None
    max_episode_steps: int | None = None
    adapted: bool = False
    """Its observations or its actions pass through wrappers of ours."""
    has_vector: bool = False
    """There is a vector version of its own, which can be used."""
    nondeterministic: bool = False
    """It is registered so."""
    packing: Packing | None = None
    """Of one alone; None: not tried yet."""
    vector_packing: Packing | None = None
    timed: bool = False
    """Measure the time of its steps; costs a little on each."""

    @property
    def name(self) -> str:
        """Its Gymnasium id."""
        return self.recipe.name

    @property
    def is_plain(self) -> bool:
        """Its name alone makes it, with rows of numbers and one choice, as the textbook loop knows them."""
        return self.recipe == Recipe(self.name) and not self.adapted

    def make_single(self) -> gymnasium.Env[Any, Any]:
        """One environment, which can be packed if any of this name can."""
        environment = self._single(self.packing)
        return TimedEnvironment(environment) if self.timed else environment  # type: ignore[return-value]

    def _single(self, packing: Packing | None) -> gymnasium.Env[Any, Any]:
        return Replayed(self.recipe) if packing == "replayed" else make_plain(self.recipe)

    def make_vector(self, count: int) -> VectorEnv[Any, Any, Any]:
        """`count` environments stepped together: the environment's own vector version where it has one."""
        if self.has_vector:
            environment = gymnasium.make_vec(
                self.name, count, vectorization_mode="vector_entry_point", **self.recipe.options
            )
        else:
            environment = Together([self._single(self.vector_packing) for _ in range(count)])
        return TimedEnvironment(environment) if self.timed else environment  # type: ignore[return-value]

    def make_tried_vector(self) -> VectorEnv[Any, Any, Any]:
        """A small vector, to try."""
        return self.make_vector(TRIED_COUNT)

    def with_packing(self, used: Any = None) -> "EnvironmentInfo":
        """The same, and how it is packed, alone and in a vector: that is tried, once in a process.

        used: an environment that was made by this; the other form is not tried.
        """
        alone, vector = self.packing, self.vector_packing
        if used is None or not _is_vector(used):
            alone = _way(self.untried, EnvironmentInfo.make_single)
        if used is None or _is_vector(used):
            vector = _way(self.untried, EnvironmentInfo.make_tried_vector)
        return replace(self, packing=alone, vector_packing=vector)

    def is_pinned(self, environment: Any) -> bool:
        """Whether one that was made by this cannot be packed."""
        return (self.vector_packing if _is_vector(environment) else self.packing) == "pinned"

    @property
    def untried(self) -> "EnvironmentInfo":
        """What was known of it at first."""
        return replace(self, packing=None, vector_packing=None, timed=False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why it may give other bits for other numbers of workers, under `ordered` too: tried, once in a process."""
        with own_code(self.recipe, "fails when it is stepped"):
            found = _findings(self.untried)
        return tuple(f"env: {self.name}: {finding}; other workers may give other bits" for finding in found)


def _is_vector(environment: Any) -> bool:
    return hasattr(environment, "num_envs")


@cache
def _way(environment: EnvironmentInfo, make: Callable[[EnvironmentInfo], Any]) -> Packing:
    """The first under which copies of what `make` gives go on as their originals do."""
    ways: tuple[Packing, ...] = ("pickled", "replayed")
    for way in ways:
        if keeps_state(partial(make, replace(environment, packing=way, vector_packing=way))):
            return way
    return "pinned"


@cache
def _findings(environment: EnvironmentInfo) -> tuple[str, ...]:
    makes = environment.make_single, environment.make_tried_vector
    declared = ("it is registered as nondeterministic",) if environment.nondeterministic else ()
    return (*declared, *dict.fromkeys(finding for make in makes for finding in findings(make)))


class TimedEnvironment:
    """An environment whose `step` is timed; the seconds of a process are added up, wherever its actors came from."""

    seconds = 0.0

    def __init__(self, environment: Any) -> None:
        self._environment = environment

    def __getattr__(self, name: str) -> Any:
        return getattr(self._environment, name)

    def __reduce__(self) -> tuple[type["TimedEnvironment"], tuple[Any]]:
        return TimedEnvironment, (self._environment,)

    def step(self, action: Any) -> Any:
        """The environment's own `step`."""
        start = time.perf_counter()
        result = self._environment.step(action)
        TimedEnvironment.seconds += time.perf_counter() - start
        return result


def describe(recipe: Recipe | str) -> EnvironmentInfo:
    """What has to be known of an environment, by its recipe, or by its name alone; it is found out once in a process.

    It is made, reset, stepped once and closed: whatever its own code raises is told in one line. Raises `BadInputError`
    for that, and where it is unknown or makes no sense.
    """
    return _described(Recipe(recipe) if isinstance(recipe, str) else recipe)


@cache
def _described(recipe: Recipe) -> EnvironmentInfo:
    given = ", and env_kwargs that it takes" if recipe.options else ""
    allowed = f"allowed: an installed Gymnasium id, or module:Name-v0{given}"
    with own_code(recipe, "cannot be registered", allowed):
        register(recipe.name)
    _require_survival(recipe)
    with own_code(recipe, "cannot be made", allowed):
        environment = make_own(recipe)
    with own_code(recipe, "fails when it is reset, stepped and closed"):
        info = _describe(recipe, environment)
        use_once(adapt(environment))
    with own_code(recipe, "cannot be made as a vector"):
        _require_next_step_reset(info)
    return info


def _require_survival(recipe: Recipe) -> None:
    """Raise `BadInputError` where the code of a package that is not Gymnasium's ends or stops its process."""
    entry = getattr(gymnasium.registry.get(recipe.name), "entry_point", None)
    gymnasiums = entry is None or (isinstance(entry, str) and entry.startswith("gymnasium."))
    if gymnasiums and ":" not in recipe.name and not recipe.wrappers:
        return
    if not survives(partial(_make_and_use, recipe)):
        raise BadInputError(
            f"env: the code of {recipe.name!r} ends the process that it runs in, or does not come to an end"
        )


def _make_and_use(recipe: Recipe) -> None:
    use_once(make_plain(recipe))


def use_once(environment: gymnasium.Env[Any, Any]) -> None:
    """Reset it, step it once and close it."""
    first, _ = environment.reset(seed=0)
    second, reward, terminated, truncated, _ = environment.step(environment.action_space.sample())
    float(reward)
    shape = environment.observation_space.shape
    for observation in (first, second):
        if shape is not None and np.shape(observation) != shape:
            raise ValueError(f"an observation has the shape {np.shape(observation)}, its space {shape}")
    if not all(isinstance(over, bool | np.bool_ | int | np.integer) for over in (terminated, truncated)):
        raise TypeError(f"a step says terminated {terminated!r} and truncated {truncated!r}: true or false are allowed")
    environment.close()


def first_observations(environment: EnvironmentInfo, count: int) -> NDArray[Any]:
    """What an environment shows at the start and after random actions (count, size)."""
    with own_code(environment.recipe, "fails when it is stepped"):
        single = environment.untried.make_single()
        single.action_space.seed(0)
        observation, _ = single.reset(seed=0)
        observations = [np.array(observation)]
        while len(observations) < count:
            observation, _, terminated, truncated, _ = single.step(single.action_space.sample())
            if terminated or truncated:
                observation, _ = single.reset()
            observations.append(np.array(observation))
        single.close()
    return np.array(observations)


@contextmanager
def own_code(recipe: Recipe, what: str, hint: str = "its own code or a wrapper's is at fault") -> Iterator[None]:
    """Whatever an environment's own code raises becomes a `BadInputError` of one line; so does its wish to exit."""
    try:
        with warnings.catch_warnings():
            # Gymnasium's advice, and a package's own: nobody here can follow it.
            warnings.simplefilter("ignore")
            yield
    except (BadInputError, StoppedError):
        raise
    except BaseException as error:
        reason = describe_error(error)[:LONGEST_REASON]
        raise BadInputError(f"env: {recipe.name!r} {what} ({reason}); {hint}") from None


def _describe(recipe: Recipe, environment: gymnasium.Env[Any, Any]) -> EnvironmentInfo:
    name = recipe.name
    try:
        observation, action = ObservationSpec.of(environment.observation_space), ActionSpec.of(environment.action_space)
    except ValueError as error:
        raise BadInputError(f"env: {name!r} has {error}") from None
    spec = environment.spec
    if spec is None or spec.max_episode_steps is None:
        raise BadInputError(f"env: {name!r} has no time limit, so an episode may never end; set max_episode_steps")
    adapted = adapt(environment) is not environment
    return EnvironmentInfo(
        recipe,
        observation,
        action,
        spec.reward_threshold,
        spec.max_episode_steps,
        adapted=adapted,
        has_vector=spec.vector_entry_point is not None and not adapted and not recipe.wrappers,
        nondeterministic=spec.nondeterministic,
    )


def _require_next_step_reset(info: EnvironmentInfo) -> None:
    environment = info.make_vector(1)
    mode = environment.metadata.get("autoreset_mode")
    environment.close()
    if mode is not AutoresetMode.NEXT_STEP:
        raise BadInputError(
            f"env: {info.name!r} resets by {mode}; allowed: a vector environment that resets on the next step"
        )


def make_shown(recipe: Recipe, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
    """One environment to look at; `render_mode`: Gymnasium's word for how it is shown, if at all."""
    # Not every environment knows the word: it is said where it is needed only.
    return make_plain(recipe) if render_mode is None else make_plain(recipe, render_mode=render_mode)
