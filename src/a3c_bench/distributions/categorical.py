"""Acting: from logits to actions."""

from typing import cast

import numpy as np
from numpy.random import Generator

from a3c_bench.arrays import Floats, Integers


def gumbel_noise(generator: Generator, shape: tuple[int, ...]) -> Floats:
    """Standard Gumbel noise: minus the logarithm of exponential draws."""
    draws = generator.standard_exponential(shape, dtype=np.float32)
    # The smallest float32 stands in for an exact 0, whose logarithm has no value.
    return cast(Floats, -np.log(np.maximum(draws, np.finfo(np.float32).tiny)))


def sample(logits: Floats, noise: Floats, out: Integers | None = None) -> Integers:
    """Actions (rows,) drawn from softmax(`logits` (rows, actions)) by the Gumbel-max trick; `noise` is used up.

    Maddison, Tarlow and Minka, "A* Sampling", NeurIPS 2014. The noise of a whole rollout is drawn at once, so a step
    costs one addition and one argmax.
    """
    return cast(Integers, np.add(logits, noise, out=noise).argmax(axis=-1, out=out))


def greedy(logits: Floats) -> Integers:
    """The most probable action of every row of `logits` (rows, actions)."""
    return cast(Integers, logits.argmax(axis=-1))


def log_softmax(logits: Floats) -> Floats:
    """Log-probabilities (rows, actions)."""
    # One row per action in memory: numpy is several times slower at sums along a short axis.
    by_action = logits.T.copy()
    by_action -= np.max(by_action, axis=0)
    by_action -= np.log(np.sum(np.exp(by_action), axis=0))
    return by_action.T
