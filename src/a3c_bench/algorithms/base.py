"""What an algorithm is: a section of params (`Settings`) that makes actors."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from a3c_bench.arrays import Floats
from a3c_bench.distributions.base import Distribution
from a3c_bench.distributions.choice import distribution_for
from a3c_bench.environments.make import EnvironmentInfo
from a3c_bench.learning.normalisation import NONE, Normalisation
from a3c_bench.learning.rollout import Collector, EpisodeCollector
from a3c_bench.networks.base import Architecture, Layout, Network
from a3c_bench.networks.dense import Activation, DenseArchitecture
from a3c_bench.sections import MOST_TURNS, Actors, AdamStatistics, Section
from a3c_bench.seeding import Role, environment_seed, stream

Rollout = TypeVar("Rollout")
InOrder = Callable[[Callable[[Any], Floats], Iterable[Any]], Iterable[Floats]]
"""The built-in `map`, or one that computes in several threads and keeps the order."""


class Losses(NamedTuple):
    """Statistics of one update, each a mean over the env steps that it learns from."""

    policy_loss: float
    value_error: float
    """Squared difference between value and return."""
    entropy: float
    """Entropy of the policy, in nats."""


class Statistics(NamedTuple):
    """What is recorded of every update."""

    env_steps: int
    """That were collected for it: 0 where it learns from a rollout once more."""
    losses: Losses
    gradient_norm: float
    """Euclidean length, before clipping."""


class Actor(ABC, Generic[Rollout]):
    """One seeded actor-learner. It acts and learns on `network`, bound to its private snapshot of the model."""

    def __init__(self, collector: Collector[Rollout], network: Network) -> None:
        self._collector, self._network = collector, network

    @abstractmethod
    def learn(self, rollout: Rollout, gradient: Floats) -> Statistics:
        """Write the gradient of the update's loss, by the snapshot, into `gradient` (size,)."""

    def update(self, rollout: Rollout, handed_in: Floats) -> Statistics:
        """Learn from a rollout; writes the gradient, and after it the moments of what is new, as the model has them."""
        moments = self._collector.moments
        end = handed_in.size - moments.size
        statistics = self.learn(rollout, handed_in[:end])
        handed_in[end:], moments[:] = moments, 0
        return statistics

    def collect(self) -> Rollout:
        """What the next update learns from: a rollout, acted on the snapshot, or one that it learns from once more."""
        return self._collector.collect(self._network)

    def record(self) -> None:
        """Keep what the learning curve needs of the last rollout, if that was not done yet."""
        self._collector.record()

    def finished_episodes(self, everything: bool = False) -> NDArray[np.void]:
        """The training episodes (`FINISHED`) not told of yet: every so many rollouts, or now if `everything`."""
        return self._collector.finished_episodes(everything)

    @property
    def rollouts_told(self) -> int:
        """The rollouts whose episodes it has told of."""
        return self._collector.rollouts_told

    @property
    def environment(self) -> Any:
        """What it steps."""
        return self._collector.environment

    def state(self) -> tuple[Any, ...]:
        """All that the next update depends on, besides the snapshot; can be pickled if the environment can."""
        return self._collector.state()

    def restore(self, state: tuple[Any, ...]) -> None:
        """Go on from another actor's `state`."""
        self._collector.restore(state)


MakeActor = Callable[[int, Floats], Actor[Any]]
"""An actor by its number, and the snapshot (size,) that it reads."""


@dataclass(frozen=True)
class Policy:
    """A trained policy."""

    outputs: Callable[[Floats], Floats]
    """The network's outputs (rows, size) by rows of observations, in memory that is used again."""
    distribution: Distribution


