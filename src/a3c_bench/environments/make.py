"""Gymnasium environments, as the agent needs them."""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.utils import EzPickle
from gymnasium.vector import VectorEnv

from a3c_bench.errors import BadInputError


@dataclass(frozen=True)
class EnvironmentInfo:
    """What the agent has to know about an environment."""

    name: str
    observation_size: int
    action_count: int
    reward_threshold: float | None


def describe(name: str) -> EnvironmentInfo:
    """The sizes of environment `name`; raises `BadInputError` if it is unknown or its spaces are not supported."""
    try:
        environment = gymnasium.make(name, disable_env_checker=True)
    except (gymnasium.error.Error, ImportError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise BadInputError(f"env: {name!r} cannot be made ({reason}); allowed: an installed Gymnasium id") from None
    try:
        info = _describe(name, environment)
    finally:
        environment.close()
    make_vector(name, 1).close()
    return info


def _describe(name: str, environment: gymnasium.Env[Any, Any]) -> EnvironmentInfo:
    observation, action = environment.observation_space, environment.action_space
    if not isinstance(observation, Box) or len(observation.shape) != 1:
        raise BadInputError(f"env: {name!r} has the observation space {observation}; allowed: a flat Box")
    if not isinstance(action, Discrete) or action.start != 0:
        raise BadInputError(f"env: {name!r} has the action space {action}; allowed: Discrete, counted from 0")
    spec = environment.spec
    if spec is None or spec.max_episode_steps is None:
        raise BadInputError(f"env: {name!r} has no time limit, so an episode may never end; allowed: one that has")
    return EnvironmentInfo(name, observation.shape[0], int(action.n), spec.reward_threshold)


def make_vector(name: str, count: int) -> VectorEnv[Any, Any, Any]:
    """`count` environments stepped together: the environment's own vector version where it has one."""
    environment = gymnasium.make_vec(name, num_envs=count, vectorization_mode=None)
    mode = environment.metadata.get("autoreset_mode")
    if mode is not gymnasium.vector.AutoresetMode.NEXT_STEP:
        raise BadInputError(
            f"env: {name!r} resets by {mode}; allowed: a vector environment that resets on the next step"
        )
    return environment


def make_single(name: str, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
    """One environment, with its time limit; `render_mode`: Gymnasium's word for how it is shown, if at all."""
    # Not every environment knows the word: it is said where it is needed only.
    shown: dict[str, Any] = {} if render_mode is None else {"render_mode": render_mode}
    return gymnasium.make(name, disable_env_checker=True, **shown)


def as_float32(observation: object) -> np.ndarray[Any, np.dtype[np.float32]]:
    """An observation as the network takes it: a copy, since an environment may use its own array again."""
    return np.array(observation, dtype=np.float32)


def pickling_keeps_state(environment: Any) -> bool:
    """False for an environment that pickles how it was made, not where it is (Gymnasium's `EzPickle`)."""
    return not isinstance(environment.unwrapped, EzPickle)
