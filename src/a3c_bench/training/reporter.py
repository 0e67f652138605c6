"""What a worker tells the main process while it trains: the episodes that ended; and where those belong."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray

from a3c_bench.learning.episodes import FINISHED

EPISODE = np.dtype([("actor", np.int32), *FINISHED.descr])
"""A finished training episode (`FINISHED`) and whose it was."""
REPORT_SECONDS = 0.25


@dataclass(frozen=True)
class Report:
    """What a worker tells the main process: the episodes that ended since its last report."""

    episodes: NDArray[np.void]


@dataclass
class Reporter:
    """Collects finished episodes and sends them every now and then, so that no step waits for the main process."""

    channel: Connection
    episodes: dict[int, list[NDArray[np.void]]] = field(default_factory=dict)
    """What was not sent yet, by actor."""
    due: float = field(default_factory=lambda: time.monotonic() + REPORT_SECONDS)

    def add(self, actor: int, finished: NDArray[np.void]) -> None:
        """Keep the episodes (`FINISHED`) of an actor."""
        if len(finished):
            episodes = np.empty(len(finished), EPISODE)
            episodes["actor"] = actor
            for name in FINISHED.names or ():
                episodes[name] = finished[name]
            self.take_over(actor, [episodes])
        if time.monotonic() > self.due:
            self.flush()

    def flush(self) -> None:
        """Send what was kept."""
        if self.episodes:
            self.channel.send(Report(np.concatenate([part for parts in self.episodes.values() for part in parts])))
            self.episodes = {}
        self.due = time.monotonic() + REPORT_SECONDS

    def unsent(self, actor: int) -> Sequence[NDArray[np.void]]:
        """What was kept of an actor."""
        return self.episodes.get(actor, ())

    def leave(self, actor: int) -> None:
        """What was kept of an actor is sent by another worker, before what comes after it."""
        self.episodes.pop(actor, None)

    def take_over(self, actor: int, episodes: Sequence[NDArray[np.void]]) -> None:
        """Keep what another worker left."""
        if episodes:
            self.episodes.setdefault(actor, []).extend(episodes)


def place_episodes(
    turns: NDArray[np.void], episodes: NDArray[np.void], actors: int, updates_per_rollout: int = 1
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """The order of `episodes` by turn, and the env steps of all actors at the end of each, in that order.

    A rollout is placed where its first update is.
    """
    turn_of = np.empty(len(turns), np.int64)
    turn_of[turns["update"].astype(np.int64) * actors + turns["actor"]] = np.arange(len(turns))
    before = np.cumsum(turns["env_steps"]) - turns["env_steps"]
    turn = turn_of[episodes["rollout"].astype(np.int64) * updates_per_rollout * actors + episodes["actor"]]
    # Stable: episodes of one rollout come in the order of their end already.
    order = np.argsort(turn, kind="stable")
    return order, before[turn[order]] + episodes["offset"][order]
