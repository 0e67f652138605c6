"""The pool: starts the workers of one training run, watches them, and stops them all when one is lost."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from a3c_bench.algorithms.base import Actor, Settings
from a3c_bench.config import Config
from a3c_bench.environments.make import EnvironmentInfo, describe
from a3c_bench.environments.packing import room
from a3c_bench.errors import LostWorkerError, TrainingError, say
from a3c_bench.processes import describe_exit, process_context
from a3c_bench.training.checkpoint import Checkpoint, ask, complete, take
from a3c_bench.training.company import Company, LateHostError, OtherHost
from a3c_bench.training.crew import pack
from a3c_bench.training.exchange.handoff import observe_one
from a3c_bench.training.exchange.memory import ELSEWHERE, Bell, Shape, SharedTables
from a3c_bench.training.head import Head
from a3c_bench.training.needs import require_room
from a3c_bench.training.needs import shape as shape_of
from a3c_bench.training.outcome import Outcome
from a3c_bench.training.relay import Parted, Through, run_relay
from a3c_bench.training.reporter import EPISODE, Report, place_episodes
from a3c_bench.training.stall import Stall
from a3c_bench.training.worker import Disturbance, Done, Failed, Job, run_worker

POLL_SECONDS = 0.2
PIPE_BYTES = 1 << 20
KEEP_SECONDS = 1.0
"""A checkpoint is taken as often as this, at least; one that is not written to disk costs next to nothing."""
KEEP_SHARE = 0.02
"""The share of the main process's time that taking checkpoints may cost, however large they are."""
NO_CHECKPOINTS = (
    "no checkpoints: its state cannot be packed, or not into the room that there is; "
    "if this training is interrupted, it starts over"
)
SPARE, SPARE_BYTES = 2, 1 << 22
"""Room for so many times the size of an actor's packed state at the start, and so much more: a small one grows most.
What is not used takes no memory."""


class Watcher(Protocol):
    """Is told how far training is, a few times a second."""

    def __call__(self, turn: int, env_steps: int, returns: NDArray[np.float64]) -> None:
        """`returns`: those of the episodes that were reported last."""
        ...


def _ignore(turn: int, env_steps: int, returns: NDArray[np.float64]) -> None:
    pass


Keep = Callable[[Checkpoint], None]
"""Is given every checkpoint."""


def train(
    config: Config,
    algorithm: str,
    seed: int,
    watcher: Watcher = _ignore,
    environment: EnvironmentInfo | None = None,
    start: Checkpoint | None = None,
    keep: Keep | None = None,
    max_restarts: int = 0,
    disturbance: Disturbance | None = None,
    context: BaseContext | None = None,
    head: Head | None = None,
) -> Outcome:
    """Train one model with `config.workers` processes, from `start` on if it is given.

    A lost worker may have died anywhere, in the middle of an update too: all begin again where the last checkpoint was.
    Raises `LostWorkerError` when that has happened `max_restarts` times already. No process outlives the call, however
    it ends. environment: as `describe` gives it, if it is known. context: how processes are started, if another way
    than by the fork server. head: of a training over hosts; this one loses a host as it loses a worker, and goes on
    with those that are left, and at the next checkpoint with one more that has come.
    """
    job = Job(config, algorithm, seed, environment or describe(config.recipe))
    require_room(config, job.environment, [algorithm])
    if disturbance:
        job = replace(job, disturbance=disturbance)
    checkpoint, started, restarts = start, 0.0, 0
    while True:
        company = head.gather(checkpoint) if head else None
        started = started or time.perf_counter()
        with Pool(job, checkpoint, keep, context or process_context(), company) as pool:
            try:
                pool.run(watcher)
                return replace(pool.outcome(), started=started, turns_before=start.turn if start else 0)
            except LateHostError as late:
                checkpoint = pool.checkpoint
                say(f"{late}; all hosts start again at turn {checkpoint.turn if checkpoint else 0:,}")
            except LostWorkerError as lost:
                restarts += 1
                if restarts > max_restarts:
                    raise LostWorkerError(f"{lost} (restarts: {max_restarts} of {max_restarts})") from None
                checkpoint = pool.checkpoint
                turn = checkpoint.turn if checkpoint else 0
                all_of_them = "all workers, and the hosts that are left," if head else "all workers"
                again = f"{all_of_them} start again at turn {turn:,} (restart {restarts} of {max_restarts})"
                say(f"{lost}; {again}")


@dataclass
class _Member:
    """One worker, or the relay, as the pool sees it."""

    process: BaseProcess
    channel: Connection
    done: Done | Through | None = None

    @property
    def name(self) -> str:
        return self.process.name

    @property
    def source(self) -> Connection:
        return self.channel

    def receive(self) -> Any:
        """Its next message; raises `LostWorkerError` when it is dead."""
        try:
            return self.channel.recv()
        except (EOFError, OSError):
            self.process.join()
            raise LostWorkerError(f"{self.name} died: {describe_exit(self.process.exitcode)}") from None


