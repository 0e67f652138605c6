"""Fully connected networks as views on one flat float32 vector, with their backward pass in closed form.

Written out in numpy: at these sizes automatic differentiation costs two to three times the arithmetic itself, and
OpenBLAS's Haswell kernels keep their bits across CPUs at no cost. The textbook module, in torch, is the oracle that
the tests hold these gradients against. Weights have torch's shape, (outputs, inputs).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.random import Generator

from a3c_bench.arrays import Floats
from a3c_bench.networks.base import Layout, Trace

ZERO = np.float32(0)
SHORTEST = 1e-12
"""Observations shorter than this are not scaled up to length 1, as in torch's `normalize`."""


class Layer(NamedTuple):
    """A fully connected layer, or the gradient of one: `weight` (outputs, inputs) and `bias` (outputs,)."""

    weight: Floats
    bias: Floats

    def forward(self, inputs: Floats, out: Floats | None = None) -> Floats:
        """`inputs` (rows, inputs) to (rows, outputs), or one row without its axis."""
        # `dot` and not `matmul`: the same product, but half the overhead, which is what one row costs.
        outputs: Floats = np.dot(inputs, self.weight.T, out)
        outputs += self.bias
        return outputs

    def take_gradient(self, inputs: Floats, by_outputs: Floats) -> None:
        """Become the gradient of a layer fed `inputs` (rows, inputs), given that by its outputs (rows, outputs)."""
        np.matmul(by_outputs.T, inputs, out=self.weight)
        # `np.sum` without its wrapper, which takes longer than the sum.
        np.add.reduce(by_outputs, axis=0, out=self.bias)


class Activation(NamedTuple):
    """A function of one number, and how a gradient by its result becomes one by its argument."""

    apply: Callable[..., Any]
    """(numbers, out)."""
    carry_back: Callable[[Floats, Floats, Floats | None], None]
    """(gradient by the results, which it changes; results; room of their shape)."""


def _relu(numbers: Floats, out: Floats) -> Floats:
    return np.maximum(numbers, ZERO, out=out)


def _back_through_relu(gradient: Floats, results: Floats, room: Floats | None) -> None:
    gradient *= results > 0


def _back_through_tanh(gradient: Floats, results: Floats, room: Floats | None) -> None:
    slope = np.square(results, out=room)
    gradient *= np.subtract(1, slope, out=slope)


ACTIVATIONS: Mapping[str, Activation] = {
    "tanh": Activation(np.tanh, _back_through_tanh),
    "relu": Activation(_relu, _back_through_relu),
}


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
    activation: Literal["tanh", "relu"]
    normalised: bool = False
    """Observations are scaled to length 1 first."""
    critic: Critic = Critic()
    policy_gain: float = 1.0
    """The policy's first weights are so much smaller or larger than torch's default."""

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
            shapes[f"{name}.weight"] = (outputs, inputs)
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
            bound = gain / np.sqrt(layer.weight.shape[1])
            for tensor in layer:
                tensor[...] = generator.uniform(-bound, bound, tensor.shape)
        return flat

    def bind(self, parameters: Floats) -> "DenseNetwork":
        """The network on `parameters` (size,), which it reads where they are."""
        return DenseNetwork(self, parameters)


class DenseGradient:
    """Room for the gradient of a loss, and for what is computed on the way to it."""

    def __init__(self, architecture: DenseArchitecture, rows: int | None) -> None:
        self.flat = np.zeros(architecture.layout.size, np.float32)
        layers = architecture.layers(self.flat)
        self.trunk = [layers[name] for name in layers if name.startswith("hidden.")]
        self.policy, self.critic, self.critic_hidden = layers["actor"], layers["critic"], layers.get("critic_hidden")
        # Memory that is asked for anew costs more than what is done with it.
        self.by_features, self.scratch = (
            [None if rows is None else np.zeros((rows, units), np.float32) for units in architecture.hidden]
            for _ in range(2)
        )


