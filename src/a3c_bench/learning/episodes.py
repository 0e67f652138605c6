"""The training episodes that ended, found in rollouts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from a3c_bench.arrays import Flags, Floats

FINISHED = np.dtype([("rollout", np.int32), ("offset", np.int32), ("length", np.int32), ("return", np.float64)])
"""A finished training episode: the number of its actor's rollout, the env steps of that up to the episode's end, its
length, and its return."""
NONE_FINISHED = np.empty(0, FINISHED)
KEPT_ROWS = 8192
"""How much is kept before an actor tells of the episodes that ended."""


class EpisodeLog:
    """Finds the episodes that ended, over rollout borders and many rollouts at a time: one by one it would cost a tenth
    of training."""

    def __init__(self, steps: int, envs: int) -> None:
        shape = (max(1, KEPT_ROWS // (steps * envs)), steps, envs)
        self._rewards = np.zeros(shape, np.float32)
        self._counted, self._over = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
        self._returns, self._lengths = np.zeros(envs), np.zeros(envs, np.int64)
        self.rollouts_told, self._kept = 0, 0
        """Rollouts whose episodes were told of, and how many after them are kept."""

    @property
    def full(self) -> bool:
        """No further rollout can be kept before `finished` was called."""
        return self._kept == len(self._rewards)

    def keep(self, rewards: Floats, counted: Flags, over: Flags) -> None:
        """Keep what of a rollout concerns its episodes, each (steps, envs)."""
        self._rewards[self._kept], self._counted[self._kept], self._over[self._kept] = rewards, counted, over
        self._kept += 1

    def finished(self) -> NDArray[np.void]:
        """The episodes (`FINISHED`) that ended in the rollouts kept, in the order of their ends (time, environment)."""
        if not self._kept:
            return NONE_FINISHED
        rollouts, (steps, envs) = slice(self._kept), self._over.shape[1:]
        counted = self._counted[rollouts].reshape(-1, envs)
        totals = np.cumsum(self._rewards[rollouts].reshape(-1, envs), axis=0, dtype=np.float64)
        at_env, at_row = np.nonzero(self._over[rollouts].reshape(-1, envs).T)
        env_steps = np.cumsum(np.count_nonzero(counted.reshape(-1, steps, envs), axis=2), axis=1).ravel()
        finished = np.empty(len(at_row), FINISHED)
        finished["rollout"] = self.rollouts_told + at_row // steps
        finished["offset"] = env_steps[at_row]
        finished["length"], self._lengths = _by_episode(self._lengths + np.cumsum(counted, axis=0), at_env, at_row)
        finished["return"], self._returns = _by_episode(self._returns + totals, at_env, at_row)
        self.rollouts_told, self._kept = self.rollouts_told + self._kept, 0
        return finished[np.argsort(at_row, kind="stable")]


def _by_episode(
    totals: NDArray[Any], envs: NDArray[np.intp], steps: NDArray[np.intp]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """What of `totals` (steps, envs), which run on over episodes' ends, belongs to each episode that ended at
    (envs, steps), in the order of envs; and what to every environment's unfinished one."""
    at_end = totals[steps, envs]
    finished, unfinished = at_end.copy(), totals[-1].copy()
    finished[1:] -= at_end[:-1] * (envs[1:] == envs[:-1])
    # Of several ends of one environment the last stays.
    unfinished[envs] -= at_end
    return finished, unfinished
