"""Any space in and out: what a network sees of it, and what an environment gets of a policy's action."""

import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import (
    Box,
    Dict,
    Discrete,
    Graph,
    MultiBinary,
    MultiDiscrete,
    OneOf,
    Sequence,
    Text,
    Tuple,
    flatten,
    flatten_space,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from a3c_bench.environments.recipe import Recipe, make_own
from a3c_bench.environments.spaces import MOST_NUMBERS, ActionSpec, Flattened, ObservationSpec, adapt

IMAGE = Box(0, 255, (4, 5, 3), np.uint8)
ROW = Box(-1.0, 1.0, (3,), np.float32)
SWITCH = Discrete(2)


class Echo(gymnasium.Env):
    """Observes what it is told to, and keeps the action that it got."""

    def __init__(self, observation_space=ROW, action_space=SWITCH, observed=None):
        self.observation_space, self.action_space = observation_space, action_space
        self.observed, self.got = observed, None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observed, {}

    def step(self, action):
        self.got = action
        return self.observed, 0.0, False, False, {}


@pytest.mark.parametrize(
    ("space", "shape", "dtype"),
    [
        (ROW, (3,), "float32"),
        (Box(-1.0, 1.0, (), np.float64), (), "float64"),
        (Box(0, 9, (7,), np.int16), (7,), "int16"),
        (IMAGE, (4, 5, 3), "uint8"),
        (Discrete(5, start=-2), (5,), "int64"),
        (MultiDiscrete([2, 3], start=[1, -1]), (5,), "int64"),
        (MultiBinary([2, 3]), (6,), "int8"),
        (Tuple([Discrete(32), Discrete(11), Discrete(2)]), (45,), "int64"),
        (Dict(a=Box(-1.0, 1.0, (2, 2), np.float32), b=Tuple([Discrete(3), MultiBinary(2)])), (9,), "float64"),
    ],
)
def test_what_a_network_sees(space, shape, dtype):
    spec = ObservationSpec.of(space)
    assert spec == ObservationSpec(shape, dtype)
    assert spec.size == int(np.prod(shape))
    environment = adapt(Echo(space, observed=space.sample()))
    for observation in (environment.reset()[0], environment.step(0)[0]):
        assert observation.dtype.name == dtype and observation.shape == (spec.size,)
        assert np.array_equal(observation, flatten(space, environment.unwrapped.observed))
    assert environment.observation_space == (space if space is ROW or dtype == "int16" else flatten_space(space))


@pytest.mark.parametrize(
    ("space", "spec"),
    [
        (Discrete(3), ActionSpec("choice", (3,))),
        (Discrete(3, start=-5), ActionSpec("choice", (3,))),
        (MultiDiscrete([3, 2]), ActionSpec("choices", (3, 2))),
        (MultiDiscrete([[3], [2]], start=[[1], [7]]), ActionSpec("choices", (3, 2))),
        (MultiBinary((2, 2)), ActionSpec("choices", (2, 2, 2, 2))),
        (Box(-2.0, 2.0, (1,), np.float32), ActionSpec("numbers", (1,))),
        (Box(np.array([[-1.0, 0.0]]), np.array([[1.0, np.inf]]), dtype=np.float64), ActionSpec("numbers", (2,))),
        (Box(-3, 5, (), np.int8), ActionSpec("numbers", (1,))),
    ],
)
def test_what_an_environment_gets_is_in_its_space(space, spec):
    assert ActionSpec.of(space) == spec
    environment = adapt(Echo(action_space=space))
    chance = np.random.default_rng(0)
    for _ in range(50):
        if spec.kind == "numbers":
            environment.step(chance.normal(0, 5, spec.sizes).astype(np.float32))
        else:
            chosen = chance.integers(spec.sizes)
            environment.step(chosen[0] if spec.kind == "choice" else chosen)
        got = environment.unwrapped.got
        assert np.asarray(got) in space
        assert np.asarray(got).dtype == space.dtype


def test_choices_are_counted_from_the_start_and_numbers_are_clipped():
    environment = adapt(Echo(action_space=MultiDiscrete([3, 2], start=[5, -1])))
    environment.step(np.array([2, 0]))
    assert environment.unwrapped.got.tolist() == [7, -1]
    environment = adapt(Echo(action_space=Box(np.float32([-1, 0]), np.float32([1, 9]))))
    environment.step(np.array([-7.5, 3.25], np.float32))
    assert environment.unwrapped.got.tolist() == [-1, 3.25]
    environment = adapt(Echo(action_space=Box(0, 3, (2,), np.uint8)))
    environment.step(np.array([1.6, -4], np.float32))
    assert environment.unwrapped.got.tolist() == [2, 0]


def test_what_an_environment_keeps_of_an_action_does_not_change_with_the_policys_memory():
    for space in (MultiDiscrete([3, 3]), Box(-2.0, 2.0, (2,), np.float32)):
        environment, action = adapt(Echo(action_space=space)), np.ones(2, space.dtype)
        environment.step(action)
        action[:] = 0
        assert environment.unwrapped.got.tolist() == [1, 1]


@pytest.mark.parametrize("name", ["CartPole-v1", "Acrobot-v1", "MountainCar-v0"])
def test_nothing_is_wrapped_that_need_not_be(name):
    environment = make_own(Recipe(name))
    assert adapt(environment) is environment


@pytest.mark.parametrize(
    "space",
    [
        None,
        5,
        Box,
        Text(5),
        Graph(Discrete(2), None),
        Sequence(Discrete(2)),
        OneOf([Discrete(2), Discrete(3)]),
        Tuple([]),
        Tuple([ROW, Dict(a=Text(3))]),
        Box(-1.0, 1.0, (0,)),
        Discrete(MOST_NUMBERS + 1),
    ],
)
def test_spaces_that_make_no_sense(space):
    with pytest.raises(ValueError, match=r"observation space.*allowed: "):
        ObservationSpec.of(space)
    with pytest.raises(ValueError, match=r"action space.*allowed: "):
        ActionSpec.of(space)


def test_a_dictionary_is_no_action():
    with pytest.raises(
        ValueError, match=r"the action space Dict.*allowed: Discrete, MultiDiscrete, MultiBinary and Box"
    ):
        ActionSpec.of(Dict(a=Discrete(2)))


@pytest.mark.parametrize(
    ("space", "observed"),
    [
        (Discrete(5), 5),
        (Discrete(5), -1),
        (Discrete(5), 1.0),
        (Discrete(5, start=2), 1),
        (Discrete(5), None),
        (MultiDiscrete([2, 3]), np.array([2, 0])),
        (MultiDiscrete([2, 3]), np.array([0])),
        (MultiBinary(4), np.zeros(3, np.int8)),
        (Tuple([Discrete(2), Discrete(3)]), (0, 3)),
        (Tuple([Discrete(2), Discrete(3)]), (0, 1, 1)),
        (Dict(a=Discrete(2)), {"a": 2}),
        (IMAGE, np.zeros((4, 5), np.uint8)),
        (Box(-1.0, 1.0, ()), np.zeros(2)),
    ],
)
def test_an_observation_outside_its_space_is_an_error(space, observed):
    environment = Flattened(Echo(space, observed=observed))
    with pytest.raises(ValueError):
        environment.reset()


@pytest.mark.parametrize("space", [Discrete(3, start=2), MultiDiscrete([2, 2]), Box(-1.0, 1.0, (2,))])
def test_adapted_environments_can_be_pickled(space):
    environment = adapt(Echo(Discrete(4), space, observed=3))
    copy = pickle.loads(pickle.dumps(environment))
    assert type(copy) is type(environment)
    assert (copy.observation_space, copy.action_space) == (environment.observation_space, environment.action_space)
    assert copy.reset()[0].tolist() == [0, 0, 0, 1]


LEAVES = st.one_of(
    st.builds(Discrete, st.integers(1, 9), start=st.integers(-9, 9)),
    st.builds(MultiDiscrete, st.lists(st.integers(1, 5), min_size=1, max_size=4)),
    st.builds(MultiBinary, st.integers(1, 5)),
    st.builds(
        lambda shape, kind: Box(0, 100, shape, kind),
        st.lists(st.integers(1, 3), max_size=3).map(tuple),
        st.sampled_from([np.float32, np.float64, np.uint8, np.int32]),
    ),
)
SPACES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(Tuple),
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3).map(Dict),
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(SPACES, st.integers(0, 99))
def test_any_space_of_these_is_seen_as_gymnasium_flattens_it(space, seed):
    space.seed(seed)
    observed = space.sample()
    environment = adapt(Echo(space, observed=observed))
    observation, _ = environment.reset()
    assert np.array_equal(observation, flatten(space, observed))
    assert observation.shape == (ObservationSpec.of(space).size,)
    assert observation.dtype.name == ObservationSpec.of(space).dtype
