"""A wrapper for environments whose physics remembers earlier episodes: params name it, nothing here imports it."""

from typing import Any

import gymnasium


class NewWorld(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Begins each episode in an empty world of Box2D, as LunarLander does by itself.

    BipedalWalker keeps one world. What is left there of earlier episodes, such as the order of its contacts, changes
    the last bits of later ones, so an episode cannot be replayed from its reset.
    """

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """The environment's own reset, in a new world."""
        environment: Any = self.env.unwrapped
        environment._destroy()  # what its own reset calls first, while the bodies' world is still there
        environment.world = type(environment.world)()
        return self.env.reset(seed=seed, options=options)
