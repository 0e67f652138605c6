"""One training run in a fresh process, under a condition that must not change its result.

`python -m a3c_bench.evidence.reproducibility.trial` reads a `Trial` as JSON from its standard input and prints a
`Result`.
"""

import functools
import hashlib
import json
import multiprocessing
import os
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from a3c_bench.errors import TrainingError
from a3c_bench.math_threads import limit_math_threads

if TYPE_CHECKING:
    from a3c_bench.config import Config
    from a3c_bench.environments.make import EnvironmentInfo
    from a3c_bench.evidence.reproducibility.disturbance import Disturbance
    from a3c_bench.training.checkpoint import Checkpoint
    from a3c_bench.training.outcome import Outcome


@dataclass(frozen=True)
class Trial:
    """What to train, and how the run is disturbed."""

    params: dict[str, Any]
    algorithm: str
    seed: int = 0
    start_method: str = "forkserver"
    executable: str | None = None
    """The program that new processes run in place of this Python."""
    delayed: bool = False
    """Hold up gradients at random before they are handed in."""
    slow: int | None = None
    """The worker that is held up at every gradient."""
    one_core: bool = False
    kills: int = 0
    """So often all workers are killed when the next checkpoint is there, and new ones go on from it."""


@dataclass(frozen=True)
class Result:
    """What a run gave."""

    sha256: str
    """Of the model, the turns, the learning curve, the digests and the evaluation."""
    env_steps: int
    env_steps_per_second: float
    ready_order: list[int]
    """The turns in the order in which their gradients became ready."""
    training_return: float
    """Mean of the last training episodes."""
    greedy_return: float
    sampled_return: float
    episode_env_steps: list[int]
    """When each training episode ended, and its return: the learning curve."""
    episode_returns: list[float]


def main() -> None:
    """Run the trial."""
    trial = Trial(**json.load(sys.stdin))
    limit_math_threads()
    from a3c_bench.config import parse_config

    config = parse_config(trial.params)
    if trial.one_core:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if trial.executable:
        multiprocessing.set_executable(trial.executable)
    print(json.dumps(asdict(run(config, trial))))


def run(config: "Config", trial: Trial) -> Result:
    """Train and evaluate."""
    from a3c_bench.environments.make import describe
    from a3c_bench.evidence.reproducibility.disturbance import Disturbance, ready_order
    from a3c_bench.stages.profile import as_sample
    from a3c_bench.stats import WINDOW

    environment = describe(config.recipe)
    with tempfile.TemporaryDirectory(prefix="a3c-bench-") as folder:
        outcome = train(config, trial, environment, Disturbance(Path(folder), trial.delayed, trial.slow))
        order = ready_order(Path(folder), config.algorithm(trial.algorithm).actors)
    evaluations = _evaluate(config, trial, environment, outcome)
    returns = outcome.episodes["return"]
    return Result(
        sha256=fingerprint(outcome, evaluations),
        env_steps=outcome.env_steps,
        env_steps_per_second=as_sample(outcome, False).rate,
        ready_order=order,
        training_return=float(returns[-WINDOW:].mean()) if len(returns) else 0.0,
        greedy_return=float(evaluations[0].mean()),
        sampled_return=float(evaluations[1].mean()),
        episode_env_steps=outcome.episode_env_steps.tolist(),
        episode_returns=returns.tolist(),
    )


class EndedOnPurposeError(Exception):
    """The training was to end here; its workers are killed."""


def train(config: "Config", trial: Trial, environment: "EnvironmentInfo", disturbance: "Disturbance") -> "Outcome":
    """Train, in one go or in several."""
    from a3c_bench.training import pool

    other = trial.start_method != "forkserver"
    whole = functools.partial(
        pool.train,
        config,
        trial.algorithm,
        trial.seed,
        environment=environment,
        disturbance=disturbance,
        context=multiprocessing.get_context(trial.start_method) if other else None,
    )
    taken: list[Checkpoint] = []

    def end(checkpoint: "Checkpoint") -> None:
        taken.append(checkpoint)
        raise EndedOnPurposeError

    for kill in range(trial.kills):
        with suppress(EndedOnPurposeError):
            whole(keep=end, start=taken[-1] if taken else None)
        if len(taken) == kill:
            raise TrainingError(f"it ended before there was checkpoint {kill + 1} to go on from")
    return whole(start=taken[-1] if taken else None)


def fingerprint(outcome: "Outcome", evaluations: list[Any]) -> str:
    """A hash of everything that a result file is made of."""
    import numpy as np
    from numpy.lib.recfunctions import repack_fields

    names = [name for name in outcome.turns.dtype.names or () if name != "time"]
    arrays = [
        outcome.parameters,
        repack_fields(outcome.turns[names]),
        outcome.episodes,
        outcome.episode_env_steps,
        *outcome.digests.values(),
        *evaluations,
    ]
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _evaluate(config: "Config", trial: Trial, environment: "EnvironmentInfo", outcome: "Outcome") -> list[Any]:
    from a3c_bench.evaluation import evaluate

    policy = config.algorithm(trial.algorithm).policy(environment, outcome.parameters)
    episodes = config.evaluate.episodes
    return [evaluate(policy, environment, episodes, trial.seed, sampled).returns for sampled in (False, True)]


if __name__ == "__main__":
    main()
