"""The categorical distribution over a finite number of actions; a network's outputs are its logits."""

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
from numpy.random import Generator

from a3c_bench.arrays import Flags, Floats, Integers


@dataclass(frozen=True)
class Categorical:
    """A choice of `size` actions; outputs are unnormalised log-probabilities (rows, size)."""

    size: int

    def noise(self, generator: Generator, shape: tuple[int, ...]) -> Floats:
        """What `sample` uses up: standard Gumbel noise (*shape, size), minus the logarithm of exponential draws."""
        draws = generator.standard_exponential((*shape, self.size), dtype=np.float32)
        # The smallest float32 stands in for an exact 0, whose logarithm has no value.
        return cast(Floats, -np.log(np.maximum(draws, np.finfo(np.float32).tiny)))

    def sample(self, outputs: Floats, noise: Floats, out: Integers | None = None) -> Integers:
        """Actions (rows,) by the Gumbel-max trick; `noise` is used up.

        Maddison, Tarlow and Minka, "A* Sampling", NeurIPS 2014. The noise of a whole rollout is drawn at once, so a
        step costs one addition and one argmax.
        """
        return cast(Integers, np.add(outputs, noise, out=noise).argmax(axis=-1, out=out))

    def mode(self, outputs: Floats) -> Integers:
        """The most probable action of every row."""
        return cast(Integers, outputs.argmax(axis=-1))

    def probabilities(self, outputs: Floats) -> Floats:
        """Of every action (rows, size)."""
        return cast(Floats, np.exp(log_softmax(outputs)))

    def taken(self, outputs: Floats, actions: Integers) -> "Taken":
        """How probable `actions` (rows,) were."""
        return Taken(log_softmax(outputs), actions)

    def zeros(self, shape: tuple[int, ...]) -> Integers:
        """Room for actions."""
        return np.zeros(shape, np.int64)


class Taken:
    """Actions that were taken, under the distribution: their log-probabilities, entropies, and gradients."""

    def __init__(self, log_probabilities: Floats, actions: Integers) -> None:
        self._log_probabilities = log_probabilities
        self._probabilities: Floats = np.exp(log_probabilities)
        # One row per action in memory, as in `log_softmax`.
        count = log_probabilities.shape[1]
        self._chosen = cast(Flags, np.equal.outer(np.arange(count), actions).T)

    @property
    def log_probabilities(self) -> Floats:
        """Of the actions (rows,)."""
        return cast(Floats, np.add.reduce(self._log_probabilities * self._chosen, axis=1))

    @cached_property
    def entropies(self) -> Floats:
        """Of every row's distribution (rows,), in nats."""
        return cast(Floats, -np.add.reduce(self._probabilities * self._log_probabilities, axis=1))

    @property
    def total_entropy(self) -> float:
        """Of all rows together, in nats."""
        return cast(float, -np.sum(self._probabilities * self._log_probabilities))

    def loss_gradient(self, weights: Floats, entropy_weights: Floats | None = None) -> Floats:
        """Gradient of −Σ weight · log π(action) − Σ entropy weight · H(π) by the outputs (rows, size); weights (rows,).

        (π − one-hot(action)) · weight + π · (log π + H) · entropy weight, row by row.
        """
        gradient: Floats = (self._probabilities - self._chosen) * weights[:, None]
        if entropy_weights is not None:
            by_entropy = self._probabilities * (self._log_probabilities + self.entropies[:, None])
            gradient += by_entropy * entropy_weights[:, None]
        return gradient


def log_softmax(outputs: Floats) -> Floats:
    """Log-probabilities (rows, size)."""
    # One row per action in memory: numpy is several times slower at sums along a short axis.
    by_action = outputs.T.copy()
    # `np.max` and `np.sum` without their wrappers, which take longer than a small rollout's sum.
    by_action -= np.maximum.reduce(by_action, axis=0)
    by_action -= np.log(np.add.reduce(np.exp(by_action), axis=0))
    return by_action.T
