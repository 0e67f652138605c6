"""What differs first between results made again and those committed, and what differs around them."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from a3c_bench.results.files import model_path, sha256, train_folder

Flat = Mapping[str, Any]


class Digest(NamedTuple):
    """One row of digests.csv: the hash of a parameter tensor after a turn."""

    turn: int
    env_step: int
    tensor: str
    sha256: str


def read_digests(content: str) -> list[Digest]:
    """The rows of a digests.csv."""
    return [
        Digest(int(row["turn"]), int(row["env_step"]), row["tensor"], row["sha256"])
        for row in csv.DictReader(io.StringIO(content))
    ]


def first_difference(expected: list[Digest], found: list[Digest]) -> str | None:
    """The first digest that differs, in words; None where all are the same."""
    if [digest[:1] + digest[2:3] for digest in expected] != [digest[:1] + digest[2:3] for digest in found]:
        return "the digests are of other turns or tensors: the amount of training or the network's shape differs"
    for index, (one, other) in enumerate(zip(expected, found, strict=True)):
        if one != other:
            turns = list(dict.fromkeys(digest.turn for digest in expected))
            number = turns.index(one.turn) + 1
            differing = [
                digest.tensor
                for digest, again in zip(expected[index:], found[index:], strict=True)
                if digest.turn == one.turn and digest != again
            ]
            return (
                f"tensor {one.tensor} after turn {one.turn:,} (digest {number} of {len(turns)}), "
                f"with {len(differing) - 1} more of that turn's tensors"
            )
    return None


def first_tensor(model: bytes, expected: list[Digest]) -> str | None:
    """The first tensor of a model file that differs from the last digests, in words; None where all are the same."""
    from safetensors.numpy import load

    tensors = load(model)
    for digest in expected:
        if digest.turn == expected[-1].turn:
            tensor = tensors.get(digest.tensor)
            if tensor is None:
                return f"tensor {digest.tensor} is not in the model file"
            if sha256(tensor.tobytes()) != digest.sha256:
                return f"tensor {digest.tensor} of the model file; training's digests are the same up to its end"
    return None


def explain(algorithm: str, seed: int, committed_digests: str | None, repository: Path) -> str:
    """What differs first in a training run that was not reproduced in `repository`."""
    path = train_folder(algorithm, seed) / "digests.csv"
    if committed_digests is None:
        return f"{path} is not committed, so no turn can be named"
    expected = read_digests(committed_digests)
    difference = first_difference(expected, read_digests((repository / path).read_text(encoding="utf-8")))
    difference = difference or first_tensor((repository / model_path(algorithm, seed)).read_bytes(), expected)
    return difference or "no parameter tensor: the digests and the model's tensors are all as committed"


def changed(before: Flat, after: Flat) -> list[str]:
    """The keys whose values differ, in words."""
    return [
        f"{key}: {before.get(key, 'none')} → {after.get(key, 'none')}"
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]
