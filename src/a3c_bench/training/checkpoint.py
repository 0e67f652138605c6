"""Checkpoints: the whole state of a training between two updates of every actor, taken while it runs.

A consistent cut (Chandy and Lamport, "Distributed Snapshots", 1985). The main process asks; whoever finishes the next
turn chooses an update that no actor has begun; at the end of that update each actor is packed by its worker, and the
model is copied when all actors' gradients of that update have been applied. Nobody waits for anybody. With several
hosts the relay of the first one chooses, and says so with the gradients of a round (`relay.py`). Under `hogwild`
fast actors are ahead by then: the copied model knows gradients of theirs that they compute again after a restart, and
rows that somebody was writing may be a mix of two versions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from a3c_bench.arrays import Floats, Integers
from a3c_bench.training.exchange.handoff import observe, observe_one, publish
from a3c_bench.training.exchange.memory import SharedTables

MODEL_STATE = ("model", "snapshots", "adam_first", "adam_second", "adam_count")
"""The tables that change from turn to turn."""


@dataclass(frozen=True)
class Checkpoint:
    """A training after so many updates of every actor; arrays as in `SharedTables`, cut to what there is by then."""

    model: Floats
    snapshots: Floats
    adam_first: Floats
    adam_second: Floats
    adam_count: Integers
    digests: Floats
    turns: NDArray[np.void]
    episodes: NDArray[np.void]
    """Those told of; the actors know the others."""
    parcels: NDArray[np.uint8]
    """The actors' packed states, one after another."""
    parcel_sizes: Integers

    @property
    def turn(self) -> int:
        """Turns taken, which is the model's version."""
        return len(self.turns)

    @property
    def updates(self) -> int:
        """Updates of every actor."""
        return self.turn // len(self.parcel_sizes)

    def restore(self, tables: SharedTables) -> None:
        """Put a new training where this one was."""
        for name in (*MODEL_STATE, "digests", "parcel_sizes"):
            getattr(tables, name)[:] = getattr(self, name)
        tables.turns[: self.turn] = self.turns
        tables.turn[0] = self.turn
        tables.submitted[:] = tables.taken[:] = self.updates
        ends = np.cumsum(self.parcel_sizes)
        for parcel, size, end in zip(tables.parcels, self.parcel_sizes, ends, strict=True):
            parcel[:size] = self.parcels[end - size : end]


def ask(tables: SharedTables) -> None:
    """Main process: have a checkpoint taken; not again before `complete`."""
    publish(tables.keep_asked, 0, True)


def complete(tables: SharedTables) -> bool:
    """Main process: the checkpoint that was asked for is there."""
    # In this order: whoever answers chooses the update before it takes the question away.
    if observe_one(tables.keep_asked, 0):
        return False
    after = observe_one(tables.keep_after, 0)
    return all(kept == after for kept in observe(tables.kept_after))


def take(tables: SharedTables, episodes: NDArray[np.void]) -> Checkpoint:
    """Main process: the checkpoint that is complete. `episodes`: all that was told of so far."""
    after = int(tables.keep_after[0])
    turns = tables.turns[: observe_one(tables.turn, 0)]
    sizes = tables.kept_parcel_sizes.copy()
    return Checkpoint(
        **{name: getattr(tables, f"kept_{name}").copy() for name in MODEL_STATE},
        digests=tables.digests.copy(),
        # Under `hogwild` some actors are many updates ahead of others.
        turns=turns[turns["update"] <= after],
        # What an actor told of later, of rollouts before this one too, it will tell again.
        episodes=episodes[episodes["rollout"] < tables.kept_told[episodes["actor"]]],
        parcels=np.concatenate([row[:size] for row, size in zip(tables.kept_parcels, sizes, strict=True)]),
        parcel_sizes=sizes,
    )


def attend(tables: SharedTables) -> None:
    """Under the lock, after every turn: choose the update to keep, and copy the model when its time has come."""
    if tables.shape.hosts == 1 and observe_one(tables.keep_asked, 0):
        # An actor begins an update when its last one was taken, and for that the lock is needed: none has come past
        # the end of this one.
        choose(tables, int(tables.taken.max()) + 1)
    after = tables.keep_after[0]
    if tables.kept_after[-1] != after and tables.taken.min() > after:
        for name in MODEL_STATE:
            np.copyto(getattr(tables, f"kept_{name}"), getattr(tables, name))
        publish(tables.kept_after, -1, int(after))


def choose(tables: SharedTables, update: int) -> None:
    """Answer the wish for a checkpoint: the update at whose end it is taken, to which no actor has come yet."""
    publish(tables.keep_after, 0, update)
    publish(tables.keep_asked, 0, False)


def keep_actor(tables: SharedTables, actor: int, parcel: bytes, told: int) -> None:
    """Worker: keep the state of an actor at the end of its update `keep_after`; `told`: see `rollouts_told`."""
    tables.kept_told[actor] = told
    tables.kept_parcels[actor, : len(parcel)] = np.frombuffer(parcel, np.uint8)
    tables.kept_parcel_sizes[actor] = len(parcel)
    publish(tables.kept_after, actor, observe_one(tables.keep_after, 0))
