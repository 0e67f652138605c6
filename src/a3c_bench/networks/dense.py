"""Fully connected networks on one flat float32 vector, with their backward pass in closed form.

The arithmetic is in the kernels (`dense.h`). The textbook module, in torch, is the oracle that the tests hold these
gradients against. Weights are (inputs, outputs).
"""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.random import Generator

from a3c_bench.arrays import Floats
from a3c_bench.kernels.library import FLOATS, address, call, prepare, require_sizes
from a3c_bench.networks.base import Layout

Activation = Literal["tanh", "relu"]
ACTIVATIONS: Mapping[Activation, int] = {"tanh": 0, "relu": 1}
"""The kernels' numbers of them."""


class _Layer(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("inputs", "outputs", "weight", "bias")]


class _Dense(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("inputs", "activation", "normalised", "detached", "bounded")),
        *((name, ctypes.c_int64) for name in ("free_outputs", "hidden_layers")),
        *((name, _Layer) for name in ("actor", "critic", "critic_hidden")),
        ("hidden", ctypes.POINTER(_Layer)),
    ]


class _Batch(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("observations", "normalised")),
        ("hidden", ctypes.POINTER(ctypes.c_void_p)),
        *((name, ctypes.c_void_p) for name in ("critic_hidden", "outputs", "values", "room")),
    ]


class Layer(NamedTuple):
    """Views on a fully connected layer: `weight` (inputs, outputs) and `bias` (outputs,)."""

    weight: Floats
    bias: Floats


@dataclass(frozen=True)
class Critic:
    """How values are computed from the shared features."""

    hidden: int | None = None
    """Units of a layer of its own."""
    detached: bool = False
    """Its gradient does not flow into the shared layers."""
    bounded: bool = False
    """It ends in a tanh: values lie in (−1, 1)."""


@dataclass(frozen=True)
class DenseArchitecture:
    """Shared hidden layers, a linear head for the policy's outputs, and a critic."""

    inputs: int
    outputs: int
    hidden: tuple[int, ...]
    activation: Activation
    normalised: bool = False
    """Observations are scaled to length 1 first."""
    critic: Critic = Critic()
    policy_gain: float = 1.0
    """The policy's first weights are so much smaller or larger than torch's default."""
    free_outputs: int = 0
    """How many outputs, the last, are parameters: only their bias learns; their weights are and stay 0."""
    free_start: float = 0.0
    """What these outputs begin with."""

    @cached_property
    def sizes(self) -> Mapping[str, tuple[int, int]]:
        """Layer name to (inputs, outputs), in the order of the vector."""
        inputs, features = (self.inputs, *self.hidden[:-1]), self.hidden[-1]
        trunk = {f"hidden.{index}": sizes for index, sizes in enumerate(zip(inputs, self.hidden, strict=True))}
        sizes = {**trunk, "actor": (features, self.outputs)}
        if self.critic.hidden is None:
            return {**sizes, "critic": (features, 1)}
        return {**sizes, "critic_hidden": (features, self.critic.hidden), "critic": (self.critic.hidden, 1)}

    @cached_property
    def layout(self) -> Layout:
        """Of its parameters."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name, (inputs, outputs) in self.sizes.items():
            shapes[f"{name}.weight"] = (inputs, outputs)
            shapes[f"{name}.bias"] = (outputs,)
        return Layout(shapes)

    def layers(self, flat: Floats) -> dict[str, Layer]:
        """Views on the vector `flat` (size,), by layer name."""
        tensors = self.layout.tensors(flat)
        return {name: Layer(tensors[f"{name}.weight"], tensors[f"{name}.bias"]) for name in self.sizes}

    def initial(self, generator: Generator) -> Floats:
        """Fresh parameters (size,): uniform in ±gain/√inputs, torch's default for linear layers where gain is 1."""
        flat = np.empty(self.layout.size, dtype=np.float32)
        for name, layer in self.layers(flat).items():
            gain = self.policy_gain if name == "actor" else 1.0
            bound = gain / np.sqrt(len(layer.weight))
            for tensor in layer:
                # Not `uniform`: what that multiplies and adds may be fused by one compiler and not by another.
                tensor[...] = (2 * generator.random(tensor.shape) - 1) * bound
        actor, first_free = self.layers(flat)["actor"], self.outputs - self.free_outputs
        actor.weight[:, first_free:], actor.bias[first_free:] = 0, self.free_start
        return flat

    def rows(self, count: int) -> "DenseRows":
        """Room for so many observations."""
        return DenseRows(self, count)

    def bind(self, parameters: Floats) -> "DenseNetwork":
        """The network on `parameters` (size,), which it reads where they are."""
        return DenseNetwork(self, parameters)

    @cached_property
    def structure(self) -> "_Dense":
        """As the kernels know it."""
        layers, start = {}, 0
        for name, (inputs, outputs) in self.sizes.items():
            layers[name] = _Layer(inputs, outputs, start, start + inputs * outputs)
            start += (inputs + 1) * outputs
        hidden = [layers.pop(f"hidden.{index}") for index in range(len(self.hidden))]
        return _Dense(
            inputs=self.inputs,
            activation=ACTIVATIONS[self.activation],
            normalised=self.normalised,
            detached=self.critic.detached,
            bounded=self.critic.bounded,
            free_outputs=self.free_outputs,
            hidden_layers=len(hidden),
            hidden=(_Layer * len(hidden))(*hidden),
            **layers,
        )


