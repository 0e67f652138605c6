"""`a3c-bench watch`: a window in which a trained policy plays."""

import gymnasium
import pygame

from a3c_bench.config import Config
from a3c_bench.environments.make import describe, make_shown
from a3c_bench.errors import BadInputError
from a3c_bench.evaluation import evaluation_start, play
from a3c_bench.results.files import Moment, film_path
from a3c_bench.results.models import load_policy


def run(config: Config, algorithm: str, seed: int, moment: Moment, episodes: int) -> None:
    """Play greedy episodes, the first from the evaluation's start; raises `BadInputError` without a screen."""
    policy = load_policy(config, algorithm, seed, describe(config.env), moment)
    try:
        environment = make_shown(config.env, "human")
        for episode in range(episodes):
            *_, total = play(policy, environment, evaluation_start(seed) + episode)
            print(f"{algorithm} seed {seed}, {moment}: episode {episode + 1}, return {total:g}", flush=True)
        environment.close()
    except (gymnasium.error.Error, pygame.error) as error:
        reason = " ".join(str(error).split())
        raise BadInputError(
            f"watch: no window can be opened ({reason}); {film_path(algorithm)} shows the same without a screen"
        ) from None
