"""The search for an environment's preset: the highest return of the greedy policy after the preset's own budget.

Successive halving, as the search for the fastest defaults: candidates are drawn around nothing but `RANGES`, the first
is the preset as it is. None of the seeds is a published one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from a3c_bench.config import Config, parse_config
from a3c_bench.environments.make import describe
from a3c_bench.errors import BadInputError
from a3c_bench.evaluation import evaluate
from a3c_bench.evidence.speed.search import FIRST_SEED, Rung, halve
from a3c_bench.results.files import csv_bytes, write_all
from a3c_bench.seeding import Role, stream
from a3c_bench.training.alone import turns
from a3c_bench.training.worker import Job

RANGES: Mapping[str, Sequence[Any]] = {
    "envs": (2, 4, 8, 16, 32),
    "rollout_steps": (8, 16, 32, 64, 128, 256, 512),
    "learning_rate": (3e-4, 6e-4, 1e-3, 2e-3, 4e-3),
    "gamma": (0.9, 0.98, 0.99, 0.995, 0.999),
    "gae_lambda": (0.9, 0.95, 0.98),
    "value_weight": (0.25, 0.5),
    "entropy_weight": (0.0, 0.001, 0.005, 0.01),
    "initial_log_deviation": (-2.0, -1.2, 0.0),
    "max_gradient_norm": (0.5, 1.0),
    "normalize_advantages": (False, True),
    "normalize_observations": (False, True),
    "normalize_rewards": (False, True),
    "epochs": (2, 4, 10),
    "minibatches": (2, 4, 8, 16, 32),
    "hidden": ([64], [64, 64]),
}
"""Of these keys those that the algorithm's section has."""
EPISODES = 100
MOST_TRIES = 1000


@dataclass
class Candidate:
    """Hyper-parameters, and the greedy policy's mean return on every seed tried so far."""

    values: Mapping[str, Any]
    measured: list[float] = field(default_factory=list)

    @property
    def score(self) -> float:
        """The mean of them, the highest first."""
        return -float(np.mean(self.measured)) if self.measured else 0.0


def rungs(candidates: int) -> tuple[Rung, ...]:
    """So many candidates on one seed, a quarter of them on three, and two on ten."""
    return Rung(candidates, 1), Rung(max(candidates // 4, 2), 3), Rung(2, 10)


def run(config: Config, candidates: int) -> None:
    """Search for the config's first algorithm on its environment, and write all that reached the second round."""
    name = config.algorithms[0]
    rounds = rungs(candidates)
    tried = halve(config, describe(config.recipe), draw(config, candidates), rounds, final_return)
    path = Path("search") / f"{name}.csv"
    write_all({path: table(tried)})
    print(path.read_text(), end="")


def draw(config: Config, count: int) -> list[Candidate]:
    """The config's own values and others drawn from `RANGES`, `count` in all; those that contradict are left out."""
    generator, current = stream(FIRST_SEED, Role.SEARCH), config.algorithm(config.algorithms[0]).model_dump(mode="json")
    ranges = {key: values for key, values in RANGES.items() if key in current}
    drawn = [{key: current[key] for key in ranges}]
    for _ in range(MOST_TRIES):
        if len(drawn) == count:
            break
        values = {key: choices[int(generator.integers(len(choices)))] for key, choices in ranges.items()}
        if values not in drawn and makes_sense(config, values):
            drawn.append(values)
    return [Candidate(values) for values in drawn]


def makes_sense(config: Config, values: Mapping[str, Any]) -> bool:
    """Whether the first algorithm's section takes the values."""
    content = config.params()
    content[config.algorithms[0]] |= values
    try:
        parse_config(content)
    except BadInputError:
        return False
    return True


def final_return(training: Job) -> float:
    """The greedy policy's mean return after a whole training."""
    for turn in turns(training):
        model = turn.model
    policy = training.settings.policy(training.environment, model)
    return float(evaluate(policy, training.environment, EPISODES, training.seed, sampled=False).returns.mean())


def table(tried: Sequence[Candidate]) -> bytes:
    """The candidates as CSV, the best first."""
    figures: Mapping[str, Callable[[Sequence[float]], Any]] = {"seeds": len, "mean": np.mean, "worst": min, "best": max}
    rows = [[*one.values.values(), *(figure(one.measured) for figure in figures.values())] for one in tried]
    return csv_bytes([*tried[0].values, *figures], rows)
