"""What a policy's distribution has to do, whatever its actions are."""

from typing import Any, Protocol

from numpy.random import Generator

from a3c_bench.arrays import Floats


class Taken(Protocol):
    """Actions that were taken, under the distribution."""

    @property
    def log_probabilities(self) -> Floats:
        """Of the actions (rows,)."""
        ...

    @property
    def entropies(self) -> Floats:
        """Of every row's distribution (rows,), in nats."""
        ...

    @property
    def total_entropy(self) -> float:
        """Of all rows together, in nats."""
        ...

    def loss_gradient(self, weights: Floats, entropy_weights: Floats | None = None) -> Floats:
        """Gradient of −Σ weight · log π(action) − Σ entropy weight · H(π) by the outputs (rows, size)."""
        ...


class Distribution(Protocol):
    """What a network's outputs (rows, size) mean as a policy."""

    @property
    def size(self) -> int:
        """Outputs that a network gives it."""
        ...

    def noise(self, generator: Generator, shape: tuple[int, ...]) -> Floats:
        """What `sample` uses up, drawn beforehand (*shape, …)."""
        ...

    def sample(self, outputs: Floats, noise: Floats, out: Any = None) -> Any:
        """Actions drawn from the policy."""
        ...

    def mode(self, outputs: Floats) -> Any:
        """The most probable actions."""
        ...

    def probabilities(self, outputs: Floats) -> Floats:
        """Of every action (rows, size)."""
        ...

    def taken(self, outputs: Floats, actions: Any) -> Taken:
        """How probable actions were."""
        ...

    def zeros(self, shape: tuple[int, ...]) -> Any:
        """Room for actions."""
        ...
