"""Stage `inputs` of the suite: all that the results of an environment's and an algorithm's cells depend on.

That is the resolved params, and what the code makes of them: the bits of a short training and of its evaluation. It
sees no change of the code that shows later in a training only.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from a3c_bench import preset
from a3c_bench.config import Config
from a3c_bench.environments.make import describe
from a3c_bench.evaluation import evaluate
from a3c_bench.results.files import json_bytes, sha256, write_all
from a3c_bench.training.alone import turns
from a3c_bench.training.worker import Job

FOLDER = Path("inputs")
SEED = 900
"""No cell has it."""
ENV_STEPS, ACTORS, EPISODES = 20_000, 2, 2
"""Of the short training, and of its evaluation: with few actors its environments see the end of an episode."""


def run(config: Config, algorithm: str) -> None:
    """Train and evaluate for some seconds, and write params and hashes."""
    environment, settings = describe(config.recipe), config.algorithm(algorithm)
    few = config.with_algorithm(algorithm, settings.changed(actors=min(ACTORS, settings.actors)))
    env_steps = 0
    for turn in turns(Job(few, algorithm, SEED, environment)):
        env_steps += turn.env_steps
        if env_steps >= ENV_STEPS:
            break
    policy = settings.policy(environment, turn.model)
    played = [evaluate(policy, environment, EPISODES, SEED, sampled) for sampled in (False, True)]
    content = {
        "environment": asdict(config.recipe),
        "schedule": config.schedule,
        "settings": own(settings.model_dump(mode="json"), algorithm),
        "model": sha256(turn.model.tobytes()),
        "returns": [episodes.returns.tolist() for episodes in played],
    }
    write_all({FOLDER / f"{algorithm}.json": json_bytes(content)})


def own(settings: Mapping[str, Any], algorithm: str) -> dict[str, Any]:
    """What differs from the defaults: a key that is new, and changes nothing by default, makes no cell run again."""
    defaults = preset.defaults()[algorithm]
    return {key: value for key, value in settings.items() if value != defaults.get(key)}
