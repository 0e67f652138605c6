import numpy as np
import pytest
from scipy import stats

from a3c_bench.distributions.categorical import Categorical, log_softmax


def test_samples_follow_the_softmax():
    probabilities = np.array([0.2, 0.5, 0.3])
    logits = np.log(probabilities).astype(np.float32)
    policy = Categorical(3)
    noise = policy.noise(np.random.default_rng(0), (20_000,))
    counts = np.bincount(policy.sample(np.tile(logits, (20_000, 1)), noise), minlength=3)
    assert stats.chisquare(counts, 20_000 * probabilities).pvalue > 0.01


def test_noise_is_finite_even_for_a_draw_of_zero():
    class Zeros:
        def standard_exponential(self, shape, dtype):
            return np.zeros(shape, dtype)

    assert np.isfinite(Categorical(2).noise(Zeros(), (2,))).all()


def test_greedy_takes_the_most_probable():
    assert Categorical(2).mode(np.array([[0.1, 0.2], [3, -3]], np.float32)).tolist() == [1, 0]


def test_log_softmax_of_large_logits():
    result = log_softmax(np.array([[1000.0, 1000.0]], np.float32))
    assert result[0].tolist() == pytest.approx([np.log(0.5)] * 2)
