"""Collecting experience: the block of (time, env) steps between two updates of an actor."""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv
from numpy.random import Generator
from numpy.typing import NDArray

from a3c_bench.agent.arrays import Flags, Floats, Integers
from a3c_bench.agent.environments import as_float32
from a3c_bench.agent.network import EpisodicNetwork, NStepNetwork
from a3c_bench.agent.policy import gumbel_noise, sample

FINISHED = np.dtype([("offset", np.int32), ("length", np.int32), ("return", np.float64)])
"""A finished training episode: the env steps of its rollout up to its end, its length, and its return."""

NOISE_ROWS = 512


@dataclass(frozen=True)
class NStepRollout:
    """What an actor of `nstep` saw: `steps` rows of `envs` environments, in buffers that it uses again."""

    observations: Floats
    """(steps + 1, envs, size): the last row is for bootstrapping."""
    activations: list[Floats]
    """Of every hidden layer, (steps + 1, envs, units): acting has computed them, learning uses them."""
    logits: Floats
    """(steps, envs, actions)."""
    actions: Integers
    rewards: Floats
    terminated: Flags
    truncated: Flags
    counted: Flags
    """(steps, envs): False where the step only reset an environment."""

    @property
    def env_steps(self) -> int:
        """Env steps that count as experience."""
        return int(np.count_nonzero(self.counted))

    @classmethod
    def allocate(cls, steps: int, envs: int, size: int, units: list[int], actions: int) -> "NStepRollout":
        """Buffers for a rollout of this shape."""
        block = (steps, envs)
        return cls(
            observations=np.zeros((steps + 1, envs, size), np.float32),
            activations=[np.zeros((steps + 1, envs, count), np.float32) for count in units],
            logits=np.zeros((*block, actions), np.float32),
            actions=np.zeros(block, np.int64),
            rewards=np.zeros(block, np.float32),
            terminated=np.zeros(block, np.bool_),
            truncated=np.zeros(block, np.bool_),
            counted=np.zeros(block, np.bool_),
        )


class NStepCollector:
    """Steps a vector environment; its episodes go on from rollout to rollout."""

    def __init__(
        self, environment: VectorEnv[Any, Any, Any], seed: int, actions: Generator, rollout: NStepRollout
    ) -> None:
        self.environment = environment
        self._actions = actions
        self._rollout = rollout
        observations, _ = environment.reset(seed=seed)
        rollout.observations[-1] = observations
        self._over = np.zeros(environment.num_envs, np.bool_)
        self._episodes = EpisodeLog(environment.num_envs)

    def collect(self, network: NStepNetwork) -> NStepRollout:
        """Act with `network` until every row of the rollout is filled."""
        rollout = self._rollout
        steps = len(rollout.actions)
        rollout.observations[0] = rollout.observations[-1]
        noise = gumbel_noise(self._actions, rollout.logits.shape)
        for step in range(steps):
            features = network.features(rollout.observations[step], [layer[step] for layer in rollout.activations])
            logits = network.actor.forward(features, out=rollout.logits[step])
            action = sample(logits, noise[step])
            observations, rewards, terminated, truncated, _ = self.environment.step(action)
            # Gymnasium's vector environments reset on the step after an episode's end: that step is no experience.
            np.logical_not(self._over, out=rollout.counted[step])
            np.logical_or(terminated, truncated, out=self._over)
            rollout.observations[step + 1] = observations
            rollout.actions[step], rollout.rewards[step] = action, rewards
            rollout.terminated[step], rollout.truncated[step] = terminated, truncated
        network.features(rollout.observations[steps], [layer[steps] for layer in rollout.activations])
        return rollout

    def state(self) -> tuple[Any, ...]:
        """All that the next rollout depends on, besides the network; can be pickled if the environment can."""
        return self.environment, self._actions, self._rollout.observations[-1], self._over, self._episodes

    def restore(self, state: tuple[Any, ...]) -> None:
        """Go on from another collector's `state`."""
        self.environment, self._actions, self._rollout.observations[-1], self._over, self._episodes = state

    def finished_episodes(self) -> NDArray[np.void]:
        """The episodes (`FINISHED`) that ended in the rollout collected last."""
        return self._episodes.finished(self._rollout)


