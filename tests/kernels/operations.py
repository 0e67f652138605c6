"""Every kind of operation on the training path, on fixed inputs: `python operations.py` prints the hash of each."""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from a3c_bench.distributions.categorical import Categorical
from a3c_bench.distributions.gaussian import Gaussian
from a3c_bench.kernels.library import call
from a3c_bench.learning.episodes import EpisodeLog
from a3c_bench.learning.optimizer import Adam, clip, length
from a3c_bench.learning.returns import (
    discounted_returns,
    generalised_advantages,
    scale_to_unit_length,
    standardise,
    sum_of_products,
)
from a3c_bench.networks.dense import Critic, DenseArchitecture

HIDDEN = (25, 50, 64, 128)
NSTEP = {
    "kind": "nstep",
    "actors": 8,
    "envs": 128,
    "rollout_steps": 20,
    "total_steps": 1_500_000,
    "learning_rate": 2e-3,
    "final_learning_rate": 0.0,
    "gamma": 0.98,
    "gae_lambda": 0.95,
    "value_weight": 0.25,
    "entropy_weight": 0.001,
    "max_gradient_norm": 1.0,
    "normalize_advantages": False,
    "adam_statistics": "shared",
}
"""What the known bits were recorded with, whatever the project's params are today."""
NETWORKS = {
    "as nstep's": DenseArchitecture(4, 2, (64, 64), "tanh"),
    "as episodic's": DenseArchitecture(4, 2, (25, 50), "relu", True, Critic(25, True, True)),
    "wide": DenseArchitecture(33, 18, (129, 17), "tanh", critic=Critic(20)),
    "narrow": DenseArchitecture(3, 1, (5, 15), "relu", critic=Critic(bounded=True)),
    "with free outputs": DenseArchitecture(5, 6, (33, 20), "tanh", free_outputs=3),
}


def floats(*shape: int, seed: int = 1) -> np.ndarray:
    """Fixed inputs: whole numbers scaled by powers of two, which no library rounds."""
    return (np.random.PCG64(seed).random_raw(int(np.prod(shape))) >> np.uint64(41)).astype(np.float32).reshape(
        shape
    ) / np.float32(2**22) - np.float32(1)


def networks() -> Iterator[tuple[str, np.ndarray]]:
    """Forward and backward passes."""
    for name, architecture in NETWORKS.items():
        for count in (1, 37, 320):
            parameters = floats(architecture.layout.size) / np.float32(4)
            network, rows = architecture.bind(parameters), architecture.rows(count)
            rows.observations[:] = 3 * floats(count, architecture.inputs)
            network.forward(rows, 0, count)
            gradient = np.empty_like(parameters)
            network.backward(rows, floats(count, architecture.outputs, seed=2), floats(count, seed=3), gradient)
            yield f"outputs, {name}, {count} rows", rows.outputs
            yield f"values, {name}, {count} rows", rows.values
            yield f"gradient, {name}, {count} rows", gradient


def distributions() -> Iterator[tuple[str, np.ndarray]]:
    """Categorical distributions of few and of many actions, and of several choices; a Gaussian."""
    policies = {"2": Categorical((2,)), "18": Categorical((18,)), "3 × 1 × 7": Categorical((3, 1, 7), several=True)}
    for size, policy in {**policies, "3 numbers": Gaussian(3)}.items():
        outputs = 5 * floats(321, policy.size)
        noise, actions = policy.noise((321,)), policy.actions((321,))
        policy.draw(np.random.default_rng(1), noise)
        policy.sampler(outputs, noise, actions)(0, 321)
        taken = policy.taken(outputs, actions)
        taken.evaluate(321)
        yield f"actions of {size}", actions
        yield f"log-probabilities of {size}", taken.log_probabilities
        yield f"entropies of {size}", taken.entropies
        yield f"loss's gradient of {size}", taken.loss_gradient(321, floats(321), floats(321, seed=2))
        if size in policies:
            yield f"probabilities of {size}", policy.probabilities(outputs)


