"""Environments that are not as kind as CartPole, made at random: `strange:Case17-v0` is case 17, always the same.

Each is a small machine of numbers, and some of what follows: it lies inside another environment or under wrappers; it
pickles how it was made, or forgets a part of itself, or refuses; its state lies elsewhere, behind a handle; it has
state in its class, or draws from a generator that all share; it has a vector version of its own.
"""

import itertools
import random
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.envs.registration import register
from gymnasium.spaces import Box, Discrete
from gymnasium.utils import EzPickle
from gymnasium.vector import AutoresetMode, SyncVectorEnv

CASES = 600
ELSEWHERE: dict[int, list[int]] = {}
"""The memory of a physics engine: what a handle stands for."""
HANDLES = itertools.count()


class Machine(gymnasium.Env):
    """Its state is a number that every step changes; an episode ends when that is small."""

    observation_space = Box(-1.0, 1.0, (3,), np.float32)
    action_space = Discrete(2)

    def __init__(self, case: int = 0) -> None:
        self.case = case

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.put([int(self.np_random.integers(2**20)), 0])
        return self.seen(), {}

    def step(self, action):
        number, steps = self.get()
        number = (number * 1_103_515 + 12_345 + int(action) + self.noise()) % 2**20
        self.put([number, steps + 1])
        return self.seen(), (number % 7) / 7, number % 13 == 0, False, {}

    def noise(self) -> int:
        return int(self.np_random.integers(3))

    def seen(self) -> np.ndarray:
        number, steps = self.get()
        return np.array([number / 2**20, (number % 97) / 97, min(steps, 50) / 50], np.float32)

    def get(self) -> list[int]:
        return self.state

    def put(self, state: list[int]) -> None:
        self.state = state


class Handled(Machine):
    """Its state lies elsewhere: a copy has a handle that means another thing there, or nothing."""

    def __init__(self, case: int = 0) -> None:
        super().__init__(case)
        self.handle = next(HANDLES)

    def put(self, state):
        ELSEWHERE[self.handle] = state

    def get(self):
        return ELSEWHERE.get(self.handle, [1, 0])


class MadeAnew(Machine, EzPickle):
    """Comes out of a pickle as it was made, wherever it was."""

    def __init__(self, case: int = 0) -> None:
        EzPickle.__init__(self, case)
        Machine.__init__(self, case)
        self.state = [1, 0]


class Forgetful(Machine):
    """Forgets its state, or its generator, in a pickle."""

    def __getstate__(self):
        kept = dict(self.__dict__)
        kept.pop("_np_random" if self.case % 2 else "state", None)
        return kept

    def get(self):
        return getattr(self, "state", [1, 0])


class Refusing(Machine):
    """Does not pickle, and goes on over episodes."""

    episodes = 0

    def reset(self, *, seed=None, options=None):
        self.episodes += 1
        seen, info = super().reset(seed=seed)
        self.state[0] += self.episodes % (1 + self.case % 3)
        return seen, info

    def __reduce__(self):
        raise TypeError("it cannot be pickled")


class Counting(Machine):
    """Counts in its class."""

    counted: ClassVar[int] = 0

    def noise(self):
        Counting.counted += 1
        return Counting.counted % 5


class Shared(Machine):
    """Draws from generators that all share."""

    def noise(self):
        return random.randrange(3) if self.case % 2 else int(np.random.randint(3))


class Private(Machine):
    """Draws from a generator of its own, which a reset does not seed."""

    def __init__(self, case: int = 0) -> None:
        super().__init__(case)
        self.own = random.Random(case)

    def noise(self):
        return self.own.randrange(3)


class Nested(gymnasium.Env):
    """An environment that has another one inside, and is no wrapper of it."""

    observation_space, action_space = Machine.observation_space, Machine.action_space

    def __init__(self, inner: gymnasium.Env) -> None:
        self.inner = inner

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.inner.reset(seed=seed)

    def step(self, action):
        return self.inner.step(action)


class Halved(gymnasium.ObservationWrapper):
    def observation(self, observation):
        return observation / 2


class OwnVector(SyncVectorEnv):
    """A vector version of its own, which pickles how it was made."""

    def __init__(self, num_envs: int = 1, case: int = 0, **_: Any) -> None:
        self.made = num_envs, case
        super().__init__([lambda: gymnasium.make(f"Case{case}-v0").unwrapped] * num_envs)
        self.metadata = {**self.metadata, "autoreset_mode": AutoresetMode.NEXT_STEP}

    def __reduce__(self):
        return OwnVector, self.made


KINDS = (Machine, Handled, MadeAnew, Forgetful, Refusing, Counting, Shared, Private)


def make(case: int, **_: Any) -> gymnasium.Env:
    chance = random.Random(case)
    environment: gymnasium.Env = chance.choice(KINDS)(case)
    for _ in range(chance.randrange(3)):
        environment = Nested(environment) if chance.random() < 0.5 else Halved(environment)
    return environment


for case in range(CASES):
    register(
        f"Case{case}-v0",
        entry_point="strange:make",
        vector_entry_point="strange:OwnVector" if random.Random(-1 - case).random() < 0.2 else None,
        kwargs={"case": case},
        max_episode_steps=20,
    )
