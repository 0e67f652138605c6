"""The two networks, as views on one flat float32 vector, with their closed-form backward passes.

Written out in numpy: at these sizes automatic differentiation costs two to three times the arithmetic itself, and
OpenBLAS's Haswell kernels keep their bits across CPUs at no cost. The textbook module, in torch, is the oracle that
the tests hold these gradients against. Weights have torch's shape, (outputs, inputs).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.random import Generator

from a3c_bench.arrays import Floats

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
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

    def accumulate(self, inputs: Floats, outer: Floats) -> None:
        """Set this gradient to that of a layer fed `inputs` (rows, inputs) whose outputs' gradient is `outer`."""
        np.matmul(outer.T, inputs, out=self.weight)
        np.sum(outer, axis=0, out=self.bias)


@dataclass(frozen=True)
class Layout:
    """Where each layer lies in the flat parameter vector."""

    sizes: Mapping[str, tuple[int, int]]
    """Layer name to (inputs, outputs), in the order of the vector."""

    @property
    def shapes(self) -> Shapes:
        """Tensor name to shape, in the order of the vector."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name, (inputs, outputs) in self.sizes.items():
            shapes[f"{name}.weight"] = (outputs, inputs)
            shapes[f"{name}.bias"] = (outputs,)
        return shapes

    @property
    def size(self) -> int:
        """Length of the flat vector."""
        return sum(inputs * outputs + outputs for inputs, outputs in self.sizes.values())

    def tensors(self, flat: Floats) -> dict[str, Floats]:
        """Views on the vector `flat` (size,), by tensor name."""
        return dict(self._views(flat))

    def layers(self, flat: Floats) -> dict[str, Layer]:
        """Views on the vector `flat` (size,), by layer name."""
        tensors = self.tensors(flat)
        return {name: Layer(tensors[f"{name}.weight"], tensors[f"{name}.bias"]) for name in self.sizes}

    def _views(self, flat: Floats) -> Iterator[tuple[str, Floats]]:
        start = 0
        for name, shape in self.shapes.items():
            stop = start + int(np.prod(shape))
            yield name, flat[start:stop].reshape(shape)
            start = stop

    def initial(self, generator: Generator, gains: Mapping[str, float]) -> Floats:
        """Fresh parameters (size,): uniform in ±gain/√inputs, torch's default for linear layers where gain is 1."""
        flat = np.empty(self.size, dtype=np.float32)
        for name, layer in self.layers(flat).items():
            bound = gains.get(name, 1.0) / np.sqrt(layer.weight.shape[1])
            for tensor in layer:
                tensor[...] = generator.uniform(-bound, bound, tensor.shape)
        return flat


def _trunk(observation_size: int, hidden: Sequence[int]) -> dict[str, tuple[int, int]]:
    inputs = (observation_size, *hidden[:-1])
    return {f"hidden.{index}": sizes for index, sizes in enumerate(zip(inputs, hidden, strict=True))}


def nstep_layout(observation_size: int, action_count: int, hidden: Sequence[int]) -> Layout:
    """Shared hidden layers, and one linear head each for the actor and the critic."""
    heads = {"actor": (hidden[-1], action_count), "critic": (hidden[-1], 1)}
    return Layout({**_trunk(observation_size, hidden), **heads})


def episodic_layout(observation_size: int, action_count: int, hidden: Sequence[int], critic_hidden: int) -> Layout:
    """The textbook network: shared hidden layers, the actor's head, and the critic's own hidden layer and head."""
    heads = {
        "actor": (hidden[-1], action_count),
        "critic_hidden": (hidden[-1], critic_hidden),
        "critic": (critic_hidden, 1),
    }
    return Layout({**_trunk(observation_size, hidden), **heads})


