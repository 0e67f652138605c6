"""The categorical distribution over a finite number of actions; a network's outputs are its logits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.random import Generator

from a3c_bench.arrays import Doubles, Floats, Integers
from a3c_bench.kernels.library import FLOATS, address, call, prepare, require_sizes


@dataclass(frozen=True)
class Categorical:
    """A choice of `size` actions; outputs are unnormalised log-probabilities (rows, size)."""

    size: int

    def noise(self, shape: tuple[int, ...]) -> Doubles:
        """Room for what sampling uses up: one number in [0, 1) for each action to be drawn."""
        return np.zeros(shape)

    def draw(self, generator: Generator, noise: Doubles) -> None:
        """Fill that room. A generator's plain numbers are the same everywhere; others go through the C library."""
        generator.random(out=noise)

    def actions(self, shape: tuple[int, ...]) -> Integers:
        """Room for actions."""
        return np.zeros(shape, np.int64)

    def sampler(self, outputs: Floats, noise: Doubles, actions: Integers) -> Callable[[int, int], None]:
        """Draws actions (rows,), from row `start` to `stop`, by inverting the cumulative probabilities."""
        return prepare("categorical_sample", outputs.shape[1], outputs, noise, actions)

    def mode(self, outputs: Floats) -> Integers:
        """The most probable action of every row."""
        return cast(Integers, outputs.argmax(axis=-1))

    def probabilities(self, outputs: Floats) -> Floats:
        """Of every action (rows, size)."""
        result = np.empty_like(outputs)
        call("categorical_probabilities", *outputs.shape, outputs, result)
        return result

    def taken(self, outputs: Floats, actions: Integers) -> "Taken":
        """How probable `actions` (rows,) are."""
        return Taken(outputs, actions)


class Taken:
    """Actions that were taken, under the distribution: their log-probabilities, entropies, and gradients."""

    def __init__(self, outputs: Floats, actions: Integers) -> None:
        rows, self._size = outputs.shape
        require_sizes(rows, actions)
        self.log_probabilities, self.entropies = np.zeros(rows, np.float32), np.zeros(rows, np.float32)
        self._by_outputs, self._no_weights = np.zeros_like(outputs), np.zeros(rows, np.float32)
        taken = (self._size, outputs, actions)
        self._evaluate = prepare("categorical_taken", *taken, self.log_probabilities, self.entropies)
        self._gradient = prepare("categorical_gradient", *taken, self.entropies, self._by_outputs)

    def evaluate(self, count: int) -> None:
        """Fill log-probabilities and entropies of the first so many rows."""
        if count > len(self.entropies):
            raise TypeError(f"there are {len(self.entropies)} rows, not {count}")
        self._evaluate(count)

    def loss_gradient(self, count: int, weights: Floats, entropy_weights: Floats | None = None) -> Floats:
        """Gradient of −Σ weight · log π(action) − Σ entropy weight · H(π) by the outputs (rows, size)."""
        entropy_weights = self._no_weights if entropy_weights is None else entropy_weights
        self._gradient(count, address(weights, FLOATS, count), address(entropy_weights, FLOATS, count))
        return self._by_outputs[:count]
