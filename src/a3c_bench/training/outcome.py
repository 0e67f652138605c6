"""What a training run leaves behind."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from a3c_bench.arrays import Floats
from a3c_bench.training.worker import TimeSplit


@dataclass(frozen=True)
class Outcome:
    """What a training run leaves behind, in memory."""

    parameters: Floats
    turns: NDArray[np.void]
    """One row (`TURN`) per turn, in the order in which they were taken."""
    episodes: NDArray[np.void]
    """The finished training episodes (`EPISODE`), in the order of their turns."""
    episode_env_steps: NDArray[np.int64]
    """Env steps of all actors at the end of each of those episodes."""
    digests: dict[int, Floats]
    """The model after evenly spaced turns, by its version."""
    exit_codes: list[int | None]
    splits: list[TimeSplit]
    peak_memory_bytes: list[int]
    started: float
    """When the first worker was started (a clock's value, like the turns' `time`)."""
    turns_before: int = 0
    """Turns of the checkpoint from which this run went on: they were not timed by its clock."""
    updates_per_rollout: int = 1
    """Updates that every actor made of each rollout."""

    @property
    def env_steps(self) -> int:
        """Env steps of the whole training."""
        return int(np.sum(self.turns["env_steps"]))

    @property
    def seconds(self) -> float:
        """From the first worker's start to the last turn; 0 when there was none left to take."""
        return float(self.turns["time"][-1] - self.started) if self.turns_before < len(self.turns) else 0.0

    @property
    def env_steps_per_second(self) -> float:
        """Of the turns that were taken in this run."""
        return float(np.sum(self.turns["env_steps"][self.turns_before :]) / (self.seconds or 1.0))