class NStepNetwork:
    """Shared tanh layers with a linear actor and a linear critic, on views of a flat vector."""

    def __init__(self, layout: Layout, flat: Floats) -> None:
        layers = layout.layers(flat)
        self.hidden = [layer for name, layer in layers.items() if name.startswith("hidden.")]
        self.actor, self.critic = layers["actor"], layers["critic"]

    def features(self, observations: Floats, out: Sequence[Floats]) -> Floats:
        """Fill `out`, one array (rows, units) per hidden layer, from `observations`; returns the last."""
        features = observations
        for layer, activations in zip(self.hidden, out, strict=True):
            features = np.tanh(layer.forward(features, activations), out=activations)
        return features

    def logits(self, observations: Floats) -> Floats:
        """Unnormalised log-probabilities (rows, actions) of `observations` (rows, size)."""
        out = [np.empty((len(observations), len(layer.bias)), np.float32) for layer in self.hidden]
        return self.actor.forward(self.features(observations, out))

    def backward(
        self,
        observations: Floats,
        activations: Sequence[Floats],
        logits_gradient: Floats,
        values_gradient: Floats,
        gradient: "NStepGradient",
    ) -> None:
        """Write into `gradient` that of a loss whose gradients by logits and values are given, row by row."""
        last = activations[-1]
        gradient.actor.accumulate(last, logits_gradient)
        gradient.critic.accumulate(last, values_gradient)
        outer = np.matmul(logits_gradient, self.actor.weight, out=gradient.outer[-1])
        outer += np.matmul(values_gradient, self.critic.weight, out=gradient.scratch[-1])
        for index in reversed(range(len(self.hidden))):
            slope = np.square(activations[index], out=gradient.scratch[index])
            outer *= np.subtract(1, slope, out=slope)
            gradient.hidden[index].accumulate(activations[index - 1] if index else observations, outer)
            if index:
                outer = np.matmul(outer, self.hidden[index].weight, out=gradient.outer[index - 1])


class NStepGradient(NStepNetwork):
    """Room for the gradient of a loss of so many rows, and for what is computed on the way to it."""

    def __init__(self, layout: Layout, rows: int) -> None:
        self.flat = np.zeros(layout.size, np.float32)
        super().__init__(layout, self.flat)
        # Memory that is asked for anew costs more than what is done with it.
        self.outer = [np.zeros((rows, len(layer.bias)), np.float32) for layer in self.hidden]
        self.scratch = [np.zeros_like(outer) for outer in self.outer]


class EpisodicNetwork:
    """The textbook network: ReLU layers on the L2-normalised observation, and a critic on the detached features."""

    def __init__(self, layout: Layout, flat: Floats) -> None:
        layers = layout.layers(flat)
        self.hidden = [layer for name, layer in layers.items() if name.startswith("hidden.")]
        self.actor, self.critic_hidden, self.critic = layers["actor"], layers["critic_hidden"], layers["critic"]

    def features(self, observations: Floats) -> list[Floats]:
        """The normalised observations (rows, size), then the activations of every hidden layer."""
        lengths = np.sqrt(np.vecdot(observations, observations))
        activations = [observations / np.maximum(lengths, np.float32(SHORTEST))[:, None]]
        for layer in self.hidden:
            outputs = layer.forward(activations[-1])
            activations.append(np.maximum(outputs, ZERO, out=outputs))
        return activations

    def logits(self, observations: Floats) -> Floats:
        """Unnormalised log-probabilities (rows, actions) of `observations` (rows, size)."""
        return self.actor.forward(self.features(observations)[-1])

    def logits_of_one(self, observation: Floats) -> Floats:
        """The same, (actions,), of one observation (size,), with little overhead: it is most of what one row costs."""
        length = max(math.sqrt(np.dot(observation, observation)), SHORTEST)
        features = observation / length
        for layer in self.hidden:
            features = layer.forward(features)
            np.maximum(features, ZERO, out=features)
        return self.actor.forward(features)

    def values(self, features: Floats) -> tuple[Floats, Floats]:
        """The critic's hidden activations and its values (rows,), in (−1, 1)."""
        hidden = np.maximum(self.critic_hidden.forward(features), ZERO)
        return hidden, np.tanh(self.critic.forward(hidden))[:, 0]

    def backward(
        self,
        activations: Sequence[Floats],
        logits_gradient: Floats,
        critic_activations: Floats,
        critic_gradient: Floats,
        gradient: "EpisodicNetwork",
    ) -> None:
        """Write into `gradient` that of a loss whose gradients by logits and by the critic's output (before its tanh)
        are given, row by row; the critic's does not flow into the shared layers."""
        gradient.critic.accumulate(critic_activations, critic_gradient)
        critic_outer = critic_gradient * self.critic.weight * (critic_activations > 0)
        gradient.critic_hidden.accumulate(activations[-1], critic_outer)

        gradient.actor.accumulate(activations[-1], logits_gradient)
        outer = logits_gradient @ self.actor.weight
        for index in reversed(range(len(self.hidden))):
            outer *= activations[index + 1] > 0
            gradient.hidden[index].accumulate(activations[index], outer)
            if index:
                outer = outer @ self.hidden[index].weight
