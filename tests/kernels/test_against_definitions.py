"""The kernels against plain definitions: in float64 for their accuracy, and step by step for their order."""

import numpy as np
import pytest

from a3c_bench.kernels.library import call, prepare
from a3c_bench.learning.optimizer import length
from a3c_bench.networks.dense import ACTIVATIONS, Critic, DenseArchitecture

LANES = 16


def floats(*shape, seed=0, scale=1.0):
    return np.random.default_rng(seed).normal(0, scale, shape).astype(np.float32)


def fused(a, b, c):
    """a · b + c of float32 numbers, rounded once: by way of float64, whose sum is rounded to odd."""
    product = a.astype(np.float64) * b.astype(np.float64)
    added = c.astype(np.float64)
    total = product + added
    back = total - product
    lost = (product - (total - back)) + (added - back)
    bits = total.view(np.int64)
    odd = np.where((lost != 0) & (bits & 1 == 0), np.where((lost > 0) == (total > 0), 1, -1), 0)
    return (bits + odd).view(np.float64).astype(np.float32)


def in_order(left, right, bias):
    """left (rows, inner) · right (inner, columns) + bias: the order of a product of sixteen columns or more."""
    total = np.tile(bias, (len(left), 1)).astype(np.float32)
    for k in range(left.shape[1]):
        column, row = np.broadcast_arrays(left[:, k, None], right[None, k])
        total = fused(column, row, total)
    return total


def in_sixteenths(left, right, bias):
    """The same with fewer columns."""
    partial = np.zeros((LANES, len(left), right.shape[1]), np.float32)
    for k in range(left.shape[1]):
        column, row = np.broadcast_arrays(left[:, k, None], right[None, k])
        partial[k % LANES] = fused(column, row, partial[k % LANES])
    while len(partial) > 1:
        half = len(partial) // 2
        partial = partial[:half] + partial[half:]
    return bias + partial[0]


def head_alone(inputs, outputs):
    """A network whose first layer passes positive inputs on, so that its outputs are one product."""
    return DenseArchitecture(inputs, outputs, (inputs,), "relu")


@pytest.mark.parametrize("rows", [1, 5, 6, 50])
@pytest.mark.parametrize("inner", [16, 25, 64])
@pytest.mark.parametrize("columns", [1, 2, 15, 16, 17, 50, 64, 100])
def test_a_product_has_the_order_that_is_written_down(rows, inner, columns):
    architecture = head_alone(inner, columns)
    parameters = floats(architecture.layout.size)
    first, head = architecture.layers(parameters)["hidden.0"], architecture.layers(parameters)["actor"]
    first.weight[:], first.bias[:] = np.eye(inner), 0
    room = architecture.rows(rows)
    room.observations[:] = np.abs(floats(rows, inner, seed=1))
    architecture.bind(parameters).forward(room, 0, rows)
    order = in_order if columns >= LANES else in_sixteenths
    assert np.array_equal(room.outputs, order(room.observations, head.weight, head.bias))


@pytest.mark.parametrize("inputs", [4, 16, 33])
@pytest.mark.parametrize("outputs", [1, 3, 16, 40])
def test_gradients_of_a_layer_have_the_order_that_is_written_down(inputs, outputs):
    architecture = head_alone(inputs, outputs)
    parameters = floats(architecture.layout.size)
    first = architecture.layers(parameters)["hidden.0"]
    first.weight[:], first.bias[:] = np.eye(inputs), 0
    room, gradient = architecture.rows(50), np.empty_like(parameters)
    room.observations[:] = np.abs(floats(50, inputs, seed=1))
    network, by_outputs = architecture.bind(parameters), floats(50, outputs, seed=2)
    network.forward(room, 0, 50)
    network.backward(room, by_outputs, np.zeros(50, np.float32), gradient)
    found = architecture.layers(gradient)["actor"]
    assert np.array_equal(found.weight, in_order(room.observations.T, by_outputs, np.zeros(outputs)))
    total = np.zeros(outputs, np.float32)
    for row in by_outputs:
        total += row
    assert np.array_equal(found.bias, total)


