"""The shared model and the gradient table: one anonymous block of memory that every worker maps.

The memory has no name in the file system, so nothing is left behind, however the processes end.
"""

import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.reduction import DupFd
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from a3c_bench.arrays import Flags, Floats, Integers

TURN = np.dtype(
    [
        ("actor", np.int32),
        ("rollout", np.int32),
        ("env_steps", np.int64),
        ("policy_loss", np.float64),
        ("value_error", np.float64),
        ("entropy", np.float64),
        ("gradient_norm", np.float64),
        ("time", np.float64),
    ]
)
"""One row per turn. `time` is a clock's value (seconds): for rates only, it never reaches a result file."""

ALIGNMENT = 64
NEVER = -1
PARCEL_BYTES = 1 << 22
"""Room for an actor's packed state; takes memory only as far as it is used."""


@dataclass(frozen=True)
class Shape:
    """The sizes that decide how large the shared memory is."""

    parameters: int
    actors: int
    rollouts: int
    adam_statistics: int
    """Sets of Adam moments: 1, or one per actor."""
    digests: int
    """Copies of the model that are kept, at evenly spaced turns."""

    @property
    def turns(self) -> int:
        """Turns of the whole training."""
        return self.actors * self.rollouts

    @property
    def digest_turns(self) -> list[int]:
        """The versions of the model that are kept: evenly spaced, the last one included."""
        return sorted({self.turns * (index + 1) // self.digests for index in range(self.digests)} - {0})

    @property
    def fields(self) -> dict[str, tuple[DTypeLike, tuple[int, ...]]]:
        """Name, type and shape of every shared array."""
        return {
            "model": (np.float32, (self.parameters,)),
            "snapshots": (np.float32, (self.actors, self.parameters)),
            "gradients": (np.float32, (self.actors, self.parameters)),
            "adam_first": (np.float32, (self.adam_statistics, self.parameters)),
            "adam_second": (np.float32, (self.adam_statistics, self.parameters)),
            "adam_count": (np.int64, (self.adam_statistics, 1)),
            "host": (np.int64, (self.actors,)),
            "submitted": (np.int64, (self.actors,)),
            "taken": (np.int64, (self.actors,)),
            "turn": (np.int64, (1,)),
            "turns": (TURN, (self.turns,)),
            "digests": (np.float32, (self.digests, self.parameters)),
            "parcels": (np.uint8, (self.actors, PARCEL_BYTES)),
            "parcel_bytes": (np.int64, (self.actors,)),
            "in_turn": (np.bool_, (1,)),
            "pinned": (np.bool_, (1,)),
            "keep_asked": (np.bool_, (1,)),
            "keep_after": (np.int64, (1,)),
            "kept_after": (np.int64, (self.actors + 1,)),
            "kept_told": (np.int64, (self.actors,)),
            "kept_model": (np.float32, (self.parameters,)),
            "kept_snapshots": (np.float32, (self.actors, self.parameters)),
            "kept_adam_first": (np.float32, (self.adam_statistics, self.parameters)),
            "kept_adam_second": (np.float32, (self.adam_statistics, self.parameters)),
            "kept_adam_count": (np.int64, (self.adam_statistics, 1)),
            "kept_parcels": (np.uint8, (self.actors, PARCEL_BYTES)),
            "kept_parcel_bytes": (np.int64, (self.actors,)),
        }

    def offsets(self) -> tuple[dict[str, int], int]:
        """Where each array starts, and the size of them all, in bytes."""
        offsets, end = {}, 0
        for name, (dtype, shape) in self.fields.items():
            offsets[name] = end
            size = np.dtype(dtype).itemsize * int(np.prod(shape))
            end += -(-size // ALIGNMENT) * ALIGNMENT
        return offsets, end


class SharedTables:
    """The arrays of `Shape.fields`, shared by all processes that the object is sent to.

    model: the shared parameters. snapshots, gradients: one row per actor. host: the worker of each actor. submitted,
    taken: rollouts whose gradient an actor has handed in, and those that have been applied. turn: turns taken so far,
    which is the model's version. in_turn: under `ordered`, the lock's holder is changing the model. parcels: the state
    of an actor on its way to another worker, and its size. pinned: actors cannot be packed, so they stay where they
    are. keep_…, kept_…: see `checkpoint.py`.
    """

    model: Floats
    snapshots: Floats
    gradients: Floats
    adam_first: Floats
    adam_second: Floats
    adam_count: Integers
    host: Integers
    submitted: Integers
    taken: Integers
    turn: Integers
    turns: NDArray[np.void]
    digests: Floats
    parcels: NDArray[np.uint8]
    parcel_bytes: Integers
    in_turn: Flags
    pinned: Flags
    keep_asked: Flags
    keep_after: Integers
    kept_after: Integers
    kept_told: Integers
    kept_model: Floats
    kept_snapshots: Floats
    kept_adam_first: Floats
    kept_adam_second: Floats
    kept_adam_count: Integers
    kept_parcels: NDArray[np.uint8]
    kept_parcel_bytes: Integers

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
        for name, (dtype, dimensions) in shape.fields.items():
            count = int(np.prod(dimensions))
            array = np.frombuffer(memory, dtype, count, offsets[name]).reshape(dimensions)
            setattr(self, name, array)

    def __getstate__(self) -> dict[str, Any]:
        return {"shape": self.shape, "descriptor": DupFd(self._descriptor)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._map(state["shape"], state["descriptor"].detach())

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
