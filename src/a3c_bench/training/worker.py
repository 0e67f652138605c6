"""The worker: one process that hosts some of the actors and runs the algorithm's loop for them."""

import math
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import numpy as np

from a3c_bench.algorithms.base import InOrder, Settings, Statistics
from a3c_bench.config import Config
from a3c_bench.environments.make import EnvironmentInfo, TimedEnvironment
from a3c_bench.errors import describe_error
from a3c_bench.processes import be_a_worker
from a3c_bench.training.crew import Crew
from a3c_bench.training.exchange.handoff import observe_one
from a3c_bench.training.exchange.memory import Bell, SharedTables
from a3c_bench.training.reporter import Reporter
from a3c_bench.training.share import Share
from a3c_bench.training.turns import SCHEDULES, Schedule

LONGEST_MESSAGE = 500


HoldUp = Callable[[int, int], None]
"""Is called with an actor's number and its update's, before their gradient is handed in."""
Disturbance = Callable[[int], AbstractContextManager[HoldUp]]
"""Makes that of a worker, by its number: how what must not change the bits gets in."""


def _undisturbed(worker: int) -> AbstractContextManager[HoldUp]:
    return nullcontext(_do_nothing)


def _do_nothing(actor: int, update: int) -> None:
    pass


@dataclass(frozen=True)
class Job:
    """What all workers of one training run are told."""

    config: Config
    algorithm: str
    """The name of its section."""
    seed: int
    environment: EnvironmentInfo
    disturbance: Disturbance = _undisturbed
    share: Share = field(default_factory=Share)

    @property
    def settings(self) -> Settings:
        """The algorithm's section of params."""
        return self.config.algorithm(self.algorithm)

    @property
    def actors(self) -> range:
        """Those of this host."""
        return self.share.actors(self.settings.actors)

    @property
    def workers(self) -> int:
        """Workers of this host that have an actor."""
        return min(self.config.workers, len(self.actors))


@dataclass
class TimeSplit:
    """Where a worker's time went, in seconds."""

    ready: float = 0.0
    """When the first rollout could start (a clock's value)."""
    environment: float = 0.0
    collecting: float = 0.0
    """Acting and the environment together."""
    learning: float = 0.0
    submitting: float = 0.0
    """Handing in gradients and applying them."""
    recording: float = 0.0
    """Keeping the learning curve, and checkpoints."""
    waiting: float = 0.0
    """Waiting for a snapshot, and applying others' gradients meanwhile."""
    cpu: float = 0.0
    """CPU seconds of all threads of the process, from its first rollout on."""


@dataclass(frozen=True)
class Done:
    """A worker's last message."""

    split: TimeSplit
    peak_memory_bytes: int


@dataclass(frozen=True)
class Failed:
    """A worker's last message when an exception ended it."""

    message: str
    traceback: str


class NonFiniteLossError(Exception):
    """A loss or a gradient was not finite: training on would only spread it."""


def run_worker(
    job: Job, worker: int, tables: SharedTables, bells: Sequence[Bell], channel: Connection, relay: Bell | None = None
) -> None:
    """The process's entry: run the loop and report how it ended."""
    be_a_worker()
    try:
        _work(job, worker, tables, bells, channel, relay)
    except (Exception, SystemExit) as error:  # an environment's own code may raise anything
        what = str(error) if isinstance(error, NonFiniteLossError) else describe_error(error)
        where = ", ".join([job.environment.name, *getattr(error, "__notes__", [])])
        with suppress(OSError):  # nobody is there to read it
            channel.send(Failed(f"{where}: {what}"[:LONGEST_MESSAGE], traceback.format_exc()))
        raise SystemExit(1) from None


def _work(
    job: Job, worker: int, tables: SharedTables, bells: Sequence[Bell], channel: Connection, relay: Bell | None
) -> None:
    split, reporter = TimeSplit(), Reporter(channel)
    schedule = SCHEDULES[job.config.schedule](tables, job.settings.learning_rate_of, bells, worker, relay)
    # What is not finite is told of in one line (`require_finite`), without numpy's warnings before it.
    with np.errstate(all="ignore"), _Threads(job.config) as in_order, job.disturbance(worker) as hold_up:
        make = job.settings.actor_maker(job.environment, job.seed, in_order)
        crew = Crew(
            worker, tables, bells, lambda index: make(index, tables.snapshots[index]), reporter, schedule.help_out
        )
        split.ready, cpu_start = time.perf_counter(), time.process_time()
        run_actors(crew, tables, schedule, reporter, split, hold_up)
        split.cpu = time.process_time() - cpu_start
    split.environment = TimedEnvironment.seconds
    reporter.flush()
    channel.send(Done(split, _peak_memory()))


def run_actors(
    crew: Crew, tables: SharedTables, schedule: Schedule, reporter: Reporter, split: TimeSplit, hold_up: HoldUp
) -> None:
    """The algorithm: every actor in turn collects a rollout on its snapshot, learns from it, and submits."""
    clock = time.perf_counter
    start = clock()
    while (chosen := crew.next()) is not None:
        index, actor = chosen
        update = int(tables.submitted[index])
        ready = clock()
        with told_where(index, update, tables):
            rollout = actor.collect()
            collected = clock()
            statistics = actor.update(rollout, tables.gradient(index, update))
        require_finite(statistics, index, update, tables)
        learned = clock()
        hold_up(index, update)
        schedule.submit(index, update, statistics)
        submitted = clock()
        actor.record()
        reporter.add(index, actor.finished_episodes())
        if observe_one(tables.keep_after, 0) == update:
            crew.keep(index)
        recorded = clock()
        split.waiting += ready - start
        split.collecting += collected - ready
        split.learning += learned - collected
        split.submitting += submitted - learned
        split.recording += recorded - submitted
        start = recorded
    for index, actor in crew.present():
        reporter.add(index, actor.finished_episodes(everything=True))


@contextmanager
def told_where(index: int, update: int, tables: SharedTables) -> Iterator[None]:
    """What somebody's own code raises, an environment's or a network's, is noted with where in training that was."""
    try:
        yield
    except (Exception, SystemExit) as error:
        error.add_note(f"actor {index} in its update {update}, {env_steps(tables):,} env steps into training")
        raise


def env_steps(tables: SharedTables) -> int:
    """Of all turns that were taken."""
    return int(np.sum(tables.turns["env_steps"][: observe_one(tables.turn, 0)]))


def require_finite(statistics: Statistics, actor: int, update: int, tables: SharedTables) -> None:
    """Raise `NonFiniteLossError` unless everything recorded of an update is finite."""
    if not math.isfinite(sum(statistics.losses) + statistics.gradient_norm):
        raise NonFiniteLossError(
            f"the loss of actor {actor} is not finite in its update {update}, {env_steps(tables):,} env steps into "
            f"training: {statistics.losses}, gradient norm {statistics.gradient_norm}; a smaller learning rate may help"
        )


class _Threads:
    """The `threads` of a worker, which share out fixed parts of a rollout: the kernels run side by side."""

    def __init__(self, config: Config) -> None:
        self._executor = ThreadPoolExecutor(config.threads) if config.threads > 1 else None

    def __enter__(self) -> InOrder:
        return self._executor.map if self._executor else map

    def __exit__(self, *ended: object) -> None:
        if self._executor:
            self._executor.shutdown()


def _peak_memory() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
