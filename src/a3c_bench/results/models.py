"""Trained models as files, and as policies."""

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from a3c_bench.algorithms.base import Policy
from a3c_bench.arrays import Floats
from a3c_bench.config import Config
from a3c_bench.environments.make import EnvironmentInfo
from a3c_bench.errors import BadInputError
from a3c_bench.networks.base import Layout
from a3c_bench.params import read_plain
from a3c_bench.results.files import Moment, model_path, unreadable


def moments(kept: int) -> dict[Moment, int]:
    """Which of the `kept` models of a training, at evenly spaced turns, are those of its moments."""
    return {"early": 0, "half": (kept - 1) // 2, "end": kept - 1}


def load_policy(
    config: Config, algorithm: str, seed: int, environment: EnvironmentInfo, moment: Moment = "end"
) -> Policy:
    """The policy that a training had at a moment; raises `BadInputError` where its model cannot be read."""
    settings = config.algorithm(algorithm)
    path = model_path(algorithm, seed, moment)
    return settings.policy(environment, load_parameters(path, settings.layout(environment)))


def load_parameters(path: Path, layout: Layout) -> Floats:
    """The flat parameters of a model file; raises `BadInputError` unless it holds the layout's tensors, all finite."""
    try:
        tensors = load(read_plain(path))
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise unreadable(path, error) from None
    found = {name: tensor.shape for name, tensor in tensors.items()}
    if found != dict(layout.shapes) or any(tensor.dtype != np.float32 for tensor in tensors.values()):
        raise BadInputError(f"{path}: holds the tensors {found}, but params.yaml asks for {dict(layout.shapes)}")
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise BadInputError(f"{path}: the tensor {name} has numbers that are not finite; train the model again")
    return np.concatenate([tensors[name].reshape(-1) for name in layout.shapes])


def read_metadata(path: Path) -> dict[str, str]:
    """The texts that a model file says of itself; raises `BadInputError` where it cannot be read."""
    try:
        content = read_plain(path)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        return dict(header.get("__metadata__", {}))
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise unreadable(path, error if isinstance(error, OSError) else ValueError("no safetensors file")) from None
