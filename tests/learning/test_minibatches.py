"""A rollout that is dealt out in minibatches: every row as often as there are epochs, and counted once."""

import numpy as np
import pytest
from conftest import small_config

from a3c_bench.environments.make import describe


@pytest.fixture
def settings():
    return small_config(ppo={"rollout_steps": 30, "epochs": 3, "minibatches": 4}).algorithm("ppo")


@pytest.fixture
def actors(settings):
    """Two of one maker, which share the buffers in which rollouts are collected."""
    environment = describe("CartPole-v1")
    make = settings.actor_maker(environment, 0)
    return [make(index, settings.initial_parameters(environment, 0)) for index in (0, 1)]


def rows_of(experience):
    """A set of rows, each as bytes."""
    return sorted(b"".join(array[row].tobytes() for array in experience) for row in range(len(experience.counted)))


def test_every_epoch_deals_out_all_rows_in_another_order(actors, settings):
    one, other = actors
    dealt = []
    for _ in range(settings.updates_per_rollout):
        minibatch = one.collect()
        assert len(minibatch.experience.counted) == settings.learned_rows == 30
        dealt.append(rows_of(minibatch.experience))
        other.collect()
    kept = rows_of(one._collector._kept)
    assert not one._collector._kept.counted.all(), "the rollout should contain resets"
    epochs = [dealt[start : start + 4] for start in (0, 4, 8)]
    for epoch in epochs:
        assert sorted(row for minibatch in epoch for row in minibatch) == kept
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_rollout_is_counted_and_recorded_with_its_first_minibatch(actors, settings):
    one, _ = actors
    steps, episodes = [], []
    for _ in range(3 * settings.updates_per_rollout):
        steps.append(one.collect().env_steps)
        one.record()
        episodes.append(one.finished_episodes(everything=True))
    firsts = [update for update, count in enumerate(steps) if count]
    assert firsts == [0, 12, 24]
    assert {update for update, ended in enumerate(episodes) if len(ended)} == set(firsts)
    assert [set(episodes[first]["rollout"]) for first in firsts] == [{0}, {1}, {2}]
    assert one.rollouts_told == 3


def test_the_first_minibatch_finds_the_probabilities_that_were_recorded(actors):
    """It learns on the snapshot that acted: all ratios are 1, to the last bit."""
    one, _ = actors
    minibatch = one.collect()
    one.learn(minibatch, np.empty_like(one._workspace.architecture.initial(np.random.default_rng(0))))
    taken = one._workspace.loss._taken.log_probabilities
    assert np.array_equal(taken, minibatch.experience.log_probabilities)
