"""What an actor does with running moments: it scales a rollout by its snapshot's, and takes the rollout's own."""

from collections.abc import Callable

import numpy as np

from a3c_bench.arrays import Doubles, Floats
from a3c_bench.kernels.library import DOUBLES, address, prepare
from a3c_bench.learning.block import Block
from a3c_bench.learning.normalisation import Normalisation


class Scaling:
    """Of the rollout that lies in a block, by the moments of an actor's snapshot."""

    def __init__(self, normalisation: Normalisation, snapshot: Floats, block: Block, gamma: float) -> None:
        """`gamma`: the discount of the returns by whose deviation rewards are scaled."""
        self.moments = np.zeros(normalisation.size, np.float32)
        """The rollout's own, once they were taken."""
        self.observations: Callable[[int, int], None] = _leave
        """Scales those of the block's rows from one to another, before anything is computed of them."""
        self._block, self._gamma, self._takers = block, gamma, list[Callable[[Doubles], None]]()
        known, own = normalisation.split(snapshot), normalisation.split(self.moments)
        if "observations" in known:
            self._scale_observations(known["observations"], own["observations"])
        if "returns" in known:
            self._scale_rewards(known["returns"], own["returns"])

    def take(self, returns: Doubles) -> None:
        """Take the moments of a rollout that is complete, and scale its rewards.

        returns: discounted, so far, of the episodes that were running before it (envs,); afterwards of those after it.
        """
        for take in self._takers:
            take(returns)

    def _scale_observations(self, known: Floats, own: Floats) -> None:
        block, size = self._block, self._block.observations.shape[-1]
        self.observations = prepare("scale_observations", size, known, block.observations, block.rows.observations)
        take = prepare("moments_of", size, block.observations, own, block.counted.size)
        self._takers.append(lambda returns: take())

    def _scale_rewards(self, known: Floats, own: Floats) -> None:
        block, so_far = self._block, np.zeros(self._block.counted.size, np.float32)
        rollout = (block.rewards, block.terminated, block.truncated, block.counted)
        follow = prepare("returns_so_far", *block.rewards.shape, *rollout, self._gamma, so_far)
        take = prepare("moments_of", 1, so_far, own)
        scale = prepare("scale_rewards", so_far.size, known, block.rewards, block.learned_rewards)

        def take_and_scale(returns: Doubles) -> None:
            take(follow(address(returns, DOUBLES, returns.size)))
            scale()

        self._takers.append(take_and_scale)


def _leave(start: int, stop: int) -> None:
    """Observations that are not scaled stay as they are."""
