"""Adam on the flat parameter vector, and what else is done to whole gradients."""

import numpy as np

from a3c_bench.arrays import Floats, Integers
from a3c_bench.kernels.library import FLOATS, address, prepare, require_sizes


class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1) whose state lies in arrays that the caller owns.

    first, second: moments (size,); count: steps taken (1,), kept beside them because it belongs with them.
    """

    def __init__(self, first: Floats, second: Floats, count: Integers) -> None:
        require_sizes(first.size, second)
        self._moments, self._count, self._size = (first, second), count, first.size
        self._step = prepare("adam", first.size, first, second)

    @classmethod
    def fresh(cls, size: int) -> "Adam":
        """One that has taken no step."""
        return cls(np.zeros(size, np.float32), np.zeros(size, np.float32), np.zeros(1, np.int64))

    def apply(self, parameters: Floats, gradient: Floats, learning_rate: float) -> None:
        """Take one step: changes `parameters` (size,) in place."""
        self._count += 1
        arrays = (address(array, FLOATS, self._size) for array in (gradient, parameters))
        self._step(int(self._count[0]), learning_rate, *arrays)


def clip(gradient: Floats, longest: float) -> float:
    """Scale `gradient` (size,) down, in place, to the Euclidean length `longest`; returns its length before."""
    return float(prepare("clip", gradient.size, gradient)(longest))


def length(gradient: Floats) -> float:
    """The Euclidean length of `gradient` (size,)."""
    return float(prepare("length_of", gradient.size, gradient)())


def add(summand: Floats, total: Floats) -> None:
    """Add `summand` (size,) to `total` (size,), in place."""
    require_sizes(total.size, summand)
    prepare("add", total.size, summand, total)()
