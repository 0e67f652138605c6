"""The relay: a process that plays, among a host's workers, the one whose actors are on the other hosts.

When all actors of this host have handed in their gradients of a round it sends these on, in one message; what comes
from another host it hands in as if its own actors had made it, and takes their turns. So every host takes all turns, in
the one order, on a model of its own, and no worker knows that there are other hosts.

The first host's relay also answers the wish for a checkpoint. When it sends round u no actor anywhere has begun its
update u + `ROUNDS_APART`, and none begins it before that message has come: at its end the checkpoint is taken.
"""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray

from a3c_bench.errors import describe_error
from a3c_bench.processes import be_a_worker
from a3c_bench.training import checkpoint
from a3c_bench.training.exchange.handoff import observe, observe_one, publish
from a3c_bench.training.exchange.hosts import Links, Meeting
from a3c_bench.training.exchange.memory import ELSEWHERE, ROUNDS_APART, Bell, SharedTables
from a3c_bench.training.turns import Ordered
from a3c_bench.training.worker import Job


@dataclass(frozen=True)
class Parted:
    """A relay's message: a connection with another host is gone."""

    message: str


@dataclass(frozen=True)
class Through:
    """A relay's last message: all went to all."""


def run_relay(
    job: Job, tables: SharedTables, bells: Sequence[Bell], bell: Bell, channel: Connection, meeting: Meeting
) -> None:
    """The process's entry."""
    be_a_worker()
    try:
        relay = Relay(job, tables, bells, bell, Links(meeting, job.share))
        relay.run()
    except Exception as error:  # gloo's own errors are plain ones
        # The hosts' main processes are about to find out who is gone, and to say it better.
        time.sleep(meeting.grace)
        with suppress(OSError):
            channel.send(Parted(describe_error(error)))
    else:
        channel.send(Through())


class Relay:
    """What the relay does, round by round: one thread sends, and one for every other host receives."""

    def __init__(self, job: Job, tables: SharedTables, bells: Sequence[Bell], bell: Bell, links: Links) -> None:
        self._share, self._own, self._tables, self._bell, self._links = job.share, job.actors, tables, bell, links
        self._schedule = Ordered(tables, job.settings.learning_rate_of, bells, ELSEWHERE)
        self._rounds = range(min(observe(tables.submitted)), tables.shape.updates)
        # The tables' lock is the process's, and keeps none of its threads out.
        self._turns = threading.Lock()
        self._failure: BaseException | None = None

    def run(self) -> None:
        """Return when all rounds have gone both ways; raises what ended a connection."""
        receivers = [threading.Thread(target=self._receive, args=(host,), daemon=True) for host in self._share.others]
        for receiver in receivers:
            receiver.start()
        for update in self._rounds:
            while not self._is_complete(update):
                self._bell.wait()
                self._require_all()
            self._send(update)
        for receiver in receivers:
            receiver.join()
        self._require_all()

    def _require_all(self) -> None:
        if self._failure:
            raise self._failure

    def _is_complete(self, update: int) -> bool:
        submitted = observe(self._tables.submitted)
        return min(submitted[self._own.start : self._own.stop]) > update

    def _send(self, update: int) -> None:
        tables = self._tables
        if self._share.number == 0 and observe_one(tables.keep_asked, 0):
            checkpoint.choose(tables, update + ROUNDS_APART)
        beside = self._beside(self._own, update)
        beside["turn"] = tables.turns[self._turns_of(self._own, update)]
        beside["keep_after"] = observe_one(tables.keep_after, 0)
        self._links.send(tables.block(self._own, update))

    def _receive(self, host: int) -> None:
        actors = self._share.actors(self._tables.shape.actors, host)
        try:
            for update in self._rounds:
                self._links.receive(self._tables.block(actors, update), host)
                with self._turns:
                    self._take_over(actors, update)
        except Exception as error:  # gloo's own errors are plain ones
            self._failure = error
            self._bell.ring()

    def _take_over(self, actors: range, update: int) -> None:
        """Hand in what has come, as a worker does."""
        tables, beside = self._tables, self._beside(actors, update)
        tables.turns[self._turns_of(actors, update)] = beside["turn"]
        keep_after = int(beside["keep_after"][0])
        if actors.start == 0 and keep_after != observe_one(tables.keep_after, 0):
            publish(tables.keep_after, 0, keep_after)
        self._schedule.hand_in(actors, update)

    def _beside(self, actors: range, update: int) -> NDArray[np.void]:
        return self._tables.handed_on[update % ROUNDS_APART, actors.start : actors.stop]

    def _turns_of(self, actors: range, update: int) -> slice:
        before = update * self._tables.shape.actors
        return slice(before + actors.start, before + actors.stop)
