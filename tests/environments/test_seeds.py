"""Environments that take seeds of 32 bits only can be trained."""

import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from a3c_bench.environments.seeds import ShortSeeds
from a3c_bench.seeding import Role, environment_seed


class OldFashioned(gymnasium.Env):
    """Draws what it shows with a `RandomState`, as MinAtar does."""

    observation_space, action_space = Box(0, 1, (1,)), Discrete(2)

    def __init__(self):
        self._random = np.random.RandomState(0)

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            self._random = np.random.RandomState(seed)
        return self._random.random_sample(1), {}

    def step(self, action):
        return self._random.random_sample(1), 0.0, False, False, {}


def test_seeds_of_trainings_fit():
    seed = environment_seed(0, Role.TRAIN_ENVIRONMENT, 0)
    with pytest.raises(ValueError, match=r"2\*\*32"):
        OldFashioned().reset(seed=seed)
    environment = ShortSeeds(OldFashioned())
    first, second = (environment.reset(seed=seed + number)[0] for number in (0, 1))
    assert first == environment.reset(seed=seed)[0] != second
    assert first == OldFashioned().reset(seed=seed % 2**32)[0]


def test_it_goes_on_without_a_seed_and_pickled():
    environment = ShortSeeds(OldFashioned())
    environment.reset(seed=2**62)
    copy = pickle.loads(pickle.dumps(environment))
    assert copy.reset()[0] == environment.reset()[0]
