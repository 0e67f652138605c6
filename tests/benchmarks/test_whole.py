"""What a user waits for: the start of the pool, a whole small training; and the textbook loop as the yardstick."""

import pytest
from conftest import ROOT

from a3c_bench.config import load_config
from a3c_bench.environments.make import describe
from a3c_bench.training import pool

CONFIG = load_config(ROOT / "params.yaml")
ENVIRONMENT = describe(CONFIG.env)


def train(algorithm, updates, **changes):
    """A training of so many updates of each actor."""
    config = CONFIG.with_budget(updates).model_copy(update=changes)
    return pool.train(config, algorithm, 0, environment=ENVIRONMENT).env_steps


@pytest.mark.benchmark(group="7 start of the pool")
@pytest.mark.parametrize("workers", [1, 2])
def test_pool_start(workers, timed):
    """From nothing but the fork server to the end of one rollout of every actor."""
    env_steps = train("nstep", 1, workers=workers)
    timed(train, "nstep", 1, rounds=7, env_steps=env_steps, workers=workers)


@pytest.mark.benchmark(group="8 training")
@pytest.mark.parametrize("schedule", ["ordered", "hogwild"])
@pytest.mark.parametrize("workers", [1, 2])
def test_training(schedule, workers, timed):
    def run():
        return train("nstep", 12, schedule=schedule, workers=workers)

    timed(run, rounds=5, env_steps=run(), workers=workers)


@pytest.mark.benchmark(group="8 training")
def test_training_episodic(timed):
    def run():
        return train("episodic", 6, workers=2)

    timed(run, rounds=5, env_steps=run(), workers=2)


@pytest.mark.benchmark(group="9 textbook loop, the yardstick")
def test_textbook(timed):
    import torch

    from a3c_bench import textbook

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = textbook.ActorCritic()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0)
    environment = textbook.gymnasium.make(CONFIG.env, disable_env_checker=True)

    def again():
        torch.manual_seed(0)
        environment.reset(seed=0)

    def episodes():
        steps = 0
        for _ in range(2):
            episode = textbook.play_episode(environment, model)
            textbook.learn(model, optimizer, episode)
            steps += len(episode.rewards)
        return steps

    again()
    env_steps = episodes()
    timed(episodes, setup=again, rounds=7, env_steps=env_steps)
