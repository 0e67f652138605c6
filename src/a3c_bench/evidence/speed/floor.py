"""The floor: what one core needs for the parts that no training can do without, each alone and at the same shapes.

Environment steps; the kernels' calls that give actions (forward pass, one draw of noise, sampling); and that of the
network's backward pass. Not in it: returns, advantages, the loss, episode statistics, copying, the optimizer, schedule
and snapshots.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from ctypes import Array, c_longlong
from typing import Any

import numpy as np

from a3c_bench.algorithms.base import Settings
from a3c_bench.config import Config
from a3c_bench.environments.make import EnvironmentInfo, describe
from a3c_bench.errors import BadInputError
from a3c_bench.learning.block import Block, flat_rows
from a3c_bench.learning.rollout import Episode
from a3c_bench.networks.base import Rows
from a3c_bench.processes import end_with_parent
from a3c_bench.seeding import Role, stream

FLOOR_SEED = 0
EPISODE_STEPS = 100
"""Of the episode whose parts are the floor of an algorithm that learns from whole episodes."""


class Floor(ABC):
    """The three parts, each for a whole rollout of `env_steps`."""

    rows: Rows
    """On which actions are taken."""

    def __init__(self, settings: Settings, environment: EnvironmentInfo, rows: int) -> None:
        self.architecture = settings.architecture(environment)
        parameters = settings.initial_parameters(environment, FLOOR_SEED)
        self.network = self.architecture.bind(parameters[: self.architecture.layout.size])
        self.distribution = settings.distribution(environment)
        self.generator = stream(FLOOR_SEED, Role.PROFILE)
        self.env_steps = rows
        self.gradient = np.zeros_like(parameters)
        """What the backward pass writes."""
        self._by_outputs, self._by_values = (
            self.generator.normal(size=shape).astype(np.float32) for shape in ((rows, self.distribution.size), rows)
        )

    @abstractmethod
    def step_environment(self) -> None:
        """Step the environment."""

    @abstractmethod
    def act(self) -> None:
        """Do what chooses the actions."""

    def differentiate(self) -> None:
        """Do the backward pass."""
        self.network.backward(self.rows, self._by_outputs, self._by_values, self.gradient)


class BlockFloor(Floor):
    """On the buffers of an actor that collects blocks."""

    def __init__(self, settings: Settings, environment: EnvironmentInfo, block: Block, stepped: Any) -> None:
        super().__init__(settings, environment, block.rewards.size)
        self._environment, self._block, self._actions = stepped, block, block.actions.copy()
        self._steps, self.rows = block.steps, block.acted
        self._sample = self.distribution.sampler(self.rows.outputs, flat_rows(block.noise), flat_rows(block.actions))

    def step_environment(self) -> None:
        """Step the environment."""
        for actions in self._actions:
            self._environment.step(actions)

    def act(self) -> None:
        """Choose the actions."""
        self.distribution.draw(self.generator, self._block.noise)
        for step in self._steps:
            self.network.forward(self._block.rows, step.start, step.stop)
            self._sample(step.start, step.stop)
        self.network.forward(self._block.rows, step.stop, step.stop + len(step.actions))


class EpisodeFloor(Floor):
    """An episode of a fixed length, on one environment."""

    def __init__(self, settings: Settings, environment: EnvironmentInfo, episode: Episode, stepped: Any) -> None:
        super().__init__(settings, environment, EPISODE_STEPS)
        self._environment, self.rows = stepped, self.architecture.rows(EPISODE_STEPS)
        self.rows.observations[:] = self.generator.normal(size=self.rows.observations.shape)
        self.network.forward(self.rows, 0, EPISODE_STEPS)
        noise, self._actions = (make((EPISODE_STEPS,)) for make in (self.distribution.noise, self.distribution.actions))
        self.distribution.draw(self.generator, noise)
        self._sample = self.distribution.sampler(self.rows.outputs, noise, self._actions)
        self.act()

    def step_environment(self) -> None:
        """Step the environment."""
        for action in self._actions:
            _, _, terminated, truncated, _ = self._environment.step(action)
            if terminated or truncated:
                self._environment.reset()

    def act(self) -> None:
        """Choose the actions."""
        for step in range(EPISODE_STEPS):
            self.network.forward(self.rows, step, step + 1, values=False)
            self._sample(step, step + 1)


FLOORS: Mapping[type, Any] = {Block: BlockFloor, Episode: EpisodeFloor}
"""By what an actor collects."""


def make_floor(config: Config, algorithm: str) -> Floor:
    """The floor of an algorithm under the params; raises `BadInputError` where none is known."""
    settings, environment = config.algorithm(algorithm), describe(config.recipe)
    actor = settings.actor_maker(environment, FLOOR_SEED)(0, settings.initial_parameters(environment, FLOOR_SEED))
    rollout = actor.collect()
    if type(rollout) not in FLOORS:
        raise BadInputError(f"no floor is known for rollouts of {type(rollout).__name__}")
    floor: Floor = FLOORS[type(rollout)](settings, environment, rollout, actor.environment)
    return floor


def work(counts: "Array[c_longlong]", place: int, config: Config, algorithm: str) -> None:
    """Rollout after rollout of the floor, without an end."""
    end_with_parent()
    floor = make_floor(config, algorithm)
    while True:
        floor.step_environment()
        floor.act()
        floor.differentiate()
        counts[place] += floor.env_steps
