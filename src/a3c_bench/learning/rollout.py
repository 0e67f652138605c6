"""Collecting experience: the block of (time, env) steps between two updates of an actor, or one whole episode."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
from gymnasium import Env
from gymnasium.vector import VectorEnv
from numpy.random import Generator
from numpy.typing import NDArray

from a3c_bench.arrays import Doubles, Floats
from a3c_bench.distributions.base import Distribution
from a3c_bench.environments.spaces import as_float32
from a3c_bench.learning.block import Block, flat_rows
from a3c_bench.learning.episodes import FINISHED, NONE_FINISHED, EpisodeLog
from a3c_bench.learning.normalisation import NO_MOMENTS
from a3c_bench.learning.scaling import Scaling
from a3c_bench.networks.base import Architecture, Network, Rows

KEPT_EPISODES = 32
"""How many episodes are kept before an actor tells of them."""
NOISE_ROWS = 32
"""So many steps' noise is drawn at a time; what an episode leaves of it is not used."""

Rollout = TypeVar("Rollout")


class Collector(ABC, Generic[Rollout]):
    """Steps an actor's environments, and keeps what the learning curve needs."""

    STATE: ClassVar[tuple[str, ...]]
    """The attributes that the next rollout depends on, besides the network."""
    environment: Any
    moments: Floats = NO_MOMENTS
    """Those of what was collected since they were last handed in; all 0 if nothing was."""

    @abstractmethod
    def collect(self, network: Network) -> Rollout:
        """Act with `network` until a rollout is complete."""

    @abstractmethod
    def record(self) -> None:
        """Keep what the learning curve needs of the rollout collected last."""

    @property
    @abstractmethod
    def rollouts_told(self) -> int:
        """The rollouts whose episodes it has told of."""

    @abstractmethod
    def finished_episodes(self, everything: bool = False) -> NDArray[np.void]:
        """The episodes (`FINISHED`) that ended since it last told: every so many rollouts, or now if `everything`."""

    def state(self) -> tuple[Any, ...]:
        """All that the next rollout depends on, besides the network; can be pickled if the environment can."""
        return tuple(getattr(self, name) for name in self.STATE)

    def restore(self, state: tuple[Any, ...]) -> None:
        """Go on from another collector's `state`."""
        for name, value in zip(self.STATE, state, strict=True):
            setattr(self, name, value)


class Acting(NamedTuple):
    """What a `VectorCollector` acts with."""

    environment: VectorEnv[Any, Any, Any]
    seed: int
    """Of its first reset."""
    draws: Generator
    distribution: Distribution
    block: Block
    """That it fills; it may be others' too."""
    scaling: Scaling
    """Of what lies in the block, by the actor's snapshot."""


class VectorCollector(Collector[Rollout]):
    """Steps a vector environment; its episodes go on from rollout to rollout."""

    STATE: ClassVar[tuple[str, ...]] = ("environment", "_draws", "_observations", "_over", "_episodes", "_returns")

    def __init__(self, acting: Acting) -> None:
        self.environment, seed, self._draws, distribution, block, self._scaling = acting
        self._distribution, self._block = distribution, block
        # Made once: taking views anew in every step costs a tenth of acting.
        self._steps, self._all_observations = block.steps, block.observations
        self._sample = distribution.sampler(block.acted.outputs, flat_rows(block.noise), flat_rows(block.actions))
        observations, _ = self.environment.reset(seed=seed)
        self._observations = as_float32(observations)
        self._over = np.zeros(self.environment.num_envs, np.bool_)
        self._returns = np.zeros(self.environment.num_envs)
        """Of the running episodes so far, discounted: kept where rewards are scaled."""
        self.moments = self._scaling.moments
        self._episodes = EpisodeLog(*block.rewards.shape)
        self._recorded_in: EpisodeLog | None = None

    def _fill(self, network: Network) -> Block:
        """Act with `network` until every row of the block is filled."""
        block, rows, sample, scale = self._block, self._block.rows, self._sample, self._scaling.observations
        self._all_observations[0] = self._observations
        self._distribution.draw(self._draws, block.noise)
        for start, stop, actions, rewards, terminated, truncated, next_observations in self._steps:
            scale(start, stop)
            network.forward(rows, start, stop)
            sample(start, stop)
            next_observations[:], rewards[:], terminated[:], truncated[:], _ = self.environment.step(actions)
        scale(stop, stop + len(actions))
        network.forward(rows, stop, stop + len(actions))
        # Gymnasium's vector environments reset on the step after an episode's end: that step is no experience.
        over = block.over
        np.logical_not(self._over, out=block.counted[0])
        np.logical_not(over[:-1], out=block.counted[1:])
        self._over = over[-1]
        self._scaling.take(self._returns)
        self._observations[:] = self._all_observations[-1]
        return block

    def record(self) -> None:
        """Keep what the learning curve needs of the rollout collected last."""
        if self._episodes is not self._recorded_in:
            block, self._recorded_in = self._block, self._episodes
            self._record = self._episodes.recorder(block.rewards, block.counted, block.terminated, block.truncated)
        self._record()

    @property
    def rollouts_told(self) -> int:
        """The rollouts whose episodes it has told of."""
        return self._episodes.rollouts_told

    def finished_episodes(self, everything: bool = False) -> NDArray[np.void]:
        """The episodes (`FINISHED`) that ended since it last told: every so many rollouts, or now if `everything`."""
        return self._episodes.finished() if everything or self._episodes.full else NONE_FINISHED


