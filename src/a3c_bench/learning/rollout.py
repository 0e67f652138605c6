"""Collecting experience: the block of (time, env) steps between two updates of an actor, or one whole episode."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
from gymnasium import Env
from gymnasium.vector import VectorEnv
from numpy.random import Generator
from numpy.typing import NDArray

from a3c_bench.arrays import Flags, Floats
from a3c_bench.distributions.base import Distribution
from a3c_bench.environments.spaces import as_float32
from a3c_bench.learning.episodes import FINISHED, NONE_FINISHED, EpisodeLog
from a3c_bench.networks.base import Network, Trace

KEPT_EPISODES = 32
"""How many episodes are kept before an actor tells of them."""
NOISE_ROWS = 512

Rollout = TypeVar("Rollout")


class Collector(ABC, Generic[Rollout]):
    """Steps an actor's environments, and keeps what the learning curve needs."""

    STATE: ClassVar[tuple[str, ...]]
    """The attributes that the next rollout depends on, besides the network."""
    environment: Any

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


class Row(NamedTuple):
    """One time step of a block: views on its buffers, as acting reads and fills them."""

    observations: Floats
    trace: Trace
    outputs: Floats
    actions: Any
    rewards: Floats
    terminated: Flags
    truncated: Flags
    next_observations: Floats


@dataclass(frozen=True)
class Block:
    """A rollout of `steps` rows of `envs` environments, in buffers that are used again."""

    observations: Floats
    """(steps + 1, envs, size): the last row is for bootstrapping."""
    trace: Trace
    """Of the network's forward pass, (steps + 1, envs, …): acting has computed it, learning uses it."""
    outputs: Floats
    """The policy's, (steps, envs, outputs)."""
    actions: Any
    rewards: Floats
    terminated: Flags
    truncated: Flags
    counted: Flags
    """(steps, envs): False where the step only reset an environment."""

    @property
    def env_steps(self) -> int:
        """Env steps that count as experience."""
        return int(np.count_nonzero(self.counted))

    @property
    def over(self) -> Flags:
        """(steps, envs): True where an episode ended."""
        return np.logical_or(self.terminated, self.truncated)

    @property
    def flat_trace(self) -> Trace:
        """The trace by rows ((steps + 1) · envs, …)."""
        return [flat_rows(array) for array in self.trace]

    def rows(self) -> list[Row]:
        """Its time steps."""
        return [
            Row(
                self.observations[step],
                [array[step] for array in self.trace],
                self.outputs[step],
                self.actions[step],
                self.rewards[step],
                self.terminated[step],
                self.truncated[step],
                self.observations[step + 1],
            )
            for step in range(len(self.rewards))
        ]

    @classmethod
    def allocate(cls, steps: int, envs: int, size: int, network: Network, distribution: Distribution) -> "Block":
        """Buffers for a rollout of this shape, of observations of `size` numbers."""
        block = (steps, envs)
        return cls(
            observations=np.zeros((steps + 1, envs, size), np.float32),
            trace=network.trace((steps + 1, envs)),
            outputs=np.zeros((*block, distribution.size), np.float32),
            actions=distribution.zeros(block),
            rewards=np.zeros(block, np.float32),
            terminated=np.zeros(block, np.bool_),
            truncated=np.zeros(block, np.bool_),
            counted=np.zeros(block, np.bool_),
        )


def flat_rows(array: Floats) -> Floats:
    """(steps, envs, …) to (rows, …)."""
    return array.reshape(-1, *array.shape[2:])


