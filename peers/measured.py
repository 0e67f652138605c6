"""What every peer reports, in the same way: one JSON line at its end.

A clock's values are those of `time.monotonic`, which all processes of a machine share.
"""

import argparse
import hashlib
import json
import math
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from importlib.metadata import version

CARTPOLE = "CartPole-v1"
EPISODES, THRESHOLD = 100, 475.0


@dataclass
class Measured:
    """Watches the training episodes of one run."""

    libraries: tuple[str, ...]
    deadline: float
    """The clock's value at which to give up."""
    threshold: float = THRESHOLD
    """At this mean return of the last episodes it is solved, and training may end."""
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=EPISODES))
    solved_at: float | None = None
    steps_to_solve: int | None = None
    started: float | None = None
    started_steps: int = 0
    rises: list[tuple[float, int, float]] = field(default_factory=list)
    """The clock, the env steps and the mean return of the last episodes, whenever that is higher than before."""

    def start(self, env_steps: int = 0) -> None:
        """From here on throughput is measured: imports, and compilation where there is one, are done."""
        self.started, self.started_steps = time.monotonic(), env_steps

    def episode(self, value: float, env_steps: int, clock: float | None = None) -> bool:
        """An episode ended with return `value`, `env_steps` into training; True if training may end."""
        self.recent.append(value)
        if len(self.recent) == EPISODES:
            mean, now = sum(self.recent) / EPISODES, clock or time.monotonic()
            if not self.rises or mean > self.rises[-1][2]:
                self.rises.append((now, env_steps, mean))
            if self.solved_at is None and mean >= self.threshold:
                self.solved_at, self.steps_to_solve = now, env_steps
        return self.solved_at is not None or time.monotonic() > self.deadline

    def report(self, env_steps: int, parameters: bytes, rate: float | None = None) -> None:
        """Print what was measured; `rate` where the program knows its own better."""
        assert self.started is not None
        ended_at = time.monotonic()
        if ended_at > self.deadline and self.threshold == math.inf:
            sys.exit("the budget was not used up by the deadline")
        print(
            json.dumps(
                {
                    "solved_at": self.solved_at,
                    "steps_to_solve": self.steps_to_solve,
                    "env_steps": env_steps,
                    "rate": rate or (env_steps - self.started_steps) / (ended_at - self.started),
                    "ended_at": ended_at,
                    "last": sum(self.recent) / len(self.recent) if self.recent else None,
                    "rises": self.rises,
                    "sha256": hashlib.sha256(parameters).hexdigest(),
                    "versions": {name: version(name) for name in self.libraries},
                }
            )
        )


def arguments(*choices: str) -> argparse.Namespace:
    """The command line of a peer: one of `choices`, the seed, the clock's value at which to give up, and more.

    On another environment than CartPole-v1 nothing is solved: training goes on to the end of its budget.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("variant", choices=choices)
    parser.add_argument("seed", type=int)
    parser.add_argument("deadline", type=float)
    parser.add_argument("--env", default=CARTPOLE)
    given = parser.parse_args()
    given.threshold = THRESHOLD if given.env == CARTPOLE else math.inf
    return given
