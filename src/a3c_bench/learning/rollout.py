"""Collecting experience: the block of (time, env) steps between two updates of an actor."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv
from numpy.random import Generator
from numpy.typing import NDArray

from a3c_bench.arrays import Flags, Floats, Integers
from a3c_bench.distributions.categorical import gumbel_noise, sample
from a3c_bench.environments.make import as_float32
from a3c_bench.networks.dense import EpisodicNetwork, NStepNetwork

FINISHED = np.dtype([("rollout", np.int32), ("offset", np.int32), ("length", np.int32), ("return", np.float64)])
"""A finished training episode: the number of its actor's rollout, the env steps of that up to the episode's end, its
length, and its return."""
NONE_FINISHED = np.empty(0, FINISHED)
KEPT_ROWS = 8192
KEPT_EPISODES = 32
"""How much an actor keeps before it tells of the episodes that ended."""

NOISE_ROWS = 512


class RolloutRow(NamedTuple):
    """One time step of a rollout: views on its buffers, as acting reads and fills them."""

    observations: Floats
    activations: list[Floats]
    logits: Floats
    actions: Integers
    rewards: Floats
    terminated: Flags
    truncated: Flags
    next_observations: Floats


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

    @property
    def over(self) -> Flags:
        """(steps, envs): True where an episode ended."""
        return np.logical_or(self.terminated, self.truncated)

    def rows(self) -> list[RolloutRow]:
        """Its time steps."""
        return [
            RolloutRow(
                self.observations[step],
                [layer[step] for layer in self.activations],
                self.logits[step],
                self.actions[step],
                self.rewards[step],
                self.terminated[step],
                self.truncated[step],
                self.observations[step + 1],
            )
            for step in range(len(self.actions))
        ]

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
    """Steps a vector environment; its episodes go on from rollout to rollout. `rollout` may be others' too."""

    def __init__(
        self, environment: VectorEnv[Any, Any, Any], seed: int, actions: Generator, rollout: NStepRollout
    ) -> None:
        self.environment = environment
        self._actions = actions
        self._rollout = rollout
        # Made once: taking views anew in every step costs a tenth of acting.
        self._rows = rollout.rows()
        self._last_activations = [layer[-1] for layer in rollout.activations]
        observations, _ = environment.reset(seed=seed)
        self._observations = as_float32(observations)
        self._over = np.zeros(environment.num_envs, np.bool_)
        self._episodes = EpisodeLog(rollout)

    def collect(self, network: NStepNetwork) -> NStepRollout:
        """Act with `network` until every row of the rollout is filled."""
        rollout = self._rollout
        rollout.observations[0] = self._observations
        noise = gumbel_noise(self._actions, rollout.logits.shape)
        for row, draws in zip(self._rows, noise, strict=True):
            features = network.features(row.observations, row.activations)
            logits = network.actor.forward(features, out=row.logits)
            actions = sample(logits, draws, out=row.actions)
            step = self.environment.step(actions)
            row.next_observations[:], row.rewards[:], row.terminated[:], row.truncated[:], _ = step
        network.features(rollout.observations[-1], self._last_activations)
        # Gymnasium's vector environments reset on the step after an episode's end: that step is no experience.
        over = rollout.over
        np.logical_not(self._over, out=rollout.counted[0])
        np.logical_not(over[:-1], out=rollout.counted[1:])
        self._over = over[-1]
        self._observations[:] = rollout.observations[-1]
        return rollout

    def record(self) -> None:
        """Keep what the learning curve needs of the rollout collected last."""
        self._episodes.keep(self._rollout)

    def state(self) -> tuple[Any, ...]:
        """All that the next rollout depends on, besides the network; can be pickled if the environment can."""
        return self.environment, self._actions, self._observations, self._over, self._episodes

    def restore(self, state: tuple[Any, ...]) -> None:
        """Go on from another collector's `state`."""
        self.environment, self._actions, self._observations, self._over, self._episodes = state

    @property
    def rollouts_told(self) -> int:
        """The rollouts whose episodes it has told of."""
        return self._episodes.rollouts_told

    def finished_episodes(self, everything: bool = False) -> NDArray[np.void]:
        """The episodes (`FINISHED`) that ended since it last told: every so many rollouts, or now if `everything`."""
        return self._episodes.finished() if everything or self._episodes.full else NONE_FINISHED


