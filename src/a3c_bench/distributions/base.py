"""What a policy's distribution has to do, whatever its actions are."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from a3c_bench.arrays import Doubles, Floats


class Taken(Protocol):
    """Actions that were taken, under the distribution. It reads outputs and actions where they are.

    `count`: the first so many rows are looked at.
    """

    @property
    def log_probabilities(self) -> Floats:
        """Of the actions (rows,)."""
        ...

    @property
    def entropies(self) -> Floats:
        """Of every row's distribution (rows,), in nats."""
        ...

    def evaluate(self, count: int) -> None:
        """Fill `log_probabilities` and `entropies`: whenever outputs or actions are others."""
        ...

    def loss_gradient(self, count: int, weights: Floats, entropy_weights: Floats | None = None) -> Floats:
        """Gradient of −Σ weight · log π(action) − Σ entropy weight · H(π) by the outputs (rows, size).

        It comes after `evaluate`. weights, entropy_weights: (rows,); None: 0. The array is used again.
        Raises `TypeError` as a network does.
        """
        ...


class Distribution(Protocol):
    """What a network's outputs (rows, size) mean as a policy."""

    @property
    def size(self) -> int:
        """Outputs that a network gives it."""
        ...

    @property
    def free_outputs(self) -> int:
        """How many of them, the last, are parameters of the network and do not depend on the observation."""
        ...

    def noise(self, shape: tuple[int, ...]) -> Doubles:
        """Room for what sampling uses up (*shape, …)."""
        ...

    def draw(self, generator: Generator, noise: Doubles) -> None:
        """Fill that room."""
        ...

    def actions(self, shape: tuple[int, ...]) -> Any:
        """Room for actions."""
        ...

    def sampler(self, outputs: Floats, noise: Doubles, actions: Any) -> Callable[[int, int], None]:
        """Draws actions (rows, …) from row `start` to `stop`, by what is in `outputs` and `noise` when it is called."""
        ...

    def mode(self, outputs: Floats) -> Any:
        """The most probable actions (rows, …)."""
        ...

    def described(self, outputs: Floats) -> dict[str, Floats]:
        """What else there is to know of every row's distribution, by name: (rows,) each."""
        ...

    def taken(self, outputs: Floats, actions: Any) -> Taken:
        """How probable actions are."""
        ...


def sample(distribution: Distribution, outputs: Floats, generator: Generator) -> Any:
    """Actions drawn from the policy."""
    noise, actions = distribution.noise(outputs.shape[:1]), distribution.actions(outputs.shape[:1])
    distribution.draw(generator, noise)
    distribution.sampler(outputs, noise, actions)(0, len(outputs))
    return actions


def as_columns(distribution: Distribution, outputs: Floats) -> dict[str, NDArray[Any]]:
    """The most probable actions and what else there is to know, as the columns of a table: (rows,) each."""
    actions = np.asarray(distribution.mode(outputs))
    columns = {"action": actions} if actions.ndim == 1 else {f"action_{k}": part for k, part in enumerate(actions.T)}
    return {**columns, **distribution.described(outputs)}
