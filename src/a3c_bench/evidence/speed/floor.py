"""The floor: what one core needs for the parts that no training can do without, each alone and at the same shapes.

Environment steps; the fewest array operations that give actions (matrix products, activation functions, one draw of
noise); and the floating-point work of the network's backward pass. Not in it: returns, advantages, the loss, episode
statistics, copying, the optimizer, schedule and snapshots.
"""

from ctypes import Array, c_longlong
from typing import Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from a3c_bench.algorithms.actor import EpisodicActor, NStepActor, Workspace, initial_parameters, make_layout
from a3c_bench.algorithms.loss import episodic_loss
from a3c_bench.arrays import Floats, Integers
from a3c_bench.config import AlgorithmName, Config
from a3c_bench.distributions.categorical import gumbel_noise
from a3c_bench.environments.make import describe
from a3c_bench.networks.dense import ZERO, EpisodicNetwork, Layer
from a3c_bench.seeding import Role, stream
from a3c_bench.textbook import end_with_parent

FLOOR_SEED = 0
EPISODE_STEPS = 100
"""Of the episode whose gradient is the floor of `episodic`."""


class Floor(Protocol):
    """The three parts, each for a whole rollout of `env_steps`."""

    env_steps: int
    gradient: Floats
    """What the backward pass writes, (size,)."""

    def step_environment(self) -> None:
        """Step the environment."""
        ...

    def act(self) -> None:
        """Do the array operations that choose the actions."""
        ...

    def differentiate(self) -> None:
        """Do the backward pass."""
        ...


class NStepFloor:
    """On the buffers of an actor of `nstep`."""

    def __init__(self, config: Config) -> None:
        environment, settings = describe(config.env), config.nstep
        parameters = initial_parameters(settings, make_layout(settings, environment), FLOOR_SEED)
        workspace = Workspace(settings, environment)
        self._actor = NStepActor(settings, environment, FLOOR_SEED, 0, parameters, workspace)
        self._noise = stream(FLOOR_SEED, Role.PROFILE)
        self._rollout = self._actor.collect()
        self._gradients, _ = self._actor.loss(self._rollout)
        self._rows = self._rollout.rows()
        network = self._actor.network
        self._hidden, self._head = _transposed(network.hidden), _transposed([network.actor])[0]
        self._actions = self._rollout.actions.copy()
        self.env_steps = self._rollout.actions.size
        self.gradient = workspace.blocks[0].gradient.flat

    def step_environment(self) -> None:
        """Step the environment."""
        for actions in self._actions:
            self._actor.collector.environment.step(actions)

    def act(self) -> None:
        """Choose the actions."""
        for row, noise in zip(self._rows, gumbel_noise(self._noise, self._rollout.logits.shape), strict=True):
            features = self._features(row.observations, row.activations)
            weight, bias = self._head
            np.dot(features, weight, row.logits)
            np.add(row.logits, bias, row.logits)
            np.add(noise, row.logits, noise).argmax(axis=1, out=row.actions)
        last = self._rollout.observations[-1]
        self._features(last, [layer[-1] for layer in self._rollout.activations])

    def _features(self, features: Floats, out: list[Floats]) -> Floats:
        for (weight, bias), activations in zip(self._hidden, out, strict=True):
            np.dot(features, weight, activations)
            np.add(activations, bias, activations)
            features = np.tanh(activations, activations)
        return features

    def differentiate(self) -> None:
        """Do the backward pass."""
        self._actor.block_gradients(self._rollout, self._gradients)


class EpisodicFloor:
    """An episode of a fixed length, on one environment."""

    def __init__(self, config: Config) -> None:
        environment, settings = describe(config.env), config.episodic
        layout = make_layout(settings, environment)
        actor = EpisodicActor(settings, environment, FLOOR_SEED, 0, initial_parameters(settings, layout, FLOOR_SEED))
        self._environment, self._network = actor.collector.environment, actor.network
        self.gradient = np.zeros(layout.size, np.float32)
        self._gradient = EpisodicNetwork(layout, self.gradient)
        generator = stream(FLOOR_SEED, Role.PROFILE)
        self._observations = generator.normal(size=(EPISODE_STEPS, environment.observation_size)).astype(np.float32)
        self._actions: Integers = generator.integers(environment.action_count, size=EPISODE_STEPS)
        self._noise = gumbel_noise(generator, (EPISODE_STEPS, environment.action_count))
        self._hidden, self._head = _transposed(self._network.hidden), _transposed([self._network.actor])[0]
        self._features = self._network.features(self._observations)
        self._critic, values = self._network.values(self._features[-1])
        logits = self._network.actor.forward(self._features[-1])
        self._gradients, _ = episodic_loss(logits, values, self._actions, values + 1, settings.critic_weight)
        self.env_steps = EPISODE_STEPS

    def step_environment(self) -> None:
        """Step the environment."""
        for action in self._actions.tolist():
            _, _, terminated, truncated, _ = self._environment.step(action)
            if terminated or truncated:
                self._environment.reset()

    def act(self) -> None:
        """Choose the actions."""
        for features, noise in zip(self._observations, self._noise, strict=True):
            logits = features
            for weight, bias in self._hidden:
                logits = np.dot(logits, weight)
                np.maximum(np.add(logits, bias, logits), ZERO, out=logits)
            weight, bias = self._head
            logits = np.dot(logits, weight)
            np.add(np.add(logits, bias, logits), noise, logits).argmax()

    def differentiate(self) -> None:
        """Do the backward pass."""
        gradients = self._gradients
        self._network.backward(
            self._features, gradients.logits, self._critic, gradients.values[:, None], self._gradient
        )


def make_floor(config: Config, algorithm: AlgorithmName) -> Floor:
    """The floor of an algorithm under the params."""
    return NStepFloor(config) if algorithm == "nstep" else EpisodicFloor(config)


def work(counts: "Array[c_longlong]", place: int, config: Config, algorithm: AlgorithmName) -> None:
    """Rollout after rollout of the floor, without an end."""
    end_with_parent()
    with threadpool_limits(1):
        floor = make_floor(config, algorithm)
        while True:
            floor.step_environment()
            floor.act()
            floor.differentiate()
            counts[place] += floor.env_steps


def _transposed(layers: list[Layer]) -> list[tuple[Floats, Floats]]:
    return [(layer.weight.T, layer.bias) for layer in layers]
