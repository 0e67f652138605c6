"""The textbook loop without an end, its env steps counted: the yardstick, as a contestant."""

from ctypes import Array, c_longlong
from typing import Any

import gymnasium
import torch

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
    textbook.end_with_parent()
    torch.set_num_threads(1)
    torch.manual_seed(SEED + place)
    environment = Counted(gymnasium.make(name, disable_env_checker=True), counts, place)
    environment.reset(seed=SEED + place)
    optimizer = torch.optim.Adam(model.parameters(), lr=textbook.LEARNING_RATE)
    while True:
        textbook.learn(model, optimizer, textbook.play_episode(environment, model))
