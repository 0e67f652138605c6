"""The training episodes that ended, found in rollouts."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a3c_bench.arrays import Flags, Floats
from a3c_bench.kernels.library import prepare

FINISHED = np.dtype([("rollout", np.int32), ("offset", np.int32), ("length", np.int32), ("return", np.float64)])
"""A finished training episode: the number of its actor's rollout, the env steps of that up to the episode's end, its
length, and its return."""
NONE_FINISHED = np.empty(0, FINISHED)
KEPT_ROWS = 8192
"""How much is kept before an actor tells of the episodes that ended."""


class EpisodeLog:
    """Finds the episodes that ended in rollouts of (steps, envs), over rollout borders too."""

    def __init__(self, steps: int, envs: int) -> None:
        self._rows, self._rollouts = steps * envs, max(1, KEPT_ROWS // (steps * envs))
        self._totals, self._lengths = np.zeros(envs), np.zeros(envs, np.int64)
        self._finished, self._written = self._room(), 0
        self.rollouts_told, self._kept = 0, 0
        """Rollouts whose episodes were told of, and how many after them were taken up."""

    def _room(self) -> NDArray[np.void]:
        # An episode may end in every row.
        return np.empty(self._rollouts * self._rows, FINISHED)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_finished": self._finished[: self._written]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._finished = self._room()
        self._finished[: self._written] = state["_finished"]

    @property
    def full(self) -> bool:
        """No further rollout can be taken up before `finished` was called."""
        return self._kept == self._rollouts

    def recorder(self, rewards: Floats, counted: Flags, terminated: Flags, truncated: Flags) -> Callable[[], None]:
        """Takes up the rollout that lies in these arrays, (steps, envs) each, when it is called."""
        rollout = (*rewards.shape, rewards, counted, terminated, truncated)
        kernel = prepare("log_episodes", *rollout, self._totals, self._lengths, self._finished.view(np.uint8))

        def record() -> None:
            assert not self.full, "nobody has asked for what ended"
            self._written = kernel(self.rollouts_told + self._kept, self._written)
            self._kept += 1

        return record

    def finished(self) -> NDArray[np.void]:
        """The episodes (`FINISHED`) that ended in the rollouts taken up since, in the order of their ends."""
        finished = self._finished[: self._written].copy()
        self.rollouts_told, self._kept, self._written = self.rollouts_told + self._kept, 0, 0
        return finished