class EpisodeLog:
    """Finds the episodes that ended, over rollout borders and many rollouts at a time: one by one it would cost a tenth
    of training."""

    def __init__(self, rollout: NStepRollout) -> None:
        steps, envs = rollout.actions.shape
        shape = (max(1, KEPT_ROWS // rollout.actions.size), steps, envs)
        self._rewards = np.zeros(shape, np.float32)
        self._counted, self._over = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
        self._returns, self._lengths = np.zeros(envs), np.zeros(envs, np.int64)
        self.rollouts_told, self._kept = 0, 0
        """Rollouts whose episodes were told of, and how many after them are kept."""

    @property
    def full(self) -> bool:
        """No further rollout can be kept before `finished` was called."""
        return self._kept == len(self._rewards)

    def keep(self, rollout: NStepRollout) -> None:
        """Keep what of a rollout concerns its episodes."""
        self._rewards[self._kept] = rollout.rewards
        self._counted[self._kept] = rollout.counted
        np.logical_or(rollout.terminated, rollout.truncated, out=self._over[self._kept])
        self._kept += 1

    def finished(self) -> NDArray[np.void]:
        """The episodes (`FINISHED`) that ended in the rollouts kept, in the order of their ends (time, environment)."""
        if not self._kept:
            return NONE_FINISHED
        rollouts, (steps, envs) = slice(self._kept), self._over.shape[1:]
        counted = self._counted[rollouts].reshape(-1, envs)
        totals = np.cumsum(self._rewards[rollouts].reshape(-1, envs), axis=0, dtype=np.float64)
        at_env, at_row = np.nonzero(self._over[rollouts].reshape(-1, envs).T)
        env_steps = np.cumsum(np.count_nonzero(counted.reshape(-1, steps, envs), axis=2), axis=1).ravel()
        finished = np.empty(len(at_row), FINISHED)
        finished["rollout"] = self.rollouts_told + at_row // steps
        finished["offset"] = env_steps[at_row]
        finished["length"], self._lengths = _by_episode(self._lengths + np.cumsum(counted, axis=0), at_env, at_row)
        finished["return"], self._returns = _by_episode(self._returns + totals, at_env, at_row)
        self.rollouts_told, self._kept = self.rollouts_told + self._kept, 0
        return finished[np.argsort(at_row, kind="stable")]


def _by_episode(
    totals: NDArray[Any], envs: NDArray[np.intp], steps: NDArray[np.intp]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """What of `totals` (steps, envs), which run on over episodes' ends, belongs to each episode that ended at
    (envs, steps), in the order of envs; and what to every environment's unfinished one."""
    at_end = totals[steps, envs]
    finished, unfinished = at_end.copy(), totals[-1].copy()
    finished[1:] -= at_end[:-1] * (envs[1:] == envs[:-1])
    # Of several ends of one environment the last stays.
    unfinished[envs] -= at_end
    return finished, unfinished


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
        self._rollouts = 0
        self._finished: list[tuple[int, int, int, float]] = []

    def collect(self, network: EpisodicNetwork) -> EpisodicRollout:
        """Act with `network` until the episode ends."""
        observations, actions, rewards = [], [], []
        terminated = truncated = False
        while not (terminated or truncated):
            observation = as_float32(self._observation)
            action = int(sample(network.logits_of_one(observation), self._next_noise()))
            self._observation, reward, terminated, truncated, _ = self.environment.step(action)
            observations.append(observation)
            actions.append(action)
            rewards.append(float(reward))
        self._observation, _ = self.environment.reset()
        self._last = EpisodicRollout(
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

    def state(self) -> tuple[Any, ...]:
        """All that the next rollout depends on, besides the network; can be pickled if the environment can."""
        return self.environment, self._actions, self._observation, self._noise, self._rollouts, self._finished

    def restore(self, state: tuple[Any, ...]) -> None:
        """Go on from another collector's `state`."""
        self.environment, self._actions, self._observation, self._noise, self._rollouts, self._finished = state

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
            self._noise = gumbel_noise(self._actions, (NOISE_ROWS, self._noise.shape[1]))
        row: Floats = self._noise[0]
        self._noise = self._noise[1:]
        return row