class BlockCollector(Collector[Block]):
    """Steps a vector environment; its episodes go on from rollout to rollout. `block` may be others' too."""

    STATE = ("environment", "_draws", "_observations", "_over", "_episodes")

    def __init__(
        self,
        environment: VectorEnv[Any, Any, Any],
        seed: int,
        draws: Generator,
        distribution: Distribution,
        block: Block,
    ) -> None:
        self.environment = environment
        self._draws, self._distribution = draws, distribution
        self._block = block
        # Made once: taking views anew in every step costs a tenth of acting.
        self._rows = block.rows()
        self._last_trace = [array[-1] for array in block.trace]
        observations, _ = environment.reset(seed=seed)
        self._observations = as_float32(observations)
        self._over = np.zeros(environment.num_envs, np.bool_)
        self._episodes = EpisodeLog(*block.rewards.shape)

    def collect(self, network: Network) -> Block:
        """Act with `network` until every row of the block is filled."""
        block = self._block
        block.observations[0] = self._observations
        noise = self._distribution.noise(self._draws, block.rewards.shape)
        for row, row_noise in zip(self._rows, noise, strict=True):
            outputs = network.policy(row.observations, row.trace, row.outputs)
            actions = self._distribution.sample(outputs, row_noise, row.actions)
            step = self.environment.step(actions)
            row.next_observations[:], row.rewards[:], row.terminated[:], row.truncated[:], _ = step
        network.features(block.observations[-1], self._last_trace)
        # Gymnasium's vector environments reset on the step after an episode's end: that step is no experience.
        over = block.over
        np.logical_not(self._over, out=block.counted[0])
        np.logical_not(over[:-1], out=block.counted[1:])
        self._over = over[-1]
        self._observations[:] = block.observations[-1]
        return block

    def record(self) -> None:
        """Keep what the learning curve needs of the rollout collected last."""
        self._episodes.keep(self._block.rewards, self._block.counted, self._block.over)

    @property
    def rollouts_told(self) -> int:
        """The rollouts whose episodes it has told of."""
        return self._episodes.rollouts_told

    def finished_episodes(self, everything: bool = False) -> NDArray[np.void]:
        """The episodes (`FINISHED`) that ended since it last told: every so many rollouts, or now if `everything`."""
        return self._episodes.finished() if everything or self._episodes.full else NONE_FINISHED


@dataclass(frozen=True)
class Episode:
    """A rollout that is one whole episode: observations (steps, size), actions and rewards (steps,)."""

    observations: Floats
    actions: Any
    rewards: Floats
    terminated: bool
    """The episode ended in a terminal state; False: it was cut at the time limit."""

    @property
    def env_steps(self) -> int:
        """Env steps that count as experience: all of them."""
        return len(self.actions)


class EpisodeCollector(Collector[Episode]):
    """Plays one episode of a single environment per rollout."""

    STATE = ("environment", "_draws", "_observation", "_noise", "_rollouts", "_finished")

    def __init__(self, environment: Env[Any, Any], seed: int, draws: Generator, distribution: Distribution) -> None:
        self.environment = environment
        self._draws, self._distribution = draws, distribution
        self._observation, _ = environment.reset(seed=seed)
        self._noise = distribution.noise(draws, (0,))
        self._last: Episode | None = None
        self._rollouts = 0
        self._finished: list[tuple[int, int, int, float]] = []

    def collect(self, network: Network) -> Episode:
        """Act with `network` until the episode ends."""
        observations, actions, rewards = [], [], []
        terminated = truncated = False
        while not (terminated or truncated):
            observation = as_float32(self._observation)
            action = self._distribution.sample(network.policy_of_one(observation), self._next_noise())
            self._observation, reward, terminated, truncated, _ = self.environment.step(action)
            observations.append(observation)
            actions.append(action)
            rewards.append(float(reward))
        self._observation, _ = self.environment.reset()
        self._last = Episode(
            np.concatenate(observations).reshape(len(actions), -1),
            np.array(actions),
            np.array(rewards, np.float32),
            bool(terminated),
        )
        return self._last

    def record(self) -> None:
        """Keep what the learning curve needs of the episode collected last."""
        assert self._last is not None, "nothing was collected yet"
        steps = self._last.env_steps
        self._finished.append((self._rollouts, steps, steps, float(np.sum(self._last.rewards, dtype=np.float64))))
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

    def _next_noise(self) -> Floats:
        if not len(self._noise):
            self._noise = self._distribution.noise(self._draws, (NOISE_ROWS,))
        row: Floats = self._noise[0]
        self._noise = self._noise[1:]
        return row
