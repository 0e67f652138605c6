"""Actions that were taken, by the kernels of their distribution."""

from collections.abc import Callable

import numpy as np

from a3c_bench.arrays import Floats
from a3c_bench.kernels.library import FLOATS, address


class TakenByKernels:
    """Their log-probabilities, entropies and gradients, in arrays that the kernels fill.

    evaluate: fills the first two, given the number of rows. gradient: fills `by_outputs` (rows, size), given that
    number and the addresses of weights and entropy weights.
    """

    def __init__(
        self,
        log_probabilities: Floats,
        entropies: Floats,
        by_outputs: Floats,
        evaluate: Callable[[int], object],
        gradient: Callable[[int, int, int], object],
    ) -> None:
        self.log_probabilities, self.entropies, self._by_outputs = log_probabilities, entropies, by_outputs
        self._evaluate, self._gradient = evaluate, gradient
        self._no_weights = np.zeros_like(entropies)

    def evaluate(self, count: int) -> None:
        """Fill log-probabilities and entropies of the first `count` rows."""
        if count > len(self.entropies):
            raise TypeError(f"there are {len(self.entropies)} rows, not {count}")
        self._evaluate(count)

    def loss_gradient(self, count: int, weights: Floats, entropy_weights: Floats | None = None) -> Floats:
        """Gradient of −Σ weight · log π(action) − Σ entropy weight · H(π) by the outputs (rows, size)."""
        entropy_weights = self._no_weights if entropy_weights is None else entropy_weights
        self._gradient(count, address(weights, FLOATS, count), address(entropy_weights, FLOATS, count))
        return self._by_outputs[:count]
