"""What goes into a network and what comes out of a policy, by Gymnasium's spaces."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import Space
from gymnasium.spaces import Box, Discrete

from a3c_bench.arrays import Floats


@dataclass(frozen=True)
class ObservationSpec:
    """An observation as a network takes it: a row of `size` float32 numbers."""

    size: int

    @classmethod
    def of(cls, space: Space[Any]) -> "ObservationSpec":
        """Of an observation space; raises `ValueError` for one that is not supported."""
        if not isinstance(space, Box) or len(space.shape) != 1:
            raise ValueError(f"the observation space {space}; allowed: a flat Box")
        return cls(space.shape[0])


@dataclass(frozen=True)
class ActionSpec:
    """An action: one of `count` choices, counted from 0."""

    count: int

    @classmethod
    def of(cls, space: Space[Any]) -> "ActionSpec":
        """Of an action space; raises `ValueError` for one that is not supported."""
        if not isinstance(space, Discrete) or space.start != 0:
            raise ValueError(f"the action space {space}; allowed: Discrete, counted from 0")
        return cls(int(space.n))


def as_float32(observation: object) -> Floats:
    """An observation as the network takes it: a copy, since an environment may use its own array again."""
    return np.array(observation, dtype=np.float32)
