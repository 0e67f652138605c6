"""Independent normal distributions over numbers; a network's outputs are their means and, last, their deviations."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from a3c_bench.arrays import Doubles, Floats
from a3c_bench.distributions.taken import TakenByKernels
from a3c_bench.kernels.library import prepare, require_sizes


@dataclass(frozen=True)
class Gaussian:
    """A diagonal Gaussian over `numbers` numbers; outputs are the means, then the logarithms of the deviations."""

    numbers: int

    @property
    def size(self) -> int:
        """Outputs that a network gives it."""
        return 2 * self.numbers

    @property
    def free_outputs(self) -> int:
        """The deviations are parameters that do not depend on the observation."""
        return self.numbers

    def noise(self, shape: tuple[int, ...]) -> Doubles:
        """Room for what sampling uses up: one number in [0, 1) for each number to be drawn."""
        return np.zeros((*shape, self.numbers))

    def draw(self, generator: Generator, noise: Doubles) -> None:
        """Fill that room. A generator's plain numbers are the same everywhere; normal ones go through the C library."""
        generator.random(out=noise)

    def actions(self, shape: tuple[int, ...]) -> Floats:
        """Room for actions, without any bounds."""
        return np.zeros((*shape, self.numbers), np.float32)

    def sampler(self, outputs: Floats, noise: Doubles, actions: Floats) -> Callable[[int, int], None]:
        """Draws actions from row `start` to `stop`, by inverting the cumulative probabilities."""
        return prepare("gaussian_sample", self.numbers, outputs, noise, actions)

    def mode(self, outputs: Floats) -> Floats:
        """The means."""
        return outputs[:, : self.numbers].copy()

    def described(self, outputs: Floats) -> dict[str, Floats]:
        """The deviation of every number."""
        deviations = np.exp(outputs[:, self.numbers :])
        return {f"deviation_{number}": deviations[:, number] for number in range(self.numbers)}

    def taken(self, outputs: Floats, actions: Floats) -> TakenByKernels:
        """How probable `actions` are: by the logarithms of their densities."""
        rows = len(outputs)
        require_sizes(rows * self.numbers, actions)
        log_probabilities, entropies = np.zeros(rows, np.float32), np.zeros(rows, np.float32)
        by_outputs, chosen = np.zeros_like(outputs), (self.numbers, outputs, actions)
        return TakenByKernels(
            log_probabilities,
            entropies,
            by_outputs,
            prepare("gaussian_taken", *chosen, log_probabilities, entropies),
            prepare("gaussian_gradient", *chosen, by_outputs),
        )
