"""The part of the learning curve that is shown while training runs."""

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CURVE_POINTS = 200
"""Of a whole training."""
SECONDS = 2.0
MOST_POINTS = 50
"""At once: they have to fit into one piece of a pipe."""

Point = tuple[int, float]
"""Env steps, and the mean return of the episodes since the point before."""


class Live:
    """Collects the returns that training tells of, and makes points of them every `SECONDS`."""

    def __init__(self, turns: int) -> None:
        """`turns`: of the whole training."""
        self._turns = turns
        self._returns: list[NDArray[np.float64]] = []
        self._start: int | None = None
        self._shown = self._now = (0, 0)
        """Turn and env steps up to which points were shown, and those of now."""
        self._due = 0.0

    def add(self, turn: int, env_steps: int, returns: NDArray[np.float64]) -> None:
        """What a `Watcher` is told."""
        if self._start is None:
            # Of a training that goes on from a checkpoint, what came before it is not shown live.
            self._start, self._due = env_steps, time.monotonic() + SECONDS
            self._shown = (turn, env_steps)
        elif env_steps > self._shown[1]:
            self._returns.append(returns)
        self._now = (turn, env_steps)

    def due(self) -> Sequence[Point]:
        """The points to show now; none when it is too early."""
        if time.monotonic() < self._due or not (count := sum(map(len, self._returns))):
            return []
        turns, env_steps = self._now[0] - self._shown[0], self._now[1]
        wanted = round(CURVE_POINTS * turns / self._turns)
        parts = np.array_split(np.concatenate(self._returns), min(max(1, wanted), MOST_POINTS, count))
        steps = np.linspace(self._shown[1], env_steps, len(parts) + 1)[1:]
        return [(int(step), float(np.mean(part))) for step, part in zip(steps, parts, strict=True)]

    def sent(self) -> None:
        """They are shown; else the next ones are of these episodes too."""
        self._shown, self._due = self._now, time.monotonic() + SECONDS
        self._returns.clear()

    def has_shown(self, env_steps: int) -> bool:
        """Whether the curve at `env_steps` was shown live."""
        return self._start is not None and self._start < env_steps <= self._shown[1]
