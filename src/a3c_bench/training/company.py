"""What hosts tell each other, beside gradients, while they train together.

The head tells every other host to start (where from, and which actors are its own) and to stop, and now and then gives
it a checkpoint to keep. The others tell it what their workers tell them, their actors' part of every checkpoint, how
much they wait, and how they ended.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from a3c_bench.errors import LostWorkerError, TrainingError, describe_error
from a3c_bench.training import checkpoint
from a3c_bench.training.checkpoint import Checkpoint
from a3c_bench.training.exchange.channel import Channel, Message, StrangerError
from a3c_bench.training.exchange.handoff import observe, observe_one
from a3c_bench.training.exchange.hosts import Meeting
from a3c_bench.training.exchange.memory import SharedTables
from a3c_bench.training.reporter import Report
from a3c_bench.training.share import Share
from a3c_bench.training.worker import Done, Failed, TimeSplit


class Word(StrEnum):
    """What a message is about."""

    OFFER = "offer"
    AGREED = "agreed"
    DIFFERS = "differs"
    START = "start"
    CHECKPOINT = "checkpoint"
    STOP = "stop"
    STOPPED = "stopped"
    EPISODES = "episodes"
    KEPT = "kept"
    PINNED = "pinned"
    WAITED = "waited"
    DONE = "done"
    FAILED = "failed"
    LOST = "lost"
    COMPLETE = "complete"


class LateHostError(Exception):
    """One more host can take part, from the checkpoint on that was just taken."""


@dataclass
class OtherHost:
    """Another host, as the head sees it while they train together."""

    channel: Channel
    share: Share
    done: Any = None
    waiting: float = 0.0
    """The share of its workers' time in which they wait."""

    @property
    def name(self) -> str:
        """For people."""
        return f"host {self.channel.name}"

    @property
    def source(self) -> socket.socket:
        """What becomes readable when it says something, or ends."""
        return self.channel.connection

    def receive(self, tables: SharedTables) -> Report | Failed | Done | None:
        """Take its next message: what concerns the tables is done, and what a worker could have said is given back."""
        try:
            message = self.channel.receive()
        except (EOFError, OSError, StrangerError) as error:
            raise self._lost("it ended" if isinstance(error, EOFError) else describe_error(error)) from None
        match message.kind:
            case Word.EPISODES:
                return Report(message.arrays["episodes"])
            case Word.FAILED:
                return Failed(message.values["message"], "")
            case Word.DONE:
                return Done(TimeSplit(), 0)
            case Word.LOST:
                raise LostWorkerError(f"{self.name}: {message.values['message']}")
            case Word.KEPT:
                keep_part(tables, self.share.actors(tables.shape.actors), message)
            case Word.PINNED:
                tables.pinned[0] = True
            case Word.WAITED:
                self.waiting = message.values["share"]
        return None

    def look(self, tables: SharedTables) -> None:
        """Raise `LostWorkerError` where it is not heard, and `TrainingError` where it computes something else."""
        actors = self.share.actors(tables.shape.actors)
        if tables.differs[actors.start : actors.stop].any():
            turn = observe_one(tables.turn, 0)
            raise TrainingError(
                f"{self.name} and this host have different models before turn {turn + 1:,}: one of the two computes "
                "wrongly, which must not be; --fresh starts over"
            )
        if self.channel.is_silent and not self.done:
            raise self._lost(f"it was not heard for {self.channel.silence:g} s")

    def _lost(self, why: str) -> LostWorkerError:
        self.channel.close()
        return LostWorkerError(f"{self.name} is lost: {why}")


def _not_told(checkpoint: Checkpoint) -> None:
    pass


@dataclass
class Company:
    """The hosts that train with this one, as far as it listens to them: the head to all, the others to the head."""

    meeting: Meeting
    share: Share
    hosts: list[OtherHost] = field(default_factory=list)
    taken: Callable[[Checkpoint], None] = _not_told
    """Is told of every checkpoint; raises `LateHostError` where one more host waits for it."""
    waiting: float = 0.0
    """The share of its workers' time in which they wait, of this host."""

    def look(self, tables: SharedTables) -> None:
        """At how the others are: see `OtherHost.look`."""
        for host in self.hosts:
            host.look(tables)


def as_message(start: Checkpoint | None, share: Share, port: int) -> Message:
    """What a host is told to start with."""
    about = {"number": share.number, "hosts": share.hosts, "port": port, "anew": start is None}
    return Message(Word.START, about, {} if start is None else vars(start))


def as_start(message: Message) -> tuple[Share, int, Checkpoint | None]:
    """The same, read: the host's share, the port of the meeting, and where training starts."""
    about = message.values
    start = None if about["anew"] else Checkpoint(**message.arrays)
    return Share(about["number"], about["hosts"]), about["port"], start


def kept_part(tables: SharedTables, actors: range) -> Message | None:
    """These actors' part of the checkpoint that is being taken; None while it is not complete."""
    part = slice(actors.start, actors.stop)
    after = int(tables.keep_after[0])
    if any(kept != after for kept in observe(tables.kept_after[part])):
        return None
    sizes = tables.kept_parcel_sizes[part].copy()
    parcels = [row[:size] for row, size in zip(tables.kept_parcels[part], sizes, strict=True)]
    arrays = {"parcels": np.concatenate(parcels), "sizes": sizes, "told": tables.kept_told[part].copy()}
    return Message(Word.KEPT, {"after": after}, arrays)


def keep_part(tables: SharedTables, actors: range, message: Message) -> None:
    """Add another host's part to the checkpoint that is being taken."""
    sizes, told = message.arrays["sizes"], message.arrays["told"]
    ends = np.cumsum(sizes)
    for actor, size, end, rollouts in zip(actors, sizes, ends, told, strict=True):
        checkpoint.keep_actor(tables, actor, message.arrays["parcels"][end - size : end].tobytes(), int(rollouts))
