"""Networks as nobody should write them: each is the text of a module that has the class `Bad`."""

from collections.abc import Iterator

TARGET = "bad:Bad"
TEMPLATE = """
import random
import torch
from torch import nn

class Bad({base}):
    def __init__(self, shape, outputs):
        super().__init__()
        self.actor, self.critic = nn.Linear(shape[0], outputs), nn.Linear(shape[0], 1)
        {constructor}

    def forward(self, seen):
        {forward}
        return {answer}
"""
GOOD = {
    "base": "nn.Module",
    "constructor": "pass",
    "forward": "pass",
    "answer": "self.actor(seen), self.critic(seen)[:, 0]",
}
WRONG = {
    "no module": {"base": "object"},
    "no parameters": {"constructor": "self.actor = self.critic = nn.Identity()"},
    "another argument": {"constructor": "self.more"},
    "raises": {"constructor": "raise ValueError('bad\\nworse')"},
    "exits": {"constructor": "raise SystemExit"},
    "no CPU": {"constructor": "self.to('meta')"},
    "raises in forward": {"forward": "1 / 0"},
    "one output": {"answer": "self.actor(seen)"},
    "a list": {"answer": "[self.actor(seen), self.critic(seen)[:, 0]]"},
    "no tensors": {"answer": "(1, 2)"},
    "outputs of a wrong shape": {"answer": "self.actor(seen)[:, :1], self.critic(seen)[:, 0]"},
    "values of a wrong shape": {"answer": "self.actor(seen), self.critic(seen)"},
    "outputs of one row": {"answer": "self.actor(seen)[0], self.critic(seen)[:, 0]"},
    "float64": {"answer": "self.actor(seen).double(), self.critic(seen)[:, 0]"},
    "NaN": {"answer": "self.actor(seen) * float('nan'), self.critic(seen)[:, 0]"},
    "no gradient": {"answer": "self.actor(seen).detach(), self.critic(seen)[:, 0]"},
    "no gradient at all": {"answer": "self.actor(seen).detach(), self.critic(seen)[:, 0].detach()"},
    "a parameter for nothing": {"constructor": "self.spare = nn.Parameter(torch.zeros(3))"},
    "a frozen parameter": {"constructor": "self.actor.bias.requires_grad_(False)"},
    "dropout": {"forward": "seen = nn.functional.dropout(seen)"},
    "noise": {"forward": "seen = seen + torch.randn_like(seen)"},
    "a random number of Python": {"forward": "seen = seen * random.random()"},
    "batch statistics": {"constructor": "self.critic = nn.Sequential(self.critic, nn.BatchNorm1d(1))"},
    "looks at other rows": {"forward": "seen = seen - seen.mean(0)"},
    "lazy": {"constructor": "self.actor = nn.LazyLinear(outputs)"},
    "a buffer that is drawn": {"constructor": "self.register_buffer('drawn', torch.rand(1))"},
    "a buffer that changes": {
        "constructor": "self.register_buffer('seen', torch.zeros(1))",
        "forward": "self.seen += 1",
    },
    "changes what it sees": {"forward": "seen += 1"},
    "two parameters on one memory": {"constructor": "self.critic.bias = nn.Parameter(self.actor.bias.data[:1])"},
}
"""What is wrong, by its name: what is in place of the good."""
NO_NETWORKS = (
    "bad",
    "bad:",
    ":Bad",
    "bad:Good",
    "no_such:Bad",
    "bad.py:Bad",
    "__main__:Bad",
    "os:getcwd",
    "",
    "x" * 10_000,
)


def bad_networks() -> Iterator[tuple[str, bytes]]:
    """Their names and modules."""
    for name, wrong in WRONG.items():
        yield name, TEMPLATE.format(**{**GOOD, **wrong}).encode()