def vectors() -> Iterator[tuple[str, np.ndarray]]:
    """Returns, advantages and the optimizer."""
    flags = [floats(7, 33, seed=seed) > 0.5 for seed in (1, 2, 3)]
    advantages, returns = np.empty((7, 33), np.float32), np.empty((7, 33), np.float32)
    generalised_advantages(floats(7, 33), floats(8, 33), *flags, 0.99, 0.95, advantages, returns)()
    yield "advantages", advantages.copy()
    yield "returns", returns
    standardise(advantages, flags[2])
    yield "standardised", advantages
    discounted = np.empty(99, np.float32)
    discounted_returns(floats(99), 0.9, discounted)
    yield "discounted returns", discounted
    log = EpisodeLog(7, 33)
    log.recorder(floats(7, 33), flags[2], flags[0], flags[1])()
    yield "finished episodes", log.finished()
    derivatives, old = np.empty(231, np.float32), floats(231, seed=2) / np.float32(2)
    given = (floats(231), floats(231) - old, floats(231, seed=3), flags[2].reshape(-1), 0.2, derivatives)
    yield "clipped surrogate", np.array(call("clipped_surrogate", 231, *given))
    yield "derivatives of the clipped surrogate", derivatives
    moments, others, scaled = np.zeros(67, np.float32), np.ones(67, np.float32), np.zeros((21, 33), np.float32)
    call("moments_of", 33, floats(21, 33), moments, 21)
    yield "moments", moments
    call("merge_moments", 33, others, moments)
    yield "merged moments", others
    call("scale_observations", 33, others, floats(21, 33, seed=2), scaled, 0, 21)
    yield "scaled observations", scaled
    returns, carried = np.zeros(231, np.float32), floats(33, seed=2).astype(np.float64)
    rollout = (floats(7, 33), flags[0], flags[1], flags[2])
    yield "number of returns so far", np.array(call("returns_so_far", 7, 33, *rollout, 0.99, returns, carried))
    yield "returns so far", returns
    call("scale_rewards", 231, others[:3].copy(), floats(231), returns)
    yield "scaled rewards", returns
    vector = floats(4611)
    yield "sum of products", np.array(sum_of_products(vector, floats(4611, seed=2)))
    yield "length", np.array(length(vector))
    scale_to_unit_length(vector)
    yield "of unit length", vector
    clip(vector, 0.3)
    yield "clipped", vector
    call("add", vector.size, floats(4611), vector)
    yield "added", vector
    parameters, adam = floats(4611), Adam.fresh(4611)
    for step in range(1, 40):
        adam.apply(parameters, floats(4611, seed=step), 1e-2)
    yield "39 steps of Adam", parameters


def draws() -> Iterator[tuple[str, np.ndarray]]:
    """What random generators give."""
    yield "random", np.random.Generator(np.random.PCG64(7)).random(64)
    yield "first parameters", NETWORKS["wide"].initial(np.random.default_rng(1))


def trained(threads: int, hidden: int) -> np.ndarray:
    """The parameters after three updates of an actor with rollouts of three parts, on `threads` threads."""
    from a3c_bench.config import parse_config
    from a3c_bench.environments.make import describe
    from a3c_bench.params import read_yaml

    params = read_yaml(Path(__file__).parents[2] / "params.yaml")
    params["nstep"].update(NSTEP, hidden=[hidden, hidden])
    settings, environment = parse_config(params).algorithm("nstep"), describe("CartPole-v1")
    parameters = settings.initial_parameters(environment, 0)
    gradient, adam = np.empty_like(parameters), Adam.fresh(parameters.size)
    with ThreadPoolExecutor(threads) as executor:
        in_order: Callable = executor.map if threads > 1 else map
        actor = settings.actor_maker(environment, 0, in_order)(0, parameters)
        for _ in range(3):
            actor.learn(actor.collect(), gradient)
            adam.apply(parameters, gradient, 1e-3)
    return parameters


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def hashes() -> dict[str, str]:
    """The hash of every operation's result, and of whole updates."""
    found = {name: sha256(array) for part in (networks, distributions, vectors, draws) for name, array in part()}
    return found | {f"three updates, hidden {hidden}": sha256(trained(1, hidden)) for hidden in HIDDEN}


if __name__ == "__main__":
    json.dump(hashes(), sys.stdout, indent=2, ensure_ascii=False)
