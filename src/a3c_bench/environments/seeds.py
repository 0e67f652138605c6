"""A wrapper for environments that take short seeds only: params name it, nothing here imports it."""

from typing import Any

import gymnasium

SEEDS = 2**32
"""So many does `numpy.random.RandomState` know."""


class ShortSeeds(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Resets with the last 32 bits of a seed: trainings give 63, which `RandomState`, as MinAtar has it, refuses."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """The environment's own reset."""
        return self.env.reset(seed=None if seed is None else seed % SEEDS, options=options)

    def __reduce__(self) -> tuple[type, tuple[Any]]:
        return type(self), (self.env,)
