"""What a network is: a differentiable function on a flat vector of parameters.

The cut that lets one loss serve every network: a loss and a distribution give the gradient by the outputs, in closed
form; the network only carries it back to its parameters.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.random import Generator

from a3c_bench.arrays import Floats

Trace: TypeAlias = list[Floats]
"""What a forward pass leaves for the backward pass: arrays with one row per observation."""


@dataclass(frozen=True)
class Layout:
    """Where each tensor lies in the flat vector of parameters."""

    shapes: Mapping[str, tuple[int, ...]]
    """Tensor name to shape, in the order of the vector."""

    @property
    def size(self) -> int:
        """Length of the flat vector."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    def tensors(self, flat: Floats) -> dict[str, Floats]:
        """Views on the vector `flat` (size,), by tensor name."""
        return dict(self._views(flat))

    def _views(self, flat: Floats) -> Iterator[tuple[str, Floats]]:
        start = 0
        for name, shape in self.shapes.items():
            stop = start + int(np.prod(shape))
            yield name, flat[start:stop].reshape(shape)
            start = stop


class Gradient(Protocol):
    """Room for the gradient of a loss."""

    @property
    def flat(self) -> Floats:
        """By all parameters (size,)."""
        ...


class Network(Protocol):
    """A network that is bound to parameters: a policy's outputs, and the value of a state."""

    def trace(self, shape: tuple[int, ...]) -> Trace:
        """Room for what a forward pass of observations (*shape, inputs) leaves, by arrays (*shape, …)."""
        ...

    def features(self, observations: Floats, trace: Trace) -> Floats:
        """What policy and value have in common; fills `trace`."""
        ...

    def policy(self, observations: Floats, trace: Trace, out: Floats | None = None) -> Floats:
        """The policy's outputs (rows, outputs) of `observations` (rows, inputs); fills `trace`."""
        ...

    def policy_of_one(self, observation: Floats) -> Floats:
        """The same, (outputs,), of one observation (inputs,), with little overhead: it is most of what a row costs."""
        ...

    def values(self, trace: Trace) -> Floats:
        """The values (rows,) of the observations whose features are in `trace`."""
        ...

    def gradient(self, rows: int | None = None) -> Gradient:
        """Room for the gradient of losses of so many rows; None: of any number."""
        ...

    def backward(self, observations: Floats, trace: Trace, by_policy: Floats, by_values: Floats, gradient: Any) -> None:
        """Write into `gradient`, which `self.gradient` gave, that of a loss.

        by_policy, by_values: the loss's gradients by the outputs (rows, outputs) and by the values (rows,).
        """
        ...


class Architecture(Protocol):
    """A network before it has parameters."""

    @property
    def layout(self) -> Layout:
        """Of its parameters."""
        ...

    def initial(self, generator: Generator) -> Floats:
        """Fresh parameters (size,)."""
        ...

    def bind(self, parameters: Floats) -> Network:
        """The network on `parameters` (size,), which it reads where they are."""
        ...
