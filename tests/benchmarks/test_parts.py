"""The parts of training, each alone: acting, environment step, rollout, gradient, update, turn."""

import copy

import numpy as np
import pytest
from conftest import ROOT

from a3c_bench.config import load_config
from a3c_bench.environments.make import describe
from a3c_bench.evaluation import evaluate
from a3c_bench.learning.optimizer import Adam
from a3c_bench.training import pool
from a3c_bench.training.exchange.memory import Bell, SharedTables
from a3c_bench.training.turns import SCHEDULES
from a3c_bench.training.worker import Job

CONFIG = load_config(ROOT / "params.yaml")
ENVIRONMENT = describe(CONFIG.env)
ALGORITHMS = ("nstep", "episodic")
ROUNDS = 40
"""So many, and each some 4 ms long: two revisions are compared in turns, and their speed drifts."""
ROLLOUTS = {"nstep": 8, "episodic": 12}
GRADIENTS = {"nstep": 16, "episodic": 40}


def make_actor(algorithm):
    settings = CONFIG.algorithm(algorithm)
    return settings.actor_maker(ENVIRONMENT, 0)(0, settings.initial_parameters(ENVIRONMENT, 0))


@pytest.mark.benchmark(group="1 acting")
def test_acting_nstep(timed):
    actor = make_actor("nstep")
    rollout = actor.collect()
    network, steps = actor._network, rollout.steps

    def act():
        for step in steps:
            network.forward(rollout.rows, step.start, step.stop)

    timed(act, rounds=ROUNDS, calls=25, env_steps=rollout.actions.size)


@pytest.mark.benchmark(group="1 acting")
def test_acting_episodic(timed):
    actor = make_actor("episodic")
    rows = CONFIG.algorithm("episodic").architecture(ENVIRONMENT).rows(1)
    rows.observations[0] = actor.collect().observations[0]
    timed(actor._network.forward, rows, 0, 1, False, rounds=ROUNDS, calls=400, env_steps=1)


@pytest.mark.benchmark(group="2 environment step")
def test_environment_step_nstep(timed):
    environment = make_actor("nstep").environment
    actions = np.zeros(environment.num_envs, np.int64)
    actions[::2] = 1
    timed(environment.step, actions, rounds=ROUNDS, calls=50, env_steps=len(actions))


@pytest.mark.benchmark(group="2 environment step")
def test_environment_step_episodic(timed):
    environment = make_actor("episodic").environment
    # Alternating forces keep a pole up for so long, whatever state it starts from.
    actions = [0, 1, 0, 1, 0, 1]

    def play():
        for _ in range(100):
            environment.reset()
            for action in actions:
                environment.step(action)

    timed(play, rounds=ROUNDS, env_steps=100 * len(actions))


@pytest.mark.benchmark(group="3 rollout")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_rollout(algorithm, timed):
    actor = make_actor(algorithm)
    start = copy.deepcopy(actor.state())

    def collect():
        return [actor.collect().env_steps for _ in range(ROLLOUTS[algorithm])]

    def again():
        actor.restore(copy.deepcopy(start))

    again()
    env_steps = sum(collect())
    timed(collect, setup=again, rounds=ROUNDS, env_steps=env_steps)


@pytest.mark.benchmark(group="4 gradient")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_gradient(algorithm, timed):
    actor = make_actor(algorithm)
    rollout, gradient = actor.collect(), np.empty(CONFIG.algorithm(algorithm).layout(ENVIRONMENT).size, np.float32)
    timed(actor.learn, rollout, gradient, rounds=ROUNDS, calls=GRADIENTS[algorithm], env_steps=rollout.env_steps)


@pytest.mark.benchmark(group="5 update")
def test_update(timed):
    size = CONFIG.algorithm("nstep").layout(ENVIRONMENT).size
    model, gradient, first, second = (np.zeros(size, np.float32) for _ in range(4))
    timed(Adam(first, second, np.zeros(1, np.int64)).apply, model, gradient, 1e-3, rounds=ROUNDS, calls=250)


@pytest.mark.benchmark(group="5 update")
@pytest.mark.parametrize("schedule", ["ordered", "hogwild"])
def test_turn(schedule, timed):
    """One worker submits the gradients of all actors, update after update."""
    config = CONFIG.model_copy(update={"workers": 1, "schedule": schedule})
    job = Job(config, "nstep", 0, ENVIRONMENT)
    tables, bell = SharedTables(pool.shape(job)), Bell()
    tables.home[:] = 0
    submit = SCHEDULES[schedule](tables, job.settings.learning_rate_of, [bell], 0).submit
    actor = make_actor("nstep")
    statistics = actor.learn(actor.collect(), tables.gradient(0, 0))
    tables.handed_in[:] = tables.handed_in[0, 0]
    updates = iter(range(tables.shape.updates))
    per_round = tables.shape.updates // (ROUNDS + 1)

    def turns():
        for _ in range(per_round):
            update = next(updates)
            for index in range(tables.shape.actors):
                submit(index, update, statistics)

    timed(turns, rounds=ROUNDS, env_steps=per_round * tables.shape.actors * statistics.env_steps)
    bell.close()
    tables.close()


@pytest.mark.benchmark(group="6 evaluation")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_evaluation(algorithm, timed):
    settings = CONFIG.algorithm(algorithm)
    policy = settings.policy(ENVIRONMENT, settings.initial_parameters(ENVIRONMENT, 0))

    def play():
        return evaluate(policy, ENVIRONMENT, CONFIG.evaluate.episodes, 0, sampled=True).lengths.sum()

    timed(play, rounds=ROUNDS // 2, env_steps=int(play()))
