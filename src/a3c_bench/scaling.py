"""Throughput by workers as a law, fitted where the machine has the cores for it.

Universal Scalability Law: Gunther, "A General Theory of Computational Scalability Based on Rational Functions", 2008.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from a3c_bench.arrays import Doubles, Integers
from a3c_bench.stats import Interval, bootstrap

FEWEST_COUNTS = 4
"""Different numbers of workers, all within the machine's cores, that a fit needs."""


@dataclass(frozen=True)
class Law:
    """Throughput of n workers: rate · n ÷ (1 + contention · (n − 1) + crosstalk · n · (n − 1))."""

    rate: float
    """Of one worker, env steps per second."""
    contention: float
    """Share of the work that only one worker at a time can do."""
    crosstalk: float
    """What every pair of workers costs."""

    def predict(self, workers: Any) -> Any:
        """Env steps per second of so many workers."""
        return usl(np.asarray(workers, np.float64), self.rate, self.contention, self.crosstalk)


def usl(workers: Doubles, rate: float, contention: float, crosstalk: float) -> Doubles:
    """The Universal Scalability Law."""
    return rate * workers / (1 + contention * (workers - 1) + crosstalk * workers * (workers - 1))


def fit(workers: Integers, rates: Doubles) -> Law:
    """The law through rates (repeats, counts) measured with `workers` (counts,), at least `FEWEST_COUNTS` of them.

    Residuals are relative, so that large rates do not count more.
    """
    from scipy import optimize

    count, rate = np.broadcast_to(workers.astype(np.float64), rates.shape).ravel(), rates.ravel()
    start = (float(np.mean(rate / count)), 0.05, 0.001)
    bounds = ([0.0, 0.0, 0.0], [np.inf, 1.0, 1.0])
    found, _ = optimize.curve_fit(usl, count, rate, start, sigma=rate, bounds=bounds)
    return Law(*map(float, found))


def interval(workers: Integers, rates: Doubles, at: Iterable[int]) -> Interval | None:
    """The 95 % percentile interval of the fitted law at the counts `at`: repeats are drawn again."""
    counts = np.array(list(at))

    def predicted(drawn: Doubles, axis: int) -> Doubles:
        # scipy hands over (counts, draws, repeats), or (counts, repeats), and wants the draws last.
        samples = np.moveaxis(drawn, 0, -1).reshape(-1, drawn.shape[axis], len(workers))
        return np.stack([fit(workers, sample).predict(counts) for sample in samples], axis=-1)

    return bootstrap(rates, predicted)