def forward_in_double(architecture, parameters, observations):
    """Outputs and values, by the plain formulas in float64."""
    layers = {
        name: (layer.weight.astype(np.float64), layer.bias.astype(np.float64))
        for name, layer in architecture.layers(parameters).items()
    }
    activate = np.tanh if architecture.activation == "tanh" else lambda numbers: np.maximum(numbers, 0)
    features = observations.astype(np.float64)
    if architecture.normalised:
        features = features / np.linalg.norm(features, axis=1, keepdims=True)
    for index in range(len(architecture.hidden)):
        weight, bias = layers[f"hidden.{index}"]
        features = activate(features @ weight + bias)
    outputs = features @ layers["actor"][0] + layers["actor"][1]
    if architecture.critic.hidden:
        features = activate(features @ layers["critic_hidden"][0] + layers["critic_hidden"][1])
    values = (features @ layers["critic"][0] + layers["critic"][1])[:, 0]
    return outputs, np.tanh(values) if architecture.critic.bounded else values


def test_free_outputs_are_their_biases_and_only_these_learn():
    architecture = DenseArchitecture(6, 5, (20,), "tanh", free_outputs=2)
    parameters = architecture.initial(np.random.default_rng(0))
    actor = architecture.layers(parameters)["actor"]
    assert not actor.weight[:, 3:].any() and not actor.bias[3:].any() and actor.weight[:, :3].all()
    lower = DenseArchitecture(6, 5, (20,), "tanh", free_outputs=2, free_start=-1.5)
    assert (lower.layers(lower.initial(np.random.default_rng(0)))["actor"].bias[3:] == -1.5).all()
    actor.bias[3:] = 0.5, -2
    network, rows, gradient = architecture.bind(parameters), architecture.rows(30), np.empty_like(parameters)
    rows.observations[:] = floats(30, 6)
    network.forward(rows, 0, 30)
    assert np.array_equal(rows.outputs[:, 3:], np.tile(np.float32([0.5, -2]), (30, 1)))
    by_outputs = floats(30, 5, seed=1)
    network.backward(rows, by_outputs, floats(30, seed=2), gradient)
    found = architecture.layers(gradient)
    assert not found["actor"].weight[:, 3:].any() and found["actor"].weight[:, :3].all()
    np.testing.assert_allclose(found["actor"].bias, by_outputs.sum(0), rtol=1e-5)
    others = by_outputs.copy()
    others[:, 3:] = 0
    without = np.empty_like(gradient)
    network.backward(rows, others, floats(30, seed=2), without)
    assert np.array_equal(architecture.layers(without)["hidden.0"].weight, found["hidden.0"].weight)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("critic", [Critic(), Critic(20), Critic(7, True, True), Critic(None, True), Critic(40)])
@pytest.mark.parametrize("hidden", [(5,), (64, 64), (25, 50, 25)])
def test_passes_are_accurate(activation, critic, hidden):
    """Outputs to float32 rounding; the gradient against differences of the float64 loss."""
    architecture = DenseArchitecture(6, 3, hidden, activation, normalised=True, critic=critic)
    parameters = floats(architecture.layout.size, scale=0.3)
    network, rows = architecture.bind(parameters), architecture.rows(30)
    rows.observations[:] = floats(30, 6, seed=1)
    network.forward(rows, 0, 30)
    outputs, values = forward_in_double(architecture, parameters, rows.observations)
    np.testing.assert_allclose(rows.outputs, outputs, atol=4e-6)
    np.testing.assert_allclose(rows.values, values, atol=4e-6)

    by_outputs, by_values, gradient = floats(30, 3, seed=2), floats(30, seed=3), np.empty_like(parameters)
    network.backward(rows, by_outputs, by_values, gradient)
    layers = architecture.layers(np.arange(len(parameters), dtype=np.float32))
    of_critic = {
        int(at)
        for name in ("critic", "critic_hidden")
        if name in layers
        for at in np.hstack([layers[name].weight.ravel(), layers[name].bias])
    }
    for place in range(0, len(parameters), 37):
        # A detached critic's loss does not reach the shared layers.
        with_values = place in of_critic or not critic.detached
        differences = []
        for step in (1e-6, -1e-6):
            moved = parameters.astype(np.float64)
            moved[place] += step
            outputs, values = forward_in_double(architecture, moved, rows.observations)
            differences.append((by_outputs * outputs).sum() + (by_values * values).sum() * with_values)
        slope = (differences[0] - differences[1]) / 2e-6
        assert gradient[place] == pytest.approx(slope, rel=2e-3, abs=2e-4)


