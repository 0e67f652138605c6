"""Networks that cannot be trained, or only look odd. Workers find them by the name of this module."""

import random

import numpy as np
import torch
from torch import nn

from examples.networks.dense import Dense

GLOBAL = {"forwards": 0}


class Dropping(Dense):
    def forward(self, observations):
        return super().forward(nn.functional.dropout(observations, 0.5))


class DroppingUnseen(Dense):
    """What it draws changes nothing, today."""

    def forward(self, observations):
        torch.rand(1)
        return super().forward(observations)


class Noisy(Dense):
    """Draws from a generator of its own."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.generator = np.random.default_rng(0)

    def forward(self, observations):
        return super().forward(observations + float(self.generator.random()))


class Pythons(Dense):
    def forward(self, observations):
        random.random()
        return super().forward(observations)


class Batched(Dense):
    def __init__(self, shape, outputs):
        super().__init__(shape, outputs)
        self.hidden[0] = nn.Sequential(self.hidden[0], nn.BatchNorm1d(64))


class Centred(Dense):
    """Looks at the other rows, without a buffer."""

    def forward(self, observations):
        return super().forward(observations - observations.mean(0))


class Lazy(Dense):
    def __init__(self, shape, outputs):
        super().__init__(shape, outputs)
        self.actor = nn.LazyLinear(outputs)


class Counting(Dense):
    def __init__(self, shape, outputs):
        super().__init__(shape, outputs)
        self.register_buffer("seen", torch.zeros(1), persistent=False)

    def forward(self, observations):
        self.seen += 1
        return super().forward(observations)


class Remembering(Dense):
    """Adds what it saw last."""

    def __init__(self, shape, outputs):
        super().__init__(shape, outputs)
        self.last = 0.0

    def forward(self, observations):
        outputs, values = super().forward(observations)
        last, self.last = self.last, 1.0
        return outputs + last, values


class DrawnBuffer(Dense):
    def __init__(self, shape, outputs):
        super().__init__(shape, outputs)
        self.register_buffer("scale", torch.rand(shape))

    def forward(self, observations):
        return super().forward(observations * self.scale)


class DrawnNumber(Dense):
    """Random, and neither a parameter nor a buffer."""

    def __init__(self, shape, outputs):
        super().__init__(shape, outputs)
        self.scale = torch.rand(shape)

    def forward(self, observations):
        return super().forward(observations * self.scale)


class StaleCopy(Dense):
    """Computes with the weights that it had at first."""

    def __init__(self, shape, outputs):
        super().__init__(shape, outputs)
        self.turned = self.actor.weight.t()

    def forward(self, observations):
        outputs, values = super().forward(observations)
        return outputs + torch.tanh(self.hidden[0](observations)) @ self.turned, values


class DrawnElsewhere(Dense):
    def __init__(self, shape, outputs):
        super().__init__(shape, outputs)
        with torch.no_grad():
            self.actor.weight.copy_(torch.from_numpy(np.random.default_rng().normal(size=self.actor.weight.shape)))


class Overlapping(Dense):
    """Two parameters on one memory."""

    def __init__(self, shape, outputs):
        super().__init__(shape, outputs)
        self.twin = nn.Parameter(self.actor.weight.data)

    def forward(self, observations):
        outputs, values = super().forward(observations)
        return outputs + self.twin.sum(), values


class Frozen(Dense):
    def __init__(self, shape, outputs):
        super().__init__(shape, outputs)
        self.hidden[0].bias.requires_grad_(False)


class Double(Dense):
    def __init__(self, shape, outputs):
        super().__init__(shape, outputs)
        self.double()


class Unused(Dense):
    def __init__(self, shape, outputs):
        super().__init__(shape, outputs)
        self.spare = nn.Linear(2, 2)


class Detached(Dense):
    def forward(self, observations):
        outputs, values = super().forward(observations)
        return outputs.detach(), values.detach()


class OnlyOutputs(Dense):
    def forward(self, observations):
        return super().forward(observations)[0]


class TooMany(Dense):
    def __init__(self, shape, outputs):
        super().__init__(shape, outputs + 1)


class ValuesInColumns(Dense):
    def forward(self, observations):
        outputs, values = super().forward(observations)
        return outputs, values[:, None]


class Halved(Dense):
    def forward(self, observations):
        outputs, values = super().forward(observations)
        return outputs.bfloat16(), values


class InPlace(Dense):
    def forward(self, observations):
        observations *= 0.5
        return super().forward(observations)


class NotFinite(Dense):
    def __init__(self, shape, outputs):
        super().__init__(shape, outputs)
        self.actor.bias = nn.Parameter(torch.empty(outputs))


class Empty(nn.Module):
    def __init__(self, shape, outputs):
        super().__init__()


class Raising(nn.Module):
    def __init__(self, shape, outputs):
        raise RuntimeError("not today\nnor tomorrow")


class Leaving(nn.Module):
    def __init__(self, shape, outputs):
        raise SystemExit(3)


class Taken(Dense):
    def __init__(self, shape, outputs):
        super().__init__(shape, outputs)
        self.free_outputs = nn.Parameter(torch.zeros(1))


class NoModule:
    def __init__(self, shape, outputs):
        pass


class Compiled(Dense):
    def __init__(self, shape, outputs):
        super().__init__(shape, outputs)
        self.quick = torch.compile(torch.tanh)

    def forward(self, observations):
        return super().forward(self.quick(observations))


class Tied(nn.Module):
    """One layer under two names, used twice, and its weights once more; a constant buffer."""

    def __init__(self, shape, outputs):
        super().__init__()
        self.first = nn.Linear(shape[0], shape[0])
        self.second = self.first
        self.register_buffer("scale", torch.arange(1.0, 1 + shape[0]))
        self.actor, self.critic = nn.Linear(shape[0], outputs), nn.Linear(shape[0], 1)

    def forward(self, observations):
        features = torch.tanh(self.second(torch.tanh(self.first(observations * self.scale))))
        features = features @ self.first.weight
        return self.actor(features), self.critic(features)[:, 0]


class ChangingItsMind(Dense):
    """Is as it should be until it has computed often."""

    def __init__(self, shape, outputs, how="shape"):
        super().__init__(shape, outputs)
        self.how = how

    def forward(self, observations):
        outputs, values = super().forward(observations)
        GLOBAL["forwards"] += 1
        if GLOBAL["forwards"] < 40:
            return outputs, values
        return (outputs[:, :1], values) if self.how == "shape" else (outputs.detach(), values)


class Sleeping(Dense):
    """Keeps in an attribute what it computes, between two operations."""

    def forward(self, observations):
        self.features = observations.flatten(1)
        for layer in self.hidden:
            self.features = torch.tanh(layer(self.features))
        return self.actor(self.features), self.critic(self.features)[:, 0]
