"""A block of (time, env) steps: the experience between two updates of an actor that steps several environments."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from a3c_bench.arrays import Doubles, Flags, Floats
from a3c_bench.distributions.base import Distribution
from a3c_bench.learning.normalisation import NONE, Normalisation
from a3c_bench.networks.base import Architecture, Rows


class Step(NamedTuple):
    """One time step of a block: views on its buffers, as acting reads and fills them."""

    start: int
    stop: int
    """Where its rows are."""
    actions: Any
    rewards: Floats
    terminated: Flags
    truncated: Flags
    next_observations: Floats


@dataclass(frozen=True)
class Block:
    """A rollout of `steps` rows of `envs` environments, in buffers that are used again."""

    rows: Rows
    """((steps + 1) · envs): acting fills them, learning uses them; the last `envs` are for bootstrapping."""
    noise: Doubles
    """What sampling uses up (steps, envs, …)."""
    actions: Any
    observations: Floats
    """As the environments gave them (steps + 1, envs, size): where they are not scaled, those of the rows."""
    rewards: Floats
    """The environments' own (steps, envs)."""
    learned_rewards: Floats
    """What is learned from (steps, envs): where they are not scaled, the same memory."""
    terminated: Flags
    truncated: Flags
    counted: Flags
    """(steps, envs): False where the step only reset an environment."""

    @property
    def env_steps(self) -> int:
        """Env steps that count as experience."""
        return int(np.count_nonzero(self.counted))

    @property
    def over(self) -> Flags:
        """(steps, envs): True where an episode ended."""
        return np.logical_or(self.terminated, self.truncated)

    @property
    def acted(self) -> Rows:
        """The rows (steps · envs) on which actions were taken."""
        return self.rows.part(0, self.counted.size)

    @property
    def steps(self) -> list[Step]:
        """Its time steps."""
        observations, envs = self.observations, self.counted.shape[1]
        return [
            Step(
                step * envs,
                (step + 1) * envs,
                self.actions[step],
                self.rewards[step],
                self.terminated[step],
                self.truncated[step],
                observations[step + 1],
            )
            for step in range(len(self.counted))
        ]

    @classmethod
    def allocate(
        cls,
        steps: int,
        envs: int,
        architecture: Architecture,
        distribution: Distribution,
        normalisation: Normalisation = NONE,
    ) -> "Block":
        """Buffers for a rollout of this shape."""
        block, rows = (steps, envs), architecture.rows((steps + 1) * envs)
        observations, rewards = rows.observations.reshape(steps + 1, envs, -1), np.zeros(block, np.float32)
        return cls(
            rows=rows,
            noise=distribution.noise(block),
            actions=distribution.actions(block),
            observations=np.zeros_like(observations) if normalisation.observations else observations,
            rewards=rewards,
            learned_rewards=np.zeros_like(rewards) if normalisation.rewards else rewards,
            terminated=np.zeros(block, np.bool_),
            truncated=np.zeros(block, np.bool_),
            counted=np.zeros(block, np.bool_),
        )


def flat_rows(array: NDArray[Any]) -> NDArray[Any]:
    """(steps, envs, …) to (rows, …)."""
    return array.reshape(-1, *array.shape[2:])
