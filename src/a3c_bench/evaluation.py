"""Evaluating a trained policy on fresh episodes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import Env
from numpy.random import Generator

from a3c_bench.algorithms.base import Policy
from a3c_bench.arrays import Doubles, Floats, Integers
from a3c_bench.distributions.base import sample
from a3c_bench.environments.make import EnvironmentInfo
from a3c_bench.environments.spaces import as_float32
from a3c_bench.seeding import Role, environment_seed, stream


@dataclass(frozen=True)
class Episodes:
    """Returns and lengths (env steps) of whole episodes, one entry each."""

    returns: Doubles
    lengths: Integers


def _ignore(ended: int, mean_return: float) -> None:
    pass


def evaluate(
    policy: Policy,
    environment: EnvironmentInfo,
    episodes: int,
    seed: int,
    sampled: bool,
    watcher: Callable[[int, float], None] = _ignore,
) -> Episodes:
    """Play `episodes` episodes side by side, the actions sampled from the policy or the most probable ones.

    Greedy and sampled evaluations of a seed start from the same states; training never sees them. `watcher` is told how
    many have ended, and the mean return so far, after every step.
    """
    environments = environment.make_vector(episodes)
    noise = stream(seed, Role.EVALUATE_ACTION) if sampled else None
    observations, _ = environments.reset(seed=evaluation_start(seed))
    returns, lengths = np.zeros(episodes), np.zeros(episodes, np.int64)
    running = np.ones(episodes, np.bool_)
    while running.any():
        actions = act(policy, as_float32(observations), noise)
        observations, rewards, terminated, truncated, _ = environments.step(actions)
        returns += rewards * running
        lengths += running
        running &= ~(terminated | truncated)
        watcher(int(episodes - running.sum()), float(returns.mean()))
    environments.close()
    return Episodes(returns, lengths)


def act(policy: Policy, observations: Floats, noise: Generator | None = None) -> Any:
    """Actions for observations (rows, size): the most probable ones, or drawn with `noise`."""
    outputs, distribution = policy.outputs(observations), policy.distribution
    if noise is None:
        return distribution.mode(outputs)
    return sample(distribution, outputs, noise)


def evaluation_start(seed: int) -> int:
    """The environments' seed in the evaluation of training run `seed`; no training uses it."""
    return environment_seed(seed, Role.EVALUATE_ENVIRONMENT)


def play(policy: Policy, environment: Env[Any, Any], start: int) -> Iterator[float]:
    """Play one greedy episode of a single environment that is seeded with `start`.

    Gives the return so far, first before any step and then after each, so that a picture can be taken in between.
    """
    observation, _ = environment.reset(seed=start)
    total, over = 0.0, False
    yield total
    while not over:
        (action,) = act(policy, as_float32(observation)[None])
        observation, reward, terminated, truncated, _ = environment.step(action)
        total, over = total + float(reward), bool(terminated or truncated)
        yield total
