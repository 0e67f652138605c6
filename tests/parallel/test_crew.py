"""Actors move to the worker that has less to do, and compute the same there."""

import functools
import pickle

import numpy as np
import pytest
from conftest import small_config
from gymnasium.envs.classic_control import CartPoleEnv
from gymnasium.utils import EzPickle
from gymnasium.wrappers import TimeLimit

from a3c_bench.algorithms.actor import actor_maker, initial_parameters, make_layout
from a3c_bench.environments.make import describe, make_single, make_vector, pickling_keeps_state
from a3c_bench.evidence.reproducibility import disturbance
from a3c_bench.training import pool
from a3c_bench.training.worker import Job, TimedEnvironment

ALGORITHMS = ("nstep", "episodic")


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Trains with one of the workers held up; gives the model, and the actors that were packed to move.

    The first actor of every worker is packed at the start, to see whether it can be.
    """

    def run(config, algorithm, slow=None):
        disturbed = functools.partial(disturbance.run_worker, folder=str(tmp_path), slow=slow)
        monkeypatch.setattr(pool, "run_worker", disturbed)
        with pool.Pool(Job(config, algorithm, 0, describe(config.env), False)) as running:
            running.run(lambda *_: None)
            return running.outcome().parameters, np.flatnonzero(running.tables.parcel_bytes).tolist()

    return run


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("schedule", ["ordered", "hogwild"])
def test_actors_leave_a_slow_worker(algorithm, schedule, train):
    _, packed = train(small_config(workers=2, schedule=schedule), algorithm, slow=0)
    assert len(packed) > 2


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_actors_that_moved_compute_the_same_bits(algorithm, train):
    alone, _ = train(small_config(workers=1), algorithm)
    for slow in (0, 1):
        moved, packed = train(small_config(workers=2), algorithm, slow=slow)
        assert len(packed) > 2
        assert np.array_equal(moved, alone)


def test_an_environment_that_cannot_be_pickled_stays_where_it_is(train):
    config = small_config(env="Acrobot-v1", workers=2, nstep={"total_steps": 2_000})
    alone, _ = train(small_config(env="Acrobot-v1", workers=1, nstep={"total_steps": 2_000}), "nstep")
    parameters, packed = train(config, "nstep", slow=0)
    assert not packed
    assert np.array_equal(parameters, alone)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_restored_actor_goes_on_where_the_other_was(algorithm):
    config, environment = small_config(), describe("CartPole-v1")
    layout = make_layout(config.algorithm(algorithm), environment)
    parameters = initial_parameters(config.algorithm(algorithm), layout, 0)
    one, other = (actor_maker(config, algorithm, environment, 0)(index, parameters) for index in (0, 1))
    for _ in range(7):
        one.collect()
        one.record()
    other.collector.restore(pickle.loads(pickle.dumps(one.collector.state())))
    for _ in range(7):
        gradients = []
        for actor in (one, other):
            gradients.append(np.empty(layout.size, np.float32))
            actor.learn(actor.collect(), gradients[-1])
        assert np.array_equal(*gradients)
        one.record()
        other.record()
        assert np.array_equal(one.finished_episodes(everything=True), other.finished_episodes(everything=True))


class PickledByArguments(CartPoleEnv, EzPickle):
    """Comes out of a pickle as it was made, wherever it was."""

    def __init__(self, **arguments):
        EzPickle.__init__(self, **arguments)
        super().__init__(**arguments)


def test_an_environment_that_loses_its_state_in_a_pickle_is_told_from_one_that_keeps_it():
    assert pickling_keeps_state(make_single("CartPole-v1"))
    assert pickling_keeps_state(make_vector("CartPole-v1", 2))
    assert not pickling_keeps_state(TimeLimit(PickledByArguments(), 500))
    assert not pickling_keeps_state(TimedEnvironment(TimeLimit(PickledByArguments(), 500)))
