"""Timings of the parts, for `make bench`. Each does a fixed amount of work and says how many env steps that was."""

import numpy as np
import pytest
from conftest import ROOT

from a3c_bench.agent.actor import actor_maker, initial_parameters, make_layout
from a3c_bench.agent.environments import describe
from a3c_bench.agent.optimizer import Adam
from a3c_bench.config import load_config
from a3c_bench.parallel import pool

CONFIG = load_config(ROOT / "params.yaml")
CARTPOLE = describe("CartPole-v1")


@pytest.fixture(params=["nstep", "episodic"])
def actor(request):
    settings = CONFIG.algorithm(request.param)
    layout = make_layout(settings, CARTPOLE)
    return actor_maker(CONFIG, request.param, CARTPOLE, 0)(0, initial_parameters(settings, layout, 0)), layout


@pytest.mark.benchmark(group="rollout")
def test_collect(actor, benchmark):
    actor, _ = actor
    benchmark.extra_info["env_steps"] = benchmark(actor.collect).env_steps


@pytest.mark.benchmark(group="gradient")
def test_learn(actor, benchmark):
    actor, layout = actor
    rollout, gradient = actor.collect(), np.empty(layout.size, np.float32)
    benchmark.extra_info["env_steps"] = benchmark(actor.learn, rollout, gradient).env_steps


@pytest.mark.benchmark(group="update")
def test_adam(benchmark):
    size = make_layout(CONFIG.nstep, CARTPOLE).size
    zeros = [np.zeros(size, np.float32) for _ in range(4)]
    benchmark(Adam(zeros[0], zeros[1], np.zeros(1, np.int64)).apply, zeros[2], zeros[3], 1e-3)


@pytest.mark.benchmark(group="training", min_rounds=3)
@pytest.mark.parametrize("schedule", ["ordered", "hogwild"])
@pytest.mark.parametrize("workers", [1, 2])
def test_small_training(schedule, workers, benchmark):
    steps = CONFIG.nstep.model_copy(update={"total_steps": 100_000})
    config = CONFIG.model_copy(update={"schedule": schedule, "workers": workers, "nstep": steps})
    outcome = benchmark(pool.train, config, "nstep", 0)
    benchmark.extra_info.update(env_steps=outcome.env_steps, workers=workers, threads=1)
