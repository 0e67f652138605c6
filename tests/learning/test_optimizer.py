import numpy as np
import pytest
import torch

from a3c_bench.learning.optimizer import Adam, clip


def test_adam_takes_torchs_steps():
    generator = np.random.default_rng(0)
    parameters = generator.standard_normal(50).astype(np.float32)
    reference = torch.nn.Parameter(torch.from_numpy(parameters.copy()))
    theirs = torch.optim.Adam([reference], lr=1e-2)
    ours = Adam(np.zeros(50, np.float32), np.zeros(50, np.float32), np.zeros(1, np.int64))
    for _ in range(100):
        gradient = generator.standard_normal(50).astype(np.float32)
        ours.apply(parameters, gradient, 1e-2)
        reference.grad = torch.from_numpy(gradient)
        theirs.step()
        np.testing.assert_allclose(parameters, reference.detach().numpy(), rtol=2e-5, atol=2e-6)


def test_clip_keeps_the_direction_and_tells_the_length():
    gradient = np.array([3, 4], np.float32)
    assert clip(gradient, 1.0) == 5
    assert gradient.tolist() == pytest.approx([0.6, 0.8])
    assert clip(gradient, 2.0) == pytest.approx(1)
    assert gradient.tolist() == pytest.approx([0.6, 0.8])
