"""The actor: one seeded actor-learner, its own environments, its own random streams."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from a3c_bench.algorithms.loss import Losses, OutputGradients, episodic_loss, nstep_loss
from a3c_bench.arrays import Floats
from a3c_bench.config import AlgorithmName, Config, Episodic, NStep
from a3c_bench.environments.make import EnvironmentInfo, make_single, make_vector
from a3c_bench.learning.optimizer import clip
from a3c_bench.learning.returns import discounted_returns, generalised_advantages, standardise, unit_length
from a3c_bench.learning.rollout import (
    EpisodicCollector,
    EpisodicRollout,
    NStepCollector,
    NStepRollout,
)
from a3c_bench.networks.dense import EpisodicNetwork, Layout, NStepGradient, NStepNetwork, episodic_layout, nstep_layout
from a3c_bench.seeding import Role, environment_seed, stream

# A rollout is learned in blocks of this many rows, their gradients summed in order: threads can share the blocks
# between them and the sum stays the same.
BLOCK_ROWS = 1024
FAILURE_REWARD = -10.0
STEP_REWARD = 1.0

Rollout = TypeVar("Rollout", NStepRollout, EpisodicRollout)
Map = Callable[[Callable[["Block"], Floats], Iterable["Block"]], Iterable[Floats]]
"""The built-in `map`, or one that computes in several threads and keeps the order."""


class Statistics(NamedTuple):
    """What is recorded of every update."""

    env_steps: int
    losses: Losses
    gradient_norm: float
    """Euclidean length, before clipping."""


class Actor(Protocol[Rollout]):
    """What a worker needs of an actor. `parameters` is its private snapshot of the model."""

    def collect(self) -> Rollout:
        """Act on the snapshot until the rollout is complete."""
        ...

    def learn(self, rollout: Rollout, gradient: Floats) -> Statistics:
        """Write the gradient of the rollout's loss, by the snapshot, into `gradient` (size,)."""
        ...

    def record(self) -> None:
        """Keep what the learning curve needs of the last rollout."""
        ...

    def finished_episodes(self, everything: bool = False) -> NDArray[np.void]:
        """The training episodes (`FINISHED`) not told of yet: every so many rollouts, or now if `everything`."""
        ...


def make_layout(algorithm: NStep | Episodic, environment: EnvironmentInfo) -> Layout:
    """The parameter layout of an algorithm's network on an environment."""
    sizes = (environment.observation_size, environment.action_count)
    if isinstance(algorithm, NStep):
        return nstep_layout(*sizes, algorithm.hidden)
    return episodic_layout(*sizes, algorithm.hidden, algorithm.critic_hidden)


def initial_parameters(algorithm: NStep | Episodic, layout: Layout, seed: int) -> Floats:
    """Version 0 of the model (size,)."""
    # A nearly uniform first policy, as usual for A2C and PPO; the textbook has torch's default throughout.
    gains = {"actor": 0.01} if isinstance(algorithm, NStep) else {}
    return layout.initial(stream(seed, Role.PARAMETERS), gains)


def actor_maker(
    config: Config, name: AlgorithmName, environment: EnvironmentInfo, seed: int, in_order: Map = map
) -> Callable[[int, Floats], "NStepActor | EpisodicActor"]:
    """Makes the actors of training run `seed`, given their number and the snapshot (size,) that they read.

    Those of one maker share buffers: each must have learned from its rollout before the next one collects.
    """
    if name == "nstep":
        workspace = Workspace(config.nstep, environment, in_order)
        return lambda index, parameters: NStepActor(config.nstep, environment, seed, index, parameters, workspace)
    return lambda index, parameters: EpisodicActor(config.episodic, environment, seed, index, parameters)


class Workspace:
    """Buffers for one rollout of `nstep` and its gradient: all actors of a worker use them, one after another.

    So they stay in the core's cache, where those of every actor would not fit.
    """

    def __init__(self, settings: NStep, environment: EnvironmentInfo, in_order: Map = map) -> None:
        self.rollout = NStepRollout.allocate(
            settings.rollout_steps,
            settings.envs,
            environment.observation_size,
            list(settings.hidden),
            environment.action_count,
        )
        self.blocks = row_blocks(make_layout(settings, environment), settings.rollout_steps * settings.envs)
        # One block alone has nothing to share between threads.
        self.in_order = in_order if len(self.blocks) > 1 else map


