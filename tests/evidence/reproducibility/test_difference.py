"""Saying what differs first."""

import numpy as np
import pytest
from safetensors.numpy import save

from a3c_bench.evidence.reproducibility.difference import (
    Digest,
    changed,
    first_difference,
    first_tensor,
    read_digests,
)
from a3c_bench.params import flatten
from a3c_bench.results.files import sha256

TENSORS = {"hidden.0.weight": np.ones((2, 3), np.float32), "actor.bias": np.zeros(2, np.float32)}


def digests(*tensors_by_turn):
    return [
        Digest(10 * (index + 1), 100 * (index + 1), name, sha256(tensor.tobytes()))
        for index, tensors in enumerate(tensors_by_turn)
        for name, tensor in tensors.items()
    ]


def flipped(name):
    """`TENSORS` with the last bit of one weight flipped."""
    tensors = {key: tensor.copy() for key, tensor in TENSORS.items()}
    tensors[name].reshape(-1).view(np.uint32)[-1] ^= 1
    return tensors


def test_digests_are_read_as_they_are_written():
    content = "turn,env_step,tensor,sha256\n8,2048,actor.bias,ab\n16,4096,actor.bias,cd\n"
    assert read_digests(content) == [Digest(8, 2048, "actor.bias", "ab"), Digest(16, 4096, "actor.bias", "cd")]


def test_equal_digests_have_no_difference():
    assert first_difference(digests(TENSORS, TENSORS), digests(TENSORS, TENSORS)) is None


@pytest.mark.parametrize("name", TENSORS)
def test_the_first_turn_and_tensor_that_differ_are_named(name):
    said = first_difference(digests(TENSORS, TENSORS, TENSORS), digests(TENSORS, flipped(name), flipped("actor.bias")))
    assert said.startswith(f"tensor {name} after turn 20 (digest 2 of 3)")


def test_another_amount_of_training_is_said_to_be_that():
    assert "amount of training" in first_difference(digests(TENSORS, TENSORS), digests(TENSORS))


@pytest.mark.parametrize("name", TENSORS)
def test_a_flipped_bit_in_a_model_file_is_found(name):
    expected = digests(flipped("actor.bias"), TENSORS)
    assert first_tensor(save(TENSORS), expected) is None
    assert first_tensor(save(flipped(name)), expected).startswith(f"tensor {name} of the model file")


def test_a_tensor_that_is_missing_from_a_model_file_is_named():
    assert first_tensor(save({"actor.bias": TENSORS["actor.bias"]}), digests(TENSORS)) == (
        "tensor hidden.0.weight is not in the model file"
    )


def test_changes_are_told_by_dotted_key():
    before, after = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 4}, "e": 5}
    assert changed(dict(flatten(before)), dict(flatten(after))) == ["a.c: 2 → 4", "d: 3 → none", "e: none → 5"]
