"""A3C with n-step rollouts, GAE and vectorised environments (Mnih et al. 2016; Schulman et al. 2016)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, NamedTuple, Self

import numpy as np
from pydantic import Field, PositiveFloat, model_validator

from a3c_bench.algorithms.base import Actor, InOrder, Losses, MakeActor, Settings, Statistics
from a3c_bench.arrays import Flags, Floats
from a3c_bench.distributions.base import Taken
from a3c_bench.environments.make import EnvironmentInfo
from a3c_bench.kernels.library import prepare, require_sizes
from a3c_bench.learning.optimizer import add, clip
from a3c_bench.learning.returns import generalised_advantages, standardise
from a3c_bench.learning.rollout import Block, BlockCollector, flat_rows
from a3c_bench.networks.base import Rows
from a3c_bench.networks.dense import DenseArchitecture
from a3c_bench.sections import Fraction, Weight, Widths
from a3c_bench.seeding import Role, environment_seed, stream

MOST_ROLLOUT_ROWS = 2**22
MOST_STEPS = 10**14
"""More than the most turns of the largest rollouts: what is within their bounds is within this."""
# A rollout is learned in parts of this many rows, their gradients summed in order: threads can share the parts
# between them and the sum stays the same.
PART_ROWS = 1024
FIRST_POLICY_GAIN = 0.01
"""A nearly uniform first policy, as usual for A2C and PPO."""


class NStep(Settings):
    """The section of params."""

    TIMES_TEXTBOOK = 300

    envs: Annotated[int, Field(ge=1, le=65536)]
    rollout_steps: Annotated[int, Field(ge=1, le=65536)]
    total_steps: Annotated[int, Field(ge=1, le=MOST_STEPS)]
    learning_rate: PositiveFloat
    final_learning_rate: Weight
    gamma: Fraction
    gae_lambda: Fraction
    value_weight: Weight
    entropy_weight: Weight
    max_gradient_norm: PositiveFloat
    normalize_advantages: bool
    hidden: Widths

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.final_learning_rate > self.learning_rate:
            raise ValueError("final_learning_rate must not exceed learning_rate")
        if self.envs * self.rollout_steps > MOST_ROLLOUT_ROWS:
            raise ValueError(f"envs × rollout_steps must not exceed {MOST_ROLLOUT_ROWS}")
        return self

    @property
    def rollouts(self) -> int:
        """Rollouts of every actor: as many as the step budget needs, rounded up."""
        return -(-self.total_steps // (self.actors * self.envs * self.rollout_steps))

    def with_budget(self, rollouts: int) -> Self:
        """The same with so many rollouts of every actor."""
        rows = rollouts * self.actors * self.envs * self.rollout_steps
        return self.changed(total_steps=rows)

    def with_work_for_threads(self) -> Self:
        """The same with rollouts of three parts."""
        return self.model_copy(update={"envs": 128, "rollout_steps": 20})

    @property
    def parts(self) -> int:
        """Parts of a rollout that threads can share."""
        return -(-self.envs * self.rollout_steps // PART_ROWS)

    def longest_rollout(self, environment: EnvironmentInfo) -> int:
        """Env steps that a rollout has at most."""
        return self.envs * self.rollout_steps

    def buffer_bytes(self, environment: EnvironmentInfo, workers: int) -> int:
        """Memory of the workers' `Workspace`s and of the actors' environments, at least."""
        rows, layout = self.envs * self.rollout_steps, self.layout(environment)
        # The forward pass is kept, and of the backward pass two layers' gradients, and copies of weights for each part.
        block = rows * (environment.observation.size + sum(self.hidden) + 2 * max(self.hidden))
        environments = self.actors * self.envs * environment.observation.size
        return 4 * (workers * (block + 3 * self.parts * layout.size) + environments)

    def learning_rate_of(self, rollout: int) -> float:
        """It falls linearly over an actor's rollouts."""
        start, end = self.learning_rate, self.final_learning_rate
        return start + (end - start) * rollout / max(self.rollouts - 1, 1)

    def architecture(self, environment: EnvironmentInfo) -> DenseArchitecture:
        """Shared tanh layers with a linear actor and a linear critic."""
        distribution = self.distribution(environment)
        return DenseArchitecture(
            inputs=environment.observation.size,
            outputs=distribution.size,
            free_outputs=distribution.free_outputs,
            hidden=self.hidden,
            activation="tanh",
            policy_gain=FIRST_POLICY_GAIN,
        )

    def actor_maker(self, environment: EnvironmentInfo, seed: int, in_order: InOrder = map) -> MakeActor:
        """Makes the actors of training run `seed`; they share one `Workspace`."""
        workspace = Workspace(self, environment, in_order)
        return lambda index, parameters: NStepActor(self, environment, seed, index, parameters, workspace)


