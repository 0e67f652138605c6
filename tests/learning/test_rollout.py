"""Collecting, on CartPole itself and on a toy environment whose episodes are known in advance."""

import gymnasium
import numpy as np
import pytest
from conftest import small_config
from gymnasium.spaces import Box, Discrete

from a3c_bench.environments.make import describe
from a3c_bench.learning import episodes as logs
from a3c_bench.learning import rollout as rollouts


class Countdown(gymnasium.Env):
    """Ends after three steps: by termination if `fatal`, else its time limit cuts it. Observes the steps done."""

    observation_space = Box(0, 10, (1,), np.float32)
    action_space = Discrete(2)

    def __init__(self, fatal=True):
        self.fatal = fatal

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.done = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.done += 1
        return np.full(1, self.done, np.float32), float(self.done), self.fatal and self.done == 3, False, {}


@pytest.fixture(autouse=True, scope="module")
def registered():
    gymnasium.register("Fatal-v0", Countdown, max_episode_steps=5)
    gymnasium.register("Limited-v0", Countdown, max_episode_steps=3, kwargs={"fatal": False})
    yield
    del gymnasium.registry["Fatal-v0"], gymnasium.registry["Limited-v0"]


def actor_on(name, algorithm="nstep", **changes):
    settings, environment = small_config(env=name, **changes).algorithm(algorithm), describe(name)
    return settings.actor_maker(environment, 0)(0, settings.initial_parameters(environment, 0))


@pytest.mark.parametrize(("name", "end"), [("Fatal-v0", "terminated"), ("Limited-v0", "truncated")])
def test_steps_that_only_reset_are_not_counted(name, end):
    actor = actor_on(name, nstep={"envs": 2, "rollout_steps": 6})
    rollout = actor.collect()
    other = "truncated" if end == "terminated" else "terminated"
    assert rollout.counted[:, 0].tolist() == [True, True, True, False, True, True]
    assert getattr(rollout, end)[:, 0].tolist() == [False, False, True, False, False, False]
    assert not getattr(rollout, other).any()
    assert rollout.env_steps == 10
    # The row after an episode's end is its last observation, which a truncated episode bootstraps from.
    assert rollout.observations[:, 0, 0].tolist() == [0, 1, 2, 3, 0, 1, 2]


def test_episodes_run_over_rollout_borders():
    actor = actor_on("Fatal-v0", nstep={"envs": 2, "rollout_steps": 2})
    found = []
    for _ in range(4):
        rollout = actor.collect()
        actor.record()
        found.append((rollout.env_steps, actor.finished_episodes(everything=True).tolist()))
    assert found == [
        (4, []),
        (2, [(1, 2, 3, 6.0), (1, 2, 3, 6.0)]),  # the second step only resets
        (4, []),
        (2, [(3, 2, 3, 6.0), (3, 2, 3, 6.0)]),
    ]


@pytest.mark.parametrize("algorithm", ["nstep", "episodic"])
def test_episodes_told_of_many_rollouts_at_a_time_are_the_same(algorithm, monkeypatch):
    monkeypatch.setattr(logs, "KEPT_ROWS", 7 * 4 * 5)
    monkeypatch.setattr(rollouts, "KEPT_EPISODES", 7)
    one, many = actor_on("CartPole-v1", algorithm), actor_on("CartPole-v1", algorithm)
    told: list[list[tuple]] = []
    expected = []
    for _ in range(100):
        one.collect(), one.record()
        expected += one.finished_episodes(everything=True).tolist()
        many.collect(), many.record()
        told.append(many.finished_episodes().tolist())
    told.append(many.finished_episodes(everything=True).tolist())
    assert [episode for part in told for episode in part] == expected
    assert sum(bool(part) for part in told[:-1]) == 100 // 7
    assert many.finished_episodes(everything=True).tolist() == []


def test_two_episodes_in_one_rollout():
    actor = actor_on("Limited-v0", nstep={"envs": 1, "rollout_steps": 8})
    actor.collect()
    actor.record()
    assert actor.finished_episodes(everything=True).tolist() == [(0, 3, 3, 6.0), (0, 6, 3, 6.0)]


def test_the_next_rollout_goes_on_where_the_last_one_stopped():
    actor = actor_on("CartPole-v1")
    last = actor.collect().observations[-1].copy()
    assert np.array_equal(actor.collect().observations[0], last)


def test_counts_agree_with_the_environments_own():
    """The lengths of finished episodes and the steps of running ones add up to the env steps."""
    actor = actor_on("CartPole-v1", nstep={"envs": 8, "rollout_steps": 50})
    steps = lengths = 0
    for _ in range(20):
        steps += actor.collect().env_steps
        actor.record()
        episodes = actor.finished_episodes(everything=True)
        lengths += int(episodes["length"].sum())
        assert (episodes["length"] == episodes["return"]).all()
    assert steps == lengths + int(actor._collector._episodes._lengths.sum())


@pytest.mark.parametrize(("name", "terminated"), [("Fatal-v0", True), ("Limited-v0", False)])
def test_an_episodic_rollout_is_one_episode(name, terminated):
    actor = actor_on(name, "episodic")
    for number in range(2):
        rollout = actor.collect()
        actor.record()
        assert rollout.observations[:, 0].tolist() == [0, 1, 2]
        assert rollout.rewards.tolist() == [1, 2, 3]
        assert rollout.terminated is terminated
        assert actor.finished_episodes(everything=True).tolist() == [(number, 3, 3, 6.0)]