def test_tanh_is_accurate_and_bounded():
    architecture = DenseArchitecture(1, 1, (1,), "tanh", critic=Critic(bounded=True))
    parameters = np.zeros(architecture.layout.size, np.float32)
    layers = architecture.layers(parameters)
    layers["hidden.0"].weight[:] = 1
    layers["critic"].weight[:] = 1
    numbers = np.concatenate([np.linspace(-12, 12, 200_001), [0, 1e-30, -1e-30, 1e30, -1e30, np.inf, -np.inf]])
    rows = architecture.rows(len(numbers))
    rows.observations[:, 0] = numbers
    architecture.bind(parameters).forward(rows, 0, len(numbers))
    once = rows.hidden[0][:, 0]
    exact = np.tanh(rows.observations[:, 0].astype(np.float64))
    assert np.abs(once - exact).max() < 4e-7
    assert np.abs(once).max() <= 1
    small = np.abs(numbers) < 1e-3
    np.testing.assert_allclose(once[small], exact[small], rtol=4e-7)


def test_exponentials_and_logarithms_are_rounded_once():
    outputs = np.zeros((200_001, 2), np.float32)
    outputs[:, 1] = np.linspace(-120, 120, len(outputs))
    probabilities, log_probabilities, entropies = np.empty_like(outputs), *np.empty((2, len(outputs)), np.float32)
    choice = (1, np.array([2]))
    call("categorical_probabilities", len(outputs), *choice, outputs, probabilities)
    taken = (outputs, np.ones(len(outputs), np.int64), log_probabilities, np.empty_like(entropies), entropies)
    call("categorical_taken", *choice, *taken, len(outputs))
    x = outputs[:, 1].astype(np.float64)
    exact = 1 / (1 + np.exp(-x))
    assert np.abs(probabilities[:, 1] - exact).max() <= np.spacing(np.float32(1))
    ulps = np.abs(probabilities[:, 1] - exact) / np.maximum(np.spacing(exact.astype(np.float32)), 1e-44)
    assert ulps[x > -80].max() < 0.51
    exact = -np.logaddexp(0, -x)
    ulps = np.abs(log_probabilities - exact) / np.spacing(np.abs(exact).astype(np.float32))
    assert ulps[x < 15].max() < 0.51


def test_length_is_accurate_whatever_the_size():
    for size in (1, 15, 16, 17, 4611):
        vector = floats(size)
        assert length(vector) == pytest.approx(np.linalg.norm(vector.astype(np.float64)), rel=1e-14)


@pytest.mark.parametrize("wrong", [np.zeros(8, np.float64), np.zeros((4, 2), np.float32)[:, 0], np.zeros(8, np.int32)])
def test_an_array_of_another_type_or_with_gaps_is_refused(wrong):
    with pytest.raises(TypeError, match="needs a float32 array without gaps"):
        prepare("add", 4, wrong)


@pytest.mark.parametrize("clip_range", [0.1, 0.5])
def test_the_clipped_surrogate_is_accurate(clip_range):
    counted, advantages = floats(1000, seed=3) > -1, floats(1000, seed=2)
    advantages[~counted] = 0
    new, old, derivatives = floats(1000), floats(1000) + floats(1000, seed=1), np.empty(1000, np.float32)
    mean = call("clipped_surrogate", 1000, new, old, advantages, counted, clip_range, derivatives)
    ratio, weight = np.exp(new.astype(np.float64) - old), advantages.astype(np.float64)
    bound = np.clip(ratio, 1 - clip_range, 1 + clip_range) * weight
    assert mean == pytest.approx(np.minimum(ratio * weight, bound)[counted].mean(), rel=1e-9)
    clipped = ratio * weight > bound
    for sign in (weight > 0, weight < 0):
        assert 50 < np.count_nonzero(clipped & sign) < np.count_nonzero(sign) - 50
    assert not derivatives[clipped].any()
    np.testing.assert_allclose(derivatives[~clipped], (ratio * weight)[~clipped], rtol=1e-7)


def test_a_ratio_that_nothing_holds_back_is_not_hidden():
    """Whatever float32 cannot hold becomes infinite or NaN: training ends with a line that says so."""
    flags, derivatives = np.ones(3, np.bool_), np.zeros(3, np.float32)
    new, old = np.array([200, np.nan, -200], np.float32), np.zeros(3, np.float32)
    mean = call("clipped_surrogate", 3, new, old, np.full(3, -1, np.float32), flags, 0.2, derivatives)
    assert np.isnan(mean) and np.isinf(derivatives[0])
