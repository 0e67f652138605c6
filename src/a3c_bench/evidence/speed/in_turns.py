"""Comparing the rates of programs that are alive at once: one of them runs while the others are stopped.

In turns of a fraction of a second: a machine whose speed changes by the minute changes it for all of them.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ctypes import Array, c_longlong
from dataclasses import dataclass
from typing import Any

import numpy as np

from a3c_bench.arrays import Doubles
from a3c_bench.config import Config
from a3c_bench.environments.make import describe
from a3c_bench.errors import TrainingError
from a3c_bench.processes import process_context
from a3c_bench.sections import MOST_TURNS
from a3c_bench.seeding import Role, stream
from a3c_bench.training.pool import Pool
from a3c_bench.training.worker import Job

SLICE_SECONDS, SETTLING_SECONDS = 0.08, 0.01
# More than is ever trained here.
UPDATES = 100_000


@dataclass(frozen=True)
class Contestant:
    """A program that has begun, and is stopped."""

    processes: Sequence[int]
    env_steps: Callable[[], int]
    """What it has done so far."""
    tend: Callable[[], object] = lambda: None
    """Called towards the end of each of its slices, while it runs: what it is saying it can say to the end."""
    meanwhile: Callable[[float], object] = time.sleep
    """What is done for so many seconds while it runs."""

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes."""
        for process in self.processes:
            os.kill(process, number)


def rates_in_turns(
    contestants: Sequence[Contestant],
    slices: int,
    show: Callable[[int], None] = lambda done: None,
    seconds: float = SLICE_SECONDS,
) -> Doubles:
    """Env steps per second (slices, contestants), in a random order for each slice of so many seconds."""
    order = stream(0, Role.PROFILE)
    rates = np.empty((slices, len(contestants)))
    for number, row in enumerate(rates):
        for index in order.permutation(len(contestants)):
            row[index] = _slice(contestants[index], seconds)
        show(number + 1)
    return rates


def _slice(contestant: Contestant, seconds: float) -> float:
    contestant.signal(signal.SIGCONT)
    time.sleep(SETTLING_SECONDS)
    before, start = contestant.env_steps(), time.perf_counter()
    contestant.meanwhile(seconds)
    after, end = contestant.env_steps(), time.perf_counter()
    contestant.tend()
    contestant.signal(signal.SIGSTOP)
    return (after - before) / (end - start)


def endless(config: Config, algorithm: str) -> Config:
    """The params with more updates than are ever made here."""
    settings = config.algorithm(algorithm)
    per_rollout = settings.updates_per_rollout
    most = MOST_TURNS // settings.actors // per_rollout * per_rollout
    return config.with_algorithm(algorithm, settings.with_budget(min(UPDATES, most)))


Meanwhile = Callable[[Pool, float], object]
"""What is done with a training for so many seconds while it runs."""


@contextmanager
def training(
    config: Config,
    algorithm: str,
    meanwhile: Meanwhile = lambda pool, seconds: time.sleep(seconds),
    **changes: Any,
) -> Iterator[Contestant]:
    """A training without an end, with `changes` of the params' top-level keys."""
    begun = 4 * config.algorithm(algorithm).actors
    with Pool(Job(endless(config.changed(**changes), algorithm), algorithm, 0, describe(config.recipe))) as pool:
        while int(pool.tables.turn[0]) < begun:
            pool.receive(SETTLING_SECONDS)
        contestant = Contestant(
            [member.process.pid or 0 for member in pool.members],
            lambda: int(np.sum(pool.tables.turns["env_steps"][: int(pool.tables.turn[0])])),
            lambda: pool.receive(0),
            lambda seconds: meanwhile(pool, seconds),
        )
        contestant.signal(signal.SIGSTOP)
        yield contestant


Work = Callable[["Array[c_longlong]", int, *tuple[Any, ...]], None]
"""Works for ever, counting env steps at its place of an array; what follows are its arguments."""


@contextmanager
def counting(work: Work, processes: int, *arguments: Any) -> Iterator[Contestant]:
    """Processes that do `work`, each at its own place of one array of counts."""
    context = process_context()
    counts = context.RawArray(c_longlong, processes)
    members = [
        context.Process(target=work, args=(counts, place, *arguments), daemon=True) for place in range(processes)
    ]
    try:
        for member in members:
            member.start()
        while min(counts) == 0:
            if not all(member.is_alive() for member in members):
                raise TrainingError(f"a process of {work.__name__} ended")
            time.sleep(SETTLING_SECONDS)
        contestant = Contestant([member.pid or 0 for member in members], lambda: sum(counts))
        contestant.signal(signal.SIGSTOP)
        yield contestant
    finally:
        for member in members:
            member.kill()
            member.join()
