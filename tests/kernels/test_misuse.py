"""What would read or write beside an array is refused, and parts of rows do not disturb each other."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from a3c_bench.distributions.categorical import Categorical
from a3c_bench.learning.optimizer import Adam, add
from a3c_bench.learning.returns import discounted_returns, generalised_advantages, standardise, sum_of_products
from a3c_bench.networks.dense import DenseArchitecture

ARCHITECTURE = DenseArchitecture(4, 2, (16, 8), "tanh")
SIZE = ARCHITECTURE.layout.size


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("by_outputs", "by_values", "gradient"),
    [
        (zeros(5, 2, dtype=np.float64), zeros(5), zeros(SIZE)),
        (zeros(5, 4)[:, ::2], zeros(5), zeros(SIZE)),
        (zeros(4, 2), zeros(5), zeros(SIZE)),
        (zeros(5, 2), zeros(5), zeros(SIZE - 1)),
        (zeros(6, 2), zeros(6), zeros(SIZE)),
    ],
)
def test_a_backward_pass_of_other_arrays_is_refused(by_outputs, by_values, gradient):
    network, rows = ARCHITECTURE.bind(zeros(SIZE)), ARCHITECTURE.rows(5)
    network.forward(rows, 0, 5)
    with pytest.raises(TypeError):
        network.backward(rows, by_outputs, by_values, gradient)


def test_parameters_of_another_size_are_refused():
    with pytest.raises(TypeError):
        ARCHITECTURE.bind(zeros(SIZE - 1))


def test_actions_weights_and_rows_that_are_not_there_are_refused():
    policy = Categorical((2,))
    with pytest.raises(TypeError):
        policy.taken(zeros(5, 2), np.zeros(4, np.int64))
    taken = policy.taken(zeros(5, 2), np.zeros(5, np.int64))
    with pytest.raises(TypeError):
        taken.evaluate(6)
    with pytest.raises(TypeError):
        taken.loss_gradient(5, zeros(4))


FLAGS = np.ones((3, 2), np.bool_)


@pytest.mark.parametrize(
    "use",
    [
        lambda: discounted_returns(zeros(5), 0.9, zeros(4)),
        lambda: standardise(zeros(5), np.ones(4, np.bool_)),
        lambda: sum_of_products(zeros(5), zeros(4)),
        lambda: add(zeros(4), zeros(5)),
        lambda: Adam(zeros(5), zeros(4), np.zeros(1, np.int64)),
        lambda: Adam.fresh(5).apply(zeros(5), zeros(4), 1.0),
        lambda: generalised_advantages(zeros(3, 2), zeros(3, 2), *[FLAGS] * 3, 0.9, 0.9, zeros(3, 2), zeros(3, 2)),
    ],
)
def test_arrays_of_other_sizes_are_refused(use):
    with pytest.raises(TypeError):
        use()


def test_parts_can_be_computed_side_by_side():
    generator = np.random.default_rng(0)
    network = ARCHITECTURE.bind(generator.normal(size=SIZE).astype(np.float32))
    whole = ARCHITECTURE.rows(400)
    whole.observations[:] = generator.normal(size=whole.observations.shape)
    network.forward(whole, 0, 400)
    expected = whole.outputs.copy()
    parts = [whole.part(start, start + 100) for start in range(0, 400, 100)]
    with ThreadPoolExecutor(4) as executor:
        for _ in range(300):
            list(executor.map(lambda part: network.forward(part, 0, 100), parts))
            assert np.array_equal(whole.outputs, expected)
