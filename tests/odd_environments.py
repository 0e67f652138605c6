"""Environments that are hard to pack or have odd spaces, and wrappers.

Workers find them by the name of this module: `odd_environments:Growing-v0`.
"""

import os

import gymnasium
import numpy as np
from gymnasium.envs.classic_control import CartPoleEnv
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple
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


class Mixed(gymnasium.Env):
    """Has all kinds of spaces: sees a Dict of a Tuple and an image, and takes several choices with a start."""

    observation_space = Dict(
        card=Tuple([Discrete(4, start=1), MultiBinary(3)]),
        picture=Box(0, 255, (2, 3), np.uint8),
        speed=Box(-np.inf, np.inf, (), np.float64),
    )
    action_space = MultiDiscrete([[2], [3]], start=[[-1], [5]])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.speed = 0.0
        return self.seen(), {}

    def seen(self):
        return {
            "card": (int(self.np_random.integers(1, 5)), self.np_random.integers(2, size=3).astype(np.int8)),
            "picture": self.np_random.integers(256, size=(2, 3)).astype(np.uint8),
            "speed": self.speed,
        }

    def step(self, action):
        assert action in self.action_space
        self.speed += float(action.sum()) / 8
        return self.seen(), float(action[0, 0]), self.speed > 9, False, {}


class Pixels(gymnasium.Env):
    """Sees an image, and takes switches."""

    observation_space, action_space = Box(0, 255, (4, 4, 3), np.uint8), MultiBinary(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.integers(256, size=(4, 4, 3)).astype(np.uint8), {}

    def step(self, action):
        assert action in self.action_space
        seen = self.np_random.integers(256, size=(4, 4, 3)).astype(np.uint8)
        return seen, float(action.sum()), bool(seen[0, 0, 0] < 20), False, {}


class Echo(gymnasium.Env):
    """Wants to hear the number that it shows."""

    observation_space = action_space = Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.shown = self.np_random.uniform(-1, 1, 1).astype(np.float32)
        return self.shown, {}

    def step(self, action):
        reward = -float(abs(action - self.shown)[0])
        self.shown = self.np_random.uniform(-1, 1, 1).astype(np.float32)
        return self.shown, reward, False, False, {}


class Late(gymnasium.Env):
    """Goes wrong after many steps, in the way that it is told."""

    observation_space, action_space = Discrete(4), Box(-1.0, 1.0, (2,), np.float32)

    def __init__(self, wrong="no"):
        self.wrong, self.steps = wrong, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 1, {}

    def step(self, action):
        self.steps += 1
        wrong = self.wrong if self.steps > 1500 else "no"
        if wrong == "raises":
            raise ValueError("bad\nworse")
        reward = {"nan": np.nan, "infinite": np.inf}.get(wrong, float(action[0]))
        return 4 if wrong == "outside" else 1, reward, False, False, {}


class Halved(gymnasium.ObservationWrapper):
    """A wrapper: observes half of what there is."""

    def observation(self, observation):
        return observation / 2


class TwoRows(gymnasium.ObservationWrapper):
    """Another one: observes two rows of two numbers."""

    def __init__(self, env):
        super().__init__(env)
        self.observation_space = Box(-np.inf, np.inf, (2, 2), np.float32)

    def observation(self, observation):
        return observation.reshape(2, 2)


def spelt(environment):
    """One whose observations make no sense."""
    environment = gymnasium.Wrapper(environment)
    environment.observation_space = Text(5)
    return environment


def miscounted(environment):
    """One whose observations are not what its space says."""
    return gymnasium.wrappers.TransformObservation(environment, lambda seen: seen[:3], environment.observation_space)


def leave(environment):
    """One that ends the process."""
    os._exit(3)


for made in (Unpackable, Growing, PickledByArguments):
    gymnasium.register(f"{made.__name__}-v0", made, max_episode_steps=500)
for made in (Mixed, Pixels, Echo, Late):
    gymnasium.register(f"{made.__name__}-v0", made, max_episode_steps=30)
