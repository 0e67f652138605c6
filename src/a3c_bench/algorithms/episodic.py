"""The textbook loop: one environment per actor, one update after every finished episode."""

from typing import Annotated, Literal, Self, cast

import numpy as np
from pydantic import Field, PositiveFloat

from a3c_bench.algorithms.base import Actor, InOrder, Losses, MakeActor, Settings, Statistics
from a3c_bench.arrays import Floats
from a3c_bench.distributions.base import Taken
from a3c_bench.environments.make import EnvironmentInfo
from a3c_bench.learning.returns import discounted_returns, unit_length
from a3c_bench.learning.rollout import Episode, EpisodeCollector
from a3c_bench.networks.dense import Critic, DenseArchitecture
from a3c_bench.sections import MOST_TURNS, Fraction, Weight, Width, Widths
from a3c_bench.seeding import Role, environment_seed, stream

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

    def with_budget(self, rollouts: int) -> Self:
        """The same with so many episodes of every actor."""
        return self.changed(episodes=rollouts)

    def learning_rate_of(self, rollout: int) -> float:
        """It is constant."""
        return self.learning_rate

    def architecture(self, environment: EnvironmentInfo) -> DenseArchitecture:
        """ReLU layers on the L2-normalised observation; a critic of its own, in (−1, 1), on the detached features."""
        return DenseArchitecture(
            inputs=environment.observation.size,
            outputs=self.distribution(environment).size,
            hidden=self.hidden,
            activation="relu",
            normalised=True,
            critic=Critic(hidden=self.critic_hidden, detached=True, bounded=True),
        )

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
        self._settings = settings
        self._distribution = settings.distribution(environment)
        collector = EpisodeCollector(
            environment.make_single(),
            environment_seed(seed, Role.TRAIN_ENVIRONMENT, index),
            stream(seed, Role.TRAIN_ACTION, index),
            self._distribution,
        )
        super().__init__(collector, settings.architecture(environment).bind(parameters))
        self._gradient = self._network.gradient()

    def learn(self, rollout: Episode, gradient: Floats) -> Statistics:
        """Write the gradient of the episode's loss, by the snapshot, into `gradient` (size,)."""
        network = self._network
        trace = network.trace((rollout.env_steps,))
        outputs = network.policy(rollout.observations, trace)
        values = network.values(trace)
        returns = unit_length(discounted_returns(self.rewards(rollout), self._settings.gamma))
        taken = self._distribution.taken(outputs, rollout.actions)
        by_policy, by_values, losses = episodic_loss(taken, values, returns, self._settings.critic_weight)
        network.backward(rollout.observations, trace, by_policy, by_values, self._gradient)
        np.copyto(gradient, self._gradient.flat)
        return Statistics(rollout.env_steps, losses, float(np.sqrt(np.dot(gradient, gradient))))

    def rewards(self, rollout: Episode) -> Floats:
        """Those that it learns from (steps,): the environment's own, or the textbook's."""
        if self._settings.reward == "env":
            return rollout.rewards
        rewards = np.full(rollout.env_steps, STEP_REWARD, np.float32)
        if rollout.terminated:
            rewards[-1] = FAILURE_REWARD
        return rewards


def episodic_loss(taken: Taken, values: Floats, returns: Floats, critic_weight: float) -> tuple[Floats, Floats, Losses]:
    """The textbook's loss of one episode: its gradients by outputs (steps, outputs) and values (steps,).

    Σ −log π(a|s) · (R − V) + critic_weight · Σ (V − R)²; V is a constant in the first sum.
    """
    advantages = returns - values
    by_policy = taken.loss_gradient(advantages)
    by_values = cast(Floats, np.float32(-2 * critic_weight) * advantages)
    steps = len(values)
    losses = Losses(
        policy_loss=float(-np.dot(taken.log_probabilities, advantages) / steps),
        value_error=float(np.dot(advantages, advantages) / steps),
        entropy=float(taken.total_entropy / steps),
    )
    return by_policy, by_values, losses
