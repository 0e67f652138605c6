import numpy as np
import pytest
from scipy import stats

from a3c_bench.distributions.categorical import greedy, gumbel_noise, log_softmax, sample


def test_samples_follow_the_softmax():
    probabilities = np.array([0.2, 0.5, 0.3])
    logits = np.log(probabilities).astype(np.float32)
    noise = gumbel_noise(np.random.default_rng(0), (20_000, 3))
    counts = np.bincount(sample(np.tile(logits, (20_000, 1)), noise), minlength=3)
    assert stats.chisquare(counts, 20_000 * probabilities).pvalue > 0.01


def test_noise_is_finite_even_for_a_draw_of_zero():
    class Zeros:
        def standard_exponential(self, shape, dtype):
            return np.zeros(shape, dtype)

    assert np.isfinite(gumbel_noise(Zeros(), (2, 2))).all()


def test_greedy_takes_the_most_probable():
    assert greedy(np.array([[0.1, 0.2], [3, -3]], np.float32)).tolist() == [1, 0]


def test_log_softmax_of_large_logits():
    result = log_softmax(np.array([[1000.0, 1000.0]], np.float32))
    assert result[0].tolist() == pytest.approx([np.log(0.5)] * 2)
