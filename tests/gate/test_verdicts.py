"""The arithmetic of the gate, on simulated noise and a clock that only counts."""

import numpy as np
import pytest
from scipy import stats

from a3c_bench.gate.duel import Timings
from a3c_bench.gate.verdicts import (
    FALSE_ALARMS,
    LOOKS,
    MISSES,
    Bout,
    alarm_level,
    averages,
    cut,
    fight,
    judge,
    lower,
    miss_level,
    pair_ratio,
    upper,
)

ROUNDS = 15


def timings(seconds, env_steps=100.0):
    return Timings(np.asarray(seconds, float), "group", env_steps)


class Machine:
    """Simulated benchmarks: true seconds, a drift that both revisions see, and noise with heavy tails."""

    def __init__(self, seed, slowdowns, drift=0.02, process_noise=0.015, round_noise=0.03):
        self.random = np.random.default_rng(seed)
        self.slowdowns = slowdowns
        self.drift, self.process_noise, self.round_noise = drift, process_noise, round_noise
        self.speed, self.clock, self.asked = 1.0, 0.0, []

    def __call__(self, names):
        self.asked.append(list(names))
        found = {}, {}
        for name in names:
            lasting = np.exp(self.process_noise * self.random.standard_normal(2))
            rounds = np.empty((2, ROUNDS))
            for number in range(ROUNDS):
                # It wanders, and within minutes it is twice as fast or half.
                self.speed *= self.speed**-0.003 * np.exp(self.drift * self.random.standard_normal())
                # Student's t with two degrees of freedom: now and then a round takes many times as long.
                noise = np.exp(self.round_noise * np.abs(self.random.standard_t(2, size=2)))
                rounds[:, number] = 0.01 * self.speed * lasting * noise * (1.0, self.slowdowns[name])
            self.clock += float(rounds.sum())
            for side, seconds in zip(found, rounds, strict=True):
                side[name] = timings(seconds)
        self.clock += 3.0
        return list(found)


def judged(machine, budget=225.0, longest=465.0):
    names = list(machine.slowdowns)
    bout = Bout(names, names)
    fight(bout, machine, lambda: machine.clock, budget, longest)
    return {comparison.name: comparison for comparison in bout.comparisons()}


def test_the_ratio_of_a_pair_does_not_see_a_drift_that_both_have():
    drift = np.exp(np.linspace(0, 2, ROUNDS))
    assert pair_ratio(timings(drift), timings(1.1 * drift)) == pytest.approx(np.log(1.1))


def test_the_ratio_of_a_pair_does_not_see_single_slow_rounds():
    slow = np.ones(ROUNDS)
    slow[:7] = 50
    assert pair_ratio(timings(np.ones(ROUNDS)), timings(slow)) == 0


def test_the_ratio_is_for_the_same_work():
    assert pair_ratio(timings([2.0], 100), timings([1.0], 50)) == pytest.approx(0)
    assert pair_ratio(timings([2.0], None), timings([1.0], 50)) == pytest.approx(np.log(0.5))


def pairs_for_alarm(benchmarks):
    return next(pairs for pairs in range(2, 100) if cut(pairs, alarm_level(benchmarks)))


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [(1.05, "slower"), (1.03, "slower"), (1.01, "ok"), (1.0, "ok"), (0.9, "faster")],
)
def test_verdicts(ratio, verdict):
    ratios = np.log(ratio) + 0.005 * np.random.default_rng(0).standard_normal(30)
    assert judge(ratios, 20) == verdict


def test_noise_on_both_sides_of_the_limits_is_unstable():
    assert judge(np.tile([-0.3, 0.3], 15), 20) == "unstable"


@pytest.mark.parametrize("pairs", [5, 8, 15, 30])
def test_signed_ranks_are_counted_as_scipy_counts_them(pairs):
    ratios = np.random.default_rng(pairs).standard_normal(pairs)
    for level in (0.001, 0.05, 0.2):
        # The bound is the smallest shift whose one-sided test is not significant.
        bound = lower(ratios, level)
        if np.isinf(bound):
            assert 0.5**pairs > level
            continue
        for shift, significant in ((bound - 1e-9, True), (bound + 1e-9, False)):
            found = stats.wilcoxon(ratios - shift, alternative="greater", method="exact").pvalue
            assert (found <= level) == significant


def test_a_bound_from_above_mirrors_the_one_from_below():
    ratios = np.random.default_rng(1).standard_normal(20)
    assert upper(ratios, 0.01) == -lower(-ratios, 0.01)
    assert lower(ratios, 0.01) < np.median(averages(ratios)) < upper(ratios, 0.01)


