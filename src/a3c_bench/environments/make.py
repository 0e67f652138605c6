"""Gymnasium environments, as training and evaluation need them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode, VectorEnv

from a3c_bench.environments.packing import Packing, Replayed, Together, make_plain
from a3c_bench.environments.spaces import ActionSpec, ObservationSpec
from a3c_bench.environments.trial import findings, keeps_state, survives
from a3c_bench.errors import BadInputError
from a3c_bench.supervision import StoppedError

LONGEST_REASON = 300
TRIED_COUNT = 2
"""Environments of a vector that is tried."""


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
    nondeterministic: bool = False
    """It is registered so."""
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

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why it may give other bits for other numbers of workers, under `ordered` too: tried, once in a process."""
        with own_code(self.name, "fails when it is stepped"):
            found = _findings(replace(self, packing=None, timed=False))
        return tuple(f"env: {self.name}: {finding}; other workers may give other bits" for finding in found)


@cache
def _packing(environment: EnvironmentInfo) -> Packing:
    """The first way of packing under which copies go on as their originals do, alone and in a vector."""
    ways: tuple[Packing, ...] = ("pickled", "replayed")
    for packing in ways:
        tried = replace(environment, packing=packing)
        if keeps_state([tried.make_single, partial(tried.make_vector, TRIED_COUNT)]):
            return packing
    return "pinned"


@cache
def _findings(environment: EnvironmentInfo) -> tuple[str, ...]:
    makes = environment.make_single, partial(environment.make_vector, TRIED_COUNT)
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


@cache
def describe(name: str) -> EnvironmentInfo:
    """What has to be known of environment `name`; raises `BadInputError` if it is unknown or not supported.

    It is made, reset, stepped once and closed: whatever its own code raises is told in one line.
    """
    _require_survival(name)
    with own_code(name, "cannot be made"):
        environment = make_plain(name)
    with own_code(name, "fails when it is reset, stepped and closed"):
        info = _describe(name, environment)
        use_once(environment)
    with own_code(name, "cannot be made as a vector"):
        _require_next_step_reset(info)
    return info


def _require_survival(name: str) -> None:
    """Raise `BadInputError` where the code of a package that is not Gymnasium's ends or stops its process."""
    entry = getattr(gymnasium.registry.get(name), "entry_point", None)
    if ":" not in name and (entry is None or (isinstance(entry, str) and entry.startswith("gymnasium."))):
        return
    if not survives(partial(_make_and_use, name)):
        raise BadInputError(f"env: the code of {name!r} ends the process that it runs in, or does not come to an end")


def _make_and_use(name: str) -> None:
    use_once(make_plain(name))


def use_once(environment: gymnasium.Env[Any, Any]) -> None:
    """Reset it, step it once and close it."""
    environment.reset(seed=0)
    environment.step(environment.action_space.sample())
    environment.close()


@contextmanager
def own_code(name: str, what: str) -> Iterator[None]:
    """Whatever an environment's own code raises becomes a `BadInputError` of one line; so does its wish to exit."""
    try:
        yield
    except (BadInputError, StoppedError, KeyboardInterrupt):
        raise
    except BaseException as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_REASON]
        raise BadInputError(f"env: {name!r} {what} ({reason}); allowed: an installed Gymnasium id") from None


def _describe(name: str, environment: gymnasium.Env[Any, Any]) -> EnvironmentInfo:
    try:
        observation, action = ObservationSpec.of(environment.observation_space), ActionSpec.of(environment.action_space)
    except ValueError as error:
        raise BadInputError(f"env: {name!r} has {error}") from None
    spec = environment.spec
    if spec is None or spec.max_episode_steps is None:
        raise BadInputError(f"env: {name!r} has no time limit, so an episode may never end; allowed: one that has")
    return EnvironmentInfo(
        name,
        observation,
        action,
        spec.reward_threshold,
        spec.max_episode_steps,
        has_vector=spec.vector_entry_point is not None,
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


def make_shown(name: str, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
    """One environment to look at; `render_mode`: Gymnasium's word for how it is shown, if at all."""
    # Not every environment knows the word: it is said where it is needed only.
    return make_plain(name) if render_mode is None else make_plain(name, render_mode=render_mode)