class DenseRows:
    """Some observations, a row each, and what the layers make of them."""

    def __init__(self, architecture: DenseArchitecture, count: int) -> None:
        def room(units: int | None) -> Floats:
            return np.zeros((count, units or 0), np.float32)

        self._architecture, self.start, self.stop = architecture, 0, count
        self._all = (room(architecture.inputs), room(architecture.outputs), np.zeros(count, np.float32))
        self.hidden = [room(units) for units in architecture.hidden]
        """The shared layers' activations, of all rows."""
        self._own = (room(architecture.inputs if architecture.normalised else None), room(architecture.critic.hidden))
        self._take_views()

    def _take_views(self) -> None:
        observations, outputs, values = self._all
        normalised, critic_hidden = self._own
        self.observations, self.outputs, self.values = (array[self.start : self.stop] for array in self._all)
        weights = max(inputs * outputs for inputs, outputs in self._architecture.sizes.values())
        self._copy = np.zeros(weights, np.float32)
        # The structure has the arrays' addresses only: they live as long as these rows.
        pointers = (ctypes.c_void_p * len(self.hidden))(*(array.ctypes.data for array in self.hidden))
        first, second, *others = (
            array.ctypes.data for array in (observations, normalised, critic_hidden, outputs, values, self._copy)
        )
        self._batch = _Batch(first, second, pointers, *others)
        self.address = ctypes.addressof(self._batch)

    def part(self, start: int, stop: int) -> "DenseRows":
        """The same memory from row `start` to `stop`, with room of its own for what is only computed with."""
        part = object.__new__(DenseRows)
        part._architecture, part._all, part._own, part.hidden = self._architecture, self._all, self._own, self.hidden
        part.start, part.stop = self.start + start, self.start + stop
        part._take_views()
        return part

    def require(self, count: int) -> None:
        """Raise `TypeError` unless there are so many rows."""
        if count > self.stop - self.start:
            raise TypeError(f"there are {self.stop - self.start} rows, not {count}")

    @cached_property
    def _room(self) -> Floats:
        return np.zeros(call("dense_room", self._architecture.structure, self.stop - self.start), np.float32)

    @cached_property
    def room_address(self) -> int:
        """Where the backward pass of these rows has its room."""
        return self._room.ctypes.data


class DenseNetwork:
    """A `DenseArchitecture` on a flat vector."""

    def __init__(self, architecture: DenseArchitecture, parameters: Floats) -> None:
        self._size = architecture.layout.size
        require_sizes(self._size, parameters)
        self._forward = prepare("dense_forward", architecture.structure, parameters)
        self._backward = prepare("dense_backward", architecture.structure, parameters)

    def forward(self, rows: DenseRows, start: int, stop: int, values: bool = True) -> None:
        """Fill outputs, and values if asked, from row `start` to `stop`: they must be there."""
        self._forward(rows.address, rows.start + start, rows.start + stop, values)

    def backward(self, rows: DenseRows, by_outputs: Floats, by_values: Floats, gradient: Floats) -> None:
        """Write the gradient (size,) of a loss, given its gradients by outputs (count, outputs) and values (count,)."""
        count = len(by_values)
        rows.require(count)
        self._backward(
            rows.address,
            rows.start,
            rows.start + count,
            address(by_outputs, FLOATS, count * rows.outputs.shape[1]),
            address(by_values, FLOATS, count),
            address(gradient, FLOATS, self._size),
            rows.room_address,
        )
