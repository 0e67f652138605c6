"""The two rules by which gradients reach the shared model."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NoReturn

import numpy as np

from a3c_bench.algorithms.base import Statistics
from a3c_bench.config import ScheduleName
from a3c_bench.kernels.library import fence
from a3c_bench.learning.optimizer import Adam
from a3c_bench.machine import cores
from a3c_bench.training import checkpoint
from a3c_bench.training.exchange.handoff import observe, observe_one, publish
from a3c_bench.training.exchange.memory import ELSEWHERE, ROUNDS_APART, Bell, SharedTables

LearningRate = Callable[[int], float]
"""The learning rate of an actor's update, by its number."""


class Schedule(ABC):
    """How a gradient reaches the shared model, and the model an actor's next snapshot."""

    def __init__(
        self,
        tables: SharedTables,
        learning_rate: LearningRate,
        bells: Sequence[Bell],
        worker: int,
        relay: Bell | None = None,
    ) -> None:
        """`bells` has one entry per worker, of whom this is number `worker`. relay: its bell, with several hosts."""
        self._tables = tables
        self._bells, self._worker, self._relay = bells, worker, relay
        self._learning_rate = learning_rate
        self._merge = tables.shape.normalisation.merge if tables.shape.normalisation.size else None
        self._optimizers = [
            Adam(first, second, count)
            for first, second, count in zip(tables.adam_first, tables.adam_second, tables.adam_count, strict=True)
        ]
        self._digest_row = {turn: row for row, turn in enumerate(tables.shape.digest_turns)}
        self._prepare()

    def _prepare(self) -> None:  # noqa: B027  # not every schedule has more
        """Keep at hand what a schedule needs besides."""

    @abstractmethod
    def submit(self, actor: int, update: int, statistics: Statistics) -> None:
        """Hand in the gradient that lies in the actor's row of the gradient table."""

    @abstractmethod
    def help_out(self) -> None:
        """This worker has nothing else to do: take the turns of others' actors, if any can be taken."""

    def _apply(self, actor: int, update: int) -> None:
        """One Adam step on the shared model with the actor's gradient, its moments, then the actor's next snapshot."""
        tables = self._tables
        optimizer = self._optimizers[actor if len(self._optimizers) > 1 else 0]
        handed_in = tables.gradient(actor, update)
        optimizer.apply(tables.model, handed_in, self._learning_rate(update))
        if self._merge:
            self._merge(tables.model, handed_in)
        np.copyto(tables.snapshots[actor], tables.model)

    def _record(self, turn: int, actor: int, update: int, statistics: Statistics) -> None:
        losses = statistics.losses
        self._tables.turns[turn] = (
            actor,
            update,
            statistics.env_steps,
            losses.policy_loss,
            losses.value_error,
            losses.entropy,
            statistics.gradient_norm,
            0.0,
        )

    def _finish_turn(self, turn: int) -> None:
        tables = self._tables
        tables.turns["time"][turn] = time.perf_counter()
        row = self._digest_row.get(turn + 1)
        if row is not None:
            np.copyto(tables.digests[row], tables.model)
        publish(tables.turn, 0, turn + 1)
        checkpoint.attend(tables)
        if turn + 1 == tables.shape.turns:
            for bell in self._bells:
                bell.ring()


class Hogwild(Schedule):
    """As soon as ready (after Recht et al. 2011; Mnih et al. 2016): every run ends with other bits.

    One lock is taken per turn, for its number and its record. The model and Adam's moments are changed without it, so
    updates can be lost; every update is dense, which is not the sparse setting of Recht et al. A checkpoint copies
    model and moments while others may be writing them: a resumed run may start from a mix of two versions.
    """

    def submit(self, actor: int, update: int, statistics: Statistics) -> None:
        """Apply the gradient at once."""
        self._apply(actor, update)
        with self._tables.locked():
            turn = int(self._tables.turn[0])
            self._record(turn, actor, update, statistics)
            publish(self._tables.submitted, actor, update + 1)
            publish(self._tables.taken, actor, update + 1)
            self._finish_turn(turn)

    def help_out(self) -> None:
        """Every gradient is applied already."""


