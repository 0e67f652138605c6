"""How an environment is made: time limit, arguments and wrappers from params, and what is said of wrong ones."""

import gymnasium
import numpy as np
import pytest
from conftest import small_config
from odd_environments import Halved

from a3c_bench.environments.make import describe, make_shown
from a3c_bench.environments.recipe import Recipe
from a3c_bench.environments.spaces import ObservationSpec
from a3c_bench.errors import BadInputError

HALVED = "odd_environments:Halved"


def test_a_recipe_is_what_params_say():
    config = small_config(
        env="FrozenLake-v1",
        max_episode_steps=7,
        env_kwargs={"map_name": "8x8", "is_slippery": False},
        wrappers=[HALVED],
    )
    kwargs = '{"is_slippery": false, "map_name": "8x8"}'
    assert config.recipe == Recipe("FrozenLake-v1", 7, kwargs, (HALVED,))
    assert small_config().recipe == Recipe("CartPole-v1")
    assert config.with_env("Acrobot-v1").recipe == Recipe("Acrobot-v1")
    assert config.with_env("FrozenLake-v1") is config


def test_a_time_limit_can_be_given():
    with pytest.raises(BadInputError, match=r"CliffWalking-v1.*no time limit.*set max_episode_steps"):
        describe("CliffWalking-v1")
    environment = describe(Recipe("CliffWalking-v1", 5))
    assert environment.max_episode_steps == 5
    single = environment.make_single()
    single.reset(seed=0)
    assert [single.step(0)[3] for _ in range(5)] == [False] * 4 + [True]


@pytest.mark.parametrize("name", ["CartPole-v1", "Acrobot-v1"])
def test_another_time_limit_holds_in_a_vector_too(name):
    environment = describe(Recipe(name, 3))
    vector = environment.make_vector(2)
    vector.reset(seed=0)
    assert [vector.step(np.zeros(2, np.int64))[3].tolist() for _ in range(3)] == [[False] * 2] * 2 + [[True] * 2]


def test_arguments_reach_the_environment():
    environment = describe(Recipe("FrozenLake-v1", env_kwargs='{"map_name": "8x8"}'))
    assert environment.observation == ObservationSpec((64,), "int64")
    vector = describe(Recipe("CartPole-v1", env_kwargs='{"sutton_barto_reward": true}')).make_vector(2)
    vector.reset(seed=0)
    assert vector.step(np.zeros(2, np.int64))[1].tolist() == [0, 0]


def test_wrappers_are_put_around_it_the_first_innermost():
    environment = describe(Recipe("CartPole-v1", wrappers=(HALVED, "odd_environments:TwoRows")))
    assert not environment.has_vector, "its own vector version has no wrappers"
    assert environment.observation == ObservationSpec((2, 2), "float32")
    single = environment.make_single()
    inner = single.env.env
    assert isinstance(inner, Halved)
    whole, _ = gymnasium.make("CartPole-v1").reset(seed=3)
    assert np.array_equal(single.reset(seed=3)[0], whole / 2)
    assert environment.make_vector(3).reset(seed=0)[0].shape == (3, 4)
    assert environment.with_packing().packing == "pickled"
    assert make_shown(environment.recipe, "rgb_array").render_mode == "rgb_array"


@pytest.mark.parametrize(
    ("recipe", "fragments"),
    [
        (Recipe("CartPole-v1", wrappers=("no.such:Name",)), ["wrappers: 'no.such:Name'", "No module named 'no'"]),
        (Recipe("CartPole-v1", wrappers=("odd_environments:Nobody",)), ["odd_environments:Nobody", "AttributeError"]),
        (Recipe("CartPole-v1", wrappers=("odd_environments",)), ["wrappers: 'odd_environments'", "AttributeError"]),
        (Recipe("CartPole-v1", wrappers=("os.path:join",)), ["wrappers: 'os.path:join'", "TypeError"]),
        (Recipe("CartPole-v1", wrappers=("builtins:repr",)), ["wrappers: 'builtins:repr' gives str"]),
        (Recipe("CartPole-v1", wrappers=("odd_environments:spelt",)), ["observation space Text", "allowed: Box"]),
        (Recipe("CartPole-v1", wrappers=("odd_environments:miscounted",)), ["has the shape (3,), its space (4,)"]),
        (Recipe("CartPole-v1", wrappers=("os:_exit",)), ["wrappers: 'os:_exit'"]),
        (Recipe("CartPole-v1", wrappers=("odd_environments:leave",)), ["ends the process that it runs in"]),
        (Recipe("CartPole-v1", env_kwargs='{"gravity": 3}'), ["CartPole-v1", "'gravity'", "env_kwargs that it takes"]),
    ],
)
def test_what_is_wrong_with_a_recipe_is_told_in_one_line(recipe, fragments):
    with pytest.raises(BadInputError) as caught:
        describe(recipe)
    message = str(caught.value)
    assert "\n" not in message and all(fragment in message for fragment in fragments), message