class BlockCollector(VectorCollector[Block]):
    """Collects a block for every update."""

    def collect(self, network: Network) -> Block:
        """Act with `network` until every row of the block is filled."""
        return self._fill(network)


@dataclass(frozen=True)
class EpisodeRoom:
    """Buffers for an episode of so many steps at most."""

    rows: Rows
    """Of the observations that actions were taken on."""
    noise: Doubles
    actions: Any
    rewards: Floats

    @classmethod
    def allocate(cls, steps: int, architecture: Architecture, distribution: Distribution) -> "EpisodeRoom":
        """Buffers for so many steps."""
        noise, actions = distribution.noise((steps,)), distribution.actions((steps,))
        return cls(architecture.rows(steps), noise, actions, np.zeros(steps, np.float32))

    def copy_from(self, smaller: "EpisodeRoom") -> None:
        """Take over what lies in a smaller room."""
        steps = len(smaller.rewards)
        self.rows.observations[:steps] = smaller.rows.observations
        self.actions[:steps], self.rewards[:steps] = smaller.actions, smaller.rewards


@dataclass(frozen=True)
class Episode:
    """A rollout that is one whole episode: what its room begins with."""

    room: EpisodeRoom
    env_steps: int
    """That count as experience: all of them."""
    terminated: bool
    """The episode ended in a terminal state; False: it was cut at the time limit."""

    @property
    def observations(self) -> Floats:
        """On which actions were taken (steps, size)."""
        return self.room.rows.observations[: self.env_steps]

    @property
    def actions(self) -> Any:
        """(steps,)."""
        return self.room.actions[: self.env_steps]

    @property
    def rewards(self) -> Floats:
        """(steps,)."""
        return self.room.rewards[: self.env_steps]


class EpisodeCollector(Collector[Episode]):
    """Plays one episode of a single environment per rollout."""

    STATE = ("environment", "_draws", "_observation", "_rollouts", "_finished")

    def __init__(
        self,
        environment: Env[Any, Any],
        seed: int,
        draws: Generator,
        distribution: Distribution,
        architecture: Architecture,
    ) -> None:
        self.environment = environment
        self._draws, self._distribution, self._architecture = draws, distribution, architecture
        self._observation, _ = environment.reset(seed=seed)
        self._make_room(2 * NOISE_ROWS)
        self._last: Episode | None = None
        self._rollouts = 0
        self._finished: list[tuple[int, int, int, float]] = []

    def _make_room(self, steps: int) -> None:
        self._room = room = EpisodeRoom.allocate(steps, self._architecture, self._distribution)
        self._sample = self._distribution.sampler(room.rows.outputs, room.noise, room.actions)

    def collect(self, network: Network) -> Episode:
        """Act with `network` until the episode ends."""
        steps, over = 0, False
        while not over:
            if steps == len(self._room.rewards):
                smaller = self._room
                self._make_room(2 * steps)
                self._room.copy_from(smaller)
            steps, terminated, over = self._play(network, steps)
        self._observation, _ = self.environment.reset()
        self._last = Episode(self._room, steps, terminated)
        return self._last

    def _play(self, network: Network, first: int) -> tuple[int, bool, bool]:
        """Act from a step on, for as long as there is noise; gives the next one, whether it terminated, and is over."""
        room, observation, step_environment = self._room, self._observation, self.environment.step
        rows, observations, actions, rewards = room.rows, room.rows.observations, room.actions, room.rewards
        forward, sample = network.forward, self._sample
        self._distribution.draw(self._draws, room.noise[first : first + NOISE_ROWS])
        for step in range(first, first + NOISE_ROWS):
            observations[step] = observation
            forward(rows, step, step + 1, False)
            sample(step, step + 1)
            observation, rewards[step], terminated, truncated, _ = step_environment(actions[step])
            if terminated or truncated:
                break
        self._observation = observation
        return step + 1, bool(terminated), bool(terminated or truncated)

    def record(self) -> None:
        """Keep what the learning curve needs of the episode collected last."""
        assert self._last is not None, "nothing was collected yet"
        steps = self._last.env_steps
        self._finished.append((self._rollouts, steps, steps, sum(self._last.rewards.tolist())))
        self._rollouts += 1

    @property
    def rollouts_told(self) -> int:
        """The rollouts whose episodes it has told of."""
        return self._rollouts - len(self._finished)

    def finished_episodes(self, everything: bool = False) -> NDArray[np.void]:
        """The episodes (`FINISHED`) that ended since it last told: every so many, or now if `everything`."""
        if not everything and len(self._finished) < KEPT_EPISODES:
            return NONE_FINISHED
        finished, self._finished = np.array(self._finished, FINISHED), []
        return finished
