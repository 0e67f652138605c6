"""Which environments are supported, and what is said of the others."""

import pytest

from a3c_bench.environments.make import EnvironmentInfo, describe
from a3c_bench.environments.recipe import Recipe
from a3c_bench.environments.spaces import ActionSpec, ObservationSpec
from a3c_bench.errors import BadInputError


@pytest.mark.parametrize(
    ("name", "size", "actions", "threshold", "limit", "has_vector"),
    [
        ("CartPole-v1", 4, 2, 475.0, 500, True),
        ("Acrobot-v1", 6, 3, -100.0, 500, False),
        ("MountainCar-v0", 2, 3, -110.0, 200, False),
        ("LunarLander-v3", 8, 4, 200.0, 1000, False),
    ],
)
def test_environments_that_need_no_adapting(name, size, actions, threshold, limit, has_vector):
    environment = describe(name)
    specs = ObservationSpec((size,), "float32"), ActionSpec("choice", (actions,))
    assert environment == EnvironmentInfo(Recipe(name), *specs, threshold, limit, has_vector=has_vector)
    assert environment.is_plain
    assert environment.make_vector(3).reset(seed=0)[0].shape == (3, size)


@pytest.mark.parametrize(
    ("recipe", "observation", "action"),
    [
        (Recipe("Pendulum-v1"), ObservationSpec((3,), "float32"), ActionSpec("numbers", (1,))),
        (Recipe("FrozenLake-v1"), ObservationSpec((16,), "int64"), ActionSpec("choice", (4,))),
        (Recipe("Blackjack-v1", 50), ObservationSpec((45,), "int64"), ActionSpec("choice", (2,))),
        (Recipe("Taxi-v4"), ObservationSpec((500,), "int64"), ActionSpec("choice", (6,))),
        (Recipe("BipedalWalker-v3"), ObservationSpec((24,), "float32"), ActionSpec("numbers", (4,))),
        (Recipe("CarRacing-v3"), ObservationSpec((96, 96, 3), "uint8"), ActionSpec("numbers", (3,))),
    ],
)
def test_environments_that_are_adapted(recipe, observation, action):
    environment = describe(recipe)
    assert (environment.observation, environment.action, environment.adapted) == (observation, action, True)
    assert not environment.has_vector and not environment.is_plain
    observations, _ = environment.make_vector(2).reset(seed=0)
    assert (observations.shape, observations.dtype.name) == ((2, observation.size), observation.dtype)


@pytest.mark.parametrize(
    ("name", "fragment"),
    [
        ("NoSuchEnv-v9", "cannot be made"),
        ("no such env", "cannot be made"),
        ("CartPole-v99", "cannot be made"),
        ("Blackjack-v1", "no time limit.*set max_episode_steps"),
        ("CliffWalking-v1", "no time limit.*set max_episode_steps"),
    ],
)
def test_environments_that_are_not(name, fragment):
    with pytest.raises(BadInputError, match=fragment) as caught:
        describe(name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
