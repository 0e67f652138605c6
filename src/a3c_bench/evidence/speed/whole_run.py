"""A whole textbook run: as many episodes as the textbook's algorithm plays by the params, by either program."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np

from a3c_bench.arrays import Doubles
from a3c_bench.config import Config
from a3c_bench.environments.make import EnvironmentInfo
from a3c_bench.errors import TrainingError
from a3c_bench.math_threads import without_limit
from a3c_bench.stages.profile import as_sample
from a3c_bench.training import pool

PAUSE_SECONDS = 45.0
SEED = 0


@dataclass(frozen=True)
class WholeRun:
    """What the two programs did: env steps per second, and the mean length of their episodes."""

    rates: Doubles
    """Of ours, (runs,)."""
    episode_steps: float
    textbook_rate: float
    textbook_episode_steps: float


def compare(config: Config, algorithm: str, environment: EnvironmentInfo, processes: int) -> WholeRun:
    """Run the textbook loop once, and the algorithm again and again in pauses of it."""
    episodes = config.algorithm(algorithm).textbook_episodes
    assert episodes, "it is the textbook's own"
    command = [sys.executable, "-m", "a3c_bench.textbook", config.env, str(processes), str(episodes), str(SEED)]
    outcomes, paused = [], 0.0
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True, env=without_limit(os.environ)
    ) as textbook:
        try:
            while not _ended(textbook):
                start = time.perf_counter()
                os.killpg(textbook.pid, signal.SIGSTOP)
                outcomes.append(pool.train(config, algorithm, SEED, environment=environment))
                os.killpg(textbook.pid, signal.SIGCONT)
                paused += time.perf_counter() - start
        except BaseException:
            os.killpg(textbook.pid, signal.SIGKILL)
            raise
        assert textbook.stdout is not None
        printed = textbook.stdout.read()
    if textbook.returncode or not outcomes:
        raise TrainingError(f"the textbook loop ended with exit code {textbook.returncode} after {paused:.0f} s")
    result = json.loads(printed)
    return WholeRun(
        np.array([as_sample(outcome, False).rate for outcome in outcomes]),
        outcomes[0].env_steps / episodes,
        result["env_steps"] / (result["seconds"] - paused),
        result["env_steps"] / episodes,
    )


def _ended(process: "subprocess.Popen[str]") -> bool:
    try:
        process.wait(PAUSE_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True