class Settings(Section, ABC):
    """The section of params of one algorithm; `kind` names its class."""

    TIMES_TEXTBOOK: ClassVar[float | None] = None
    """What `make speed` asks of it: env steps per second ÷ the textbook loop's."""

    kind: str
    actors: Actors
    adam_statistics: AdamStatistics

    @model_validator(mode="after")
    def _not_endless(self) -> Self:
        if self.turns > MOST_TURNS:
            raise ValueError(f"{self.turns} turns in all are too many; at most {MOST_TURNS} are allowed")
        return self

    @property
    @abstractmethod
    def rollouts(self) -> int:
        """Rollouts of every actor."""

    @property
    def updates_per_rollout(self) -> int:
        """Updates that an actor makes of each: one, unless it says otherwise."""
        return 1

    @property
    def updates(self) -> int:
        """Updates of every actor."""
        return self.rollouts * self.updates_per_rollout

    @abstractmethod
    def with_budget(self, updates: int) -> Self:
        """The same with so many updates of every actor, rounded up to whole rollouts."""

    @abstractmethod
    def learning_rate_of(self, update: int) -> float:
        """Adam's step size for an update of an actor, by its number."""

    @abstractmethod
    def architecture(self, environment: EnvironmentInfo) -> Architecture:
        """The network on an environment."""

    def dense(
        self, environment: EnvironmentInfo, hidden: Sequence[int], activation: Activation, **others: Any
    ) -> DenseArchitecture:
        """A dense network from the environment's observations to what the policy needs; `others`: its other fields."""
        distribution = self.distribution(environment)
        return DenseArchitecture(
            environment.observation.size,
            distribution.size,
            tuple(hidden),
            activation,
            free_outputs=distribution.free_outputs,
            **others,
        )

    def episode_collector(self, environment: EnvironmentInfo, seed: int, actor: int) -> EpisodeCollector:
        """Plays the episodes of an actor of training run `seed`, one per rollout."""
        return EpisodeCollector(
            environment.make_single(),
            environment_seed(seed, Role.TRAIN_ENVIRONMENT, actor),
            stream(seed, Role.TRAIN_ACTION, actor),
            self.distribution(environment),
            self.architecture(environment),
        )

    def distribution(self, environment: EnvironmentInfo) -> Distribution:
        """What the network's outputs mean as a policy."""
        return distribution_for(environment.action)

    @abstractmethod
    def actor_maker(self, environment: EnvironmentInfo, seed: int, in_order: InOrder = map) -> MakeActor:
        """Makes the actors of training run `seed`.

        Those of one maker share buffers: each must have learned from its rollout before the next one collects.
        """

    def with_work_for_threads(self) -> Self | None:
        """The same with rollouts that several threads can share; None where they never can."""
        return None

    @property
    def parts(self) -> int:
        """Parts of what an update learns from that threads can share."""
        return 1

    def longest_rollout(self, environment: EnvironmentInfo) -> int:
        """Env steps that a rollout has at most: an episode's, unless it says otherwise."""
        return environment.max_episode_steps or 0

    @property
    def textbook_episodes(self) -> int | None:
        """Episodes of a whole training, where that is the textbook's own loop."""
        return None

    def buffer_bytes(self, environment: EnvironmentInfo, workers: int) -> int:
        """Memory that the actors need in so many workers, at least: by default a gradient for each actor."""
        return 4 * self.actors * self.layout(environment).size

    def objection(self, environment: EnvironmentInfo) -> str | None:
        """Why nobody can want these settings on an environment: the key, its value, and what mends it."""
        return None

    @property
    def turns(self) -> int:
        """Of a whole training."""
        return self.actors * self.updates

    def normalisation(self, environment: EnvironmentInfo) -> Normalisation:
        """What is scaled by running moments: nothing, unless it says otherwise."""
        return NONE

    def layout(self, environment: EnvironmentInfo) -> Layout:
        """Of the model: the network's parameters, then the running moments."""
        return Layout({**self.architecture(environment).layout.shapes, **self.normalisation(environment).shapes})

    def initial_parameters(self, environment: EnvironmentInfo, seed: int) -> Floats:
        """Version 0 of the model (size,)."""
        parameters = self.architecture(environment).initial(stream(seed, Role.PARAMETERS))
        return np.concatenate([parameters, self.normalisation(environment).initial()])

    def policy(self, environment: EnvironmentInfo, parameters: Floats) -> Policy:
        """The policy of a trained model, by its flat parameters (size,)."""
        architecture, normalisation = self.architecture(environment), self.normalisation(environment)
        network = architecture.bind(parameters[: architecture.layout.size])
        # Used again for as many rows: memory that is asked for anew is dearer than what is done with it.
        rows_for = lru_cache(maxsize=1)(architecture.rows)

        def outputs(observations: Floats) -> Floats:
            rows = rows_for(len(observations))
            rows.observations[:] = observations
            normalisation.scale(parameters, rows.observations)
            network.forward(rows, 0, len(observations), values=False)
            return rows.outputs

        return Policy(outputs, self.distribution(environment))
