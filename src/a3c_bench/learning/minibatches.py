"""Learning from a rollout several times, a minibatch at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator

from a3c_bench.arrays import Flags, Floats
from a3c_bench.learning.rollout import Acting, VectorCollector
from a3c_bench.networks.base import Network


class Experience(NamedTuple):
    """Rows of a rollout, and what is learned from them."""

    observations: Floats
    """(rows, size)."""
    actions: Any
    """(rows, …)."""
    log_probabilities: Floats
    """Of the actions (rows,), by the policy that took them."""
    advantages: Floats
    returns: Floats
    """(rows,) both."""
    counted: Flags
    """(rows,): False where the step only reset an environment; such a row has advantage 0."""

    def room(self, rows: int) -> "Experience":
        """Buffers for so many rows of the same kind."""
        return Experience(*(np.zeros((rows, *array.shape[1:]), array.dtype) for array in self))


@dataclass(frozen=True)
class Minibatch:
    """Some rows of a rollout, in buffers that are used again."""

    experience: Experience
    env_steps: int
    """That were collected for it: those of the rollout for its first minibatch, and 0 for the others."""


class MinibatchCollector(VectorCollector[Minibatch]):
    """Collects a rollout, then gives out all its rows in minibatches of one size, in `epochs` random orders.

    Steps that only reset are among them: their weight is 0, and the size does not depend on their number. What it
    learns from is its own, while the buffers in which a rollout is collected may be others' too.
    """

    STATE = (*VectorCollector.STATE, "_kept", "_orders", "_order", "_given")

    def __init__(
        self,
        acting: Acting,
        evaluate: Callable[[], Experience],
        orders: Generator,
        minibatch: Experience,
        epochs: int,
    ) -> None:
        """`evaluate`: gives what is learned from the block; `orders`: draws them; `minibatch`: buffers for its rows."""
        super().__init__(acting)
        self._evaluate, self._orders, self._minibatch = evaluate, orders, minibatch
        rows, size = acting.block.counted.size, len(minibatch.counted)
        self._size, self._per_epoch, self._updates = size, rows // size, epochs * rows // size
        self._kept, self._order = evaluate().room(rows), np.arange(rows)
        self._given, self._is_new = 0, False
        """Minibatches of the rollout that were given out, and whether the last of them was its first."""

    def collect(self, network: Network) -> Minibatch:
        """The next minibatch; when all were given out, of a rollout for which it acts with `network`."""
        self._is_new = self._given % self._updates == 0
        env_steps = self._collect_all(network) if self._is_new else 0
        place = self._given % self._per_epoch
        if place == 0:
            self._order = self._orders.permutation(len(self._order))
        chosen = self._order[place * self._size : (place + 1) * self._size]
        for kept, room in zip(self._kept, self._minibatch, strict=True):
            # All indices are within the bounds; to raise where one is not, numpy would copy once more.
            np.take(kept, chosen, axis=0, out=room, mode="clip")
        self._given += 1
        return Minibatch(self._minibatch, env_steps)

    def _collect_all(self, network: Network) -> int:
        """Collect a rollout and keep it; gives its env steps."""
        block = self._fill(network)
        for found, kept in zip(self._evaluate(), self._kept, strict=True):
            np.copyto(kept, found)
        self._given = 0
        return block.env_steps

    def record(self) -> None:
        """Keep what the learning curve needs of a new rollout."""
        if self._is_new:
            super().record()
