"""Independent random streams that hang on (seed, role, actor) only, never on a process, a rank or the time."""

from enum import IntEnum

import numpy as np
from numpy.random import Generator, SeedSequence


class Role(IntEnum):
    """What a stream is for; the numbers are part of every result and must not change."""

    PARAMETERS = 0
    TRAIN_ENVIRONMENT = 1
    TRAIN_ACTION = 2
    EVALUATE_ENVIRONMENT = 3
    EVALUATE_ACTION = 4
    PROFILE = 5
    BOOTSTRAP = 6
    SEARCH = 7
    TRAIN_MINIBATCH = 8


def _sequence(seed: int, role: Role, index: int) -> SeedSequence:
    return SeedSequence(seed, spawn_key=(int(role), index))


def stream(seed: int, role: Role, index: int = 0) -> Generator:
    """The random generator of (`seed`, `role`, `index`); `index` is the actor for the training roles."""
    return np.random.Generator(np.random.PCG64(_sequence(seed, role, index)))


def environment_seed(seed: int, role: Role, index: int = 0) -> int:
    """A 63-bit seed for Gymnasium's `reset(seed=…)`; vector environments count up from it, one per environment."""
    return int(_sequence(seed, role, index).generate_state(1, np.uint64)[0] >> np.uint64(1))
