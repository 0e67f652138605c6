"""The actors that a worker hosts at the moment, and how one of them moves to a worker that has less to do."""

import os
import pickle
from collections.abc import Callable, Sequence

import numpy as np

from a3c_bench.agent.actor import EpisodicActor, NStepActor
from a3c_bench.agent.environments import pickling_keeps_state
from a3c_bench.machine import cores
from a3c_bench.parallel.shared import PARCEL_BYTES, Bell, SharedTables

AnyActor = NStepActor | EpisodicActor


class Crew:
    """One worker's actors.

    An actor is ready when its snapshot is there: its last gradient was applied. Workers are never equally fast for
    long, so one runs ahead until none of its actors is ready. Before that, a worker that has more ready actors gives
    it one: an actor computes the same wherever it is. What moves is the state of its environments and random streams,
    pickled into shared memory.
    """

    def __init__(
        self, worker: int, tables: SharedTables, bells: Sequence[Bell], make: Callable[[int], AnyActor]
    ) -> None:
        self._worker, self._tables, self._bells, self._make = worker, tables, bells, make
        self._rollouts, self._cores = tables.shape.rollouts, cores()
        self._actors = {int(index): make(int(index)) for index in np.flatnonzero(tables.host == worker)}
        self._here = set(self._actors)
        self._can_travel = len(bells) > 1 and self._pack(min(self._here))
        """Where environments cannot be pickled, or not with their state, actors stay where they are."""

    def next(self) -> tuple[int, AnyActor] | None:
        """The ready actor whose turn comes first; waits for one, and returns None when all turns are taken."""
        tables = self._tables
        while int(tables.turn[0]) < tables.shape.turns:
            # Lists: for a few actors they take a third of the time of the same in arrays.
            submitted, taken, host = tables.submitted.tolist(), tables.taken.tolist(), tables.host.tolist()
            ready = [index for index, count in enumerate(submitted) if count == taken[index] < self._rollouts]
            mine = sorted((index for index in ready if host[index] == self._worker), key=submitted.__getitem__)
            if mine:
                self._share(mine, [host[index] for index in ready])
                self._let_others_first(mine[0])
                return mine[0], self._actor(mine[0])
            self._bells[self._worker].wait()
        return None

    def present(self) -> list[tuple[int, AnyActor]]:
        """The actors that are here, with their numbers."""
        return [(index, self._actors[index]) for index in sorted(self._here)]

    def _share(self, mine: Sequence[int], hosts: Sequence[int]) -> None:
        """`mine`: this worker's ready actors, in the order of their turns; `hosts`: of all ready actors."""
        if len(mine) < 2 or not self._can_travel:
            return
        counts = [hosts.count(worker) for worker in range(len(self._bells))]
        poorest = counts.index(min(counts))
        # While every core has a rollout to go on with, nothing is gained by moving one.
        idle_soon = sum(min(count, 2) for count in counts) < 2 * self._cores
        if idle_soon and len(mine) >= counts[poorest] + 2:
            # The first of them is this worker's own next.
            self._give(mine[1], poorest)

    def _let_others_first(self, index: int) -> None:
        # Where workers share cores, all soon wait for one that was put aside in the middle of an early turn.
        turn = int(self._tables.submitted[index]) * self._tables.shape.actors + index
        if len(self._bells) > self._cores and turn - int(self._tables.turn[0]) > self._tables.shape.actors // 2:
            os.sched_yield()

    def _give(self, index: int, worker: int) -> None:
        # One that was given to this worker and has not run here yet is still packed.
        if index not in self._here or self._pack(index):
            self._here.discard(index)
            self._tables.host[index] = worker
            self._bells[worker].ring()

    def _pack(self, index: int) -> bool:
        collector = self._actors[index].collector
        if not pickling_keeps_state(collector.environment):
            return False
        try:
            parcel = pickle.dumps(collector.state(), pickle.HIGHEST_PROTOCOL)
        except Exception:  # an environment's own code may raise anything
            return False
        if len(parcel) > PARCEL_BYTES:
            return False
        self._tables.parcels[index, : len(parcel)] = np.frombuffer(parcel, np.uint8)
        self._tables.parcel_bytes[index] = len(parcel)
        return True

    def _actor(self, index: int) -> AnyActor:
        if index not in self._actors:
            self._actors[index] = self._make(index)
        actor = self._actors[index]
        if index not in self._here:
            parcel = self._tables.parcels[index, : int(self._tables.parcel_bytes[index])]
            # Packed by another worker of this run: nobody else can write there.
            actor.collector.restore(pickle.loads(parcel.tobytes()))  # noqa: S301
            self._here.add(index)
        return actor