@pytest.mark.parametrize("pairs", [8, 20])
def test_bounds_hold_their_level_whatever_the_noise(pairs):
    random = np.random.default_rng(0)
    for draw in (random.standard_normal, random.standard_cauchy):
        missed = [lower(draw(pairs), 0.05) > 0 for _ in range(1000)]
        assert np.mean(missed) <= 0.05 + 3 * np.sqrt(0.05 / 1000)


def test_levels_add_up_to_what_is_promised():
    looks = len(LOOKS) + 1
    assert 20 * looks * alarm_level(20) == pytest.approx(FALSE_ALARMS)
    assert looks * miss_level() == pytest.approx(MISSES)


def test_an_alarm_needs_more_pairs_than_chance_would_line_up():
    names = [f"part {number}" for number in range(20)]
    bout = Bout(names, names)
    needed = pairs_for_alarm(len(names))
    machine = Machine(0, dict.fromkeys(names, 3.0))
    for _ in range(needed - 1):
        bout.add(machine(names))
    assert {comparison.verdict for comparison in bout.comparisons()} == {"unstable"}
    bout.add(machine(names))
    assert {comparison.verdict for comparison in bout.comparisons()} == {"slower"}


@pytest.mark.parametrize("process_noise", [0.01, 0.2])
def test_a_commit_beside_itself_raises_no_alarm(process_noise):
    names = [f"part {number}" for number in range(10)]
    found = [judged(Machine(seed, dict.fromkeys(names, 1.0), process_noise=process_noise)) for seed in range(10)]
    assert sum(any(comparison.fails for comparison in comparisons.values()) for comparisons in found) <= 1


@pytest.mark.parametrize(("slowdown", "least"), [(1.05, 9), (1.1, 10), (1.2, 10), (1.5, 10)])
def test_slowdowns_are_found(slowdown, least):
    found = [judged(Machine(seed, {"slow": slowdown, "same": 1.0})) for seed in range(10)]
    assert sum(comparisons["slow"].verdict == "slower" for comparisons in found) >= least
    assert not any(comparisons["same"].fails for comparisons in found)


def test_a_speedup_is_told():
    assert judged(Machine(0, {"fast": 0.8}))["fast"].verdict == "faster"


def test_it_stops_as_soon_as_all_is_clear():
    machine = Machine(0, {"fast": 0.5, "slow": 2.0})
    first = min(look for look in LOOKS if look >= pairs_for_alarm(2))
    assert {comparison.pairs for comparison in judged(machine).values()} == {first}
    assert len(machine.asked) == first


def test_within_the_tolerance_fewer_pairs_do():
    assert judged(Machine(0, {"same": 1.0}, process_noise=0.01))["same"].pairs == min(LOOKS)


def test_what_is_clear_is_not_timed_again():
    machine = Machine(0, {"slow": 2.0, "close": 1.05})
    judged(machine)
    assert machine.asked[0] == ["slow", "close"]
    assert machine.asked[-1] == ["close"]


class Scattered:
    """Pair after pair somewhere between half and twice the ratio: its mean never becomes clear."""

    def __init__(self, **ratios):
        self.ratios, self.clock, self.asked = ratios, 0.0, []
        self.random = np.random.default_rng(0)

    @property
    def slowdowns(self):
        return self.ratios

    def __call__(self, names):
        factor = 2.0 ** self.random.uniform(-1, 1)
        self.asked.append(list(names))
        self.clock += 5.0
        return [
            {name: timings(np.ones(ROUNDS)) for name in names},
            {name: timings(self.ratios[name] * factor * np.ones(ROUNDS)) for name in names},
        ]


def test_noise_without_end_is_called_unstable_within_the_budget():
    machine = Scattered(noisy=0.92)
    comparison = judged(machine)["noisy"]
    assert comparison.verdict == "unstable"
    assert not comparison.fails
    assert comparison.pairs > min(LOOKS)
    assert machine.clock <= 225


def test_after_the_budget_only_suspects_are_timed():
    machine = Scattered(noisy=0.9, suspect=1.15)
    judged(machine, budget=60.0)
    assert machine.asked[0] == ["noisy", "suspect"]
    assert machine.asked[-1] == ["suspect"]
    assert 60 < machine.clock <= 465


def test_missing_and_new_benchmarks_are_told():
    bout = Bout(["kept", "gone"], ["kept", "added"])
    fight(bout, Machine(0, {"kept": 1.0}), lambda: 0.0, 60.0, 60.0)
    found = {comparison.name: comparison for comparison in bout.comparisons()}
    assert {name: comparison.verdict for name, comparison in found.items()} == {
        "kept": "ok",
        "gone": "missing",
        "added": "new",
    }
    assert found["gone"].fails
    assert not found["added"].fails


def test_too_few_pairs_are_no_verdict():
    bout = Bout(["one"], ["one"])
    for _ in range(min(LOOKS) - 1):
        bout.add(Machine(0, {"one": 3.0})(["one"]))
    assert bout.comparisons()[0].verdict == "unstable"
