"""How an environment is packed, for a checkpoint or on its way to another worker.

One that pickles where it is, is pickled. Else its random state at the last reset and the actions since are packed, and
replayed. Which of them holds is tried (`trial.py`), and never guessed from a type.
"""

from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium.vector import SyncVectorEnv

from a3c_bench.environments.recipe import Recipe, make_plain

Packing = Literal["pickled", "replayed", "pinned"]
"""Pinned: it cannot be packed, so there are no checkpoints and its actor stays where it is."""


class Replayed(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Packs its random state at the last reset and the actions since, which its copy takes again."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(make_plain(recipe))
        self._recipe = recipe
        self._start: int | np.random.Generator | None = None
        self._actions: list[Any] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """The environment's own reset."""
        self._start = deepcopy(self.env.unwrapped.np_random) if seed is None else seed
        self._actions = []
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        """The environment's own step."""
        # A copy: the caller may use the array again.
        self._actions.append(deepcopy(action))
        return self.env.step(action)

    def __reduce__(self) -> tuple[Any, ...]:
        return _replay, (self._recipe, self._start, np.array(self._actions))

    @property
    def room(self) -> int:
        """Bytes that it may need when it is packed at an episode's end, more than at its start."""
        limit = self.env.spec.max_episode_steps if self.env.spec else None
        return (limit or 0) * np.asarray(self.action_space.sample()).nbytes


def _replay(recipe: Recipe, start: int | np.random.Generator | None, actions: Any) -> Replayed:
    environment = Replayed(recipe)
    if isinstance(start, int):
        environment.reset(seed=start)
    elif start is not None:
        environment.env.unwrapped.np_random = start
        environment.reset()
    for action in actions:
        environment.step(action)
    return environment


class Together(SyncVectorEnv):
    """Single environments, stepped one after another as Gymnasium does it; unlike Gymnasium's class it pickles."""

    STATE = ("_env_obs", "_observations", "_rewards", "_terminations", "_truncations", "_autoreset_envs")

    def __init__(self, environments: Sequence[gymnasium.Env[Any, Any]]) -> None:
        # Whoever steps it copies what is to be kept.
        super().__init__([partial(_itself, environment) for environment in environments], copy=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return Together, (self.envs,), {name: getattr(self, name) for name in self.STATE}


def _itself(environment: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    return environment


def room(environment: Any) -> int:
    """Bytes by which a packed environment may grow on the way to an episode's end."""
    return sum(map(room, environment.envs)) if isinstance(environment, Together) else getattr(environment, "room", 0)
