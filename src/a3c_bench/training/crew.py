"""The actors that a worker hosts at the moment, and how one of them moves to a worker that has less to do."""

import os
import pickle
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a3c_bench.algorithms.base import Actor
from a3c_bench.kernels.library import fence
from a3c_bench.machine import cores
from a3c_bench.training import checkpoint
from a3c_bench.training.exchange.handoff import observe, observe_one, publish
from a3c_bench.training.exchange.memory import Bell, SharedTables
from a3c_bench.training.reporter import Reporter


def pack(actor: Actor[Any], episodes: Sequence[NDArray[np.void]] = ()) -> bytes:
    """The state of an actor's environments and random streams, and `episodes` of it that nobody was told of yet."""
    return pickle.dumps((actor.state(), episodes), pickle.HIGHEST_PROTOCOL)


WORTH_A_MOVE = 0.1
"""The share of its time that another worker waits, above which it is given an actor. Workers that are equally fast wait
for each other too, one hiccup after another; an actor more would make them unequal."""


class Crew:
    """One worker's actors.

    An actor is ready when its snapshot is there: its last gradient was applied. Workers are never equally fast for
    long, so one runs ahead until none of its actors is ready. If that one waits for a good part of its time, a worker
    that has more ready actors gives it one: an actor computes the same wherever it is. What moves is the state of its
    environments and random streams, pickled into shared memory.
    """

    def __init__(
        self,
        worker: int,
        tables: SharedTables,
        bells: Sequence[Bell],
        make: Callable[[int], Actor[Any]],
        reporter: Reporter,
        help_out: Callable[[], None],
    ) -> None:
        """`help_out`: what is done when none of the actors is ready, and may make one so."""
        self._help_out = help_out
        self._worker, self._tables, self._bells, self._make, self._reporter = worker, tables, bells, make, reporter
        self._updates, self._cores = tables.shape.updates, cores()
        self._actors: dict[int, Actor[Any]] = {}
        self._here: set[int] = set()
        self._last_look, self._packing_seconds = [(time.perf_counter(), 0.0)] * len(bells), 0.0
        for index, home in enumerate(observe(tables.home)):
            if home == worker:
                self._actor(index)

    def next(self) -> tuple[int, Actor[Any]] | None:
        """The ready actor whose turn comes first; waits for one, and returns None when all turns are taken."""
        while observe_one(self._tables.turn, 0) < self._tables.shape.turns:
            ready, homes, mine = self._ready()
            if mine:
                self._share(mine, [homes[index] for index in ready])
                self._let_others_first(mine[0])
                return mine[0], self._actor(mine[0])
            self._wait()
        return None

    def _ready(self) -> tuple[list[int], list[int], list[int]]:
        """The actors that are ready, the homes of all, and those ready ones that are here, by the order of turns."""
        tables = self._tables
        submitted, taken, homes = observe(tables.submitted), observe(tables.taken), observe(tables.home)
        ready = [index for index, count in enumerate(submitted) if count == taken[index] < self._updates]
        mine = (index for index in ready if homes[index] == self._worker)
        return ready, homes, sorted(mine, key=submitted.__getitem__)

    def _wait(self) -> None:
        waited = self._tables.waited
        # Others see that it waits before it looks: they wake it, or it finds what they left.
        waited[self._worker] -= time.perf_counter()
        fence()
        self._help_out()
        *_, mine = self._ready()
        if not mine:
            self._bells[self._worker].wait()
        waited[self._worker] += time.perf_counter()

    def present(self) -> list[tuple[int, Actor[Any]]]:
        """The actors that are here, with their numbers."""
        return [(index, self._actors[index]) for index in sorted(self._here)]

    def _share(self, mine: Sequence[int], homes: Sequence[int]) -> None:
        """`mine`: this worker's ready actors, in the order of their turns; `homes`: of all ready actors."""
        if len(mine) < 2 or len(self._bells) < 2 or self._tables.pinned[0]:
            return
        counts = [homes.count(worker) for worker in range(len(self._bells))]
        poorest = counts.index(min(counts))
        # While every core has an update to go on with, nothing is gained by moving one.
        idle_soon = sum(min(count, 2) for count in counts) < 2 * self._cores
        if idle_soon and len(mine) >= counts[poorest] + 2 and self._is_due(poorest):
            # The first of them is this worker's own next.
            self._give(mine[1], poorest)

    def _is_due(self, worker: int) -> bool:
        """Whether another has waited so much lately that a move, which takes time too, is made good soon."""
        now, waited = self._look(worker)
        since, before = self._last_look[worker]
        seconds, waiting = now - since, waited - before
        # An actor whose environments are replayed is packed in no time, and unpacked slowly.
        move = self._packing_seconds + float(self._tables.unpacking.max())
        due = waiting > max(move, WORTH_A_MOVE * seconds)
        if due or WORTH_A_MOVE * seconds > move:
            self._last_look[worker] = now, waited
        return due

    def _look(self, worker: int) -> tuple[float, float]:
        """The clock, and the seconds that a worker has waited until now."""
        now, waited = time.perf_counter(), float(self._tables.waited[worker])
        return now, waited + now if waited < 0 else waited  # less than 0: it waits

    def _let_others_first(self, index: int) -> None:
        # Where workers share cores, all soon wait for one that was put aside in the middle of an early turn.
        turn = int(self._tables.submitted[index]) * self._tables.shape.actors + index
        if len(self._bells) > self._cores and turn - observe_one(self._tables.turn, 0) > self._tables.shape.actors // 2:
            os.sched_yield()

    def _give(self, index: int, worker: int) -> None:
        start = time.perf_counter()
        # One that was given to this worker and has not run here yet is still packed.
        if index in self._here:
            # Its episodes go with it: telling the main process of them now would wake it.
            parcel = self._packed(index, self._reporter.unsent(index))
            if parcel is None:
                return
            self._reporter.leave(index)
            self._tables.parcels[index, : len(parcel)] = np.frombuffer(parcel, np.uint8)
            self._tables.parcel_sizes[index] = len(parcel)
            self._here.discard(index)
            self._packing_seconds = time.perf_counter() - start
        publish(self._tables.home, index, worker)
        self._bells[worker].ring()

    def keep(self, index: int) -> None:
        """Add the state of an actor that is here to the checkpoint that is being taken."""
        parcel = self._packed(index)
        if parcel is None:
            self._tables.pinned[0] = True
            return
        self._reporter.flush()
        checkpoint.keep_actor(self._tables, index, parcel, self._actors[index].rollouts_told)

    def _packed(self, index: int, episodes: Sequence[NDArray[np.void]] = ()) -> bytes | None:
        """None where it takes more than the room that there is, or its environment has come to where it cannot be."""
        try:
            parcel = pack(self._actors[index], episodes)
        except Exception:  # an environment's own code may raise anything
            return None
        return parcel if len(parcel) <= self._tables.shape.parcel_bytes else None

    def _actor(self, index: int) -> Actor[Any]:
        if index not in self._here:
            self._take_in(index)
        return self._actors[index]

    def _take_in(self, index: int) -> None:
        start = time.perf_counter()
        if index not in self._actors:
            self._actors[index] = self._make(index)
        size = int(self._tables.parcel_sizes[index])
        if size:
            # By another worker of this run, or from a checkpoint that only this user can have written.
            state, episodes = pickle.loads(self._tables.parcels[index, :size].tobytes())  # noqa: S301
            self._actors[index].restore(state)
            self._reporter.take_over(index, episodes)
            self._tables.unpacking[index] = time.perf_counter() - start
            # What others waited for this must not bring about the next move.
            self._last_look = [self._look(worker) for worker in range(len(self._bells))]
        self._here.add(index)
