import numpy as np
import pytest
from scipy import stats as scipy_stats

from a3c_bench.stats import (
    bootstrap,
    bootstrap_difference,
    curve_on_grid,
    interquartile_mean,
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
