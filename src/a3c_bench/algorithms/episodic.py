"""The textbook loop: one environment per actor, one update after every finished episode."""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, PositiveFloat

from a3c_bench.algorithms.base import Actor, InOrder, Losses, MakeActor, Settings, Statistics
from a3c_bench.arrays import Floats
from a3c_bench.distributions.base import Distribution
from a3c_bench.environments.make import EnvironmentInfo
from a3c_bench.kernels.library import prepare
from a3c_bench.learning.optimizer import length
from a3c_bench.learning.returns import discounted_returns, scale_to_unit_length
from a3c_bench.learning.rollout import Episode, EpisodeRoom
from a3c_bench.networks.dense import Critic, DenseArchitecture
from a3c_bench.sections import MOST_TURNS, Fraction, Weight, Width, Widths

FAILURE_REWARD = -10.0
STEP_REWARD = 1.0
TEXTBOOK_ENVIRONMENT = "CartPole"
"""The only one on which a step is a success, and the end a failure."""


class Episodic(Settings):
    """The section of params."""

    episodes: Annotated[int, Field(ge=1, le=MOST_TURNS)]
    learning_rate: PositiveFloat
    gamma: Fraction
    critic_weight: Weight
    hidden: Widths
    critic_hidden: Width
    reward: Literal["textbook", "env"]

    @property
    def rollouts(self) -> int:
        """Rollouts of every actor: each is one episode."""
        return self.episodes

    @property
    def textbook_episodes(self) -> int:
        """All that the actors play."""
        return self.actors * self.episodes

    def with_budget(self, updates: int) -> Self:
        """The same with so many episodes of every actor."""
        return self.changed(episodes=updates)

    def learning_rate_of(self, update: int) -> float:
        """It is constant."""
        return self.learning_rate

    def architecture(self, environment: EnvironmentInfo) -> DenseArchitecture:
        """ReLU layers on the L2-normalised observation; a critic of its own, in (−1, 1), on the detached features."""
        critic = Critic(hidden=self.critic_hidden, detached=True, bounded=True)
        return self.dense(environment, self.hidden, "relu", normalised=True, critic=critic)

    def actor_maker(self, environment: EnvironmentInfo, seed: int, in_order: InOrder = map) -> MakeActor:
        """Makes the actors of training run `seed`."""
        return lambda index, parameters: EpisodicActor(self, environment, seed, index, parameters)

    def objection(self, environment: EnvironmentInfo) -> str | None:
        """The textbook's rewards mean nothing where a step is no success."""
        if self.reward == "textbook" and not environment.name.rpartition(":")[2].startswith(TEXTBOOK_ENVIRONMENT):
            return (
                f"reward: 'textbook' pays {STEP_REWARD:+g} for every step, which is the wrong goal on "
                f"{environment.name}; set it to env"
            )
        return None


class EpisodicActor(Actor[Episode]):
    """The textbook's actor."""

    def __init__(
        self, settings: Episodic, environment: EnvironmentInfo, seed: int, index: int, parameters: Floats
    ) -> None:
        self._settings, self._distribution = settings, settings.distribution(environment)
        network = settings.architecture(environment).bind(parameters)
        super().__init__(settings.episode_collector(environment, seed, index), network)
        self._room: EpisodeRoom | None = None

    def learn(self, rollout: Episode, gradient: Floats) -> Statistics:
        """Write the gradient of the episode's loss, by the snapshot, into `gradient` (size,)."""
        room = rollout.room
        if room is not self._room:
            self._room, self._loss = room, EpisodicLoss(self._settings, self._distribution, room)
        self._network.forward(room.rows, 0, rollout.env_steps)
        by_outputs, by_values, losses = self._loss.differentiate(self.rewards(rollout))
        self._network.backward(room.rows, by_outputs, by_values, gradient)
        return Statistics(rollout.env_steps, losses, length(gradient))

    def rewards(self, rollout: Episode) -> Floats:
        """Those that it learns from (steps,): the environment's own, or the textbook's."""
        if self._settings.reward == "env":
            return rollout.rewards
        rewards = np.full(rollout.env_steps, STEP_REWARD, np.float32)
        if rollout.terminated:
            rewards[-1] = FAILURE_REWARD
        return rewards


class EpisodicLoss:
    """The textbook's loss of an episode that lies in `room`, by its discounted returns R, scaled to unit length.

    Σ −log π(a|s) · (R − V) + critic_weight · Σ (V − R)²; V is a constant in the first sum.
    """

    def __init__(self, settings: Episodic, distribution: Distribution, room: EpisodeRoom) -> None:
        self._gamma, self._taken = settings.gamma, distribution.taken(room.rows.outputs, room.actions)
        self._returns, self._weights, self._by_values = (np.zeros_like(room.rewards) for _ in range(3))
        self._means = np.zeros(len(Losses._fields))
        self._compute = prepare(
            "episode_loss",
            *(room.rows.values, self._returns, self._taken.log_probabilities, self._taken.entropies),
            settings.critic_weight,
            *(self._weights, self._by_values, self._means),
        )

    def differentiate(self, rewards: Floats) -> tuple[Floats, Floats, Losses]:
        """Its gradients by outputs (steps, outputs) and values (steps,), and what is recorded of it."""
        steps = len(rewards)
        returns = self._returns[:steps]
        discounted_returns(rewards, self._gamma, returns)
        scale_to_unit_length(returns)
        self._taken.evaluate(steps)
        self._compute(steps)
        by_outputs = self._taken.loss_gradient(steps, self._weights)
        return by_outputs, self._by_values[:steps], Losses(*self._means.tolist())
