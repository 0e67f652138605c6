import numpy as np
import pytest
from scipy import stats as scipy_stats

from a3c_bench.stats import (
    bootstrap,
    bootstrap_difference,
    curve_on_grid,
    curves_on_grid,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    ratio_of_means,
    recent_means,
    steps_to_threshold,
)


def test_interquartile_mean_drops_a_quarter_at_either_end():
    assert interquartile_mean([1, 2, 3, 1000]) == 2.5
    assert interquartile_mean([1, 2, 3, 4, 1000]) == 3
    assert interquartile_mean([7]) == 7


def test_bootstrap_interval_covers_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        interval = bootstrap(generator.normal(size=40), np.mean)
        covered += interval.low <= 0 <= interval.high
    assert scipy_stats.binomtest(covered, 100, 0.95).pvalue > 0.001


def test_one_value_has_no_interval_and_the_same_data_give_the_same_one():
    assert bootstrap(np.array([1.0]), np.mean) is None
    values = np.random.default_rng(1).normal(size=10)
    assert bootstrap(values, np.median) == bootstrap(values, np.median)


def test_bootstrap_of_curves_is_an_interval_per_column():
    curves = np.random.default_rng(2).normal(size=(5, 7))
    low, high = bootstrap(curves, interquartile_mean)
    assert low.shape == high.shape == (7,)
    assert (low <= interquartile_mean(curves)).all()
    assert (interquartile_mean(curves) <= high).all()


def test_recent_means():
    assert recent_means(np.array([1.0, 2, 3, 4]), window=2).tolist() == [1.5, 2.5, 3.5]


def test_steps_to_threshold_is_the_first_step_that_reaches_it():
    returns = np.concatenate([np.zeros(50), np.full(150, 10.0)])
    env_steps = np.arange(1, 201) * 7
    # 95 of the last 100 episodes must return 10: episode 50 + 95.
    assert steps_to_threshold(env_steps, returns, 9.5) == 145 * 7
    assert steps_to_threshold(env_steps, returns, 10.5) is None
    assert steps_to_threshold(env_steps, returns, None) is None
    assert steps_to_threshold(env_steps[:99], returns[:99], 0.0) is None


def test_curve_on_grid_is_what_had_ended_by_then():
    returns = np.arange(150, dtype=float)
    env_steps = np.arange(1, 151) * 10
    curve = curve_on_grid(env_steps, returns, np.array([5, 999, 1000, 1009, 1010, 9999]))
    assert np.isnan(curve[:2]).all()
    assert curve[2:].tolist() == [pytest.approx(mean) for mean in (49.5, 49.5, 50.5, 99.5)]
    assert np.isnan(curve_on_grid(env_steps[:3], returns[:3], np.array([10, 9999]))).all()


def test_a_ratio_measured_in_pairs_does_not_see_what_both_share():
    rng = np.random.default_rng(0)
    mood = rng.uniform(1, 2, 200)
    ratio, interval = ratio_of_means(0.9 * mood, mood)
    assert ratio == pytest.approx(0.9)
    assert interval.low == pytest.approx(0.9)
    assert interval.high == pytest.approx(0.9)
    noisy, interval = ratio_of_means(0.9 * mood, rng.permutation(mood))
    assert interval.low < noisy < interval.high
    assert ratio_of_means(mood[:1], mood[:1]) == (1.0, None)


def test_the_difference_of_two_samples_and_its_interval():
    rng = np.random.default_rng(0)
    one, other = rng.normal(3, 1, 400), rng.normal(1, 1, 300)
    interval = bootstrap_difference(one, other, np.mean)
    assert interval.low < 2 < interval.high
    assert interval.high - interval.low < 0.5
    assert bootstrap_difference(one[:1], other, np.mean) is None


def test_curves_share_a_grid_that_all_runs_reach():
    runs = [(np.arange(1, 301) * 10, np.arange(300.0)), (np.arange(1, 201) * 10, np.zeros(200))]
    grid, means = curves_on_grid(runs)
    assert grid[-1] == 2000
    assert means.shape == (2, len(grid))
    assert means[0, -1] == np.arange(100, 200).mean()


def test_the_probability_of_improvement_counts_pairs():
    values, others = np.array([1.0, 2, 3]), np.array([0.0, 2])
    won = [1, 0, 1, 0.5, 1, 1]
    probability, interval = probability_of_improvement(values, others)
    assert probability == pytest.approx(np.mean(won))
    assert interval.low <= probability <= interval.high
    assert probability_of_improvement(others, values)[0] == pytest.approx(1 - np.mean(won))
    assert probability_of_improvement(np.ones(3), np.ones(4)) == (0.5, (0.5, 0.5))
    assert probability_of_improvement(values[:1], others) == (0.5, None)


def test_a_performance_profile_falls_from_all_runs_to_none():
    share, interval = performance_profile(np.array([1.0, 2, 3, 4]), np.array([0.0, 1, 2.5, 4]))
    assert share.tolist() == [1, 0.75, 0.5, 0]
    assert interval.low.shape == interval.high.shape == (4,)
    assert performance_profile(np.array([1.0]), np.array([0.0]))[1] is None


# What rliable 1.2.0 (the authors' own code, on scipy 1.17) gives for these ten and seven scores of one task, its
# strata: estimate, and what 1.5 % and 3.5 % (96.5 % and 98.5 %) of 50 000 resamples, 20 000 for the probability, are
# below. An end of an interval from 2000 resamples lies between the two, three standard errors from 2.5 %.
SCORES = np.array([112.0, 487.5, 500, 231.25, 498, 460, 500, 377.5, 505, 90.5])
OTHERS = np.array([180.0, 450, 210, 499, 333, 360, 120])
THRESHOLDS = np.array([0.0, 100, 232, 400, 490, 500, 510])


@pytest.mark.parametrize(
    ("scores", "estimate", "low", "high"),
    [
        (SCORES, 425.7083333333333, (236.5, 270.8), (495.5, 498.4)),
        (OTHERS, 306.6, (180.0, 198.0), (418.4, 436.4)),
    ],
)
def test_the_interquartile_mean_and_its_interval_are_those_of_rliable(scores, estimate, low, high):
    assert interquartile_mean(scores) == pytest.approx(estimate, rel=1e-12)
    interval = bootstrap(scores, interquartile_mean)
    assert low[0] <= interval.low <= low[1]
    assert high[0] <= interval.high <= high[1]


def test_the_probability_of_improvement_is_that_of_rliable():
    probability, interval = probability_of_improvement(SCORES, OTHERS)
    assert probability == pytest.approx(0.6714285714285714, rel=1e-12)
    assert 0.357142 <= interval.low <= 0.414286
    assert 0.9 <= interval.high <= 0.942858


def test_the_performance_profile_is_that_of_rliable():
    share, interval = performance_profile(SCORES, THRESHOLDS)
    assert share == pytest.approx([1, 0.9, 0.7, 0.6, 0.4, 0.1, 0])
    assert interval.low == pytest.approx([1, 0.7, 0.4, 0.3, 0.1, 0, 0])
    # At 232, 1.5 % of the resamples are wholly above, 3.5 % are not: either is right.
    assert interval.high[2] in (pytest.approx(0.9), pytest.approx(1))
    assert np.delete(interval.high, 2) == pytest.approx([1, 1, 0.9, 0.7, 0.3, 0])
