"""The learning curves that MLflow shows: on a grid of env steps that seeds share, so that it can average over them."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from a3c_bench.arrays import Doubles
from a3c_bench.stats import curve_on_grid

if TYPE_CHECKING:
    from a3c_bench.training.outcome import Outcome

CURVE_POINTS = 200
"""Of a whole training, at most."""
RETURNS = "return/training"
UPDATES = {
    "policy_loss": "loss/policy",
    "value_error": "loss/value_error",
    "entropy": "policy/entropy",
    "gradient_norm": "gradient/norm",
}

Metric = tuple[str, float, int]
"""Name, value and step."""


def spacing(env_steps: float) -> int:
    """Env steps from one point of a training's curve to the next, by the env steps of the whole training.

    A power of four: seeds that differ in length have the same grid all the same, or one's is part of the other's.
    """
    steps = 1
    while steps * CURVE_POINTS < env_steps:
        steps *= 4
    return steps


def points(env_steps: NDArray[np.int64], returns: Doubles, grid: NDArray[np.int64]) -> list[Metric]:
    """Mean return of the last 100 episodes at each env step of `grid` by which so many had ended.

    env_steps, returns: (episodes,), in the order in which the episodes ended.
    """
    means = curve_on_grid(env_steps, returns, grid)
    return [(RETURNS, float(mean), int(step)) for step, mean in zip(grid, means, strict=True) if not np.isnan(mean)]


def returns(outcome: "Outcome") -> list[Metric]:
    """The learning curve."""
    size = spacing(outcome.env_steps)
    grid = np.arange(size, outcome.env_steps + 1, size)
    return points(outcome.episode_env_steps, outcome.episodes["return"].astype(np.float64), grid)


def updates(outcome: "Outcome") -> list[Metric]:
    """Update statistics: the mean over the turns up to each point of the grid since the one before."""
    env_steps: NDArray[np.int64] = np.cumsum(outcome.turns["env_steps"])
    size = spacing(outcome.env_steps)
    places = -(-env_steps // size)
    counts = np.bincount(places)
    shown = [int(place) for place in np.flatnonzero(counts) if place * size <= outcome.env_steps]
    metrics: list[Metric] = []
    for column, name in UPDATES.items():
        sums = np.bincount(places, outcome.turns[column])
        metrics += [(name, float(sums[place] / counts[place]), place * size) for place in shown]
    return metrics
