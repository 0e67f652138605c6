"""Which environments are supported, and what is said of the others."""

import pytest

from a3c_bench.environments.make import EnvironmentInfo, describe
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
def test_environments_that_are_supported(name, size, actions, threshold, limit, has_vector):
    environment = describe(name)
    sizes = ObservationSpec(size), ActionSpec(actions)
    assert environment == EnvironmentInfo(name, *sizes, threshold, limit, has_vector)
    assert environment.make_vector(3).reset(seed=0)[0].shape == (3, size)


@pytest.mark.parametrize(
    ("name", "fragment"),
    [
        ("NoSuchEnv-v9", "cannot be made"),
        ("no such env", "cannot be made"),
        ("CartPole-v99", "cannot be made"),
        ("Pendulum-v1", "action space Box.*allowed: Discrete"),
        ("FrozenLake-v1", "observation space Discrete.*allowed: a flat Box"),
        ("Blackjack-v1", "observation space Tuple.*allowed: a flat Box"),
        ("CarRacing-v3", "env: "),
    ],
)
def test_environments_that_are_not(name, fragment):
    with pytest.raises(BadInputError, match=fragment) as caught:
        describe(name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