class EpisodeLog:
    """Adds up returns and lengths of episodes that run over rollout borders."""

    def __init__(self, envs: int) -> None:
        self._returns = np.zeros(envs)
        self._lengths = np.zeros(envs, np.int64)

    def finished(self, rollout: NStepRollout) -> NDArray[np.void]:
        """The episodes (`FINISHED`) that ended in `rollout`, in the order of their end (time, then environment)."""
        returns = self._returns + np.cumsum(rollout.rewards, axis=0, dtype=np.float64)
        lengths = self._lengths + np.cumsum(rollout.counted, axis=0)
        env_steps = np.cumsum(np.count_nonzero(rollout.counted, axis=1))
        ends = np.argwhere(rollout.terminated | rollout.truncated)
        finished = np.empty(len(ends), FINISHED)
        for row, (step, env) in enumerate(ends):
            finished[row] = (env_steps[step], lengths[step, env], returns[step, env])
            # What follows in this rollout belongs to the environment's next episode.
            returns[:, env] -= returns[step, env]
            lengths[:, env] -= lengths[step, env]
        self._returns, self._lengths = returns[-1], lengths[-1]
        return finished


@dataclass(frozen=True)
class EpisodicRollout:
    """One whole episode: observations (steps, size), actions and rewards (steps,)."""

    observations: Floats
    actions: Integers
    rewards: Floats
    terminated: bool
    """The episode ended in a terminal state; False: it was cut at the time limit."""

    @property
    def env_steps(self) -> int:
        """Env steps that count as experience: all of them."""
        return len(self.actions)


class EpisodicCollector:
    """Plays one episode of a single environment per rollout."""

    def __init__(self, environment: gymnasium.Env[Any, Any], seed: int, actions: Generator, action_count: int) -> None:
        self.environment = environment
        self._actions = actions
        self._observation, _ = environment.reset(seed=seed)
        self._noise = np.empty((0, action_count), np.float32)
        self._last: EpisodicRollout | None = None

    def collect(self, network: EpisodicNetwork) -> EpisodicRollout:
        """Act with `network` until the episode ends."""
        observations, actions, rewards = [], [], []
        terminated = truncated = False
        while not (terminated or truncated):
            observation = as_float32(self._observation)
            action = int(sample(network.logits(observation), self._next_noise()))
            self._observation, reward, terminated, truncated, _ = self.environment.step(action)
            observations.append(observation)
            actions.append(action)
            rewards.append(float(reward))
        self._observation, _ = self.environment.reset()
        self._last = EpisodicRollout(
            np.stack(observations), np.array(actions), np.array(rewards, np.float32), bool(terminated)
        )
        return self._last

    def state(self) -> tuple[Any, ...]:
        """All that the next rollout depends on, besides the network; can be pickled if the environment can."""
        return self.environment, self._actions, self._observation, self._noise

    def restore(self, state: tuple[Any, ...]) -> None:
        """Go on from another collector's `state`."""
        self.environment, self._actions, self._observation, self._noise = state

    def finished_episodes(self) -> NDArray[np.void]:
        """The episode (`FINISHED`) collected last."""
        assert self._last is not None, "nothing was collected yet"
        steps = self._last.env_steps
        return np.array([(steps, steps, np.sum(self._last.rewards, dtype=np.float64))], FINISHED)

    def _next_noise(self) -> Floats:
        if not len(self._noise):
            self._noise = gumbel_noise(self._actions, (NOISE_ROWS, self._noise.shape[1]))
        row: Floats = self._noise[0]
        self._noise = self._noise[1:]
        return row
