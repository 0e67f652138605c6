"""Returns and advantages."""

from itertools import accumulate
from typing import cast

import numpy as np

from a3c_bench.arrays import Flags, Floats


def generalised_advantages(
    rewards: Floats,
    values: Floats,
    terminated: Flags,
    truncated: Flags,
    counted: Flags,
    gamma: float,
    gae_lambda: float,
) -> Floats:
    """GAE(γ, λ) of a rollout (Schulman et al., "High-Dimensional Continuous Control Using GAE", 2016, eq. 16).

    rewards, terminated, truncated, counted: (steps, envs); values: (steps + 1, envs), the last row for bootstrapping.
    A terminated step has no next value; a truncated one has (its next row is the episode's last observation), but
    nothing flows back into it from the next episode. A step that is not counted (it only reset) has advantage 0.
    """
    bootstrap = np.float32(gamma) * values[1:] * ~terminated
    advantages = (rewards + bootstrap - values[:-1]) * counted
    carry = np.float32(gamma * gae_lambda) * (counted & ~(terminated | truncated))
    # So far one-step errors; from the end backwards each takes up what follows it.
    for step in reversed(range(len(advantages) - 1)):
        advantages[step] += carry[step] * advantages[step + 1]
    return advantages


def discounted_returns(rewards: Floats, gamma: float) -> Floats:
    """Discounted return of every step of one whole episode: rewards (steps,) to returns (steps,)."""
    backwards = accumulate(reversed(rewards.tolist()), lambda following, reward: reward + gamma * following)
    return np.array(list(backwards), np.float32)[::-1]


def unit_length(vector: Floats) -> Floats:
    """`vector` divided by its Euclidean length (by 1e-12 if that is smaller)."""
    return cast(Floats, vector / max(float(np.sqrt(np.dot(vector, vector))), 1e-12))


def standardise(advantages: Floats, counted: Flags) -> Floats:
    """Shift and scale the counted entries to mean 0 and deviation 1; the others are 0."""
    count = np.float32(max(int(np.count_nonzero(counted)), 1))
    centred = (advantages - np.sum(advantages * counted) / count) * counted
    deviation = np.sqrt(np.sum(np.square(centred)) / count)
    return cast(Floats, centred / (deviation + np.float32(1e-8)))
