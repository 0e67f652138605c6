"""The shared model and the gradient table: one anonymous block of memory that every worker maps.

The memory has no name in the file system, so nothing is left behind, however the processes end.
"""

import fcntl
import math
import mmap
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.reduction import DupFd
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from a3c_bench.arrays import Doubles, Flags, Floats, Integers
from a3c_bench.learning.normalisation import Normalisation

TURN = np.dtype(
    [
        ("actor", np.int32),
        ("update", np.int32),
        ("env_steps", np.int64),
        ("policy_loss", np.float64),
        ("value_error", np.float64),
        ("entropy", np.float64),
        ("gradient_norm", np.float64),
        ("time", np.float64),
    ]
)
"""One row per turn. `time` is a clock's value (seconds): for rates only, it never reaches a result file."""

HANDED_ON = np.dtype([("turn", TURN), ("keep_after", np.int64), ("checksum", np.int64)])
"""What goes from host to host beside a gradient: the record of its turn, `keep_after` as the first host has it, and the
checksum of the snapshot that it was computed on."""
ROUNDS_APART = 3
"""An actor has not begun its update u + 3 while another host lacks the gradient of its update u.

It begins u + 3 after its turn of u + 2, so after another's of u + 1 that comes before it, or of u + 2: that host has
taken the turn before, and so all that come before it, of which this actor's turn of u is one.
"""
ALIGNMENT = 64
NEVER = -1
ELSEWHERE = -1
"""In place of a worker of this host."""
Array = TypeVar("Array")


class Table(Generic[Array]):
    """Declares one of the `SharedTables`: its type, and its dimensions by numbers or by attributes of `Shape`."""

    def __init__(self, dtype: DTypeLike, *dimensions: int | str) -> None:
        self._dtype, self._dimensions = np.dtype(dtype), dimensions

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    # Never called in a process that has mapped the memory: there each is an attribute of the object.
    def __get__(self, instance: object, owner: type) -> Array:
        raise AttributeError(self.name)

    def dimensions(self, shape: "Shape") -> tuple[int, ...]:
        """The array's shape."""
        return tuple(getattr(shape, size) if isinstance(size, str) else size for size in self._dimensions)

    def size(self, shape: "Shape") -> int:
        """Bytes."""
        return self._dtype.itemsize * math.prod(self.dimensions(shape))

    def view(self, memory: mmap.mmap, offset: int, shape: "Shape") -> NDArray[Any]:
        """The array in `memory`."""
        dimensions = self.dimensions(shape)
        return np.frombuffer(memory, self._dtype, math.prod(dimensions), offset).reshape(dimensions)


