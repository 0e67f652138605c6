"""What a network is: a differentiable function on a flat vector of parameters.

The cut that lets one loss serve every network: a loss and a distribution give the gradient by the outputs, in closed
form; the network only carries it back to its parameters.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.random import Generator

from a3c_bench.arrays import Floats


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


class Rows(Protocol):
    """Some observations, a row each, with room for what a network makes of them."""

    @property
    def observations(self) -> Floats:
        """(rows, inputs), to be filled by whoever has them."""
        ...

    @property
    def outputs(self) -> Floats:
        """The policy's (rows, outputs): what its distribution needs."""
        ...

    @property
    def values(self) -> Floats:
        """The critic's (rows,)."""
        ...

    def part(self, start: int, stop: int) -> Self:
        """The same memory from row `start` to `stop`. Several threads can work on several parts."""
        ...


class Network(Protocol):
    """A network that is bound to parameters. It knows the rows that its own architecture gave."""

    def forward(self, rows: Any, start: int, stop: int, values: bool = True) -> None:
        """Fill outputs, and values if asked, from row `start` to `stop`: they must be there."""
        ...

    def backward(self, rows: Any, by_outputs: Floats, by_values: Floats, gradient: Floats) -> None:
        """Write the gradient (size,) of a loss by the parameters, after `forward` with values.

        by_outputs, by_values: the loss's gradients by outputs (count, outputs) and values (count,) of the first rows.
        Raises `TypeError` for arrays that are not float32, have gaps or are too short.
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

    def rows(self, count: int) -> Rows:
        """Room for so many observations, used again and again: memory that is asked for anew is dear."""
        ...

    def bind(self, parameters: Floats) -> Network:
        """The network on `parameters` (size,), which it reads where they are."""
        ...
