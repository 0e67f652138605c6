"""Adam on the flat parameter vector."""

import numpy as np

from a3c_bench.arrays import Floats, Integers

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1) whose state lies in arrays that the caller owns.

    first, second: moments (size,); count: steps taken (1,), kept beside them because it belongs with them.
    """

    def __init__(self, first: Floats, second: Floats, count: Integers) -> None:
        self._first, self._second, self._count = first, second, count
        self._step = np.empty_like(first)
        self._scale = np.empty_like(first)

    @classmethod
    def fresh(cls, size: int) -> "Adam":
        """One that has taken no step."""
        return cls(np.zeros(size, np.float32), np.zeros(size, np.float32), np.zeros(1, np.int64))

    def apply(self, parameters: Floats, gradient: Floats, learning_rate: float) -> None:
        """Take one step: changes `parameters` (size,) in place."""
        self._count += 1
        count = int(self._count[0])
        self._blend(self._first, gradient, BETA_1)
        np.square(gradient, out=self._scale)
        self._blend(self._second, self._scale, BETA_2)
        # The two bias corrections are folded into scalars: m/(1−β₁ᵗ) ÷ (√(v/(1−β₂ᵗ)) + ε).
        np.sqrt(self._second, out=self._scale)
        self._scale *= np.float32(1 / np.sqrt(1 - BETA_2**count))
        self._scale += np.float32(EPSILON)
        np.divide(self._first, self._scale, out=self._step)
        self._step *= np.float32(learning_rate / (1 - BETA_1**count))
        parameters -= self._step

    def _blend(self, moment: Floats, value: Floats, beta: float) -> None:
        np.subtract(value, moment, out=self._step)
        self._step *= np.float32(1 - beta)
        moment += self._step


def clip(gradient: Floats, longest: float) -> float:
    """Scale `gradient` (size,) down, in place, to the Euclidean length `longest`; returns its length before."""
    length = float(np.sqrt(np.dot(gradient, gradient)))
    if length > longest:
        gradient *= np.float32(longest / length)
    return length
