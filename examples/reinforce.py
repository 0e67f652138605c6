"""An algorithm of one's own: REINFORCE with a baseline (Williams 1992; Sutton and Barto 2018, section 13.4).

In params.yaml:

    algorithms: [reinforce]
    reinforce:
      kind: examples.reinforce:Reinforce
      actors: 8
      adam_statistics: shared
      episodes: 300
      learning_rate: 1.0e-3
      gamma: 0.99
      baseline_weight: 0.5
      hidden: [32, 32]
"""

from typing import Self

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from a3c_bench.algorithms.base import Actor, InOrder, Losses, MakeActor, Settings, Statistics
from a3c_bench.arrays import Floats
from a3c_bench.environments.make import EnvironmentInfo
from a3c_bench.learning.optimizer import length
from a3c_bench.learning.returns import discounted_returns, sum_of_products
from a3c_bench.learning.rollout import Episode
from a3c_bench.networks.dense import DenseArchitecture
from a3c_bench.sections import Fraction, Weight, Widths


class Reinforce(Settings):
    """The section of params: one update after every episode."""

    episodes: PositiveInt
    learning_rate: PositiveFloat
    gamma: Fraction
    baseline_weight: Weight
    hidden: Widths

    @property
    def rollouts(self) -> int:
        """Rollouts of every actor: each is one episode."""
        return self.episodes

    def with_budget(self, updates: int) -> Self:
        """The same with so many episodes of every actor."""
        return self.model_copy(update={"episodes": updates})

    def learning_rate_of(self, update: int) -> float:
        """It is constant."""
        return self.learning_rate

    def architecture(self, environment: EnvironmentInfo) -> DenseArchitecture:
        """Tanh layers; the policy's outputs, and the baseline, read the last of them."""
        return self.dense(environment, self.hidden, "tanh", policy_gain=0.01)

    def actor_maker(self, environment: EnvironmentInfo, seed: int, in_order: InOrder = map) -> MakeActor:
        """Makes the actors of training run `seed`."""
        return lambda index, parameters: ReinforceActor(self, environment, seed, index, parameters)


class ReinforceActor(Actor[Episode]):
    """Plays an episode and learns from it."""

    def __init__(
        self, settings: Reinforce, environment: EnvironmentInfo, seed: int, index: int, parameters: Floats
    ) -> None:
        self._settings, self._distribution = settings, settings.distribution(environment)
        network = settings.architecture(environment).bind(parameters)
        super().__init__(settings.episode_collector(environment, seed, index), network)

    def learn(self, rollout: Episode, gradient: Floats) -> Statistics:
        """Mean over the episode of −log π(a|s) · (G − V) + baseline_weight · (V − G)²; V is a constant in the first."""
        steps, rows = np.float32(rollout.env_steps), rollout.room.rows
        self._network.forward(rows, 0, rollout.env_steps)
        taken = self._distribution.taken(rows.outputs, rollout.room.actions)
        taken.evaluate(rollout.env_steps)
        returns = np.empty_like(rollout.rewards)
        discounted_returns(rollout.rewards, self._settings.gamma, returns)
        advantages = returns - rows.values[: rollout.env_steps]
        by_outputs = taken.loss_gradient(rollout.env_steps, advantages / steps)
        by_values = np.float32(-2 * self._settings.baseline_weight) * advantages / steps
        self._network.backward(rows, by_outputs, by_values, gradient)
        losses = Losses(
            policy_loss=-sum_of_products(taken.log_probabilities[: rollout.env_steps], advantages) / rollout.env_steps,
            value_error=sum_of_products(advantages, advantages) / rollout.env_steps,
            entropy=sum_of_products(taken.entropies[: rollout.env_steps], np.ones_like(advantages)) / rollout.env_steps,
        )
        return Statistics(rollout.env_steps, losses, length(gradient))
