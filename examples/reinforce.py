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
from a3c_bench.learning.returns import discounted_returns
from a3c_bench.learning.rollout import Episode, EpisodeCollector
from a3c_bench.networks.dense import DenseArchitecture
from a3c_bench.sections import Fraction, Weight, Widths
from a3c_bench.seeding import Role, environment_seed, stream


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

    def with_budget(self, rollouts: int) -> Self:
        """The same with so many episodes of every actor."""
        return self.model_copy(update={"episodes": rollouts})

    def learning_rate_of(self, rollout: int) -> float:
        """It is constant."""
        return self.learning_rate

    def architecture(self, environment: EnvironmentInfo) -> DenseArchitecture:
        """Tanh layers; the policy's outputs, and the baseline, read the last of them."""
        outputs = self.distribution(environment).size
        return DenseArchitecture(environment.observation.size, outputs, self.hidden, "tanh", policy_gain=0.01)

    def actor_maker(self, environment: EnvironmentInfo, seed: int, in_order: InOrder = map) -> MakeActor:
        """Makes the actors of training run `seed`."""
        return lambda index, parameters: ReinforceActor(self, environment, seed, index, parameters)


class ReinforceActor(Actor[Episode]):
    """Plays an episode and learns from it."""

    def __init__(
        self, settings: Reinforce, environment: EnvironmentInfo, seed: int, index: int, parameters: Floats
    ) -> None:
        self._settings, self._distribution = settings, settings.distribution(environment)
        environment_start = environment_seed(seed, Role.TRAIN_ENVIRONMENT, index)
        draws = stream(seed, Role.TRAIN_ACTION, index)
        collector = EpisodeCollector(environment.make_single(), environment_start, draws, self._distribution)
        super().__init__(collector, settings.architecture(environment).bind(parameters))
        self._gradient = self._network.gradient()

    def learn(self, rollout: Episode, gradient: Floats) -> Statistics:
        """Mean over the episode of −log π(a|s) · (G − V) + baseline_weight · (V − G)²; V is a constant in the first."""
        steps, network = np.float32(rollout.env_steps), self._network
        trace = network.trace((rollout.env_steps,))
        taken = self._distribution.taken(network.policy(rollout.observations, trace), rollout.actions)
        values = network.values(trace)
        advantages = discounted_returns(rollout.rewards, self._settings.gamma) - values
        by_policy = taken.loss_gradient(advantages / steps)
        by_values = np.float32(-2 * self._settings.baseline_weight) * advantages / steps
        network.backward(rollout.observations, trace, by_policy, by_values, self._gradient)
        np.copyto(gradient, self._gradient.flat)
        losses = Losses(
            policy_loss=float(-np.mean(taken.log_probabilities * advantages)),
            value_error=float(np.mean(np.square(advantages))),
            entropy=float(np.mean(taken.entropies)),
        )
        return Statistics(rollout.env_steps, losses, float(np.sqrt(np.dot(gradient, gradient))))
