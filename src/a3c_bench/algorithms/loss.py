"""The two losses: their gradients by the network's outputs, and the statistics worth recording."""

from typing import NamedTuple, cast

import numpy as np

from a3c_bench.arrays import Flags, Floats, Integers
from a3c_bench.distributions.categorical import log_softmax


class Losses(NamedTuple):
    """Statistics of one update, each a mean over the rollout's env steps."""

    policy_loss: float
    value_error: float
    """Squared difference between value and return."""
    entropy: float
    """Entropy of the policy, in nats."""


class OutputGradients(NamedTuple):
    """Gradients of the loss by the logits (rows, actions) and by the values (rows,)."""

    logits: Floats
    values: Floats


def one_hot(actions: Integers, count: int) -> Flags:
    """True where an action was taken: (rows, count), one row per action in memory, as in `log_softmax`."""
    return cast(Flags, np.equal.outer(np.arange(count), actions).T)


def policy_gradient(probabilities: Floats, taken: Flags, advantages: Floats) -> Floats:
    """Gradient of −Σ log π(action) · advantage by the logits: (π − one-hot(action)) · advantage, row by row."""
    return cast(Floats, (probabilities - taken) * advantages[:, None])


def nstep_loss(
    logits: Floats,
    values: Floats,
    actions: Integers,
    advantages: Floats,
    returns: Floats,
    counted: Flags,
    value_weight: float,
    entropy_weight: float,
) -> tuple[OutputGradients, Losses]:
    """A3C's loss (Mnih et al. 2016), averaged over the counted rows.

    Mean of −log π(a|s) · advantage − entropy_weight · H(π) + value_weight · (V − return)². All arguments are flat:
    (rows,), or (rows, actions) for the logits; advantages of rows that are not counted must be 0.
    """
    # A rollout in which every row only reset has no experience: its loss is 0.
    count = np.float32(max(int(np.count_nonzero(counted)), 1))
    weights = counted / count
    log_probabilities = log_softmax(logits)
    probabilities = np.exp(log_probabilities)
    entropies = -np.sum(probabilities * log_probabilities, axis=1)
    taken = one_hot(actions, logits.shape[1])

    by_logits = policy_gradient(probabilities, taken, advantages / count)
    if entropy_weight:
        scale = np.float32(entropy_weight) * weights
        by_logits += probabilities * (log_probabilities + entropies[:, None]) * scale[:, None]
    errors = values - returns
    weighted_errors = errors * weights
    gradients = OutputGradients(by_logits, cast(Floats, np.float32(2 * value_weight) * weighted_errors))

    losses = Losses(
        policy_loss=float(-np.dot(np.sum(log_probabilities * taken, axis=1), advantages) / count),
        value_error=float(np.dot(weighted_errors, errors)),
        entropy=float(np.dot(entropies, weights)),
    )
    return gradients, losses


def episodic_loss(
    logits: Floats, values: Floats, actions: Integers, returns: Floats, critic_weight: float
) -> tuple[OutputGradients, Losses]:
    """The textbook's loss of one episode: Σ −log π(a|s) · (R − V) + critic_weight · Σ (V − R)².

    V is a constant in the first sum. The gradient by the values is taken before the critic's tanh. Shapes as above.
    """
    log_probabilities = log_softmax(logits)
    probabilities = np.exp(log_probabilities)
    advantages = returns - values
    by_critic_output = np.float32(-2 * critic_weight) * advantages * (1 - np.square(values))
    taken = one_hot(actions, logits.shape[1])
    gradients = OutputGradients(policy_gradient(probabilities, taken, advantages), by_critic_output)

    steps = len(actions)
    losses = Losses(
        policy_loss=float(-np.dot(np.sum(log_probabilities * taken, axis=1), advantages) / steps),
        value_error=float(np.dot(advantages, advantages) / steps),
        entropy=float(-np.sum(probabilities * log_probabilities) / steps),
    )
    return gradients, losses
