"""How environments are packed, and that they go on where they were."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

from a3c_bench.environments.make import describe
from a3c_bench.environments.recipe import Recipe
from a3c_bench.environments.trial import keeps_state


@pytest.mark.parametrize(
    ("name", "packing"),
    [
        ("CartPole-v1", "pickled"),
        ("Acrobot-v1", "pickled"),
        ("MountainCar-v0", "pickled"),
        ("LunarLander-v3", "replayed"),
        ("BipedalWalker-v3", "pinned"),
        (Recipe("BipedalWalker-v3", wrappers=("a3c_bench.environments.worlds:NewWorld",)), "replayed"),
        ("odd_environments:Growing-v0", "pickled"),
        ("odd_environments:PickledByArguments-v0", "replayed"),
        ("odd_environments:Unpackable-v0", "pinned"),
    ],
)
@pytest.mark.parametrize("timed", [False, True])
def test_how_an_environment_can_be_packed_is_found(name, packing, timed):
    environment = replace(describe(name), timed=timed).with_packing()
    assert (environment.packing, environment.vector_packing) == (packing, packing)
    assert environment.timed is timed


def test_an_environment_that_loses_its_state_in_a_pickle_is_told_from_one_that_keeps_it():
    keeping, losing = describe("CartPole-v1"), describe("odd_environments:PickledByArguments-v0")
    assert keeps_state(keeping.make_single)
    assert keeps_state(lambda: keeping.make_vector(2))
    for timed in (False, True):
        assert not keeps_state(replace(losing, timed=timed).make_single)


def play(environment, actions):
    """What it answers; after an episode's end it is reset, which a vector does by itself."""
    for action in actions:
        observation, reward, terminated, truncated, _ = environment.step(action)
        yield np.copy(observation), np.copy(reward), np.copy(terminated)
        if np.isscalar(reward) and (terminated or truncated):
            yield environment.reset()[0]


@pytest.mark.parametrize("name", ["CartPole-v1", "Acrobot-v1", "MountainCar-v0", "LunarLander-v3"])
@pytest.mark.parametrize("count", [None, 2])
def test_a_packed_environment_goes_on_from_the_middle_of_any_episode(name, count):
    environment = describe(name).with_packing()
    original = environment.make_vector(count) if count else environment.make_single()
    original.reset(seed=3)
    original.action_space.seed(3)
    for _ in range(3):
        list(play(original, [original.action_space.sample() for _ in range(170)]))
        copy = pickle.loads(pickle.dumps(original))
        actions = [original.action_space.sample() for _ in range(170)]
        assert data_equivalence(list(play(original, actions)), list(play(copy, actions)), exact=True)
        original = copy
