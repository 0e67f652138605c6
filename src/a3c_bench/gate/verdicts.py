"""From paired timings to a verdict: the arithmetic of the gate, without clocks and processes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from scipy import stats

from a3c_bench.arrays import Doubles
from a3c_bench.gate.duel import Duel, Timings
from a3c_bench.seeding import Role, stream
from a3c_bench.stats import interquartile_mean

Verdict = Literal["ok", "slower", "faster", "unstable", "missing", "new"]

TOLERANCE = 0.05
SUITE_LEVEL = 0.05
"""The share of whole suites of which one interval or more may miss its true ratio."""
RESAMPLES = 4999
LOOKS = (8, 11, 15, 20, 30, 45)
"""Pairs after which it is asked whether a verdict is clear, besides at the end; whoever looks often finds something."""


@dataclass(frozen=True)
class Comparison:
    """One benchmark of two revisions. ratio: seconds of the candidate ÷ those of the base, for the same work."""

    name: str
    group: str
    verdict: Verdict
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    pairs: int = 0

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
    if base.env_steps and candidate.env_steps:
        ratio -= float(np.log(candidate.env_steps / base.env_steps))
    return ratio


def interval(ratios: Doubles, benchmarks: int) -> tuple[float, float]:
    """The bootstrap interval of the interquartile mean of `ratios`, one per pair of processes.

    Its level is so high that all `benchmarks` of a suite, at all looks, together keep `SUITE_LEVEL` (Bonferroni).
    Percentile intervals of few values are too short: theirs are taken farther out (Hesterberg, "What Teachers Should
    Know About the Bootstrap", 2015, section 3.3).
    """
    if np.ptp(ratios) == 0:
        return float(ratios[0]), float(ratios[0])
    pairs = len(ratios)
    tail = stats.norm.cdf(np.sqrt(pairs / (pairs - 1)) * stats.t.ppf(level(benchmarks) / 2, pairs - 1))
    found = stats.bootstrap(
        (ratios,),
        interquartile_mean,
        n_resamples=RESAMPLES,
        confidence_level=1 - 2 * tail,
        method="percentile",
        rng=stream(0, Role.BOOTSTRAP),
    ).confidence_interval
    return float(found.low), float(found.high)


def level(benchmarks: int) -> float:
    """How often one interval may miss the truth."""
    return SUITE_LEVEL / benchmarks / (len(LOOKS) + 1)


def pairs_for_alarm(benchmarks: int) -> int:
    """So many pairs that chance alone hardly puts all of them on one side, however large the noise is."""
    return 1 + int(np.ceil(-np.log2(level(benchmarks))))


def judge(low: float, high: float, tolerance: float = TOLERANCE) -> Verdict:
    """The verdict of an interval of log-ratios; `unstable` where it lies on both sides of a border."""
    border = float(np.log1p(tolerance))
    if low > border:
        return "slower"
    if high < -border:
        return "faster"
    return "ok" if high < border else "unstable"


@dataclass
class Bout:
    """The pairs of processes that were timed so far, and what they say."""

    base: Sequence[str]
    candidate: Sequence[str]
    """The benchmarks of the two revisions."""
    suite: int | None = None
    """How many benchmarks share the suite's level; None: those that both have."""
    tolerance: float = TOLERANCE
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
        border = np.log1p(self.tolerance)
        return [name for name in self.worth_timing if interquartile_mean(self.ratios.get(name, [0.0])) > border]

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
            if comparison.verdict != "unstable":
                self.settled[name] = comparison

    def compare(self, name: str) -> Comparison:
        """What the pairs so far say of a benchmark."""
        ratios = np.array(self.ratios.get(name, []))
        found = Comparison(name, self.groups.get(name, ""), "unstable", pairs=len(ratios))
        if len(ratios) == 0:
            return found
        ratio = float(np.exp(interquartile_mean(ratios)))
        if len(ratios) < min(LOOKS):
            return replace(found, ratio=ratio)
        suite = self.suite or len(self.common)
        low, high = interval(ratios, suite)
        verdict = judge(low, high, self.tolerance)
        # So few values can all lie on one side by chance; all of them near 1 they lie because they are.
        if len(ratios) < pairs_for_alarm(suite) and judge(-high, -low, self.tolerance) != verdict:
            verdict = "unstable"
        return replace(found, ratio=ratio, low=float(np.exp(low)), high=float(np.exp(high)), verdict=verdict)

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
