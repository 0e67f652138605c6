"""What algorithms that learn from blocks of (time, env) steps have in common: their keys, buffers and loss."""

import json
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
from pydantic import Field, JsonValue, PositiveFloat, SerializerFunctionWrapHandler, model_serializer, model_validator

from a3c_bench.algorithms.base import InOrder, Losses, Settings
from a3c_bench.arrays import Flags, Floats
from a3c_bench.distributions.base import Taken
from a3c_bench.environments.make import EnvironmentInfo, first_observations
from a3c_bench.kernels.library import prepare, require_sizes
from a3c_bench.learning.block import Block, flat_rows
from a3c_bench.learning.normalisation import Normalisation
from a3c_bench.learning.optimizer import add
from a3c_bench.learning.returns import generalised_advantages
from a3c_bench.learning.rollout import Acting
from a3c_bench.learning.scaling import Scaling
from a3c_bench.networks.base import Architecture, Network, Rows
from a3c_bench.networks.torch_module import EXACT, Numerics, TorchArchitecture
from a3c_bench.networks.torch_trial import finding
from a3c_bench.sections import Fraction, Weight, Widths
from a3c_bench.seeding import Role, environment_seed, stream

MOST_ROLLOUT_ROWS = 2**22
MOST_STEPS = 10**14
"""More than the most turns of the largest rollouts: what is within their bounds is within this."""
# What an update learns from is learned in parts of this many rows, their gradients summed in order: threads can share
# the parts between them and the sum stays the same.
PART_ROWS = 1024
TRIED_ROWS = 8
"""Observations on which a network is tried."""
FIRST_POLICY_GAIN = 0.01
"""A nearly uniform first policy, as usual for A2C and PPO."""
LogDeviation = Annotated[float, Field(ge=-10.0, le=10.0)]


