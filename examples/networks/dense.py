"""Fully connected networks.

In params.yaml, under `nstep` or `ppo`, in place of `hidden`:

    network: examples.networks.dense:Dense
    network_kwargs: {hidden: [64, 64]}
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

POLICY_GAIN = 0.01


class Dense(nn.Module):
    """What `hidden` makes, in torch: shared tanh layers, a linear actor and a linear critic."""

    def __init__(self, observation_shape: tuple[int, ...], outputs: int, hidden: Sequence[int] = (64,)) -> None:
        super().__init__()
        sizes = [prod(observation_shape), *hidden]
        self.hidden = nn.ModuleList(nn.Linear(inputs, units) for inputs, units in pairwise(sizes))
        self.actor, self.critic = nn.Linear(hidden[-1], outputs), nn.Linear(hidden[-1], 1)
        with torch.no_grad():
            # A nearly uniform first policy.
            for parameter in self.actor.parameters():
                parameter.mul_(POLICY_GAIN)

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (rows, outputs) and values (rows,) of observations (rows, *observation_shape)."""
        features = observations.flatten(1)
        for layer in self.hidden:
            features = torch.tanh(layer(features))
        return self.actor(features), self.critic(features)[:, 0]


class Normalised(Dense):
    """The same with LayerNorm behind every layer: a row's own statistics, not those of the rows beside it."""

    def __init__(self, observation_shape: tuple[int, ...], outputs: int, hidden: Sequence[int] = (64,)) -> None:
        super().__init__(observation_shape, outputs, hidden)
        self.hidden = nn.ModuleList(
            nn.Sequential(layer, nn.LayerNorm(units)) for layer, units in zip(self.hidden, hidden, strict=True)
        )
