"""A small convolutional network for MinAtar (K. Young and T. Tian, 2019), of the size of theirs.

In params.yaml, under `nstep` or `ppo`, in place of `hidden`:

    network: examples.networks.minatar:Convolutional
"""

import torch
from torch import Tensor, nn

POLICY_GAIN = 0.01


class Convolutional(nn.Module):
    """16 filters of 3 × 3 and a layer of 128 units, for pictures (height, width, channels)."""

    def __init__(
        self, observation_shape: tuple[int, int, int], outputs: int, filters: int = 16, units: int = 128
    ) -> None:
        super().__init__()
        height, width, channels = observation_shape
        self.filters = nn.Conv2d(channels, filters, 3)
        self.hidden = nn.Linear((height - 2) * (width - 2) * filters, units)
        self.actor, self.critic = nn.Linear(units, outputs), nn.Linear(units, 1)
        with torch.no_grad():
            # A nearly uniform first policy.
            self.actor.weight *= POLICY_GAIN

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (rows, outputs) and values (rows,) of observations (rows, height, width, channels)."""
        pictures = torch.relu(self.filters(observations.permute(0, 3, 1, 2)))
        features = torch.relu(self.hidden(pictures.flatten(1)))
        return self.actor(features), self.critic(features)[:, 0]