class Ordered(Schedule):
    """The same asynchronous algorithm with its interleaving fixed: turn v is update v // A of actor v mod A.

    Whoever has handed in a gradient takes the lock, if it is free, and with it the turns of its own actors that can be
    taken. Those of others it leaves to them, and wakes one who has nothing else to do: else the slowest worker, for
    whose turn all wait, would take everybody's, and be slower still. Where workers share cores the others may not be
    running: it takes all. Nobody waits for a turn: only for a snapshot that is not there yet.
    """

    def _prepare(self) -> None:
        tables = self._tables
        self._of_this_host = [actor for actor, home in enumerate(observe(tables.home)) if home != ELSEWHERE]
        self._checksums = tables.handed_on["checksum"] if tables.shape.hosts > 1 else None
        self._can_take = self._next_is_mine if len(self._bells) <= cores() else self._next_is_ready

    def submit(self, actor: int, update: int, statistics: Statistics) -> None:
        """Mark the gradient as ready, then take the turns that it can take."""
        self._record(update * self._tables.shape.actors + actor, actor, update, statistics)
        if self._checksums is not None:
            self._checksums[update % ROUNDS_APART, actor] = self._tables.checksums[actor]
        self.hand_in((actor,), update)
        if self._relay:
            fence()
            submitted = observe(self._tables.submitted)
            if all(submitted[one] > update for one in self._of_this_host):
                self._relay.ring()

    def hand_in(self, actors: Iterable[int], update: int) -> None:
        """Mark gradients as ready whose turns are recorded already, then take the turns that can be taken."""
        for actor in actors:
            publish(self._tables.submitted, actor, update + 1)
        self._take_turns(self._can_take)
        if self._next_is_ready():
            self._wake_one_that_waits()

    def help_out(self) -> None:
        """Take all turns that can be taken."""
        self._take_turns(self._next_is_ready)

    def _take_turns(self, due: Callable[[], bool]) -> None:
        # A holder of the lock looks again after giving it back, so a gradient that was handed in meanwhile is not
        # forgotten. The lock comes first: it is also the memory barrier between our mark and our look.
        while self._tables.try_lock():
            if self._tables.in_turn[0]:
                self._wait_for_the_end()
            try:
                while due():
                    self._take_turn()
            finally:
                self._tables.unlock()
            if not due():
                break

    def _wake_one_that_waits(self) -> None:
        """Before it waits, a worker says so, and then looks for turns itself: none is left lying while one waits."""
        fence()
        for bell, waited in zip(self._bells, self._tables.waited.tolist(), strict=False):
            if waited < 0:
                bell.ring()
                break

    def _require_the_same(self, actor: int, checksum: int) -> None:
        """That what an actor handed in was computed on what its snapshot is on this host, too."""
        if checksum != self._tables.checksums[actor]:
            publish(self._tables.differs, actor, True)
            self._wait_for_the_end()

    def _wait_for_the_end(self) -> NoReturn:
        # The kernel took the lock from a worker that died in the middle of a turn, and the model is torn; or hosts do
        # not compute the same. The main process is about to find out, and ends all workers.
        while True:
            time.sleep(1)

    def _next(self) -> tuple[int, int, int]:
        turn = observe_one(self._tables.turn, 0)
        update, actor = divmod(turn, self._tables.shape.actors)
        return turn, update, actor

    def _next_is_ready(self) -> bool:
        turn, update, actor = self._next()
        return turn < self._tables.shape.turns and observe_one(self._tables.submitted, actor) > update

    def _next_is_mine(self) -> bool:
        return observe_one(self._tables.home, self._next()[2]) == self._worker and self._next_is_ready()

    def _take_turn(self) -> None:
        turn, update, actor = self._next()
        self._tables.in_turn[0] = True
        if self._checksums is not None:
            self._require_the_same(actor, int(self._checksums[update % ROUNDS_APART, actor]))
        self._apply(actor, update)
        if self._checksums is not None:
            self._tables.checksums[actor] = self._tables.checksum(actor)
        publish(self._tables.taken, actor, update + 1)
        self._finish_turn(turn)
        self._tables.in_turn[0] = False
        home = observe_one(self._tables.home, actor)
        if home not in (self._worker, ELSEWHERE):
            self._bells[home].ring()


SCHEDULES: Mapping[ScheduleName, type[Schedule]] = {"ordered": Ordered, "hogwild": Hogwild}
