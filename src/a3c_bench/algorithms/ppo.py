"""PPO: the clipped surrogate, on minibatches of a rollout, several times over (Schulman et al. 2017).

Its actors send gradients, as the workers of Heess et al. 2017 do. Every minibatch is an update of its own, and takes a
turn of its own in the order of turns.
"""

from typing import Annotated, Self

import numpy as np
from pydantic import Field, PositiveFloat, model_validator

from a3c_bench.algorithms.base import Actor, InOrder, Losses, MakeActor, Statistics
from a3c_bench.algorithms.blocks import ActorCriticLoss, BlockSettings, Parts, Workspace
from a3c_bench.arrays import Floats
from a3c_bench.distributions.base import Taken
from a3c_bench.environments.make import EnvironmentInfo
from a3c_bench.kernels.library import prepare, require_sizes
from a3c_bench.learning.block import flat_rows
from a3c_bench.learning.minibatches import Experience, Minibatch, MinibatchCollector
from a3c_bench.learning.optimizer import clip
from a3c_bench.learning.returns import standardise
from a3c_bench.seeding import Role, stream


class PPO(BlockSettings):
    """The section of params."""

    epochs: Annotated[int, Field(ge=1, le=1024)]
    minibatches: Annotated[int, Field(ge=1, le=65536)]
    clip_range: PositiveFloat

    @model_validator(mode="after")
    def _of_one_size(self) -> Self:
        if self.rollout_rows % self.minibatches:
            raise ValueError(
                f"minibatches must divide envs × rollout_steps: {self.rollout_rows} rows cannot be dealt out in "
                f"{self.minibatches} of one size"
            )
        return self

    @property
    def updates_per_rollout(self) -> int:
        """One for every minibatch."""
        return self.epochs * self.minibatches

    @property
    def learned_rows(self) -> int:
        """Rows of a minibatch."""
        return self.rollout_rows // self.minibatches

    def with_work_for_threads(self) -> Self:
        """The same with minibatches of three parts."""
        return super().with_work_for_threads().model_copy(update={"minibatches": 1})

    def buffer_bytes(self, environment: EnvironmentInfo, workers: int) -> int:
        """The same, the workers' minibatches, and what every actor keeps of its rollout."""
        inputs = environment.observation.size
        minibatches = workers * self.learned_rows * (inputs + sum(self.hidden))
        # Of every row a log-probability, an advantage and a return.
        kept = self.actors * self.rollout_rows * (inputs + 3)
        return super().buffer_bytes(environment, workers) + 4 * (minibatches + kept)

    def actor_maker(self, environment: EnvironmentInfo, seed: int, in_order: InOrder = map) -> MakeActor:
        """Makes the actors of training run `seed`; they share one `Workspace`."""
        workspace = PPOWorkspace(self, environment, in_order)
        return lambda index, parameters: PPOActor(self, seed, index, parameters, workspace)


class PPOWorkspace(Workspace):
    """Buffers for one rollout, and for a minibatch and its gradient."""

    def __init__(self, settings: PPO, environment: EnvironmentInfo, in_order: InOrder) -> None:
        super().__init__(settings, environment)
        size, rows = settings.learned_rows, self.architecture.rows(settings.learned_rows)
        self.rows, self.minibatch = rows, self.evaluate().room(size)._replace(observations=rows.observations)
        taken = self.distribution.taken(rows.outputs, self.minibatch.actions)
        self.loss = ClippedLoss(settings, taken, rows.values, self.minibatch)
        self.parts = Parts(rows, size, self.architecture.layout.size, in_order)

    def evaluate(self) -> Experience:
        """What is learned from the rollout that lies in the block, by the policy and the values that collected it."""
        acted, block = self.block.acted, self.block
        self.compute_advantages()
        self.taken.evaluate(block.counted.size)
        results = map(flat_rows, (self.advantages, self.returns, block.counted))
        return Experience(acted.observations, flat_rows(block.actions), self.taken.log_probabilities, *results)


class PPOActor(Actor[Minibatch]):
    """GAE on a block of `rollout_steps` × `envs`, learned from in minibatches."""

    def __init__(self, settings: PPO, seed: int, index: int, parameters: Floats, workspace: PPOWorkspace) -> None:
        self._settings, self._workspace = settings, workspace
        collector = MinibatchCollector(
            workspace.acting(seed, index, parameters),
            workspace.evaluate,
            stream(seed, Role.TRAIN_MINIBATCH, index),
            workspace.minibatch,
            settings.epochs,
        )
        super().__init__(collector, workspace.bind(parameters))

    def learn(self, rollout: Minibatch, gradient: Floats) -> Statistics:
        """Write the gradient of the minibatch's loss, by the snapshot, into `gradient` (size,)."""
        workspace, experience = self._workspace, rollout.experience
        if self._settings.normalize_advantages:
            standardise(experience.advantages, experience.counted)
        workspace.parts.forward(self._network)
        by_outputs, by_values, losses = workspace.loss.differentiate()
        workspace.parts.backward(self._network, by_outputs, by_values, gradient)
        return Statistics(rollout.env_steps, losses, clip(gradient, self._settings.max_gradient_norm))


class ClippedLoss(ActorCriticLoss):
    """PPO's loss (Schulman et al. 2017, equations 7 and 9), averaged over the counted rows of a minibatch.

    Mean of −min(r · A, clip(r, 1 − ε, 1 + ε) · A) − entropy_weight · H(π) + value_weight · (V − return)²: A is the
    advantage, and r is π(a|s) by what it was when the action was taken. The derivative of the first
    term by log π(a|s) is −r · A, and 0 where r is clipped: so the gradient is that of A3C's loss of other advantages.
    """

    def __init__(self, settings: PPO, taken: Taken, values: Floats, minibatch: Experience) -> None:
        advantages, counted, old = minibatch.advantages, minibatch.counted, minibatch.log_probabilities
        require_sizes(values.size, old, advantages)
        unclipped = np.zeros_like(values)
        super().__init__(settings, taken, values, unclipped, minibatch.returns, counted)
        self._clip = prepare(
            "clipped_surrogate",
            *(len(values), taken.log_probabilities, old, advantages, counted, settings.clip_range, unclipped),
        )

    def _differentiate(self) -> tuple[Floats, Floats, Losses]:
        surrogate = self._clip()
        by_outputs, by_values, losses = super()._differentiate()
        return by_outputs, by_values, losses._replace(policy_loss=-surrogate)