class NStepActor:
    """A3C with n-step rollouts: GAE on a block of `rollout_steps` × `envs`."""

    def __init__(
        self,
        settings: NStep,
        environment: EnvironmentInfo,
        seed: int,
        index: int,
        parameters: Floats,
        workspace: Workspace,
    ) -> None:
        self._settings, self._workspace = settings, workspace
        self.network = NStepNetwork(make_layout(settings, environment), parameters)
        self.collector = NStepCollector(
            make_vector(environment.name, settings.envs),
            environment_seed(seed, Role.TRAIN_ENVIRONMENT, index),
            stream(seed, Role.TRAIN_ACTION, index),
            workspace.rollout,
        )

    def collect(self) -> NStepRollout:
        """Act on the snapshot until the rollout is complete."""
        return self.collector.collect(self.network)

    def record(self) -> None:
        """Keep what the learning curve needs of the last rollout."""
        self.collector.record()

    def finished_episodes(self, everything: bool = False) -> NDArray[np.void]:
        """The training episodes (`FINISHED`) not told of yet: every so many rollouts, or now if `everything`."""
        return self.collector.finished_episodes(everything)

    def learn(self, rollout: NStepRollout, gradient: Floats) -> Statistics:
        """Write the gradient of the rollout's loss, by the snapshot, into `gradient` (size,)."""
        gradients, losses = self.loss(rollout)
        first, *others = self.block_gradients(rollout, gradients)
        np.copyto(gradient, first)
        for other in others:
            gradient += other
        length = clip(gradient, self._settings.max_gradient_norm)
        return Statistics(rollout.env_steps, losses, length)

    def loss(self, rollout: NStepRollout) -> tuple[OutputGradients, Losses]:
        """The loss's gradients by the network's outputs, and its statistics."""
        settings = self._settings
        values = self.network.critic.forward(_flat_rows(rollout.activations[-1])).reshape(len(rollout.actions) + 1, -1)
        advantages = generalised_advantages(
            rollout.rewards,
            values,
            rollout.terminated,
            rollout.truncated,
            rollout.counted,
            settings.gamma,
            settings.gae_lambda,
        )
        returns = advantages + values[:-1]
        if settings.normalize_advantages:
            advantages = standardise(advantages, rollout.counted)
        return nstep_loss(
            rollout.logits.reshape(-1, rollout.logits.shape[-1]),
            values[:-1].reshape(-1),
            rollout.actions.reshape(-1),
            advantages.reshape(-1),
            returns.reshape(-1),
            rollout.counted.reshape(-1),
            settings.value_weight,
            settings.entropy_weight,
        )

    def block_gradients(self, rollout: NStepRollout, gradients: OutputGradients) -> list[Floats]:
        """The gradient of every block of rows, in their order."""
        workspace = self._workspace
        return list(workspace.in_order(lambda block: self._block_gradient(rollout, gradients, block), workspace.blocks))

    def _block_gradient(self, rollout: NStepRollout, gradients: OutputGradients, block: "Block") -> Floats:
        self.network.backward(
            _flat_rows(rollout.observations)[block.rows],
            [_flat_rows(layer)[block.rows] for layer in rollout.activations],
            gradients.logits[block.rows],
            gradients.values[block.rows, None],
            block.gradient,
        )
        return block.gradient.flat


class Block(NamedTuple):
    """Some rows of a rollout, and room for the gradient of their loss, which is used again for every rollout."""

    rows: slice
    gradient: NStepGradient


def row_blocks(layout: Layout, rows: int) -> list[Block]:
    """The blocks in which a rollout of so many rows is learned."""
    bounds = [*range(0, rows, BLOCK_ROWS), rows]
    return [Block(slice(start, stop), NStepGradient(layout, stop - start)) for start, stop in pairwise(bounds)]


def _flat_rows(array: Floats) -> Floats:
    return array.reshape(-1, array.shape[-1])


class EpisodicActor:
    """The textbook's actor: one update after every finished episode."""

    def __init__(
        self, settings: Episodic, environment: EnvironmentInfo, seed: int, index: int, parameters: Floats
    ) -> None:
        self._settings = settings
        self._layout = make_layout(settings, environment)
        self.network = EpisodicNetwork(self._layout, parameters)
        self._gradient = np.zeros(self._layout.size, np.float32)
        self._gradient_network = EpisodicNetwork(self._layout, self._gradient)
        self.collector = EpisodicCollector(
            make_single(environment.name),
            environment_seed(seed, Role.TRAIN_ENVIRONMENT, index),
            stream(seed, Role.TRAIN_ACTION, index),
            environment.action_count,
        )

    def collect(self) -> EpisodicRollout:
        """Play one episode on the snapshot."""
        return self.collector.collect(self.network)

    def record(self) -> None:
        """Keep what the learning curve needs of the last episode."""
        self.collector.record()

    def finished_episodes(self, everything: bool = False) -> NDArray[np.void]:
        """The training episodes (`FINISHED`) not told of yet: every so many, or now if `everything`."""
        return self.collector.finished_episodes(everything)

    def learn(self, rollout: EpisodicRollout, gradient: Floats) -> Statistics:
        """Write the gradient of the episode's loss, by the snapshot, into `gradient` (size,)."""
        network = self.network
        activations = network.features(rollout.observations)
        logits = network.actor.forward(activations[-1])
        critic_activations, values = network.values(activations[-1])
        returns = unit_length(discounted_returns(self._rewards(rollout), self._settings.gamma))
        gradients, losses = episodic_loss(logits, values, rollout.actions, returns, self._settings.critic_weight)
        network.backward(
            activations,
            gradients.logits,
            critic_activations,
            gradients.values[:, None],
            self._gradient_network,
        )
        np.copyto(gradient, self._gradient)
        return Statistics(rollout.env_steps, losses, float(np.sqrt(np.dot(gradient, gradient))))

    def _rewards(self, rollout: EpisodicRollout) -> Floats:
        if self._settings.reward == "env":
            return rollout.rewards
        rewards = np.full(rollout.env_steps, STEP_REWARD, np.float32)
        if rollout.terminated:
            rewards[-1] = FAILURE_REWARD
        return rewards
