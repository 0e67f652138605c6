"""One or several choices between finitely many actions; a network's outputs are the logits of each in turn."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.random import Generator

from a3c_bench.arrays import Doubles, Floats, Integers
from a3c_bench.distributions.taken import TakenByKernels
from a3c_bench.kernels.library import call, prepare, require_sizes


@dataclass(frozen=True)
class Categorical:
    """Choices that are independent of each other, of `sizes[c]` actions; outputs are unnormalised log-probabilities."""

    sizes: tuple[int, ...]
    several: bool = False
    """Actions are (rows, choices); False: there is one choice, and they are (rows,)."""
    free_outputs = 0

    @property
    def size(self) -> int:
        """Outputs that a network gives it."""
        return sum(self.sizes)

    @cached_property
    def _kernels(self) -> tuple[int, Integers]:
        """What the kernels know of it."""
        return len(self.sizes), np.array(self.sizes, np.int64)

    def _shape(self, rows: tuple[int, ...]) -> tuple[int, ...]:
        return (*rows, len(self.sizes)) if self.several else rows

    def noise(self, shape: tuple[int, ...]) -> Doubles:
        """Room for what sampling uses up: one number in [0, 1) for each choice to be made."""
        return np.zeros(self._shape(shape))

    def draw(self, generator: Generator, noise: Doubles) -> None:
        """Fill that room. A generator's plain numbers are the same everywhere; others go through the C library."""
        generator.random(out=noise)

    def actions(self, shape: tuple[int, ...]) -> Integers:
        """Room for actions, each choice's counted from 0."""
        return np.zeros(self._shape(shape), np.int64)

    def sampler(self, outputs: Floats, noise: Doubles, actions: Integers) -> Callable[[int, int], None]:
        """Draws actions from row `start` to `stop`, by inverting the cumulative probabilities."""
        return prepare("categorical_sample", *self._kernels, outputs, noise, actions)

    def mode(self, outputs: Floats) -> Integers:
        """The most probable actions of every row."""
        chosen = [outputs[:, start:stop].argmax(axis=-1) for start, stop in self._bounds]
        return np.stack(chosen, axis=-1) if self.several else chosen[0]

    @property
    def _bounds(self) -> list[tuple[int, int]]:
        """Where each choice's outputs are."""
        return list(pairwise([0, *np.cumsum(self.sizes).tolist()]))

    def probabilities(self, outputs: Floats) -> Floats:
        """Of every action (rows, size)."""
        result = np.empty_like(outputs)
        call("categorical_probabilities", len(outputs), *self._kernels, outputs, result)
        return result

    def described(self, outputs: Floats) -> dict[str, Floats]:
        """The probability of every action."""
        names = [
            f"probability_{choice}_{action}" if self.several else f"probability_{action}"
            for choice, size in enumerate(self.sizes)
            for action in range(size)
        ]
        return dict(zip(names, self.probabilities(outputs).T, strict=True))

    def taken(self, outputs: Floats, actions: Integers) -> TakenByKernels:
        """How probable `actions` are."""
        rows, (choices, _) = len(outputs), self._kernels
        require_sizes(rows * choices, actions)
        log_probabilities, entropies = np.zeros(rows, np.float32), np.zeros(rows, np.float32)
        of_choices = np.zeros((rows, choices), np.float32)
        by_outputs, chosen = np.zeros_like(outputs), (*self._kernels, outputs, actions)
        return TakenByKernels(
            log_probabilities,
            entropies,
            by_outputs,
            prepare("categorical_taken", *chosen, log_probabilities, of_choices, entropies),
            prepare("categorical_gradient", *chosen, of_choices, by_outputs),
        )