class BlockSettings(Settings):
    """The section of params of an algorithm whose actors step several environments together."""

    envs: Annotated[int, Field(ge=1, le=65536)]
    rollout_steps: Annotated[int, Field(ge=1, le=65536)]
    total_steps: Annotated[int, Field(ge=1, le=MOST_STEPS)]
    learning_rate: PositiveFloat
    final_learning_rate: Weight
    gamma: Fraction
    gae_lambda: Fraction
    value_weight: Weight
    entropy_weight: Weight
    initial_log_deviation: LogDeviation
    max_gradient_norm: PositiveFloat
    normalize_advantages: bool
    normalize_observations: bool
    normalize_rewards: bool
    hidden: Widths | None
    network: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")] | None = None
    """`package.module:Class` of a `torch.nn.Module`, in place of `hidden`."""
    network_kwargs: Annotated[dict[str, JsonValue], Field(default_factory=dict)]
    numerics: Numerics = "portable"

    def __hash__(self) -> int:
        """Of what it says: a dictionary among its values has none."""
        return hash(self.model_dump_json())

    @model_serializer(mode="wrap")
    def _without_network(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What is not used is not said."""
        content: dict[str, Any] = plain(self)
        left_out = () if self.network else ("network", "network_kwargs", "numerics")
        return {key: value for key, value in content.items() if key not in left_out}

    @model_validator(mode="before")
    @classmethod
    def _network_in_place_of_layers(cls, content: Any) -> Any:
        named = isinstance(content, Mapping) and content.get("network") is not None
        return {"hidden": None, **content} if named else content

    @model_validator(mode="after")
    def _one_network(self) -> Self:
        if (self.network is None) == (self.hidden is None):
            raise ValueError("hidden or network: one says which network it is, the other is null or left out")
        if self.network is None and (self.network_kwargs or self.numerics != "portable"):
            raise ValueError("network_kwargs and numerics mean something with network only; leave them out")
        if self.network and self.network.startswith("__main__:"):
            raise ValueError(f"network: {self.network!r} is known to your program only; define it in a module")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.final_learning_rate > self.learning_rate:
            raise ValueError("final_learning_rate must not exceed learning_rate")
        if self.rollout_rows > MOST_ROLLOUT_ROWS:
            raise ValueError(f"envs × rollout_steps must not exceed {MOST_ROLLOUT_ROWS}")
        return self

    @property
    def rollout_rows(self) -> int:
        """Rows of a rollout: env steps, and the resets between."""
        return self.envs * self.rollout_steps

    @property
    def learned_rows(self) -> int:
        """Rows that an update learns from: the whole rollout, unless it says otherwise."""
        return self.rollout_rows

    @property
    def rollouts(self) -> int:
        """Rollouts of every actor: as many as the step budget needs, rounded up."""
        return -(-self.total_steps // (self.actors * self.rollout_rows))

    def with_budget(self, updates: int) -> Self:
        """The same with so many updates of every actor, rounded up to whole rollouts."""
        rollouts = -(-updates // self.updates_per_rollout)
        return self.changed(total_steps=rollouts * self.actors * self.rollout_rows)

    def with_work_for_threads(self) -> Self:
        """The same with rollouts of three parts."""
        return self.model_copy(update={"envs": 128, "rollout_steps": 20})

    @property
    def parts(self) -> int:
        """Parts of what an update learns from that threads can share."""
        return -(-self.learned_rows // PART_ROWS)

    def longest_rollout(self, environment: EnvironmentInfo) -> int:
        """Env steps that a rollout has at most."""
        return self.rollout_rows

    def buffer_bytes(self, environment: EnvironmentInfo, workers: int) -> int:
        """Memory of the workers' `Workspace`s and of the actors' environments, at least."""
        layout, units = self.layout(environment), self.hidden or (0,)
        # The forward pass is kept, and of the backward pass two layers' gradients, and copies of weights for each part.
        block = self.rollout_rows * (self.observation_bytes(environment) + 4 * sum(units))
        block += 4 * (self.learned_rows * 2 * max(units) + 3 * self.parts * layout.size)
        block += 4 * self.rollout_rows * environment.observation.size if self.normalize_observations else 0
        return workers * block + 4 * self.actors * self.envs * environment.observation.size

    def observation_bytes(self, environment: EnvironmentInfo) -> int:
        """Memory of one observation in a rollout."""
        return np.dtype(self._row_type(environment)).itemsize * environment.observation.size

    def _row_type(self, environment: EnvironmentInfo) -> str:
        own = environment.observation.dtype
        return own if self.network and own in EXACT and not self.normalize_observations else "float32"

    @property
    def imports(self) -> Mapping[str, str]:
        """Its network, if it is one of somebody's own."""
        return {"network": self.network} if self.network else {}

    @property
    def libraries(self) -> tuple[str, ...]:
        """What such a network computes with."""
        return ("torch",) if self.network else ()

    def learning_rate_of(self, update: int) -> float:
        """It falls linearly over an actor's updates."""
        start, end = self.learning_rate, self.final_learning_rate
        return start + (end - start) * update / max(self.updates - 1, 1)

    def normalisation(self, environment: EnvironmentInfo) -> Normalisation:
        """Of observations and rewards, as the keys say."""
        size = environment.observation.size if self.normalize_observations else 0
        return Normalisation(size, self.normalize_rewards)

    def architecture(self, environment: EnvironmentInfo) -> Architecture:
        """Shared tanh layers with a linear actor and a linear critic, or the network that is named."""
        if self.network is None:
            return self.dense(
                environment,
                self.hidden or (),
                "tanh",
                policy_gain=FIRST_POLICY_GAIN,
                free_start=self.initial_log_deviation,
            )
        return self._torch(environment, self.network)

    def _torch(self, environment: EnvironmentInfo, network: str) -> TorchArchitecture:
        distribution = self.distribution(environment)
        return TorchArchitecture(
            network,
            environment.observation.shape,
            distribution.size,
            distribution.free_outputs,
            self._row_type(environment),
            json.dumps(self.network_kwargs, sort_keys=True),
            self.numerics,
            self.initial_log_deviation,
        )

    def objection(self, environment: EnvironmentInfo) -> str | None:
        """A network that is named is tried on what the environment shows."""
        if self.network is None:
            return None
        found = _finding(self._torch(environment, self.network), environment)
        return f"network: {found}" if found else None


@cache
def _finding(architecture: TorchArchitecture, environment: EnvironmentInfo) -> str | None:
    return finding(architecture, first_observations(environment, TRIED_ROWS))


class Workspace:
    """Buffers for one rollout: all actors of a worker use them, one after another.

    So they stay in the core's cache, where those of every actor would not fit.
    """

    def __init__(self, settings: BlockSettings, environment: EnvironmentInfo) -> None:
        steps, envs = settings.rollout_steps, settings.envs
        self._environment, self.architecture = environment, settings.architecture(environment)
        self.distribution = settings.distribution(environment)
        self._normalisation, self._gamma = settings.normalisation(environment), settings.gamma
        self.block = block = Block.allocate(steps, envs, self.architecture, self.distribution, self._normalisation)
        self.taken = self.distribution.taken(block.acted.outputs, flat_rows(block.actions))
        self.advantages, self.returns = np.zeros((steps, envs), np.float32), np.zeros((steps, envs), np.float32)
        self.compute_advantages = generalised_advantages(
            block.learned_rewards,
            block.rows.values.reshape(steps + 1, envs),
            block.terminated,
            block.truncated,
            block.counted,
            settings.gamma,
            settings.gae_lambda,
            self.advantages,
            self.returns,
        )

    def bind(self, snapshot: Floats) -> Network:
        """The network on an actor's snapshot of the model."""
        return self.architecture.bind(snapshot[: self.architecture.layout.size])

    def acting(self, seed: int, actor: int, snapshot: Floats) -> Acting:
        """What the collector of an actor of training run `seed` steps, draws and fills."""
        return Acting(
            self._environment.make_vector(self.block.counted.shape[1]),
            environment_seed(seed, Role.TRAIN_ENVIRONMENT, actor),
            stream(seed, Role.TRAIN_ACTION, actor),
            self.distribution,
            self.block,
            Scaling(self._normalisation, snapshot, self.block, self._gamma),
        )


class Part(NamedTuple):
    """Some rows, and room for the gradient of their loss, which is used again for every update."""

    where: slice
    rows: Rows
    gradient: Floats


class Parts:
    """The rows that an update learns from, in parts that threads share through `in_order`."""

    def __init__(self, rows: Rows, count: int, size: int, in_order: InOrder) -> None:
        """The first `count` of `rows`; `size`: of the gradient."""
        bounds = [*range(0, count, PART_ROWS), count]
        self._parts = [
            Part(slice(start, stop), rows.part(start, stop), np.zeros(size, np.float32))
            for start, stop in pairwise(bounds)
        ]
        # One part alone has nothing to share between threads.
        self._in_order = in_order if len(self._parts) > 1 else map

    def __len__(self) -> int:
        return len(self._parts)

    def forward(self, network: Network) -> None:
        """Fill outputs and values of all rows."""

        def outputs_of(part: Part) -> Floats:
            network.forward(part.rows, 0, part.where.stop - part.where.start)
            return part.rows.outputs

        list(self._in_order(outputs_of, self._parts))

    def backward(self, network: Network, by_outputs: Floats, by_values: Floats, gradient: Floats) -> None:
        """Write the gradient (size,) of a loss, by its gradients by outputs (rows, outputs) and values (rows,)."""

        def gradient_of(part: Part) -> Floats:
            network.backward(part.rows, by_outputs[part.where], by_values[part.where], part.gradient)
            return part.gradient

        first, *others = self._in_order(gradient_of, self._parts)
        np.copyto(gradient, first)
        for other in others:
            add(other, gradient)


class ActorCriticLoss:
    """A3C's loss (Mnih et al. 2016), averaged over the counted rows, of what lies in the arrays given.

    Mean of −log π(a|s) · advantage − entropy_weight · H(π) + value_weight · (V − return)². All arrays are flat,
    (rows,); advantages of rows that are not counted must be 0. If no row is counted the loss is 0.
    """

    def __init__(
        self, settings: BlockSettings, taken: Taken, values: Floats, advantages: Floats, returns: Floats, counted: Flags
    ) -> None:
        require_sizes(values.size, advantages, returns, counted, taken.log_probabilities, taken.entropies)
        self._taken = taken
        self._weights, self._entropy_weights, self._by_values = (np.zeros_like(values) for _ in range(3))
        self._means = np.zeros(len(Losses._fields))
        self._compute = prepare(
            "actor_critic_loss",
            len(values),
            *(values, advantages, returns, counted, taken.log_probabilities, taken.entropies),
            *(settings.value_weight, settings.entropy_weight),
            *(self._weights, self._entropy_weights, self._by_values, self._means),
        )

    def differentiate(self) -> tuple[Floats, Floats, Losses]:
        """Its gradients by the policy's outputs (rows, outputs) and the values (rows,), and what is recorded of it."""
        self._taken.evaluate(len(self._by_values))
        return self._differentiate()

    def _differentiate(self) -> tuple[Floats, Floats, Losses]:
        self._compute()
        by_outputs = self._taken.loss_gradient(len(self._by_values), self._weights, self._entropy_weights)
        return by_outputs, self._by_values, Losses(*self._means.tolist())
