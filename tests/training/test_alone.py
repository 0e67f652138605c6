"""The `ordered` schedule by its definition, beside what the pool computes."""

import numpy as np
import pytest
from conftest import small_config

from a3c_bench.environments.make import describe
from a3c_bench.training import pool
from a3c_bench.training.alone import turns
from a3c_bench.training.worker import Job

CARTPOLE = describe("CartPole-v1")


@pytest.mark.parametrize("algorithm", ["nstep", "episodic", "ppo"])
@pytest.mark.parametrize("statistics", ["shared", "own"])
def test_the_pool_computes_what_the_definition_says(algorithm, statistics):
    config = small_config(workers=2, **{algorithm: {"adam_statistics": statistics}})
    outcome = pool.train(config, algorithm, 0)
    alone = [
        (turn.env_steps, turn.episodes["return"].tolist(), turn.model.copy())
        for turn in turns(Job(config, algorithm, 0, CARTPOLE))
    ]
    assert [steps for steps, _, _ in alone] == outcome.turns["env_steps"].tolist()
    assert [value for _, returns, _ in alone for value in returns] == outcome.episodes["return"].tolist()
    assert len(outcome.digests) == 20
    for version, model in outcome.digests.items():
        assert np.array_equal(alone[version - 1][2], model)