class Workspace:
    """Buffers for one rollout and its gradient: all actors of a worker use them, one after another.

    So they stay in the core's cache, where those of every actor would not fit.
    """

    def __init__(self, settings: NStep, environment: EnvironmentInfo, in_order: InOrder = map) -> None:
        steps, envs = settings.rollout_steps, settings.envs
        architecture = settings.architecture(environment)
        self.distribution = settings.distribution(environment)
        self.block = block = Block.allocate(steps, envs, architecture, self.distribution)
        self.advantages, self.returns = np.zeros((steps, envs), np.float32), np.zeros((steps, envs), np.float32)
        self.compute_advantages = generalised_advantages(
            block.rewards,
            block.rows.values.reshape(steps + 1, envs),
            block.terminated,
            block.truncated,
            block.counted,
            settings.gamma,
            settings.gae_lambda,
            self.advantages,
            self.returns,
        )
        acted = block.acted
        self.loss = NStepLoss(
            settings,
            self.distribution.taken(acted.outputs, flat_rows(block.actions)),
            acted.values,
            *map(flat_rows, (self.advantages, self.returns, block.counted)),
        )
        self.parts = row_parts(acted, steps * envs, architecture.layout.size)
        # One part alone has nothing to share between threads.
        self.in_order = in_order if len(self.parts) > 1 else map


class Part(NamedTuple):
    """Some rows of a rollout, and room for the gradient of their loss, which is used again for every rollout."""

    where: slice
    rows: Rows
    gradient: Floats


def row_parts(rows: Rows, count: int, size: int) -> list[Part]:
    """The parts in which a rollout of so many rows is learned."""
    bounds = [*range(0, count, PART_ROWS), count]
    return [
        Part(slice(start, stop), rows.part(start, stop), np.zeros(size, np.float32)) for start, stop in pairwise(bounds)
    ]


class NStepActor(Actor[Block]):
    """GAE on a block of `rollout_steps` × `envs`."""

    def __init__(
        self,
        settings: NStep,
        environment: EnvironmentInfo,
        seed: int,
        index: int,
        parameters: Floats,
        workspace: Workspace,
    ) -> None:
        self._settings, self._workspace = settings, workspace
        collector = BlockCollector(
            environment.make_vector(settings.envs),
            environment_seed(seed, Role.TRAIN_ENVIRONMENT, index),
            stream(seed, Role.TRAIN_ACTION, index),
            workspace.distribution,
            workspace.block,
        )
        super().__init__(collector, settings.architecture(environment).bind(parameters))

    def learn(self, rollout: Block, gradient: Floats) -> Statistics:
        """Write the gradient of the rollout's loss, by the snapshot, into `gradient` (size,)."""
        workspace = self._workspace
        workspace.compute_advantages()
        if self._settings.normalize_advantages:
            standardise(workspace.advantages, rollout.counted)
        by_outputs, by_values, losses = workspace.loss.differentiate()
        first, *others = self.part_gradients(by_outputs, by_values)
        np.copyto(gradient, first)
        for other in others:
            add(other, gradient)
        return Statistics(rollout.env_steps, losses, clip(gradient, self._settings.max_gradient_norm))

    def part_gradients(self, by_outputs: Floats, by_values: Floats) -> Sequence[Floats]:
        """The gradient of every part of the rows, in their order."""

        def gradient_of(part: Part) -> Floats:
            self._network.backward(part.rows, by_outputs[part.where], by_values[part.where], part.gradient)
            return part.gradient

        return list(self._workspace.in_order(gradient_of, self._workspace.parts))


class NStepLoss:
    """A3C's loss (Mnih et al. 2016), averaged over the counted rows, of what lies in the arrays given.

    Mean of −log π(a|s) · advantage − entropy_weight · H(π) + value_weight · (V − return)². All arrays are flat,
    (rows,); advantages of rows that are not counted must be 0. If no row is counted the loss is 0.
    """

    def __init__(
        self, settings: NStep, taken: Taken, values: Floats, advantages: Floats, returns: Floats, counted: Flags
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
        rows = len(self._by_values)
        self._taken.evaluate(rows)
        self._compute()
        by_outputs = self._taken.loss_gradient(rows, self._weights, self._entropy_weights)
        return by_outputs, self._by_values, Losses(*self._means.tolist())
