"""From paired timings to a verdict: the arithmetic of the gate, without clocks and processes.

A pair of processes gives one ratio. Of a commit beside itself the logarithms of these ratios lie symmetrically around
zero, whatever the noise is, because either process could have been the other. So Wilcoxon's signed-rank test, turned
into an interval by averaging the ratios two by two (Hodges and Lehmann 1963), holds its level with nothing assumed of
the noise.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from a3c_bench.gate.duel import Duel, Timings

Verdict = Literal["ok", "slower", "faster", "unstable", "missing", "new"]
Doubles = NDArray[np.float64]

TOLERANCE, LEAST = 0.05, 0.02
"""A slowdown of the first is to be found; one below the second is left alone. Between them either verdict is right."""
FALSE_ALARMS = 0.025
"""The share of suites without a change in which one benchmark or more may be called slower."""
MISSES = 0.05
"""The share of benchmarks slower by `TOLERANCE` that may be called ok."""
LOOKS = (8, 11, 15, 20, 30, 45, 70)
"""Pairs after which it is asked whether a verdict is clear, besides at the end; whoever looks often finds something."""


@dataclass(frozen=True)
class Comparison:
    """One benchmark of two revisions. ratio: seconds of the candidate ÷ those of the base, for the same work."""

    name: str
    group: str
    verdict: Verdict
    ratio: float | None = None
    low: float | None = None
    """It is at least this, so surely that an alarm may rest on it; None: too few pairs for that."""
    high: float | None = None
    """It is at most this, so surely that the benchmark can be left alone."""
    pairs: int = 0
    ratios: tuple[float, ...] = ()
    """Of every pair, in the order in which they were timed."""

    @property
    def fails(self) -> bool:
        """Whether the gate closes on it."""
        return self.verdict in {"slower", "missing"}


def pair_ratio(base: Timings, candidate: Timings) -> float:
    """The logarithm of the ratio that one pair of processes gives: the median over their rounds.

    Rounds of one number followed each other on the same machine, so a drift of its speed is in both. Where both tell
    how much they did, it is for the same work.
    """
    rounds = min(len(base.seconds), len(candidate.seconds))
    ratio = float(np.median(np.log(candidate.seconds[:rounds] / base.seconds[:rounds])))
    if base.work and candidate.work:
        ratio -= float(np.log(candidate.work / base.work))
    return ratio


@cache
def cut(pairs: int, level: float) -> int:
    """So many of the lowest averages lie below the truth by chance with at most this probability; 0: too few pairs."""
    # How many of the 2^pairs choices of signs give each sum of ranks.
    chances = np.ones(1)
    for rank in range(1, pairs + 1):
        without = np.concatenate([chances, np.zeros(rank)])
        chances = (without + np.roll(without, rank)) / 2
    return int(np.searchsorted(np.cumsum(chances), level, side="right"))


def averages(ratios: Doubles) -> Doubles:
    """Of every two values, and of each with itself, sorted; their median is the estimate of Hodges and Lehmann."""
    first, second = np.triu_indices(len(ratios))
    return np.sort((ratios[first] + ratios[second]) / 2)


def lower(ratios: Doubles, level: float) -> float:
    """What the true ratio falls below with at most this probability; minus infinity: too few pairs to say."""
    least = cut(len(ratios), level)
    return float(averages(ratios)[least - 1]) if least else -np.inf


def upper(ratios: Doubles, level: float) -> float:
    """What the true ratio exceeds with at most this probability."""
    return -lower(-ratios, level)


def alarm_level(benchmarks: int) -> float:
    """How often one look at one benchmark may raise a false alarm, so that all looks at all of a suite keep theirs."""
    return FALSE_ALARMS / benchmarks / (len(LOOKS) + 1)


def miss_level() -> float:
    """How often one look may take a benchmark that is too slow for one that is not."""
    return MISSES / (len(LOOKS) + 1)


def judge(ratios: Doubles, benchmarks: int) -> Verdict:
    """The verdict on log-ratios, one for each pair; `unstable`: more pairs would be needed."""
    least, tolerance = np.log1p((LEAST, TOLERANCE))
    if lower(ratios, alarm_level(benchmarks)) > least:
        return "slower"
    if upper(ratios, alarm_level(benchmarks)) < -least:
        return "faster"
    return "ok" if upper(ratios, miss_level()) < tolerance else "unstable"


@dataclass
class Bout:
    """The pairs of processes that were timed so far, and what they say."""

    base: Sequence[str]
    candidate: Sequence[str]
    """The benchmarks of the two revisions."""
    suite: int | None = None
    """How many benchmarks share the suite's level; None: those that both have."""
    ratios: dict[str, list[float]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    settled: dict[str, Comparison] = field(default_factory=dict)

    @property
    def common(self) -> list[str]:
        """The benchmarks that both have, in the candidate's order."""
        return [name for name in self.candidate if name in set(self.base)]

    @property
    def open(self) -> list[str]:
        """Those whose verdict is not clear yet."""
        return [name for name in self.common if name not in self.settled]

    @property
    def pairs(self) -> int:
        """The most that any benchmark has."""
        return max(map(len, self.ratios.values()), default=0)

    @property
    def worth_timing(self) -> list[str]:
        """Open ones that will be looked at again."""
        return [name for name in self.open if len(self.ratios.get(name, [])) < max(LOOKS)]

    @property
    def suspects(self) -> list[str]:
        """Open ones that look slower than is tolerated: worth more pairs than the others."""
        return [name for name in self.worth_timing if np.median(self.ratios.get(name, [0.0])) > np.log1p(LEAST)]

    def add(self, duel: Duel) -> None:
        """Take in a pair of processes, and settle what is clear."""
        base, candidate = duel
        for name in candidate.keys() & base.keys():
            self.ratios.setdefault(name, []).append(pair_ratio(base[name], candidate[name]))
            self.groups[name] = candidate[name].group
        for name in self.open:
            if len(self.ratios.get(name, [])) not in LOOKS:
                continue
            comparison = self.compare(name)
            # What may well have become faster is worth the pairs that show it.
            perhaps_faster = lower(np.array(self.ratios[name]), miss_level()) < -np.log1p(TOLERANCE)
            if comparison.verdict in {"slower", "faster"} or (comparison.verdict == "ok" and not perhaps_faster):
                self.settled[name] = comparison

    def compare(self, name: str) -> Comparison:
        """What the pairs so far say of a benchmark."""
        ratios, suite = np.array(self.ratios.get(name, [])), self.suite or len(self.common)
        found = Comparison(name, self.groups.get(name, ""), "unstable", pairs=len(ratios))
        if len(ratios) == 0:
            return found
        low, high = lower(ratios, alarm_level(suite)), upper(ratios, miss_level())
        return replace(
            found,
            verdict=judge(ratios, suite) if len(ratios) >= min(LOOKS) else "unstable",
            ratio=float(np.exp(np.median(averages(ratios)))),
            low=float(np.exp(low)) if np.isfinite(low) else None,
            high=float(np.exp(high)) if np.isfinite(high) else None,
            ratios=tuple(np.exp(ratios).round(5).tolist()),
        )

    def comparisons(self) -> list[Comparison]:
        """All benchmarks of both revisions, those that are gone and those that are new too."""
        known = set(self.base), set(self.candidate)
        found = [self.settled.get(name) or self.compare(name) for name in self.common]
        found += [Comparison(name, "", "missing") for name in self.base if name not in known[1]]
        found += [Comparison(name, "", "new") for name in self.candidate if name not in known[0]]
        return found


def fight(
    bout: Bout,
    duel: Callable[[Sequence[str]], Duel],
    elapsed: Callable[[], float],
    budget: float,
    longest: float,
    told: Callable[[Bout], None] = lambda bout: None,
) -> None:
    """Time pair after pair, until every verdict is clear or the budget of seconds is spent.

    After `budget` only benchmarks that look slower go on, until `longest`, and those of a machine so slow that nothing
    has been looked at yet. No pair is begun that would end too late, by what a benchmark took in the last one.
    """
    each = 0.0
    while True:
        start = elapsed()
        names = bout.worth_timing
        looked_at = bout.pairs >= min(LOOKS)
        if looked_at and start + each * len(names) > budget:
            names = bout.suspects
        if not names or start + each * len(names) > longest:
            return
        bout.add(duel(names))
        each = (elapsed() - start) / len(names)
        told(bout)


def summary(comparisons: Sequence[Comparison]) -> Mapping[Verdict, int]:
    """How many benchmarks have each verdict."""
    counts: dict[Verdict, int] = {}
    for comparison in comparisons:
        counts[comparison.verdict] = counts.get(comparison.verdict, 0) + 1
    return counts
