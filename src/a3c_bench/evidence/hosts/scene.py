"""Three hosts that train together, and are struck."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from a3c_bench.config import Config
from a3c_bench.environments.make import describe
from a3c_bench.evidence.chaos.scene import require
from a3c_bench.evidence.hosts.network import Network, Process
from a3c_bench.evidence.watched import Watched
from a3c_bench.training.pool import shape
from a3c_bench.training.share import Share
from a3c_bench.training.worker import Job

HOSTS = 3
PATIENCE_SECONDS = 180.0
POLL_SECONDS = 0.001
AGAIN = "start again at turn"


class MissedError(Exception):
    """The training ended before it was struck."""


@dataclass
class Scene:
    """Hosts that train together. `chance` draws the moment, and what else a fault leaves open."""

    network: Network
    config: Config
    algorithm: str
    chance: random.Random
    head: int = 0
    """The host that leads."""
    turn: int = 0
    """At which the fault struck; 0: while the hosts met."""
    noticed_seconds: float | None = None
    """From the fault to the line that says it."""
    victim: int = field(init=False)
    """The host that is struck, where it is not the head."""

    def __post_init__(self) -> None:
        self.victim = self.chance.randrange(1, HOSTS)
        for number in range(1, HOSTS):
            self.network.join(number)
        self.lead(0)

    @property
    def turns(self) -> int:
        """Of the whole training."""
        return self.config.algorithm(self.algorithm).turns

    def lead(self, number: int) -> None:
        """Begin, or go on with, the training, with a host at its head."""
        self.head = number
        process = self.network.train_with(self.config.params(), self.algorithm, number=number)
        self.watched = Watched(shape_of(self.config, self.algorithm), lambda: process.pid)

    @property
    def leader(self) -> Process:
        """The head's process."""
        return self.network.processes[self.head]

    def wait_until(self, condition: Callable[[], Any]) -> None:
        """Raise `MissedError` where training ends before."""
        while not condition():
            if self.leader.poll() is not None:
                raise MissedError(self.network.said(self.head)[-200:])
            time.sleep(POLL_SECONDS)

    def wait_for_a_turn(self) -> None:
        """A random one, not among the first or the last."""
        aim = self.chance.randint(self.turns // 20, self.turns // 2)
        self.wait_until(lambda: self.watched.turn >= aim)
        self.turn = self.watched.turn

    def wait_for_the_line(self, said: str, number: int, before: int) -> None:
        """That the fault was noticed; before: the length of what the host had said until then."""
        start = time.monotonic()
        while said not in self.network.said(number)[before:]:
            require(time.monotonic() - start < PATIENCE_SECONDS, f"host {number} never said {said!r}")
            require(number != self.head or self.leader.poll() is None, f"it ended: {self.network.said(number)[-300:]}")
            time.sleep(POLL_SECONDS)

    def strike(self, how: Callable[[], object], said: str = AGAIN, witness: int = 0) -> None:
        """Do it, and measure how long it takes until a host says so."""
        before, start = len(self.network.said(witness)), time.monotonic()
        how()
        self.wait_for_the_line(said, witness, before)
        self.noticed_seconds = time.monotonic() - start

    def wait_since_the_strike(self, seconds: float) -> None:
        """Return so long after it."""
        time.sleep(max(0.0, seconds - (self.noticed_seconds or 0.0)))


def shape_of(config: Config, algorithm: str) -> Any:
    """Of the shared memory of a host."""
    job = Job(config, algorithm, 0, describe(config.recipe).with_packing())
    return shape(replace(job, share=Share(0, config.hosts)))
