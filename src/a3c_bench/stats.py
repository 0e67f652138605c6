"""Statistics over seeds: interquartile means and bootstrap intervals.

Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 2021.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from a3c_bench.arrays import Doubles
from a3c_bench.seeding import Role, stream

CONFIDENCE = 0.95
RESAMPLES = 2000
GRID_POINTS = 200
WINDOW = 100
"""Training episodes whose mean return is compared with an environment's reward threshold."""

Statistic = Callable[..., Any]


class Interval(NamedTuple):
    """The two ends of a confidence interval; arrays where the estimate is one."""

    low: Any
    high: Any


def interquartile_mean(values: ArrayLike, axis: int = 0) -> Any:
    """Mean of the middle half of `values`: a quarter of them is cut off at either end, rounded down."""
    from scipy import stats

    return stats.trim_mean(np.asarray(values), 0.25, axis=axis)


def bootstrap(values: Doubles, statistic: Statistic) -> Interval | None:
    """The 95 % percentile interval of `statistic` over the first axis; None where there is one value only.

    The same data give the same interval.
    """
    from scipy import stats

    if len(values) < 2:
        return None
    result = stats.bootstrap(
        (values,),
        statistic,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        axis=0,
        rng=stream(0, Role.BOOTSTRAP),
    )
    return Interval(result.confidence_interval.low, result.confidence_interval.high)


def bootstrap_difference(values: Doubles, others: Doubles, statistic: Statistic) -> Interval | None:
    """The 95 % percentile interval of `statistic(values) − statistic(others)`, two independent samples (n,)."""
    return _bootstrap_two(
        values, others, lambda one, other, axis: statistic(one, axis=axis) - statistic(other, axis=axis)
    )


def bootstrap_ratio(values: Doubles, others: Doubles, statistic: Statistic) -> Interval | None:
    """The 95 % percentile interval of `statistic(values)` ÷ `statistic(others)`, two independent samples (n,)."""
    return _bootstrap_two(
        values, others, lambda one, other, axis: statistic(one, axis=axis) / statistic(other, axis=axis)
    )


def probability_of_improvement(values: Doubles, others: Doubles) -> tuple[float, Interval | None]:
    """How often a run of `values` (n,) beats one of `others` (m,), ties counted half, and its 95 % interval.

    Agarwal et al. 2021, section 4.3: the Mann–Whitney U statistic ÷ the number of pairs.
    """
    return float(_share_of_wins(values, others)), _bootstrap_two(values, others, _share_of_wins)


def _share_of_wins(values: Doubles, others: Doubles, axis: int = 0) -> Any:
    from scipy import stats

    statistic = stats.mannwhitneyu(values, others, axis=axis, method="asymptotic").statistic
    return statistic / (values.shape[axis] * others.shape[axis])


def performance_profile(values: Doubles, thresholds: Doubles) -> tuple[Doubles, Interval | None]:
    """The share of runs `values` (n,) that are above each of `thresholds`, and its 95 % intervals.

    Agarwal et al. 2021, equation 1: a run-score distribution.
    """
    above = (values[:, None] > thresholds).astype(np.float64)
    return above.mean(axis=0), bootstrap(above, np.mean)


def _bootstrap_two(values: Doubles, others: Doubles, statistic: Statistic) -> Interval | None:
    from scipy import stats

    if min(len(values), len(others)) < 2:
        return None
    result = stats.bootstrap(
        (values, others),
        statistic,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        vectorized=True,
        rng=stream(0, Role.BOOTSTRAP),
    )
    return Interval(result.confidence_interval.low, result.confidence_interval.high)


def ratio_of_means(values: Doubles, others: Doubles) -> tuple[float, Interval | None]:
    """mean(`values`) ÷ mean(`others`), measured in pairs (n,), and its 95 % percentile interval over the pairs."""
    return paired_ratio(values, others, np.mean)


def paired_ratio(values: Doubles, others: Doubles, statistic: Statistic) -> tuple[float, Interval | None]:
    """statistic(`values`) ÷ statistic(`others`), measured in pairs (n,), and its 95 % interval over the pairs."""
    from scipy import stats

    ratio = float(statistic(values) / statistic(others))
    if len(values) < 2:
        return ratio, None
    result = stats.bootstrap(
        (values, others),
        lambda one, other, axis: statistic(one, axis=axis) / statistic(other, axis=axis),
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        paired=True,
        vectorized=True,
        rng=stream(0, Role.BOOTSTRAP),
    )
    return ratio, Interval(result.confidence_interval.low, result.confidence_interval.high)


def recent_means(returns: Doubles, window: int = WINDOW) -> Doubles:
    """Mean of the last `window` returns, for every episode from the `window`th on."""
    sums = np.cumsum(np.concatenate(([0.0], returns)))
    means: Doubles = (sums[window:] - sums[:-window]) / window
    return means


def steps_to_threshold(env_steps: NDArray[np.int64], returns: Doubles, threshold: float | None) -> int | None:
    """First env step at which the mean of the last 100 training episodes reached `threshold`; None if it never did.

    env_steps, returns: (episodes,), in the order in which the episodes ended.
    """
    if threshold is None or len(returns) < WINDOW:
        return None
    reached = np.flatnonzero(recent_means(returns) >= threshold)
    return int(env_steps[reached[0] + WINDOW - 1]) if len(reached) else None


def curve_on_grid(env_steps: NDArray[np.int64], returns: Doubles, grid: NDArray[np.int64]) -> Doubles:
    """Mean of the last 100 episodes that had ended by each env step of `grid`; NaN where there were fewer."""
    ended = np.searchsorted(env_steps, grid, side="right")
    means = np.concatenate((np.full(min(WINDOW, len(returns) + 1), np.nan), recent_means(returns)))
    return means[np.minimum(ended, len(means) - 1)]


def curves_on_grid(runs: Sequence[tuple[NDArray[np.int64], Doubles]]) -> tuple[NDArray[np.int64], Doubles]:
    """A grid of env steps (points,) that all runs with an episode reach, and each run's curve on it (runs, points).

    runs: the env step at which each episode ended, and its return, both (episodes,).
    """
    last = min((int(env_steps[-1]) for env_steps, _ in runs if len(env_steps)), default=0)
    grid = np.linspace(0, last, GRID_POINTS + 1).astype(np.int64)[1:]
    return grid, np.stack([curve_on_grid(env_steps, returns, grid) for env_steps, returns in runs])
