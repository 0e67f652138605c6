"""Normalisation of observations and rewards by running moments, which are buffers of the model.

They lie in the flat vector after the trained parameters, so every snapshot, checkpoint, digest and model file has them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from a3c_bench.arrays import Floats
from a3c_bench.kernels.library import call

NO_MOMENTS = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Normalisation:
    """What has running moments: a count, and means and variances."""

    observations: int = 0
    """Numbers of an observation, each with moments of its own; 0: observations are left as they are."""
    rewards: bool = False
    """They are scaled by the deviation of the discounted returns so far."""

    @property
    def columns(self) -> Mapping[str, int]:
        """How many numbers there are moments of, by what they belong to, in the order of the vector."""
        columns = {"observations": self.observations, "returns": int(self.rewards)}
        return {name: count for name, count in columns.items() if count}

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The buffers' names and shapes, in the order of the vector."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name, count in self.columns.items():
            shapes |= {f"{name}.count": (1,), f"{name}.mean": (count,), f"{name}.variance": (count,)}
        return shapes

    @property
    def size(self) -> int:
        """Numbers in all buffers."""
        return sum(1 + 2 * count for count in self.columns.values())

    def split(self, vector: Floats) -> dict[str, Floats]:
        """Views on the moments with which a vector ends, by what they belong to."""
        moments, start = {}, vector.size - self.size
        for name, count in self.columns.items():
            stop = start + 1 + 2 * count
            moments[name], start = vector[start:stop], stop
        return moments

    def initial(self) -> Floats:
        """The buffers (size,) before anything was seen: what is scaled by them stays what it is."""
        buffers = np.zeros(self.size, np.float32)
        for moments in self.split(buffers).values():
            moments[1 + len(moments) // 2 :] = 1
        return buffers

    def merge(self, model: Floats, handed_in: Floats) -> None:
        """Merge the moments with which what an actor hands in ends into the model's, in place."""
        others = self.split(handed_in)
        for name, moments in self.split(model).items():
            call("merge_moments", len(moments) // 2, moments, others[name])

    def scale(self, model: Floats, observations: Floats) -> None:
        """Scale observations (rows, size), in place, by the moments of a model."""
        if self.observations:
            moments = self.split(model)["observations"]
            call("scale_observations", self.observations, moments, observations, observations, 0, len(observations))


NONE = Normalisation()