@dataclass(frozen=True)
class Shape:
    """The sizes that decide how large the shared memory is."""

    parameters: int
    actors: int
    updates: int
    adam_statistics: int
    """Sets of Adam moments: 1, or one per actor."""
    digests: int
    """Copies of the model that are kept, at evenly spaced turns."""
    normalisation: Normalisation
    """Of whose moments are the model's last numbers."""
    parcel_bytes: int
    """Room for an actor's packed state; takes memory only as far as it is used."""
    hosts: int = 1

    @property
    def rounds_kept(self) -> int:
        """Updates of an actor whose gradients are there at a time."""
        return ROUNDS_APART if self.hosts > 1 else 1

    @property
    def floats_handed_in(self) -> int:
        """By an actor at its turn: several hosts need the record of it, too."""
        return self.parameters + (HANDED_ON.itemsize // 4 if self.hosts > 1 else 0)

    @property
    def trained(self) -> int:
        """How many of the model's numbers are parameters; the others are moments."""
        return self.parameters - self.normalisation.size

    @property
    def turns(self) -> int:
        """Turns of the whole training."""
        return self.actors * self.updates

    @property
    def actors_and_model(self) -> int:
        """Parts of a checkpoint."""
        return self.actors + 1

    @property
    def digest_turns(self) -> list[int]:
        """The versions of the model that are kept: evenly spaced, the last one included."""
        return sorted({self.turns * (index + 1) // self.digests for index in range(self.digests)} - {0})

    def offsets(self) -> tuple[dict[str, int], int]:
        """Where each array starts, and the size of them all, in bytes."""
        offsets, end = {}, 0
        for name, table in TABLES.items():
            offsets[name] = end
            end += -(-table.size(self) // ALIGNMENT) * ALIGNMENT
        return offsets, end


class SharedTables:
    """Arrays that are shared by all processes that the object is sent to."""

    model = Table[Floats](np.float32, "parameters")
    """The shared parameters, and running moments."""
    snapshots = Table[Floats](np.float32, "actors", "parameters")
    handed_in = Table[Floats](np.float32, "rounds_kept", "actors", "floats_handed_in")
    """What every actor hands in at its turns: its gradient, then the moments of what it collected."""
    adam_first = Table[Floats](np.float32, "adam_statistics", "trained")
    adam_second = Table[Floats](np.float32, "adam_statistics", "trained")
    adam_count = Table[Integers](np.int64, "adam_statistics", 1)
    home = Table[Integers](np.int64, "actors")
    """The worker of each actor, or `ELSEWHERE`."""
    waited = Table[Doubles](np.float64, "actors")
    """Seconds that each worker, of whom there are no more than actors, has waited for one to be ready; less the clock's
    value at the start of a wait while that lasts, which makes it negative."""
    submitted = Table[Integers](np.int64, "actors")
    """Updates whose gradient an actor has handed in."""
    taken = Table[Integers](np.int64, "actors")
    """Updates whose gradient has been applied."""
    turn = Table[Integers](np.int64, 1)
    """Turns taken so far, which is the model's version."""
    turns = Table[NDArray[np.void]](TURN, "turns")
    digests = Table[Floats](np.float32, "digests", "parameters")
    parcels = Table[NDArray[np.uint8]](np.uint8, "actors", "parcel_bytes")
    """The state of an actor on its way to another worker."""
    parcel_sizes = Table[Integers](np.int64, "actors")
    unpacking = Table[Doubles](np.float64, "actors")
    """Seconds that it took to unpack each actor the last time."""
    checksums = Table[Integers](np.int64, "actors")
    """Of each actor's snapshot, with several hosts."""
    differs = Table[Flags](np.bool_, "actors")
    """An actor of another host has computed on a snapshot that is not the one that it should have."""
    in_turn = Table[Flags](np.bool_, 1)
    """Under `ordered`, the lock's holder is changing the model."""
    pinned = Table[Flags](np.bool_, 1)
    """Actors cannot be packed, so they stay where they are."""
    keep_asked = Table[Flags](np.bool_, 1)
    """This and what follows: see `checkpoint.py`."""
    keep_after = Table[Integers](np.int64, 1)
    kept_after = Table[Integers](np.int64, "actors_and_model")
    kept_told = Table[Integers](np.int64, "actors")
    kept_model = Table[Floats](np.float32, "parameters")
    kept_snapshots = Table[Floats](np.float32, "actors", "parameters")
    kept_adam_first = Table[Floats](np.float32, "adam_statistics", "trained")
    kept_adam_second = Table[Floats](np.float32, "adam_statistics", "trained")
    kept_adam_count = Table[Integers](np.int64, "adam_statistics", 1)
    kept_parcels = Table[NDArray[np.uint8]](np.uint8, "actors", "parcel_bytes")
    kept_parcel_sizes = Table[Integers](np.int64, "actors")

    def __init__(self, shape: Shape) -> None:
        descriptor = os.memfd_create("a3c-bench")
        os.ftruncate(descriptor, shape.offsets()[1])
        self._map(shape, descriptor)
        self.keep_after[:] = self.kept_after[:] = NEVER

    def _map(self, shape: Shape, descriptor: int) -> None:
        self.shape = shape
        self._descriptor = descriptor
        offsets, size = shape.offsets()
        memory = mmap.mmap(descriptor, size)
        for name, table in TABLES.items():
            setattr(self, name, table.view(memory, offsets[name], shape))
        # Made once: for a small model, taking views anew in every turn costs a fifth of it.
        self._rows_handed_in: list[list[Floats]] = [
            list(of_round) for of_round in self.handed_in[:, :, : shape.parameters]
        ]

    def __getstate__(self) -> dict[str, Any]:
        return {"shape": self.shape, "descriptor": DupFd(self._descriptor)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._map(state["shape"], state["descriptor"].detach())

    def gradient(self, actor: int, update: int) -> Floats:
        """Where an actor hands in its gradient of an update, and moments (size,)."""
        return self._rows_handed_in[update % len(self._rows_handed_in)][actor]

    def block(self, actors: range, update: int) -> Floats:
        """What neighbouring actors hand in at their turns of an update, in one piece of memory."""
        return self.handed_in[update % self.shape.rounds_kept, actors.start : actors.stop]

    @property
    def handed_on(self) -> NDArray[np.void]:
        """The last part of what is handed in, which only other hosts need (`HANDED_ON`): by rounds kept and actors."""
        return self.handed_in[:, :, self.shape.floats_handed_in - HANDED_ON.itemsize // 4 :].view(HANDED_ON)[:, :, 0]

    def checksum(self, actor: int) -> int:
        """Of an actor's snapshot."""
        return zlib.crc32(self.snapshots[actor].data)

    def try_lock(self) -> bool:
        """Take the one lock if nobody has it. The kernel frees it when its holder dies."""
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(self) -> None:
        """Give the lock back."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock, after waiting for it."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            self.unlock()

    def close(self) -> None:
        """Give the descriptor back; the arrays stay valid while they are in use."""
        os.close(self._descriptor)


TABLES: Mapping[str, Table[Any]] = {
    name: table for name, table in vars(SharedTables).items() if isinstance(table, Table)
}


class Bell:
    """Wakes one worker: rings are kept until it waits."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_CLOEXEC)

    def __getstate__(self) -> dict[str, Any]:
        return {"descriptor": DupFd(self._descriptor)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._descriptor = state["descriptor"].detach()

    def ring(self) -> None:
        """Wake the worker that waits, or the next wait."""
        os.eventfd_write(self._descriptor, 1)

    def wait(self) -> None:
        """Sleep until the next ring, or return at once if there was one since the last wait."""
        os.eventfd_read(self._descriptor)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)