class DenseNetwork:
    """A `DenseArchitecture` on views of a flat vector."""

    def __init__(self, architecture: DenseArchitecture, parameters: Floats) -> None:
        self._architecture, layers = architecture, architecture.layers(parameters)
        self._trunk = [layers[name] for name in layers if name.startswith("hidden.")]
        self._policy, self._critic, self._critic_hidden = layers["actor"], layers["critic"], layers.get("critic_hidden")
        self._activation = ACTIVATIONS[architecture.activation]
        self._activate, self._carry_back = self._activation
        self._normalised, self._detached = architecture.normalised, architecture.critic.detached
        self._bounded = architecture.critic.bounded
        # Where a trace has what, worked out once: for small rollouts it would be a twentieth of learning.
        self._shared = slice(int(self._normalised), int(self._normalised) + len(self._trunk))
        own = (architecture.critic.hidden, 1 if self._bounded else None)
        self._units = (
            *([architecture.inputs] if self._normalised else []),
            *architecture.hidden,
            *(units for units in own if units is not None),
        )

    def trace(self, shape: tuple[int, ...]) -> Trace:
        """Room for the inputs if they are normalised, the shared layers' activations, and the critic's own."""
        return [np.empty((*shape, units), np.float32) for units in self._units]

    def features(self, observations: Floats, trace: Trace) -> Floats:
        """The last shared layer's activations (rows, units)."""
        features = self._inputs(observations, trace[0]) if self._normalised else observations
        for layer, activations in zip(self._trunk, trace[self._shared], strict=True):
            features = self._activate(layer.forward(features, activations), out=activations)
        return features

    @staticmethod
    def _inputs(observations: Floats, out: Floats) -> Floats:
        lengths = np.sqrt(np.vecdot(observations, observations))
        inputs: Floats = np.divide(observations, np.maximum(lengths, np.float32(SHORTEST))[:, None], out=out)
        return inputs

    def policy(self, observations: Floats, trace: Trace, out: Floats | None = None) -> Floats:
        """The policy's outputs (rows, outputs) of `observations` (rows, inputs)."""
        return self._policy.forward(self.features(observations, trace), out)

    def policy_of_one(self, observation: Floats) -> Floats:
        """The policy's outputs (outputs,) of one observation (inputs,)."""
        features = observation
        if self._normalised:
            features = observation / max(math.sqrt(np.dot(observation, observation)), SHORTEST)
        for layer in self._trunk:
            features = layer.forward(features)
            self._activate(features, out=features)
        return self._policy.forward(features)

    def values(self, trace: Trace) -> Floats:
        """The critic's values (rows,)."""
        features, own = trace[self._shared.stop - 1], trace[self._shared.stop :]
        if self._critic_hidden is not None:
            features = self._activate(self._critic_hidden.forward(features, own[0]), out=own[0])
        values = self._critic.forward(features)
        if self._bounded:
            values = np.tanh(values, out=own[-1])
        return values[:, 0]

    def gradient(self, rows: int | None = None) -> DenseGradient:
        """Room for the gradient of losses of so many rows; None: of any number."""
        return DenseGradient(self._architecture, rows)

    def backward(
        self, observations: Floats, trace: Trace, by_policy: Floats, by_values: Floats, gradient: DenseGradient
    ) -> None:
        """Write into `gradient` that of a loss, given its gradients by outputs (rows, outputs) and values (rows,)."""
        shared = trace[self._shared]
        gradient.policy.take_gradient(shared[-1], by_policy)
        by_features = np.matmul(by_policy, self._policy.weight, out=gradient.by_features[-1])
        by_critic = self._critic_backward(shared[-1], trace[self._shared.stop :], by_values[:, None], gradient)
        if by_critic is not None:
            by_features += by_critic
        for index in reversed(range(len(self._trunk))):
            self._carry_back(by_features, shared[index], gradient.scratch[index])
            inputs = shared[index - 1] if index else trace[0] if self._normalised else observations
            gradient.trunk[index].take_gradient(inputs, by_features)
            if index:
                by_features = np.matmul(by_features, self._trunk[index].weight, out=gradient.by_features[index - 1])

    def _critic_backward(
        self, features: Floats, own: Trace, by_values: Floats, gradient: DenseGradient
    ) -> Floats | None:
        """Gradient by the shared features (rows, units); None where the critic reads them detached."""
        layer, layer_gradient = self._critic, gradient.critic
        if self._bounded:
            by_values = by_values * (1 - np.square(own[-1]))
        if self._critic_hidden is not None and gradient.critic_hidden is not None:
            layer_gradient.take_gradient(own[0], by_values)
            by_values = by_values * layer.weight
            self._carry_back(by_values, own[0], None)
            layer, layer_gradient = self._critic_hidden, gradient.critic_hidden
        layer_gradient.take_gradient(features, by_values)
        return None if self._detached else np.matmul(by_values, layer.weight, out=gradient.scratch[-1])
