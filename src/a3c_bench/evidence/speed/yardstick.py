"""The textbook loop without an end, its env steps counted: the yardstick, as a contestant."""

from ctypes import Array, c_longlong
from typing import Any

import gymnasium

from a3c_bench import textbook

SEED = 0


class Counted(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Counts an environment's steps at one place of an array that another process reads."""

    def __init__(self, environment: gymnasium.Env[Any, Any], counts: "Array[c_longlong]", place: int) -> None:
        super().__init__(environment)
        self._counts, self._place = counts, place

    def step(self, action: Any) -> Any:
        """The environment's own step."""
        self._counts[self._place] += 1
        return self.env.step(action)


def train(counts: "Array[c_longlong]", place: int, name: str, model: textbook.ActorCritic) -> None:
    """One process of the textbook loop, on the shared `model`."""
    environment = Counted(gymnasium.make(name, disable_env_checker=True), counts, place)
    for _ in textbook.train(model, environment, SEED + place):
        pass
