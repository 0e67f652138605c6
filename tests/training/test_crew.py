"""Actors move to the worker that has less to do, and compute the same there."""

import multiprocessing
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import small_config

from a3c_bench.environments.make import describe
from a3c_bench.evidence.reproducibility.disturbance import Disturbance
from a3c_bench.training import needs, pool
from a3c_bench.training.crew import Crew
from a3c_bench.training.exchange.memory import Bell, SharedTables
from a3c_bench.training.reporter import Reporter
from a3c_bench.training.worker import Job

ALGORITHMS = ("nstep", "episodic", "ppo")


@pytest.fixture
def train(tmp_path):
    """Trains with one of the workers held up; gives the model, and the actors that moved to another worker."""

    def run(config, algorithm, slow=None):
        job = Job(config, algorithm, 0, describe(config.env), Disturbance(tmp_path, slow=slow))
        with pool.Pool(job) as running:
            running.run(lambda *_: None)
            return running.outcome().parameters, np.flatnonzero(running.tables.unpacking).tolist()

    return run


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("schedule", ["ordered", "hogwild"])
def test_actors_leave_a_slow_worker(algorithm, schedule, train):
    _, packed = train(small_config(workers=2, schedule=schedule), algorithm, slow=0)
    assert packed


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_actors_that_moved_compute_the_same_bits(algorithm, train):
    alone, _ = train(small_config(workers=1), algorithm)
    for slow in (0, 1):
        moved, packed = train(small_config(workers=2), algorithm, slow=slow)
        assert packed
        assert np.array_equal(moved, alone)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("env", ["Acrobot-v1", "MountainCar-v0", "LunarLander-v3"])
def test_on_any_environment_actors_that_moved_compute_the_same_bits(env, algorithm, train):
    small = {
        "env": env,
        "nstep": {"total_steps": 6_400},
        "episodic": {"episodes": 12, "reward": "env"},
        "ppo": {"total_steps": 6_400},
    }
    alone, _ = train(small_config(workers=1, **small), algorithm)
    moved, packed = train(small_config(workers=2, **small), algorithm, slow=0)
    assert packed
    assert np.array_equal(moved, alone)


@pytest.fixture
def first_of_two():
    """Makes the first of two workers' crews, with its tables; actors begin at `home` and have `methods` only."""

    def make(home, **methods):
        settings = small_config().algorithm("nstep")
        tables = SharedTables(needs.shape(settings, describe("CartPole-v1"), parcel_bytes=1000))
        tables.home[:] = home
        bells, (_, channel) = [Bell(), Bell()], multiprocessing.Pipe(duplex=False)
        return Crew(0, tables, bells, lambda index: SimpleNamespace(**methods), Reporter(channel), lambda: None), tables

    return make


@pytest.mark.parametrize(("unpacking", "home"), [(0.0, 1), (1.0, 1), (3.0, 0)])
def test_an_actor_moves_where_more_is_waited_than_it_takes_to_unpack_one(unpacking, home, first_of_two):
    crew, tables = first_of_two(home=0, state=lambda: None)
    tables.unpacking[:] = unpacking
    tables.waited[1] += 2.0
    assert crew.next()[0] == 0
    assert tables.home.tolist() == [0, home, *[0] * (len(tables.home) - 2)]


def test_what_others_wait_while_one_is_unpacked_moves_no_other(first_of_two):
    def wait(state):
        tables.waited[1] += 2.0

    crew, tables = first_of_two(home=1, restore=wait)
    tables.home[:] = 0
    packed = pickle.dumps((None, ()))
    tables.parcels[0, : len(packed)] = np.frombuffer(packed, np.uint8)
    tables.parcel_sizes[0] = len(packed)
    for _ in range(2):
        assert crew.next()[0] == 0
        assert not tables.home.any()
    tables.waited[1] += 2.0
    crew.next()
    assert tables.home.any()


def test_an_environment_that_cannot_be_packed_stays_where_it_is(train):
    small = {"env": "odd_environments:Unpackable-v0", "nstep": {"total_steps": 3_200}}
    alone, _ = train(small_config(workers=1, **small), "nstep")
    stayed, packed = train(small_config(workers=2, **small), "nstep", slow=0)
    assert not packed
    assert np.array_equal(stayed, alone)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_restored_actor_goes_on_where_the_other_was(algorithm):
    settings, environment = small_config().algorithm(algorithm), describe("CartPole-v1")
    parameters = settings.initial_parameters(environment, 0)
    # Each has buffers of its own.
    one, other = (settings.actor_maker(environment, 0)(index, parameters) for index in (0, 1))
    for _ in range(7):
        one.collect()
        one.record()
    other.restore(pickle.loads(pickle.dumps(one.state())))
    for _ in range(7):
        gradients = []
        for actor in (one, other):
            gradients.append(np.empty_like(parameters))
            actor.learn(actor.collect(), gradients[-1])
        assert np.array_equal(*gradients)
        one.record()
        other.record()
        assert np.array_equal(one.finished_episodes(everything=True), other.finished_episodes(everything=True))
