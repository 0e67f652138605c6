"""Gymnasium environments, as training and evaluation need them."""

import time
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode, VectorEnv

from a3c_bench.environments.packing import TRIED_COUNT, Packing, Replayed, Together, keeps_state, make_plain
from a3c_bench.environments.spaces import ActionSpec, ObservationSpec
from a3c_bench.errors import BadInputError


@dataclass(frozen=True)
class EnvironmentInfo:
    """An environment: what has to be known of it, and how it is made."""

    name: str
    observation: ObservationSpec
    action: ActionSpec
    reward_threshold: float | None
    max_episode_steps: int | None = None
    has_vector: bool = False
    """There is a vector version of its own."""
    packing: Packing | None = None
    """None: not tried yet."""
    timed: bool = False
    """Measure the time of its steps; costs a little on each."""

    def make_single(self) -> gymnasium.Env[Any, Any]:
        """One environment, which can be packed if any of this name can."""
        environment = Replayed(self.name) if self.packing == "replayed" else make_plain(self.name)
        return TimedEnvironment(environment) if self.timed else environment  # type: ignore[return-value]

    def make_vector(self, count: int) -> VectorEnv[Any, Any, Any]:
        """`count` environments stepped together: the environment's own vector version where it has one."""
        if self.has_vector:
            environment = gymnasium.make_vec(self.name, num_envs=count, vectorization_mode="vector_entry_point")
        else:
            one = replace(self, timed=False)
            environment = Together([one.make_single() for _ in range(count)])
        return TimedEnvironment(environment) if self.timed else environment  # type: ignore[return-value]

    def with_packing(self) -> "EnvironmentInfo":
        """The same, and how it is packed: that is tried, once in a process."""
        return replace(self, packing=_packing(replace(self, packing=None, timed=False)))


@cache
def _packing(environment: EnvironmentInfo) -> Packing:
    """The first way of packing under which copies go on as their originals do, alone and in a vector."""
    ways: tuple[Packing, ...] = ("pickled", "replayed")
    for packing in ways:
        tried = replace(environment, packing=packing)
        if keeps_state(tried.make_single) and keeps_state(partial(tried.make_vector, TRIED_COUNT)):
            return packing
    return "pinned"


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


def describe(name: str) -> EnvironmentInfo:
    """What has to be known of environment `name`; raises `BadInputError` if it is unknown or not supported."""
    try:
        environment = make_plain(name)
    except (gymnasium.error.Error, ImportError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise BadInputError(f"env: {name!r} cannot be made ({reason}); allowed: an installed Gymnasium id") from None
    try:
        info = _describe(name, environment)
    finally:
        environment.close()
    _require_next_step_reset(info)
    return info


def _describe(name: str, environment: gymnasium.Env[Any, Any]) -> EnvironmentInfo:
    try:
        observation, action = ObservationSpec.of(environment.observation_space), ActionSpec.of(environment.action_space)
    except ValueError as error:
        raise BadInputError(f"env: {name!r} has {error}") from None
    spec = environment.spec
    if spec is None or spec.max_episode_steps is None:
        raise BadInputError(f"env: {name!r} has no time limit, so an episode may never end; allowed: one that has")
    has_vector = spec.vector_entry_point is not None
    return EnvironmentInfo(name, observation, action, spec.reward_threshold, spec.max_episode_steps, has_vector)


def _require_next_step_reset(info: EnvironmentInfo) -> None:
    environment = info.make_vector(1)
    mode = environment.metadata.get("autoreset_mode")
    environment.close()
    if mode is not AutoresetMode.NEXT_STEP:
        raise BadInputError(
            f"env: {info.name!r} resets by {mode}; allowed: a vector environment that resets on the next step"
        )


def make_shown(name: str, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
    """One environment to look at; `render_mode`: Gymnasium's word for how it is shown, if at all."""
    # Not every environment knows the word: it is said where it is needed only.
    return make_plain(name) if render_mode is None else make_plain(name, render_mode=render_mode)
