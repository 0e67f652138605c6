"""A3C with n-step rollouts, GAE and vectorised environments (Mnih et al. 2016; Schulman et al. 2016)."""

from a3c_bench.algorithms.base import Actor, InOrder, MakeActor, Statistics
from a3c_bench.algorithms.blocks import ActorCriticLoss, BlockSettings, Parts, Workspace
from a3c_bench.arrays import Floats
from a3c_bench.environments.make import EnvironmentInfo
from a3c_bench.learning.block import Block, flat_rows
from a3c_bench.learning.optimizer import clip
from a3c_bench.learning.returns import standardise
from a3c_bench.learning.rollout import BlockCollector


class NStep(BlockSettings):
    """The section of params."""

    TIMES_TEXTBOOK = 300

    def actor_maker(self, environment: EnvironmentInfo, seed: int, in_order: InOrder = map) -> MakeActor:
        """Makes the actors of training run `seed`; they share one `Workspace`."""
        workspace = NStepWorkspace(self, environment, in_order)
        return lambda index, parameters: NStepActor(self, seed, index, parameters, workspace)


class NStepWorkspace(Workspace):
    """Buffers for one rollout and its gradient."""

    def __init__(self, settings: NStep, environment: EnvironmentInfo, in_order: InOrder) -> None:
        super().__init__(settings, environment)
        acted = self.block.acted
        learned_from = map(flat_rows, (self.advantages, self.returns, self.block.counted))
        self.loss = ActorCriticLoss(settings, self.taken, acted.values, *learned_from)
        self.parts = Parts(acted, settings.learned_rows, self.architecture.layout.size, in_order)


class NStepActor(Actor[Block]):
    """GAE on a block of `rollout_steps` × `envs`."""

    def __init__(self, settings: NStep, seed: int, index: int, parameters: Floats, workspace: NStepWorkspace) -> None:
        self._settings, self._workspace = settings, workspace
        super().__init__(BlockCollector(workspace.acting(seed, index, parameters)), workspace.bind(parameters))

    def learn(self, rollout: Block, gradient: Floats) -> Statistics:
        """Write the gradient of the rollout's loss, by the snapshot, into `gradient` (size,)."""
        workspace = self._workspace
        workspace.compute_advantages()
        if self._settings.normalize_advantages:
            standardise(workspace.advantages, rollout.counted)
        by_outputs, by_values, losses = workspace.loss.differentiate()
        workspace.parts.backward(self._network, by_outputs, by_values, gradient)
        return Statistics(rollout.env_steps, losses, clip(gradient, self._settings.max_gradient_norm))
