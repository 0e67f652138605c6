"""The arithmetic of the gate, on simulated noise and a clock that only counts."""

import numpy as np
import pytest

from a3c_bench.gate.duel import Timings
from a3c_bench.gate.verdicts import LOOKS, Bout, fight, interval, judge, pair_ratio, pairs_for_alarm

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


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.06, 1.2, "slower"),
        (1.04, 1.2, "unstable"),
        (0.99, 1.04, "ok"),
        (0.5, 1.04, "ok"),
        (0.8, 0.94, "faster"),
        (0.5, 2.0, "unstable"),
    ],
)
def test_verdicts(low, high, verdict):
    assert judge(np.log(low), np.log(high)) == verdict


@pytest.mark.parametrize("pairs", [5, 10, 20])
def test_intervals_hold_for_the_whole_suite(pairs):
    """Of benchmarks whose true ratio is 1, all intervals of a suite have it in nearly all suites."""
    random, benchmarks = np.random.default_rng(0), 10
    bounds = [interval(0.02 * random.standard_normal(pairs), benchmarks) for _ in range(30 * benchmarks)]
    missed = [not low <= 0 <= high for low, high in bounds]
    # Of five values none is farther out than the outermost: one in sixteen lies beside the truth with all of them.
    assert np.mean(missed) <= (0.1 if pairs == 5 else 0.01)


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
    assert len(names) * len(LOOKS) * 2 ** (1 - needed) <= 0.05


@pytest.mark.parametrize("process_noise", [0.01, 0.2])
def test_a_commit_beside_itself_raises_no_alarm(process_noise):
    names = [f"part {number}" for number in range(10)]
    found = [judged(Machine(seed, dict.fromkeys(names, 1.0), process_noise=process_noise)) for seed in range(10)]
    assert sum(any(comparison.fails for comparison in comparisons.values()) for comparisons in found) <= 1


@pytest.mark.parametrize(("slowdown", "least"), [(1.1, 8), (1.2, 10), (1.5, 10)])
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
    assert judged(Machine(0, {"same": 1.0}))["same"].pairs == min(LOOKS)


def test_what_is_clear_is_not_timed_again():
    machine = Machine(0, {"slow": 2.0, "close": 1.05})
    judged(machine)
    assert machine.asked[0] == ["slow", "close"]
    assert machine.asked[-1] == ["close"]


class Alternating:
    """Pair after pair `ratio` times or divided by `factor`: the mean never becomes clear."""

    def __init__(self, **ratios):
        self.ratios, self.clock, self.asked = ratios, 0.0, []

    @property
    def slowdowns(self):
        return self.ratios

    def __call__(self, names):
        factor = 2.0 if len(self.asked) % 2 else 0.5
        self.asked.append(list(names))
        self.clock += 5.0
        return [
            {name: timings(np.ones(ROUNDS)) for name in names},
            {name: timings(self.ratios[name] * factor * np.ones(ROUNDS)) for name in names},
        ]


def test_noise_without_end_is_called_unstable_within_the_budget():
    machine = Alternating(noisy=1.02)
    comparison = judged(machine)["noisy"]
    assert comparison.verdict == "unstable"
    assert not comparison.fails
    assert comparison.pairs > min(LOOKS)
    assert machine.clock <= 225


def test_after_the_budget_only_suspects_are_timed():
    machine = Alternating(noisy=0.9, suspect=1.15)
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
