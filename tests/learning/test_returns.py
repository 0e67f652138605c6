import numpy as np
import pytest

from a3c_bench.learning.returns import discounted_returns, generalised_advantages, scale_to_unit_length, standardise


def advantages(rewards, values, terminated=(), truncated=(), uncounted=(), gamma=0.5, gae_lambda=0.5):
    """GAE of one environment; the flags by their steps."""
    steps = len(rewards)
    flags = [np.array([[step in marked] for step in range(steps)]) for marked in (terminated, truncated)]
    counted = np.array([[step not in uncounted] for step in range(steps)])
    values = np.array(values, np.float32)[:, None]
    block, returns = np.empty((steps, 1), np.float32), np.empty((steps, 1), np.float32)
    given = (np.array(rewards, np.float32)[:, None], values, *flags, counted)
    generalised_advantages(*given, gamma, gae_lambda, block, returns)()
    assert returns.tolist() == (block + values[:-1]).tolist()
    return block[:, 0].tolist()


def test_lambda_0_is_the_temporal_difference_error():
    assert advantages([1, 2], [3, 4, 5], gae_lambda=0) == [1 + 0.5 * 4 - 3, 2 + 0.5 * 5 - 4]


def test_lambda_1_is_the_bootstrapped_return_minus_the_value():
    assert advantages([1, 2], [3, 4, 5], gae_lambda=1) == [1 + 0.5 * (2 + 0.5 * 5) - 3, 2 + 0.5 * 5 - 4]


def test_general_case_by_hand():
    errors = [1 + 0.5 * 4 - 3, 2 + 0.5 * 5 - 4, 3 + 0.5 * 6 - 5]
    by_hand = [errors[0] + 0.25 * (errors[1] + 0.25 * errors[2]), errors[1] + 0.25 * errors[2], errors[2]]
    assert advantages([1, 2, 3], [3, 4, 5, 6]) == by_hand


def test_constant_reward_with_its_true_values_has_no_advantage():
    # V = 1 / (1 − γ) for a reward of 1 for ever.
    assert advantages([1] * 6, [2] * 7) == [0] * 6


def test_termination_has_no_next_value():
    assert advantages([1, 1], [0, 0, 8], terminated=[1])[1] == 1


def test_truncation_bootstraps_from_the_last_observation():
    assert advantages([1, 1], [0, 0, 8], truncated=[1])[1] == 1 + 0.5 * 8


@pytest.mark.parametrize("end", ["terminated", "truncated"])
def test_nothing_flows_over_an_episodes_end_or_from_the_step_that_resets(end):
    calm = advantages([1, 1, 0, 1], [1, 1, 2, 3, 4], uncounted=[2], **{end: [1]})
    wild = advantages([1, 1, 0, 1], [1, 1, 2, 99, 99], uncounted=[2], **{end: [1]})
    assert calm[:3] == wild[:3]
    assert calm[2] == 0


@pytest.mark.parametrize("end", ["terminated", "truncated"])
def test_nothing_flows_over_an_episodes_end_into_a_step_that_counts(end):
    calm = advantages([1, 1, 1], [1, 1, 2, 3], **{end: [1]})
    wild = advantages([1, 1, 99], [1, 1, 2, 99], **{end: [1]})
    assert calm[:2] == wild[:2]


def test_discounted_returns_by_hand():
    for rewards, expected in (([1, 1, -10], [1 + 0.5 * (1 - 5), 1 - 5, -10]), ([7], [7])):
        returns = np.empty(len(rewards), np.float32)
        discounted_returns(np.array(rewards, np.float32), 0.5, returns)
        assert returns.tolist() == expected


def test_unit_length():
    vector, nothing = np.array([3, 4], np.float32), np.zeros(3, np.float32)
    scale_to_unit_length(vector)
    scale_to_unit_length(nothing)
    assert vector.tolist() == pytest.approx([0.6, 0.8])
    assert nothing.tolist() == [0, 0, 0]


def test_standardise_sees_the_counted_entries_only():
    counted = np.array([True, True, False, True])
    result, nothing = np.array([1, 2, 1000, 3], np.float32), np.zeros(2, np.float32)
    standardise(result, counted)
    standardise(nothing, np.zeros(2, np.bool_))
    assert result[2] == 0
    assert np.mean(result[counted]) == pytest.approx(0, abs=1e-6)
    assert np.std(result[counted]) == pytest.approx(1, abs=1e-6)
    assert nothing.tolist() == [0, 0]
