"""The part of the learning curve that is shown while training runs."""

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from a3c_bench.arrays import Doubles
from a3c_bench.stats import WINDOW
from a3c_bench.tracking.curves import Metric, points, spacing

SECONDS = 2.0
MOST_POINTS = 50
"""At once: they have to fit into one piece of a pipe."""


class Live:
    """Collects the returns that training tells of, and makes points of the learning curve of them every `SECONDS`."""

    def __init__(self, turns: int) -> None:
        """`turns`: of the whole training."""
        self._turns = turns
        self._turn = 0
        self._env_steps: NDArray[np.int64] = np.empty(0, np.int64)
        self._returns: Doubles = np.empty(0)
        """Of the episodes that the points still to be shown are made of, and where each of them ended."""
        self._reached: int | None = None
        self._due = 0.0
        self._next: Sequence[Metric] = ()
        self._shown: list[int] = [0]

    def add(self, turn: int, env_steps: int, returns: Doubles) -> None:
        """What a `Watcher` is told."""
        if self._reached is None:
            # Of a training that goes on from a checkpoint, what came before it is not shown live.
            self._shown, self._due = [env_steps], time.monotonic() + SECONDS
        elif env_steps > self._reached:
            # When each of them ended is not told: evenly is close enough.
            ended = np.linspace(self._reached, env_steps, len(returns) + 1)[1:].astype(np.int64)
            self._env_steps = np.concatenate((self._env_steps, ended))
            self._returns = np.concatenate((self._returns, returns))
        else:  # all workers began again before that
            return
        self._turn, self._reached = turn, env_steps

    def due(self) -> Sequence[Metric]:
        """The points to show now; none when it is too early."""
        if self._reached is None or time.monotonic() < self._due:
            return ()
        self._due = time.monotonic() + SECONDS
        size, shown = spacing(self._reached * self._turns / max(1, self._turn)), self._shown[-1]
        grid = np.arange(shown - shown % size + size, self._reached + 1, size)
        self._next = points(self._env_steps, self._returns, grid)[:MOST_POINTS]
        return self._next

    def sent(self) -> None:
        """They are shown; else the next ones are of these episodes too."""
        self._shown += [step for _, _, step in self._next]
        kept = max(0, int(np.searchsorted(self._env_steps, self._shown[-1], side="right")) - WINDOW)
        self._env_steps, self._returns = self._env_steps[kept:], self._returns[kept:]

    def has_shown(self, env_steps: int) -> bool:
        """Whether the curve's point at `env_steps` was shown live."""
        return env_steps in self._shown[1:]