@dataclass
class Pool:
    """The worker processes of one job and what they share."""

    job: Job
    checkpoint: Checkpoint | None = None
    """The last one: at first the one to start from."""
    keep: Keep | None = None
    context: BaseContext = field(default_factory=process_context)
    company: Company | None = None
    """The other hosts, if there are any."""
    members: list[_Member] = field(default_factory=list)
    """The workers."""
    relays: list[_Member] = field(default_factory=list)
    """One with several hosts."""
    episodes: list[NDArray[np.void]] = field(default_factory=list)

    @property
    def speakers(self) -> list[_Member | OtherHost]:
        """Who has not said its last word yet."""
        everyone = [*self.members, *self.relays, *(self.company.hosts if self.company else ())]
        return [speaker for speaker in everyone if not speaker.done]

    @property
    def has_checkpoints(self) -> bool:
        """False where the state of an environment cannot be packed, or not into the room there is."""
        return not self.tables.pinned[0]

    def __enter__(self) -> Self:
        self.job = with_packing(self.job)
        if self.company:
            self.job = replace(self.job, share=self.company.share)
        with _refusals_in_a_line():
            self._share()
            self.started = time.perf_counter()
            try:
                self._start_all()
            except BaseException:
                self._stop()
                raise
        return self

    def _share(self) -> None:
        job, settings = self.job, self.job.settings
        self.tables = SharedTables(shape(job))
        self.tables.pinned[0] = self.tables.shape.parcel_bytes == 0
        self.bells = [Bell() for _ in range(job.workers)]
        self.relay_bell = Bell() if self.company else None
        self.tables.model[:] = settings.initial_parameters(job.environment, job.seed)
        self.tables.snapshots[:] = self.tables.model
        self.tables.home[:] = ELSEWHERE
        self.tables.home[job.actors.start : job.actors.stop] = np.arange(len(job.actors)) % job.workers
        if self.checkpoint:
            self.checkpoint.restore(self.tables)
            self.episodes.append(self.checkpoint.episodes)
        if self.company:
            self.tables.checksums[:] = [self.tables.checksum(actor) for actor in range(settings.actors)]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start_all(self) -> None:
        job, bells = self.job, self.bells
        if self.company and self.relay_bell:
            meeting = self.company.meeting
            self.relays.append(self._start("relay", run_relay, job, self.tables, bells, self.relay_bell, meeting))
        for number in range(job.workers):
            self.members.append(
                self._start(f"worker {number}", run_worker, job, number, self.tables, bells, self.relay_bell)
            )

    def _start(self, name: str, target: Callable[..., None], *arguments: Any) -> _Member:
        """Start a process that is given a channel for its messages before its last argument."""
        receiver, sender = self.context.Pipe(duplex=False)
        # At first many short episodes end: no worker should wait until the main process comes round to read of them.
        with suppress(OSError):
            fcntl.fcntl(sender.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        process = self.context.Process(  # type: ignore[attr-defined]  # every kind of context has it
            target=target, args=(*arguments[:-1], sender, arguments[-1]), name=name, daemon=True
        )
        process.start()
        sender.close()
        return _Member(process, receiver)

    def run(self, watcher: Watcher) -> None:
        """Return when every worker is done; raises `LostWorkerError` as soon as one is lost."""
        pause = min(KEEP_SECONDS, self.job.config.checkpoint.seconds)
        due, asked, told, stall = time.monotonic() + pause, False, False, Stall()
        while self.speakers:
            returns = self.receive(min(POLL_SECONDS, pause))
            turn = observe_one(self.tables.turn, 0)
            watcher(turn, int(np.sum(self.tables.turns["env_steps"][:turn])), returns)
            if self.company:
                self.company.look(self.tables)
                self.company.waiting = self.waiting_share()
            stall.look(turn, {member.process.name: member.process.pid or 0 for member in self.members})
            if not self.has_checkpoints:
                if self.keep and not told:
                    say(f"{self.job.config.env}: {NO_CHECKPOINTS}")
                    told = True
                continue
            if not asked and time.monotonic() > due:
                ask(self.tables)
                asked = True
            elif asked and complete(self.tables):
                spent = self.take_checkpoint()
                due, asked = time.monotonic() + max(pause, spent / KEEP_SHARE), False
        for member in [*self.members, *self.relays]:
            member.process.join()

    def take_checkpoint(self) -> float:
        """Take the checkpoint that is complete and hand it on; returns the seconds that this took."""
        start = time.process_time()
        # What the workers told of before it became complete is on its way.
        while wait([speaker.source for speaker in self.speakers], 0):
            self.receive(0)
        self.episodes = [np.concatenate([*self.episodes, np.empty(0, EPISODE)])]
        self.checkpoint = take(self.tables, self.episodes[0])
        if self.keep:
            self.keep(self.checkpoint)
        if self.company:
            self.company.taken(self.checkpoint)
        return time.process_time() - start

    def waiting_share(self) -> float:
        """Of the workers' time since they were started, that in which they waited for an actor to be ready."""
        now, waited = time.perf_counter(), self.tables.waited[: self.job.workers]
        return float(np.mean(np.where(waited < 0, waited + now, waited))) / (now - self.started)

    def receive(self, seconds: float) -> NDArray[np.float64]:
        """Wait so long for the workers' messages and take them; returns the returns of the episodes they tell of."""
        waiting = self.speakers
        # The channel of a worker that is gone is ready too: after its last message it tells the end.
        ready = wait([speaker.source for speaker in waiting], seconds)
        returns = [self._receive(speaker) for speaker in waiting if speaker.source in ready]
        return np.concatenate([*returns, np.empty(0)])

    def _receive(self, speaker: _Member | OtherHost) -> NDArray[np.float64]:
        """Take one message; returns the returns of the episodes it told of."""
        message = speaker.receive(self.tables) if isinstance(speaker, OtherHost) else speaker.receive()
        if isinstance(message, Report):
            return self.take_episodes(message.episodes)
        if isinstance(message, Failed):
            raise TrainingError(f"{speaker.name} failed: {message.message}", message.traceback)
        if isinstance(message, Parted):
            raise LostWorkerError(f"hosts lost each other: {message.message}")
        if message is not None:
            speaker.done = message
        return np.empty(0)

    def take_episodes(self, episodes: NDArray[np.void]) -> NDArray[np.float64]:
        """Keep episodes (`EPISODE`) that were told of; gives their returns."""
        self.episodes.append(episodes)
        return episodes["return"]

    def _stop(self) -> None:
        processes = [*self.members, *self.relays]
        for member in processes:
            member.process.kill()
        for member in processes:
            member.process.join()
            member.process.close()
            member.channel.close()
        for bell in [*self.bells, *([self.relay_bell] if self.relay_bell else [])]:
            bell.close()
        if self.company:
            self.company.meeting.close()
        self.tables.close()

    def outcome(self) -> Outcome:
        """The result of a run that is done."""
        tables = self.tables
        episodes = np.concatenate([*self.episodes, np.empty(0, EPISODE)])
        turns = tables.turns.copy()
        per_rollout = self.job.settings.updates_per_rollout
        order, env_steps = place_episodes(turns, episodes, tables.shape.actors, per_rollout)
        done = [member.done for member in self.members if isinstance(member.done, Done)]
        return Outcome(
            parameters=tables.model.copy(),
            turns=turns,
            episodes=episodes[order],
            episode_env_steps=env_steps,
            digests={turn: tables.digests[row].copy() for row, turn in enumerate(tables.shape.digest_turns)},
            exit_codes=[member.process.exitcode for member in self.members],
            splits=[message.split for message in done],
            peak_memory_bytes=[message.peak_memory_bytes for message in done],
            started=self.started,
            updates_per_rollout=per_rollout,
        )


@contextmanager
def _refusals_in_a_line() -> Iterator[None]:
    """What the machine does not give becomes a `TrainingError`: memory, descriptors, processes."""
    try:
        yield
    except (MemoryError, EOFError, OSError) as error:
        ended = "the server that starts them ended" if isinstance(error, EOFError | ConnectionError) else ""
        reason = ended or getattr(error, "strerror", None) or str(error) or "too little memory"
        raise TrainingError(f"the workers cannot be started ({reason}); fewer workers need less") from None


def with_packing(job: Job) -> Job:
    """The job, its environment's packing tried as its actors use it."""
    try:
        used = _first_actor(job.settings, job.environment).environment
    except Exception:  # an algorithm's own code may raise anything; a worker tells what
        return job
    return replace(job, environment=job.environment.with_packing(used))


def _first_actor(settings: Settings, environment: EnvironmentInfo) -> Actor[Any]:
    return settings.actor_maker(environment, 0)(0, settings.initial_parameters(environment, 0))


def shape(job: Job) -> Shape:
    """The sizes of a job's shared memory."""
    room = parcel_bytes(job.settings, replace(job.environment, timed=False))
    return shape_of(job.settings, job.environment, room, job.share.hosts)


@cache
def parcel_bytes(settings: Settings, environment: EnvironmentInfo) -> int:
    """Room for an actor's packed state, by what an actor takes at its start; 0 where it cannot be packed."""
    try:
        actor = _first_actor(settings, environment)
        pinned = environment.is_pinned(actor.environment)
        return 0 if pinned else SPARE * len(pack(actor)) + SPARE_BYTES + room(actor.environment)
    except Exception:  # an algorithm's own code may raise anything; a worker tells what
        return 0
