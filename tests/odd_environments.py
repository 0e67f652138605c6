"""Environments that are hard to pack. Workers find them by the name of this module: `odd_environments:Growing-v0`."""

import gymnasium
import numpy as np
from gymnasium.envs.classic_control import CartPoleEnv
from gymnasium.utils import EzPickle


class Unpackable(CartPoleEnv):
    """Refuses to be pickled, and cannot be replayed: its rewards are drawn from a generator that no reset seeds."""

    def __init__(self):
        super().__init__()
        self._own = np.random.default_rng(0)

    def __reduce__(self):
        raise TypeError("this environment stays where it is")

    def step(self, action):
        observation, _, terminated, truncated, info = super().step(action)
        return observation, self._own.random(), terminated, truncated, info


class Growing(CartPoleEnv):
    """Holds eight million bytes from its hundredth step on."""

    def __init__(self):
        super().__init__()
        self._steps, self._memory = 0, b""

    def step(self, action):
        self._steps += 1
        if self._steps == 100:
            self._memory = bytes(8_000_000)
        return super().step(action)


class PickledByArguments(CartPoleEnv, EzPickle):
    """Comes out of a pickle as it was made, wherever it was."""

    def __init__(self):
        EzPickle.__init__(self)
        super().__init__()


for made in (Unpackable, Growing, PickledByArguments):
    gymnasium.register(f"{made.__name__}-v0", made, max_episode_steps=500)
