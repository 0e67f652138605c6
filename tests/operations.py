"""Every kind of operation on the training path, on fixed inputs: `python operations.py` prints the hash of each.

Run by itself it pins nothing: what differs then between CPUs, or from the pinned run, depends on the CPU.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

HIDDEN = (25, 50, 64, 128)
ROWS = (1, 32, 256, 1024)


def floats(*shape: int) -> np.ndarray:
    """Fixed inputs: whole numbers scaled by powers of two, which no library rounds."""
    return (np.random.PCG64(1).random_raw(int(np.prod(shape))) >> np.uint64(41)).astype(np.float32).reshape(
        shape
    ) / np.float32(2**22) - np.float32(1)


def elementwise() -> Iterator[tuple[str, np.ndarray]]:
    """Functions of one number."""
    values = floats(4099)
    for name in ("tanh", "exp", "sqrt", "square"):
        yield name, getattr(np, name)(np.abs(values) if name == "sqrt" else values)
    yield "log", np.log(np.abs(values) + np.float32(1e-6))
    doubles = values.astype(np.float64)
    # CartPole's dynamics; Acrobot's too.
    yield "sin (double)", np.sin(doubles)
    yield "cos (double)", np.cos(doubles)


def reductions() -> Iterator[tuple[str, np.ndarray]]:
    """Sums, whose order may depend on the width of a CPU's registers."""
    block = floats(257, 64)
    yield "sum over rows", np.sum(block, axis=0)
    yield "sum of a row", np.sum(block, axis=1)
    yield "sum of all", np.sum(block)
    yield "dot of vectors", np.dot(block.ravel(), block.ravel())
    yield "vecdot", np.vecdot(block, block)
    yield "cumsum (double)", np.cumsum(block, axis=0, dtype=np.float64)
    yield "mean (double)", np.mean(block, dtype=np.float64)


def products() -> Iterator[tuple[str, np.ndarray]]:
    """The three matrix products of a layer: forward, and the two of the backward pass."""
    for hidden in HIDDEN:
        weight = floats(hidden, hidden)
        for rows in ROWS:
            inputs = floats(rows, hidden)
            yield f"forward {hidden} × {rows}", np.dot(inputs, weight.T)
            yield f"backward {hidden} × {rows}", inputs @ weight
            yield f"weights {hidden} × {rows}", inputs.T @ inputs


def draws() -> Iterator[tuple[str, np.ndarray]]:
    """What random generators give."""
    generator = np.random.Generator(np.random.PCG64(7))
    yield "standard_exponential", generator.standard_exponential((64, 2), dtype=np.float32)
    yield "uniform", generator.uniform(-1, 1, 64)


def trained(threads: int, hidden: int) -> bytes:
    """Three updates of an actor with rollouts of three blocks, on `threads` threads."""
    from pathlib import Path

    from a3c_bench.config import parse_config
    from a3c_bench.environments.make import describe
    from a3c_bench.learning.optimizer import Adam
    from a3c_bench.params import read_yaml

    params = read_yaml(Path(__file__).parent.parent / "params.yaml")
    params["nstep"].update(envs=128, rollout_steps=20, hidden=[hidden, hidden])
    settings, environment = parse_config(params).algorithm("nstep"), describe("CartPole-v1")
    parameters = settings.initial_parameters(environment, 0)
    gradient, adam = np.empty_like(parameters), Adam.fresh(parameters.size)
    with ThreadPoolExecutor(threads) as executor:
        in_order: Callable = executor.map if threads > 1 else map
        actor = settings.actor_maker(environment, 0, in_order)(0, parameters)
        for _ in range(3):
            actor.learn(actor.collect(), gradient)
            adam.apply(parameters, gradient, 1e-3)
    return parameters.tobytes()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def hashes() -> dict[str, str]:
    """The hash of every operation's result, and of whole updates."""
    results = [*elementwise(), *reductions(), *products(), *draws()]
    found = {name: sha256(np.ascontiguousarray(array).tobytes()) for name, array in results}
    return found | {f"three updates, hidden {hidden}": sha256(trained(1, hidden)) for hidden in HIDDEN}


if __name__ == "__main__":
    json.dump(hashes(), sys.stdout, indent=2, ensure_ascii=False)
