"""The floor: what one core needs for the parts that no training can do without, each alone and at the same shapes.

Environment steps; the fewest array operations that give actions (matrix products, activation functions, one draw of
noise); and the floating-point work of the network's backward pass. Not in it: returns, advantages, the loss, episode
statistics, copying, the optimizer, schedule and snapshots.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from ctypes import Array, c_longlong
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from a3c_bench.algorithms.base import Settings
from a3c_bench.arrays import Floats
from a3c_bench.config import Config
from a3c_bench.environments.make import EnvironmentInfo, describe
from a3c_bench.errors import BadInputError
from a3c_bench.learning.rollout import Block, Episode, flat_rows
from a3c_bench.networks.base import Trace
from a3c_bench.networks.dense import ACTIVATIONS, DenseArchitecture
from a3c_bench.processes import end_with_parent
from a3c_bench.seeding import Role, stream

FLOOR_SEED = 0
EPISODE_STEPS = 100
"""Of the episode whose parts are the floor of an algorithm that learns from whole episodes."""


class Floor(ABC):
    """The three parts, each for a whole rollout of `env_steps`."""

    observations: Floats
    """(rows, inputs)."""
    trace: Trace

    def __init__(self, settings: Settings, environment: EnvironmentInfo, rows: int) -> None:
        architecture = settings.architecture(environment)
        if not isinstance(architecture, DenseArchitecture):
            raise BadInputError(f"no floor is known for {type(architecture).__name__}; allowed: a dense network")
        parameters = settings.initial_parameters(environment, FLOOR_SEED)
        self.network, layers = architecture.bind(parameters), architecture.layers(parameters)
        self.distribution = settings.distribution(environment)
        self.generator = stream(FLOOR_SEED, Role.PROFILE)
        self.activate = ACTIVATIONS[architecture.activation].apply
        self.hidden = [(layers[name].weight.T, layers[name].bias) for name in layers if name.startswith("hidden.")]
        self.head = layers["actor"].weight.T, layers["actor"].bias
        first = int(architecture.normalised)
        self.shared = slice(first, first + len(self.hidden))
        self.env_steps = rows
        self._gradient = self.network.gradient(rows)
        self._by_policy, self._by_values = (
            self.generator.normal(size=shape).astype(np.float32) for shape in ((rows, self.distribution.size), rows)
        )

    @property
    def gradient(self) -> Floats:
        """What the backward pass writes, (size,)."""
        return self._gradient.flat

    @abstractmethod
    def step_environment(self) -> None:
        """Step the environment."""

    @abstractmethod
    def act(self) -> None:
        """Do the array operations that choose the actions."""

    def differentiate(self) -> None:
        """Do the backward pass."""
        self.network.backward(self.observations, self.trace, self._by_policy, self._by_values, self._gradient)


class BlockFloor(Floor):
    """On the buffers of an actor that collects blocks."""

    def __init__(self, settings: Settings, environment: EnvironmentInfo, block: Block, stepped: Any) -> None:
        super().__init__(settings, environment, block.rewards.size)
        self._environment, self._rows = stepped, block.rows()
        self._noise_shape, self._actions = block.rewards.shape, block.actions.copy()
        self._last, self._last_trace = block.observations[-1], [array[-1] for array in block.trace]
        self.observations = flat_rows(block.observations)[: self.env_steps]
        self.trace = [array[: self.env_steps] for array in block.flat_trace]

    def step_environment(self) -> None:
        """Step the environment."""
        for actions in self._actions:
            self._environment.step(actions)

    def act(self) -> None:
        """Choose the actions."""
        weight, bias = self.head
        noise = self.distribution.noise(self.generator, self._noise_shape)
        for row, draws in zip(self._rows, noise, strict=True):
            np.dot(self._features(row.observations, row.trace), weight, row.outputs)
            np.add(row.outputs, bias, row.outputs)
            self.distribution.sample(row.outputs, draws, row.actions)
        self._features(self._last, self._last_trace)

    def _features(self, features: Floats, out: Trace) -> Floats:
        for (weight, bias), activations in zip(self.hidden, out[self.shared], strict=True):
            np.dot(features, weight, activations)
            np.add(activations, bias, activations)
            features = self.activate(activations, activations)
        return features


class EpisodeFloor(Floor):
    """An episode of a fixed length, on one environment."""

    def __init__(self, settings: Settings, environment: EnvironmentInfo, episode: Episode, stepped: Any) -> None:
        super().__init__(settings, environment, EPISODE_STEPS)
        self._environment = stepped
        size = (EPISODE_STEPS, environment.observation.size)
        self.observations = self.generator.normal(size=size).astype(np.float32)
        self.trace = self.network.trace((EPISODE_STEPS,))
        outputs = self.network.policy(self.observations, self.trace)
        self.network.values(self.trace)
        self._noise = self.distribution.noise(self.generator, (EPISODE_STEPS,))
        self._actions = self.distribution.sample(outputs, self._noise.copy())

    def step_environment(self) -> None:
        """Step the environment."""
        for action in self._actions:
            _, _, terminated, truncated, _ = self._environment.step(action)
            if terminated or truncated:
                self._environment.reset()

    def act(self) -> None:
        """Choose the actions."""
        weight_of_head, bias_of_head = self.head
        for features, noise in zip(self.observations, self._noise, strict=True):
            outputs = features
            for weight, bias in self.hidden:
                outputs = np.dot(outputs, weight)
                self.activate(np.add(outputs, bias, outputs), outputs)
            outputs = np.dot(outputs, weight_of_head)
            self.distribution.sample(np.add(outputs, bias_of_head, outputs), noise, None)


FLOORS: Mapping[type, Any] = {Block: BlockFloor, Episode: EpisodeFloor}
"""By what an actor collects."""


def make_floor(config: Config, algorithm: str) -> Floor:
    """The floor of an algorithm under the params; raises `BadInputError` where none is known."""
    settings, environment = config.algorithm(algorithm), describe(config.env)
    actor = settings.actor_maker(environment, FLOOR_SEED)(0, settings.initial_parameters(environment, FLOOR_SEED))
    rollout = actor.collect()
    if type(rollout) not in FLOORS:
        raise BadInputError(f"no floor is known for rollouts of {type(rollout).__name__}")
    floor: Floor = FLOORS[type(rollout)](settings, environment, rollout, actor.environment)
    return floor


def work(counts: "Array[c_longlong]", place: int, config: Config, algorithm: str) -> None:
    """Rollout after rollout of the floor, without an end."""
    end_with_parent()
    with threadpool_limits(1):
        floor = make_floor(config, algorithm)
        while True:
            floor.step_environment()
            floor.act()
            floor.differentiate()
            counts[place] += floor.env_steps
